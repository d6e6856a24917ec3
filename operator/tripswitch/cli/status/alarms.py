"""The alarms of a rollout in the picture of ``status`` (rules A)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from rich.tree import Tree

from tripswitch.api.tolerant import mapping, objects, read_text

COLOURS = {"TRIGGERED": "red", "DISABLED": "yellow"}
"""Of the states that want a look; the others have none."""


@dataclass(frozen=True, slots=True)
class AlarmsLine:
    """``status.alarms``: the state, the names that have been read, and a line with its colour for each thing to be known."""

    status: str
    names: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


def read_alarms(raw: Mapping[str, Any]) -> AlarmsLine | None:
    """Return what is to be shown of ``status.alarms``; None if there is none."""
    if not raw:
        return None
    notes = [(_describe(alarm), "red") for alarm in objects(raw.get("triggeredAlarms"))]
    for key, words in (
        ("ignoredAlarmNames", "ignored, it was already firing when the rollout began"),
        ("unknownAlarmNames", "not watched, no alerting rule has that name"),
    ):
        notes += [(f"{name}  {words}", "yellow") for name in _texts(raw.get(key))]
    if raw.get("unavailableSince"):
        notes.append((f"cannot be read since {read_text(raw.get('unavailableSince'))}", "yellow"))
    names = tuple(_texts(raw.get("watchedAlarmNames")))
    return AlarmsLine(read_text(raw.get("status")), names, tuple(notes))


def add_alarms(root: Tree, alarms: AlarmsLine | None) -> None:
    """Add a branch for the alarms, if there are any."""
    if alarms is None:
        return
    line = Text("alarms ")
    line.append(alarms.status, COLOURS.get(alarms.status, "default"))
    if alarms.names:
        line.append(f"  {', '.join(alarms.names)}")
    branch = root.add(line)
    for words, colour in alarms.notes:
        branch.add(Text(words, colour))


def _describe(alarm: Mapping[str, Any]) -> str:
    labels = sorted(mapping(alarm.get("labels")).items())
    found = [
        read_text(alarm.get("alarmName")),
        read_text(alarm.get("summary")),
        ", ".join(f'{name}="{read_text(value)}"' for name, value in labels),
    ]
    return "  ".join(one for one in found if one)


def _texts(value: object) -> list[str]:
    return [read_text(one) for one in value] if isinstance(value, list) else []
