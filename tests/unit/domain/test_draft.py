"""The decision while it is being made: what it refuses, and what it never changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    guarded,
    ready_pods,
    replica_set,
    revision,
    rollout,
    snapshot,
    template,
)
from tripswitch.domain.rules.bounds import Bounds
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.rules.rollout_states import IllegalTransitionError, Transition
from tripswitch.domain.steps.draft import Draft, begin_draft
from tripswitch.domain.steps.report_status import report_status
from tripswitch.domain.steps.rollout_moves import finish_rollout, start_rollout
from tripswitch.domain.values.decision import Event, EventReason
from tripswitch.domain.values.memory import Breaker, Memory
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutState, RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Percentages

S = RolloutStatus


def draft(**fields: Any) -> Draft:
    """Return a draft in which revision 2 is rolled out and revision 1 was completed."""
    status = Status(
        Memory(
            rollout=rollout(2),
            desired_revision=2,
            last_completed_revision=1,
            revisions=(revision(2, RolloutState.IN_PROGRESS), revision(1)),
        )
    )
    wish = guarded(4, template("v2"), status=status, **fields)
    return begin_draft(snapshot(wish, replica_set(1, *ready_pods(4))), START + 60)


def test_there_is_a_rollout_as_soon_as_the_wish_was_followed() -> None:
    with pytest.raises(AssertionError, match="before there was one"):
        _ = begin_draft(snapshot(), START).rollout


def test_a_status_cannot_be_concluded_before_the_wish_was_followed() -> None:
    with pytest.raises(AssertionError, match=r"^the spec was not followed"):
        report_status(begin_draft(snapshot(), START))


def test_a_revision_that_history_does_not_know_cannot_be_rolled_out_or_finished() -> None:
    with pytest.raises(
        AssertionError, match=r"^a rollout of a revision that history does not know$"
    ):
        start_rollout(draft(), 9, RolloutKind.DEPLOY)
    unknown = draft().with_memory(rollout=rollout(9))
    with pytest.raises(
        AssertionError, match=r"^a rollout of a revision that history does not know$"
    ):
        finish_rollout(unknown, Transition.COMPLETED, Reason.ROLLOUT_COMPLETED, "")


def test_a_finished_rollout_cannot_be_finished_again() -> None:
    done = finish_rollout(draft(), Transition.COMPLETED, Reason.ROLLOUT_COMPLETED, "")
    with pytest.raises(IllegalTransitionError):
        finish_rollout(done, Transition.TRIPPED, Reason.CIRCUIT_BREAKER_TRIGGERED, "")


def test_no_step_changes_the_draft_before_it() -> None:
    before = draft()
    start_rollout(
        before.say(EventReason.ROLLOUT_STARTED, "words").wake(START + 99), 1, RolloutKind.DEPLOY
    )
    finish_rollout(before, Transition.TRIPPED, Reason.CIRCUIT_BREAKER_TRIGGERED, "why")
    assert before == draft()


def test_what_a_draft_knows() -> None:
    made = draft(strategy=Percentages(50, 100))
    assert made.bounds == Bounds(2, 4)
    assert made.healthy == 4
    assert made.kept == {1, 2}
    assert made.target is None
    assert made.counts_of(2) == PodCounts(revision(2).replica_set, size=0)
    assert made.counts_of(1).healthy == 4
    assert made.counts_of(9) == PodCounts("", size=0)
    assert made.record(None) is None
    assert made.replica_set(None) is None


def test_a_replica_set_goes_by_the_number_of_its_record_and_not_by_its_own_older_one() -> None:
    old = replica_set(5, of=template("v2"))
    made = begin_draft(
        snapshot(guarded(4, template("v2"), status=Status(draft().memory)), old), START
    )
    assert made.target is not None
    assert made.target.revision == 2
    assert made.target.name == old.name


def test_only_moments_to_come_are_woken_for() -> None:
    made = draft().wake(None).wake(START).wake(START + 60).wake(START + 61).wake(START + 90)
    assert made.wakes == (START + 61, START + 90)


def test_events_are_told_in_their_order() -> None:
    made = draft().say(EventReason.ROLLOUT_STOPPED, "a", "one cause")
    made = made.say(EventReason.ROLLOUT_STARTED, "b")
    assert made.events == (
        Event(EventReason.ROLLOUT_STOPPED, "a", "one cause"),
        Event(EventReason.ROLLOUT_STARTED, "b"),
    )


def test_parts_of_the_memory_that_are_not_given_stay() -> None:
    made = draft()
    assert made.with_memory().memory == made.memory
    changed = made.with_memory(rollout=rollout(1), breaker=Breaker(failure_count=2))
    assert changed.rollout == rollout(1)
    assert changed.memory.circuit_breaker.failure_count == 2
    assert changed.memory.revisions == made.memory.revisions


def test_b1_a_revision_that_is_rolled_out_leaves_completed() -> None:
    for kind in RolloutKind:
        begun = start_rollout(draft(), 1, kind, failed=2)
        record = begun.record(1)
        assert record is not None
        assert record.rollout_state is RolloutState.IN_PROGRESS
        assert record.finished_at is None
        assert record.completed_at == START  # history remembers that it once was
        assert begun.memory.last_completed_revision is None
        assert begun.rollout.failed_revision == 2
        assert begun.rollout.healthy_high_water == 4


def test_c3_a_deploy_of_another_revision_keeps_the_rollback_target() -> None:
    begun = start_rollout(draft(), 2, RolloutKind.DEPLOY)
    assert begun.memory.last_completed_revision == 1


def test_b5_while_a_rollback_runs_there_is_nothing_to_go_back_to() -> None:
    begun = start_rollout(draft(), 2, RolloutKind.ROLLBACK)
    assert begun.memory.last_completed_revision is None


def test_s3_a_disabled_breaker_remembers_no_pods() -> None:
    for enable in (True, False):
        begun = start_rollout(draft(breaker=breaker_spec(enable=enable)), 1, RolloutKind.DEPLOY)
        assert bool(begun.memory.circuit_breaker.counted) is enable


@pytest.mark.parametrize(
    ("replicas", "cause", "completed_at", "state"),
    [
        pytest.param(
            4, Transition.COMPLETED, START + 60, RolloutState.COMPLETED, id="R5 completed"
        ),
        pytest.param(
            1, Transition.COMPLETED, START + 60, RolloutState.COMPLETED, id="R5 one of one"
        ),
        pytest.param(0, Transition.COMPLETED, None, RolloutState.COMPLETED, id="R6 proved nothing"),
        pytest.param(4, Transition.TRIPPED, None, RolloutState.FAILED, id="tripped"),
        pytest.param(4, Transition.STOPPED, None, RolloutState.STOPPED, id="stopped"),
    ],
)
def test_the_end_of_a_rollout_stands_in_its_revisions_history(
    replicas: int, cause: Transition, completed_at: float | None, state: RolloutState
) -> None:
    wish = guarded(replicas, template("v2"), status=Status(draft().memory))
    ended = finish_rollout(begin_draft(snapshot(wish), START + 60), cause, Reason.PAUSED, "why")
    record = ended.record(2)
    assert record is not None
    assert record.rollout_state is state
    assert (record.finished_at, record.completed_at) == (START + 60, completed_at)
    assert record.message == ("" if cause is Transition.COMPLETED else "why")
    assert (ended.rollout.reason, ended.rollout.message) == (Reason.PAUSED, "why")
