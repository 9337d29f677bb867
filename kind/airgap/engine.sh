#!/usr/bin/env bash
# engine.sh up │ run CMD … │ down │ wipe: a Docker engine of its own, in a network namespace without a way out.
#
#   up     starts it (Debian: docker.io, iproute2; as root); does nothing where it runs
#   run    runs a command where the cluster's addresses are: kind, kubectl, docker, curl
#   down   stops it, clusters and all; their data stay
#   wipe   stops it and removes all but the cache
set -euo pipefail
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
. "$HERE/versions.sh"

NAMESPACE=${KIND_NAMESPACE:-gochat-kind}
STATE=$AIRGAP/engine
export DOCKER_HOST=unix://$STATE/docker.sock KUBECONFIG=${KUBECONFIG:-$AIRGAP/kubeconfig} PATH=$BIN:$PATH
# What a node sets for the whole machine: kept, and put back by `down`.
SYSCTLS="fs.file-max kernel.panic kernel.panic_on_oops vm.overcommit_memory"

inside() { nsenter --net="/run/netns/$NAMESPACE" "$@"; }
alive() { [ -e "$STATE/pid" ] && kill -0 "$(cat "$STATE/pid")" 2>/dev/null; }

network() {
  [ -e "/run/netns/$NAMESPACE" ] && return
  ip netns add "$NAMESPACE"
  # A default route, since Kubernetes looks for one: to a bridge without ports. 10/8 is refused at once, so that
  # nothing waits for a registry or a name server that can't be reached.
  inside sh -ec 'ip link set lo up
    sysctl -q -w net.ipv4.ip_forward=1 net.core.somaxconn=4096
    ip link add up0 type bridge
    ip addr add 198.18.99.1/24 dev up0
    ip link set up0 up
    ip route add default dev up0
    ip route add unreachable 10.0.0.0/8'
}

up() {
  for tool in dockerd ip nsenter; do
    command -v $tool >/dev/null || { echo "kind: $tool is missing (Debian: apt-get install docker.io iproute2 util-linux)" >&2; exit 1; }
  done
  [ "$(id -u)" = 0 ] || { echo "kind: a Docker engine of its own needs root; or start one (systemctl start docker) and run this again" >&2; exit 1; }
  alive && return
  mkdir -p "$STATE"
  network
  # shellcheck disable=SC2086
  [ -e "$STATE/sysctl" ] || sysctl $SYSCTLS >"$STATE/sysctl"
  rm -f "$STATE/pid"
  inside setsid dockerd -H "$DOCKER_HOST" --data-root "$STATE/root" --exec-root "$STATE/exec" -p "$STATE/pid" \
    --add-runtime "capped=$HERE/runc-wrap" --default-runtime "$(runtime)" \
    --bip 198.18.96.1/24 --default-address-pool base=198.18.112.0/20,size=24 >"$STATE/log" 2>&1 </dev/null &
  for _ in $(seq 100); do
    docker version >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "kind: the Docker engine did not start:" >&2
  tail -n 5 "$STATE/log" >&2
  exit 1
}

# A root without CAP_SYS_RESOURCE can't give it to a container either: runc-wrap takes it out.
runtime() {
  local effective
  effective=$(awk '/^CapEff/ { print $2 }' /proc/self/status)
  if (( (0x$effective >> 24) & 1 )); then echo runc; else echo capped; fi
}

down() {
  alive || return 0
  kill "$(cat "$STATE/pid")"
  for _ in $(seq 300); do
    alive || break
    sleep 0.1
  done
  if [ -e "$STATE/sysctl" ]; then
    sysctl -q -p "$STATE/sysctl" || true
    rm -f "$STATE/sysctl"
  fi
}

wipe() {
  down
  ip netns del "$NAMESPACE" 2>/dev/null || true
  rm -rf "$STATE"
  for folder in /sys/fs/cgroup/*/docker; do
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

case ${1:-} in
up | down | wipe) "$1" ;;
run) shift; exec nsenter --net="/run/netns/$NAMESPACE" "$@" ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
