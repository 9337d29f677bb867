#!/usr/bin/env bash
# Argo CD's health script on objects in all states, in a real Lua; and the examples as YAML that says what it should.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

python3 - <<'PY'
import glob, yaml
kinds = set()
for path in glob.glob("**/*.yaml", recursive=True):
    for object in yaml.safe_load_all(open(path, encoding="utf-8")):
        assert object["apiVersion"] and object["kind"], path
        kinds.add(object["kind"])
missing = {"Application", "HelmRelease", "GitRepository", "GoChatCluster", "Kustomization"} - kinds
assert not missing, f"gitops: no example of {missing}"
# What is copied into Argo CD's ConfigMap is the script that was tested.
[config] = yaml.safe_load_all(open("argocd/argocd-cm.yaml", encoding="utf-8"))
script = open("argocd/health.lua", encoding="utf-8").read()
scripts = {key: text for key, text in config["data"].items() if ".health." in key}
assert len(scripts) == 2, scripts.keys()
for key, text in scripts.items():
    assert text == script, f"gitops: argocd/argocd-cm.yaml: {key} is not health.lua"
PY
if ! command -v lua5.4 >/dev/null; then
  line="SKIPPED gitops: lua5.4 is not installed (run e2e/engines/install.sh surroundings)"
  echo "$line"
  [ -z "${GOCHAT_SKIP_LOG:-}" ] || echo "$line" >>"$GOCHAT_SKIP_LOG"
  exit 0
fi
cd argocd
lua5.4 health_test.lua
