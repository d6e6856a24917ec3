"""Each field of the core's memory and report has a place in the stored status.

The codec copies by name and ignores what it does not know, so a field without a place would be lost at a restart.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from tripswitch.api.circuit_breaker_status import CircuitBreakerStatus
from tripswitch.api.codec import read_status, write_status
from tripswitch.api.status import Status as ApiStatus
from tripswitch.domain.values.failure_cause import FailureCause
from tripswitch.domain.values.memory import Memory, Revision, Rollout
from tripswitch.domain.values.report import Report, RevisionReport
from tripswitch.domain.values.states import RolloutKind, RolloutState, RolloutStatus
from tripswitch.domain.values.status import Status


def parts(hint: Any) -> Iterator[type]:
    """Yield the dataclasses and models in a type, such as that in ``tuple[Revision, ...] | None``."""
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, BaseModel)):
        yield hint
    for inner in typing.get_args(hint):
        yield from parts(inner)


def find_lost(value: type, *models: type[BaseModel]) -> Iterator[str]:
    """Yield the fields of a value that none of the models has."""
    hints = typing.get_type_hints(value)
    for field in fields(value):
        if hints[field.name] is FailureCause:  # its fields stand beside the others
            yield from find_lost(FailureCause, *models)
            continue
        places = [
            model.model_fields[field.name] for model in models if field.name in model.model_fields
        ]
        if not places:
            yield f"{value.__name__}.{field.name}"
        inner = [model for place in places for model in parts(place.annotation)]
        for part in parts(hints[field.name]):
            yield from find_lost(part, *inner)


@pytest.mark.parametrize("half", [Memory, Report])
def test_w2_no_field_of_the_core_is_lost_when_the_status_is_stored(half: type) -> None:
    assert list(find_lost(half, ApiStatus, CircuitBreakerStatus)) == []


def test_a_field_without_a_place_is_found() -> None:
    @dataclass(frozen=True)
    class Forgetful:
        replicas: int = 0
        forgotten: int = 0

    assert list(find_lost(Forgetful, ApiStatus)) == ["Forgetful.forgotten"]


def test_w2_an_entry_of_revisions_is_stored_from_both_halves_and_read_into_both() -> None:
    memory = Memory(
        rollout=Rollout(2, RolloutKind.DEPLOY, RolloutStatus.IN_PROGRESS, 1.0),
        desired_revision=2,
        revisions=(
            Revision(2, "web-b", "b", 1.0),
            Revision(1, "web-a", "a", 0.0, RolloutState.COMPLETED, completed_at=0.5),
        ),
    )
    told = (
        RevisionReport(2, "PRIMARY", desired=4, running=3, healthy=2),
        RevisionReport(1, "ACTIVE", desired=1, running=1, healthy=1),
    )
    written = write_status(Status(memory, Report(revisions=told)), 1)
    assert [(one["replicaSet"], one["status"], one["healthy"]) for one in written["revisions"]] == [
        ("web-b", "PRIMARY", 2),
        ("web-a", "ACTIVE", 1),
    ]
    read = read_status(written)
    assert (read.memory.revisions, read.report.revisions) == (memory.revisions, told)
