"""Worlds that Kubernetes could not produce are refused: a counterexample in one would be worthless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.sim.consistency import (
    ImpossibleWorldError,
    check_pod_change,
    check_set_change,
    check_snapshot,
    check_status_change,
    compute_phase,
)
from tests.sim.objects import RawPod, RawSet
from tests.support.builders import (
    START,
    ended,
    pod,
    ready_pod,
    replica_set,
    rollout,
    running,
    snapshot,
    waiting,
)
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Template

NEW = RawPod(
    "a", "uid-a", "rs", "web", START, version=1, containers=(ContainerView("web"),), ledger=(0,)
)
UP = replace(
    NEW,
    version=2,
    phase=PodPhase.RUNNING,
    node="node-1",
    ready=True,
    ready_written=START,
    ready_really=START,
    containers=(ContainerView("web", running_since=START, started=True),),
)
ENDED = ContainerView("web", restarts=1, running_since=START, started=True, last_ended=Ended(1))
AGAIN = replace(UP, version=3, containers=(ENDED,), ledger=(1,))
OLD_SET = RawSet("web", "uid-rs", "guard", 1, Template("v1"), 2, START, version=5)


def test_a_possible_life_of_a_pod_is_accepted() -> None:
    check_pod_change(None, NEW)
    check_pod_change(NEW, UP)
    check_pod_change(UP, AGAIN)
    check_pod_change(AGAIN, replace(AGAIN, version=4, deleting=True))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param(None, UP, "begins in the middle", id="born Ready"),
        pytest.param(UP, replace(UP, version=2), "back in time", id="no new version"),
        pytest.param(UP, replace(UP, version=3, name="b"), "another one", id="renamed"),
        pytest.param(
            replace(UP, deleting=True), replace(UP, version=3), "back to life", id="undeleted"
        ),
        pytest.param(
            replace(UP, phase=PodPhase.FAILED, ready=False, ready_really=None),
            replace(UP, version=3),
            "went on after its end",
            id="went on after it failed",
        ),
        pytest.param(
            replace(UP, disrupted=True), replace(UP, version=3), "was disrupted", id="not disrupted"
        ),
        pytest.param(UP, replace(UP, version=3, node="node-2"), "moved", id="moved"),
        pytest.param(UP, replace(UP, version=3, node=""), "runs nowhere", id="runs nowhere"),
        pytest.param(
            AGAIN, replace(AGAIN, version=4, ledger=(0,)), "undid a failure", id="undid a failure"
        ),
        pytest.param(
            AGAIN,
            replace(AGAIN, version=4, containers=(replace(ENDED, restarts=0),)),
            "undid a restart",
            id="undid a restart",
        ),
        pytest.param(
            replace(AGAIN, containers=(replace(ENDED, restarts=0),)),
            replace(AGAIN, version=4, containers=(replace(ENDED, restarts=0, last_ended=None),)),
            "forgot its end",
            id="forgot an end",
        ),
        pytest.param(NEW, replace(NEW, version=2, ledger=()), "ledger", id="another ledger"),
        pytest.param(
            UP, replace(UP, version=3, phase=PodPhase.PENDING), "is Pending", id="Pending and up"
        ),
        pytest.param(
            UP,
            replace(UP, version=3, containers=(ContainerView("web", running_since=START),)),
            "Ready and not running",
            id="Ready before its container is started",
        ),
        pytest.param(
            UP, replace(UP, version=3, ready_really=None), "since never", id="Ready since never"
        ),
        pytest.param(
            replace(NEW, node="n"),
            replace(NEW, node="n", version=2, by_node=True),
            "was not up",
            id="lost and never up",
        ),
    ],
)
def test_an_impossible_pod_is_refused(old: RawPod | None, new: RawPod, words: str) -> None:
    with pytest.raises(ImpossibleWorldError, match=words):
        check_pod_change(old, new)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda rs: replace(rs, size=-1), "negative", id="fewer than no pods"),
        pytest.param(lambda rs: replace(rs, revision=2), "another one", id="another revision"),
        pytest.param(lambda rs: replace(rs, version=5), "back in time", id="no new version"),
    ],
)
def test_an_impossible_replica_set_is_refused(
    change: Callable[[RawSet], RawSet], words: str
) -> None:
    check_set_change(None, OLD_SET)
    check_set_change(OLD_SET, replace(OLD_SET, version=6, size=3))
    with pytest.raises(ImpossibleWorldError, match=words):
        check_set_change(OLD_SET, change(replace(OLD_SET, version=6)))


def test_a_replica_set_does_not_come_back_to_life() -> None:
    with pytest.raises(ImpossibleWorldError, match="back to life"):
        check_set_change(replace(OLD_SET, deleting=True), replace(OLD_SET, version=6))


def test_a_status_that_the_api_server_would_round_is_refused() -> None:
    check_status_change(Status(), Status(Memory(rollout=rollout(started_at=START + 0.125))))
    with pytest.raises(ImpossibleWorldError, match="finer than a millisecond"):
        check_status_change(Status(), Status(Memory(rollout=rollout(started_at=START + 0.0001))))
    with pytest.raises(ImpossibleWorldError, match="younger generation"):
        check_status_change(
            Status(Memory(observed_generation=2)), Status(Memory(observed_generation=1))
        )


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        pytest.param((replica_set(1), replica_set(1)), "one name or UID", id="two of one name"),
        pytest.param(
            (replica_set(1, ready_pod("a")), replica_set(2, ready_pod("a"))),
            "two pods of one UID",
            id="a pod in two ReplicaSets",
        ),
        pytest.param((replica_set(1, size=-1),), "negative", id="fewer than no pods"),
        pytest.param(
            (replica_set(1, completed_at=START - 1),), "before it was created", id="early"
        ),
        pytest.param(
            (replica_set(1, pod("a", running(waiting="CrashLoopBackOff"))),),
            "two states",
            id="running and waiting",
        ),
        pytest.param(
            (replica_set(1, pod("a", waiting("ErrImagePull", started=True))),),
            "started and not running",
            id="started and waiting",
        ),
        pytest.param(
            (replica_set(1, pod("a", running(restarts=1))),),
            "never ended",
            id="restarted without an end",
        ),
        pytest.param(
            (
                replica_set(
                    1,
                    pod(
                        "a", waiting("PodInitializing", "setup", role=ContainerRole.INIT), running()
                    ),
                ),
            ),
            "before its time",
            id="an app container before its init container",
        ),
        pytest.param(
            (replica_set(1, ready_pod("a", unready_since=START)),), "Ready and not", id="both"
        ),
        pytest.param(
            (replica_set(1, pod("a", waiting("ErrImagePull"), unready_by_node=True)),),
            "was not up",
            id="lost and never up",
        ),
        pytest.param(
            (replica_set(1, pod("a", running(), phase=PodPhase.PENDING)),), "is Pending", id="phase"
        ),
        pytest.param(
            (replica_set(1, pod("a", ended(), ready_since=START)),),
            "Ready and not running",
            id="Ready and ended",
        ),
    ],
)
def test_an_impossible_snapshot_is_refused(sets: tuple[ReplicaSetView, ...], words: str) -> None:
    check_snapshot(snapshot(None, replica_set(3, ready_pod("b"))))
    with pytest.raises(ImpossibleWorldError, match=words):
        check_snapshot(snapshot(None, *sets))


@pytest.mark.parametrize(
    ("containers", "phase"),
    [
        pytest.param((waiting("ContainerCreating"),), PodPhase.PENDING, id="not begun"),
        pytest.param((running(),), PodPhase.RUNNING, id="up"),
        pytest.param((ended(),), PodPhase.RUNNING, id="ended, to be restarted"),
        pytest.param(
            (ended(1, name="setup", role=ContainerRole.INIT), running()),
            PodPhase.PENDING,
            id="an init container failed",
        ),
        pytest.param(
            (ended(0, name="setup", role=ContainerRole.INIT), running()),
            PodPhase.RUNNING,
            id="an init container is done",
        ),
    ],
)
def test_the_phase_follows_from_the_containers(
    containers: tuple[ContainerView, ...], phase: PodPhase
) -> None:
    assert compute_phase(containers) is phase
