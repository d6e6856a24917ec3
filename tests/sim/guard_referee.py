"""Watches a world with a guarded workload: rules G beside those of the core (T5, F7, V).

Looks are judged by the same naive re-count as those of GuardedDeployments. Writes are judged at the moment at
which the API server takes them, from what is there and not from what the operator knew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from tests.sim.guard_people import GuardPeople
from tests.sim.laws import check_laws
from tests.sim.objects import (
    Raw,
    RawBreaker,
    RawDeployment,
    RawPod,
    RawSet,
    RawStateful,
    RawWorkload,
)
from tests.sim.operator import Decide, Look
from tests.sim.referee import CounterexampleError, Referee, count_decision, find_harm
from tests.sim.workload_api import WorkloadServer
from tests.support.invariants import check_status, compute_kept_healthy
from tripswitch.cluster.workload_index import OPT_IN
from tripswitch.cluster.workloads import CHANGED, HOW_TO_GO_ON, MARKS, TRIPPED
from tripswitch.domain.rules.bounds import compute_bounds
from tripswitch.domain.values.decision import DeletePod
from tripswitch.domain.values.hold_actions import (
    HoldWorkload,
    ReleaseWorkload,
    ReportTrip,
    ResizeRevision,
    WithdrawReport,
)
from tripswitch.domain.values.protection import HOLD_PARTITION, HoldState, Mode
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Recreate

LATE = 60.0
"""Seconds in which a write may arrive that was decided before people changed what it depends on."""
WINDOW = 300.0
MOST_WRITES = 40
"""Writes of ours on a workload and what it owns, within WINDOW seconds: more is a fight."""
STALLED = "Stalled"
LONG_KNOWN = 200.0
"""Seconds after which the operator knows of breakers that were made or deleted."""
ASKED = {"POST": ("enforce", "observe"), "PATCH": ("enforce", "observe"), "DELETE": ("off", "")}
"""What the label says where a breaker is made, changed or deleted for it."""


class GuardReferee(Referee):
    """Knows the one workload of its world, and its breakers."""

    def __init__(
        self,
        api: WorkloadServer,
        decide: Decide,
        clock: Callable[[], Instant],
        *,
        good: bool = False,
    ) -> None:
        super().__init__(api, decide, good=good)
        self._server = api
        self._clock = clock
        self.people: GuardPeople | None = None
        self._writes: deque[Instant] = deque()
        self._held_at: Instant = 0.0
        self._observed: bool = False

    # Looks ---------------------------------------------------------------------------------------

    def looked(self, look: Look) -> None:
        """Check a decision, whatever becomes of it."""
        count_decision(self.seen, look)
        found = _check_plan(look) + self._check_rivals(look)
        if look.decision.status.memory.rollout is not None:
            found += check_status(look.decision.status)
        if self.seen["decisions"] % SAMPLE == 0:
            self.seen["decisions asked again (laws)"] += 1
            found += check_laws(self._decide, look.snapshot, look.decision, look.now)
        if self._good and look.decision.status.memory.rollout is not None:
            found += find_harm(look.decision)
        if found:
            raise CounterexampleError("; ".join(found), look)

    def accepted(self, look: Look) -> None:
        """Check a decision that is written now against the re-count."""
        protected = look.snapshot.protected
        assert protected is not None
        workload = protected.workload
        if protected.rival or (workload is not None and workload.on_delete):
            self.seen["looks at which nothing is watched (G1)"] += 1
            return
        before, after = look.snapshot.guarded.status.memory.hold, look.decision.status.memory.hold
        if after is not None and (before is None or before.state is HoldState.RELEASING):
            self.seen["holds"] += after.state is HoldState.WANTED
        if before is not None and after is None:
            self.seen["holds ended"] += 1
        if look.decision.status.memory.rollout is None:
            return
        look = _renumber(look)
        told, known = look.snapshot.guarded.status.memory.rollout, self._recount
        if known is not None and told is not None:
            known.rollout = replace(known.rollout, revision=told.revision)
        super().accepted(look)

    def _check_rivals(self, look: Look) -> list[str]:
        """G1: of two breakers the older one acts, and of none that nothing can be watched for."""
        protected, guarded = look.snapshot.protected, look.snapshot.guarded
        assert protected is not None
        assert self.people is not None
        workload = protected.workload
        watches = not protected.rival and (workload is None or not workload.on_delete)
        moved = look.decision.status.memory.rollout != guarded.status.memory.rollout
        if not watches:
            acts = moved or look.decision.actions or look.decision.failures
            return ["it acts for a workload that is not its own to watch (G1)"] if acts else []
        oldest = next(iter(self._server.breakers), guarded.uid)
        known = self._clock() - self.people.switched_at < LONG_KNOWN
        if guarded.uid != oldest and not known:
            return [f"{guarded.name} acts, and there is an older breaker (G1)"]
        return []

    def judge_label(self, method: str, breaker: RawBreaker) -> None:
        """Check a breaker that is made, changed or deleted for a label (G8).

        Raises:
            CounterexampleError: No label asks for it.
        """
        assert self.people is not None
        one, found = self._server.workload, []
        wish = "" if one is None else dict(one.labels).get(OPT_IN, "")
        self.seen[f"breakers of labels: {method}"] += 1
        if not breaker.made_for:
            found.append(f"{breaker.name}, which a person made, is changed for a label (G8)")
        if self._clock() - self.people.switched_at > LATE and wish not in ASKED[method]:
            found.append(f"{method} of {breaker.name}, and the label says {wish or 'nothing'} (G8)")
        if method == "POST" and self._server.breakers:
            found.append("a breaker is made beside another one (G8)")
        if found:
            raise CounterexampleError("; ".join(found))

    def _is_asked_for(self, look: Look) -> bool:
        """Whoever resumes a held workload asks for a retry (G5), and whoever makes it again for all anew."""
        snapshot = look.snapshot
        protected, hold = snapshot.protected, snapshot.guarded.status.memory.hold
        assert protected is not None
        one = protected.workload
        resumed = one is not None and not one.paused and not one.partition and hold is not None
        return resumed or protected.made_anew or super()._is_asked_for(look)

    # Writes --------------------------------------------------------------------------------------

    def judge(self, before: Raw, after: Raw | None) -> None:
        """Check a write of the operator on the workload, a ReplicaSet or a pod.

        Raises:
            CounterexampleError: It is against rules G.
        """
        if after == before:
            return
        assert self.people is not None
        found = self._check_mode()
        if isinstance(before, RawStateful) and before.on_delete:
            found.append("a write on a StatefulSet whose pods people delete (G1)")
        if _is_report_again(before, after):
            self.seen["reports written again"] += 1
        else:
            found += self._check_rate()
        match before, after:
            case RawDeployment() | RawStateful(), RawDeployment() | RawStateful():
                found += self._check_workload(before, after)
            case RawSet(), RawSet():
                found += self._check_size(before, after)
            case RawPod(), None:
                found += self._check_deletion(before)
        if found:
            raise CounterexampleError("; ".join(found))

    def _check_mode(self) -> list[str]:
        assert self.people is not None
        recent = self._clock() - self.people.switched_at < LATE
        modes = {one.wish.protection.mode for one in self._server.breakers.values()}
        if modes == {Mode.OBSERVE} and not recent:
            return ["a write in mode Observe (G7)"]
        return ["a write on a workload whose template is good"] if self._good else []

    def _check_rate(self) -> list[str]:
        now = self._clock()
        self._writes.append(now)
        while self._writes[0] < now - WINDOW:
            self._writes.popleft()
        self.seen["writes on workloads"] += 1
        if len(self._writes) > MOST_WRITES:
            return [f"{len(self._writes)} writes within {WINDOW:.0f} s: a fight (G5)"]
        return []

    def _check_workload(self, before: RawWorkload, after: RawWorkload) -> list[str]:
        stops, stopped = is_stopped(after), is_stopped(before)
        marked, marks = bool(marks_of(before)), bool(marks_of(after))
        if stops and marks:
            self._held_at = self._clock()
        found = []
        if stops and not stopped:
            self.seen["holds placed"] += 1
            if not marks:
                found.append("a workload is stopped without a mark (G4)")
        if stopped and not marked and stops != stopped:
            found.append("a person's pause is undone (G6)")
        if stopped and not stops:
            self.seen["holds released"] += 1
        if marks and not set(dict(after.notes)) >= {TRIPPED, CHANGED, HOW_TO_GO_ON}:
            found.append("a mark is not whole (G4)")
        kept = [one for one in before.notes if one[0] not in MARKS]
        if kept != [one for one in after.notes if one[0] not in MARKS]:
            found.append("an annotation of somebody else is changed (G5)")
        if isinstance(before, RawStateful) and isinstance(after, RawStateful) and stopped != stops:
            given = before.partition if stops else self._told_partition(before)
            if not stops and after.partition != given:
                found.append(f"partition {after.partition} is restored, it was {given} (G5)")
        return found

    def _told_partition(self, one: RawStateful) -> int:
        mark = marks_of(one).get(CHANGED, "")
        return int(mark.rpartition('"partition": ')[2].rstrip("}") or 0)

    def _is_held(self) -> bool:
        one = self._server.workload
        held = one is not None and is_stopped(one) and bool(marks_of(one))
        return held or self._clock() - self._held_at < LATE

    def _check_size(self, before: RawSet, after: RawSet) -> list[str]:
        if not self._is_held():
            return [f"{before.name} is resized and its Deployment is not held (G4)"]
        return []

    def _check_deletion(self, pod: RawPod) -> list[str]:
        found: list[str] = []
        if not self._server.breakers:
            return found  # it was deleted a moment ago
        status = next(iter(self._server.breakers.values())).wish.status.memory
        rollout = status.rollout
        good = {
            record.replica_set
            for record in status.revisions
            if rollout is not None and record.revision == rollout.revision
        }
        self.seen["pods deleted (G4)"] += 1
        if pod.mark in good:
            found.append(f"{pod.name} of the completed revision is deleted (G4)")
        if not self._is_held():
            found.append(f"{pod.name} is deleted and its StatefulSet is not held (G4)")
        return found

    def check_world(self, now: Instant) -> None:
        """Nothing is checked after each step."""


SAMPLE = 11


def _is_report_again(before: Raw, after: Raw | None) -> bool:
    """A StatefulSet's controller drops the condition of a trip at each write; it is written again (ADR 16)."""
    if not (isinstance(before, RawStateful) and isinstance(after, RawStateful)):
        return False
    return bool(marks_of(before)) and replace(after, status=before.status) == before


def is_stopped(one: RawWorkload) -> bool:
    """Return whether its controller is stopped, by a pause or as a hold does it."""
    if isinstance(one, RawDeployment):
        return one.paused
    return one.partition == HOLD_PARTITION


def marks_of(one: RawWorkload) -> dict[str, str]:
    """Return the annotations of ours."""
    return {key: told for key, told in one.notes if key in MARKS}


def find_remains(one: RawWorkload) -> list[str]:
    """Return what is left of a trip on a workload (G5)."""
    found = list(marks_of(one))
    found += [f"condition {c.type}" for c in one.status.conditions if c.type == STALLED]
    return [*found, "it is stopped"] if is_stopped(one) else found


def _renumber(look: Look) -> Look:
    """Return a look as if what was written before had the numbers that its revisions have now."""
    before, after = look.snapshot.guarded.status.memory, look.decision.status.memory
    names = {record.replica_set: record.revision for record in after.revisions}
    moved = {
        record.revision: names[record.replica_set]
        for record in before.revisions
        if names.get(record.replica_set, record.revision) != record.revision
    }
    if not moved or before.rollout is None:
        return look

    def map_number(number: int | None) -> int | None:
        return None if number is None else moved.get(number, number)

    number = moved.get(before.rollout.revision, before.rollout.revision)
    failed = map_number(before.rollout.failed_revision)
    status = replace(
        before,
        rollout=replace(before.rollout, revision=number, failed_revision=failed),
        desired_revision=map_number(before.desired_revision),
        last_completed_revision=map_number(before.last_completed_revision),
        revisions=tuple(
            replace(one, revision=moved.get(one.revision, one.revision)) for one in before.revisions
        ),
    )
    told = replace(look.snapshot.guarded.status, memory=status)
    guarded = replace(look.snapshot.guarded, status=told)
    return replace(look, snapshot=replace(look.snapshot, guarded=guarded))


def _check_plan(look: Look) -> list[str]:
    """What a decision does to the workload, by the decision alone."""
    protected, decision = look.snapshot.protected, look.decision
    assert protected is not None
    actions, workload = decision.actions, protected.workload
    if not actions:
        return []
    found = []
    if protected.protection.mode is Mode.OBSERVE:
        found.append(f"actions in mode Observe: {actions} (G7)")
    if workload is None or protected.rival:
        return [*found, f"actions without a workload of its own: {actions} (G1)"]
    kinds = (
        HoldWorkload | ReleaseWorkload | ReportTrip | WithdrawReport | ResizeRevision | DeletePod
    )
    found += [
        f"{one} is no action on a guarded workload" for one in actions if not isinstance(one, kinds)
    ]
    if (
        decision.status.memory.hold is None
        or decision.status.memory.hold.state is HoldState.RELEASING
    ):
        bad = [one for one in actions if not isinstance(one, ReleaseWorkload | WithdrawReport)]
        found += [f"{one} without a hold (G4)" for one in bad]
    return found + _check_sizes(look)


def _check_sizes(look: Look) -> list[str]:
    """G4: the completed revision is raised as far as U allows, before another one is lowered within L.

    Where U does not allow ``replicas`` of it yet, the other one is lowered first.
    """
    rollout, spec = look.decision.status.memory.rollout, look.snapshot.guarded.spec
    records = look.decision.status.memory.revisions
    good = next((r.replica_set for r in records if rollout and r.revision == rollout.revision), "")
    sets = {rs.name: rs for rs in look.snapshot.replica_sets}
    raised = sets[good].size if good in sets else 0
    planned = {name: rs.size for name, rs in sets.items()} | {
        one.name: one.size for one in look.decision.actions if isinstance(one, ResizeRevision)
    }
    upper = compute_bounds(spec.strategy, spec.replicas).upper
    full = planned.get(good, 0) >= spec.replicas
    found = []
    for action in look.decision.actions:
        if not isinstance(action, ResizeRevision):
            continue
        if action.name == good:
            raised = action.size
            kept_small = not full and sum(planned.values()) < upper
            if kept_small or action.size < sets[good].size:
                found.append(f"the completed revision gets {action.size} pods (G4)")
        elif action.size > sets[action.name].size:
            found.append(f"{action.name} is raised, it is not what completed last (G4)")
        elif full and raised < spec.replicas:
            found.append(f"{action.name} is lowered before the completed revision is raised (G4)")
    return found + _check_kept(look)


def _check_kept(look: Look) -> list[str]:
    """As many healthy pods as L asks for are not taken, as far as they are known.

    One less where a revision has ``replicas`` pods: its controller would leave no room for another one.
    """
    spec, now = look.snapshot.guarded.spec, look.now
    if isinstance(spec.strategy, Recreate):
        return []
    lower = compute_bounds(spec.strategy, spec.replicas).lower
    sizes = {one.name: one.size for one in look.decision.actions if isinstance(one, ResizeRevision)}
    before = after = 0
    for rs in look.snapshot.replica_sets:
        before += compute_kept_healthy(rs, rs.size, spec, now)
        after += compute_kept_healthy(rs, min(rs.size, sizes.get(rs.name, rs.size)), spec, now)
        lower -= rs.size == spec.replicas and sizes.get(rs.name) == spec.replicas - 1
    if after < min(before, lower):
        return [f"{after} healthy pods are kept of {before}, L is {lower} (B2)"]
    return []
