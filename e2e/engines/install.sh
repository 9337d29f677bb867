#!/usr/bin/env bash
# Installs what GoChat needs on Debian, by group:
#   build       compilers and headers beside the Rust toolchain
#   engines     Kafka (Maven), MariaDB, Redis, etcd (Debian), and ready-made data folders in the cache
#   kubernetes  the API server and its controllers: from KUBEBUILDER_ASSETS or the PATH, else built once from Go modules
#   browser     Chromium and Node for the browser test
#   cluster     HAProxy, a Docker engine and what a node image is made of, for kind
#   surroundings  Prometheus, Lua and docker-compose, which check dashboards, alerts, GitOps and docker-compose.yml
# Usage: install.sh [build] [engines] [kubernetes] [browser] [surroundings]    (default: all)
#
# Idempotent and quick when all is there. Starts no service: the tests run the engines as private processes.
# The cache is ${GOCHAT_CACHE:-$HOME/.cache/gochat}.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GOCHAT_CACHE:-$HOME/.cache/gochat}
kafka=$cache/kafka-4.4.0
kubernetes_version=1.37.2
kubernetes=$cache/kubernetes-$kubernetes_version
groups=${*:-build engines kubernetes browser surroundings cluster}
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'install: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }
wants() { [[ " $groups " == *" $1 "* ]]; }
has() { command -v "$1" >/dev/null; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
# need PACKAGE TEST...: adds the package where the test fails.
need() { local package=$1; shift; "$@" >/dev/null 2>&1 || missing+=("$package"); }

if wants build; then
  has cargo || die "no Rust toolchain: install one with rustup (https://rustup.rs), 1.95 or newer"
  need build-essential has c++
  need pkg-config has pkg-config
  need libssl-dev test -e /usr/include/openssl/ssl.h
  need zlib1g-dev test -e /usr/include/zlib.h
  need protobuf-compiler has protoc
  need libprotobuf-dev test -e /usr/include/google/protobuf/timestamp.proto
fi
if wants engines; then
  need mariadb-server has mariadbd
  need redis-server has redis-server
  need etcd-server has etcd
  need default-jre-headless has java
  need maven has mvn
fi
if wants browser; then
  need chromium has chromium
  need nodejs has node
  need npm has npm
fi
if wants cluster; then
  need haproxy has haproxy
fi
# A Docker engine of the user's own is used as it is.
if wants cluster && ! docker version >/dev/null 2>&1; then
  need docker.io has dockerd
  need iproute2 has ip
  need mmdebstrap has mmdebstrap
  need jq has jq
  need busybox-static has busybox
fi
if wants surroundings; then
  need prometheus has promtool
  need lua5.4 has lua5.4
  need docker-compose has docker-compose
  need python3-yaml python3 -c 'import yaml'
  need python3-jsonschema python3 -c 'import jsonschema'
fi

# Debian's packages start their service when installed; this keeps them from it, for the time of the call.
apt_install() {
  has apt-get || die "missing: $* (no apt-get here: install them by hand)"
  say "apt-get install $*"
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then
    made=$policy
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod +x $policy
  fi
  local status=0
  { as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; } || status=$?
  [ -z "$made" ] || as_root rm -f "$made"
  return $status
}
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"

# A broker in the folder $1 on free ports: writes its settings.
settings() {
  local port controller
  port=$(free_port) controller=$(free_port)
  sed -e "s|@PORT@|$port|; s|@CONTROLLER@|$controller|g; s|@PORT@|$port|g; s|@DIR@|$1|" \
    "$here/kafka/server.properties" >"$1/server.properties"
}
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}
class() { java "${@:2}" -cp "$kafka/lib/*" "-Dlog4j2.configurationFile=$kafka/log4j2.yaml" $1; }

install_kafka() {
  local stamp
  stamp=$(java -version 2>&1; cat "$here"/kafka/*)
  [ "$(cat "$kafka/stamp" 2>/dev/null)" != "$stamp" ] || return 0
  rm -rf "$kafka"
  mkdir -p "$kafka/lib" "$kafka/first"
  cp "$here/kafka/log4j2.yaml" "$kafka/"
  say "Kafka 4.4.0: fetching jars with Maven"
  mvn -B -q -ntp -f "$here/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$kafka/lib" >"$kafka/first/log" 2>&1 || { cat "$kafka/first/log" >&2; die "Maven failed"; }
  say "Kafka 4.4.0: formatting a folder, archiving classes (halves every start)"
  settings "$kafka/first"
  local id
  id=$(head -c16 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-22)
  class "kafka.tools.StorageTool format -t $id -c $kafka/first/server.properties" >"$kafka/first/log" 2>&1 ||
    { cat "$kafka/first/log" >&2; die "Kafka's StorageTool failed"; }
  cp -r "$kafka/first/data" "$kafka/template"
  # The archive is written when this first run ends: as soon as it answers, it may.
  java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-XX:ArchiveClassesAtExit=$kafka/kafka.jsa" -cp "$kafka/lib/*" \
    "-Dlog4j2.configurationFile=$kafka/log4j2.yaml" kafka.Kafka "$kafka/first/server.properties" >"$kafka/first/log" 2>&1 &
  local broker=$! port tries=0
  port=$(sed -n 's/^advertised.listeners=.*:\([0-9]*\)$/\1/p' "$kafka/first/server.properties")
  until class "org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:$port --list" >/dev/null 2>&1; do
    kill -0 $broker 2>/dev/null && [ $((tries += 1)) -lt 20 ] || { cat "$kafka/first/log" >&2; die "Kafka does not start"; }
  done
  kill -TERM $broker
  wait $broker || true
  rm -rf "$kafka/first"
  printf '%s\n' "$stamp" >"$kafka/stamp"
}

install_mariadb() {
  local version folder=$cache/mariadb
  version=$(mariadbd --version)
  [ "$(cat "$folder/stamp" 2>/dev/null)" != "$version" ] || return 0
  say "MariaDB: making a data folder"
  rm -rf "$folder"
  mkdir -p "$folder"
  mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$folder/template" --auth-root-authentication-method=normal \
    --skip-test-db --innodb-log-file-size=32M >"$folder/log" 2>&1 || { cat "$folder/log" >&2; die "mariadb-install-db failed"; }
  printf '%s\n' "$version" >"$folder/stamp"
}

# True where all that the tests start is in the folder $1, or else on the PATH.
has_kubernetes() {
  local program
  for program in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl; do
    if [ -n "${1:-}" ]; then [ -x "$1/$program" ]; else has $program; fi || return 1
  done
}

install_kubernetes() {
  local stamp build program waited=0
  ! has_kubernetes || return 0
  [ -z "${KUBEBUILDER_ASSETS:-}" ] || ! has_kubernetes "$KUBEBUILDER_ASSETS" || return 0
  stamp=$(cat "$here"/kubernetes/* | sha256sum)
  [ "$(cat "$kubernetes/stamp" 2>/dev/null)" != "$stamp" ] || return 0
  # An older Go fetches the one that go.mod asks for, or says why it may not.
  if ! { has go && go -C "$here/kubernetes" version >/dev/null; }; then
    lacking="Kubernetes, so its tests are skipped: install Go 1.26 or newer (https://go.dev/dl), which builds it"
    return 0
  fi
  mkdir -p "$kubernetes"
  say "building Kubernetes $kubernetes_version from Go modules, about 7 minutes and 3 GB of Go's caches once"
  # Beside the one that is there: tests may be running.
  "$here/kubernetes/build.sh" "$kubernetes/kube.new" >"$kubernetes/log" 2>&1 &
  build=$!
  while kill -0 $build 2>/dev/null; do
    sleep 1
    [ $(((waited += 1) % 60)) -ne 0 ] || say "building Kubernetes: $((waited / 60)) min"
  done
  wait $build || { tail -n 30 "$kubernetes/log" >&2; die "Kubernetes does not build"; }
  mv "$kubernetes/kube.new" "$kubernetes/kube"
  for program in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl; do
    ln -sf kube "$kubernetes/$program"
  done
  printf '%s\n' "$stamp" >"$kubernetes/stamp"
}

lacking=
if wants engines || wants kubernetes; then
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
fi
if wants engines; then
  install_kafka 9>&-
  install_mariadb 9>&-
fi
if wants kubernetes; then
  install_kubernetes 9>&-
fi
if [ -n "$lacking" ]; then say "missing: $lacking"; else say "all there: $groups"; fi
