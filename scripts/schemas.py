#!/usr/bin/env python3
"""Checks every manifest that people apply, or that the operator makes, against the schemas of the oldest and the newest
Kubernetes that GoChat is for: each field known, each value of its type.

    scripts/schemas.py [FILE …]     all that there are by default

Kubernetes' schemas, and the Prometheus Operator's, are taken from their Go modules (`go mod download`), once, into
${GOCHAT_CACHE:-~/.cache/gochat}/schemas; GoChat's are crds/yaml. What only an API server checks (CEL, ranges in its
code, admission) is e2e/tests/charts.rs.
"""

import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NoReturn

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("GOCHAT_CACHE") or pathlib.Path.home() / ".cache/gochat") / "schemas"
KUBERNETES = ["1.34.4", "1.37.2"]
PROMETHEUS_OPERATOR = "0.85.0"
MANIFESTS = [
    "charts/install.yaml",
    "charts/golden/*.yaml",
    "crds/yaml/*.yaml",
    "crds/samples/*.yaml",
    "gitops/example/*/namespace.yaml",
    "gitops/example/*/gochatcluster.yaml",
    "kind/stores/*.yaml",
    "operator/tests/golden/full.snap",
    "operator/tests/golden/minimal.snap",
    "operator/tests/golden/external-scaler.snap",
]
# Types that say "string" in Kubernetes' OpenAPI and take more in YAML.
LOOSE = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["number", "string"]},
}


# What both kinds of schema say about a value itself.
CHECKED = {"$ref", "type", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}

WRONG = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": 1}, "spec": {"portz": []}}


def module(name: str, version: str, folder: str) -> pathlib.Path:
    """A folder of a Go module, kept in the cache without the rest of the module."""
    kept = CACHE / f"{name.replace('/', '_')}-{version}" / folder
    if kept.is_dir():
        return kept
    if not shutil.which("go"):
        skip("Go, which fetches the schemas, is not installed (https://go.dev/dl)")
    print(f"schemas: {name} {version}: fetching with Go", flush=True)
    with tempfile.TemporaryDirectory() as modules:
        environment = os.environ | {"GOMODCACHE": modules, "GOFLAGS": "-modcacherw"}
        # Outside of any module, so that nobody's go.mod is touched.
        got = subprocess.run(["go", "mod", "download", "-json", f"{name}@v{version}"], cwd=modules, env=environment, capture_output=True, text=True)
        if got.returncode != 0:
            sys.exit(f"schemas: {got.stdout}{got.stderr}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
            shutil.copytree(pathlib.Path(json.loads(got.stdout)["Dir"]) / folder, pathlib.Path(unfinished) / "it")
            os.rename(pathlib.Path(unfinished) / "it", kept)
    return kept


def skip(why: str) -> NoReturn:
    line = f"SKIPPED schemas: {why}"
    print(line)
    if log := os.environ.get("GOCHAT_SKIP_LOG"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    sys.exit(0)


def strict(schema: dict) -> dict:
    """The schema with unknown fields refused, as `kubectl apply --validate=strict` does."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    known = {key: value for key, value in schema.items() if key in CHECKED}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            known[key] = strict(schema[key])
    if "properties" in schema:
        known["properties"] = {name: strict(part) for name, part in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            known.setdefault("additionalProperties", False)
    return known


def kubernetes(version: str) -> tuple[dict, dict]:
    """All definitions, and by (apiVersion, kind) which is whose."""
    file = module("k8s.io/kubernetes", version, "api/openapi-spec") / "swagger.json"
    schemas = json.loads(file.read_text())["definitions"]
    definitions = {name: LOOSE.get(name) or strict(schema) for name, schema in schemas.items()}
    kinds = {}
    for name, schema in schemas.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            kinds["/".join(filter(None, (kind["group"], kind["version"]))), kind["kind"]] = {"$ref": f"#/definitions/{name}"}
    return definitions, kinds


def custom(files: list[pathlib.Path]) -> dict:
    """Schemas of CustomResourceDefinitions."""
    kinds = {}
    for file in files:
        spec = load(file.read_text())[0]["spec"]
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}
            kinds[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = strict(schema)
    return kinds


def load(text: str) -> list:
    # Snapshots of tests begin with a head of their own.
    return [document for document in yaml.load_all(text, LOADER) if isinstance(document, dict) and "kind" in document]


def without_nulls(value: object) -> object:
    """For Kubernetes a null is a field that is not there."""
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def objects(patterns: list[str]) -> list[tuple[str, dict]]:
    found = []
    for pattern in patterns:
        files = sorted(glob.glob(pattern))
        if not files:
            sys.exit(f"schemas: no file {pattern}")
        for file in files:
            documents = load(pathlib.Path(file).read_text())
            if not documents:
                sys.exit(f"schemas: no object in {file}")
            for document in documents:
                found.append((f"{file}: {document['kind']}/{document['metadata']['name']}", without_nulls(document)))
    return found


def errors(document: dict, definitions: dict, kinds: dict) -> Iterator[str]:
    schema = kinds.get((document["apiVersion"], document["kind"]))
    if schema is None:
        yield f"no such kind as {document['apiVersion']} {document['kind']}"
        return
    validator = jsonschema.Draft7Validator({"allOf": [schema], "definitions": definitions})
    for error in validator.iter_errors(document):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"


def main() -> None:
    if len(sys.argv) == 1:
        os.chdir(ROOT)
    everything = objects(sys.argv[1:] or MANIFESTS)
    monitoring = module("github.com/prometheus-operator/prometheus-operator", PROMETHEUS_OPERATOR, "example/prometheus-operator-crd")
    ours = custom(sorted((ROOT / "crds/yaml").glob("*.yaml"))) | custom([monitoring / f"monitoring.coreos.com_{name}.yaml" for name in ("podmonitors", "prometheusrules")])
    wrong = 0
    for version in KUBERNETES:
        definitions, kinds = kubernetes(version)
        kinds |= ours
        # A checker that takes everything would be content too.
        if len(list(errors(WRONG, definitions, kinds))) != 2:
            sys.exit(f"schemas: Kubernetes {version}: what is wrong was not found")
        for name, document in everything:
            for error in errors(document, definitions, kinds):
                print(f"schemas: Kubernetes {version}: {name}: {error}", file=sys.stderr)
                wrong += 1
    if wrong:
        sys.exit(1)
    print(f"schemas: {len(everything)} objects are right for Kubernetes {' and '.join(KUBERNETES)}")


if __name__ == "__main__":
    try:
        import jsonschema
        import yaml
    except ImportError as missing:
        sys.exit(f"schemas: {missing.name} is missing (Debian: python3-jsonschema python3-yaml)")
    LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    main()
