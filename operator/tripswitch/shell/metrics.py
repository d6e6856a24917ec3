"""Prometheus metrics: emitted only for what has been written, gone when their object is gone."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from tripswitch.cluster.store import Key
from tripswitch.domain.rules.hooks import find_waiting
from tripswitch.domain.steps.crash_loops import CRASH_LOOPING
from tripswitch.domain.values.decision import TRIPS, Decision, EventReason
from tripswitch.domain.values.failure import Verdict

# They double the number of series, and nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]

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

_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DURATIONS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


class Metrics:
    """All metrics of the process, in a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._rollouts = Counter(
            "tripswitch_rollouts",
            "Rollouts that ended, by result.",
            (*OBJECT, "result"),
            registry=registry,
        )
        self._failures = Counter(
            "tripswitch_pod_failures",
            "Failures that were counted, by kind and reason.",
            (*OBJECT, "kind", "reason"),
            registry=registry,
        )
        self._trips = Counter(
            "tripswitch_trips", "Trips of the breaker and of alarms.", OBJECT, registry=registry
        )
        self._count = Gauge(
            "tripswitch_breaker_failures",
            "Failure count of the current rollout.",
            OBJECT,
            registry=registry,
        )
        self._threshold = Gauge(
            "tripswitch_breaker_threshold",
            "Failures that trip the breaker.",
            OBJECT,
            registry=registry,
        )
        self._detect = Histogram(
            "tripswitch_time_to_detect_seconds",
            "From the moment the last counted failure was visible until the trip was written.",
            registry=registry,
            buckets=_LATENCIES,
        )
        self._restore = Histogram(
            "tripswitch_time_to_restore_seconds",
            "From the trip until the rollback was completed.",
            registry=registry,
            buckets=_DURATIONS,
        )
        self._rollout_duration = Histogram(
            "tripswitch_rollout_duration_seconds",
            "From the start of a rollout until it was completed.",
            registry=registry,
            buckets=_DURATIONS,
        )
        self._reconcile_duration = Histogram(
            "tripswitch_reconcile_duration_seconds",
            "Duration of one reconcile of one object, all writes included.",
            registry=registry,
            buckets=_LATENCIES,
        )
        self._requests = Counter(
            "tripswitch_api_requests",
            'Requests to the API server; code "0" means no answer.',
            ("verb", "resource", "code"),
            registry=registry,
        )
        self._notifications = Counter(
            "tripswitch_notifications",
            "Notifications by outcome: sent, failed (given up), dropped (too many waited).",
            ("result",),
            registry=registry,
        )
        self._alarm_readings = Counter(
            "tripswitch_alarm_readings",
            "Requests for alerting rules by outcome: ok, failed.",
            ("result",),
            registry=registry,
        )
        self._depth = Gauge(
            "tripswitch_queue_depth", "Objects that wait for a reconcile.", registry=registry
        )

        self._errors = Counter(
            "tripswitch_reconcile_errors",
            "Reconciles that ended in an unexpected error, which is a bug; the object has an event.",
            registry=registry,
        )
        self._reasons: dict[Key, str] = {}
        """Of those that are stalled."""
        self._stalled = Gauge(
            "tripswitch_stalled",
            "1 for each object whose condition Stalled is True, with its reason.",
            (*OBJECT, "reason"),
            registry=registry,
        )
        self._crash_looping = Gauge(
            "tripswitch_crash_looping",
            "1 for each object whose condition CrashLooping is True.",
            OBJECT,
            registry=registry,
        )
        self._hooks = Counter(
            "tripswitch_hooks",
            "Hooks that ended, by result: SUCCEEDED, FAILED (a rollback was asked for) or TIMED_OUT.",
            (*OBJECT, "result"),
            registry=registry,
        )
        self._hooks_waiting = Gauge(
            "tripswitch_hooks_waiting",
            "Hooks that wait for an answer.",
            OBJECT,
            registry=registry,
        )
        self._leader = Gauge(
            "tripswitch_leader",
            "1 while this process may write: it holds the Lease, or needs none.",
            registry=registry,
        )

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def watch_depth(self, depth: Callable[[], float]) -> None:
        """Read the queue's depth from where it is."""
        self._depth.set_function(depth)

    def watch_leader(self, leads: Callable[[], bool]) -> None:
        """Read whether this process leads from where it is known."""
        self._leader.set_function(leads)

    def count_error(self) -> None:
        """Count a look that ended in an unexpected error."""
        self._errors.inc()

    def count_request(self, verb: str, resource: str, code: str) -> None:
        """Count one request to the API server."""
        self._requests.labels(verb, resource, code).inc()

    def count_notification(self, result: str) -> None:
        """Count the outcome of one notification."""
        self._notifications.labels(result).inc()

    def count_alarm_reading(self, result: str) -> None:
        """Count the outcome of one request for alerting rules."""
        self._alarm_readings.labels(result).inc()

    def time_reconcile(self, seconds: float) -> None:
        """Take the duration of one look."""
        self._reconcile_duration.observe(seconds)

    def take(self, key: Key, decision: Decision, seconds_to_write: float) -> None:
        """Take what a written decision says.

        Args:
            key: Of the object.
            decision: As it was written.
            seconds_to_write: From the moment something was to be looked at until this was written.
        """
        breaker, rollout = decision.status.memory.circuit_breaker, decision.status.memory.rollout
        self._count.labels(*key).set(breaker.failure_count)
        self._threshold.labels(*key).set(breaker.threshold)
        self._trips.labels(*key)  # from 0: Prometheus sees no increase in a series that begins at 1
        self._show_stalled(key, decision)
        self._show_crash_loops(key, decision)
        waiting = () if rollout is None else find_waiting(rollout.hooks)
        self._hooks_waiting.labels(*key).set(len(waiting))
        for failure in decision.failures:
            if failure.verdict is not Verdict.IGNORE:
                labels = (*key, failure.cause.kind.value, failure.cause.reason)
                self._failures.labels(*labels).inc(failure.count)
        for event in decision.events:
            if event.reason in RESULTS:
                self._rollouts.labels(*key, RESULTS[event.reason]).inc()
            if event.reason in HOOKS:
                self._hooks.labels(*key, HOOKS[event.reason]).inc()
            if event.reason in COUNTED_TRIPS:
                self._trips.labels(*key).inc()
                self._detect.observe(seconds_to_write)
            if rollout is None or rollout.finished_at is None:
                continue
            duration = rollout.finished_at - rollout.started_at
            if event.reason is EventReason.ROLLOUT_COMPLETED:
                self._rollout_duration.observe(duration)
            elif event.reason is EventReason.ROLLBACK_COMPLETED:
                self._restore.observe(duration)  # a rollback starts with the trip

    def _show_stalled(self, key: Key, decision: Decision) -> None:
        for condition in decision.status.report.conditions:
            if condition.type == "Stalled" and condition.status:
                reason: str | None = condition.reason.value
                break
        else:
            reason = None
        before = self._reasons.get(key)
        if before is not None and before != reason:
            self._stalled.remove(*key, before)
            del self._reasons[key]
        if reason is not None:
            self._stalled.labels(*key, reason).set(1)
            self._reasons[key] = reason

    def _show_crash_loops(self, key: Key, decision: Decision) -> None:
        if any(condition.type == CRASH_LOOPING for condition in decision.status.report.conditions):
            self._crash_looping.labels(*key).set(1)
        else:
            self._crash_looping.remove_by_labels(dict(zip(OBJECT, key, strict=True)))

    def forget(self, key: Key) -> None:
        """Drop the series of an object that is gone."""
        self._reasons.pop(key, None)
        labels = dict(zip(OBJECT, key, strict=True))
        for metric in (
            self._rollouts,
            self._failures,
            self._trips,
            self._stalled,
            self._crash_looping,
            self._hooks,
            self._hooks_waiting,
            self._count,
            self._threshold,
        ):
            metric.remove_by_labels(labels)
