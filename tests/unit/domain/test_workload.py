"""The frozen views: what a pod's life looks like to its ReplicaSet, and the defaults of the spec."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from tests.support.builders import ready_pod, snapshot, spec, terminating
from tripswitch.domain.values import workload
from tripswitch.domain.values.pods import PodPhase
from tripswitch.domain.values.workload import BreakerSpec, Percentages, ThresholdType


@pytest.mark.parametrize(
    ("phase", "live"),
    [
        pytest.param(PodPhase.PENDING, True, id="Pending"),
        pytest.param(PodPhase.RUNNING, True, id="Running"),
        pytest.param(PodPhase.UNKNOWN, True, id="Unknown"),
        pytest.param(PodPhase.SUCCEEDED, False, id="Succeeded"),
        pytest.param(PodPhase.FAILED, False, id="Failed"),
    ],
)
def test_a_pod_lives_until_it_ends_or_is_deleted(*, phase: PodPhase, live: bool) -> None:
    found = ready_pod(phase=phase)
    assert found.live is live
    assert not terminating(found).live


def test_the_defaults_are_those_of_ecs() -> None:
    assert spec().strategy == Percentages(minimum_healthy=100, maximum=200)
    assert spec().breaker == BreakerSpec(
        enable=True,
        rollback=True,
        reset_on_healthy_task=True,
        threshold_type=ThresholdType.BOUNDED_PERCENT,
        threshold_value=50,
        policy=(),
    )
    assert spec().progress_deadline is None  # P1: it follows from the probes
    assert spec().health_check_grace_period == 0
    assert spec().min_ready_seconds is None
    assert spec().revision_history_limit == 10
    assert not spec().paused


def test_a_deployment_strategy_has_the_defaults_of_kubernetes() -> None:
    quarter = workload.Amount(25, percent=True)
    assert workload.RollingUpdate() == workload.RollingUpdate(quarter, quarter)


def test_views_never_change() -> None:
    seen = snapshot()
    for field in fields(seen):
        with pytest.raises(FrozenInstanceError):
            setattr(seen, field.name, None)
