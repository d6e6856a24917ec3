"""Which decisions may be written a little later, and which never are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields, replace
from typing import Any

import pytest

from tests.support.manual_cluster import completed
from tripswitch.domain.decide import decide
from tripswitch.domain.steps.write_delay import is_mere_failure, is_mere_progress
from tripswitch.domain.values.decision import (
    CreateReplicaSet,
    Decision,
    DeletePod,
    Event,
    EventReason,
    MarkCompleted,
)
from tripswitch.domain.values.memory import Breaker, Counted, Memory, Revision, Rollout, Tally
from tripswitch.domain.values.protection import Hold, HoldState
from tripswitch.domain.values.report import Condition, Report, RevisionReport
from tripswitch.domain.values.states import (
    BestState,
    Reason,
    RolloutKind,
    RolloutState,
    RolloutStatus,
    Stage,
)
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.write_delay import WRITE_DELAY, WriteDelay

ROLLOUT = Rollout(1, RolloutKind.DEPLOY, RolloutStatus.IN_PROGRESS, 0.0)
AVAILABLE = Condition("Available", False, Reason.ROLLOUT_IN_PROGRESS, "0 of 4", 0.0)
MEMORY = Memory(
    observed_generation=1,
    rollout=ROLLOUT,
    circuit_breaker=Breaker(counted=(Counted("a", (Tally("web", 1),)),)),
    revisions=(Revision(1, "web-1", "v1", 0.0),),
    conditions=(AVAILABLE.state,),
)
STATUS = Status(MEMORY, Report(revisions=(RevisionReport(1),), conditions=(AVAILABLE,)))


def remember(memory: Memory) -> Status:
    return replace(STATUS, memory=memory)


def breaker(**changes: object) -> Status:
    found = replace(MEMORY.circuit_breaker, **changes)  # type: ignore[arg-type]
    return remember(replace(MEMORY, circuit_breaker=found))


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(Report(), id="none of it"),
        pytest.param(
            Report(replicas=4, updated_replicas=3, ready_replicas=2, available_replicas=1),
            id="numbers of pods",
        ),
        pytest.param(
            Report(revisions=(RevisionReport(1, desired=4, running=3),)), id="numbers of a revision"
        ),
        pytest.param(
            Report(conditions=(replace(AVAILABLE, message="1 of 4"),)), id="a condition's message"
        ),
        pytest.param(Report(rollout_state_reason="1 of 4 pods healthy"), id="a sentence"),
    ],
)
def test_what_only_the_report_tells_can_wait(report: Report) -> None:
    assert is_mere_progress(STATUS, Decision(replace(STATUS, report=report)))


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(
            remember(
                replace(MEMORY, rollout=replace(ROLLOUT, healthy_high_water=2, progressed_at=9.0))
            ),
            id="the clock of the progress deadline",
        ),
        pytest.param(
            remember(replace(MEMORY, rollout=replace(ROLLOUT, held_at=9.0))),
            id="the clock of the progress deadline stands still",
        ),
        pytest.param(
            remember(replace(MEMORY, revisions=(replace(MEMORY.revisions[0], ready_seconds=7),))),
            id="how long its pods took to become Ready",
        ),
        pytest.param(
            breaker(
                counted=(*MEMORY.circuit_breaker.counted, Counted("b", best_state=BestState.READY))
            ),
            id="a pod became ready",
        ),
        pytest.param(breaker(stage=Stage.HEALTH), id="a pod was RUNNING"),
        pytest.param(breaker(unlisted=1), id="a pod for which there is no room became healthy"),
    ],
)
def test_how_far_pods_have_come_can_wait(after: Status) -> None:
    assert is_mere_progress(STATUS, Decision(after))


@pytest.mark.parametrize(
    "decision",
    [
        pytest.param(
            Decision(remember(replace(MEMORY, observed_generation=2))), id="an answer to the spec"
        ),
        pytest.param(Decision(breaker(failure_count=1)), id="a count"),
        pytest.param(
            Decision(breaker(counted=(Counted("a", (Tally("web", 2),)),))), id="what was counted"
        ),
        pytest.param(
            Decision(
                remember(replace(MEMORY, rollout=replace(ROLLOUT, status=RolloutStatus.FAILED)))
            ),
            id="the state of the rollout",
        ),
        pytest.param(
            Decision(
                remember(
                    replace(
                        MEMORY,
                        revisions=(
                            replace(MEMORY.revisions[0], rollout_state=RolloutState.COMPLETED),
                        ),
                    )
                )
            ),
            id="the state of a revision",
        ),
        pytest.param(
            Decision(
                remember(replace(MEMORY, conditions=(replace(AVAILABLE, status=True).state,)))
            ),
            id="a condition",
        ),
        pytest.param(
            Decision(
                remember(
                    replace(MEMORY, conditions=(replace(AVAILABLE, reason=Reason.PAUSED).state,))
                )
            ),
            id="a condition's reason",
        ),
        pytest.param(
            Decision(STATUS, events=(Event(EventReason.ROLLOUT_STARTED, "it started"),)),
            id="an event",
        ),
        pytest.param(Decision(STATUS, (CreateReplicaSet("web-2", 2, 4, 4),)), id="a creation"),
        pytest.param(Decision(STATUS, (MarkCompleted("web", "u", "1", 9.0),)), id="a completion"),
    ],
)
def test_anything_else_is_written_at_once(decision: Decision) -> None:
    assert not is_mere_progress(STATUS, decision)


HOLDERS = {"rollout", "circuit_breaker", "counted", "revisions"}
"""Fields that hold other parts of the memory."""


def change(kind: type, name: str) -> Status:
    """Return STATUS with another value in one field of one part of its memory."""
    known, other = MEMORY.circuit_breaker, {name: 9}
    parts: dict[type, Callable[[], Any]] = {
        Memory: lambda: remember(replace(MEMORY, **other)),  # type: ignore[arg-type]
        Rollout: lambda: remember(replace(MEMORY, rollout=replace(ROLLOUT, **other))),  # type: ignore[arg-type]
        Breaker: lambda: breaker(**other),
        Counted: lambda: breaker(counted=(replace(known.counted[0], **other),)),  # type: ignore[arg-type]
        Revision: lambda: remember(
            replace(MEMORY, revisions=(replace(MEMORY.revisions[0], **other),))  # type: ignore[arg-type]
        ),
    }
    changed: Status = parts[kind]()
    return changed


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        pytest.param(kind, field, id=f"{kind.__name__}.{field.name}")
        for kind in (Memory, Rollout, Breaker, Counted, Revision)
        for field in fields(kind)
        if field.name not in HOLDERS
    ],
)
def test_a_field_may_wait_only_if_its_declaration_says_so(kind: type, field: Field[Any]) -> None:
    delay = field.metadata.get(WRITE_DELAY)
    decision = Decision(change(kind, field.name))
    assert is_mere_progress(STATUS, decision) is (delay is WriteDelay.PROGRESS)
    # All entries of ``counted`` belong to the failures.
    assert is_mere_failure(STATUS, decision) is (delay is not None or kind is Counted)


WANTED = Hold("web-1")
PLACED = Hold("web-1", HoldState.PLACED)
RELEASING = Hold("web-1", HoldState.RELEASING)


@pytest.mark.parametrize(
    ("before", "after", "waits"),
    [
        pytest.param(None, WANTED, False, id="decided"),
        pytest.param(WANTED, PLACED, True, id="seen on the workload"),
        pytest.param(PLACED, Hold("web-1", HoldState.YIELDED), False, id="a person's"),
        pytest.param(PLACED, RELEASING, False, id="to be taken back"),
        pytest.param(RELEASING, PLACED, False, id="kept after all"),
        pytest.param(RELEASING, None, True, id="nothing is left of it"),
    ],
)
def test_what_the_workload_itself_tells_about_a_hold_can_wait(
    before: Hold | None, after: Hold | None, *, waits: bool
) -> None:
    """G4, G5."""
    known, status = (remember(replace(MEMORY, hold=hold)) for hold in (before, after))
    assert is_mere_progress(known, Decision(status)) == waits


FAILED = Event(EventReason.POD_LAUNCH_FAILED, "it crashed")


def test_failures_that_trip_nothing_can_wait_for_more_of_them() -> None:
    after = breaker(failure_count=1, counted=(Counted("a", (Tally("web", 2),)),))
    record = replace(MEMORY.revisions[0], failed_tasks=1)
    after = Status(replace(after.memory, revisions=(record,)), Report(replicas=3))
    assert is_mere_failure(STATUS, Decision(after, events=(FAILED,)))
    assert is_mere_failure(after, Decision(after, events=(FAILED,)))  # what was found out
    world = completed().apply("v2").settle()
    world.crash("v2", count=1)
    assert is_mere_failure(world.status, decide(world.snapshot, world.now))


@pytest.mark.parametrize(
    "decision",
    [
        pytest.param(
            Decision(
                remember(replace(MEMORY, rollout=replace(ROLLOUT, status=RolloutStatus.FAILED)))
            ),
            id="a trip",
        ),
        pytest.param(Decision(breaker(threshold=4, failure_count=1)), id="a threshold"),
        pytest.param(
            Decision(
                remember(
                    replace(
                        breaker(failure_count=1).memory,
                        revisions=(
                            replace(MEMORY.revisions[0], rollout_state=RolloutState.FAILED),
                        ),
                    )
                )
            ),
            id="the state of a revision",
        ),
        pytest.param(
            Decision(breaker(failure_count=1), (DeletePod("web-1", "u", "1"),), (FAILED,)),
            id="a pod to be replaced",
        ),
        pytest.param(
            Decision(
                breaker(failure_count=1),
                events=(FAILED, Event(EventReason.ROLLOUT_STOPPED, "stopped")),
            ),
            id="something else to be told",
        ),
    ],
)
def test_failures_together_with_anything_else_are_written_at_once(decision: Decision) -> None:
    assert not is_mere_failure(STATUS, decision)


def test_a_reset_of_the_count_is_written_at_once() -> None:
    """H2: the pod that was healthy may not be so a moment later."""
    assert not is_mere_failure(breaker(failure_count=2), Decision(breaker(failure_count=0)))


def test_the_crash_that_trips_is_never_held_back() -> None:
    world = completed().apply("v2").settle()
    assert not is_mere_failure(world.status, decide(world.crash("v2").snapshot, world.now))


def test_the_crash_that_trips_is_never_mere_progress() -> None:
    world = completed().apply("v2").settle()
    assert not is_mere_progress(world.status, decide(world.crash("v2").snapshot, world.now))


def test_one_more_healthy_pod_is() -> None:
    world = completed().apply("v2").settle().heal("v2", 1).settle().heal("v2", 1)
    decision = decide(world.snapshot, world.now)
    assert decision.status != world.status
    assert decision.actions  # one more old pod may go
    assert is_mere_progress(world.status, decision)
