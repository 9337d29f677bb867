#!/usr/bin/env bash
# Copies what the charts carry from where it is written: a chart can't reach beyond its own folder. `make generate` calls it.
#   copy.sh          copies
#   copy.sh check    compares
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
copy() {
  if [ "${mode:-}" = check ]; then
    cmp -s "$1" "$2" || { echo "charts: $2 is not $1: run \`make generate\` and commit it" >&2; status=1; }
  else
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2"
  fi
}
mode=${1:-}
for file in crds/yaml/*.yaml; do copy "$file" "charts/gochat-crds/files/$(basename "$file")"; done
copy observability/alerts.yaml charts/gochat-operator/files/alerts.yaml
for file in observability/dashboards/*.json; do copy "$file" "charts/gochat-operator/files/dashboards/$(basename "$file")"; done
copy operator/deploy/rbac.yaml charts/gochat-operator/files/rbac.yaml
exit $status
