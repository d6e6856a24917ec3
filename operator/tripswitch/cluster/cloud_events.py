"""The content of notifications: CloudEvents 1.0 with the names and fields of ECS's own events. Pure.

The names are those of EventBridge's "ECS Deployment State Change", and one more for a finished rollback,
which ECS reports as plain success.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tripswitch.api.identity import BREAKER_KIND, GROUP
from tripswitch.api.times import format_time
from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.record import Record
from tripswitch.domain.values.alarms import Alarms
from tripswitch.domain.values.decision import Decision, Event, EventReason
from tripswitch.domain.values.time import Instant

HOOKS = (
    EventReason.HOOK_AWAITING_ACTION,
    EventReason.HOOK_SUCCEEDED,
    EventReason.HOOK_FAILED,
    EventReason.HOOK_TIMED_OUT,
)
"""Events about one hook; their topic is its id."""

NAMES = {
    EventReason.ROLLOUT_STARTED: "SERVICE_DEPLOYMENT_IN_PROGRESS",
    EventReason.ROLLBACK_STARTED: "SERVICE_DEPLOYMENT_IN_PROGRESS",
    EventReason.ROLLOUT_COMPLETED: "SERVICE_DEPLOYMENT_COMPLETED",
    EventReason.CIRCUIT_BREAKER_TRIGGERED: "SERVICE_DEPLOYMENT_FAILED",
    EventReason.ALARM_TRIGGERED: "SERVICE_DEPLOYMENT_FAILED",
    EventReason.CIRCUIT_BREAKER_WOULD_TRIGGER: "SERVICE_DEPLOYMENT_WOULD_HAVE_FAILED",
    EventReason.ROLLBACK_FAILED: "SERVICE_DEPLOYMENT_FAILED",
    EventReason.ROLLBACK_COMPLETED: "SERVICE_DEPLOYMENT_ROLLBACK_COMPLETED",
    **{reason: reason.value for reason in HOOKS},
}
"""What is told, by the event that tells it in the cluster; all other events are not sent."""


def build_cloud_event(
    about: Record, decision: Decision, event: Event, revision: int | None, now: Instant
) -> dict[str, Any]:
    """Return a CloudEvent (structured mode) about one event of a written decision.

    ``data`` has the fields of ECS's event, and what a GuardedDeployment has besides. Of logs there is
    no more than the one line that the event itself quotes.

    Args:
        about: The object.
        decision: What was written.
        event: One of its events.
        revision: The revision that the event is about.
        now: When it is told.
    """
    memory, rollout = decision.status.memory, decision.status.memory.rollout
    name = NAMES[event.reason]
    namespace, owner = about.key
    record = next((r for r in memory.revisions if r.revision == revision), None)
    started = "" if rollout is None else format_time(rollout.started_at)
    one = f"/{event.topic}" if event.reason in HOOKS else ""
    return {
        "specversion": "1.0",
        "id": f"{about.uid}/{revision}/{event.reason.value}/{started}{one}",
        "source": f"/apis/{GROUP}/namespaces/{quote(namespace)}/{about.kind.lower()}s/{quote(owner)}",
        "type": f"dev.tripswitch.{name}",
        "subject": f"{namespace}/{owner}",
        "time": format_time(now),
        "datacontenttype": "application/json",
        "data": {
            "eventName": name,
            "eventType": "ERROR" if event.warning else "INFO",
            "reason": event.message,
            "updatedAt": format_time(now),
            "deploymentId": f"{about.uid}/{revision}",
            "namespace": namespace,
            "name": owner,
            "workload": _find_workload(about),
            "revision": revision,
            "images": [] if record is None else list(record.images),
            "kind": None if rollout is None else rollout.kind.value,
            "rolloutStatus": None if rollout is None else rollout.status.value,
            "failedRevision": None if rollout is None else rollout.failed_revision,
            "failures": memory.circuit_breaker.failure_count,
            "threshold": memory.circuit_breaker.threshold,
            "alarms": _list_alarms(memory.alarms),
        },
    }


def _list_alarms(alarms: Alarms | None) -> list[dict[str, Any]]:
    """Return the alerts that failed the rollout (A1), in the words of ``status.alarms``."""
    triggered = () if alarms is None else alarms.triggered_alarms
    return [
        {"alarmName": one.alarm_name, "labels": dict(one.labels), "summary": one.summary}
        for one in triggered
    ]


def _find_workload(about: Record) -> dict[str, str]:
    """Return which workload is rolled out: the object itself, or the target of a circuit breaker."""
    if about.kind != BREAKER_KIND:
        return {"kind": about.kind, "name": about.key.name}
    target = field(about.decode(), "spec", "targetRef")
    return {"kind": read_text(field(target, "kind")), "name": read_text(field(target, "name"))}
