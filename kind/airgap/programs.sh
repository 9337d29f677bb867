#!/usr/bin/env bash
# programs.sh: builds the programs of a kind cluster from Go modules, each once, into the cache's bin folder.
# The modules come from wherever this user's Go gets them (GOPROXY).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./versions.sh

command -v go >/dev/null || { echo "kind: needs Go 1.26 or newer to build Kubernetes from its modules" >&2; exit 1; }
mkdir -p "$BIN"

# build NAME PACKAGE VERSION [FLAG …]: as bin/NAME, kept until the version changes.
build() {
  local name=$1 package=$2 version=$3
  shift 3
  local stamp=$BIN/.$name-$version
  [ -x "$BIN/$name" ] && [ -e "$stamp" ] && return
  echo "kind: building $name $version"
  local work
  work=$(mktemp -d)
  (
    cd "$work"
    go mod init build >/dev/null 2>&1
    go get -tool "$package@$version" >log 2>&1 && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' "$@" -o "$BIN/$name" "$package" >>log 2>&1 || {
      echo "kind: $name could not be built:" >&2
      tail -n 5 log >&2
      exit 1
    }
  )
  rm -rf "$work" "$BIN/.$name-"*
  touch "$stamp"
}

build kind sigs.k8s.io/kind "$KIND_VERSION"
build helm helm.sh/helm/v3/cmd/helm "$HELM_VERSION"
for name in containerd containerd-shim-runc-v2 ctr; do
  build "$name" "github.com/containerd/containerd/v2/cmd/$name" "$CONTAINERD_VERSION" -tags no_btrfs,no_devmapper,no_zfs
done
build coredns github.com/coredns/coredns "$COREDNS_VERSION"
build crictl sigs.k8s.io/cri-tools/cmd/crictl "$CRICTL_VERSION"
build metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server "$METRICS_SERVER_VERSION"

if [ ! -x "$BIN/pause" ]; then
  echo "kind: building pause"
  command -v cc >/dev/null || { echo "kind: needs a C compiler (Debian: gcc libc6-dev)" >&2; exit 1; }
  cc -O2 -static -s -o "$BIN/pause" pause.c
fi
