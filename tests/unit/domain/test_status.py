"""The memory of the breaker: its defaults and its one column."""

from __future__ import annotations

from tripswitch.domain.values.status import Breaker, BreakerState, RolloutState, Stage, Status


def test_the_failures_column_shows_the_count_and_the_threshold() -> None:
    assert Breaker(failure_count=2, threshold=13).summary == "2/13"


def test_an_object_never_looked_at_has_no_rollout_and_no_history() -> None:
    fresh = Status()
    assert fresh.rollout is None
    assert fresh.revisions == ()
    assert fresh.desired_revision is None
    assert fresh.last_completed_revision is None
    assert fresh.circuit_breaker == Breaker(BreakerState.MONITORING, Stage.LAUNCH, 0, 3)


def test_the_states_are_the_words_of_ecs_and_stopped() -> None:
    assert [state.value for state in RolloutState] == [
        "IN_PROGRESS",
        "COMPLETED",
        "FAILED",
        "STOPPED",
    ]
    assert [state.value for state in BreakerState] == [
        "DISABLED",
        "MONITORING",
        "TRIGGERED",
        "MONITORING_COMPLETE",
    ]
