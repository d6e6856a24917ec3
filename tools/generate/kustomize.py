"""Writes what kustomize has to know of a GuardedDeployment.

kustomize knows by heart which fields of a Deployment hold labels, names and lists that are merged by a
key. ``manifests/kustomize`` is a component that tells it the same of our CRD: ``configuration.yaml``
names the fields, taken from the CRD's own schema, and ``openapi.json`` the merge keys of the lists.

A custom ``openapi`` takes the place of the one that is built into kustomize, so the file has the merge
keys of Kubernetes' own kinds as well. They stay as they are in the file; ``python -m tools.generate
--swagger FILE`` reads them again from ``api/openapi-spec/swagger.json`` of Kubernetes' source, for the version that
``tools/cluster/gomod/kubernetes`` pins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.programs import PROGRAMS
from tripswitch.api.crd import CIRCUIT_BREAKER
from tripswitch.domain.values.protection import WorkloadKind

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests" / "kustomize"
OPENAPI = FOLDER / "openapi.json"
CONFIGURATION = FOLDER / "configuration.yaml"

_CRDS = ROOT / "crds"
_PREFIX = "#/definitions/"
_KIND = "x-kubernetes-group-version-kind"
_MERGE = ("x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key")
_MAP_KEYS = "x-kubernetes-list-map-keys"
_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_POD_TEMPLATE = "io.k8s.api.core.v1.PodTemplateSpec"
_TEMPLATE = "spec/template"

# Kind that is named -> ends of the paths (below the pod's spec) that name it.
_NAMED: dict[str, tuple[str, ...]] = {
    "ConfigMap": ("configMap/name", "configMapRef/name", "configMapKeyRef/name"),
    "Secret": (
        "secret/name",
        "secret/secretName",
        "azureFile/secretName",
        "secretRef/name",
        "secretKeyRef/name",
        "imagePullSecrets/name",
        "nodePublishSecretRef/name",
    ),
    "ServiceAccount": ("serviceAccountName",),
    "PersistentVolumeClaim": ("persistentVolumeClaim/claimName",),
    "PriorityClass": ("priorityClassName",),
}
_SELECTING_PODS = (f"{_TEMPLATE}/spec/affinity", f"{_TEMPLATE}/spec/topologySpreadConstraints")
_VERSIONED = {"ConfigMap": "v1", "Secret": "v1"}

_HEAD = """\
# Generated from the CRD by `make generate`; do not edit.
# The fields of our kinds in which kustomize puts labels, annotations, names and sizes.
"""


def read_crds() -> list[dict[str, Any]]:
    """Return every CRD of ours whose objects hold a pod template."""
    found = [yaml.safe_load(path.read_text()) for path in sorted(_CRDS.glob("*.yaml"))]
    return [crd for crd in found if "template" in _spec(_versions(crd)[0])]


def _versions(crd: dict[str, Any]) -> list[dict[str, Any]]:
    return list(crd["spec"]["versions"])


def _spec(version: dict[str, Any]) -> dict[str, Any]:
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return dict(schema["properties"])


# configuration.yaml -----------------------------------------------------------------------------


def paths(schema: dict[str, Any], above: str) -> Iterator[str]:
    """Yield the path of every field, as kustomize writes it: lists have no word of their own."""
    for name, field in schema.get("properties", {}).items():
        yield f"{above}/{name}"
        yield from paths(field, f"{above}/{name}")
    if "items" in schema:
        yield from paths(schema["items"], above)


def render_configuration(crds: list[dict[str, Any]]) -> str:
    """Return ``configuration.yaml``."""
    configuration: dict[str, Any] = {
        "commonLabels": [],
        "templateLabels": [],
        "commonAnnotations": [],
        "replicas": [],
        "nameReference": [],
    }
    for crd in crds:
        group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
        template = list(paths(_spec(_versions(crd)[0])["template"], _TEMPLATE))

        def field(path: str, *, create: bool, kind: str = kind, group: str = group) -> Any:
            return {"path": path, "create": create, "group": group, "kind": kind}

        labels = f"{_TEMPLATE}/metadata/labels"
        selectors = [path for path in template if path.startswith(_SELECTING_PODS)]
        selectors = [path for path in selectors if path.endswith("/labelSelector/matchLabels")]
        configuration["commonLabels"] += [
            field("spec/selector/matchLabels", create=True),
            field(labels, create=True),
            *(field(path, create=False) for path in selectors),
        ]
        configuration["templateLabels"].append(field(labels, create=True))
        annotations = f"{_TEMPLATE}/metadata/annotations"
        configuration["commonAnnotations"].append(field(annotations, create=True))
        configuration["replicas"].append(field("spec/replicas", create=True))
        configuration["nameReference"] += _name_references(group, kind, template)
    configuration["nameReference"] += _target_references()
    return _HEAD + yaml.safe_dump(configuration, sort_keys=False, width=1000)


def _target_references() -> Iterator[dict[str, Any]]:
    """Yield that a DeploymentCircuitBreaker names a Deployment or a StatefulSet."""
    group, kind = CIRCUIT_BREAKER.name.partition(".")[2], CIRCUIT_BREAKER.kind
    for target in WorkloadKind:
        field = {"path": "spec/targetRef/name", "group": group, "kind": kind}
        yield {"kind": target.value, "group": "apps", "fieldSpecs": [field]}


def _name_references(group: str, kind: str, template: list[str]) -> Iterator[dict[str, Any]]:
    """Who names whom: an autoscaler one of ours, and a pod template everything that pods use."""
    scaled = {"path": "spec/scaleTargetRef/name", "kind": "HorizontalPodAutoscaler"}
    yield {"kind": kind, "group": group, "fieldSpecs": [scaled]}
    for named, ends in _NAMED.items():
        suffixes = tuple(f"/{end}" for end in ends)
        fields = [
            {"path": path, "group": group, "kind": kind}
            for path in template
            if path.endswith(suffixes)
        ]
        version = {"version": _VERSIONED[named]} if named in _VERSIONED else {}
        yield {"kind": named, **version, "fieldSpecs": fields}


# openapi.json -----------------------------------------------------------------------------------


def prune(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return of Kubernetes' definitions only what leads to a list that is merged by a key."""
    useful: dict[str, Any] = {}
    while True:
        found = {
            name: kept
            for name, definition in definitions.items()
            if not name.endswith(("List", "DeleteOptions", "WatchEvent"))
            and (kept := _kept(definition, useful))
        }
        if found == useful:
            return dict(sorted(found.items()))
        useful = found


def _kept(definition: dict[str, Any], useful: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is of use of one definition, given what is known to be of use of the others."""
    properties = {}
    for name, field in definition.get("properties", {}).items():
        of_item = _useful_reference(field.get("items", {}), useful)
        kept = {key: field[key] for key in (*_MERGE, _MAP_KEYS) if key in field}
        if _MERGE[0] in kept or of_item:
            items = {"items": of_item} if of_item else {}
            properties[name] = {**kept, "type": "array", **items}
        elif of_field := _useful_reference(field, useful):
            properties[name] = of_field
    if not properties:
        return None
    kind = {_KIND: definition[_KIND]} if _KIND in definition else {}
    return {"type": "object", **kind, "properties": properties}


def _useful_reference(field: dict[str, Any], useful: dict[str, Any]) -> dict[str, Any]:
    return {"$ref": field["$ref"]} if field.get("$ref", "").removeprefix(_PREFIX) in useful else {}


def own_definitions(crds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the definitions of our own kinds."""
    found = {}
    for crd in crds:
        group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
        for version in _versions(crd):
            of_spec = {"template": {"$ref": _PREFIX + _POD_TEMPLATE}}
            found[f"{group}.{version['name']}.{kind}"] = {
                "type": "object",
                _KIND: [{"group": group, "version": version["name"], "kind": kind}],
                "properties": {
                    "metadata": {"$ref": _PREFIX + _METADATA},
                    "spec": {"type": "object", "properties": of_spec},
                },
            }
    return found


def render_openapi(crds: list[dict[str, Any]], kubernetes: dict[str, Any], version: str) -> str:
    """Return ``openapi.json``, with one line for each definition."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(definition, sort_keys=True)}"
        for name, definition in {**own_definitions(crds), **kubernetes}.items()
    ]
    title = "What kustomize merges by key; generated from the CRD by `make generate`, do not edit"
    info = json.dumps({"title": title, "version": version})
    return (
        f'{{"swagger": "2.0", "info": {info}, "paths": {{}}, "definitions": {{\n'
        + ",\n".join(lines)
        + "\n}}\n"
    )


def read_kubernetes(swagger: Path | None) -> tuple[dict[str, Any], str]:
    """Return the definitions of Kubernetes' own kinds and their version: from its source or as they are."""
    if swagger:
        definitions = json.loads(swagger.read_text())["definitions"]
        return prune(definitions), PROGRAMS["kubectl"].version
    stored = json.loads(OPENAPI.read_text())
    theirs = {k: v for k, v in stored["definitions"].items() if k.startswith("io.k8s.")}
    return theirs, stored["info"]["version"]


def render_files(swagger: Path | None = None) -> Mapping[Path, str]:
    """Return the files; the kinds of Kubernetes are read from ``swagger``, or kept as they are."""
    crds = read_crds()
    return {
        CONFIGURATION: render_configuration(crds),
        OPENAPI: render_openapi(crds, *read_kubernetes(swagger)),
    }
