"""Rule F7: however many pods there are and whatever they show, the status stays below 256 KiB."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from itertools import product
from typing import Any

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    crash_looping,
    failed_pod,
    guarded,
    pod,
    ready_pod,
    replica_set,
    revision,
    rollout,
    snapshot,
    template,
    waiting,
)
from tripswitch.api.codec import write_status
from tripswitch.domain.decide import decide
from tripswitch.domain.rules.counted_pods import weigh
from tripswitch.domain.rules.evidence import MAX_EVENT, MAX_LOG_TAIL
from tripswitch.domain.values.decision import Decision
from tripswitch.domain.values.inquiry import Evidence, Finding
from tripswitch.domain.values.memory import Breaker, Counted, Memory, Tally
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.states import BestState, RolloutState, RolloutStatus
from tripswitch.domain.values.status import Status

MOST = 256 * 1024
PODS = 12_500
"""So many pods that have ended are kept by the garbage collector of pods."""
LONG = "\u4e16" * 1024
"""Three bytes for each character."""


def as_json(value: object) -> bytes:
    """Return it as the API server stores it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def uid(number: int) -> str:
    return str(uuid.UUID(int=number))


def rejected(number: int) -> PodView:
    return failed_pod(f"web-{number}", "UnexpectedAdmissionError", LONG, uid=uid(number))


def over_its_limit(number: int) -> PodView:
    return failed_pod(f"web-{number}", "Evicted", LONG, uid=uid(number))


def crashing(number: int) -> PodView:
    """Of ten containers with names as long as they may be."""
    made = [crash_looping(2, number % 250, name=f"{n:063}", message=LONG) for n in range(10)]
    return pod(f"web-{number}", *made, uid=uid(number))


def stuck(number: int) -> PodView:
    one = waiting("ErrImagePull", message=f"{number} {LONG}"[:1024])
    return pod(f"web-{number}", one, uid=uid(number))


def healthy(number: int) -> PodView:
    return ready_pod(f"web-{number}", uid=uid(number))


def first_look(pods: Iterable[PodView]) -> Decision:
    """The pods are those of a rollout in progress that nothing trips."""
    status = Status(
        Memory(
            rollout=rollout(2, started_at=START - 60),
            desired_revision=2,
            revisions=(revision(2, RolloutState.IN_PROGRESS),),
        )
    )
    wanted = guarded(PODS + 1, template("v2"), status=status, breaker=breaker_spec(10**6))
    of_target = replica_set(2, *pods, size=PODS + 1)
    looked = decide(snapshot(wanted, of_target), START + 100)
    again = snapshot(replace(wanted, status=looked.status), of_target)
    findings = tuple(
        Finding(one.topic, Evidence(one.pod, LONG[:1] * MAX_EVENT, LONG[:1] * MAX_LOG_TAIL))
        for one in looked.inquiries
    )
    return decide(replace(again, findings=findings), START + 101)


@pytest.mark.parametrize(
    ("show", "pods"),
    [(rejected, PODS), (over_its_limit, PODS), (stuck, PODS), (healthy, PODS), (crashing, 1000)],
)
def test_f7_the_status_is_bounded(show: Callable[[int], PodView], pods: int) -> None:
    status = first_look(show(number) for number in range(pods)).status
    assert status.memory.rollout is not None
    assert status.memory.rollout.status is RolloutStatus.IN_PROGRESS
    assert len(as_json(write_status(status, 1))) < MOST


LONGEST = Tally(
    "a" * 63, runs=2**31 - 1, waits=99_999, since=START + 0.123, generation=2**31 - 1, base=-99_999
)


def every_entry() -> list[Counted]:
    """Every combination of what an entry can hold, with numbers and times at their longest."""
    choices: dict[str, list[Any]] = {
        "pod": [uid(1)],
        "containers": [(), (LONGEST,), (LONGEST, replace(LONGEST, container="b"))],
        "best_state": list(BestState),
    }
    names = [one.name for one in fields(Counted)]
    assert all(getattr(LONGEST, one.name) != one.default for one in fields(Tally))
    values = product(*[choices.get(name, [False, True]) for name in names])
    return [Counted(**dict(zip(names, some, strict=True))) for some in values]


def test_f7_an_entry_is_never_longer_than_it_is_taken_for() -> None:
    """It fails if an entry gets another field: ``memory.weigh`` has to know it."""
    entries = every_entry()
    assert len(entries) == 3 * 3 * 8
    for entry in entries:
        breaker = Breaker(counted=(entry,))
        dumped = write_status(Status(Memory(circuit_breaker=breaker)), 1)["circuitBreaker"][
            "counted"
        ]
        assert len(as_json(dumped)) - len("[]") + len(",") <= weigh([entry])
