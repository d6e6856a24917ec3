"""The soak's second opinion finds what it is there to find."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.pods import cannot_start, failures, is_ready
from benchmarks.soak.recount import Recount
from benchmarks.soak.subjects import Asked, Role, Subject
from tests.unit.cluster.raws import ended, pod, ready_pod, waiting
from tools.cluster.behaviours import BEHAVIOUR

Object = dict[str, Any]


def guard(status: str, *, bad: bool, states: dict[str, str], version: str = "2") -> Object:
    annotations = {"bench.tripswitch.dev/version": version, **({BEHAVIOUR: "crash"} if bad else {})}
    return {
        "metadata": {"uid": "gd", "name": "web", "generation": 2},
        "spec": {"replicas": 3, "template": {"metadata": {"annotations": annotations}}},
        "status": {
            "observedGeneration": 2,
            "rollout": {"status": status},
            "revisions": [
                {"replicaSet": name, "rolloutState": state} for name, state in states.items()
            ],
        },
    }


def replica_set(name: str, size: int, *, bad: bool = False, of: str = "gd") -> Object:
    annotations = {BEHAVIOUR: "crash"} if bad else {}
    return {
        "metadata": {
            "uid": f"uid-{name}",
            "name": name,
            "ownerReferences": [{"uid": of, "controller": True}],
        },
        "spec": {"replicas": size, "template": {"metadata": {"annotations": annotations}}},
    }


def crashed(name: str, parent: str) -> Object:
    ended_once = waiting("CrashLoopBackOff", lastState={"terminated": ended(2, "Error")})
    return pod(ended_once, name=name, uid=name, owner=f"uid-{parent}")


def rolled_back() -> Recount:
    """A bad revision of three crashed pods, tripped, scaled to 0; the old one serves."""
    subject = Subject(
        "web", "shop", Role.OWNED, asked=[Asked("1", None, 0), Asked("2", "crash", 0)]
    )
    recount = Recount({"web": subject})
    recount.see_guard("ADDED", guard("IN_PROGRESS", bad=True, states={}), 0)
    recount.see_replica_set("ADDED", replica_set("good", 3), 0)
    recount.see_replica_set("ADDED", replica_set("bad", 3, bad=True), 1)
    for number in range(3):
        old = ready_pod(name=f"old-{number}", uid=f"old-{number}", owner="uid-good")
        recount.see_pod("ADDED", old, 0)
        recount.see_pod("ADDED", crashed(f"new-{number}", "bad"), 2)
    recount.see_replica_set("MODIFIED", replica_set("bad", 0, bad=True), 3)
    for number in range(3):
        recount.see_pod("DELETED", crashed(f"new-{number}", "bad"), 4)
    states = {"good": "COMPLETED", "bad": "FAILED"}
    recount.see_guard("MODIFIED", guard("ROLLBACK_SUCCESSFUL", bad=True, states=states), 4)
    return recount


def test_a_rollback_as_it_should_be_has_no_faults() -> None:
    recount = rolled_back()
    assert recount.find_faults(60) == []
    assert recount.latencies() == [1]


def test_a_threshold_that_was_reached_without_a_trip_is_found() -> None:
    recount = rolled_back()
    recount.guards["gd"].failed.clear()
    assert recount.find_faults(60) == ["web: revision bad reached the threshold and never tripped"]


@pytest.mark.parametrize("at", [1.5, 2.5], ids=["before the threshold", "after it"])
def test_one_that_a_new_template_cut_short_is_none(at: float) -> None:
    recount = rolled_back()
    recount.guards["gd"].failed.clear()
    recount.guards["gd"].changed.append(at)
    assert recount.find_faults(60) == []


@pytest.mark.parametrize(
    ("status", "bad", "states", "fault"),
    [
        ("SUCCESSFUL", True, {"bad": "COMPLETED"}, "is bad and was COMPLETED"),
        ("FAILED", False, {"good": "FAILED"}, "is good and was FAILED"),
    ],
)
def test_wrong_ends_are_found(
    status: str, *, bad: bool, states: dict[str, str], fault: str
) -> None:
    recount = rolled_back()
    recount.see_guard("MODIFIED", guard(status, bad=bad, states=states, version="3"), 9)
    assert any(fault in found for found in recount.find_faults(60))


def test_leaks_are_found() -> None:
    recount = rolled_back()
    recount.see_replica_set("ADDED", replica_set("lost", 1, of="nobody"), 5)
    recount.see_pod("ADDED", ready_pod(name="p", uid="p", owner="uid-gone"), 5)
    assert recount.find_faults(60) == [
        "ReplicaSet lost outlived its owner",
        "ReplicaSet lost of size 1 has 0 pods",
        "a pod of nobody: p",
    ]


def test_pods_are_read_as_rule_f1_says() -> None:
    assert failures(crashed("a", "x")) == 1
    assert failures(pod(waiting("ContainerCreating"))) == 0
    assert cannot_start(pod(waiting("ErrImagePull")))
    assert not cannot_start(crashed("a", "x"))
    assert is_ready(ready_pod())
    assert not is_ready(ready_pod(metadata={"deletionTimestamp": "now"}))
