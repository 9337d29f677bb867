#!/usr/bin/env bash
# The tests on a real cluster: brings one up with kind (kind/up.sh), or takes the one that E2E_KUBECONFIG names, and runs
# e2e/kubernetes where its addresses are reachable. The cluster stays; `make e2e-down` removes it.
#
#   E2E_KUBECONFIG=FILE   another cluster, with the operator installed; then also E2E_KAFKA (host:port), E2E_MYSQL and
#                         E2E_REDIS (addresses as in the secrets of a GoChatCluster)
#   scripts/e2e.sh [NAME …]   only the tests with that in their name, as nodes:: or drained
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${E2E_KUBECONFIG:-}" ] && ! docker version >/dev/null 2>&1; then
  if [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null || ! command -v go >/dev/null; then
    line="SKIPPED e2e/kubernetes: no Docker engine, and to start one of its own needs root, Debian's docker.io and Go"
    echo "$line"
    [ -z "${GOCHAT_SKIP_LOG:-}" ] || echo "$line" >>"$GOCHAT_SKIP_LOG"
    exit 0
  fi
fi

# With the same features as the images, so that both are one build.
cargo build --locked --bin gochat --bin gochat-operator
cargo test --locked -p gochat-e2e-kubernetes --no-run
e2e/browser/run.sh install
export GOCHAT_BIN=${CARGO_TARGET_DIR:-$PWD/target}/debug/gochat

if [ -n "${E2E_KUBECONFIG:-}" ]; then
  export KUBECONFIG=$E2E_KUBECONFIG
  in_cluster() { "$@"; }
else
  # Images of the dev profile: what is tested is the same code, built in a fraction of the time.
  # Stores beside the cluster: the tests call them too, and they outlive a node that a test powers off.
  KIND_PROFILE=${KIND_PROFILE:-dev} KIND_STORES=beside kind/up.sh
  # shellcheck disable=SC1091
  . kind/environment.sh
  # shellcheck disable=SC1091
  . "$AIRGAP/stores/addresses"
  export E2E_KAFKA=$KAFKA E2E_MYSQL=$MYSQL E2E_REDIS=$REDIS
fi
# Two at a time: most of what they do is to wait. Those that power a node off, say, wait until they are alone.
in_cluster cargo test --locked --offline -p gochat-e2e-kubernetes --test suite -- --test-threads=2 --nocapture "$@"
