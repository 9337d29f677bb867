#!/usr/bin/env bash
# Measures GoChat on this machine with its own load generator: bench.sh [real|embedded] [SCENARIO...]
#   chat       500 direct chats on 1,000 connections at 700 messages/s, as the peers were measured
#   peak       the same chats at 12,000 messages/s: what is committed in a second, and what it costs
#   half       the same at half of 10,000/s
#   group      one group of 10,000, a message a second: when the last member has it
#   idle       10,000 connections that say nothing: memory of each
#   reconnect  10,000 connections dropped at once: when the last one is welcomed again
# `real`: services and engines as processes of their own, tuned for load, measured after half a minute of load: a cold
# broker spends more on compiling itself than on messages. `embedded`: `gochat dev`.
# TOPICS='{"shards": 16, "upstream_partitions": 8}': the number of partitions; WARM_UP=0: measure at once.
# Prints tables; the JSON lines are kept in target/bench/<engines>-<time>.jsonl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

engines=real
case ${1:-} in real | embedded) engines=$1 && shift ;; esac
scenarios=${*:-chat half peak group idle reconnect}
out=target/bench/$engines-$(date -u +%Y%m%dT%H%M%SZ)
target=${CARGO_TARGET_DIR:-target}/release
mkdir -p target/bench
ulimit -n "$(ulimit -Hn)"

e2e/engines/install.sh build $([ $engines = embedded ] || echo engines)
# With the same features as the images, so that both are one build.
cargo build --release --bin gochat --bin gochat-operator --bin gochat-stack
# The limits are about clients that misbehave; what is measured here is what the system can do.
limits='{"messages_per_second": 20000, "user_messages_per_second": 20000, "connections_per_user": 64}'
# Two for each of two members: what a broker pays is requests, and there is one for each partition.
topics=${TOPICS:-'{"shards": 4, "upstream_partitions": 4, "task_partitions": 4}'}

if [ $engines = real ]; then
  # Ten processes share the machine's cores: with a worker thread for each core in each of them, what is measured is the
  # kernel switching tasks.
  TOKIO_WORKER_THREADS=1 GOCHAT_BIN=$PWD/$target/gochat "$target/gochat-stack" --load --settings "{\"topics\": $topics, \"gateway\": {\"limits\": $limits}}" >"$out.stack" &
else
  "$target/gochat" dev --ephemeral >"$out.stack" &
fi
server=$!
trap 'kill -INT $server 2>/dev/null; wait $server || true' EXIT
until grep -q 'http://' "$out.stack"; do
  kill -0 $server || { echo "bench: the servers did not start" >&2; exit 1; }
  sleep 0.2
done
if [ $engines = real ]; then
  targets=$(sed -n 's/.*"gateways":\["\([^]]*\)"\].*/\1/p' "$out.stack" | sed 's/","/,/g')
  pids=$(sed -n 's/.*"pids":\[\([0-9,]*\)\].*/\1/p' "$out.stack")
else
  targets=$(grep -o 'http://[0-9.:]*' "$out.stack" | head -n 1) pids=$server
fi

bench() {
  local name=$1
  shift
  echo "bench: $name ($engines)"
  "$target/gochat" bench --target "$targets" --pids "$pids" --accounts "$out.accounts" --report "$out.one" "$@" || echo "bench: $name FAILED its ledger"
  [ ! -s "$out.one" ] || printf '{"scenario":"%s","engines":"%s","result":%s}\n' "$name" $engines "$(cat "$out.one")" >>"$out.jsonl"
}

if [ $engines = real ] && [ "${WARM_UP:-30}" != 0 ]; then
  echo "bench: warming up"
  "$target/gochat" bench --target "$targets" --accounts "$out.accounts" --pairs 500 --rate 4000 --duration "${WARM_UP:-30}s" >/dev/null
fi

for scenario in $scenarios; do
  case $scenario in
    chat) bench chat --pairs 500 --rate 700 --duration 30s --warmup 5s ;;
    half) bench half --pairs 500 --rate 5000 --duration 30s --warmup 5s ;;
    peak) bench peak --pairs 500 --rate 12000 --duration 30s --warmup 5s ;;
    group) bench group --groups 10000x1 --rate 1 --duration 15s --warmup 3s ;;
    idle) bench idle --idle 10000 --devices 16 --duration 10s ;;
    reconnect) bench reconnect --idle 10000 --devices 16 --duration 2s --reconnect ;;
    *) echo "bench: no scenario $scenario" >&2 && exit 2 ;;
  esac
done
echo "bench: results in $out.jsonl"
