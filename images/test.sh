#!/usr/bin/env bash
# What an image promises: the same input gives the same bytes, nobody is root in it, its root is read-only, it is small.
# Packs the programs of the dev profile, which the tests have built anyhow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

images/build.sh --profile dev "$@"
target=${CARGO_TARGET_DIR:-target}
for archive in dist/images/*.tar; do
  name=$(basename "$archive" .tar)
  first=$(sha256sum <"$archive")
  images/build.sh --profile dev "$name" >/dev/null
  [ "$first" = "$(sha256sum <"$archive")" ] || { echo "images: $name differs when it is built again" >&2; exit 1; }
  bytes=$(stat -c %s "$archive")
  [ "$bytes" -lt $((60 << 20)) ] || { echo "images: $name has $bytes bytes, more than 60 MiB" >&2; exit 1; }
  python3 - "$archive" <<'PY'
import json, sys, tarfile

tar = tarfile.open(sys.argv[1])
read = lambda name: json.load(tar.extractfile(name))
blob = lambda digest: "blobs/" + digest.replace(":", "/")
manifest = read(blob(read("index.json")["manifests"][0]["digest"]))
config = read(blob(manifest["config"]["digest"]))["config"]
assert config["User"] == "65532:65532", config
assert config["Labels"]["org.opencontainers.image.version"], config
assert read("manifest.json")[0]["Config"] == blob(manifest["config"]["digest"])
with tar.extractfile(blob(manifest["layers"][0]["digest"])) as layer:
    members = tarfile.open(fileobj=layer, mode="r:gz").getmembers()
assert all(m.uid == m.gid == 0 and m.mtime == 0 for m in members)
assert not any(m.mode & 0o6000 for m in members), "a file runs as its owner"
assert not any(m.name.endswith(("/sh", "/bash")) for m in members), "a shell is in it"
PY
  if [ "$(id -u)" = 0 ]; then
    chroot --userspec=65532:65532 "$target/images/$name" "/usr/bin/$name" --version
  fi
  grep -q '"purl": "pkg:cargo/tokio@' "dist/images/$name.sbom.json"
  echo "images: $name passed, $bytes bytes"
done
