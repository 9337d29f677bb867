#!/usr/bin/env python3
"""What helm does not look at: the annotations that Artifact Hub reads, and that a chart's values and their schema name the same.

Usage: check.py EXAMPLES (the file that the examples of the annotations are written to)
"""

import json
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).parent
# https://artifacthub.io/docs/topics/annotations/helm/
CATEGORIES = {"ai-machine-learning", "database", "integration-delivery", "monitoring-logging", "networking", "security", "storage", "streaming-messaging"}
CAPABILITIES = ["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    versions = set()
    for chart in ("gochat-crds", "gochat-operator"):
        about = yaml.safe_load((HERE / chart / "Chart.yaml").read_text())
        notes = about["annotations"]
        versions.add((about["version"], about["appVersion"], about["kubeVersion"]))
        check(notes["artifacthub.io/category"] in CATEGORIES, f"{chart}: unknown category")
        check(notes["artifacthub.io/operatorCapabilities"] in CAPABILITIES, f"{chart}: unknown capability level")
        check(notes["artifacthub.io/operator"] == "true" and notes["artifacthub.io/license"] == "MIT", f"{chart}: annotations")
        check((HERE / chart / "README.md").is_file(), f"{chart}: no README.md, which Artifact Hub shows")
        values = yaml.safe_load((HERE / chart / "values.yaml").read_text())
        schema = json.loads((HERE / chart / "values.schema.json").read_text())
        same(values, schema, schema, chart)
    check(len(versions) == 1, f"the charts differ in their versions: {versions}")

    notes = yaml.safe_load((HERE / "gochat-crds/Chart.yaml").read_text())["annotations"]
    told = {crd["name"]: (crd["kind"], crd["version"]) for crd in yaml.safe_load(notes["artifacthub.io/crds"])}
    real = {}
    for file in (HERE / "gochat-crds/files").glob("*.yaml"):
        definition = yaml.safe_load(file.read_text())
        real[definition["metadata"]["name"]] = (definition["spec"]["names"]["kind"], definition["spec"]["versions"][0]["name"])
    check(told == real, f"artifacthub.io/crds has {told}, the chart {real}")
    pathlib.Path(sys.argv[1]).write_text(yaml.safe_dump_all(yaml.safe_load(notes["artifacthub.io/crdsExamples"])))


def same(values: dict, schema: dict, root: dict, where: str) -> None:
    """Each value has its place in the schema, and the other way round, as deep as the schema names them."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rsplit("/", 1)[-1]]
    known = set(schema.get("properties", {})) - {"global"}
    if not known:
        return
    check(set(values) == known, f"{where}: values.yaml and values.schema.json differ in {sorted(set(values) ^ known)}")
    for key in known:
        if isinstance(values[key], dict):
            same(values[key], schema["properties"][key], root, f"{where}.{key}")


def check(holds: object, otherwise: str) -> None:
    if not holds:
        sys.exit(f"charts: {otherwise}")


if __name__ == "__main__":
    main()
