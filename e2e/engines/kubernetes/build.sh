#!/usr/bin/env bash
# Builds Kubernetes' programs as the one static binary that main.go describes: build.sh OUT
# Where modules come from is the user's own Go settings (go env). Needs 3 GB of disk for Go's caches, and minutes the first time.
set -euo pipefail

out=$(realpath "${1:?OUT}")
cd "$(dirname "${BASH_SOURCE[0]}")"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"

# Unstamped, the API server calls itself v0.0.0, and clients take it for one that can do nothing.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
  flags+=" -X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z"
done
CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$out" .
