#!/usr/bin/env bash
# rootfs.sh BINARY DIR: the files of an image, as a folder: the program, the shared libraries it is linked to, and what
# any program expects (users, certificate authorities, name service). Nothing else: no shell, no package manager.
set -euo pipefail

binary=$(realpath "${1:?the program}")
root=${2:?the folder to make}
name=$(basename "$binary")

# The same modes whoever builds.
umask 022
rm -rf "$root"
mkdir -p "$root"/{etc/ssl/certs,usr/bin,tmp,proc,sys,dev}
chmod 1777 "$root/tmp"

strip --strip-all -o "$root/usr/bin/$name" "$binary"
chmod 755 "$root/usr/bin/$name"

# Each library and the loader to where the loader looks for it.
ldd "$binary" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }' | sort -u | while read -r library; do
  install -D -m 755 "$(realpath "$library")" "$root$library"
done

printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
