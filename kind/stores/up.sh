#!/usr/bin/env bash
# Kafka, MySQL and Redis in the cluster that KUBECONFIG names, from their publishers' images. Passwords are made once.
#   up.sh FILE     writes their addresses into FILE, as kind/stores.sh does
set -euo pipefail
addresses=${1:?the file for the addresses}
cd "$(dirname "${BASH_SOURCE[0]}")"

secret() { kubectl --namespace stores get secret stores -o "jsonpath={.data.$1}" | base64 -d; }
password() { printf %s "$(head -c 18 /dev/urandom | base64 | tr '+/' 'ab')"; }

kubectl apply --server-side -f namespace.yaml >/dev/null
if ! kubectl --namespace stores get secret stores >/dev/null 2>&1; then
  kubectl create -f - >/dev/null <<S
apiVersion: v1
kind: Secret
metadata: { name: stores, namespace: stores }
stringData: { mysql-password: "$(password)", mysql-root-password: "$(password)", redis-password: "$(password)" }
S
fi
kubectl apply --server-side -f kafka.yaml -f mysql.yaml -f redis.yaml
for workload in statefulset/kafka statefulset/mysql deployment/redis; do
  kubectl --namespace stores rollout status "$workload" --timeout=600s
done

mkdir -p "$(dirname "$addresses")"
(umask 077 && cat >"$addresses" <<A
KAFKA=kafka.stores.svc:9092
MYSQL=mysql://gochat:$(secret mysql-password)@mysql.stores.svc:3306/gochat
REDIS=redis://:$(secret redis-password)@redis.stores.svc:6379
A
)
