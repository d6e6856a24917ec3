"""Alarms and bake time of both kinds, as the rules see them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster.guard_raws import breaker
from tests.unit.cluster.raws import guarded
from tripswitch.api.circuit_breakers import read_circuit_breaker
from tripswitch.api.codec import read_guarded
from tripswitch.domain.values.alarms import AlarmSpec

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
