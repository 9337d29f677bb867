#!/usr/bin/env bash
# The charts: lint, what their values may be, and what they render to (charts/golden, charts/install.yaml).
#   UPDATE=1 charts/test.sh   writes what is rendered now
# That an API server takes what is rendered is tested by e2e/tests/charts.rs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
PATH=$PATH:${GOCHAT_CACHE:-$HOME/.cache/gochat}/kind/bin

./copy.sh check
if ! command -v helm >/dev/null; then
  line="SKIPPED charts: helm is not installed (https://helm.sh/docs/intro/install, or kind/airgap/programs.sh, which builds it)"
  echo "$line"
  [ -z "${GOCHAT_SKIP_LOG:-}" ] || echo "$line" >>"$GOCHAT_SKIP_LOG"
  exit 0
fi
failed=0
fail() { echo "charts: $*" >&2; failed=1; }
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# The oldest Kubernetes that the charts allow.
oldest=(--kube-version 1.34.0)
render() { helm template "$1" "$2" --namespace gochat-system "${oldest[@]}" "${@:3}"; }

helm lint --strict --quiet "${oldest[@]}" gochat-crds gochat-operator || fail "lint"
if ./check.py "$made/examples"; then
  ../scripts/schemas.py "$made/examples" >/dev/null || fail "Artifact Hub's examples"
else
  failed=1
fi
rm -f "$made/examples"

# Each file of values gives one golden file.
for values in values/*.yaml; do
  render gochat gochat-operator --values "$values" >"$made/$(basename "$values")"
done
{
  cat <<'HEAD'
# GoChat's operator without Helm: kubectl apply --server-side -f install.yaml
# Made from the charts by `UPDATE=1 charts/test.sh`.
apiVersion: v1
kind: Namespace
metadata:
  name: gochat-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
HEAD
  render gochat-crds gochat-crds
  render gochat gochat-operator
} >"$made/install.yaml"

for file in "$made"/*.yaml; do
  kept=golden/$(basename "$file")
  [ "$(basename "$file")" = install.yaml ] && kept=install.yaml
  if [ -n "${UPDATE:-}" ]; then
    cp "$file" "$kept"
  else
    diff -u "$kept" "$file" || fail "$kept is not what is rendered: look at the difference, then UPDATE=1 charts/test.sh"
  fi
done

# refused CHART WORD FLAG…: the schema names the value that can't be.
refused() {
  local chart=$1 word=$2 said
  shift 2
  if said=$(render gochat "$chart" "$@" 2>&1); then
    fail "$chart takes $*"
  elif ! grep -q -- "$word" <<<"$said"; then
    fail "$chart refuses $* without naming $word: $said"
  fi
}
refused gochat-operator replica --set replica=3
refused gochat-operator pullpolicy --set image.pullpolicy=Always
refused gochat-operator replicas --set replicas=0
refused gochat-operator namespaces --set 'namespaces={Not A Name}'
refused gochat-operator podMonitor --set podMonitor.enable=true
refused gochat-crds retain --set retain=true

# Too old a Kubernetes is refused; for the newest one the same is rendered.
! helm template gochat gochat-operator --kube-version 1.33.9 >/dev/null 2>&1 || fail "Kubernetes 1.33 is taken"
helm template gochat gochat-operator --namespace gochat-system --kube-version 1.37.2 --values values/everything.yaml |
  cmp -s - "$made/everything.yaml" || fail "other objects are rendered for Kubernetes 1.37"

# What an installation says: which namespaces, and a chat system that the definitions take.
# `helm install` renders NOTES.txt only before a cluster, so here it is a template like the others.
cp -r gochat-operator "$made/chart"
{ echo 'notes: |'; sed 's/^/  /' gochat-operator/templates/NOTES.txt; } >"$made/chart/templates/notes.yaml"
notes() { render gochat "$made/chart" --show-only templates/notes.yaml "$@" | sed 's/^  //'; }
grep -q 'watches all namespaces' <<<"$(notes)" || fail "NOTES don't say that all namespaces are watched"
grep -q 'watches chat-a, chat-b' <<<"$(notes --values values/namespaces.yaml)" || fail "NOTES don't name the namespaces"
notes | sed -n '/<<YAML$/,/^  YAML$/p' | sed '1d;$d' >"$made/notes"
../scripts/schemas.py "$made/notes" >/dev/null || fail "the chat system in NOTES"

# A newer definition reaches the cluster, and an uninstall leaves it.
[ "$(grep -c 'helm.sh/resource-policy: keep' "$made/install.yaml")" = 4 ] || fail "not every definition is kept"
! render gochat-crds gochat-crds --set keep=false | grep -q resource-policy || fail "keep=false keeps"

[ $failed = 0 ] && echo "charts: lint, values and renders are fine"
exit $failed
