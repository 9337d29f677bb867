#!/usr/bin/env bash
# kind/down.sh: removes the cluster, what runs beside it, and the Docker engine of its own where there is one. The built
# programs and the node image stay in the cache. Run as `make kind-down`.
set -euo pipefail
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
cd "$HERE/.."
. kind/environment.sh

kind/stores.sh wipe
if [ "$PRIVATE_ENGINE" = 0 ] || docker version >/dev/null 2>&1; then
  in_cluster kind delete cluster --name gochat
fi
[ "$PRIVATE_ENGINE" = 0 ] || kind/airgap/engine.sh down
echo "kind: gone; the node image and the programs are kept in $AIRGAP"
