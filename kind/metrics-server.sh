#!/usr/bin/env bash
# kind/metrics-server.sh: metrics-server on the cluster, so that an HPA can scale on CPU: built from its Go module, with the
# manifests that the module brings. Idempotent.
set -euo pipefail
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
cd "$HERE/.."
. kind/environment.sh
MODULE=$(go env GOMODCACHE)/sigs.k8s.io/metrics-server@$METRICS_SERVER_VERSION
IMAGE=registry.k8s.io/metrics-server/metrics-server:$METRICS_SERVER_VERSION
WORK=$AIRGAP/metrics-server

rm -rf "$WORK"
mkdir -p "$WORK/root"
cp "$BIN/metrics-server" "$WORK/root/"
images/oci.py "$WORK/root" "$WORK/image.tar" --name "$IMAGE" --entrypoint /metrics-server --user 1000 >/dev/null
in_cluster kind load image-archive "$WORK/image.tar" --name gochat

cp -r --no-preserve=mode "$MODULE/manifests/base" "$WORK/base"
cat >"$WORK/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [base]
images:
  - { name: gcr.io/k8s-staging-metrics-server/metrics-server, newName: "${IMAGE%:*}", newTag: "${IMAGE##*:}" }
patches:
  - target: { kind: Deployment, name: metrics-server }
    patch: |
      # kind's kubelets sign their own certificates. 10 s is the shortest, and longer than it may wait for a kubelet.
      - { op: add, path: /spec/template/spec/containers/0/args/-, value: --kubelet-insecure-tls }
      - { op: add, path: /spec/template/spec/containers/0/args/-, value: --metric-resolution=10s }
      - { op: add, path: /spec/template/spec/containers/0/args/-, value: --kubelet-request-timeout=5s }
YAML
in_cluster kubectl apply -k "$WORK"
rm -rf "$WORK"
in_cluster kubectl wait --namespace kube-system --for=condition=Available deployment/metrics-server --timeout=120s
