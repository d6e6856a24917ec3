"""What the status shows: numbers, states and one sentence that says what comes next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    crash_looping,
    failed_pod,
    guarded,
    pending_pod,
    pod,
    ready_pod,
    replica_set,
    snapshot,
    template,
    terminating,
    unready_pod,
)
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.decide import decide
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.states import BreakerState, Reason, RolloutState, RolloutStatus
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Percentages

S = RolloutStatus
NEXT = "next: fix the template, or retry"
WORDS = "4 failures (threshold 3): container web exited 1 (x4)"


def test_the_numbers_are_those_that_scale_and_hpa_read() -> None:
    world = completed().apply("v2").settle(1.0).want(selector="app=shop", min_ready_seconds=30)
    new, old = world.replica_set("v2"), world.replica_set("v1")
    pods = (
        ready_pod("healthy", world.now - 30),
        ready_pod("ready", world.now),
        unready_pod("up"),
        pending_pod("pending"),
        terminating(ready_pod("going", START - 60)),
        failed_pod("gone", "NodeLost"),
    )
    world.replica_sets[new.name] = replace(new, pods=pods)
    world.replica_sets[old.name] = replace(old, pods=old.pods[:3])
    status = decide(world.snapshot, world.now + 0.5).status
    assert (
        status.report.replicas,
        status.report.updated_replicas,
        status.report.ready_replicas,
    ) == (7, 4, 5)
    assert status.report.available_replicas == 1
    assert status.report.selector == "app=shop"


def test_a_pruned_revision_leaves_the_status_too() -> None:
    world = completed(revision_history_limit=0)
    for version in ("v2", "v3", "v4"):
        world.roll_out(version).settle(1.0)
    assert {rs.template.digest for rs in world.replica_sets.values()} == {"v4"}
    assert [record.revision for record in world.status.memory.revisions] == [4]


def test_a_refused_replica_set_is_told_as_one_warning() -> None:
    world = completed()
    world.create_error = CreateError("v2", "n", "exceeded quota: pods, used: 9")
    first = world.apply("v2").look(1.0)
    told = [event for event in first.events if event.reason.value == "ReplicaSetCreateError"]
    assert [event.message for event in told] == [
        (
            "revision 2: the API server refuses its ReplicaSet, which is tried again: "
            "exceeded quota: pods, used: 9"
        )
    ]
    assert told[0].warning
    world.create_error = replace(world.create_error, message="exceeded quota: pods, used: 8")
    world.settle(1.0)
    assert world.events.count("ReplicaSetCreateError") == 1
    world.create_error = None
    world.settle(1.0)
    assert world.condition("Stalled") is None


def test_a_rollback_says_when_the_next_template_may_be_applied() -> None:
    world = completed().apply("v2").settle(1.0).crash("v2")
    world.look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    words = "a new template cannot be rolled back before revision 1 has completed"
    assert words in world.status.report.rollout_state_reason
    world.settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert words not in world.status.report.rollout_state_reason


def test_a_flapping_revision_says_that_more_pods_were_healthy() -> None:
    world = completed().apply("v2").settle(1.0).heal("v2", 2).settle(1.0)
    found = world.replica_set("v2")
    pods = tuple(unready_pod(p.name, world.now) if p.ready_since else p for p in found.pods)
    world.replica_sets[found.name] = replace(found, pods=pods)
    world.settle(1.0)
    assert "0 of 4 pods healthy (at most 2 at once)" in world.status.report.rollout_state_reason
    world.settle(900.0)
    cause = world.record(2).message
    assert "0 of 4 pods healthy (at most 2 at once), no progress for 600 s" in cause


def test_without_its_replica_set_the_desired_revision_has_no_pods() -> None:
    world = completed().apply("v2")
    status = decide(world.snapshot, world.now).status
    assert (status.report.replicas, status.report.updated_replicas) == (4, 0)


def test_the_updated_replicas_are_those_of_the_template_in_spec_also_after_a_rollback() -> None:
    world = completed().apply("v2").settle(1.0).crash("v2").settle(1.0)
    assert (world.status.report.replicas, world.status.report.updated_replicas) == (4, 0)


def test_revisions_show_where_their_pods_are() -> None:
    world = completed().apply("v2").settle(1.0).heal("v2", count=1)
    world.look(1.0)
    shown = [
        (r.revision, r.status, r.desired, r.running, r.healthy)
        for r in world.status.report.revisions
    ]
    assert shown == [(2, "PRIMARY", 4, 1, 1), (1, "ACTIVE", 4, 4, 4)]


def test_in_a_rollback_the_revision_that_is_gone_back_to_is_primary() -> None:
    world = completed().apply("v2").settle(1.0).crash("v2").settle(1.0)
    assert [(r.revision, r.status) for r in world.status.report.revisions] == [
        (2, "INACTIVE"),
        (1, "PRIMARY"),
    ]


def test_history_in_the_status_is_limited() -> None:
    world = completed(revision_history_limit=1)
    for version in ("v2", "v3", "v4"):
        world.roll_out(version).settle(1.0)
    assert [r.revision for r in world.status.memory.revisions] == [4, 3]


# --- rolloutState ---------------------------------------------------------------------------------


def test_the_rollout_state_is_that_of_an_open_rollout_or_else_of_the_desired_revision() -> None:
    world = completed()
    seen = [world.status.report.rollout_state]
    world.apply("v2").settle(1.0)
    seen.append(world.status.report.rollout_state)
    world.crash("v2").look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    seen.append(world.status.report.rollout_state)
    world.settle(1.0)
    seen.append(world.status.report.rollout_state)
    assert seen == [
        RolloutState.COMPLETED,
        RolloutState.IN_PROGRESS,
        RolloutState.IN_PROGRESS,
        RolloutState.FAILED,
    ]


def test_s3_the_breakers_status_goes_with_the_rollout() -> None:
    world = completed().apply("v2").settle(1.0)
    seen = [world.breaker().status]
    world.crash("v2").look(1.0)
    seen.append(world.breaker().status)
    world.settle(1.0)
    seen.append(world.breaker().status)
    world.apply("v3").settle(1.0)
    world.want(breaker=breaker_spec(rollback=False)).crash("v3").settle(1.0)
    seen.append(world.breaker().status)
    world.want(breaker=breaker_spec(enable=False)).settle(1.0)
    seen.append(world.breaker().status)
    assert seen == [
        BreakerState.MONITORING,
        BreakerState.MONITORING,
        BreakerState.MONITORING_COMPLETE,
        BreakerState.TRIGGERED,
        BreakerState.DISABLED,
    ]


# --- the sentence ---------------------------------------------------------------------------------


def failing() -> ManualCluster:
    return completed(strategy=Percentages(50, 100)).apply("v2").settle(1.0)


def back() -> ManualCluster:
    return failing().crash("v2", runs=2).settle(1.0)


def test_pods_in_their_back_off_are_told_together_though_the_kubelet_names_each() -> None:
    def back_off(name: str, now: Instant) -> PodView:
        words = f"back-off 10s restarting failed container=web pod={name}_shop(uid-{name})"
        return pod(name, crash_looping(1, message=words), created_at=now)

    world = failing().become("v2", back_off, count=2).settle(1.0)
    reason = world.status.report.rollout_state_reason
    assert reason.endswith("; waiting: container web CrashLoopBackOff (x2)")


@pytest.mark.parametrize(
    ("tell", "state", "sentence"),
    [
        pytest.param(
            lambda: ManualCluster(guarded=guarded(paused=True)).settle(),
            S.PENDING,
            "revision 1 waits for the end of the pause",
            id="PENDING",
        ),
        pytest.param(
            lambda: ManualCluster().settle(),
            S.IN_PROGRESS,
            "rolling out revision 1: 0 of 4 pods healthy; "
            "waiting: container web ContainerCreating (x4)",
            id="it waits for pods",
        ),
        pytest.param(
            lambda: started().want(paused=True).settle(),
            S.IN_PROGRESS,
            "rolling out revision 1: 0 of 4 pods healthy (paused)",
            id="R7 paused in the middle",
        ),
        pytest.param(
            lambda: started(replicas=2).heal("v1", count=1).settle().heal("v1"),
            S.IN_PROGRESS,
            "rolling out revision 1: 1 of 2 pods healthy; waiting: container web ContainerCreating",
            id="one of them is healthy",
        ),
        pytest.param(
            lambda: failing().crash("v2", count=2).settle(1.0),
            S.IN_PROGRESS,
            "rolling out revision 2: 0 of 4 pods healthy, 2 of 3 failures; "
            "waiting: container web CrashLoopBackOff (x2)",
            id="S2 two have failed",
        ),
        pytest.param(completed, S.SUCCESSFUL, "revision 1 completed", id="R5 completed"),
        pytest.param(
            lambda: ManualCluster(guarded=guarded(0)).settle(),
            S.SUCCESSFUL,
            "revision 1 is scaled to zero and not yet proved",
            id="R6 scaled to zero",
        ),
        pytest.param(
            back,
            S.ROLLBACK_IN_PROGRESS,
            f"rolling back to revision 1: {WORDS}; 2 of 4 pods healthy; a new template cannot be rolled "
            "back before revision 1 has completed",
            id="B1 on the way back",
        ),
        pytest.param(
            lambda: back().heal("v1").settle(1.0),
            S.ROLLBACK_SUCCESSFUL,
            f"revision 2 failed and was rolled back to revision 1: {WORDS}; {NEXT}",
            id="B7 rolled back",
        ),
        pytest.param(
            lambda: back().apply("v1").settle(1.0).heal("v1").settle(1.0),
            S.ROLLBACK_SUCCESSFUL,
            "revision 1 completed",
            id="B6 the old template was put back",
        ),
        pytest.param(
            lambda: back().crash("v1", runs=2).settle(1.0),
            S.ROLLBACK_FAILED,
            f"rollback to revision 1 failed: {WORDS}; "
            f"a rollback is never rolled back, nothing more is launched; {NEXT}",
            id="B5 the rollback failed",
        ),
        pytest.param(
            lambda: started().crash("v1").settle(1.0),
            S.FAILED,
            f"revision 1 stalled: {WORDS}; "
            f"no completed revision to roll back to, nothing more is launched; {NEXT}",
            id="B3 stalled",
        ),
        pytest.param(
            lambda: started().command(stop="1/ABORT").settle(1.0),
            S.STOPPED,
            f"revision 1 stalled: stopped by a person; {NEXT}",
            id="C2 stopped",
        ),
    ],
)
def test_one_sentence_says_how_it_stands(
    tell: Callable[[], ManualCluster], state: RolloutStatus, sentence: str
) -> None:
    world = tell()
    assert world.state() is state
    assert world.status.report.rollout_state_reason == sentence


def test_a_condition_begins_at_the_look_that_finds_it() -> None:
    world = failing()
    began = world.now
    world.crash("v2", runs=2).look(1.0)
    stalled, available = world.condition("Stalled"), world.condition("Available")
    assert stalled is not None
    assert available is not None
    assert stalled.last_transition_time == world.now == began + 1.0
    assert available.last_transition_time < began


def test_with_nothing_to_wait_for_the_sentence_ends() -> None:
    world = started()
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=())
    status = decide(world.snapshot, world.now).status
    assert status.report.rollout_state_reason == "rolling out revision 1: 0 of 4 pods healthy"


# --- what stands in the way -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        pytest.param(CreateError("v1", "n", "spec.invalid"), True, id="the template in spec"),
        pytest.param(CreateError("v0", "n", "spec.invalid"), False, id="another template"),
        pytest.param(CreateError("v1", "n", "exists", name_taken=True), False, id="a collision"),
        pytest.param(None, False, id="no error"),
    ],
)
def test_a_refused_replica_set_is_stalled_and_shown(
    *, error: CreateError | None, refused: bool
) -> None:
    decision = decide(snapshot(guarded(), create_error=error), START)
    shown = {condition.type: condition for condition in decision.status.report.conditions}
    assert ("Stalled" in shown) is refused
    assert (shown["Progressing"].reason is Reason.REPLICA_SET_CREATE_ERROR) is refused
    if refused:
        assert shown["Progressing"].message == "spec.invalid"


def test_an_error_that_is_over_is_not_shown() -> None:
    world = started()
    world.create_error = CreateError("v1", "n", "spec.invalid")
    world.look(1.0)
    assert world.condition("Stalled") is None


def test_the_words_of_the_replica_set_controller_are_shown_while_it_cannot_create_pods() -> None:
    target = replica_set(1, size=4, create_error="exceeded quota", of=template("v1"))
    decision = decide(snapshot(guarded(), target), START)
    [progressing] = [c for c in decision.status.report.conditions if c.type == "Progressing"]
    assert (progressing.status, progressing.message) == (False, "exceeded quota")


def test_p1_lateness_is_shown_only_where_nobody_can_trip() -> None:
    seen = []
    for enabled in (True, False):
        world = started(breaker=breaker_spec(enable=enabled, rollback=False))
        world.look(600.0)
        condition = world.condition("Progressing")
        assert condition is not None
        seen.append((world.state(), condition.status, condition.reason))
    late = Reason.PROGRESS_DEADLINE_EXCEEDED
    assert seen == [(S.FAILED, False, late), (S.IN_PROGRESS, False, late)]


def test_w3_the_breaker_disabled_and_never_late_shows_no_lateness() -> None:
    world = started(breaker=breaker_spec(enable=False), progress_deadline=0)
    world.look(9e9)
    condition = world.condition("Progressing")
    assert condition is not None
    assert condition.status
