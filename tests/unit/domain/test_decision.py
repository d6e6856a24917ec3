"""What one look leads to: which events warn."""

from __future__ import annotations

import pytest

from tripswitch.domain.values.decision import Event, EventReason

WARNINGS = {
    EventReason.ROLLOUT_STARTED: False,
    EventReason.ROLLOUT_COMPLETED: False,
    EventReason.POD_LAUNCH_FAILED: True,
    EventReason.POD_HEALTH_CHECK_FAILED: True,
    EventReason.CIRCUIT_BREAKER_TRIGGERED: True,
    EventReason.ROLLBACK_STARTED: False,
    EventReason.ROLLBACK_COMPLETED: False,
    EventReason.ROLLBACK_FAILED: True,
    EventReason.ROLLOUT_STALLED: True,
    EventReason.ROLLOUT_STOPPED: False,
    EventReason.CRASH_LOOPING: True,
    EventReason.REPLICA_SET_CREATE_ERROR: True,
    EventReason.WORKLOAD_RESUMED: True,
    EventReason.CIRCUIT_BREAKER_WOULD_TRIGGER: True,
}


@pytest.mark.parametrize("reason", EventReason)
def test_events_of_what_went_wrong_are_warnings(reason: EventReason) -> None:
    assert Event(reason, "words").warning is WARNINGS[reason]
