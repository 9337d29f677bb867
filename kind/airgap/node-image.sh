#!/usr/bin/env bash
# node-image.sh: makes the node image of kind from packages: a Debian root file system, kind's own files from its Go
# module, and Kubernetes and containerd as programs.sh built them. Kept in the engine; does nothing where it is.
set -euo pipefail
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
. "$HERE/versions.sh"
ROOT=$AIRGAP/node
IMAGES=$AIRGAP/images
V=v$KUBERNETES_VERSION

docker image inspect "$NODE_IMAGE" >/dev/null 2>&1 && exit
for tool in mmdebstrap jq busybox go python3; do
  command -v $tool >/dev/null || { echo "kind: $tool is missing (Debian: apt-get install mmdebstrap jq busybox-static python3, and Go 1.26)" >&2; exit 1; }
done
MODULE=$(go env GOMODCACHE)/sigs.k8s.io/kind@$KIND_VERSION
FILES=$MODULE/images/base/files
echo "kind: making the node image of Kubernetes $V (about a minute, once)"

# 1. Debian. bookworm: the last release whose systemd runs on cgroup v1 too. From the mirror that this machine uses.
base=$AIRGAP/bookworm.tar
if [ ! -f "$base" ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | sort -u | grep -m1 'debian/$')
  mmdebstrap --quiet --format=tar --variant=minbase --mode=root \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include=systemd,dbus,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,ca-certificates,curl,jq,procps,runc,containernetworking-plugins,socat,e2fsprogs \
    bookworm "$base.part" "$mirror"
  mv "$base.part" "$base"
fi
rm -rf "$ROOT" "$IMAGES"
mkdir -p "$ROOT" "$IMAGES"
tar xf "$base" -C "$ROOT"

# 2. kind's files, and what its Dockerfile does with them.
mkdir -p "$ROOT"/{kind/bin,kind/manifests,etc/kubernetes/manifests,opt/cni,etc/cni/net.d}
cp -r --no-preserve=mode,ownership "$FILES/etc/." "$ROOT/etc/"
cp --no-preserve=mode "$FILES"/kind/bin/* "$ROOT/kind/bin/"
cp --no-preserve=mode "$FILES"/usr/local/bin/* "$ROOT/usr/local/bin/"
chmod 755 "$ROOT"/kind/bin/* "$ROOT"/usr/local/bin/*
cp "$BIN"/{containerd,containerd-shim-runc-v2,ctr,crictl} "$ROOT/usr/local/bin/"
cp "$KUBE" "$ROOT/usr/bin/kube"
for name in kubelet kubectl kubeadm; do ln -s kube "$ROOT/usr/bin/$name"; done
ln -s /usr/lib/cni "$ROOT/opt/cni/bin"
printf %s "$V" >"$ROOT/kind/version"
rm -f "$ROOT"/etc/systemd/system/*.wants/* "$ROOT"/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* \
  "$ROOT"/lib/systemd/system/sockets.target.wants/*{udev,initctl}* "$ROOT"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
# They would set sysctls of the whole machine.
rm -f "$ROOT"/usr/lib/sysctl.d/* "$ROOT"/etc/sysctl.d/*protect* "$ROOT"/etc/sysctl.d/99*
echo ReadKMsg=no >>"$ROOT/etc/systemd/journald.conf"
ln -sf /usr/lib/systemd/systemd "$ROOT/sbin/init"
systemctl -q --root="$ROOT" enable kubelet.service containerd.service undo-mount-hacks.service
systemctl -q --root="$ROOT" mask systemd-binfmt.service
# A root that may not lower oom_score_adj starts no pod otherwise.
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$ROOT/etc/containerd/config.toml"
"$BIN/ctr" oci spec 2>/dev/null | jq '.hooks.createContainer[0].path = "/kind/bin/mount-product-files.sh" | del(.process.rlimits)' >"$ROOT/etc/containerd/cri-base.json"
"$HERE/manifests.py" "$MODULE/pkg/build/nodeimage" "$ROOT/kind/manifests" "registry.k8s.io/kube-proxy:$V"

# 3. The images of the control plane: one with all programs, under five names.
part() { # part FOLDER NAME ENTRYPOINT
  "$HERE/../../images/oci.py" "$AIRGAP/parts/$1" "$IMAGES/$1.tar" --name "$2" --entrypoint "$3" --user 0 >/dev/null
}
rm -rf "$AIRGAP/parts"
kube=$AIRGAP/parts/kube
mkdir -p "$kube"/{bin,sbin,etc,usr/local/bin,tmp}
cp "$KUBE" "$kube/usr/local/bin/kube"
cp /bin/busybox "$kube/bin/busybox"
cp "$HERE/mini-kindnet" "$kube/bin/"
cp "$ROOT"/usr/sbin/{nft,xtables-nft-multi} "$kube/sbin/"
for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubectl etcd; do
  ln -s kube "$kube/usr/local/bin/$name"
  ln -s /usr/local/bin/kube "$kube/bin/$name"
done
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do ln -s xtables-nft-multi "$kube/sbin/$name"; done
for name in sh ip cat mv sleep awk wc ls wget; do ln -s busybox "$kube/bin/$name"; done
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$kube/etc/passwd"
# kube-proxy's iptables mode loads its modules; all need their libraries.
for program in /usr/sbin/nft /usr/sbin/xtables-nft-multi $(cd "$ROOT" && printf '/%s ' usr/lib/*/xtables/*.so); do
  install -D -m 755 "$ROOT$program" "$kube$program"
  chroot "$ROOT" ldd "$program" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
    [ -e "$kube$library" ] || install -D -m 755 "$ROOT$(chroot "$ROOT" realpath "$library")" "$kube$library"
  done
done
part kube "registry.k8s.io/kube-apiserver:$V" /bin/sh
mkdir -p "$AIRGAP"/parts/{coredns,pause}
cp "$BIN/coredns" "$AIRGAP/parts/coredns/"
part coredns "registry.k8s.io/coredns/coredns:$COREDNS_VERSION" /coredns
cp "$BIN/pause" "$AIRGAP/parts/pause/"
part pause "$(sed -n 's/.*sandbox_image = "\(.*\)"/\1/p' "$ROOT/etc/containerd/config.toml")" /pause

# 4. The node image: the root, with these images in its containerd.
trap 'docker rm -f gochat-node-build >/dev/null 2>&1 || true' EXIT
tar -C "$ROOT" --numeric-owner -c . | docker import - gochat-node:0 >/dev/null
work=$(mktemp -d)
# `docker import` can't set a stop signal.
printf 'FROM gochat-node:0\nENV container=docker\nSTOPSIGNAL SIGRTMIN+3\nENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]\n' >"$work/Dockerfile"
DOCKER_BUILDKIT=0 docker build -q -t gochat-node:1 "$work" >/dev/null 2>&1
docker rm -f gochat-node-build >/dev/null 2>&1 || true
docker run -d --name gochat-node-build --security-opt seccomp=unconfined --net none -v "$IMAGES:/images:ro" --entrypoint sleep gochat-node:1 infinity >/dev/null
docker exec gochat-node-build bash -ec '
  images="ctr -n k8s.io images"
  containerd >/tmp/log 2>&1 & containerd=$!
  for i in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
  for tar in /images/*.tar; do $images import --label=io.cri-containerd.pinned=pinned --all-platforms --no-unpack --digests $tar; done
  for name in kube-controller-manager:'"$V"' kube-scheduler:'"$V"' kube-proxy:'"$V"' etcd:3.7.0-0; do
    $images tag registry.k8s.io/kube-apiserver:'"$V"' registry.k8s.io/$name
    $images label registry.k8s.io/$name io.cri-containerd.pinned=pinned
  done
  kill $containerd; wait $containerd || true; rm -rf /tmp/* /run/containerd' >/dev/null 2>"$AIRGAP/node-image.log"
docker commit --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' gochat-node-build "$NODE_IMAGE" >/dev/null
docker rm -f gochat-node-build >/dev/null
docker rmi -f gochat-node:1 gochat-node:0 >/dev/null 2>&1 || true
rm -rf "$work" "$ROOT" "$AIRGAP/parts"
