"""The CRD is what the models say, what Kubernetes takes, and what the samples obey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.e2e.namespace import guarded
from tests.support.environment import Environment
from tests.support.manual_cluster import completed
from tools.generate.crd import render_files
from tools.generate.files import settle
from tripswitch.api.crd import CIRCUIT_BREAKER, DEFINITIONS, Definition, build_crd, render
from tripswitch.domain.values.states import RolloutStatus

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
CRD = build_crd()
SCHEMA: dict[str, Any] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

each_kind = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.kind)


def _schema(definition: Definition) -> dict[str, Any]:
    found: dict[str, Any] = build_crd(definition)["spec"]["versions"][0]["schema"][
        "openAPIV3Schema"
    ]
    return found


@each_kind
def test_the_file_is_what_the_models_say(definition: Definition) -> None:
    assert render(definition) == definition.path.read_text()
    assert settle(render_files(), check=True) == 0


def test_both_kinds_have_the_same_breaker_settings() -> None:
    """Names, defaults, validation and descriptions: a person learns them once."""
    ours = _schema(CIRCUIT_BREAKER)["properties"]["spec"]["properties"]
    configuration = SCHEMA["properties"]["spec"]["properties"]["deploymentConfiguration"]
    theirs = configuration["properties"]["deploymentCircuitBreaker"]["properties"]
    shared = set(theirs) - {"enable"}
    assert shared == {
        *("rollback", "resetOnHealthyTask", "thresholdConfiguration", "failurePolicy"),
    }
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    for name in ("alarms", "bakeTimeInMinutes"):
        assert ours[name] == configuration["properties"][name]


def test_both_kinds_have_the_same_status_fields() -> None:
    """A dashboard or a health check for one works for the other.

    Storms are of ReplicaSets that the operator sizes itself (R8).
    """
    ours = _schema(CIRCUIT_BREAKER)["properties"]["status"]["properties"]
    theirs = SCHEMA["properties"]["status"]["properties"]
    assert set(theirs) - set(ours) == {"selector", "collisionCount", "storms"}
    for name in set(ours) & set(theirs):
        assert ours[name] == theirs[name], name


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_obeys_the_schema(sample: Path) -> None:
    for document in yaml.safe_load_all(sample.read_text()):
        for definition in DEFINITIONS:
            if document["kind"] == definition.kind:
                jsonschema.Draft202012Validator(_schema(definition)).validate(document)


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 3


def _walk(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, part in schema.get("properties", {}).items():
        found += _walk(part, f"{path}.{name}")
    for inner, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(inner), dict):
            found += _walk(schema[inner], f"{path}{mark}")
    return found


@each_kind
def test_the_columns_shown_by_default_tell_a_rolled_back_object_from_a_good_one(
    definition: Definition,
) -> None:
    """The failure count begins at 0 again, and ROLLBACK_SUCCESSFUL sounds well."""
    columns = build_crd(definition)["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["jsonPath"] for column in columns if column["priority"] == 0]
    good, tripped = completed().status, completed().apply("v2").settle(1.0).crash("v2").settle(1.0)
    assert tripped.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert ".status.rolloutState" in shown
    assert (good.report.rollout_state, tripped.status.report.rollout_state) == (
        "COMPLETED",
        "FAILED",
    )


def test_a_template_with_ephemeral_containers_is_refused_with_a_way_out() -> None:
    """A ReplicaSet cannot be made of it; the API server says so only to the operator."""
    rules = SCHEMA["properties"]["spec"]["x-kubernetes-validations"]
    (message,) = [one["message"] for one in rules if "ephemeralContainers" in one["rule"]]
    assert "kubectl debug" in message


@each_kind
def test_every_column_shows_a_field_that_the_schema_has(definition: Definition) -> None:
    fields = {path for path, _ in _walk(_schema(definition))}
    for title, _, path, _ in definition.columns:
        assert path == ".metadata.creationTimestamp" or path.replace("[*]", "[]") in fields, title


@each_kind
def test_every_field_of_ours_has_a_description(definition: Definition) -> None:
    """What ``kubectl explain`` prints. The template's are Kubernetes' own business."""
    found = _walk(_schema(definition))
    ours = [(path, part) for path, part in found if not path.startswith(".spec.template.")]
    silent = [
        path
        for path, part in ours
        if not part.get("description") and not path.endswith(("[]", "{}"))
    ]
    assert silent == [".apiVersion", ".kind", ".metadata"]


def test_no_place_takes_whatever_comes() -> None:
    """A typo anywhere is refused or pruned, never kept. Quantities have no type, but bounds."""
    loose = [
        path for path, part in _walk(SCHEMA) if part.get("x-kubernetes-preserve-unknown-fields")
    ]
    assert len(loose) > 10
    for path, part in _walk(SCHEMA):
        if path in loose:
            taken = [one for one in ANYTHING if _accepts(part, one)]
            assert taken == ["500m", "1Gi", 0, 2, 0.5, 1e9], path


ANYTHING: list[Any] = [
    *("500m", "1Gi", 0, 2, 0.5, 1e9),
    *("half", "1 Gi", True, False, {}, {"a": 1}, [], [1]),
]


def _accepts(schema: dict[str, Any], value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def test_a_template_may_repeat_what_a_deployment_may_repeat() -> None:
    """Two names for one port, a variable twice: Kubernetes warns, and a list of type map refuses."""
    template = SCHEMA["properties"]["spec"]["properties"]["template"]["properties"]
    pod = template["spec"]["properties"]
    lists = {
        f"{kind}.{name}": part["x-kubernetes-list-type"]
        for kind, fields in (("pod", pod), ("container", pod["containers"]["items"]["properties"]))
        for name, part in fields.items()
        if "x-kubernetes-list-type" in part and part["x-kubernetes-list-type"] != "set"
    }
    repeatable = {"pod.hostAliases", "pod.imagePullSecrets", "container.env", "container.ports"}
    assert {name for name in repeatable if lists[name] == "atomic"} == repeatable
    for name in ("pod.containers", "pod.initContainers", "pod.volumes", "container.volumeMounts"):
        assert lists[name] == "map", "merged by key in server-side apply, and refused twice"


@each_kind
def test_status_has_no_defaults_but_that_nobody_has_looked_yet(definition: Definition) -> None:
    """The API server must not fill in what the operator did not write."""
    status = _schema(definition)["properties"]["status"]
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
@each_kind
def test_kubernetes_takes_it_without_a_complaint(
    environment: Environment, definition: Definition
) -> None:
    """No NonStructuralSchema, no names in conflict, and the CEL rules within their budget."""
    raw = environment.kubectl("get", f"crd/{definition.name}", "--output=yaml")
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
