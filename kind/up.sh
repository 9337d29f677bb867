#!/usr/bin/env bash
# kind/up.sh: a kind cluster of two nodes with GoChat on it: images, metrics-server, Kafka, MySQL,
# Redis, the operator, the sample cluster.
# Run as `make kind-up`. Idempotent: what is there stays. `make kind-down` removes it.
#
#   KIND_AIRGAP=1     as where no registry answers, though a Docker engine runs: the node image is built from packages
#   KIND_PROFILE=dev  images of the dev profile: built faster, and slower to run
#   KIND_STORES=…     pods: Kafka, MySQL and Redis in the cluster (kind/stores/); beside: from this machine's packages
#   KIND_CLUSTER=1    stop after the cluster stands: no images, stores, operator
set -euo pipefail
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
cd "$HERE/.."
. kind/environment.sh
NAMESPACE=${KIND_CHAT_NAMESPACE:-chat}

# In the cluster where their images can be pulled.
kind_stores() {
  if [ -n "${KIND_STORES:-}" ]; then
    echo "$KIND_STORES"
  elif [ "$AIRGAPPED" = 0 ] && timeout 60 docker pull -q redis:7.4-alpine >/dev/null 2>&1; then
    echo pods
  else
    echo beside
  fi
}
step() { printf '\nkind: %s\n' "$*"; }

step "programs: kind, kubectl, helm"
e2e/engines/install.sh kubernetes
kind/airgap/programs.sh
if [ "$PRIVATE_ENGINE" = 1 ]; then
  step "a Docker engine of its own, in a network namespace without a way out"
  kind/airgap/engine.sh up
fi

step "the cluster"
# After the machine or the engine was stopped its nodes may be there without being up.
if in_cluster kind get clusters 2>/dev/null | grep -qx gochat && ! in_cluster kubectl get --raw /readyz >/dev/null 2>&1; then
  echo "kind: the one that was there does not answer; making it anew"
  in_cluster kind delete cluster --name gochat
fi
if ! in_cluster kind get clusters 2>/dev/null | grep -qx gochat; then
  if [ "$AIRGAPPED" = 1 ]; then
    kind/airgap/node-image.sh
    # Every node names its image: else the engine asks a registry, and hangs.
    sed "s#^  - role: .*#&\n    image: $NODE_IMAGE#" kind/cluster.yaml >"$AIRGAP/cluster.yaml"
  else
    cp kind/cluster.yaml "$AIRGAP/cluster.yaml"
  fi
  in_cluster kind create cluster --config "$AIRGAP/cluster.yaml" --wait 180s
  # Two nodes are few: both take pods, so that one can fail.
  in_cluster kubectl taint nodes --all node-role.kubernetes.io/control-plane- >/dev/null 2>&1 || true
else
  echo "kind: is there"
fi
[ -z "${KIND_CLUSTER:-}" ] || exit 0

step "images"
images/build.sh --profile "${KIND_PROFILE:-release}"
for name in gochat gochat-operator; do
  in_cluster kind load image-archive "dist/images/$name.tar" --name gochat
done

step "metrics-server"
kind/metrics-server.sh

step "Kafka, MySQL and Redis"
if [ "$(kind_stores)" = pods ]; then
  in_cluster kind/stores/up.sh "$AIRGAP/stores/addresses"
else
  e2e/engines/install.sh engines
  in_cluster kind/stores.sh up
fi
# shellcheck disable=SC1091
. "$AIRGAP/stores/addresses"

step "the operator"
# Definitions that were applied by hand before become the chart's.
in_cluster helm upgrade --install gochat-crds charts/gochat-crds --namespace gochat-system --create-namespace --take-ownership --wait
in_cluster helm upgrade --install gochat charts/gochat-operator --namespace gochat-system --wait --timeout 120s

step "the chat system"
in_cluster kubectl create namespace "$NAMESPACE" --dry-run=client -o yaml | in_cluster kubectl apply -f - >/dev/null
in_cluster kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted --overwrite >/dev/null
for secret in "mysql $MYSQL" "redis $REDIS"; do
  # From a pipe: an argument would show it to everyone on this machine.
  printf %s "${secret#* }" | in_cluster kubectl create secret generic "chat-${secret%% *}" --namespace "$NAMESPACE" \
    --from-file=url=/dev/stdin --dry-run=client -o yaml | in_cluster kubectl apply -f - >/dev/null
done
sed "s#@KAFKA@#$KAFKA#" kind/chat.yaml | in_cluster kubectl apply --namespace "$NAMESPACE" -f -
started=$(date +%s)
in_cluster kubectl wait --namespace "$NAMESPACE" --for=condition=Ready gochatcluster/chat --timeout=300s
echo "kind: Ready in $(($(date +%s) - started)) s"
in_cluster kubectl get --namespace "$NAMESPACE" gochatclusters

step "the chat page: http://127.0.0.1:30080/"
if [ "$PRIVATE_ENGINE" = 1 ]; then
  echo "kind: its addresses are in a network namespace: kind/airgap/engine.sh run kubectl get pods -A, … run curl http://127.0.0.1:30080/"
fi
