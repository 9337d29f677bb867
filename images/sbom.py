#!/usr/bin/env python3
"""Writes what an image is made of as CycloneDX 1.5: the crates that a program is built from, as Cargo resolved them,
and the Debian packages that its shared libraries come from.

Usage: sbom.py PACKAGE ROOT OUT (a Cargo package, the image's folder, the file to write)
"""

import json
import os
import subprocess
import sys


def crates(package: str) -> list[dict]:
    """The package's normal dependencies, all the way down, for this platform."""
    host = next(line.split()[1] for line in run("rustc", "-vV").splitlines() if line.startswith("host:"))
    metadata = json.loads(run("cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", host))
    packages = {p["id"]: p for p in metadata["packages"]}
    nodes = {n["id"]: n for n in metadata["resolve"]["nodes"]}
    left = [p["id"] for p in metadata["packages"] if p["name"] == package and p["source"] is None]
    seen: set[str] = set()
    while left:
        if (current := left.pop()) not in seen:
            seen.add(current)
            left += [d["pkg"] for d in nodes[current]["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]
    return [crate(packages[i]) for i in sorted(seen)]


def crate(package: dict) -> dict:
    name, version = package["name"], package["version"]
    component = {"type": "library", "name": name, "version": version, "purl": f"pkg:cargo/{name}@{version}"}
    if package["license"]:
        component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return component


def libraries(root: str) -> list[dict]:
    """The packages of this system that the image's shared libraries were taken from."""
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            if ".so" not in name:
                continue
            path = os.path.realpath("/" + os.path.relpath(os.path.join(folder, name), root))
            # dpkg may know a file by its path before /usr was merged.
            owners = run("dpkg", "-S", path, check=False) or run("dpkg", "-S", path.removeprefix("/usr"), check=False)
            if owners:
                owner = owners.split(":")[0]
                found[owner] = run("dpkg-query", "-W", "-f", "${Version}", owner)
    return [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:deb/debian/{name}@{version}"}
        for name, version in sorted(found.items())
    ]


def run(*command: str, check: bool = True) -> str:
    return subprocess.run(command, check=check, text=True, stdout=subprocess.PIPE, stderr=None if check else subprocess.DEVNULL).stdout


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    package, root, out = sys.argv[1:]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": package}},
        "components": crates(package) + libraries(root),
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(bom, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
