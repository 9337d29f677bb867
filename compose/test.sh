#!/usr/bin/env bash
# docker-compose.yml and what it mounts: valid, healthy by commands that are there, without secrets, and with settings that
# the services know. GOCHAT_BIN names the binary (default: target/debug/gochat, built here).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
skip() {
  local line="SKIPPED compose: $1 is not installed (run e2e/engines/install.sh surroundings)"
  echo "$line"
  [ -z "${GOCHAT_SKIP_LOG:-}" ] || echo "$line" >>"$GOCHAT_SKIP_LOG"
}
if [ -z "${GOCHAT_BIN:-}" ]; then
  cargo build -q --bin gochat
  GOCHAT_BIN=${CARGO_TARGET_DIR:-target}/debug/gochat
fi

compose/secrets.sh "$made" >/dev/null
before=$(cat "$made"/* | sha256sum)
compose/secrets.sh "$made" >/dev/null
[ "$before" = "$(cat "$made"/* | sha256sum)" ] || { echo "compose: secrets.sh made them anew" >&2; exit 1; }

python3 - "$GOCHAT_BIN" "$made" <<'PY'
import os, subprocess, sys, yaml

gochat, secrets = sys.argv[1:]
file = yaml.safe_load(open("docker-compose.yml", encoding="utf-8"))
services = file["services"]
for name, service in services.items():
    image = service["image"]
    assert ":" in image and not image.endswith(":latest"), f"{name}: {image} has no tag"
    health = service.get("healthcheck")
    assert health and (name == "migrate" or health["test"][0] == "CMD"), f"{name} has no health check"
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        assert not source.startswith("./") or os.path.exists(source), f"{name}: {source} is not there"
    for needed, how in service.get("depends_on", {}).items():
        ends = services[needed].get("restart") == "no"
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy"), (name, needed)
    for key, value in (service.get("environment") or {}).items():
        assert "PASSWORD" not in key or key.endswith("_FILE"), f"{name}: {key} is a secret in the file"
for name in ("kafka", "mysql", "redis"):
    manifest = open(f"kind/stores/{name}.yaml", encoding="utf-8").read()
    assert f"image: {services[name]['image']}\n" in manifest, f"kind/stores/{name}.yaml runs another version"
for name, secret in file["secrets"].items():
    path = os.path.join(secrets, os.path.basename(secret["file"]))
    assert os.path.getsize(path) > 0, f"secrets.sh makes no {name}"
for name in ("gateway", "logic", "repo", "task", "migrate"):
    # As the container runs it, with the files where they are here.
    command = [c.replace("/etc/gochat/gochat.yaml", "compose/gochat.yaml").replace("/run/secrets", secrets) for c in services[name]["command"]]
    ran = subprocess.run([gochat, *command, "--print-config"], capture_output=True, text=True)
    assert ran.returncode == 0, f"{name}: {ran.stderr}"
    asked = [c for c in command if "=" in c]
    printed = yaml.safe_load(ran.stdout)
    assert printed["mq"]["bootstrap"] == "kafka:9092", name
    for setting in asked:
        key, value = setting.split("=", 1)
        found = printed
        for part in key.split("."):
            found = found[part]
        assert found == value, (name, setting, found)
# Without `probe` no container would ever be healthy.
help = subprocess.run([gochat, "probe", "--help"], capture_output=True, text=True)
assert help.returncode == 0, help.stderr
print(f"compose: {len(services)} services, {len(file['secrets'])} secrets are fine")
PY

if command -v docker-compose >/dev/null; then
  docker-compose --file docker-compose.yml config --quiet
else
  skip docker-compose
fi
if command -v promtool >/dev/null; then
  promtool check config --syntax-only compose/prometheus.yaml >/dev/null
  promtool check rules observability/alerts.yaml >/dev/null
else
  skip promtool
fi
