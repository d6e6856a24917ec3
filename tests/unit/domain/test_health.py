"""Rules H1, S1 and F4: when a pod is RUNNING, healthy, and late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import (
    BUDGET,
    START,
    container,
    crash_looping,
    ended,
    failed_pod,
    pending_pod,
    pod,
    ready_pod,
    replica_set,
    restarted,
    running,
    spec,
    terminating,
    unready_pod,
    waiting,
)
from tripswitch.domain.rules.health import (
    RUNNING_SECONDS,
    Expectations,
    Experience,
    effective_min_ready_seconds,
    expect,
    health_deadline,
    healthy_at,
    running_at,
)
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase, PodView
from tripswitch.domain.values.workload import Readiness

PROBED = Readiness(all_probed=True, budget=BUDGET)
BARE = Readiness()
LONG = Readiness(all_probed=True, budget=90.0)
GATED = Readiness(all_probed=True, budget=BUDGET, gated=True)
RUNNING = START + RUNNING_SECONDS


@pytest.mark.parametrize(
    ("given", "readiness", "seconds"),
    [
        pytest.param(None, PROBED, 0, id="every app container has a readiness probe"),
        pytest.param(None, BARE, 40, id="no probe: the 40 s of ECS"),
        pytest.param(0, BARE, 0, id="0 asked for"),
        pytest.param(0, PROBED, 0, id="0 asked for with probes"),
        pytest.param(7, BARE, 7, id="7 s asked for without a probe"),
        pytest.param(90, PROBED, 90, id="90 s asked for with probes"),
    ],
)
def test_h1_the_effective_min_ready_seconds(
    given: int | None, readiness: Readiness, seconds: int
) -> None:
    found = effective_min_ready_seconds(given, all_probed=readiness.all_probed)
    assert found == seconds


@pytest.mark.parametrize(
    ("of", "at"),
    [
        pytest.param(ready_pod(), START + 10, id="Ready for long enough"),
        pytest.param(unready_pod(), None, id="not Ready"),
        pytest.param(terminating(ready_pod()), None, id="being deleted"),
        pytest.param(replace(ready_pod(), phase=PodPhase.FAILED), None, id="failed"),
        pytest.param(replace(ready_pod(), phase=PodPhase.SUCCEEDED), None, id="succeeded"),
        pytest.param(replace(ready_pod(), phase=PodPhase.UNKNOWN), START + 10, id="unknown phase"),
        pytest.param(replace(ready_pod(), disrupted=True), START + 10, id="about to be evicted"),
    ],
)
def test_h1_a_pod_is_healthy_when_it_was_ready_for_long_enough(of: PodView, at: float) -> None:
    assert healthy_at(of, Expectations(BARE, min_ready=10)) == at


PROVED = Expectations(PROBED, proved=True)
UNPROVED = Expectations(PROBED)
UP = START - 3
SIDECAR, INIT = ContainerRole.SIDECAR, ContainerRole.INIT


def after_run(seconds: float, since: float = START, **fields: Any) -> ContainerView:
    """Return a container that is up again after a run that lasted so long."""
    last = Ended(2, "Error", seconds=seconds)
    return running(since, **{"restarts": 1, "last_ended": last, **fields})


def after_node(seconds: float, restarts: int = 1, reason: str = "Unknown") -> ContainerView:
    """Return a container that is up again after a run whose end its node lost sight of."""
    return running(START, restarts=restarts, last_ended=Ended(255, reason, seconds=seconds))


def resized(seconds: float, generation: int = 2, reason: str = "Error", **fields: Any) -> PodView:
    """Return a pod that was changed in place, of a container that a resize restarts."""
    last = Ended(137, reason, seconds=seconds)
    one = after_run(seconds, **{"last_ended": last, "resize_restarts": True, **fields})
    return replace(ready(one), generation=generation)


def ready(*containers: ContainerView) -> PodView:
    return pod("a", *containers, ready_since=START)


@pytest.mark.parametrize(
    ("of", "expected", "at"),
    [
        pytest.param(ready(running(UP)), PROVED, START, id="Ready, in a revision that has proved"),
        pytest.param(ready(running(UP)), UNPROVED, UP + 10, id="the first pod runs for 10 s"),
        pytest.param(
            ready(running(UP)), Expectations(PROBED, min_ready=0), START, id="0 s are asked for"
        ),
        pytest.param(
            ready(running(START - 11)), UNPROVED, START, id="it took long enough to be Ready"
        ),
        pytest.param(
            ready(running(START - 11), running(UP, "log")),
            UNPROVED,
            UP + 10,
            id="every container runs for 10 s",
        ),
        pytest.param(
            ready(running(START - 11), running(UP, "mesh", role=SIDECAR)),
            UNPROVED,
            UP + 10,
            id="and every sidecar",
        ),
        pytest.param(
            ready(running(START - 11), ended(0, name="setup", role=INIT, restarts=3)),
            UNPROVED,
            START,
            id="what an init container did is over",
        ),
        pytest.param(ready(), PROVED, START, id="no container is known"),
        pytest.param(
            ready(running(UP), running(UP, "mesh", readiness_budget=None)),
            PROVED,
            START + 40,
            id="a container that only the pod has, without a probe",
        ),
        pytest.param(
            ready(running(UP), running(UP, "mesh", role=SIDECAR, readiness_budget=None)),
            PROVED,
            START + 40,
            id="a sidecar that only the pod has, without a probe",
        ),
        pytest.param(
            ready(running(UP), ended(0, name="setup", role=INIT, readiness_budget=None)),
            PROVED,
            START,
            id="an init container has no probe",
        ),
        pytest.param(
            ready(running(UP), running(UP, "mesh", readiness_budget=None)),
            Expectations(PROBED, min_ready=7),
            START + 7,
            id="what is asked for counts, whatever the pod has",
        ),
        pytest.param(ready(after_run(6)), PROVED, START + 7, id="longer than its last run"),
        pytest.param(
            ready(after_run(6)),
            Expectations(PROBED, min_ready=0),
            START + 7,
            id="also where 0 s are asked for",
        ),
        pytest.param(
            ready(running(UP), after_run(6, UP, name="mesh", role=SIDECAR)),
            PROVED,
            UP + 7,
            id="of any of its containers",
        ),
        pytest.param(ready(after_run(4)), UNPROVED, START + 10, id="and the 10 s of the first"),
        pytest.param(ready(after_run(599)), PROVED, START + 600, id="a slow crash loop"),
        pytest.param(ready(after_run(600)), PROVED, START, id="a run of 600 s is part of no loop"),
        pytest.param(ready(after_node(400)), PROVED, START, id="its node was started again"),
        pytest.param(ready(after_node(400)), UNPROVED, START + 10, id="and the 10 s of the first"),
        pytest.param(
            ready(after_node(0, reason="ContainerStatusUnknown")),
            PROVED,
            START,
            id="its node lost sight of it",
        ),
        pytest.param(
            ready(after_node(6, restarts=2)),
            PROVED,
            START + 7,
            id="a run before that one may have crashed",
        ),
        pytest.param(
            ready(after_run(400), ended(0, name="setup", role=INIT, restarts=1)),
            PROVED,
            START,
            id="it was ended for a new sandbox",
        ),
        pytest.param(
            ready(after_run(6, restarts=2), ended(0, name="setup", role=INIT, restarts=1)),
            PROVED,
            START + 7,
            id="it crashed, too, besides",
        ),
        pytest.param(resized(400), PROVED, START, id="it was ended for a resize"),
        pytest.param(resized(6, restarts=2), PROVED, START + 7, id="it ended without one, too"),
        pytest.param(resized(6, generation=1), PROVED, START + 7, id="nothing was resized"),
        pytest.param(resized(6, reason="OOMKilled"), PROVED, START + 7, id="no resize does that"),
        pytest.param(
            resized(6, resize_restarts=False),
            PROVED,
            START + 7,
            id="a resize would not have ended it",
        ),
        pytest.param(
            ready(after_run(6, restarts=0)), PROVED, START + 7, id="restartCount went back"
        ),
    ],
)
def test_h1_a_pod_is_healthy_when_its_containers_have_shown_that_they_stay(
    of: PodView, expected: Expectations, at: float
) -> None:
    assert healthy_at(of, expected) == at


def test_h1_one_pod_that_ran_for_long_enough_proves_its_revision() -> None:
    young = pod("b", running(START), ready_since=START)
    old = pod("a", running(START - 10), ready_since=START)
    assert expect(replica_set(1, young, old), spec(), START).proved
    assert not expect(replica_set(1, young), spec(), START).proved
    assert healthy_at(young, expect(replica_set(1, young, old), spec(), START)) == START


@pytest.mark.parametrize("lasts", [4, 5, 6, 7, 8])
def test_h1_a_crash_loop_is_never_healthy(lasts: int) -> None:
    """Whatever the run before lasted, between 4 and 8 s."""
    for before in (None, 4, 5, 6, 7, 8):
        end = None if before is None else Ended(2, "Error", seconds=before)
        mesh = running(START, "mesh", role=SIDECAR, last_ended=end)
        rs = replica_set(1, pod("a", running(START - 60), mesh, ready_since=START))
        assert not expect(rs, spec(), START + lasts).proved


@pytest.mark.parametrize(
    ("of", "at"),
    [
        pytest.param(unready_pod(), RUNNING, id="up"),
        pytest.param(
            pod("a", running(START + 7), running(START, "log")),
            START + 12,
            id="the last one counts",
        ),
        pytest.param(
            pod("a", running(START), running(START + 7, "log")), START + 12, id="in any order"
        ),
        pytest.param(pod("a", restarted(3, START + 9)), START + 14, id="counted from the restart"),
        pytest.param(unready_pod(since=0.0), RUNNING_SECONDS, id="at the beginning of time"),
        pytest.param(pod("a", running(started=False)), None, id="its startup probe goes on"),
        pytest.param(pod("a", running(), waiting("X", "log")), None, id="one container waits"),
        pytest.param(pod("a", running(), crash_looping(name="log")), None, id="one crash-loops"),
        pytest.param(
            pod("a", running(), container("setup", role=ContainerRole.INIT)),
            RUNNING,
            id="an init container need not run",
        ),
        pytest.param(
            pod("a", running(), container("mesh", role=ContainerRole.SIDECAR)),
            None,
            id="a restartable init container has to",
        ),
        pytest.param(pod("a", phase=PodPhase.RUNNING), None, id="no container is known"),
        pytest.param(
            pod("a", running(role=ContainerRole.INIT), phase=PodPhase.RUNNING),
            None,
            id="only an init container",
        ),
        pytest.param(pending_pod(), None, id="pending"),
        pytest.param(unready_pod(phase=PodPhase.PENDING), None, id="its phase is Pending"),
        pytest.param(unready_pod(phase=PodPhase.UNKNOWN), None, id="its phase is unknown"),
        pytest.param(terminating(unready_pod()), None, id="being deleted"),
        pytest.param(failed_pod(), None, id="failed"),
    ],
)
def test_s1_a_pod_is_running_when_all_containers_were_up_for_5_s(of: PodView, at: float) -> None:
    assert running_at(of) == at


LOST = START + 100


@pytest.mark.parametrize(
    ("of", "readiness", "grace", "deadline"),
    [
        pytest.param(unready_pod(), PROBED, 0, START + 60, id="60 s at least"),
        pytest.param(unready_pod(), LONG, 0, START + 90, id="the readiness budget"),
        pytest.param(unready_pod(), PROBED, 60, START + 120, id="the grace period comes on top"),
        pytest.param(unready_pod(), LONG, 60, START + 150, id="of the budget, too"),
        pytest.param(unready_pod(), BARE, 0, START + 60, id="no probe"),
        pytest.param(unready_pod(since=0.0), PROBED, 0, 60, id="at the beginning of time"),
        pytest.param(unready_pod(), GATED, 0, START + 120, id="60 s more with readiness gates"),
        pytest.param(
            unready_pod(gated=True), PROBED, 0, START + 120, id="also with gates of the pod's own"
        ),
        pytest.param(
            pod("a", running(), running(name="mesh", readiness_budget=95.0)),
            PROBED,
            0,
            START + 95,
            id="the budget of a container that only the pod has",
        ),
        pytest.param(
            pod("a", running(readiness_budget=None)), BARE, 0, START + 60, id="no probe at all"
        ),
        pytest.param(
            pod("a", running(), running(START + 7, "log")),
            PROBED,
            0,
            START + 67,
            id="from the start of the last container",
        ),
        pytest.param(
            pod("a", running(started_since=START + 100)),
            PROBED,
            0,
            START + 160,
            id="from when its startup probe succeeded: before, nobody asked whether it is ready",
        ),
        pytest.param(
            unready_pod(unready_since=LOST), PROBED, 60, LOST + 60, id="it was Ready and lost it"
        ),
        pytest.param(
            unready_pod(unready_since=LOST), LONG, 0, LOST + 90, id="it has its budget again"
        ),
        pytest.param(
            unready_pod(unready_since=LOST), GATED, 0, LOST + 120, id="it lost it, with gates"
        ),
        pytest.param(
            unready_pod(unready_since=START + 5),
            PROBED,
            300,
            START + 300,
            id="it lost it within the grace period",
        ),
        pytest.param(
            unready_pod(since=LOST + 50, unready_since=LOST),
            PROBED,
            0,
            LOST + 110,
            id="it lost it and restarted",
        ),
        pytest.param(ready_pod(), PROBED, 0, None, id="Ready"),
        pytest.param(
            unready_pod(unready_by_node=True), PROBED, 0, None, id="its node stopped reporting"
        ),
        pytest.param(pod("a", crash_looping()), PROBED, 0, None, id="not RUNNING"),
        pytest.param(terminating(unready_pod()), PROBED, 0, None, id="being deleted"),
    ],
)
def test_f4_the_health_deadline(
    of: PodView, readiness: Readiness, grace: int, deadline: float
) -> None:
    expected = Expectations(readiness, grace=grace, experience=Experience(1, 2))
    assert health_deadline(of, expected) == deadline


@pytest.mark.parametrize(
    ("took", "budget", "seconds"),
    [
        pytest.param(2, 31.0, 60, id="fast before: 60 s"),
        pytest.param(20, 31.0, 60, id="3 times 20 s are no more"),
        pytest.param(45, 31.0, 135, id="slow before: 3 times as long"),
        pytest.param(45, 200.0, 200, id="the budget is longer"),
        pytest.param(None, 31.0, 300, id="nothing has completed: 300 s"),
        pytest.param(None, 301.0, 301, id="nothing has completed, and the budget is longer"),
    ],
)
def test_f4_the_deadline_follows_from_what_the_last_revision_has_shown(
    took: int | None, budget: float, seconds: float
) -> None:
    shown = None if took is None else Experience(1, took)
    expected = Expectations(Readiness(all_probed=True, budget=budget), experience=shown)
    assert health_deadline(unready_pod(), expected) == START + seconds
