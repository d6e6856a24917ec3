"""Rules A: alarms that watch a rollout, and what the metrics system says of them.

An alarm is a Prometheus alerting rule, known by its name. Times of the metrics system are compared for
equality only: its clock is not the operator's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tripswitch.domain.values.time import Instant


class AlarmsState(StrEnum):
    """ECS ServiceDeploymentAlarms.status."""

    DISABLED = "DISABLED"
    MONITORING = "MONITORING"
    TRIGGERED = "TRIGGERED"
    MONITORING_COMPLETE = "MONITORING_COMPLETE"


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """``alarms`` as the user wrote it, where it is enabled (A1).

    ``match_labels`` an alert must have besides that of the namespace. ``rollback``: whether an alarm rolls
    back, or only fails the rollout.
    """

    names: tuple[str, ...]
    match_labels: Mapping[str, str] = field(default_factory=dict)
    rollback: bool = True


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of an alerting rule: the rule holds for one set of labels.

    ``active_at`` is since when, in the words of the metrics system; it stays the same from pending to
    firing. ``firing``: else it is pending.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    active_at: str = ""
    firing: bool = True


@dataclass(frozen=True, slots=True)
class RuleReading:
    """One answer of the metrics system about alerting rules, for the whole fleet.

    ``unread`` are rules that were not evaluated, with the reason why. ``complete``: a name that is not in
    ``known`` has no rule.
    """

    known: frozenset[str] = frozenset()
    alerts: tuple[Alert, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class AlarmQuestion:
    """What a decision wants to know of alarms; asked as long as the rollout is watched (A1).

    ``after``: a reading that was begun at this moment or later changes something by itself.
    """

    names: tuple[str, ...]
    match_labels: Mapping[str, str]
    after: Instant


@dataclass(frozen=True, slots=True)
class AlarmReading:
    """The latest reading of one object's alarms: the alerts that match, and how current they are.

    Attributes:
        read_at: When the latest reading was begun that said something of all of the alarms.
        alerts: The alerts of that reading that match.
        unknown: Names that had no rule in that reading.
        unread_since: Since when there has been no such reading; None: the latest one was good.
        problem: Why not.
    """

    read_at: Instant = -math.inf
    alerts: tuple[Alert, ...] = ()
    unknown: tuple[str, ...] = ()
    unread_since: Instant | None = None
    problem: str = ""


NO_READING = AlarmReading()
"""Nothing has been read yet, which is no trouble."""


@dataclass(frozen=True, slots=True)
class TriggeredAlarm:
    """An alarm that failed a rollout, as it was then."""

    alarm_name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Alarms:
    """``status.alarms``: what is remembered of the alarms of the latest deployment.

    ``watched_alarm_names`` have been read since the rollout began, so that it is known which of them were
    on already. ``ignored_alarm_names`` were (A2). ``pending_at_start`` are activations that had begun by then and did not fire
    yet: the alarm's name and since when. ``match_labels`` are those that all of this is about.
    """

    status: AlarmsState = AlarmsState.MONITORING
    watched_alarm_names: tuple[str, ...] = ()
    ignored_alarm_names: tuple[str, ...] = ()
    unknown_alarm_names: tuple[str, ...] = ()
    triggered_alarms: tuple[TriggeredAlarm, ...] = ()
    pending_at_start: tuple[str, ...] = ()
    match_labels: Mapping[str, str] = field(default_factory=dict)
    unavailable_since: Instant | None = None

    @property
    def triggered_alarm_names(self) -> tuple[str, ...]:
        """Their names, each once (ECS triggeredAlarmNames)."""
        return tuple(dict.fromkeys(one.alarm_name for one in self.triggered_alarms))
