#!/usr/bin/env python3
"""Packs a folder as an image of one layer, without a Docker daemon.

The archive is an OCI image layout and a `docker save` archive at once: `docker load`, `ctr images import`,
`kind load image-archive`, `podman load` and `skopeo copy oci-archive:` all take it. The same folder and options give
the same bytes: no time, owner or order of the machine that packs gets in.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import stat
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = "1970-01-01T00:00:00Z"


def entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.size = mode, kind, size
    return info


def layer(root: str) -> bytes:
    """All of the folder, sorted, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder, folders, files in os.walk(root):
            folders.sort()
            relative = os.path.relpath(folder, root)
            if relative != ".":
                tar.addfile(entry(relative, stat.S_IMODE(os.stat(folder).st_mode), tarfile.DIRTYPE))
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in sorted(files + links):
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    info = entry(os.path.normpath(os.path.join(relative, name)), 0o777, tarfile.SYMTYPE)
                    info.linkname = os.readlink(path)
                    tar.addfile(info)
                    continue
                with open(path, "rb") as file:
                    content = file.read()
                executable = os.stat(path).st_mode & stat.S_IXUSR
                info = entry(os.path.normpath(os.path.join(relative, name)), 0o755 if executable else 0o644, size=len(content))
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def packed(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def descriptor(media_type: str, blob: bytes, **more: object) -> dict:
    return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest(blob)}", "size": len(blob), **more}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="folder with the image's files")
    parser.add_argument("archive", help="file to write")
    parser.add_argument("--name", required=True, help="name and tag, such as gochat:0.1.0")
    parser.add_argument("--entrypoint", required=True, help="program that runs")
    parser.add_argument("--user", default="65532:65532", help="whom it runs as (%(default)s)")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()

    plain = layer(options.root)
    # Without a time in its header, and with a level that later versions won't change the meaning of.
    blob = gzip.compress(plain, compresslevel=6, mtime=0)
    config = packed({
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Entrypoint": [options.entrypoint],
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/sbin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
            "Labels": dict(label.split("=", 1) for label in options.label),
            "User": options.user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(plain)}"]},
        "history": [{"created": EPOCH, "created_by": "images/build.sh"}],
    })
    manifest = packed({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", config),
        "layers": [descriptor("layer.v1.tar+gzip", blob)],
    })
    names = {"io.containerd.image.name": qualified(options.name), "org.opencontainers.image.ref.name": options.name.rsplit(":", 1)[-1]}
    index = packed({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor("manifest.v1+json", manifest, annotations=names)],
    })
    docker = packed([{
        "Config": f"blobs/sha256/{digest(config)}",
        "RepoTags": [options.name],
        "Layers": [f"blobs/sha256/{digest(blob)}"],
    }])
    files = [("oci-layout", packed({"imageLayoutVersion": "1.0.0"})), ("index.json", index), ("manifest.json", docker)]
    files += [(f"blobs/sha256/{digest(blob)}", blob) for blob in (manifest, config, blob)]
    with tarfile.open(options.archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files:
            tar.addfile(entry(name, 0o644, size=len(content)), io.BytesIO(content))
    print(f"{options.name} sha256:{digest(manifest)} {os.path.getsize(options.archive)} bytes")


def qualified(name: str) -> str:
    """containerd knows short names by Docker Hub's full ones only."""
    first = name.split("/", 1)[0]
    has_host = "/" in name and ("." in first or ":" in first or first == "localhost")
    if has_host:
        return name
    return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"


if __name__ == "__main__":
    main()
