"""Rules H1, S1 and F4: when a pod is RUNNING, healthy, and late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import (
    BUDGET,
    START,
    container,
    crash_looping,
    failed_pod,
    pending_pod,
    pod,
    ready_pod,
    restarted,
    running,
    spec,
    terminating,
    unready_pod,
    waiting,
)
from tripswitch.domain.health import (
    RUNNING_SECONDS,
    effective_min_ready_seconds,
    health_deadline,
    healthy_at,
    running_at,
)
from tripswitch.domain.model import ContainerRole, PodPhase, PodView, Readiness

PROBED = Readiness(all_probed=True, budget=BUDGET)
BARE = Readiness()
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
    assert effective_min_ready_seconds(spec(min_ready_seconds=given), readiness) == seconds


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
    assert healthy_at(of, 10) == at


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
        pytest.param(unready_pod(), PROBED, 0, START + 30, id="the readiness budget"),
        pytest.param(unready_pod(), PROBED, 60, START + 90, id="the grace period comes on top"),
        pytest.param(unready_pod(), BARE, 0, RUNNING, id="never before it is RUNNING"),
        pytest.param(unready_pod(since=0.0), PROBED, 0, BUDGET, id="at the beginning of time"),
        pytest.param(unready_pod(), BARE, 5, RUNNING, id="as long as RUNNING takes"),
        pytest.param(unready_pod(), BARE, 6, START + 6, id="longer than RUNNING takes"),
        pytest.param(
            pod("a", running(), running(START + 7, "log")),
            PROBED,
            0,
            START + 37,
            id="from the start of the last container",
        ),
        pytest.param(
            pod("a", running(started_since=START + 100)),
            PROBED,
            0,
            START + 130,
            id="from when its startup probe succeeded: before, nobody asked whether it is ready",
        ),
        pytest.param(
            unready_pod(unready_since=LOST), PROBED, 60, LOST + 90, id="it was Ready and lost it"
        ),
        pytest.param(
            unready_pod(since=LOST + 50, unready_since=LOST),
            PROBED,
            0,
            LOST + 80,
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
    assert health_deadline(of, readiness, grace) == deadline
