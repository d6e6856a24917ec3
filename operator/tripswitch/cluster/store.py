"""What is known of the cluster, by owner, and how a snapshot of one GuardedDeployment is put together.

Everything here is synchronous: a snapshot is one moment. An object that changes in a way that a decision
could depend on is reported by the key of the GuardedDeployment it concerns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tripswitch.api.codec import read_guarded
from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.api.tolerant import field, mapping, read_text, read_version
from tripswitch.cluster.child_index import Table, Tombstones
from tripswitch.cluster.marks import HASH_LABEL, hash_of
from tripswitch.cluster.pods import SeenPod, see_pod
from tripswitch.cluster.refusals import Refusals
from tripswitch.cluster.replicasets import SeenReplicaSet, orphan_owner, see_replica_set
from tripswitch.cluster.selectors import selector_matches
from tripswitch.domain.values.inquiry import Finding
from tripswitch.domain.values.pods import RetainedPod
from tripswitch.domain.values.replica_sets import CreateError, ReplicaSetView
from tripswitch.domain.values.sight import UNKNOWN, Check, Sight, Standstill
from tripswitch.domain.values.snapshot import Guarded, Snapshot
from tripswitch.domain.values.time import Instant

RETENTION_AGAIN_SECONDS = 300.0
"""After a refusal (no right to patch pods) pods are not set aside for so long."""


class Key(NamedTuple):
    """Which GuardedDeployment."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return ``namespace/name``, as log lines have it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Record:
    """One version of a GuardedDeployment.

    ``document`` is the object as JSON text without its managed fields: a tenth of the memory of the
    decoded one, which is needed only to read it once and to create a ReplicaSet. ``coherent``: its
    selector matches the ReplicaSets that are made from its template.
    """

    key: Key
    uid: str
    resource_version: str
    version: int
    deleting: bool
    selector: Mapping[str, Any]
    coherent: bool
    document: str
    kind: str = KIND
    api_version: str = API_VERSION

    def decode(self) -> dict[str, Any]:
        """Return the object."""
        decoded: dict[str, Any] = json.loads(self.document)
        return decoded

    def lets_go(self, labels: Mapping[str, Any]) -> bool:
        """Return whether a ReplicaSet with these labels is not, or no longer, its own (W5).

        Where the selector does not match what the template makes, nothing is let go: each ReplicaSet
        would be followed by another one, without end.
        """
        return self.coherent and not selector_matches(self.selector, labels)


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
    ) -> None:
        self._dirty = dirty
        self._clock = clock
        self._standstills = standstills
        self._records: dict[Key, Record] = {}
        self._keys: dict[str, Key] = {}
        self._parsed: dict[str, tuple[int, Guarded]] = {}
        self._gone = Tombstones()
        self._refusals = Refusals()
        self._findings: dict[str, tuple[Finding, ...]] = {}
        self._unretained: dict[str, Instant] = {}
        self._when_gone: list[Callable[[Record], object]] = []
        self._sights: dict[str, Sight] = {}
        self.pods: Table[SeenPod] = Table(
            lambda raw, before: see_pod(raw, before, clock()), self._mark_owner_of_pod
        )
        self.replica_sets: Table[SeenReplicaSet] = Table(see_replica_set, self._mark_owner)

    def find(self, key: Key) -> Record | None:
        """Return the latest known version of a GuardedDeployment."""
        return self._records.get(key)

    def records(self) -> list[Record]:
        """Return all of them."""
        return list(self._records.values())

    def holds(self, record: Record) -> bool:
        """Return whether the object still exists, in whichever version."""
        return record.uid in self._keys

    def when_gone(self, listener: Callable[[Record], object]) -> None:
        """Have a function called with each GuardedDeployment that is removed.

        It is called before another object of the same name is known and before its key is marked.
        """
        self._when_gone.append(listener)

    def upsert_guarded(self, raw: Mapping[str, Any]) -> None:
        """Take a version of a GuardedDeployment, unless one that is at least as new is known."""
        record = _record(raw)
        before = self._records.get(record.key)
        if not record.uid or self._gone.covers(record.uid, record.version):
            return
        if before is not None and 0 < record.version <= before.version:
            return
        if before is not None and before.uid != record.uid:
            self.remove_guarded(before.uid)  # deleted and made again while nobody looked
        self._records[record.key] = record
        self._keys[record.uid] = record.key
        self._dirty(record.key)

    def remove_guarded(self, uid: str) -> None:
        """Forget a GuardedDeployment for good: its watch has no selector, and a UID is used once."""
        self._gone.add(uid)
        key = self._keys.pop(uid, None)
        if key is None:
            return
        record = self._records.pop(key)
        self._parsed.pop(uid, None)
        self._refusals.forget(uid)
        self._findings.pop(uid, None)
        self._unretained.pop(uid, None)
        self._sights.pop(uid, None)
        for listener in self._when_gone:
            listener(record)
        self._dirty(key)

    def snapshot(self, record: Record) -> Snapshot:
        """Return everything one decision is made from.

        Raises:
            InvalidObjectError: The object cannot be understood.
        """
        guarded = self._read(record)
        return Snapshot(
            guarded=guarded,
            replica_sets=tuple(self._view(seen, record) for seen in self._sets_of(record)),
            strays=tuple(
                seen.view for seen in self._owned_by(record) if record.lets_go(seen.labels)
            ),
            create_error=self._refusals.find(record.uid, guarded.spec.template.digest),
            findings=self._findings.get(record.uid, ()),
            retained=tuple(self._retained(record)),
            retention_refused=self._clock() < self._unretained.get(record.uid, 0.0),
            sight=replace(self.find_sight(record), standstills=self._standstills()),
        )

    def find_sight(self, record: Record) -> Sight:
        """Return how current the views of a GuardedDeployment are, as :meth:`see` was told."""
        return self._sights.get(record.uid, UNKNOWN)

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
        """Take how current the views of a GuardedDeployment are now, and have it looked at."""
        if record.uid in self._keys:
            self._sights[record.uid] = sight
            self._dirty(record.key)

    def mark(self, key: Key) -> None:
        """Have a GuardedDeployment looked at."""
        self._dirty(key)

    def find_out(self, record: Record, findings: tuple[Finding, ...]) -> None:
        """Take everything that is known now about the failures of a GuardedDeployment."""
        if findings and record.uid in self._keys:
            self._findings[record.uid] = findings
        else:
            self._findings.pop(record.uid, None)

    def refuse_retention(self, record: Record) -> bool:
        """Remember that no pod can be set aside for now; return whether that is news."""
        if not self.holds(record):
            return False
        news = record.uid not in self._unretained
        self._unretained[record.uid] = self._clock() + RETENTION_AGAIN_SECONDS
        return news

    def refuse(self, record: Record, error: CreateError) -> None:
        """Remember that the API server would not create a ReplicaSet."""
        if not self.holds(record):
            return
        known = self._refusals.find(record.uid, error.digest)
        self._refusals.note(record.uid, error, self._clock())
        if known != error:
            self._dirty(record.key)

    def accept(self, record: Record, created: Mapping[str, Any]) -> None:
        """Take a ReplicaSet that was created just now, or that turned out to be there."""
        self._refusals.forget(record.uid)
        self.replica_sets.upsert(created)

    def retry_at(self, record: Record, replica_set: str) -> Instant | None:
        """Return when a refused ReplicaSet may be asked for again, None if at any time."""
        return self._refusals.retry_at(record.uid, replica_set)

    def _read(self, record: Record) -> Guarded:
        known = self._parsed.get(record.uid)
        if known is not None and known[0] == record.version:
            return known[1]
        guarded = read_guarded(record.decode())
        self._parsed[record.uid] = (record.version, guarded)
        return guarded

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
        guard = self._keys.get(pod.owner)
        if guard is not None:
            self._dirty(guard)
        replica_set = self.replica_sets.find(pod.owner)
        if replica_set is not None and replica_set.namespace == pod.namespace:
            self._mark_owner(replica_set)

    def _mark_owner(self, seen: SeenReplicaSet) -> None:
        for key in self._owners_of(seen):
            self._dirty(key)

    def _owners_of(self, seen: SeenReplicaSet) -> Iterable[Key]:
        if not seen.orphaned:
            key = self._keys.get(seen.owner)
            return [] if key is None or key.namespace != seen.namespace else [key]
        return [
            key
            for key, record in self._records.items()
            if key.namespace == seen.namespace and selector_matches(record.selector, seen.labels)
        ]


def _record(raw: Mapping[str, Any]) -> Record:
    metadata = dict(mapping(field(raw, "metadata")))
    metadata.pop("managedFields", None)
    selector = dict(mapping(field(raw, "spec", "selector")))
    labels = mapping(field(raw, "spec", "template", "metadata", "labels"))
    return Record(
        key=Key(read_text(metadata.get("namespace")), read_text(metadata.get("name"))),
        uid=read_text(metadata.get("uid")),
        resource_version=read_text(metadata.get("resourceVersion")),
        version=read_version(raw),
        deleting=bool(metadata.get("deletionTimestamp")),
        selector=selector,
        coherent=selector_matches(selector, {**labels, HASH_LABEL: ""}),
        document=json.dumps({**raw, "metadata": metadata}),
        kind=read_text(raw.get("kind")) or KIND,
    )
