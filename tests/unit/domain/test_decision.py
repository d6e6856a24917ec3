"""Which events of a rollout are of type Warning."""

from __future__ import annotations

from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.values.decision import Event, EventReason
from tripswitch.domain.values.states import RolloutStatus


def warnings(cluster: ManualCluster) -> set[str]:
    events = {Event(EventReason(reason), "") for reason in cluster.events}
    return {str(event.reason) for event in events if event.warning}


def test_a_rollout_that_completes_warns_of_nothing() -> None:
    cluster = completed().roll_out("v2").command(retry="again").settle(1.0)
    assert "RolloutCompleted" in cluster.events
    assert warnings(cluster) == set()


def test_failures_and_the_trip_are_warnings_and_the_rollback_is_none() -> None:
    cluster = completed().apply("v2").settle(1.0).crash("v2", runs=3).settle(1.0)
    cluster.settle(20.0)
    assert cluster.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert {"RollbackStarted", "RollbackCompleted"} <= set(cluster.events)
    assert {"PodLaunchFailed", "CircuitBreakerTriggered"} <= warnings(cluster)
    assert not {"RollbackStarted", "RollbackCompleted"} & warnings(cluster)


def test_a_first_rollout_that_trips_warns_that_it_is_stalled() -> None:
    cluster = started().crash("v1", runs=3).settle(1.0)
    assert cluster.state() is RolloutStatus.FAILED
    assert "RolloutStalled" in warnings(cluster)


def test_the_failures_column_shows_the_count_and_the_threshold() -> None:
    cluster = started(25).crash("v1", count=1).settle(1.0)
    assert cluster.breaker().summary == "1/13"
