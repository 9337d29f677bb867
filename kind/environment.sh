# How to reach the cluster from here. Sourced, with the repository's root as the current folder.
#   in_cluster COMMAND …   runs kind, kubectl, docker, helm, curl where the cluster's addresses are
. kind/airgap/versions.sh
mkdir -p "$BIN"
export PATH=$BIN:$(dirname "$KUBE"):$PATH KUBECONFIG=$AIRGAP/kubeconfig

# The user's own Docker engine where one runs, else one of our own; which has no way to a registry.
PRIVATE_ENGINE=0
AIRGAPPED=${KIND_AIRGAP:-0}
if [ -e "$AIRGAP/engine/pid" ] || ! docker version >/dev/null 2>&1; then
  PRIVATE_ENGINE=1
  AIRGAPPED=1
  export DOCKER_HOST=unix://$AIRGAP/engine/docker.sock
fi

in_cluster() {
  if [ "$PRIVATE_ENGINE" = 1 ]; then
    nsenter --net="/run/netns/${KIND_NAMESPACE:-gochat-kind}" "$@"
  else
    "$@"
  fi
}
