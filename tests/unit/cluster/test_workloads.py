"""Deployments, StatefulSets and what they own, as the rules see them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster import guard_raws as raws
from tripswitch.cluster.hold_requests import build_hold_request
from tripswitch.cluster.workloads import (
    Target,
    find_target,
    see_controller_revision,
    see_guarded_pod,
    see_guarded_replica_set,
    see_workload,
)
from tripswitch.domain.values.hold_actions import (
    DisownFields,
    HoldAction,
    HoldWorkload,
    ReleaseWorkload,
    ReportTrip,
    ResizeRevision,
    WithdrawReport,
)
from tripswitch.domain.values.protection import HOLD_PARTITION, Mark, WorkloadKind
from tripswitch.domain.values.workload import Amount, Recreate, RollingUpdate

WEB = (WorkloadKind.DEPLOYMENT, "web", "uid-web", "10")
DB = (WorkloadKind.STATEFUL_SET, "db", "uid-db", "10")


def see_deployment(**more: Any) -> Any:
    return see_workload({**raws.deployment(**more), "kind": "Deployment"})


def see_db(**spec: Any) -> Any:
    return see_workload({**raws.stateful_set(**spec), "kind": "StatefulSet"})


def test_a_template_equals_that_of_its_replica_set() -> None:
    """The label that the Deployment controller adds is left out."""
    seen = see_guarded_replica_set(raws.replica_set(), None)
    assert see_deployment().template.digest == seen.view.template.digest
    other = see_guarded_replica_set(raws.replica_set(image="web:2"), None)
    assert see_deployment().template.digest != other.view.template.digest
    assert (seen.owner, seen.view.revision, seen.view.size) == ("uid-web", 1, 2)


def test_a_template_is_read_once() -> None:
    before = see_deployment()
    assert see_workload({**raws.deployment(), "kind": "Deployment"}, before).template is (
        before.template
    )
    seen = see_guarded_replica_set(raws.replica_set(), None)
    assert see_guarded_replica_set(raws.replica_set(), seen).view.template is seen.view.template
    made = see_controller_revision(raws.controller_revision(), None)
    again = see_controller_revision(raws.controller_revision(), made)
    assert again.view.template is made.view.template


@pytest.mark.parametrize(
    ("status", "complete"),
    [
        ({}, True),
        ({"updatedReplicas": 1}, False),
        ({"replicas": 3}, False),
        ({"availableReplicas": 1}, False),
        ({"observedGeneration": 2}, False),
    ],
)
def test_complete_is_what_its_own_controller_says(status: dict[str, int], complete: bool) -> None:  # noqa: FBT001
    raw = raws.deployment()
    raw["status"] |= status
    assert see_workload({**raw, "kind": "Deployment"}).complete is complete


def test_settings_and_their_defaults() -> None:
    plain = see_deployment()
    assert plain.strategy == RollingUpdate()
    assert (plain.progress_deadline, plain.revision_history_limit) == (None, 10)
    given = see_deployment(
        spec={
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "10%"}},
            "progressDeadlineSeconds": 2_147_483_647,
            "revisionHistoryLimit": 0,
            "minReadySeconds": 5,
            "replicas": None,
        }
    )
    assert given.strategy == RollingUpdate(Amount(1), Amount(10, percent=True))
    assert (given.progress_deadline, given.revision_history_limit) == (0, 0)
    assert (given.min_ready_seconds, given.replicas) == (5, 1)
    assert see_deployment(spec={"strategy": {"type": "Recreate"}}).strategy == Recreate()


def test_a_stateful_set_has_revisions_and_a_partition() -> None:
    seen = see_db()
    assert (seen.update_revision, seen.current_revision) == ("db-1a", "db-1a")
    assert (seen.partition, seen.on_delete) == (0, False)
    assert seen.strategy == RollingUpdate(Amount(0), Amount(1))
    other = see_db(updateStrategy={"type": "OnDelete"})
    assert (other.partition, other.on_delete) == (None, True)
    policies = ("OrderedReady", "Parallel", None)
    assert [see_db(podManagementPolicy=one).ordered for one in policies] == [True, False, True]


def test_who_resumed_it_is_the_manager_that_wrote_the_field_last() -> None:
    fields: dict[str, Any] = {"f:spec": {"f:paused": {}}}
    managed = [
        {"manager": "kubectl", "time": "2027-01-15T08:00:00Z", "fieldsV1": fields},
        {"manager": "argocd", "time": "2027-01-15T09:00:00Z", "fieldsV1": fields},
        {"manager": "hpa", "time": "2027-01-15T10:00:00Z", "fieldsV1": {"f:spec": {}}},
    ]
    assert see_deployment(metadata={"managedFields": managed}).holder == "argocd"
    assert see_deployment().holder == ""


@pytest.mark.parametrize(
    ("manager", "paused", "others"),
    [
        ("tripswitch", True, False),
        ("kubectl-rollout", True, True),
        ("kubectl-rollout", None, False),
        ("", True, False),
    ],
    ids=["ours", "a person's", "none", "nobody's, as far as is known"],
)
def test_whose_a_pause_is_stands_in_the_managed_fields(
    manager: str, *, paused: bool | None, others: bool
) -> None:
    """G6."""
    managed = [{"manager": manager, "fieldsV1": {"f:spec": {"f:paused": {}}}}]
    seen = see_deployment(metadata={"managedFields": managed}, spec={"paused": paused})
    assert (seen.paused, seen.paused_by_others) == (bool(paused), others)


OWN: dict[str, Any] = {"f:updateStrategy": {"f:rollingUpdate": {"f:partition": {}}}}


@pytest.mark.parametrize(
    ("entry", "owned"),
    [
        ({"manager": "tripswitch", "fieldsV1": {"f:spec": OWN}}, 1),
        ({"manager": "kubectl", "fieldsV1": {"f:spec": OWN}}, None),
        ({"manager": "tripswitch", "fieldsV1": {"f:spec": OWN, "f:metadata": {}}}, None),
        ({"manager": "tripswitch", "fieldsV1": {"f:spec": {**OWN, "f:replicas": {}}}}, None),
        ({"manager": "tripswitch", "subresource": "status", "fieldsV1": {"f:status": {}}}, None),
    ],
    ids=["ours", "somebody else's", "held", "more than a partition", "the status"],
)
def test_a_partition_that_is_ours_and_nothing_else_is_found(
    entry: dict[str, Any], owned: int | None
) -> None:
    """G5."""
    raw = raws.stateful_set()
    raw["metadata"]["managedFields"] = [{"manager": "kubectl-client-side-apply"}, entry]
    assert see_workload({**raw, "kind": "StatefulSet"}).owned == owned


def test_an_entry_of_the_managed_fields_is_removed_from_the_version_that_was_looked_at() -> None:
    request = build_hold_request(DisownFields(*DB, entry=3), 0.0)
    assert request.content_type == "application/json-patch+json"
    assert request.body == [
        {"op": "replace", "path": "/metadata/uid", "value": "uid-db"},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "10"},
        {"op": "remove", "path": "/metadata/managedFields/3"},
    ]


@pytest.mark.parametrize(
    ("changed", "mark"),
    [
        ('{"breaker": "b", "partition": 2}', Mark("web-2", "b", 2)),
        ('{"breaker": "b", "paused": false}', Mark("web-2", "b")),
        ("nonsense", Mark("web-2")),
        ("[]", Mark("web-2")),
        (None, Mark("web-2")),
    ],
)
def test_a_mark_is_read_as_far_as_it_makes_sense(changed: str | None, mark: Mark) -> None:
    annotations = {"tripswitch.dev/tripped": "web-2", "tripswitch.dev/changed": changed}
    assert see_deployment(metadata={"annotations": annotations}).mark == mark


def test_hostile_objects_are_read_too() -> None:
    for raw in ({}, {"metadata": [], "spec": 7, "status": "x"}, {"spec": {"replicas": "many"}}):
        assert see_workload(raw).name == ""
        assert see_guarded_replica_set(raw, None).owner == ""
        assert see_controller_revision(raw, None).view.size == 0
        assert find_target(raw) is None


def test_children_name_their_workload() -> None:
    assert find_target(raws.replica_set()) == Target("Deployment", "shop", "web")
    assert find_target(raws.pod()) == Target("Deployment", "shop", "web")
    assert find_target(raws.stateful_pod()) == Target("StatefulSet", "shop", "db")
    assert find_target(raws.controller_revision()) == Target("StatefulSet", "shop", "db")
    assert find_target(raws.pod(ending="")) is None


def test_a_pod_of_a_stateful_set_is_its_revisions() -> None:
    made = see_controller_revision(raws.controller_revision(number=4), None)
    pod = see_guarded_pod(raws.stateful_pod(), None, 0.0)
    assert pod.owner == made.view.uid
    assert (made.view.revision, made.view.template.digest) == (4, "db-1a")
    assert see_guarded_pod(raws.pod(), None, 0.0).owner == "rs-6f8c"


def test_why_a_replica_set_cannot_make_pods() -> None:
    raw = raws.replica_set()
    raw["status"] = {
        "conditions": [
            {"type": "Other", "status": "True"},
            {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"},
        ]
    }
    assert see_guarded_replica_set(raw, None).view.create_error == "exceeded quota"


def carry_out(raw: dict[str, Any], action: HoldAction) -> dict[str, Any]:
    """Merge a patch as the API server does, as far as these patches go."""
    return _merge(raw, build_hold_request(action, 0.0).body)


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(merged.get(key) or {}, value)
        elif key == "conditions":
            named = {one["type"]: one for one in [*merged.get(key, []), *value]}
            merged[key] = [one for one in named.values() if one.get("$patch") != "delete"]
        else:
            merged[key] = value
    return merged


@pytest.mark.parametrize("partition", [0, None])
def test_what_a_trip_writes_is_read_again_and_taken_back_exactly(partition: int | None) -> None:
    """G4, G5."""
    web = {**raws.deployment(), "kind": "Deployment"}
    mark = Mark("web-2", "uid-breaker", completed="web-1")
    held = carry_out(carry_out(web, HoldWorkload(*WEB, mark)), ReportTrip(*WEB, "bad"))
    seen = see_workload(held)
    assert (seen.paused, seen.mark) == (True, mark)
    assert (seen.stalled, seen.deadline_exceeded) == (True, True)
    free = carry_out(carry_out(held, ReleaseWorkload(*WEB, resume=True)), WithdrawReport(*WEB))
    assert free["spec"] == web["spec"]
    assert free["metadata"]["annotations"] == {}
    assert not see_workload(free).stalled
    db = {**raws.stateful_set(), "kind": "StatefulSet"}
    db["spec"]["updateStrategy"]["rollingUpdate"] = (
        {} if partition is None else {"partition": partition}
    )
    mark = Mark("db-2", "uid-breaker", partition)
    held = carry_out(carry_out(db, HoldWorkload(*DB, mark)), ReportTrip(*DB, "bad"))
    seen = see_workload(held)
    assert (seen.partition, seen.mark, seen.stalled) == (HOLD_PARTITION, mark, True)
    free = carry_out(held, ReleaseWorkload(*DB, resume=True, partition=partition))
    assert free["spec"] == db["spec"]


def test_a_workload_that_was_resumed_keeps_what_it_has() -> None:
    body = build_hold_request(ReleaseWorkload(*WEB, resume=False), 0.0).body
    assert "spec" not in body


def test_a_resize_writes_the_size_and_what_it_was_decided_for() -> None:
    request = build_hold_request(ResizeRevision("web-2", "rs-2", "7", 0, "uid-web", 3, 4), 0.0)
    assert request.body == {
        "metadata": {
            "uid": "rs-2",
            "resourceVersion": "7",
            "annotations": {
                "deployment.kubernetes.io/desired-replicas": "3",
                "deployment.kubernetes.io/max-replicas": "4",
            },
        },
        "spec": {"replicas": 0},
    }


def test_a_replica_set_shows_the_replicas_that_its_size_was_decided_for() -> None:
    raw = raws.replica_set()
    assert see_guarded_replica_set(raw, None).view.sized_for is None
    raw["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = "5"
    assert see_guarded_replica_set(raw, None).view.sized_for == 5
    raw["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = "many"
    assert see_guarded_replica_set(raw, None).view.sized_for is None
