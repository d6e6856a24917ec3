"""Rules F4 and H1 as stories: what a revision has shown, and crash loops that look healthy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import START, breaker_spec, pod, revision, running, waiting
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.rules.health import Experience
from tripswitch.domain.rules.history import find_experience
from tripswitch.domain.values.decision import DeletePod
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodView
from tripswitch.domain.values.states import RolloutState, RolloutStatus
from tripswitch.domain.values.time import Instant

S = RolloutStatus


def ready_after(
    world: ManualCluster, version: str, seconds: float, count: int | None = None
) -> ManualCluster:
    """Let pods become Ready now whose containers started so many seconds ago."""
    return world.become(
        version, lambda name, now: pod(name, running(now - seconds), ready_since=now), count
    )


def test_f4_the_slowest_pod_of_the_rollout_is_remembered_in_whole_seconds() -> None:
    world = started(replicas=2)
    ready_after(world.settle(50.0), "v1", 12.4, count=1).settle()
    assert world.record(1).ready_seconds == 13
    ready_after(world.settle(5.0), "v1", 45.0).settle()
    assert world.state() is S.SUCCESSFUL
    assert world.record(1).ready_seconds == 45


def test_f4_the_next_revision_has_three_times_as_long() -> None:
    world = started(replicas=2)
    ready_after(world.settle(50.0), "v1", 45.0).settle()
    world.apply("v2").settle(1.0).hang("v2").settle()
    assert world.settle(134.0).breaker().failure_count == 0
    decision = world.look(1.0)
    message = (
        "not Ready 135 s after its containers started (revision 1 took 45 s); if this is expected, "
        "set healthCheckGracePeriodSeconds or a startupProbe"
    )
    assert [f.message for f in decision.failures] == [message] * 2
    assert len([a for a in decision.actions if isinstance(a, DeletePod)]) == 2


def test_f4_a_first_revision_has_300_s() -> None:
    world = started(replicas=1).hang("v1").settle()
    assert world.settle(299.0).breaker().failure_count == 0
    assert world.settle(1.0).breaker().failure_count == 1


def test_f4_only_the_first_time_that_a_pod_is_ready_tells() -> None:
    world = started(replicas=2)
    ready_after(world.settle(20.0), "v1", 3.0, count=1).settle(5.0)
    found = world.replica_set("v1")
    first = found.pods[0]
    lost = replace(first, ready_since=None, unready_since=world.now)
    world.replica_sets[found.name] = replace(found, pods=(lost, found.pods[1]))
    world.settle(200.0)
    back = replace(first, ready_since=world.now)
    world.replica_sets[found.name] = replace(found, pods=(back, found.pods[1]))
    assert world.settle().record(1).ready_seconds == 3


def test_f4_a_pod_that_nobody_saw_start_tells_what_its_node_wrote() -> None:
    """By our clock it was Ready as soon as it started, and the next revision would have 60 s."""
    world = started(replicas=1).settle(200.0)
    world.become("v1", lambda name, now: pod(name, running(now), ready_since=now, ready_after=97.0))
    assert world.settle(10.0).record(1).ready_seconds == 97
    world.apply("v2").settle(1.0).hang("v2").settle()
    assert world.settle(290.0).breaker().failure_count == 0
    assert world.settle(1.0).breaker().failure_count == 1


def test_f4_pods_from_before_the_rollout_tell_nothing() -> None:
    """A rollback keeps what its target showed, whatever its old pods do."""
    world = completed(replicas=4).apply("v2").settle(1.0)
    shown = world.record(1).ready_seconds
    assert shown == 10
    found = world.replica_set("v1")
    flapped = replace(found.pods[0], ready_since=world.now + 900)
    world.settle(900.0)
    world.replica_sets[found.name] = replace(found, pods=(flapped, *found.pods[1:]))
    world.crash("v2").settle()
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.record(1).ready_seconds == shown


def test_f4_a_rollback_is_measured_by_what_its_target_has_shown() -> None:
    world = started(replicas=1)
    ready_after(world.settle(60.0), "v1", 50.0).settle()
    world.apply("v2").settle(1.0)
    world.delete_pods(world.replica_set("v1").name)
    world.crash("v2", runs=3).settle()
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    world.hang("v1").settle()
    assert world.settle(149.0).breaker().failure_count == 0
    assert world.settle(1.0).breaker().failure_count == 1


COMPLETED, FAILED = RolloutState.COMPLETED, RolloutState.FAILED


@pytest.mark.parametrize(
    ("last", "target", "found"),
    [
        pytest.param(1, 2, Experience(1, 45), id="that of the last completed revision"),
        pytest.param(None, 1, Experience(1, 45), id="the target's own, in a rollback"),
        pytest.param(1, 3, Experience(3, 60), id="the target's own, as it completed before"),
        pytest.param(4, 5, None, id="a completed revision of which nothing is known"),
        pytest.param(None, 2, None, id="what never completed has proved nothing"),
        pytest.param(None, 9, None, id="nothing has completed"),
    ],
)
def test_f4_whose_experience_counts(
    last: int | None, target: int, found: Experience | None
) -> None:
    revisions = (
        revision(1, ready_seconds=45),
        revision(2, FAILED, ready_seconds=90),
        revision(3, FAILED, ready_seconds=60, completed_at=START),
        revision(4),
    )
    assert find_experience(revisions, last, target) == found


# --- H1 -------------------------------------------------------------------------------------------


def beside(name: str, now: Instant, mesh: ContainerView, *, ready: bool) -> PodView:
    return pod(name, running(now - 60), mesh, ready_since=now if ready else None)


def mesh(now: Instant, restarts: int, lasted: float, probe: float | None) -> ContainerView:
    last = Ended(2, "Error", seconds=lasted) if restarts else None
    return running(
        now,
        "mesh",
        role=ContainerRole.SIDECAR,
        restarts=restarts,
        last_ended=last,
        readiness_budget=probe,
    )


def crash_on(
    world: ManualCluster, version: str, lasts: list[float], probe: float | None
) -> list[str]:
    """Let the sidecar of each pod crash again and again; return every status that was seen."""
    seen = []
    restarts, last = 0, 0.0
    for lasting in lasts:
        found = world.replica_set(version)
        up = tuple(
            beside(p.name, world.now, mesh(world.now, restarts, last, probe), ready=True)
            for p in found.pods
        )
        world.replica_sets[found.name] = replace(found, pods=up)
        world.settle()
        seen.append(world.state().value)
        world.settle(lasting - 0.001)
        seen.append(world.state().value)
        if not world.replica_set(version).size:
            break
        restarts, last = restarts + 1, lasting
        down = waiting(
            "CrashLoopBackOff",
            "mesh",
            role=ContainerRole.SIDECAR,
            restarts=restarts - 1,
            last_ended=Ended(2, "Error", seconds=lasting),
            readiness_budget=probe,
        )
        found = world.replica_set(version)
        pods = tuple(beside(p.name, world.now, down, ready=False) for p in found.pods)
        world.replica_sets[found.name] = replace(found, pods=pods)
        world.settle(0.001)
    return seen


@pytest.mark.parametrize("lasts", [[3.0] * 4, [6.0] * 4, [4.0, 8.0, 4.0, 8.0], [8.0, 4.0, 5.0]])
@pytest.mark.parametrize("probe", [None, 4.0], ids=["injected without a probe", "probed"])
def test_h1_a_sidecar_that_crash_loops_trips_and_never_completes(
    lasts: list[float], probe: float | None
) -> None:
    """The template's own container is probed; the sidecar is Ready for a moment at every start."""
    world = completed(replicas=4).apply("v2").settle(1.0)
    seen = crash_on(world, "v2", lasts, probe)
    assert S.SUCCESSFUL.value not in seen
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.sizes() == {"v1": 4}
    assert world.healthy() == 4


@pytest.mark.parametrize("lasts", [[6.0] * 6, [4.0, 8.0, 4.0, 8.0, 5.0], [8.0, 4.0, 5.0, 7.0]])
def test_h1_a_crash_loop_is_never_healthy_between_two_ends(lasts: list[float]) -> None:
    """Not even where nothing trips."""
    world = completed(replicas=4, breaker=breaker_spec(1000)).apply("v2").settle(1.0)
    seen = crash_on(world, "v2", lasts, probe=4.0)
    assert set(seen) == {S.IN_PROGRESS.value}
    assert world.rollout.healthy_high_water == 0


def test_h1_a_good_rollout_waits_once_for_its_first_pods() -> None:
    """The other pods of the revision are healthy as soon as they are Ready."""
    world = completed(replicas=4, breaker=breaker_spec(5)).apply("v2").settle(1.0)
    ready_after(world, "v2", 1.0).settle()
    assert world.healthy() == 4
    assert world.settle(8.9).state() is S.IN_PROGRESS
    world.settle(0.1)
    assert world.state() is S.SUCCESSFUL
    world.want(replicas=5).settle()
    ready_after(world, "v2", 0.0).settle()
    assert world.healthy() == 5


def test_h1_zero_seconds_complete_at_once() -> None:
    world = started(replicas=1, min_ready_seconds=0)
    ready_after(world, "v1", 0.0).settle()
    assert world.state() is S.SUCCESSFUL


def test_h1_a_node_that_is_started_again_does_not_fail_a_good_rollout() -> None:
    """Its pods had run for minutes. To outlast that run, as after a crash, they have no time (P1)."""
    world = completed(replicas=4).apply("v2").settle(1.0)
    ready_after(world, "v2", 11.0, count=3).settle(400.0)
    found = world.replica_set("v2")
    last = Ended(255, "Unknown", seconds=411.0)
    again = [
        pod(one.name, running(world.now, restarts=1, last_ended=last), unready_since=world.now)
        for one in found.pods[:3]
    ]
    world.put(replace(found, pods=(*again, *found.pods[3:]))).settle(3.0)
    ready = [replace(one, ready_since=world.now, unready_since=None) for one in again]
    world.put(replace(found, pods=(*ready, *found.pods[3:]))).settle()
    ready_after(world, "v2", 13.0).settle(250.0)
    assert world.state() is S.SUCCESSFUL
    assert world.sizes() == {"v2": 4}
