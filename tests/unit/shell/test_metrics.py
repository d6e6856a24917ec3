"""Metrics say what was decided and written, under names that never change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.cluster.raws import T0
from tripswitch.cluster.store import Key
from tripswitch.domain.values.decision import Decision, Event, EventReason
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.hooks import Hook, LifecycleStage
from tripswitch.domain.values.memory import Breaker, Memory, Rollout
from tripswitch.domain.values.report import Condition
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.shell.metrics import Metrics

WEB = Key("shop", "web")
API = Key("shop", "api")
STATUS = Status(Memory(circuit_breaker=Breaker(failure_count=2, threshold=5)))
FINISHED = Rollout(1, RolloutKind.DEPLOY, RolloutStatus.SUCCESSFUL, T0, finished_at=T0 + 42)


def value(metrics: Metrics, series: str) -> float | None:
    for line in metrics.render().decode().splitlines():
        name, _, number = line.rpartition(" ")
        if name == series:
            return float(number)
    return None


def test_the_breaker_is_shown_as_it_is() -> None:
    metrics = Metrics()
    metrics.take(WEB, Decision(STATUS), 0.1)
    assert value(metrics, 'tripswitch_breaker_failures{name="web",namespace="shop"}') == 2
    assert value(metrics, 'tripswitch_breaker_threshold{name="web",namespace="shop"}') == 5


def test_failures_are_counted_by_kind_and_reason_except_ignored_ones() -> None:
    metrics = Metrics()
    failures = (
        Failure(FailureCause(FailureKind.LAUNCH, "ErrImagePull"), "a", count=2),
        Failure(FailureCause(FailureKind.LAUNCH, "OutOfcpu"), "b", verdict=Verdict.IGNORE),
        Failure(FailureCause(FailureKind.HEALTH, "NotReadyInTime"), "c", verdict=Verdict.FAIL_NOW),
    )
    metrics.take(WEB, Decision(STATUS, failures=failures), 0.1)
    series = 'tripswitch_pod_failures_total{{kind="{}",name="web",namespace="shop",reason="{}"}}'
    assert value(metrics, series.format("LAUNCH", "ErrImagePull")) == 2
    assert value(metrics, series.format("HEALTH", "NotReadyInTime")) == 1
    assert value(metrics, series.format("LAUNCH", "OutOfcpu")) is None


@pytest.mark.parametrize(
    ("reason", "result", "trips"),
    [
        (EventReason.ROLLOUT_COMPLETED, "SUCCESSFUL", 0),
        (EventReason.CIRCUIT_BREAKER_TRIGGERED, "FAILED", 1),
        (EventReason.ALARM_TRIGGERED, "FAILED", 1),
        (EventReason.ROLLOUT_STOPPED, "STOPPED", 0),
        (EventReason.ROLLBACK_COMPLETED, "ROLLBACK_SUCCESSFUL", 0),
        (EventReason.ROLLBACK_FAILED, "ROLLBACK_FAILED", 1),
    ],
)
def test_each_end_of_a_rollout_is_counted(reason: EventReason, result: str, trips: int) -> None:
    metrics = Metrics()
    metrics.take(WEB, Decision(STATUS, events=(Event(reason, ""),)), 0.1)
    ended = f'tripswitch_rollouts_total{{name="web",namespace="shop",result="{result}"}}'
    assert value(metrics, ended) == 1
    assert value(metrics, 'tripswitch_trips_total{name="web",namespace="shop"}') == trips
    assert value(metrics, "tripswitch_time_to_detect_seconds_count") == trips


def test_a1_requests_for_alerting_rules_are_counted() -> None:
    metrics = Metrics()
    for result in ("ok", "failed", "ok"):
        metrics.count_alarm_reading(result)
    assert value(metrics, 'tripswitch_alarm_readings_total{result="ok"}') == 2
    assert value(metrics, 'tripswitch_alarm_readings_total{result="failed"}') == 1


def test_a_stalled_object_is_shown_with_its_reason_until_it_is_not() -> None:
    metrics = Metrics()
    series = 'tripswitch_stalled{{name="web",namespace="shop",reason="{}"}}'
    for reason in (Reason.CIRCUIT_BREAKER_TRIGGERED, Reason.ROLLBACK_COMPLETED):
        stalled = Condition("Stalled", True, reason, "", T0)
        metrics.take(
            WEB,
            Decision(replace(STATUS, report=replace(STATUS.report, conditions=(stalled,)))),
            0.1,
        )
    assert value(metrics, series.format("RollbackCompleted")) == 1
    assert value(metrics, series.format("CircuitBreakerTriggered")) is None
    metrics.take(WEB, Decision(STATUS), 0.1)
    assert "tripswitch_stalled{" not in metrics.render().decode()


@pytest.mark.parametrize(
    ("condition", "reason", "series"),
    [
        (
            "CrashLooping",
            Reason.CRASH_LOOPING,
            'tripswitch_crash_looping{name="web",namespace="shop"}',
        ),
        (
            "RollbackAtRisk",
            Reason.REVISION_INCOMPLETE,
            'tripswitch_rollback_at_risk{name="web",namespace="shop",reason="RevisionIncomplete"}',
        ),
    ],
)
def test_a_condition_is_shown_until_it_is_over(condition: str, reason: Reason, series: str) -> None:
    metrics = Metrics()
    shown = Condition(condition, True, reason, "", T0)
    status = replace(STATUS, report=replace(STATUS.report, conditions=(shown,)))
    metrics.take(WEB, Decision(status), 0.1)
    assert value(metrics, series) == 1
    metrics.take(WEB, Decision(STATUS), 0.1)
    assert value(metrics, series) is None
    metrics.take(WEB, Decision(status), 0.1)
    metrics.forget(WEB)
    assert value(metrics, series) is None


def test_who_leads_is_shown() -> None:
    metrics = Metrics()
    leads = [False]
    metrics.watch_leader(lambda: leads[0])
    assert value(metrics, "tripswitch_leader") == 0
    leads[0] = True
    assert value(metrics, "tripswitch_leader") == 1


def test_how_long_it_took_is_told_at_the_end() -> None:
    metrics = Metrics()
    status = replace(STATUS, memory=replace(STATUS.memory, rollout=FINISHED))
    completed = (Event(EventReason.ROLLOUT_COMPLETED, ""),)
    metrics.take(WEB, Decision(status, events=completed), 0.1)
    restored = (Event(EventReason.ROLLBACK_COMPLETED, ""),)
    metrics.take(WEB, Decision(status, events=restored), 0.1)
    metrics.time_reconcile(0.25)
    assert value(metrics, "tripswitch_rollout_duration_seconds_sum") == 42
    assert value(metrics, "tripswitch_time_to_restore_seconds_sum") == 42
    assert value(metrics, "tripswitch_reconcile_duration_seconds_sum") == 0.25


def test_requests_and_the_queue_are_watched() -> None:
    metrics = Metrics()
    metrics.watch_depth(lambda: 7)
    metrics.count_request("list", "pods", "200")
    series = 'tripswitch_api_requests_total{code="200",resource="pods",verb="list"}'
    assert value(metrics, series) == 1
    assert value(metrics, "tripswitch_queue_depth") == 7


def test_an_object_that_is_gone_leaves_nothing_and_takes_nothing_along() -> None:
    metrics = Metrics()
    failures = (Failure(FailureCause(FailureKind.LAUNCH, "Error"), "a"),)
    events = tuple(Event(reason, "") for reason in EventReason)
    for key in (WEB, API):
        metrics.take(key, Decision(STATUS, failures=failures, events=events), 0.1)
    metrics.forget(WEB)
    text = metrics.render().decode()
    assert 'name="web"' not in text
    assert 'name="api"' in text
    metrics.forget(WEB)


def test_hooks_are_counted_and_those_that_wait_are_shown() -> None:
    metrics = Metrics()
    waiting = 'tripswitch_hooks_waiting{name="web",namespace="shop"}'
    ended = 'tripswitch_hooks_total{name="web",namespace="shop",result="TIMED_OUT"}'
    hook = Hook("pause-1", LifecycleStage.PRE_SCALE_UP, T0, T0 + 60)
    rollout = Rollout(
        2, RolloutKind.DEPLOY, RolloutStatus.IN_PROGRESS, started_at=T0, hooks=(hook,)
    )
    memory = replace(STATUS.memory, rollout=rollout)
    metrics.take(WEB, Decision(replace(STATUS, memory=memory)), 0.1)
    assert value(metrics, waiting) == 1
    told = (Event(EventReason.HOOK_TIMED_OUT, "hook pause-1 was not answered in time"),)
    metrics.take(WEB, Decision(STATUS, events=told), 0.1)
    assert (value(metrics, waiting), value(metrics, ended)) == (0, 1)
    metrics.forget(WEB)
    assert (value(metrics, waiting), value(metrics, ended)) == (None, None)
