"""Rules A1 and A2: which alerts belong to a rollout, which of them count, and what is told.

Theory. An alarm is evidence against a revision only if it began to fire while the revision was rolled out.
The first reading of a name in a rollout is therefore its base line: what fires then is ignored for that
rollout, and so is an activation that is pending then and fires later. Each replica of Prometheus has its own time of
an activation, and any of them may answer: for a minute all of them under such a name are taken for the one at the start. A reading that
fails, that is old, or that comes from before the rollout changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tripswitch.domain.values.alarms import (
    AlarmQuestion,
    AlarmReading,
    Alarms,
    AlarmSpec,
    AlarmsState,
    Alert,
    RuleReading,
    TriggeredAlarm,
)
from tripswitch.domain.values.states import RolloutKind, RolloutStatus
from tripswitch.domain.values.time import Instant

POLL_SECONDS = 10.0
"""How often alarms are read while a rollout needs them (A1)."""
FRESH_SECONDS = 3 * POLL_SECONDS
"""A reading that is older says nothing of now."""
TWIN_SECONDS = 60.0
"""How much later another replica of Prometheus may evaluate a rule, in seconds; few rules have a longer interval."""
MAX_TRIGGERED = 5
"""Alerts that the status shows of a trip."""
MAX_PENDING = 32
"""Alerts that were pending when a rollout began and are remembered; an alarm with more of them is ignored."""
MAX_LABELS = 10
"""Labels that the status and the words about a trip have of an alert."""
MAX_VALUE = 128
"""Characters of each of them."""


def matches(alert: Alert, labels: Mapping[str, str]) -> bool:
    """Return whether an alert has all of the labels with these values.

    >>> matches(Alert("Errors", {"namespace": "shop", "app": "web"}), {"app": "web"})
    True
    >>> matches(Alert("Errors", {"namespace": "shop"}), {"app": "web"})
    False
    """
    return all(alert.labels.get(name) == value for name, value in labels.items())


def answer(
    question: AlarmQuestion,
    namespace: Mapping[str, str],
    reading: RuleReading,
    began: Instant,
    before: AlarmReading,
) -> AlarmReading:
    """Return what one answer of the metrics system says to one object.

    Args:
        question: The object's.
        namespace: The label of its namespace, which an alert must have in any case.
        reading: The answer.
        began: When it was asked for.
        before: The object's reading until now.
    """
    asked = frozenset(question.names)
    unread = [f"{name}: {why}" for name, why in sorted(reading.unread.items()) if name in asked]
    missing = sorted(asked - reading.known)
    if missing and not reading.complete:
        unread.append(f"{', '.join(missing)}: the answer has only a part of the rules")
    if unread:
        return fail("; ".join(unread), began, before)
    wanted = {**question.match_labels, **namespace}
    alerts = (one for one in reading.alerts if one.name in asked and matches(one, wanted))
    return AlarmReading(began, tuple(sorted(alerts, key=_order)), tuple(missing))


def fail(problem: str, began: Instant, before: AlarmReading) -> AlarmReading:
    """Return the reading after one that failed: unread since the latest good one, if there is one.

    >>> fail("refused", 110.0, AlarmReading(read_at=100.0)).unread_since
    100.0
    >>> fail("refused", 110.0, AlarmReading()).unread_since
    110.0
    """
    since = before.unread_since
    if since is None:
        since = min(before.read_at, began) if before.read_at > 0 else began
    return replace(before, unread_since=since, problem=problem)


def is_news(before: AlarmReading, after: AlarmReading, question: AlarmQuestion) -> bool:
    """Return whether a reading may change a decision, and not only its own age."""
    reached = after.unread_since is None and before.read_at < question.after <= after.read_at
    return reached or replace(before, read_at=0.0) != replace(after, read_at=0.0)


def is_current(reading: AlarmReading, started_at: Instant, now: Instant) -> bool:
    """Return whether a reading says what is so now, of a rollout that started then."""
    return reading.unread_since is None and reading.read_at >= max(started_at, now - FRESH_SECONDS)


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the alarms: the next memory, what is news in it, and the alerts that fail the rollout.

    ``ignored`` and ``unknown`` are names that were not so before.
    """

    alarms: Alarms
    ignored: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    triggered: tuple[Alert, ...] = ()
    lost: bool = False
    """They cannot be read any more."""


def observe(
    alarms: Alarms | None,
    asked: AlarmSpec,
    reading: AlarmReading,
    started_at: Instant,
    now: Instant,
) -> Observed:
    """Fold the latest reading into the memory of a rollout's alarms.

    Names that were not read before get their base line first (A2). Other labels than before make it a different question,
    whose base line begins anew.
    """
    before = alarms
    if before is None or dict(before.match_labels) != dict(asked.match_labels):
        kept = None if before is None else before.unavailable_since
        before = Alarms(match_labels=dict(asked.match_labels), unavailable_since=kept)
    if not is_current(reading, started_at, now):
        return _miss(before, reading, started_at)
    watched = frozenset(before.watched_alarm_names)
    first = frozenset(asked.names) - watched - frozenset(reading.unknown)
    first |= _find_twins(before, reading, started_at)
    firing = [alert for alert in reading.alerts if alert.firing]
    waiting = [alert for alert in reading.alerts if alert.name in first and not alert.firing]
    found = (*before.pending_at_start, *(_activation(alert) for alert in waiting))
    pending = tuple(dict.fromkeys(found))[:MAX_PENDING]
    ignored = frozenset(before.ignored_alarm_names) | {
        alert.name for alert in firing if alert.name in first or _activation(alert) in pending
    }
    ignored |= {alert.name for alert in waiting if _activation(alert) not in pending}
    after = replace(
        before,
        watched_alarm_names=tuple(sorted((watched | first) & frozenset(asked.names))),
        ignored_alarm_names=tuple(sorted(ignored & frozenset(asked.names))),
        unknown_alarm_names=reading.unknown,
        pending_at_start=pending,
        unavailable_since=None,
    )
    triggered = tuple(alert for alert in firing if alert.name not in ignored)
    return Observed(
        replace(after, triggered_alarms=_remember(triggered)),
        ignored=_added(before.ignored_alarm_names, after.ignored_alarm_names),
        unknown=_added(before.unknown_alarm_names, after.unknown_alarm_names),
        triggered=triggered,
    )


def _find_twins(alarms: Alarms, reading: AlarmReading, started_at: Instant) -> frozenset[str]:
    """Return the alarms that were pending at the start, while a replica may not have been asked about them yet."""
    if reading.read_at > started_at + TWIN_SECONDS:
        return frozenset()
    return frozenset(one.rpartition(" ")[0] for one in alarms.pending_at_start)


def _miss(alarms: Alarms, reading: AlarmReading, started_at: Instant) -> Observed:
    """A2: nothing is known, which is no verdict."""
    if reading.unread_since is None or alarms.unavailable_since is not None:
        return Observed(alarms)
    since = max(started_at, reading.unread_since)
    return Observed(replace(alarms, unavailable_since=since), lost=True)


def compute_state(
    alarms: Alarms, asked: AlarmSpec, kind: RolloutKind, status: RolloutStatus
) -> AlarmsState:
    """Return the status in ECS's words; DISABLED where every alarm is ignored (A2)."""
    if alarms.triggered_alarms:
        return AlarmsState.TRIGGERED
    if kind is RolloutKind.ROLLBACK or status not in (
        RolloutStatus.PENDING,
        RolloutStatus.IN_PROGRESS,
    ):
        return AlarmsState.MONITORING_COMPLETE
    if frozenset(asked.names) <= frozenset(alarms.ignored_alarm_names):
        return AlarmsState.DISABLED
    return AlarmsState.MONITORING


def describe_alerts(alerts: tuple[Alert, ...]) -> str:
    """Return which alarms fire, as the cause of a trip.

    >>> describe_alerts((Alert("Errors", {"namespace": "shop", "app": "web"}, "5 % of requests fail"),))
    'alarm Errors fires (app="web", namespace="shop"): 5 % of requests fail'
    >>> describe_alerts((Alert("Errors"), Alert("Errors"), Alert("Slow")))
    'alarm Errors fires, and 2 more alerts (Errors, Slow)'
    """
    first, others = alerts[0], alerts[1:]
    labels = ", ".join(f'{name}="{value}"' for name, value in _select_labels(first).items())
    words = f"alarm {first.name} fires" + (f" ({labels})" if labels else "")
    words += f": {first.summary}" if first.summary else ""
    if not others:
        return words
    names = ", ".join(dict.fromkeys(alert.name for alert in others))
    return f"{words}, and {len(others)} more alert{'s' if len(others) > 1 else ''} ({names})"


def _remember(alerts: Iterable[Alert]) -> tuple[TriggeredAlarm, ...]:
    shown = (TriggeredAlarm(one.name, _select_labels(one), one.summary) for one in alerts)
    return tuple(shown)[:MAX_TRIGGERED]


def _select_labels(alert: Alert) -> dict[str, str]:
    """Return the labels that are shown: not the name, which is told anyway, and not too much."""
    labels = sorted(pair for pair in alert.labels.items() if pair[0] != "alertname")
    return {name: value[:MAX_VALUE] for name, value in labels[:MAX_LABELS]}


def _activation(alert: Alert) -> str:
    return f"{alert.name} {alert.active_at}"


def _order(alert: Alert) -> tuple[str, bool, list[tuple[str, str]]]:
    return alert.name, not alert.firing, sorted(alert.labels.items())


def _added(before: Iterable[str], after: Iterable[str]) -> tuple[str, ...]:
    known = frozenset(before)
    return tuple(name for name in after if name not in known)
