"""ReplicaSets are written with everything that finds them again, and read whatever they contain."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from tests.unit.cluster.raws import T0, guarded, replica_set
from tests.unit.cluster.test_pods import JSON
from tests.unit.cluster.test_shapes import decode
from tripswitch.cluster.bodies import build_patch, build_replica_set
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.cluster.replicasets import (
    SeenReplicaSet,
    find_guard,
    orphan_owner,
    see_replica_set,
)
from tripswitch.cluster.resources import REPLICA_SETS
from tripswitch.cluster.selectors import selector_matches
from tripswitch.cluster.workloads import see_guarded_replica_set
from tripswitch.domain.values.decision import (
    AdoptReplicaSet,
    CreateReplicaSet,
    MarkCompleted,
    ReleaseReplicaSet,
    ScaleReplicaSet,
)

CREATE = CreateReplicaSet("web-shop-6f8c2x", revision=4, size=2, sized_for=3)


def test_a_new_replica_set_carries_its_marks_and_its_owner() -> None:
    body = build_replica_set(guarded(uid="gd-7"), CREATE, "digest-b")
    assert body["metadata"] == {
        "name": "web-shop-6f8c2x",
        "namespace": "shop",
        "labels": {"app": "web", HASH_LABEL: "6f8c2x"},
        "annotations": {
            "tripswitch.dev/revision": "4",
            "tripswitch.dev/template-digest": "digest-b",
            "tripswitch.dev/desired-replicas": "3",
        },
        "ownerReferences": [
            {
                "apiVersion": "tripswitch.dev/v1alpha1",
                "kind": "GuardedDeployment",
                "name": "web",
                "uid": "gd-7",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert body["spec"]["replicas"] == 2


def test_the_hash_keeps_pods_of_revisions_apart() -> None:
    body = build_replica_set(guarded(), CREATE, "digest-b")
    marked = {"app": "web", HASH_LABEL: "6f8c2x"}
    assert body["spec"]["selector"] == {"matchLabels": marked}
    assert body["spec"]["template"]["metadata"]["labels"] == marked
    assert body["spec"]["template"]["spec"] == {"containers": [{"name": "web", "image": "web:1"}]}


def test_expressions_of_the_selector_stay_and_min_ready_seconds_goes_along() -> None:
    expressions = [{"key": "app", "operator": "In", "values": ["web"]}]
    raw = guarded(selector={"matchExpressions": expressions}, minReadySeconds=0)
    spec = build_replica_set(raw, CREATE, "digest-b")["spec"]
    assert spec["selector"] == {
        "matchExpressions": expressions,
        "matchLabels": {HASH_LABEL: "6f8c2x"},
    }
    assert spec["minReadySeconds"] == 0


def test_building_a_body_changes_nothing_and_gives_the_same_twice() -> None:
    raw = guarded()
    before = json.dumps(raw)
    assert build_replica_set(raw, CREATE, "d") == build_replica_set(raw, CREATE, "d")
    assert json.dumps(raw) == before


def test_what_was_written_is_read_again() -> None:
    body = build_replica_set(guarded(), CREATE, "digest-b")
    body["metadata"] |= {"uid": "rs-9", "resourceVersion": "77"}
    seen = see_replica_set(body, None)
    assert (seen.owner, seen.namespace, seen.view.owned) == ("gd-1", "shop", True)
    assert (seen.view.revision, seen.view.template.digest, seen.view.size) == (4, "digest-b", 2)
    assert seen.view.sized_for == 3


def test_r7_a_size_is_written_together_with_the_replicas_it_was_decided_for() -> None:
    patch = build_patch(guarded(), ScaleReplicaSet("web-6f8c", "rs-1", "50", 20, sized_for=30))
    assert patch["spec"] == {"replicas": 20}
    seen = see_replica_set(replica_set(annotations=patch["metadata"]["annotations"]), None)
    assert seen.view.sized_for == 30


@pytest.mark.parametrize(
    ("written", "sized_for"), [("0", 0), ("12", 12), ("", None), ("many", None), (7, None)]
)
def test_r7_without_a_number_nothing_is_known_of_what_a_size_was_decided_for(
    written: object, sized_for: int | None
) -> None:
    raw = replica_set()
    raw["metadata"]["annotations"]["tripswitch.dev/desired-replicas"] = written
    assert see_replica_set(raw, None).view.sized_for == sized_for


def test_completion_survives_a_round_trip_to_the_millisecond() -> None:
    patch = build_patch(guarded(), MarkCompleted("web-6f8c", "rs-1", "50", T0 + 0.123))
    raw = replica_set(annotations=patch["metadata"]["annotations"])
    assert see_replica_set(raw, None).view.completed_at == T0 + 0.123


@pytest.mark.parametrize(
    "action",
    [
        ScaleReplicaSet("web-6f8c", "rs-1", "50", 3, 3),
        MarkCompleted("web-6f8c", "rs-1", "50", T0),
        AdoptReplicaSet("web-6f8c", "rs-1", "50"),
        ReleaseReplicaSet("web-6f8c", "rs-1", "50"),
    ],
)
def test_every_patch_has_its_preconditions(
    action: ScaleReplicaSet | MarkCompleted | AdoptReplicaSet | ReleaseReplicaSet,
) -> None:
    metadata = build_patch(guarded(), action)["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("rs-1", "50")


def test_why_pods_cannot_be_created_is_read() -> None:
    words = 'pods "web-x" is forbidden: exceeded quota'
    raw = replica_set(conditions=[{"type": "ReplicaFailure", "status": "True", "message": words}])
    assert see_replica_set(raw, None).view.create_error == words
    raw["status"]["conditions"][0]["status"] = "False"
    assert see_replica_set(raw, None).view.create_error == ""


@pytest.mark.parametrize(("status", "counted"), [({}, None), ({"replicas": 3}, 3)])
@pytest.mark.parametrize("see", [see_replica_set, see_guarded_replica_set])
def test_how_many_live_pods_its_controller_found_is_read(
    see: Callable[..., SeenReplicaSet], status: dict[str, Any], counted: int | None
) -> None:
    raw = decode(REPLICA_SETS, replica_set(**status))
    assert see(raw, None).view.counted == counted


def test_without_its_digest_it_still_is_a_revision_of_its_own() -> None:
    first = see_replica_set(replica_set(annotations={}), None)
    again = see_replica_set(replica_set(annotations={}), first)
    assert first.view.template.digest
    assert again.view == first.view
    assert first.view.revision == 0


def test_an_orphan_keeps_its_labels_and_one_of_somebody_else_is_nobodys_here() -> None:
    orphan = see_replica_set(replica_set(guard=None), None)
    assert (orphan.owner, orphan.view.owned) == (orphan_owner("shop"), False)
    assert orphan.labels == {"app": "web", HASH_LABEL: "6f8c"}
    foreign = replica_set()
    foreign["metadata"]["ownerReferences"][0]["kind"] = "Rollout"
    assert see_replica_set(foreign, None).owner == ""


@pytest.mark.parametrize(
    "reference",
    [
        {"kind": "GuardedDeployment", "apiVersion": "tripswitch.dev/v9", "uid": "gd-1"},
        {"kind": "GuardedDeployment", "apiVersion": "other.dev/v1", "controller": True},
        {"kind": "Deployment", "apiVersion": "apps/v1", "controller": True, "uid": "d"},
    ],
    ids=["not the controller", "another group", "another kind"],
)
def test_only_a_guarded_deployment_that_controls_it_guards_it(reference: dict[str, Any]) -> None:
    assert find_guard({"metadata": {"ownerReferences": [reference]}}) is None


SELECTORS: list[tuple[dict[str, Any], bool]] = [
    ({"matchLabels": {"app": "web"}}, True),
    ({"matchLabels": {"app": "api"}}, False),
    ({}, False),
    ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}, True),
    ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
    ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
    ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
    ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ({"matchExpressions": [{"key": "app", "operator": "Resembles"}]}, False),
    (
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "Exists"}],
        },
        False,
    ),
]


@pytest.mark.parametrize(("selector", "expected"), SELECTORS)
def test_selectors_select_as_kubernetes_does(selector: dict[str, Any], *, expected: bool) -> None:
    assert selector_matches(selector, {"app": "web"}) is expected


@given(JSON, JSON)
def test_a_selector_of_any_shape_selects_or_does_not(values: object, operator: object) -> None:
    """It is asked for every orphan, by the watch: raising would end that."""
    for odd in ("In", "NotIn", operator):
        expression = {"key": "app", "operator": odd, "values": values}
        selector = {"matchLabels": {}, "matchExpressions": [expression]}
        assert isinstance(selector_matches(selector, {"app": "web"}), bool)


@given(JSON)
def test_nothing_raises_on_arbitrary_json(raw: object) -> None:
    first = see_replica_set(raw, None)
    assert see_replica_set(raw, first) == first


@given(JSON, JSON, JSON)
def test_nothing_raises_on_arbitrary_parts(metadata: object, spec: object, status: object) -> None:
    raw = replica_set()
    for part, odd in (("metadata", metadata), ("spec", spec), ("status", status)):
        see_replica_set({**raw, part: odd}, None)
    see_replica_set({**raw, "spec": {"template": spec}}, None)
