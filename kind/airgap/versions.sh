# What a cluster without a registry is made of, and where it is kept. Sourced.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/gochat
AIRGAP=$CACHE/kind
BIN=$AIRGAP/bin
KUBERNETES_VERSION=1.37.2
# All of Kubernetes in one program; the tests' API server is the same one.
KUBE=$CACHE/kubernetes-$KUBERNETES_VERSION/kube
KIND_VERSION=v0.33.0
HELM_VERSION=v3.22.0
CONTAINERD_VERSION=v2.4.2
COREDNS_VERSION=v1.14.6
CRICTL_VERSION=v1.37.0
METRICS_SERVER_VERSION=v0.9.0
NODE_IMAGE=kindest/node:v$KUBERNETES_VERSION-airgap
