"""Alarms and bake time in ``spec`` and ``status``, the same for both kinds (rules A; ECS names)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tripswitch.api.base import ApiModel
from tripswitch.api.times import Time
from tripswitch.domain.values import alarms as domain

AlarmName = Annotated[str, Field(min_length=1, max_length=253)]
LabelValue = Annotated[str, Field(max_length=253)]

DEFAULT_BAKE_MINUTES = 5
"""The bake time of a rollout with alarms, where none is given."""


class Alarms(ApiModel):
    """Alarms that fail a rollout (ECS ``alarms``; rules A1 and A2)."""

    enable: bool = Field(default=True, description="Whether the alarms are watched.")
    rollback: bool = Field(
        default=True,
        description=(
            "Whether an alarm that fires starts a rollback to the last completed revision. With false the "
            "rollout stalls. The rollback field of deploymentCircuitBreaker does not apply to alarms."
        ),
    )
    alarm_names: list[AlarmName] = Field(
        default_factory=list,
        max_length=32,
        description=(
            "Names of Prometheus alerting rules. One that fires while the rollout is in progress fails "
            "it; one that already fires when the rollout starts is ignored for that rollout."
        ),
        json_schema_extra={"x-kubernetes-list-type": "set", "default": None},
    )
    match_labels: dict[str, LabelValue] = Field(
        default_factory=dict,
        max_length=16,
        description=(
            "Labels that an alert must have, with these values. The label with the namespace is always "
            "required: its value must be this object's namespace."
        ),
        json_schema_extra={"default": None},
    )


class AlarmSettings(ApiModel):
    """The fields of a spec about alarms and bake time."""

    alarms: Alarms | None = Field(
        default=None,
        description="Prometheus alerts that fail a rollout although no pod fails. Default: none.",
    )
    bake_time_in_minutes: int | None = Field(
        default=None,
        ge=0,
        le=1440,
        description=(
            "Minutes for which the breaker and the alarms still watch a rollout after all of its pods are "
            "healthy, before it is COMPLETED. Only time in which the alarms could be read counts. Does "
            "not apply to a rollback. Default 0, or 5 with alarms."
        ),
    )


class TriggeredAlarm(ApiModel):
    """An alert that failed a rollout."""

    alarm_name: str = Field(description="Name of the alerting rule.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Its labels, without the name; at most 10."
    )
    summary: str = Field(default="", description="Its summary, or its description.")


class AlarmsStatus(ApiModel):
    """``status.alarms``: the alarms of the latest deployment (ECS ServiceDeploymentAlarms)."""

    status: domain.AlarmsState = Field(
        default=domain.AlarmsState.MONITORING,
        description=(
            "MONITORING, TRIGGERED or MONITORING_COMPLETE; DISABLED where all alarms are ignored."
        ),
    )
    triggered_alarm_names: tuple[str, ...] = Field(
        default=(), description="Names of the alarms that failed the rollout."
    )
    triggered_alarms: tuple[TriggeredAlarm, ...] = Field(
        default=(), description="The alerts that failed the rollout, at most 5."
    )
    watched_alarm_names: tuple[str, ...] = Field(
        default=(), description="Alarms that have been read since the rollout began."
    )
    ignored_alarm_names: tuple[str, ...] = Field(
        default=(), description="Alarms that already fired when the rollout began (rule A2)."
    )
    unknown_alarm_names: tuple[str, ...] = Field(
        default=(), description="Names for which there is no alerting rule."
    )
    pending_at_start: tuple[str, ...] = Field(
        default=(),
        description="Alerts that were pending when the rollout began, and since when.",
    )
    match_labels: dict[str, str] = Field(
        default_factory=dict, description="The matchLabels for which these alarms were read."
    )
    unavailable_since: Time | None = Field(
        default=None, description="Since when the alarms cannot be read."
    )


class Bake(ApiModel):
    """The clock of the bake of a rollout."""

    since: Time = Field(description="When it began, moved forward by all interruptions.")
    held_at: Time | None = Field(
        default=None, description="When an interruption began; none while time counts."
    )
    ends_at: Time | None = Field(
        default=None, description="When it ends; none during an interruption."
    )


def read_alarms(settings: AlarmSettings) -> domain.AlarmSpec | None:
    """Return the alarms as the rules see them; None where none are watched."""
    asked = settings.alarms
    if asked is None or not asked.enable or not asked.alarm_names:
        return None
    names = tuple(dict.fromkeys(asked.alarm_names))
    return domain.AlarmSpec(names, dict(asked.match_labels), asked.rollback)


def read_bake_seconds(settings: AlarmSettings) -> int:
    """Return the bake time in seconds (A3).

    >>> read_bake_seconds(AlarmSettings(bake_time_in_minutes=2))
    120
    """
    minutes = settings.bake_time_in_minutes
    if minutes is None:
        minutes = 0 if read_alarms(settings) is None else DEFAULT_BAKE_MINUTES
    return minutes * 60
