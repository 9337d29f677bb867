#!/usr/bin/env bash
# stores.sh up │ down │ wipe: Kafka, MariaDB and Redis beside the cluster, from the packages that the tests use, on the
# address under which pods reach this machine. The way to have them where no registry answers; pods reach them as they
# would reach managed ones: by address and secret.
#
#   up     starts what doesn't run, and prints the addresses
#   down   stops them; their data stay
#   wipe   stops them and removes their data
set -euo pipefail
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
. "$HERE/airgap/versions.sh"
DATA=$AIRGAP/stores
KAFKA=$CACHE/kafka-4.4.0
PATH=$PATH:/usr/sbin

# kind's network, as seen from this machine: the gateway of the bridge.
address() { docker network inspect kind -f '{{range .IPAM.Config}}{{.Gateway}} {{end}}' | tr ' ' '\n' | grep -m1 '\.'; }

start() { # start NAME COMMAND …
  local name=$1
  shift
  alive "$name" && return
  setsid "$@" >"$DATA/$name.log" 2>&1 </dev/null &
  echo $! >"$DATA/$name.pid"
}

alive() { [ -e "$DATA/$1.pid" ] && kill -0 "$(cat "$DATA/$1.pid")" 2>/dev/null; }

reachable() { # reachable NAME PORT
  for _ in $(seq 300); do
    (exec 3<>"/dev/tcp/$HOST/$2") 2>/dev/null && return
    alive "$1" || break
    sleep 0.1
  done
  echo "kind: $1 does not answer:" >&2
  tail -n 5 "$DATA/$1.log" >&2
  exit 1
}

password() { # password NAME: made once
  [ -s "$DATA/$1.password" ] || (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'ab' >"$DATA/$1.password")
  cat "$DATA/$1.password"
}

up() {
  mkdir -p "$DATA"
  chmod 700 "$DATA"
  HOST=$(address)
  if [ ! -d "$DATA/kafka" ]; then
    cp -r "$KAFKA/template" "$DATA/kafka"
    rm -rf "$DATA/mariadb"
    cp -r "$CACHE/mariadb/template" "$DATA/mariadb"
    mkdir -p "$DATA/redis"
  fi
  sed -e "s#@DIR@/data#$DATA/kafka#; s#@DIR@#$DATA#; s#127.0.0.1:@PORT@#$HOST:9092#g; s#@PORT@#9092#; s#@CONTROLLER@#9093#" \
    "$HERE/../e2e/engines/kafka/server.properties" >"$DATA/kafka.properties"
  start kafka java -Xmx384m -XX:+UseSerialGC "-XX:SharedArchiveFile=$KAFKA/kafka.jsa" "-Dlog4j2.configurationFile=$KAFKA/log4j2.yaml" \
    -cp "$KAFKA/lib/*" kafka.Kafka "$DATA/kafka.properties"
  local user=()
  [ "$(id -u)" != 0 ] || user=(--user=root)
  start mariadb mariadbd --no-defaults --datadir="$DATA/mariadb" --socket="$DATA/mariadb.socket" --pid-file="$DATA/mariadbd.pid" \
    --bind-address="$HOST" --port=3306 --skip-name-resolve --skip-log-bin --character-set-server=utf8mb4 --collation-server=utf8mb4_bin "${user[@]}"
  (umask 077 && printf 'bind %s\nport 6379\ndir %s\nrequirepass %s\nsave ""\nappendonly no\n' "$HOST" "$DATA/redis" "$(password redis)" >"$DATA/redis.conf")
  start redis redis-server "$DATA/redis.conf"
  reachable kafka 9092
  reachable mariadb 3306
  reachable redis 6379
  mariadb --no-defaults -uroot -S "$DATA/mariadb.socket" <<SQL
CREATE DATABASE IF NOT EXISTS gochat CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE OR REPLACE USER gochat@'%' IDENTIFIED BY '$(password mysql)';
GRANT ALL ON \`gochat%\`.* TO gochat@'%';
SQL
  (umask 077 && cat >"$DATA/addresses" <<A
KAFKA=$HOST:9092
MYSQL=mysql://gochat:$(password mysql)@$HOST:3306/gochat
REDIS=redis://:$(password redis)@$HOST:6379
A
  )
  echo "kind: Kafka, MariaDB and Redis serve on $HOST; addresses in $DATA/addresses"
}

down() {
  for name in kafka mariadb redis; do
    alive "$name" || continue
    kill "$(cat "$DATA/$name.pid")"
    for _ in $(seq 100); do alive "$name" || break; sleep 0.1; done
    ! alive "$name" || kill -9 "$(cat "$DATA/$name.pid")"
    rm -f "$DATA/$name.pid"
  done
}

wipe() {
  down
  rm -rf "$DATA"
}

case ${1:-} in
up | down | wipe) "$1" ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
