"""The referee itself: each thing that must never be is seen, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    guarded,
    pending_pod,
    ready_pod,
    ready_pods,
    replica_set,
    replica_set_name,
    revision,
    rollout,
    snapshot,
    spec,
    template,
    terminating,
    unready_pod,
)
from tests.support.invariants import check_decision, check_status, compute_kept_healthy
from tests.support.manual_cluster import completed, started
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import (
    Action,
    AdoptReplicaSet,
    CreateReplicaSet,
    Decision,
    DeletePod,
    DeleteReplicaSet,
    Event,
    EventReason,
    MarkCompleted,
    ReleaseReplicaSet,
    ScaleReplicaSet,
)
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.memory import Breaker, Counted, FailureRecord, Memory, Tally
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.report import Condition, Report, RevisionReport
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import (
    BestState,
    BreakerState,
    Reason,
    RolloutKind,
    RolloutState,
    RolloutStatus,
    Stage,
)
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.storm import Storm
from tripswitch.domain.values.workload import Percentages

S = RolloutStatus
V1, V2, V3 = (replica_set_name(template(version)) for version in ("v1", "v2", "v3"))
COUNTED = Counted("uid-x", (Tally("web", runs=2, waits=1),), True, True, BestState.READY)

MEMORY = Memory(
    rollout=rollout(2),
    desired_revision=2,
    last_completed_revision=1,
    circuit_breaker=Breaker(
        stage=Stage.HEALTH,
        failure_count=2,
        counted=(COUNTED,),
        failures=(FailureRecord(2, FailureCause(FailureKind.LAUNCH, "Error"), "x", 2, START),),
    ),
    revisions=(revision(2, RolloutState.IN_PROGRESS, failed_tasks=2), revision(1)),
    collision_count=1,
)
NOT_READY = Condition("Ready", False, Reason.ROLLOUT_IN_PROGRESS, "", START)


def going(
    *conditions: Condition, state: RolloutState = RolloutState.IN_PROGRESS, **fields: Any
) -> Status:
    shown = conditions or (NOT_READY,)
    memory = replace(MEMORY, conditions=tuple(one.state for one in shown), **fields)
    told = tuple(RevisionReport(record.revision) for record in memory.revisions)
    return Status(memory, Report(rollout_state=state, revisions=told, conditions=shown))


GOING = going()
"""Revision 2 is rolled out, revision 1 was completed."""


def rolled(**fields: Any) -> Status:
    return going(rollout=replace(rollout(2), **fields))


def breaker(**fields: Any) -> Status:
    return going(circuit_breaker=replace(MEMORY.circuit_breaker, **fields))


def ready(*types: str, state: RolloutState = RolloutState.IN_PROGRESS, **fields: Any) -> Status:
    shown = [Condition(kind, True, Reason.PAUSED, "", START) for kind in types]
    return going(*shown, state=state, **fields)


def finished(**fields: Any) -> Status:
    return going(
        rollout=replace(rollout(2), status=S.STOPPED, finished_at=START),
        circuit_breaker=replace(
            MEMORY.circuit_breaker, **{"status": BreakerState.MONITORING_COMPLETE, **fields}
        ),
    )


CROWD = tuple(Counted(f"uid-{number}", failed=True) for number in range(2000))
FAILED_DESIRED = (revision(2, RolloutState.FAILED), revision(1))
BACK = {"kind": RolloutKind.ROLLBACK, "failed_revision": 3, "finished_at": None}


def test_a_status_as_it_should_be_has_no_violation() -> None:
    assert check_status(GOING) == []


@pytest.mark.parametrize(
    ("status", "violation"),
    [
        pytest.param(Status(), "there is no rollout", id="nothing"),
        pytest.param(
            replace(GOING, report=replace(GOING.report, revisions=())),
            "the report tells of revisions [], remembered are [2, 1]",
            id="revisions that are not told",
        ),
        pytest.param(
            replace(GOING, report=replace(GOING.report, conditions=())),
            "the report's conditions are ()",
            id="conditions that are not told",
        ),
        pytest.param(
            going(revisions=(revision(1), revision(2))), "newest first: [1, 2]", id="order"
        ),
        pytest.param(
            going(revisions=(revision(2), revision(1), revision(1))), "[2, 1, 1]", id="twice"
        ),
        pytest.param(
            going(revisions=(revision(2), replace(revision(1), replica_set=V2))),
            "two revisions share a ReplicaSet",
            id="one name for two",
        ),
        pytest.param(
            going(desired_revision=9), "revision 2 or 9 is not in the history", id="no desired"
        ),
        pytest.param(rolled(revision=9), "revision 9 or 2 is not in the history", id="no target"),
        pytest.param(
            going(last_completed_revision=9), "revision 9 was never completed (R5)", id="R5 unknown"
        ),
        pytest.param(
            going(revisions=(revision(2), revision(1, completed_at=None))),
            "revision 1 was never completed (R5)",
            id="R5 never",
        ),
        pytest.param(
            going(revisions=(revision(2), revision(1, RolloutState.FAILED, completed_at=START))),
            "revision 1 was never completed (R5)",
            id="R5 not any more",
        ),
        pytest.param(
            going(last_completed_revision=2, revisions=(revision(2), revision(1))),
            "revision 2 is rolled out and last completed at once (B1)",
            id="B1 both",
        ),
        pytest.param(
            rolled(status=S.ROLLBACK_IN_PROGRESS), "a DEPLOY is ROLLBACK_IN_PROGRESS", id="kind"
        ),
        pytest.param(rolled(**BACK), "a ROLLBACK is IN_PROGRESS", id="the other kind"),
        pytest.param(
            rolled(**{**BACK, "failed_revision": 2}, status=S.ROLLBACK_IN_PROGRESS),
            "a rollback to the revision that failed: 2 (B1)",
            id="B1 back to the failed one",
        ),
        pytest.param(
            rolled(**{**BACK, "failed_revision": None}, status=S.ROLLBACK_IN_PROGRESS),
            "a rollback to the revision that failed: 2 (B1)",
            id="B1 back from nowhere",
        ),
        pytest.param(
            rolled(finished_at=START), "a rollout is IN_PROGRESS and finished at", id="too early"
        ),
        pytest.param(
            rolled(status=S.FAILED), "a rollout is FAILED and finished at None", id="never"
        ),
        pytest.param(rolled(status=S.PENDING), "a rollout waits for no pause (R7)", id="R7"),
        pytest.param(
            rolled(progressed_at=START - 1), "progressed before it started (P1)", id="P1 too early"
        ),
        pytest.param(
            breaker(status=BreakerState.TRIGGERED), "the breaker is TRIGGERED while", id="S3"
        ),
        pytest.param(breaker(threshold=2), "2/2 failures and no trip (T5)", id="T5"),
        pytest.param(
            breaker(failure_count=1),
            "the records tell of 2 failures, the count is 1",
            id="too many",
        ),
        pytest.param(
            breaker(failures=()), "the records tell of 0 failures, the count is 2", id="too few"
        ),
        pytest.param(breaker(counted=(COUNTED, COUNTED)), "counted twice", id="F7 twice"),
        pytest.param(
            rolled(status=S.STOPPED, finished_at=START),
            "pods are remembered of a rollout that is over",
            id="remembered for nothing",
        ),
        pytest.param(
            finished(counted=(), unlisted=1),
            "pods are remembered of a rollout that is over",
            id="a number remembered for nothing",
        ),
        pytest.param(
            finished(counted=(), uncounted_until=START),
            "pods are remembered of a rollout that is over",
            id="a base line remembered for nothing",
        ),
        pytest.param(ready("Stalled", "Stalled"), "a condition is there twice", id="twice shown"),
        pytest.param(
            ready("Ready", "Stalled", revisions=FAILED_DESIRED),
            "a failed revision is reported as success (B7)",
            id="B7 Ready",
        ),
        pytest.param(
            ready(revisions=FAILED_DESIRED),
            "a failed revision is reported as success (B7)",
            id="B7 not Stalled",
        ),
        pytest.param(
            ready("Ready"), "Ready while the rollout is IN_PROGRESS", id="Ready too early"
        ),
    ],
)
def test_what_a_status_must_never_say(status: Status, violation: str) -> None:
    assert any(violation in found for found in check_status(status))


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(
            rolled(**BACK, status=S.ROLLBACK_IN_PROGRESS), id="a rollback from another revision"
        ),
        pytest.param(
            breaker(status=BreakerState.DISABLED, threshold=2), id="T5 not when it is disabled"
        ),
        pytest.param(
            going(
                rollout=rollout(2, paused_at=START),
                circuit_breaker=replace(MEMORY.circuit_breaker, threshold=2),
            ),
            id="T5 not in a pause",
        ),
        pytest.param(
            breaker(
                failures=MEMORY.circuit_breaker.failures[:0]
                + tuple(
                    FailureRecord(1, FailureCause(FailureKind.LAUNCH, f"r{n}"), "x", 1, START)
                    for n in range(10)
                )
            ),
            id="records that had no room",
        ),
        pytest.param(
            ready("Ready", state=RolloutState.COMPLETED, last_completed_revision=None),
            id="Ready when completed",
        ),
        pytest.param(
            ready("Stalled", revisions=FAILED_DESIRED), id="B7 a failed revision that shows"
        ),
    ],
)
def test_what_a_status_may_say(status: Status) -> None:
    assert check_status(status) == []


# --- decisions ------------------------------------------------------------------------------------

NEW = replica_set(2, pending_pod("n0"), pending_pod("n1"), unready_pod("late"), size=3, sized_for=4)
OLD = replica_set(1, *ready_pods(4))
EMPTY = replica_set(3, size=0)
LATE = replace(COUNTED, pod="uid-late", containers=(), failed=False)


def world(**fields: Any) -> Snapshot:
    """A snapshot with revision 2 on its way and revision 1 running."""
    wish = guarded(4, template("v2"), status=GOING, **fields)
    return snapshot(wish, NEW, OLD, EMPTY)


def decision(*actions: Action, status: Status = GOING, **fields: Any) -> Decision:
    return Decision(status=status, actions=actions, **fields)


def scale(of: ReplicaSetView, size: int) -> ScaleReplicaSet:
    return ScaleReplicaSet(of.name, of.uid, of.resource_version, size, 4)


def check(made: Decision, seen: Snapshot | None = None) -> list[str]:
    return check_decision(world() if seen is None else seen, made, START + 60)


def test_a_decision_as_it_should_be_has_no_violation() -> None:
    assert check(decision(scale(NEW, 4), wake_at=START + 61)) == []


def test_what_is_wrong_with_the_status_is_wrong_with_the_decision() -> None:
    assert check(decision(status=Status())) == ["there is no rollout"]
    assert any("(T5)" in found for found in check(decision(status=breaker(threshold=1))))


FALLEN: dict[str, dict[str, Any]] = {
    "runs": {"containers": (Tally("web", runs=1, waits=1),)},
    "waits": {"containers": (Tally("web", runs=2),)},
    "container": {"containers": ()},
    "failed": {"failed": False},
    "unhealthy": {"unhealthy": False},
    "best state": {"best_state": BestState.NONE},
}
"""Marks of ``COUNTED`` that are lower than they were."""

FAILURE = Failure(FailureCause(FailureKind.LAUNCH, "Error"), "x")
TOLD = Event(EventReason.ROLLOUT_STARTED, "")


@pytest.mark.parametrize(
    ("made", "violation"),
    [
        pytest.param(decision(events=(TOLD,)), "something is told while nothing changed", id="W3"),
        pytest.param(decision(failures=(FAILURE,)), "(W3)", id="W3 a failure"),
        pytest.param(decision(wake_at=START + 60), "to be woken 0.000 s ago", id="woken too late"),
        pytest.param(
            decision(status=going(collision_count=0)), "the collision count fell", id="collisions"
        ),
        pytest.param(
            decision(status=going(revisions=(revision(2, failed_tasks=1), revision(1)))),
            "a revision has fewer failed tasks than before",
            id="failed tasks",
        ),
        pytest.param(
            decision(
                status=rolled(
                    kind=RolloutKind.ROLLBACK, failed_revision=3, status=S.ROLLBACK_IN_PROGRESS
                )
            ),
            "went from IN_PROGRESS to ROLLBACK_IN_PROGRESS, which is not in TABLE",
            id="not in the table",
        ),
        pytest.param(
            decision(status=rolled(failed_revision=1)), "a rollout became another one", id="another"
        ),
        pytest.param(
            decision(status=breaker(stage=Stage.LAUNCH)), "went back to stage 1 (S1)", id="S1"
        ),
        pytest.param(
            decision(status=breaker(failure_count=1)), "from 2 to 1 with 0 new", id="F7 fell"
        ),
        pytest.param(
            decision(status=breaker(failure_count=4), failures=(FAILURE,)),
            "from 2 to 4 with 1 new",
            id="F7 doubled",
        ),
        pytest.param(
            decision(status=breaker(counted=(COUNTED, *CROWD))),
            "more than there is room for (F7)",
            id="F7 bound",
        ),
        *(
            pytest.param(
                decision(status=breaker(counted=(replace(COUNTED, **fields),))),
                "the marks of pod uid-x fell (F7)",
                id=f"F7 marks: {what}",
            )
            for what, fields in FALLEN.items()
        ),
        pytest.param(
            decision(
                status=going(
                    rollout=rollout(
                        2,
                        S.ROLLBACK_IN_PROGRESS,
                        RolloutKind.ROLLBACK,
                        started_at=START + 9,
                        progressed_at=START + 9,
                        failed_revision=1,
                    )
                )
            ),
            "rolled back to revision 2, which was not the last completed (B1)",
            id="B1 to another",
        ),
    ],
)
def test_what_must_never_be_decided(made: Decision, violation: str) -> None:
    assert any(violation in found for found in check(made))


def moved(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what is wrong with a rollout that went from one state to another."""
    wish = guarded(4, template("v2"), status=rolled(**before))
    return check(decision(status=rolled(**after)), snapshot(wish, NEW, OLD))


@pytest.mark.parametrize(
    ("before", "after", "violation"),
    [
        pytest.param(
            {"status": S.STOPPED, "finished_at": START},
            {"status": S.STOPPED, "finished_at": START + 1},
            "a finished rollout finished again",
            id="finished twice",
        ),
        pytest.param(
            {"status": S.STOPPED, "finished_at": START},
            {"status": S.IN_PROGRESS},
            "went from STOPPED to IN_PROGRESS",
            id="risen again",
        ),
        pytest.param(
            {"healthy_high_water": 2},
            {"healthy_high_water": 1},
            "the mark of progress fell (P1)",
            id="P1 the mark",
        ),
        pytest.param(
            {"progressed_at": START + 5},
            {"progressed_at": START + 4},
            "the mark of progress fell (P1)",
            id="P1 its time",
        ),
        pytest.param(
            {**BACK, "status": S.STOPPED, "finished_at": START},
            {**BACK, "status": S.ROLLBACK_IN_PROGRESS, "started_at": START + 1},
            "a rollback starts another rollout (B5)",
            id="B5",
        ),
    ],
)
def test_how_a_rollout_must_never_move(
    before: dict[str, Any], after: dict[str, Any], violation: str
) -> None:
    assert any(violation in found for found in moved(before, after))


def test_a_rollback_that_proved_nothing_may_begin_again() -> None:
    done = {**BACK, "status": S.ROLLBACK_SUCCESSFUL, "finished_at": START}
    again = {
        **BACK,
        "status": S.ROLLBACK_IN_PROGRESS,
        "started_at": START + 1,
        "progressed_at": START + 1,
    }
    assert not any("(B5)" in found or "(B1)" in found for found in moved(done, again))


def test_h2_a_reset_is_no_loss_where_it_is_asked_for() -> None:
    reset = decision(status=breaker(failure_count=0, failures=()))
    assert check(reset) == []
    strict = world(breaker=breaker_spec(reset_on_healthy_task=False))
    assert any("from 2 to 0" in found for found in check(reset, strict))


@pytest.mark.parametrize(
    ("action", "violation"),
    [
        pytest.param(
            CreateReplicaSet(V3, 2, 1, 4), "created for another revision", id="another name"
        ),
        pytest.param(
            CreateReplicaSet(V2, 9, 1, 4), "created for another revision", id="no revision"
        ),
        pytest.param(
            CreateReplicaSet(V1, 1, 1, 4), "from a template that is not its own (B8)", id="B8"
        ),
        pytest.param(CreateReplicaSet(V2, 2, 1, 4), f"{V2} is created and is there", id="there"),
        pytest.param(
            DeleteReplicaSet("x", "uid-unknown", "1"), "not about what was looked at (W1)", id="W1"
        ),
        pytest.param(
            ScaleReplicaSet("x", "uid-unknown", "1", 0, 4),
            "not about what was looked at (W1)",
            id="W1 a size",
        ),
        pytest.param(
            DeletePod("x", "uid-unknown", "1"), "not about what was looked at (W1)", id="W1 a pod"
        ),
        pytest.param(replace(scale(NEW, 4), resource_version="0"), "(W1)", id="W1 another version"),
        pytest.param(
            scale(NEW, 3),
            "is scaled to the size it has (W3)",
            id="W3",
        ),
        pytest.param(scale(OLD, 5), "is raised to 5 and is not the target", id="R3 raised"),
        pytest.param(DeletePod("n0", "uid-n0", "1"), "replaced for no reason (F4)", id="F4 early"),
        pytest.param(
            MarkCompleted(V2, NEW.uid, "1", START), "is marked completed and is not (W2)", id="W2"
        ),
        pytest.param(scale(OLD, 3), "3 healthy pods left of 4, at least 4 needed (R3)", id="R3 L"),
        pytest.param(scale(NEW, 5), "9 pods planned, at most 8 allowed (R3)", id="R3 U"),
        pytest.param(
            DeleteReplicaSet(V1, OLD.uid, "1"), "is pruned and still needed", id="pruned too early"
        ),
    ],
)
def test_what_must_never_be_done(action: Action, violation: str) -> None:
    assert any(violation in found for found in check(decision(action)))


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(DeleteReplicaSet(V3, EMPTY.uid, "1"), id="prune what is empty"),
        pytest.param(MarkCompleted(V1, OLD.uid, "1", START), id="W2 mark the last completed one"),
        pytest.param(scale(NEW, 0), id="lower the target"),
    ],
)
def test_what_may_be_done(action: Action) -> None:
    assert check(decision(action)) == []


def test_nothing_is_scaled_twice() -> None:
    assert any("scaled twice" in found for found in check(decision(scale(NEW, 4), scale(NEW, 2))))


def test_f4_only_a_late_pod_of_the_target_may_be_replaced() -> None:
    late = breaker(counted=(LATE,))
    seen = snapshot(guarded(4, template("v2"), status=late), NEW, OLD)
    gone = snapshot(guarded(4, template("v2"), status=late), OLD)
    held = snapshot(guarded(4, template("v2"), status=late, paused=True), NEW, OLD)
    made = decision(DeletePod("late", "uid-late", "1"), status=late)
    assert check(made, seen) == []
    assert any("(F4)" in found for found in check(made, held))
    assert any("(F4)" in found for found in check(made, gone))
    elsewhere = snapshot(
        guarded(4, template("v2"), status=late), replace(NEW, pods=()), replace(OLD, pods=NEW.pods)
    )
    assert any("(F4)" in found for found in check(made, elsewhere))


def test_w1_what_is_being_deleted_is_left_alone_and_only_ours_is_touched() -> None:
    wish = guarded(4, template("v2"), status=GOING)
    deleted = snapshot(wish, NEW, replace(OLD, deleting=True))
    assert any("(W1)" in found for found in check(decision(scale(OLD, 0)), deleted))
    orphan = snapshot(wish, NEW, replace(OLD, owned=False))
    adopt = AdoptReplicaSet(V1, OLD.uid, "1")
    mark = MarkCompleted(V1, OLD.uid, "1", START)
    assert check(decision(adopt), orphan) == []
    assert check(decision(adopt, mark), orphan) == []
    assert any("not about one of ours" in found for found in check(decision(mark), orphan))


def test_w5_only_what_left_the_selector_is_released() -> None:
    seen = snapshot(guarded(4, template("v2"), status=GOING), NEW, OLD)
    release = ReleaseReplicaSet(V1, OLD.uid, "1")
    strayed = replace(seen, replica_sets=(NEW,), strays=(OLD,))
    assert check(decision(release), strayed) == []
    assert any("(W1)" in found for found in check(decision(release), seen))
    assert any("(W1)" in found for found in check(decision(scale(OLD, 0)), strayed))
    foreign = replace(strayed, strays=(replace(OLD, owned=False),))
    assert any("not about one of ours" in found for found in check(decision(release), foreign))


def test_a_replica_set_that_is_on_its_way_out_does_not_hinder_its_successor() -> None:
    wish = guarded(4, template("v2"), status=GOING)
    leaving = snapshot(wish, replace(NEW, deleting=True), OLD)
    assert check(decision(CreateReplicaSet(V2, 2, 1, 4)), leaving) == []
    assert any("(R3)" in found for found in check(decision(CreateReplicaSet(V2, 2, 2, 4)), leaving))


SCALED = (replace(NEW, sized_for=3), replace(OLD, sized_for=3), EMPTY)
"""Sized for three replicas, where four are wanted now."""


def test_r7_in_a_pause_sizes_change_only_when_it_was_scaled() -> None:
    held = world(paused=True)
    for size in (4, 2):
        assert any(
            "while paused (R7)" in found for found in check(decision(scale(NEW, size)), held)
        )
    scaled = snapshot(held.guarded, *SCALED)
    assert check(decision(scale(NEW, 4)), scaled) == []
    assert any(
        "never completed (R7)" in found for found in check(decision(scale(EMPTY, 1)), scaled)
    )
    more = snapshot(guarded(6, template("v2"), status=GOING, paused=True), OLD)
    assert check(decision(scale(OLD, 6)), more) == []
    made = decision(CreateReplicaSet(V2, 2, 0, 4))
    assert any("(B3, R7)" in found for found in check(made, more))


def test_r8_the_brake_lowers_also_in_a_pause() -> None:
    held, braked = world(paused=True), going(storms=(Storm(NEW.name, START, START, NEW.size),))
    assert check(decision(scale(NEW, 2), status=braked), held) == []
    assert any(
        "while paused" in found for found in check(decision(scale(NEW, 4), status=braked), held)
    )


STOPPED = going(
    rollout=rollout(2, S.FAILED, finished_at=START),
    circuit_breaker=Breaker(BreakerState.TRIGGERED),
    state=RolloutState.FAILED,
)


def test_b3_when_stalled_only_what_completed_before_is_raised_and_only_when_it_was_scaled() -> None:
    wish = guarded(4, template("v2"), status=STOPPED)
    seen, scaled = snapshot(wish, NEW, OLD), snapshot(wish, *SCALED)
    for action, world in (
        (scale(NEW, 4), scaled),
        (scale(OLD, 5), seen),
        (scale(EMPTY, 1), scaled),
    ):
        found = check(decision(action, status=STOPPED), world)
        assert any("while stalled (B3)" in words for words in found)
    made = decision(CreateReplicaSet(V2, 2, 0, 4), status=STOPPED)
    assert any("(B3, R7)" in found for found in check(made, snapshot(wish, OLD)))
    assert check(decision(scale(OLD, 5), status=STOPPED), scaled) == []
    assert check(decision(scale(NEW, 0), status=STOPPED), seen) == []


def test_r4_a_revision_that_completed_grows_beside_the_target_when_it_was_scaled() -> None:
    scaled = snapshot(world().guarded, *SCALED)
    assert check(decision(scale(OLD, 5)), scaled) == []
    assert any("is not the target" in found for found in check(decision(scale(EMPTY, 1)), scaled))


@pytest.mark.parametrize(
    ("status", "fields"),
    [pytest.param(STOPPED, {}, id="stalled"), pytest.param(GOING, {"paused": True}, id="paused")],
)
def test_r7_nothing_but_a_rollout_takes_a_healthy_pod_that_replicas_asks_for(
    status: Status, fields: dict[str, Any]
) -> None:
    half = Percentages(50, 200)
    for replicas, found in ((4, "3 healthy pods left of 4, at least 4 needed"), (3, "")):
        wish = guarded(replicas, template("v2"), status=status, strategy=half, **fields)
        seen = snapshot(wish, replace(OLD, sized_for=8))
        assert "; ".join(check(decision(scale(OLD, 3), status=status), seen)).startswith(found)
    assert check(decision(scale(OLD, 3)), world(strategy=half)) == []


def test_r3_more_than_u_is_no_fault_while_nothing_is_raised() -> None:
    too_many = snapshot(guarded(1, template("v2"), status=GOING), NEW, OLD)
    assert check(decision(scale(OLD, 3)), too_many) == []
    assert any("(R3)" in found for found in check(decision(scale(NEW, 4)), too_many))


# --- the arithmetic -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        pytest.param(9, 2, id="raised"),
        pytest.param(4, 2, id="as it is"),
        pytest.param(3, 2, id="the one that is not Ready goes first"),
        pytest.param(2, 1, id="then a healthy one"),
        pytest.param(1, 0, id="then the other"),
        pytest.param(0, 0, id="all"),
    ],
)
def test_the_worst_choice_of_a_replica_set(size: int, kept: int) -> None:
    pods = (
        ready_pod("h1", START - 10),
        ready_pod("h2", START - 10),
        ready_pod("fresh", START),
        unready_pod("up"),
        terminating(ready_pod("going", START - 10)),
    )
    found = replica_set(1, *pods, size=4)
    assert compute_kept_healthy(found, size, spec(min_ready_seconds=10), START) == kept


def test_a_replica_set_that_is_being_deleted_keeps_nobody_for_sure() -> None:
    found = replica_set(1, *ready_pods(4), deleting=True)
    assert compute_kept_healthy(found, 4, spec(), START) == 0


# --- the real thing -------------------------------------------------------------------------------

STORIES: list[Callable[[], Any]] = [
    started,
    lambda: started().crash("v1"),
    lambda: completed().apply("v2").settle(1.0).crash("v2"),
    lambda: completed().want(paused=True).apply("v2"),
    lambda: completed().want(replicas=0).apply("v2"),
]


@pytest.mark.parametrize("story", STORIES)
def test_what_decide_decides_has_no_violation(story: Callable[[], Any]) -> None:
    told = story()
    assert check_decision(told.snapshot, decide(told.snapshot, told.now), told.now) == []


def test_r3_a_replica_set_raised_to_no_more_than_its_live_pods_makes_none() -> None:
    """Its size was 0, and the ReplicaSet controller has not come to its pods yet."""
    full = replace(OLD, size=0)
    seen = replace(world(), replica_sets=(replace(NEW, size=0, pods=ready_pods(4)), full, EMPTY))
    seen = replace(seen, guarded=replace(seen.guarded, spec=replace(seen.guarded.spec, replicas=2)))
    for size, told in ((4, False), (5, True)):
        found = any("pods planned" in one for one in check(decision(scale(NEW, size)), seen))
        assert found is told
