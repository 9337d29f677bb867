#!/usr/bin/env bash
# Builds the programs and packs each as an image, without a Docker daemon: dist/images/NAME.tar, its list of parts beside
# it (NAME.sbom.json). Run as `make images`.
#
#   images/build.sh [--profile dev|release] [NAME …]     NAME: gochat, gochat-operator; both by default
#   TAG=0.1.0 REPOSITORY=registry.example.com/chat/      how they are named; by default NAME:VERSION
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=release
[ "${1:-}" = --profile ] && { profile=${2:?dev or release}; shift 2; }
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(gochat gochat-operator)
folder=$profile
[ "$profile" = dev ] && folder=debug

for tool in cargo python3 strip ldd; do
  command -v "$tool" >/dev/null || { echo "images: $tool is missing: install it (Debian: cargo python3 binutils libc-bin)" >&2; exit 1; }
done
[ -f /etc/ssl/certs/ca-certificates.crt ] || { echo "images: install ca-certificates: the image takes its authorities from it" >&2; exit 1; }

version=$(cargo metadata --no-deps --format-version=1 | python3 -c 'import json,sys; print(next(p["version"] for p in json.load(sys.stdin)["packages"] if p["name"] == "gochat"))')
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
target=${CARGO_TARGET_DIR:-target}
out=dist/images
mkdir -p "$out"

echo "images: building ${names[*]} (profile $profile)"
cargo build --locked --profile "$profile" "${names[@]/#/--bin=}"
for name in "${names[@]}"; do
  root=$target/images/$name
  images/rootfs.sh "$target/$folder/$name" "$root"
  images/oci.py "$root" "$out/$name.tar" --name "${REPOSITORY:-}$name:${TAG:-$version}" --entrypoint "/usr/bin/$name" \
    --label "org.opencontainers.image.title=$name" --label "org.opencontainers.image.version=${TAG:-$version}" \
    --label "org.opencontainers.image.revision=$revision" --label org.opencontainers.image.licenses=MIT
  images/sbom.py "$name" "$root" "$out/$name.sbom.json"
done
echo "images: in $out; take one with \`docker load -i\`, \`kind load image-archive\`, \`ctr images import\` or \`skopeo copy oci-archive:\`"
