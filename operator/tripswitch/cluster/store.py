"""What is known of the cluster, by owner, and how a snapshot of one GuardedDeployment is put together.

Everything here is synchronous: a snapshot is one moment. An object that changes in a way that a decision
could depend on is reported by the key of the GuardedDeployment it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tripswitch.api.codec import read_guarded
from tripswitch.api.tolerant import field, read_text, read_version
from tripswitch.cluster.child_index import Table, Tombstones
from tripswitch.cluster.marks import HASH_LABEL, hash_of
from tripswitch.cluster.pods import SeenPod, see_pod
from tripswitch.cluster.record import Key as Key  # noqa: PLC0414 - exported on purpose
from tripswitch.cluster.record import Record as Record  # noqa: PLC0414
from tripswitch.cluster.record import read_key, read_record
from tripswitch.cluster.registry_board import RegistryBoard
from tripswitch.cluster.replicasets import SeenReplicaSet, orphan_owner, see_replica_set
from tripswitch.cluster.selectors import selector_matches
from tripswitch.cluster.tracked import Tracked
from tripswitch.domain.rules.failure_reasons import shows_failure
from tripswitch.domain.rules.registries import find_troubles
from tripswitch.domain.values.inquiry import Finding
from tripswitch.domain.values.pods import RetainedPod
from tripswitch.domain.values.replica_sets import CreateError, ReplicaSetView
from tripswitch.domain.values.sight import Check, Sight, Standstill
from tripswitch.domain.values.snapshot import Guarded, Snapshot
from tripswitch.domain.values.time import Instant

RETENTION_AGAIN_SECONDS = 300.0
"""After a refusal (no right to patch pods) pods are not set aside for so long."""


class Store:
    """All views.

    Args:
        dirty: Called with the key of each GuardedDeployment that should be looked at.
        clock: Gives the time for what changes before our eyes.
        standstills: Gives the times in which nobody could report (V2).
    """

    def __init__(
        self,
        dirty: Callable[[Key], None],
        clock: Callable[[], Instant],
        standstills: Callable[[], tuple[Standstill, ...]] = tuple,
        *,
        board: RegistryBoard | None = None,
    ) -> None:
        self.board = RegistryBoard() if board is None else board
        """Shared by all stores of a process (F9)."""
        self._dirty = dirty
        self._clock = clock
        self._standstills = standstills
        self._tracked: dict[str, Tracked] = {}
        """Everything that is known of each object, by UID. Nothing about an object is kept elsewhere."""
        self._uids: dict[Key, str] = {}
        """The UID of the object that has a name now."""
        self._gone = Tombstones()
        self._when_gone: list[Callable[[Record], object]] = []
        self.pods: Table[SeenPod] = Table(
            lambda raw, before: see_pod(raw, before, clock()), self._mark_owner_of_pod
        )
        self.replica_sets: Table[SeenReplicaSet] = Table(see_replica_set, self._mark_owner)

    def find(self, key: Key) -> Record | None:
        """Return the latest known version of a GuardedDeployment."""
        uid = self._uids.get(key)
        return None if uid is None else self._tracked[uid].record

    def find_key(self, uid: str) -> Key | None:
        """Return the name of the object with a UID."""
        tracked = self._tracked.get(uid)
        return None if tracked is None else tracked.record.key

    def track(self, record: Record) -> Tracked:
        """Return everything that is known of an object, to read and to write.

        Of an object that does not exist any more it is a value that nobody keeps: an answer that comes late
        has nowhere to go.
        """
        return self._tracked.get(record.uid) or Tracked(record)

    def all_tracked(self) -> list[Tracked]:
        """Return what is known of each object."""
        return list(self._tracked.values())

    def records(self) -> list[Record]:
        """Return all of them."""
        return [tracked.record for tracked in self._tracked.values()]

    def holds(self, record: Record) -> bool:
        """Return whether the object still exists, in whichever version."""
        return record.uid in self._tracked

    def when_gone(self, listener: Callable[[Record], object]) -> None:
        """Have a function called with each GuardedDeployment that is removed.

        It is called before another object of the same name is known and before its key is marked.
        """
        self._when_gone.append(listener)

    def upsert_guarded(self, raw: Mapping[str, Any]) -> None:
        """Take a version of a GuardedDeployment, unless one that is at least as new is known."""
        uid, version = read_text(field(raw, "metadata", "uid")), read_version(raw)
        if not uid or self._gone.covers(uid, version):
            return
        before = self.find(read_key(raw))
        if before is not None and 0 < version <= before.version:
            return
        record = read_record(raw)
        if before is not None and before.uid != record.uid:
            self.remove_guarded(before.uid)  # deleted and made again while nobody looked
        tracked = self._tracked.get(record.uid)
        if tracked is None:
            self._tracked[record.uid] = Tracked(record)
            self._uids[record.key] = record.uid
        else:
            tracked.record = record
        self._dirty(record.key)

    def remove_guarded(self, uid: str) -> None:
        """Forget a GuardedDeployment for good: its watch has no selector, and a UID is used once."""
        self._gone.add(uid)
        tracked = self._tracked.pop(uid, None)
        if tracked is None:
            return
        del self._uids[tracked.record.key]
        self.board.drop(uid)
        for listener in self._when_gone:
            listener(tracked.record)
        self._dirty(tracked.record.key)

    def snapshot(self, record: Record) -> Snapshot:
        """Return everything one decision is made from.

        Raises:
            InvalidObjectError: The object cannot be understood.
        """
        guarded, known = self._read(record), self.track(record)
        snapshot = Snapshot(
            guarded=guarded,
            replica_sets=tuple(self._view(seen, record) for seen in self._sets_of(record)),
            strays=tuple(
                seen.view for seen in self._owned_by(record) if record.lets_go(seen.labels)
            ),
            create_error=known.refusal.find(guarded.spec.template.digest),
            findings=known.findings,
            retained=tuple(self._retained(record)),
            retention_refused=self._clock() < (known.no_retention_until or 0.0),
            sight=replace(known.sight, standstills=self._standstills()),
            alarms=known.alarms,
            references=known.references,
        )
        return self.add_outages(record, snapshot)

    def add_outages(self, record: Record, snapshot: Snapshot) -> Snapshot:
        """Write down what an object's pods wait for, and add what those of all objects do (F9)."""
        revisions = snapshot.guarded.status.memory.revisions
        troubles = find_troubles(revisions, snapshot.replica_sets)
        if self.holds(record):
            self.board.note(record.uid, troubles, lambda: self._dirty(record.key))
        return replace(snapshot, outages=self.board.list_outages())

    def find_sight(self, record: Record) -> Sight:
        """Return how current the views of a GuardedDeployment are, as :meth:`see` was told."""
        return self.track(record).sight

    def is_ready(self, record: Record) -> bool:
        """Return whether everything that a decision about an object needs is known."""
        return self.holds(record)

    def find_workload(self, record: Record) -> Record | None:
        """Return the other object that is told of an object's trips, if there is one."""
        del record  # the ReplicaSets of a GuardedDeployment have no readers
        return None

    def series_of(self, record: Record) -> Key:
        """Return the namespace and the name under which an object's metrics are found."""
        return record.key

    def pod_labels(self, record: Record, check: Check) -> str:
        """Return the label selector of the pods that a check is about."""
        del record  # all ReplicaSets of ours carry the same label
        return f"{HASH_LABEL}={hash_of(check.replica_set)}"

    def see(self, record: Record, sight: Sight) -> None:
        """Take how current the views of a GuardedDeployment are now, and have it looked at: a verdict is due."""
        if self.holds(record):
            self.track(record).sight = sight
            self.hurry(record.key)

    def hurry(self, key: Key) -> None:
        """Have a GuardedDeployment looked at before others that wait."""
        record = self.find(key)
        if record is not None:
            self.track(record).urgent = True
        self._dirty(key)

    def is_urgent(self, key: Key) -> bool:
        """Return whether a GuardedDeployment is to be looked at before others."""
        record = self.find(key)
        return record is not None and self.track(record).urgent

    def mark(self, key: Key) -> None:
        """Have a GuardedDeployment looked at."""
        self._dirty(key)

    def find_out(self, record: Record, findings: tuple[Finding, ...]) -> None:
        """Take everything that is known now about the failures of a GuardedDeployment."""
        self.track(record).findings = findings

    def refuse_retention(self, record: Record) -> bool:
        """Remember that no pod can be set aside for now; return whether that is news."""
        if not self.holds(record):
            return False
        known = self.track(record)
        news = known.no_retention_until is None
        known.no_retention_until = self._clock() + RETENTION_AGAIN_SECONDS
        return news

    def refuse(self, record: Record, error: CreateError) -> None:
        """Remember that the API server would not create a ReplicaSet."""
        if not self.holds(record):
            return
        refusal = self.track(record).refusal
        known = refusal.find(error.digest)
        refusal.note(error, self._clock())
        if known != error:
            self._dirty(record.key)

    def accept(self, record: Record, created: Mapping[str, Any]) -> None:
        """Take a ReplicaSet that was created just now, or that turned out to be there."""
        self.track(record).refusal.forget()
        self.replica_sets.upsert(created)

    def retry_at(self, record: Record, replica_set: str) -> Instant | None:
        """Return when a refused ReplicaSet may be asked for again, None if at any time."""
        return self.track(record).refusal.retry_at(replica_set)

    def _read(self, record: Record) -> Guarded:
        known = self.track(record)
        return known.parse(record, lambda: read_guarded(record.decode()))

    def _owned_by(self, record: Record) -> Iterator[SeenReplicaSet]:
        """A reference to an owner in another namespace means nothing."""
        for owned in self.replica_sets.owned_by(record.uid):
            if owned.namespace == record.key.namespace:
                yield owned

    def _sets_of(self, record: Record) -> Iterator[SeenReplicaSet]:
        """Those that count: owned or free to be adopted, and matched by the selector."""
        for owned in self._owned_by(record):
            if not record.lets_go(owned.labels):
                yield owned
        for orphan in self.replica_sets.owned_by(orphan_owner(record.key.namespace)):
            if selector_matches(record.selector, orphan.labels):
                yield orphan

    def _view(self, seen: SeenReplicaSet, record: Record) -> ReplicaSetView:
        owned = self.pods.owned_by(seen.view.uid)
        pods = tuple(pod.view for pod in owned if pod.namespace == seen.namespace)
        return replace(seen.view, pods=pods, owned=seen.owner == record.uid)

    def _retained(self, record: Record) -> Iterator[RetainedPod]:
        """The pods that were set aside: those that the GuardedDeployment itself owns."""
        for pod in self.pods.owned_by(record.uid):
            if pod.until is not None and pod.namespace == record.key.namespace:
                view = pod.view
                yield RetainedPod(
                    view.name,
                    view.uid,
                    view.resource_version,
                    pod.revision,
                    pod.until,
                    view.deleting,
                )

    def _mark_owner_of_pod(self, pod: SeenPod) -> None:
        guard = self.find_key(pod.owner)
        if guard is not None:
            self._dirty(guard)
        replica_set = self.replica_sets.find(pod.owner)
        if replica_set is not None and replica_set.namespace == pod.namespace:
            mark = self.hurry if shows_failure(pod.view) else self.mark
            for key in self._owners_of(replica_set):
                mark(key)

    def _mark_owner(self, seen: SeenReplicaSet) -> None:
        for key in self._owners_of(seen):
            self._dirty(key)

    def _owners_of(self, seen: SeenReplicaSet) -> Iterable[Key]:
        if not seen.orphaned:
            key = self.find_key(seen.owner)
            return [] if key is None or key.namespace != seen.namespace else [key]
        return [
            record.key
            for record in self.records()
            if record.key.namespace == seen.namespace
            and selector_matches(record.selector, seen.labels)
        ]
