"""Alarms and bake time of both kinds, as the rules see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cluster.guard_raws import breaker
from tests.unit.cluster.raws import T0, guarded
from tripswitch.api.circuit_breakers import read_circuit_breaker
from tripswitch.api.codec import read_guarded, read_status, write_status
from tripswitch.domain.values.alarms import Alarms, AlarmSpec, AlarmsState, TriggeredAlarm
from tripswitch.domain.values.bake import Bake
from tripswitch.domain.values.memory import Memory, Revision, Rollout
from tripswitch.domain.values.states import RolloutKind, RolloutStatus
from tripswitch.domain.values.status import Status

NAMED = {"alarmNames": ["Errors", "Slow"]}


@pytest.mark.parametrize(
    ("fields", "alarms", "bake"),
    [
        pytest.param({}, None, 0, id="nothing"),
        pytest.param({"alarms": None}, None, 0, id="null"),
        pytest.param({"bakeTimeInMinutes": 3}, None, 180, id="a bake alone"),
        pytest.param({"alarms": NAMED}, AlarmSpec(("Errors", "Slow")), 300, id="alarms"),
        pytest.param(
            {"alarms": NAMED, "bakeTimeInMinutes": 0},
            AlarmSpec(("Errors", "Slow")),
            0,
            id="alarms without a bake",
        ),
        pytest.param(
            {"alarms": {**NAMED, "rollback": False, "matchLabels": {"app": "web"}}},
            AlarmSpec(("Errors", "Slow"), {"app": "web"}, rollback=False),
            300,
            id="all of it",
        ),
        pytest.param({"alarms": {**NAMED, "enable": False}}, None, 0, id="switched off"),
        pytest.param({"alarms": {"enable": True}}, None, 0, id="without names"),
        pytest.param(
            {"alarms": {"alarmNames": ["Slow", "Slow"]}}, AlarmSpec(("Slow",)), 300, id="twice"
        ),
    ],
)
def test_a1_both_kinds_read_alarms_alike(
    fields: dict[str, Any], alarms: AlarmSpec | None, bake: int
) -> None:
    raw = guarded()
    raw["spec"]["deploymentConfiguration"] = fields
    spec = read_guarded(raw).spec
    assert (spec.alarms, spec.bake_seconds) == (alarms, bake)
    other = breaker()
    other["spec"] |= fields
    protection = read_circuit_breaker(other).protection
    assert (protection.alarms, protection.bake_seconds) == (alarms, bake)


def test_a2_a3_what_is_remembered_of_alarms_and_bake_survives_a_restart() -> None:
    alarms = Alarms(
        status=AlarmsState.TRIGGERED,
        watched_alarm_names=("Errors", "Slow"),
        ignored_alarm_names=("Slow",),
        unknown_alarm_names=("Typo",),
        triggered_alarms=(TriggeredAlarm("Errors", {"app": "web"}, "7% fail"),),
        pending_at_start=("Errors t1",),
        match_labels={"app": "web"},
        unavailable_since=T0,
    )
    bake = Bake(T0, ends_at=T0 + 60)
    begun = Rollout(1, RolloutKind.DEPLOY, RolloutStatus.IN_PROGRESS, T0, bake=bake)
    known = Revision(1, "web-1", "digest", T0)
    memory = Memory(rollout=begun, desired_revision=1, revisions=(known,), alarms=alarms)
    written = write_status(Status(memory), 1)
    assert written["alarms"]["triggeredAlarmNames"] == ["Errors"]
    assert written["rollout"]["bakeEndsAt"] == written["rollout"]["bake"]["endsAt"]
    assert read_status(written).memory == memory
    held = replace(memory, rollout=replace(begun, bake=Bake(T0, held_at=T0 + 30)))
    written = write_status(Status(held), 1)
    assert "bakeEndsAt" not in written["rollout"]
    assert read_status(written).memory == held


def test_a1_an_object_without_alarms_has_nothing_about_them_in_its_status() -> None:
    begun = Rollout(1, RolloutKind.DEPLOY, RolloutStatus.IN_PROGRESS, T0)
    known = Revision(1, "web-1", "digest", T0)
    memory = Memory(rollout=begun, desired_revision=1, revisions=(known,))
    written = write_status(Status(memory), 1)
    assert "alarms" not in written
    assert not {"bake", "bakeEndsAt"} & set(written["rollout"])
