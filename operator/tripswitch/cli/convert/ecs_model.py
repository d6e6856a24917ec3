"""What is read from ECS files: services and task definitions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tripswitch.cli.convert.fields import Fields, Notes
from tripswitch.cli.convert.values import EMPTY

Raw = Mapping[str, Any]

PERCENTAGES = ("minimumHealthyPercent", "maximumPercent")


@dataclass(slots=True, eq=False)
class Task:
    """A task definition: its names, and its fields as they were found."""

    names: frozenset[str]
    settings: Raw
    notes: Notes


@dataclass(slots=True, eq=False)
class Service:
    """An ECS service: its name, its fields, and the task definition if that is known.

    ``named`` says that somebody gave it this name.
    """

    name: str
    settings: Raw
    notes: Notes
    task: Task | None = None
    named: bool = False


@dataclass(slots=True)
class Found:
    """What documents hold, and notes about what belongs to none of it."""

    services: list[Service] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)

    def __bool__(self) -> bool:
        """Return whether there is anything of ECS."""
        return bool(self.services or self.tasks)


def make_task(raw: Raw, notes: Notes) -> Task:
    """Return a task definition under the name of its family."""
    family = look_up(raw, "family")
    return Task(frozenset([family] if isinstance(family, str) else []), raw, notes)


def look_up(raw: Raw, name: str) -> Any:
    """Return a field by the API's name; None if it is not there."""
    return Fields(raw, Notes()).look(name)


def tell_others(document: Raw, read: set[str], notes: Notes) -> None:
    """Tell the keys of a document beside the one that was read."""
    others = [name for name, value in document.items() if name not in read and value not in EMPTY]
    if others:
        notes.tell(f"not converted: {', '.join(others)}: no part of the service")
