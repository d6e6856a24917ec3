"""The condition CrashLooping (H1, S3): slow crash loops of a completed revision are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import START, container, pod, running, waiting
from tests.support.manual_cluster import ManualCluster, completed
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended
from tripswitch.domain.values.states import RolloutStatus

INIT, SIDECAR = ContainerRole.INIT, ContainerRole.SIDECAR
LOST = "ContainerStatusUnknown"
MINUTE = Ended(1, "Error", seconds=60)
SAID = (
    "revision 1 completed, but container web of 4 pods restarted more than 3 times without running "
    "for 10 minutes"
)


def show(
    world: ManualCluster,
    *containers: ContainerView,
    count: int = 4,
    created_at: float | None = None,
) -> ManualCluster:
    """Give the first pods of revision 1 these containers; the pods are young unless told otherwise."""
    found = world.replica_set("v1")
    changed = tuple(
        pod(
            one.name,
            *containers,
            ready_since=one.ready_since,
            created_at=world.now if created_at is None else created_at,
        )
        for one in found.pods[:count]
    )
    world.replica_sets[found.name] = replace(found, pods=(*changed, *found.pods[count:]))
    return world.settle(1.0)


def up(since: float = START, restarts: int = 4, last: Ended = MINUTE, **more: Any) -> ContainerView:
    return running(since, restarts=restarts, last_ended=last, **more)


def test_a_slow_crash_loop_is_shown_and_told_once() -> None:
    world = completed()
    show(world, waiting("CrashLoopBackOff", restarts=4, last_ended=MINUTE))
    found = world.condition("CrashLooping")
    assert found is not None
    assert (found.status, found.reason.value, found.message) == (True, "CrashLooping", SAID)
    assert world.events.count("CrashLooping") == 1
    show(world, up(world.now, restarts=5))
    show(world, waiting("CrashLoopBackOff", restarts=6, last_ended=MINUTE))
    assert world.events.count("CrashLooping") == 1
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_it_goes_when_the_containers_have_run_for_ten_minutes() -> None:
    world = completed()
    since = world.now
    show(world, up(since))
    assert world.look(since + 599 - world.now).wake_at == since + 600
    assert world.condition("CrashLooping") is not None
    world.look(1.0)
    assert world.condition("CrashLooping") is None


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(up(restarts=3), id="it restarted 3 times"),
        pytest.param(up(last=replace(MINUTE, seconds=600)), id="its last run was long"),
        pytest.param(up(last=Ended(137, LOST)), id="its node lost sight of its last run"),
        pytest.param(up(role=INIT), id="an init container"),
        pytest.param(running(START, restarts=9), id="nobody knows how it ended"),
        pytest.param(up(START - 600), id="it has run for ten minutes"),
    ],
)
def test_what_is_no_crash_loop(one: ContainerView) -> None:
    world = show(completed(), one, container("setup", role=INIT))
    assert world.condition("CrashLooping") is None
    assert "CrashLooping" not in world.events


LONG_AGO = START - 86_400.0


def crash(world: ManualCluster, restarts: int) -> None:
    """Let each container of a day-old pod, which restarted as often before, crash within a minute."""
    down = waiting("CrashLoopBackOff", restarts=restarts, last_ended=MINUTE)
    show(world, down, created_at=LONG_AGO)
    show(world, up(world.now, restarts + 1), created_at=LONG_AGO)


def test_restarts_before_a_run_of_ten_minutes_do_not_count() -> None:
    world = completed()
    for before in range(9, 12):
        crash(world, before)
        assert world.condition("CrashLooping") is None
    show(world, up(world.now - 600, 12), created_at=LONG_AGO)
    assert world.status.memory.short_runs == ()
    for before in range(12, 15):
        crash(world, before)
        assert world.condition("CrashLooping") is None
    crash(world, 15)
    found = world.condition("CrashLooping")
    assert found is not None
    assert found.message == SAID


def test_a_restart_that_was_not_seen_waiting_counts() -> None:
    world = completed()
    for restarts in range(10, 13):
        show(world, up(world.now, restarts), created_at=LONG_AGO)
        assert world.condition("CrashLooping") is None
    show(world, up(world.now, 13), created_at=LONG_AGO)
    assert world.condition("CrashLooping") is not None


def test_it_wakes_to_forget_a_crash_when_its_container_has_run_for_ten_minutes() -> None:
    world = completed()
    crash(world, 9)
    assert [one.restarts_before for one in world.status.memory.short_runs] == [9] * 4
    began = world.now
    while (wakes := world.look().wake_at) is not None:
        world.now = wakes
    assert 598 <= world.now - began <= 600
    assert world.status.memory.short_runs == ()


def test_the_next_rollout_does_not_forget_the_crashes_of_pods_that_stay() -> None:
    world = completed()
    crash(world, 9)
    remembered = world.status.memory.short_runs
    assert remembered
    since = world.replica_set("v1").pods[0].containers[0].running_since
    assert since is not None
    world.apply("v2").settle(1.0)
    assert world.state() is RolloutStatus.IN_PROGRESS
    gone = {one.pod for one in remembered} - {one.uid for one in world.replica_set("v1").pods}
    assert world.status.memory.short_runs == tuple(one for one in remembered if one.pod not in gone)
    while (wakes := world.look().wake_at) is not None and wakes < since + 600:
        world.now = wakes
    assert world.status.memory.short_runs != ()
    assert wakes == since + 600
    world.now = wakes
    world.look()
    assert world.status.memory.short_runs == ()


def test_no_more_than_fifty_containers_are_remembered_and_of_all_others_each_restart_counts() -> (
    None
):
    world = completed()
    many = [up(START, 4, name=f"c{number}") for number in range(13)]
    show(world, *many, created_at=LONG_AGO)
    assert len(world.status.memory.short_runs) == 50
    found = world.condition("CrashLooping")
    assert found is not None
    assert "container c8 of 1 pod, container c9 of 1 pod restarted" in found.message


def test_the_containers_are_named_with_the_number_of_their_pods() -> None:
    sidecar = up(name="mesh", role=SIDECAR)
    world = show(completed(), running(START - 900), sidecar, count=1)
    found = world.condition("CrashLooping")
    assert found is not None
    assert "but container mesh of 1 pod restarted" in found.message


def test_a_rollout_that_goes_on_counts_failures_instead() -> None:
    world = show(completed(), up()).apply("v2").settle(1.0)
    assert world.state() is RolloutStatus.IN_PROGRESS
    assert world.condition("CrashLooping") is None


def test_a_completed_revision_whose_replica_set_is_gone_shows_nothing() -> None:
    world = show(completed(), up()).forget_replica_set("v1")
    world.look(1.0)
    assert world.condition("CrashLooping") is None
