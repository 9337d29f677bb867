#!/usr/bin/env bash
# Two people chat in Chromium against `gochat dev`. Pictures go to e2e/artifacts/browser/.
#
#   GOCHAT_BIN      the binary (default: target/debug/gochat, built here)
#   GOCHAT_URL, GOCHAT_NAMESPACE   the page of a cluster instead, and the namespace of its GoChatCluster `chat`; pictures
#                   go to e2e/artifacts/browser-kubernetes/
#   run.sh install  only what needs a package registry: where the cluster is reached there may be none
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)

for program in chromium node npm; do
  if ! command -v $program >/dev/null; then
    line="SKIPPED browser: $program is not installed (run e2e/engines/install.sh browser)"
    echo "$line"
    [ -z "${GOCHAT_SKIP_LOG:-}" ] || echo "$line" >>"$GOCHAT_SKIP_LOG"
    exit 0
  fi
done
if [ -z "${GOCHAT_BIN:-}${GOCHAT_URL:-}" ] && [ "${1:-}" != install ]; then
  (cd "$root" && cargo build -q --bin gochat)
  export GOCHAT_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/gochat
fi
# A copy of the lock file says that what it names is installed.
if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed-lock.json
fi
[ "${1:-}" = install ] || exec npm test --silent
