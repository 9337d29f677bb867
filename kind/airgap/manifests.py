#!/usr/bin/env python3
"""Writes the default manifests that kind's nodes carry, from kind's own source, with mini-kindnet for kindnetd.

Usage: manifests.py SOURCE OUT IMAGE (kind's pkg/build/nodeimage, the folder to write to, the image with mini-kindnet)
"""

import re
import sys

source, out, image = sys.argv[1:]


def constant(file: str, name: str) -> str:
    """A constant of Go source: back-quoted text with other constants spliced in."""
    with open(f"{source}/{file}", encoding="utf-8") as f:
        text = f.read()
    others = dict(re.findall(r'const (\w+) = "([^"]*)"', text))
    value = re.search(name + r" = `(.*?)`\s*\Z", text, re.S)[1]
    return re.sub(r"` \+ (\w+) \+ `", lambda match: others[match[1]], value)


network = re.sub(
    r"image: \S*kindnetd\S*",
    f'image: {image}\n        command: ["/bin/mini-kindnet"]',
    constant("const_cni.go", "defaultCNIManifest"),
)
with open(f"{out}/default-cni.yaml", "w", encoding="utf-8") as f:
    f.write(network)
# kind applies some storage class; this one has no provisioner, since nothing here keeps data in the cluster.
with open(f"{out}/default-storage.yaml", "w", encoding="utf-8") as f:
    f.write("apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: { name: none }\nprovisioner: kubernetes.io/no-provisioner\n")
