"""The CRD is what the models say, what Kubernetes takes, and what the samples obey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.e2e.world import guarded
from tests.environment import Environment
from tripswitch.api.crd import PATH, build_crd, main, render

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
CRD = build_crd()
SCHEMA: dict[str, Any] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def test_the_file_is_what_the_models_say() -> None:
    assert render() == PATH.read_text()
    assert main(["--check"]) == 0


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_obeys_the_schema(sample: Path) -> None:
    for document in yaml.safe_load_all(sample.read_text()):
        if document["kind"] == "GuardedDeployment":
            jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 3


def _walk(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, part in schema.get("properties", {}).items():
        found += _walk(part, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        found += _walk(schema["items"], f"{path}[]")
    return found


def test_every_field_of_ours_has_a_description() -> None:
    """What ``kubectl explain`` prints. The template's are Kubernetes' own business."""
    ours = [(path, part) for path, part in _walk(SCHEMA) if not path.startswith(".spec.template.")]
    silent = [
        path for path, part in ours if not part.get("description") and not path.endswith("[]")
    ]
    assert silent == [".apiVersion", ".kind", ".metadata"]


def test_no_place_takes_whatever_comes() -> None:
    """A typo anywhere is refused or pruned, never kept."""
    loose = [
        path for path, part in _walk(SCHEMA) if part.get("x-kubernetes-preserve-unknown-fields")
    ]
    assert loose == []


def test_status_has_no_defaults_but_that_nobody_has_looked_yet() -> None:
    """The API server must not fill in what the operator did not write."""
    status = SCHEMA["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    filled = [path for path, part in _walk(status) if "default" in part]
    assert filled == [""]


def test_a_template_may_say_null_where_kubernetes_takes_it_for_nothing() -> None:
    """But not in what our own rules look at, nor in the keys of list items."""
    template = SCHEMA["properties"]["spec"]["properties"]["template"]["properties"]
    container = template["spec"]["properties"]["containers"]["items"]["properties"]
    assert template["metadata"]["properties"]["annotations"]["nullable"]
    assert template["spec"]["properties"]["nodeSelector"]["nullable"]
    assert container["env"]["nullable"]
    for part in (
        template["metadata"]["properties"]["labels"],
        template["spec"],
        template["spec"]["properties"]["containers"],
        container["name"],
        container["ports"]["items"]["properties"]["protocol"],
    ):
        assert "nullable" not in part


@pytest.mark.cluster
def test_kubernetes_takes_it_without_a_complaint(environment: Environment) -> None:
    """No NonStructuralSchema, no names in conflict, and the CEL rules within their budget."""
    raw = environment.kubectl("get", f"crd/{CRD['metadata']['name']}", "--output=yaml")
    conditions = {c["type"]: c["status"] for c in yaml.safe_load(raw)["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.cluster
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_kubernetes_takes_every_sample(environment: Environment, sample: Path) -> None:
    environment.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", str(sample))


@pytest.mark.cluster
def test_what_the_server_stores_is_what_was_written(environment: Environment) -> None:
    """Nothing of a template is pruned or filled in: its hash must stay the same."""
    manifest = guarded("stored")
    stored = json.loads(
        environment.kubectl(
            "apply",
            "--dry-run=server",
            "--output=json",
            "--filename",
            "-",
            stdin=json.dumps(manifest),
        )
    )
    assert stored["spec"]["template"] == manifest["spec"]["template"]
