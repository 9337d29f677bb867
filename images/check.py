#!/usr/bin/env python3
"""Looks into an image: who runs it, what is in it and in its list of parts, and whether images/Dockerfile says the same.

Usage: check.py NAME ARCHIVE SBOM
"""

import hashlib
import json
import pathlib
import re
import shlex
import sys
import tarfile

# Beside the program and shared libraries.
FILES = {"etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"}
FOLDERS = {"dev", "etc", "etc/ssl", "etc/ssl/certs", "proc", "sys", "tmp", "usr", "usr/bin"}
LABELS = {f"org.opencontainers.image.{word}" for word in ("title", "version", "revision", "licenses")}


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    name, archive, parts = sys.argv[1:]
    config = layout(name, tarfile.open(archive))
    sbom(name, json.loads(pathlib.Path(parts).read_text()))
    dockerfile(name, config)


def layout(name: str, tar: tarfile.TarFile) -> dict:
    """The archive is an OCI layout and a `docker save` archive; its settings are returned."""

    def blob(digest: str) -> bytes:
        content = tar.extractfile("blobs/" + digest.replace(":", "/")).read()
        check(digest == f"sha256:{hashlib.sha256(content).hexdigest()}", f"{digest} is not that of its content")
        return content

    check(json.load(tar.extractfile("oci-layout")) == {"imageLayoutVersion": "1.0.0"}, "no OCI layout")
    manifest = json.loads(blob(json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]))
    docker = json.load(tar.extractfile("manifest.json"))[0]
    check("sha256:" + docker["Config"].rsplit("/", 1)[-1] == manifest["config"]["digest"], "Docker gets another image")
    config = json.loads(blob(manifest["config"]["digest"]))["config"]
    check(config["User"] == "65532:65532", f"it runs as {config['User']}")
    check(config["Entrypoint"] == [f"/usr/bin/{name}"], f"it runs {config['Entrypoint']}")
    check(set(config["Labels"]) == LABELS and all(config["Labels"].values()), f"labels {config['Labels']}")
    check(len(manifest["layers"]) == 1, "more than one layer")
    blob(manifest["layers"][0]["digest"])
    with tar.extractfile("blobs/" + manifest["layers"][0]["digest"].replace(":", "/")) as layer:
        members = tarfile.open(fileobj=layer, mode="r:gz").getmembers()
    for member in members:
        check(member.uid == member.gid == member.mtime == 0, f"{member.name} has an owner or a time of the machine that packed it")
        check(not member.mode & 0o6000, f"{member.name} runs as its owner")
        check(not member.mode & 0o022 or member.name == "tmp", f"{member.name} can be written by others")
        library = re.fullmatch(r"(usr/)?lib(64)?/.*\.so(\.\d+)*", member.name)
        if member.isdir():
            check(member.name in FOLDERS or re.match(r"(usr/)?lib", member.name), f"an unknown folder {member.name}")
        else:
            check(member.name in FILES or member.name == f"usr/bin/{name}" or library, f"an unknown file {member.name}")
    missing = (FILES | {f"usr/bin/{name}"}) - {member.name for member in members}
    check(not missing, f"no {missing}")
    return config


def sbom(name: str, bom: dict) -> None:
    check(bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == name, "no CycloneDX list of this image")
    urls = [part["purl"] for part in bom["components"]]
    check(len(urls) == len(set(urls)), "a part is listed twice")
    for start in (f"pkg:cargo/{name}@", "pkg:cargo/tokio@", "pkg:deb/debian/libc6@", "pkg:deb/debian/libssl"):
        check(any(url.startswith(start) for url in urls), f"no {start} among the parts")
    tests = {url for url in urls if url.startswith(("pkg:cargo/proptest@", "pkg:cargo/insta@"))}
    check(not tests, f"{tests} are for tests only")


def dockerfile(name: str, config: dict) -> None:
    """Docker can't build where there is no registry; so what it would set is read off the file."""
    text = (pathlib.Path(__file__).parent / "Dockerfile").read_text().replace("\\\n", " ")
    stages: dict[str, list[str]] = {}
    for line in text.splitlines():
        if found := re.match(r"FROM (\S+) AS (\S+)", line):
            stages[found[2]] = list(stages.get(found[1], []))
            current = stages[found[2]]
        elif line and not line.startswith("#"):
            current.append(line)
    words = [line.split(None, 1) for line in stages[name]]
    env = [word for key, value in words if key == "ENV" for word in shlex.split(value)]
    labels = {word.split("=", 1)[0] for key, value in words if key == "LABEL" for word in shlex.split(value)}
    last = dict(words)
    said = {
        "User": last["USER"],
        "WorkingDir": last["WORKDIR"],
        "Env": env,
        "Entrypoint": json.loads(last["ENTRYPOINT"]),
    }
    for key, value in said.items():
        check(value == config[key], f"images/Dockerfile sets {key} to {value}, images/oci.py to {config[key]}")
    check(labels == LABELS, f"images/Dockerfile sets the labels {sorted(labels)}")
    check(last["COPY"] == f"--from=build /rootfs/{name} /", "images/Dockerfile takes other files")
    check("images/rootfs.sh" in text, "images/Dockerfile does not take its files from images/rootfs.sh")


def check(holds: object, otherwise: str) -> None:
    if not holds:
        sys.exit(f"images: {sys.argv[1]}: {otherwise}")


if __name__ == "__main__":
    main()
