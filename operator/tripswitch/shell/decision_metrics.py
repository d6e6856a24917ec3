"""Metrics of rollouts: what written decisions say. The series of an object are gone with the object."""

from __future__ import annotations

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tripswitch.cluster.store import Key
from tripswitch.domain.rules.hooks import find_waiting
from tripswitch.domain.steps.crash_loops import CRASH_LOOPING
from tripswitch.domain.steps.rollback_risk import ROLLBACK_AT_RISK
from tripswitch.domain.values.decision import TRIPS, Decision, EventReason
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.report import Report

OBJECT = ("namespace", "name")

RESULTS = {
    EventReason.ROLLOUT_COMPLETED: "SUCCESSFUL",
    EventReason.CIRCUIT_BREAKER_TRIGGERED: "FAILED",
    EventReason.ALARM_TRIGGERED: "FAILED",
    EventReason.ROLLOUT_STOPPED: "STOPPED",
    EventReason.ROLLBACK_COMPLETED: "ROLLBACK_SUCCESSFUL",
    EventReason.ROLLBACK_FAILED: "ROLLBACK_FAILED",
}
"""The events that end a rollout, and its result in ``rollouts_total``."""

HOOKS = {
    EventReason.HOOK_SUCCEEDED: "SUCCEEDED",
    EventReason.HOOK_FAILED: "FAILED",
    EventReason.HOOK_TIMED_OUT: "TIMED_OUT",
}
"""The events that end a hook, and its result in ``hooks_total``."""

COUNTED_TRIPS = TRIPS | {EventReason.ROLLBACK_FAILED}

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Buckets of a histogram of what the operator does, in seconds."""

DURATIONS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
"""Buckets of a histogram of how long rollouts take, in seconds."""

Metric = TypeVar("Metric", Counter, Gauge)


class DecisionMetrics:
    """The metrics that a written decision changes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._of_objects: list[Counter | Gauge] = []
        self._reasons: dict[str, dict[Key, str]] = {"Stalled": {}, ROLLBACK_AT_RISK: {}}
        """The reasons of conditions that are shown with them, by type and object."""
        self._add_counters()
        self._add_gauges()
        self._add_histograms()

    def _add_counters(self) -> None:
        self._rollouts = self._add(
            Counter, "tripswitch_rollouts", "Rollouts that ended, by result.", "result"
        )
        self._failures = self._add(
            Counter,
            "tripswitch_pod_failures",
            "Failures that were counted, by kind and reason.",
            "kind",
            "reason",
        )
        self._trips = self._add(Counter, "tripswitch_trips", "Trips of the breaker and of alarms.")
        self._hooks = self._add(
            Counter,
            "tripswitch_hooks",
            "Hooks that ended, by result: SUCCEEDED, FAILED (a rollback was asked for) or TIMED_OUT.",
            "result",
        )

    def _add_gauges(self) -> None:
        self._count = self._add(
            Gauge, "tripswitch_breaker_failures", "Failures counted in the current rollout."
        )
        self._threshold = self._add(
            Gauge, "tripswitch_breaker_threshold", "Number of failures at which the breaker trips."
        )
        self._stalled = self._add(
            Gauge,
            "tripswitch_stalled",
            "1 for each object whose condition Stalled is True, with its reason.",
            "reason",
        )
        self._crash_looping = self._add(
            Gauge,
            "tripswitch_crash_looping",
            "1 for each object whose condition CrashLooping is True.",
        )
        self._at_risk = self._add(
            Gauge,
            "tripswitch_rollback_at_risk",
            "1 for each object whose condition RollbackAtRisk is True, with its reason.",
            "reason",
        )
        self._hooks_waiting = self._add(
            Gauge, "tripswitch_hooks_waiting", "Hooks that wait for an answer."
        )

    def _add_histograms(self) -> None:
        self._detect = Histogram(
            "tripswitch_time_to_detect_seconds",
            "From the moment the last counted failure was visible until the trip was written.",
            registry=self._registry,
            buckets=LATENCIES,
        )
        self._restore = Histogram(
            "tripswitch_time_to_restore_seconds",
            "From the trip until the rollback was completed.",
            registry=self._registry,
            buckets=DURATIONS,
        )
        self._rollout_duration = Histogram(
            "tripswitch_rollout_duration_seconds",
            "From the start of a rollout until it was completed.",
            registry=self._registry,
            buckets=DURATIONS,
        )

    def _add(self, kind: type[Metric], name: str, what: str, *labels: str) -> Metric:
        """Return a new metric with a series for each object; :meth:`forget` drops the series."""
        metric = kind(name, what, (*OBJECT, *labels), registry=self._registry)
        self._of_objects.append(metric)
        return metric

    def take(self, key: Key, decision: Decision, seconds_to_write: float) -> None:
        """Take what a written decision says.

        Args:
            key: Of the object.
            decision: As it was written.
            seconds_to_write: From the moment something was to be looked at until this was written.
        """
        memory, report = decision.status.memory, decision.status.report
        self._trips.labels(*key)  # from 0: Prometheus sees no increase in a series that begins at 1
        self._count.labels(*key).set(memory.circuit_breaker.failure_count)
        self._threshold.labels(*key).set(memory.circuit_breaker.threshold)
        self._show_reason(self._stalled, "Stalled", key, report)
        _show_condition(self._crash_looping, CRASH_LOOPING, key, report)
        self._show_reason(self._at_risk, ROLLBACK_AT_RISK, key, report)
        self._show_hooks(key, memory.rollout)
        self._count_failures(key, decision)
        for event in decision.events:
            self._count_event(key, event.reason, seconds_to_write)
            self._time_rollout(event.reason, memory.rollout)

    def forget(self, key: Key) -> None:
        """Drop the series of an object that is gone."""
        for reasons in self._reasons.values():
            reasons.pop(key, None)
        for metric in self._of_objects:
            metric.remove_by_labels(_label(key))

    def _show_reason(self, gauge: Gauge, kind: str, key: Key, report: Report) -> None:
        """Show a condition while it is True, with its reason."""
        found = (one.reason for one in report.conditions if one.type == kind and one.status)
        reason, shown = next(found, None), self._reasons[kind]
        before = shown.get(key)
        if before is not None and before != reason:
            gauge.remove(*key, before)
            del shown[key]
        if reason is not None:
            gauge.labels(*key, reason.value).set(1)
            shown[key] = reason.value

    def _show_hooks(self, key: Key, rollout: Rollout | None) -> None:
        waiting = () if rollout is None else find_waiting(rollout.hooks)
        self._hooks_waiting.labels(*key).set(len(waiting))

    def _count_failures(self, key: Key, decision: Decision) -> None:
        for failure in decision.failures:
            if failure.verdict is not Verdict.IGNORE:
                labels = (*key, failure.cause.kind.value, failure.cause.reason)
                self._failures.labels(*labels).inc(failure.count)

    def _count_event(self, key: Key, reason: EventReason, seconds_to_write: float) -> None:
        if reason in RESULTS:
            self._rollouts.labels(*key, RESULTS[reason]).inc()
        if reason in HOOKS:
            self._hooks.labels(*key, HOOKS[reason]).inc()
        if reason in COUNTED_TRIPS:
            self._trips.labels(*key).inc()
            self._detect.observe(seconds_to_write)

    def _time_rollout(self, reason: EventReason, rollout: Rollout | None) -> None:
        if rollout is None or rollout.finished_at is None:
            return
        duration = rollout.finished_at - rollout.started_at
        if reason is EventReason.ROLLOUT_COMPLETED:
            self._rollout_duration.observe(duration)
        elif reason is EventReason.ROLLBACK_COMPLETED:
            self._restore.observe(duration)  # a rollback starts with the trip


def _show_condition(gauge: Gauge, kind: str, key: Key, report: Report) -> None:
    """Show a condition that is there only while it is True."""
    if any(condition.type == kind for condition in report.conditions):
        gauge.labels(*key).set(1)
    else:
        gauge.remove_by_labels(_label(key))


def _label(key: Key) -> dict[str, str]:
    return dict(zip(OBJECT, key, strict=True))
