#!/usr/bin/env bash
# Every test there is: installs what they need, runs them all, then says what was skipped and why.
# Exits with 1 where a test failed. Skips fail only in CI (.ci/run), which sets GOCHAT_SKIP_LOG and looks at it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

e2e/engines/install.sh
export GOCHAT_SKIP_LOG=${GOCHAT_SKIP_LOG:-$(mktemp)}
: >"$GOCHAT_SKIP_LOG"
failed=()

# One build for all: the tests across processes use this binary instead of building their own.
cargo test --workspace --no-run
export GOCHAT_BIN=${CARGO_TARGET_DIR:-$PWD/target}/debug/gochat

cargo test --workspace --no-fail-fast || failed+=("cargo test")
scripts/schemas.py || failed+=("schemas")
gitops/test.sh || failed+=("gitops")
compose/test.sh || failed+=("compose")
e2e/browser/run.sh || failed+=("e2e/browser")
scripts/e2e.sh || failed+=("e2e/kubernetes")
# After the cluster, for which helm and the programs of the images were built.
charts/test.sh || failed+=("charts")
images/test.sh || failed+=("images")
# A cluster takes a gigabyte, and these tests have no use for it any more.
[ -n "${E2E_KUBECONFIG:-}" ] || kind/down.sh || failed+=("kind/down.sh")

echo
if [ -s "$GOCHAT_SKIP_LOG" ]; then
  sort -u "$GOCHAT_SKIP_LOG"
fi
echo "skipped: $(sort -u "$GOCHAT_SKIP_LOG" | wc -l)"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
