"""The decision while it is being made: a memory that each step replaces, never changes in place."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tripswitch.domain.rules import history
from tripswitch.domain.rules.bounds import Bounds, compute_bounds
from tripswitch.domain.rules.health import Expectations, Experience, expect
from tripswitch.domain.rules.pod_counts import PodCounts, count_pods
from tripswitch.domain.rules.progress_deadline import compute_progress_deadline
from tripswitch.domain.values.decision import Event, EventReason
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.memory import Breaker, Memory, Revision, Rollout
from tripswitch.domain.values.protection import MOST_RESUMES, Mode, Workload
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import NEVER, OUTAGE_LOOK_SECONDS, Need, Sight
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Spec


@dataclass(frozen=True, slots=True)
class Draft:
    """A snapshot, the moment, and what has been decided so far."""

    snapshot: Snapshot
    now: Instant
    memory: Memory
    counts: dict[str, PodCounts]
    events: tuple[Event, ...] = ()
    failures: tuple[Failure, ...] = ()
    wakes: tuple[Instant, ...] = ()
    needs: tuple[Need, ...] = ()

    @property
    def spec(self) -> Spec:
        """What the object asks for."""
        return self.snapshot.guarded.spec

    @property
    def sight(self) -> Sight:
        """How current the snapshot is."""
        return self.snapshot.sight

    @property
    def workload(self) -> Workload:
        """The Deployment or StatefulSet that is guarded in place (rules G)."""
        protected = self.snapshot.protected
        assert protected is not None, "asked for the workload of a GuardedDeployment"
        assert protected.workload is not None, "asked for a workload that does not exist"
        return protected.workload

    @property
    def only_reports(self) -> bool:
        """G5, G7: whether a trip changes nothing."""
        protected = self.snapshot.protected
        if protected is None:
            return False
        observes = protected.protection.mode is Mode.OBSERVE
        return observes or self.memory.resumes >= MOST_RESUMES

    @property
    def rollout(self) -> Rollout:
        """The current rollout; there is one after ``follow_spec``."""
        assert self.memory.rollout is not None, "asked for a rollout before there was one"
        return self.memory.rollout

    @property
    def target(self) -> ReplicaSetView | None:
        """The ReplicaSet of the revision that is being made to run, if it is there."""
        return self.replica_set(self.rollout.revision)

    @property
    def experience(self) -> Experience | None:
        """What the current rollout's pods are measured by (F4)."""
        return history.find_experience(
            self.memory.revisions, self.memory.last_completed_revision, self.rollout.revision
        )

    @property
    def progress_deadline(self) -> int:
        """Rules P1 and P2, for the pods that are being launched."""
        made_of = self.spec.template if self.target is None else self.target.template
        return compute_progress_deadline(self.spec, made_of.readiness)

    @property
    def bounds(self) -> Bounds:
        """Rules R1 and R2 on the latest ``replicas`` (R4)."""
        return compute_bounds(self.spec.strategy, self.spec.replicas)

    @property
    def healthy(self) -> int:
        """Healthy pods of all revisions."""
        return sum(counts.healthy for counts in self.counts.values())

    @property
    def refusal(self) -> str:
        """Why the API server does not accept the wanted ReplicaSet, empty if it does."""
        error = self.snapshot.create_error
        refused = (
            self.target is None
            and error is not None
            and error.digest == self.spec.template.digest
            and not error.name_taken
        )
        return error.message if refused and error is not None else ""

    @property
    def kept(self) -> frozenset[int]:
        """Revisions that history never drops: the running, the desired, the last completed one."""
        memory = self.memory
        named = (self.rollout.revision, memory.desired_revision, memory.last_completed_revision)
        return frozenset(number for number in named if number is not None)

    @property
    def remembered(self) -> tuple[Revision, ...]:
        """The revisions that history has room for; the others are found on their ReplicaSets again."""
        limit, sets = self.spec.revision_history_limit, self.snapshot.replica_sets
        return history.select_remembered(self.memory.revisions, sets, self.kept, limit)

    @property
    def kept_names(self) -> frozenset[str]:
        """The ReplicaSets of those; a number on a ReplicaSet may be older than its record."""
        return frozenset(r.replica_set for r in self.memory.revisions if r.revision in self.kept)

    def record(self, revision: int | None) -> Revision | None:
        """Return a revision of the history."""
        return history.find_by_number(self.memory.revisions, revision)

    def replica_set(self, revision: int | None) -> ReplicaSetView | None:
        """Return a revision's ReplicaSet, under the revision's number.

        The number on the ReplicaSet itself may be older: the record may have been forgotten.
        """
        record = self.record(revision)
        found = history.find_replica_set(self.snapshot.replica_sets, record)
        if record is None or found is None or found.revision == record.revision:
            return found
        return replace(found, revision=record.revision)

    def expect(self, replica_set: ReplicaSetView) -> Expectations:
        """Return what is expected of the pods of the current rollout's ReplicaSet (F4, H1)."""
        return expect(replica_set, self.spec, self.now, self.experience, self.sight)

    def counts_of(self, revision: int) -> PodCounts:
        """Return a revision's pods as numbers; those of a missing ReplicaSet are none."""
        found = self.replica_set(revision)
        if found is not None:
            return self.counts[found.name]
        record = self.record(revision)
        return PodCounts(record.replica_set if record is not None else "", size=0)

    def say(self, reason: EventReason, message: str, topic: str = "") -> Draft:
        """Add an event."""
        return replace(self, events=(*self.events, Event(reason, message, topic)))

    def wake(self, at: Instant | None) -> Draft:
        """Ask to look again at a moment."""
        if at is None or at <= self.now:
            return self
        at = min(at, self.now + OUTAGE_LOOK_SECONDS) if at == NEVER else at
        return replace(self, wakes=(*self.wakes, at))

    def need(self, need: Need | None) -> Draft:
        """Ask for something to be read anew (rules V)."""
        return self if need is None else replace(self, needs=(*self.needs, need))

    def with_memory(
        self,
        *,
        rollout: Rollout | None = None,
        breaker: Breaker | None = None,
        revisions: tuple[Revision, ...] | None = None,
    ) -> Draft:
        """Replace parts of the memory that are never taken away again."""
        memory = self.memory
        return replace(
            self,
            memory=replace(
                memory,
                rollout=memory.rollout if rollout is None else rollout,
                circuit_breaker=memory.circuit_breaker if breaker is None else breaker,
                revisions=memory.revisions if revisions is None else revisions,
            ),
        )

    def with_record(self, record: Revision) -> Draft:
        """Replace one revision of the history."""
        return self.with_memory(revisions=history.update(self.memory.revisions, record))


def begin_draft(snapshot: Snapshot, now: Instant) -> Draft:
    """Start from what is written."""
    guarded = snapshot.guarded
    return Draft(
        snapshot=snapshot,
        now=now,
        memory=guarded.status.memory,
        counts=_count_all(snapshot, now),
    )


def _count_all(snapshot: Snapshot, now: Instant) -> dict[str, PodCounts]:
    """Count the pods of all ReplicaSets; one that a storm holds has the size it would have without (R8).

    Whether all its pods are gone is of its real size: nothing waits for pods that it does not make.
    """
    guarded = snapshot.guarded
    held = {storm.replica_set: storm for storm in guarded.status.memory.storms}
    counted = {rs.name: count_pods(rs, guarded.spec, now) for rs in snapshot.replica_sets}
    for rs in snapshot.replica_sets:
        if rs.name in held and not rs.deleting:
            storm, counts = held[rs.name], counted[rs.name]
            mark = counts.sized_for if storm.sized_for is None else storm.sized_for
            counted[rs.name] = replace(counts, size=storm.size, sized_for=mark)
    return counted
