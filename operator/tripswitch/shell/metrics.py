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
from tripswitch.domain.values.decision import Decision
from tripswitch.shell.decision_metrics import LATENCIES, DecisionMetrics

# They double the number of series, and nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """All metrics of the process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.decisions = DecisionMetrics(self._registry)
        """Those of rollouts."""
        self._add_looks()
        self._add_outcomes()

    def _add_looks(self) -> None:
        self._reconcile_duration = Histogram(
            "tripswitch_reconcile_duration_seconds",
            "Duration of one reconcile of one object, all writes included.",
            registry=self._registry,
            buckets=LATENCIES,
        )
        self._errors = Counter(
            "tripswitch_reconcile_errors",
            "Reconciles that ended in an unexpected error, which is a bug; the object has an event.",
            registry=self._registry,
        )
        self._depth = Gauge(
            "tripswitch_queue_depth", "Objects that wait for a reconcile.", registry=self._registry
        )
        self._leader = Gauge(
            "tripswitch_leader",
            "1 while this process may write: it holds the Lease, or needs none.",
            registry=self._registry,
        )

    def _add_outcomes(self) -> None:
        self._requests = Counter(
            "tripswitch_api_requests",
            'Requests to the API server; code "0" means no answer.',
            ("verb", "resource", "code"),
            registry=self._registry,
        )
        self._notifications = Counter(
            "tripswitch_notifications",
            "Notifications by outcome: sent, failed (given up), dropped (too many waited).",
            ("result",),
            registry=self._registry,
        )
        self._events = Counter(
            "tripswitch_events",
            "Kubernetes Events by outcome: posted, merged (into one that still waited), dropped (too many "
            "waited), failed (refused).",
            ("result",),
            registry=self._registry,
        )
        self._alarm_readings = Counter(
            "tripswitch_alarm_readings",
            "Requests for alerting rules by outcome: ok, failed.",
            ("result",),
            registry=self._registry,
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

    def count_event(self, result: str) -> None:
        """Count a Kubernetes Event by its result."""
        self._events.labels(result).inc()

    def count_alarm_reading(self, result: str) -> None:
        """Count the outcome of one request for alerting rules."""
        self._alarm_readings.labels(result).inc()

    def time_reconcile(self, seconds: float) -> None:
        """Take the duration of one look."""
        self._reconcile_duration.observe(seconds)

    def take(self, key: Key, decision: Decision, seconds_to_write: float) -> None:
        """Take what a written decision says (:meth:`DecisionMetrics.take`)."""
        self.decisions.take(key, decision, seconds_to_write)

    def forget(self, key: Key) -> None:
        """Drop the series of an object that is gone."""
        self.decisions.forget(key)
