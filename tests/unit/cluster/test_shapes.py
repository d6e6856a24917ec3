"""Decoding by shape drops what nobody reads, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.unit.cluster.raws import ended, pod, ready_pod, replica_set, running, waiting
from tests.unit.cluster.test_pods import F5, JSON, NOW
from tripswitch.cluster.pods import see_pod
from tripswitch.cluster.replicasets import see_replica_set
from tripswitch.cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from tripswitch.cluster.shapes import find_shape
from tripswitch.cluster.workloads import find_target, see_guarded_pod, see_guarded_replica_set

RECORDINGS = sorted((Path(__file__).parents[2] / "recordings").glob("*.jsonl"))

Where = tuple[str, ...]


def decode(resource: Resource, raw: Any) -> Any:
    """What comes out of a watch for an object that goes into it."""
    line = json.dumps({"type": "MODIFIED", "object": raw}).encode()
    event: Any = find_shape(resource).event(line)
    return event["object"]


class Noting(dict[str, Any]):
    """A JSON object that notes the path of each field that is asked for, there or not."""

    def __init__(self, raw: dict[str, Any], paths: set[Where], at: Where = ()) -> None:
        super().__init__({key: note(value, paths, (*at, key)) for key, value in raw.items()})
        self._paths = paths
        self._at = at

    def get(self, key: str, default: Any = None) -> Any:
        self._paths.add((*self._at, key))
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self._paths.add((*self._at, key))
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._paths.add((*self._at, str(key)))
        return super().__contains__(key)


def note(raw: Any, paths: set[Where], at: Where = ()) -> Any:
    if isinstance(raw, dict):
        return Noting(raw, paths, at)
    return [note(item, paths, (*at, "[]")) for item in raw] if isinstance(raw, list) else raw


def build(path: Where) -> Any:
    """An object with one field."""
    if not path:
        return "x"
    name, *rest = path
    inner = build(tuple(rest))
    return [inner] if name == "[]" else {name: inner}


FULL_POD = pod(
    {
        **waiting("CrashLoopBackOff", lastState={"terminated": ended(1, "Error")}),
        "imageID": "web@sha256:1",
        "allocatedResourcesStatus": [{"name": "gpu", "resources": [{"health": "Healthy"}]}],
    },
    {**running("job"), "state": {"terminated": ended(3, "Error")}},
    conditions=ready_pod()["status"]["conditions"],
    initContainerStatuses=[running("first")],
)
FULL_POD["spec"] |= {
    "initContainers": [{"name": "first", "restartPolicy": "Always"}],
    "containers": [
        {
            "name": name,
            "readinessProbe": {"periodSeconds": 5},
            "startupProbe": {"periodSeconds": 5},
            "resizePolicy": [{"restartPolicy": "NotRequired"}],
            "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In"}}],
        }
        for name in ("web", "job")
    ],
}
FULL_SET = replica_set(conditions=[{"type": "ReplicaFailure", "status": "True"}])


def look_at_pod(raw: Any) -> None:
    seen = see_pod(raw, None, NOW)
    see_guarded_pod(raw, seen, NOW)
    find_target(raw)


def look_at_set(raw: Any) -> None:
    see_replica_set(raw, see_replica_set(raw, None))
    see_guarded_replica_set(raw, None)
    find_target(raw)


@pytest.mark.parametrize(
    ("resource", "full", "look"),
    [
        pytest.param(PODS, FULL_POD, look_at_pod, id="pods"),
        pytest.param(REPLICA_SETS, FULL_SET, look_at_set, id="ReplicaSets"),
    ],
)
def test_every_field_that_a_view_reads_is_in_its_shape(
    resource: Resource, full: Any, look: Callable[[Any], None]
) -> None:
    paths: set[Where] = set()
    look(note(full, paths))
    assert len(paths) > 20
    lost = [path for path in sorted(paths) if decode(resource, build(path)) != build(path)]
    assert lost == []


@pytest.mark.parametrize("raw", [pytest.param(row[1], id=row[0]) for row in F5])
def test_a_pod_has_the_same_view_by_its_shape(raw: Any) -> None:
    assert see_pod(decode(PODS, raw), None, NOW) == see_pod(raw, None, NOW)


@pytest.mark.parametrize("recording", [pytest.param(path, id=path.stem) for path in RECORDINGS])
def test_recorded_pods_have_the_same_views_by_their_shape(recording: Path) -> None:
    before = None
    for line in recording.read_text().splitlines():
        raw = json.loads(line)["pod"]
        seen = see_pod(raw, before, NOW)
        assert see_pod(decode(PODS, raw), before, NOW) == seen
        before = seen


def test_what_nobody_reads_is_not_built() -> None:
    raw: Any = {**ready_pod(), "spec": {"volumes": [{}], "nodeName": "node-1"}}
    raw["metadata"] |= {"managedFields": [{"manager": "kubelet"}]}
    decoded = decode(PODS, raw)
    assert decoded["spec"] == {"nodeName": "node-1"}
    assert "managedFields" not in decoded["metadata"]
    shrunk = decode(REPLICA_SETS, replica_set(metadata={"managedFields": [{}]}, readyReplicas=4))
    assert "managedFields" not in shrunk["metadata"]
    assert shrunk["status"] == {}


def test_of_other_resources_every_field_is_decoded() -> None:
    raw: Any = {"metadata": {"managedFields": [{"manager": "kubectl"}]}, "anything": [1, None, {}]}
    assert decode(DEPLOYMENTS, raw) == raw


@given(JSON)
def test_an_object_of_another_form_is_decoded_as_it_is(raw: Any) -> None:
    """What a view makes of it is a matter of the view (no other reader knows what is wrong in it)."""
    line = json.dumps(raw).encode()
    shape = find_shape(PODS)
    if not isinstance(raw, dict):
        assert repr(shape.event(line)) == repr(raw)
        assert repr(shape.page(line)) == repr(raw)
    for broken in ({"status": raw}, {"spec": {"containers": raw}}, {"metadata": raw}):
        if not isinstance(raw, dict | list):
            assert repr(decode(PODS, broken)) == repr(broken)


def test_the_object_of_an_error_is_not_taken_for_a_pod() -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    event = {"type": "ERROR", "object": status}
    assert find_shape(PODS).event(json.dumps(event).encode()) == event


def test_a_page_with_one_strange_pod_has_all_pods() -> None:
    page = {
        "metadata": {"resourceVersion": "7", "continue": "more"},
        "items": [ready_pod(), {"metadata": {"ownerReferences": "none"}}, ready_pod(uid="2")],
    }
    assert find_shape(PODS).page(json.dumps(page).encode()) == page


@pytest.mark.parametrize("text", [b"", b"{", b"no JSON", b'{"type": "ADDED", "object": '])
def test_what_is_no_json_is_an_error_that_the_transport_knows(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        find_shape(PODS).event(text)
