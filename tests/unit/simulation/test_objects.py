"""Objects in memory do what the API server and the ReplicaSet controller do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import pending_pod, pod, ready_pod, replica_set, template
from tripswitch.domain.values.decision import (
    CreateReplicaSet,
    DeletePod,
    DropPod,
    ScaleReplicaSet,
    SetAsidePod,
)
from tripswitch.domain.values.pods import PodPhase, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.simulation.objects import (
    Objects,
    Surroundings,
    apply_action,
    fill,
    keep_newest,
    keep_oldest,
)

NOW = 1_000.0


def make_pod(found: ReplicaSetView) -> PodView:
    return pending_pod(f"new-of-{found.name}-{len(found.pods)}")


AROUND = Surroundings(template("v1"), NOW, make_pod)


def names(found: ReplicaSetView) -> list[str]:
    return [one.name for one in found.pods]


def holding(*pods: PodView) -> tuple[Objects, ReplicaSetView]:
    found = replica_set(1, *pods)
    return Objects({found.name: found}), found


def test_a_replica_set_is_created_with_its_pods() -> None:
    after = apply_action(Objects(), CreateReplicaSet("web-1", 3, 1, 4), AROUND)
    made = after.replica_sets["web-1"]
    assert (made.revision, made.size, made.sized_for, made.created_at) == (3, 1, 4, NOW)
    assert names(made) == ["new-of-web-1-0"]


def test_pods_that_are_not_ready_leave_first_then_the_newest() -> None:
    pods = [ready_pod("old"), pending_pod("stuck"), ready_pod("young")]
    objects, found = holding(*pods)
    for size, staying in ((2, ["old", "young"]), (1, ["old"]), (0, [])):
        action = ScaleReplicaSet(found.name, found.uid, found.resource_version, size, 4)
        after = apply_action(objects, action, AROUND).replica_sets[found.name]
        assert names(after) == staying
    newest = fill(replace(found, size=1), replace(AROUND, choose_staying=keep_newest))
    assert names(newest) == ["young"]
    assert list(keep_oldest(pods, 9)) == [pods[0], pods[2], pods[1]]


def test_a_pod_that_has_ended_stays_and_is_made_up_for() -> None:
    ended = pod("ended", phase=PodPhase.FAILED)
    _, found = holding(ready_pod("a"), ended)
    assert names(fill(replace(found, size=2), AROUND))[:2] == ["a", "ended"]
    assert len(fill(replace(found, size=2), AROUND).pods) == 3


def test_a_deleted_pod_is_made_again_and_one_set_aside_is_kept_beside() -> None:
    objects, found = holding(ready_pod("a"), ready_pod("b"))
    gone = found.pods[0]
    after = apply_action(objects, DeletePod(gone.name, gone.uid, gone.resource_version), AROUND)
    assert names(after.replica_sets[found.name]) == ["b", f"new-of-{found.name}-1"]
    aside = SetAsidePod(gone.name, gone.uid, gone.resource_version, found.uid, 1, 60)
    after = apply_action(objects, aside, AROUND)
    assert names(after.replica_sets[found.name]) == ["b", f"new-of-{found.name}-1"]
    assert after.retained["a"].until == NOW + 60
    dropped = apply_action(after, DropPod(gone.name, gone.uid, gone.resource_version), AROUND)
    assert dropped.retained == {}


def test_nothing_is_done_to_an_object_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        apply_action(Objects(), ScaleReplicaSet("none", "uid", "1", 1, 1), AROUND)
    with pytest.raises(KeyError):
        apply_action(Objects(), DropPod("none", "uid", "1"), AROUND)
