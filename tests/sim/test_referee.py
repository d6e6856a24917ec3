"""The bounds in the cluster itself (R3): what the operator may be held to, and what it could not know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim.api import ApiServer
from tests.sim.objects import RawGuarded, RawPod, RawSet
from tests.sim.operator import Look
from tests.sim.referee import CounterexampleError, Referee
from tests.support.builders import (
    START,
    guarded,
    ready_pod,
    replica_set,
    revision,
    rollout,
    snapshot,
    terminating,
    unready_pod,
)
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Decision, ScaleReplicaSet
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.pods import PodPhase, PodView
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Amount, RollingUpdate

NOW = START + 60
STATUS = Status(
    Memory(
        rollout=rollout(1, RolloutStatus.SUCCESSFUL, finished_at=START),
        desired_revision=1,
        last_completed_revision=1,
        revisions=(revision(1),),
    )
)
WISH = guarded(2, status=STATUS)


def judge(
    *,
    seen: tuple[PodView, ...],
    true: dict[str, bool],
    taken: str,
    became_ready: str = "",
    scaled_to: int = 0,
) -> Referee:
    """Let a ReplicaSet be lowered by one on what was seen, and judge the cluster after pods were taken.

    ``true``: every pod that is really there, and whether it is healthy. ``became_ready``: one that is
    Ready since the lowering, but not for long enough to be healthy. ``scaled_to``: the replicas that somebody asked
    for before the pods were taken.
    """
    api = ApiServer()
    shown = replica_set(1, *seen, size=len(seen), resource_version="7")
    size = len(seen) - 1
    name, template = shown.name, shown.template
    wish = replace(WISH, spec=replace(WISH.spec, min_ready_seconds=30))
    api.guarded = RawGuarded("web", "uid-web", wish.spec)
    api.sets = {shown.uid: RawSet(name, shown.uid, "uid-web", 1, template, size, START, version=8)}
    for pod, healthy in true.items():
        since = START if healthy else None
        api.pods[pod] = RawPod(
            pod, pod, shown.uid, name, START, phase=PodPhase.RUNNING, ready_really=since
        )
    referee = Referee(api, decide, calm=True)
    lower = ScaleReplicaSet(name, shown.uid, "7", size, sized_for=2)
    referee.accepted(Look(snapshot(wish, shown), Decision(STATUS, (lower,)), NOW, {}))
    if scaled_to:
        referee.check_world(NOW)
        more = replace(wish.spec, replicas=scaled_to)
        api.guarded = replace(api.guarded, spec=more)
        referee.scaled()
    for pod in taken:
        del api.pods[pod]
    api.version += 1
    if became_ready:
        api.pods[became_ready] = replace(api.pods[became_ready], ready_really=NOW)
    referee.check_world(NOW)
    return referee


A, B, C = (ready_pod(name, uid=name) for name in "abc")
UNREADY = unready_pod("b", uid="b")


def test_r3_a_pod_that_was_known_as_healthy_must_not_be_missed() -> None:
    with pytest.raises(CounterexampleError, match="1 pods healthy, at least 2"):
        judge(seen=(A, B), true={"a": True, "b": True}, taken="b")


def test_r3_nobody_could_know_that_a_pod_had_become_ready_before_another_went_in_its_place() -> (
    None
):
    judged = judge(seen=(A, UNREADY), true={"a": True, "b": True}, taken="a")
    assert judged.seen["lowered with old knowledge"] == 1


def test_r3_nobody_could_know_that_a_pod_had_been_taken_already() -> None:
    judged = judge(seen=(A, B, C), true={"a": True, "b": True}, taken="b")
    assert judged.seen["lowered with old knowledge"] == 1


def test_r3_a_pod_that_became_ready_before_it_was_taken_stands_in_for_the_one_that_was() -> None:
    true = {"a": True, "b": False, "c": True}
    judge(seen=(A, UNREADY, C), true=true, taken="c", became_ready="b")
    with pytest.raises(CounterexampleError, match="1 pods healthy, at least 2"):
        judge(seen=(A, UNREADY, C), true=true, taken="c")


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param((A, UNREADY), id="the one that was known as healthy"),
        pytest.param((A, terminating(C), UNREADY), id="and another was seen to go"),
    ],
)
def test_r3_what_was_known_has_to_stay_all_the_same(seen: tuple[PodView, ...]) -> None:
    with pytest.raises(CounterexampleError, match="0 pods healthy, at least 1"):
        judge(seen=seen, true={"a": True, "b": False}, taken="a")


def test_r3_what_was_lowered_before_somebody_scaled_up_may_go_after() -> None:
    """The lower bound was 2 when the pod was told to go; that it is 8 since does not bring it back (world 30000414)."""
    true = {"a": True, "b": True, "c": True}
    judge(seen=(A, B, C), true=true, taken="c", scaled_to=8)
    with pytest.raises(CounterexampleError, match="1 pods healthy, at least 2"):
        judge(seen=(A, B, C), true=true, taken="bc", scaled_to=8)


ONE_BY_ONE = RollingUpdate(max_surge=Amount(0), max_unavailable=Amount(1))


@pytest.mark.parametrize("was_seen", [False, True])
def test_r3_nobody_could_know_of_a_pod_that_replaced_a_rejected_one_a_moment_ago(
    *, was_seen: bool
) -> None:
    """A ReplicaSet is lowered and another one raised; the pod that a third one stands for is still there."""
    api = ApiServer()
    rejected = replace(unready_pod("x", uid="x"), phase=PodPhase.FAILED)
    replacement = unready_pod("y", uid="y")
    pods = (rejected, *((replacement,) if was_seen else ()))
    going = replica_set(2, *pods, size=1, resource_version="7")
    staying = replica_set(1, A, size=1, resource_version="9")
    wish = replace(WISH, spec=replace(WISH.spec, strategy=ONE_BY_ONE))
    api.guarded = RawGuarded("web", "uid-web", wish.spec)
    for one, size, version in ((going, 0, 8), (staying, 2, 10)):
        raw = RawSet(one.name, one.uid, "uid-web", 1, one.template, size, START, version=version)
        api.sets[one.uid] = raw
    phases = {"x": PodPhase.FAILED, "y": PodPhase.PENDING}
    for name, phase in phases.items():
        api.pods[name] = RawPod(name, name, going.uid, going.name, START, phase=phase)
    api.pods["a"] = RawPod("a", "a", staying.uid, staying.name, START, ready_really=START)
    referee = Referee(api, decide, calm=True)
    lower = ScaleReplicaSet(going.name, going.uid, "7", 0, sized_for=2)
    referee.accepted(Look(snapshot(wish, going, staying), Decision(STATUS, (lower,)), NOW, {}))
    if was_seen:
        with pytest.raises(CounterexampleError, match="3 pods planned, at most 2"):
            referee.check_world(NOW)
    else:
        referee.check_world(NOW)
