#!/usr/bin/env bash
# What an image promises: the same input gives the same bytes, nobody is root in it, nothing is in it but the program and
# what that needs, it says what it is made of, and it is small; and images/Dockerfile describes the same image.
#   images/test.sh [--profile dev|release]      by default the programs of the dev profile, which the tests build anyhow
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=dev
[ "${1:-}" = --profile ] && profile=${2:?dev or release}
target=${CARGO_TARGET_DIR:-target}
fail() { echo "images: $*" >&2; exit 1; }

images/build.sh --profile "$profile"
first=$(sha256sum dist/images/*)
# Again, as a machine with other habits would.
(umask 077 && images/build.sh --profile "$profile" >/dev/null)
[ "$first" = "$(sha256sum dist/images/*)" ] || fail "built again, there are other bytes"

for name in gochat gochat-operator; do
  bytes=$(stat -c %s "dist/images/$name.tar")
  [ "$bytes" -lt 60000000 ] || fail "$name has $bytes bytes, more than 60 MB"
  images/check.py "$name" "dist/images/$name.tar" "dist/images/$name.sbom.json"
  if [ "$(id -u)" = 0 ]; then
    # As in a cluster: another user, and nothing but the image's own files.
    chroot --userspec=65532:65532 "$target/images/$name" "/usr/bin/$name" --version >/dev/null || fail "$name does not run"
  fi
  echo "images: $name is fine, $bytes bytes (profile $profile)"
done
