"""What is known about guarded Deployments and StatefulSets, by DeploymentCircuitBreaker (rules G).

It is a :class:`Store` whose records are DeploymentCircuitBreakers. The children of workloads that are
not guarded are dropped as soon as their few fields that tell are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tripswitch.api.circuit_breakers import read_circuit_breaker
from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.child_index import Table
from tripswitch.cluster.guard_register import GuardRegister
from tripswitch.cluster.pods import SeenPod
from tripswitch.cluster.record import Key, Record
from tripswitch.cluster.registry_board import RegistryBoard
from tripswitch.cluster.replicasets import SeenReplicaSet
from tripswitch.cluster.store import Store
from tripswitch.cluster.workload_index import Brief, WorkloadIndex
from tripswitch.cluster.workloads import (
    POD_HASH,
    REVISION_HASH,
    Target,
    find_target,
    see_controller_revision,
    see_guarded_pod,
    see_guarded_replica_set,
)
from tripswitch.domain.rules.failure_reasons import shows_failure
from tripswitch.domain.rules.workloads import adapt
from tripswitch.domain.values.circuit_breaker import CircuitBreaker
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.protection import Mode, WorkloadKind
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import Check, Standstill
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant

KINDS = frozenset(kind.value for kind in WorkloadKind)


class WorkloadStore(Store):
    """All views of guarded workloads.

    Args:
        dirty: Called with the key of each DeploymentCircuitBreaker that should be looked at.
        clock: Gives the time for what changes before our eyes.
        standstills: Gives the times in which nobody could report (V2).
        most: The mode that breakers may have at most; with OBSERVE each of them observes.
    """

    def __init__(
        self,
        dirty: Callable[[Key], None],
        clock: Callable[[], Instant],
        standstills: Callable[[], tuple[Standstill, ...]] = tuple,
        most: Mode = Mode.ENFORCE,
        *,
        board: RegistryBoard | None = None,
    ) -> None:
        self._most = most
        super().__init__(dirty, clock, standstills, board=board)
        self.pods: Table[SeenPod] = Table(
            lambda raw, before: see_guarded_pod(raw, before, clock()),
            self._mark_owner_of_pod,
            label="",
        )
        self.replica_sets: Table[SeenReplicaSet] = Table(
            see_guarded_replica_set, self._mark_owner, label=""
        )
        self.controller_revisions: Table[SeenReplicaSet] = Table(
            see_controller_revision, self._mark_owner, label=""
        )
        self.workloads = WorkloadIndex(self.is_guarded, self._mark_target, self._tell_relabelled)
        self._guards = GuardRegister()
        self._loaded: set[Target] = set()
        self.load: Callable[[Record], None] = self.finish_loading
        """Called with a breaker whose workload was not guarded before."""
        self.left: Callable[[Record], None] = lambda _: None
        """Called with a workload whose breaker was deleted while it is held."""
        self.changed: Callable[[Target], None] = lambda _: None
        """Called with each workload whose label or breakers have changed (G8)."""

    def is_guarded(self, target: Target) -> bool:
        """Return whether a workload has a DeploymentCircuitBreaker."""
        return target in self._guards

    def target_of(self, record: Record) -> Target:
        """Return the workload of a breaker."""
        target = self._guards.find_target(record.uid)
        assert target is not None, "asked for the workload of a breaker that is gone"
        return target

    def upsert_guarded(self, raw: Mapping[str, Any]) -> None:
        """Take a version of a DeploymentCircuitBreaker; its target never changes."""
        super().upsert_guarded(raw)
        uid = read_text(field(raw, "metadata", "uid"))
        key = self.find_key(uid)
        record = None if key is None else self.find(key)
        if record is None:
            return
        known = self._guards.find_target(uid)
        if known is not None:
            if record.resource_version == read_text(field(raw, "metadata", "resourceVersion")):
                self._rank_again(known, uid, raw)
            self.changed(known)
            return
        reference = field(raw, "spec", "targetRef")
        kind, name = read_text(field(reference, "kind")), read_text(field(reference, "name"))
        target = Target(kind, record.key.namespace, name)
        self._guards.add(uid, target, raw)
        self.changed(target)
        self._mark_target(target)
        if target in self._loaded:
            return
        if kind in KINDS and name:
            self.load(record)
        else:
            self.finish_loading(record)  # there is nothing to read; a look says what is wrong

    def _rank_again(self, target: Target, uid: str, raw: Mapping[str, Any]) -> None:
        """Follow a person who makes a breaker their own by taking its annotation away (G8)."""
        if self._guards.rank_again(uid, raw):
            self._mark_target(target)

    def remove_guarded(self, uid: str) -> None:
        """Forget a DeploymentCircuitBreaker, and its workload if no other names it."""
        self._tell_if_left(uid)
        super().remove_guarded(uid)
        target = self._guards.remove(uid)
        if target is None:
            return
        self.changed(target)
        if target in self._guards:
            self._mark_target(target)  # the next one acts now
            return
        self._loaded.discard(target)
        self._drop_children(target)
        self.workloads.forget_view(target)

    def _tell_if_left(self, uid: str) -> None:
        """G9: a breaker that is deleted during a trip leaves its workload as it is."""
        target = self._guards.find_target(uid)
        brief = None if target is None else self.workloads.find(target)
        view = None if brief is None else brief.view
        if brief is not None and view is not None and view.mark and view.mark.breaker == uid:
            self.left(_as_record(brief))

    def finish_loading(self, record: Record) -> None:
        """Note that everything about a breaker's workload is known, and have it looked at."""
        target = self._guards.find_target(record.uid)
        if target is not None:
            self._loaded.add(target)
            self._mark_target(target)

    def is_ready(self, record: Record) -> bool:
        """Return whether everything about a breaker's workload is known."""
        return self._guards.find_target(record.uid) in self._loaded

    def snapshot(self, record: Record) -> Snapshot:
        """Return everything one decision is made from.

        Raises:
            InvalidObjectError: The object cannot be understood.
        """
        breaker, target = self._read_breaker(record), self.target_of(record)
        brief = self.workloads.find(target)
        workload = None if brief is None else brief.view
        revisions = [] if brief is None else self._find_revisions(target, brief.uid)
        snapshot = adapt(breaker, workload, revisions, self._guards.find_rival(record.uid))
        snapshot = replace(
            snapshot,
            findings=self.track(record).findings,
            sight=replace(self.find_sight(record), standstills=self._standstills()),
            alarms=self.track(record).alarms,
            references=self.track(record).references,
        )
        return self.add_outages(record, snapshot)

    def find_workload(self, record: Record) -> Record | None:
        """Return the workload as the object of an event, if a trip may change it (G4, G7)."""
        target = self._guards.find_target(record.uid)
        brief = None if target is None else self.workloads.find(target)
        if brief is None or brief.view is None:
            return None  # or the breaker is gone by now
        enforces = field(record.decode(), "spec", "mode") != Mode.OBSERVE
        return _as_record(brief) if enforces and self._most is Mode.ENFORCE else None

    def series_of(self, record: Record) -> Key:
        """Return the namespace and the workload, as ``Deployment/web``."""
        target = self.target_of(record)
        return Key(target.namespace, f"{target.kind}/{target.name}")

    def pod_labels(self, record: Record, check: Check) -> str:
        """Return the label selector of the pods of one revision."""
        if self.target_of(record).kind == WorkloadKind.STATEFUL_SET:
            return f"{REVISION_HASH}={check.replica_set}"
        return f"{POD_HASH}={check.replica_set.rpartition('-')[2]}"

    def keeps(self, raw: object) -> bool:
        """Return whether a ReplicaSet, ControllerRevision or pod is one of a guarded workload."""
        target = find_target(raw)
        return target is not None and target in self._guards

    def _read_breaker(self, record: Record) -> CircuitBreaker:
        return self.track(record).parse(record, lambda: self._parse_breaker(record))

    def _parse_breaker(self, record: Record) -> CircuitBreaker:
        breaker = read_circuit_breaker(record.decode())
        if self._most is Mode.OBSERVE:
            protection = replace(breaker.protection, mode=self._most)
            breaker = replace(breaker, protection=protection)
        return breaker

    def _find_revisions(self, target: Target, uid: str) -> list[ReplicaSetView]:
        """A reference to an owner in another namespace means nothing."""
        return [
            replace(seen.view, pods=tuple(self._find_pods(target, seen.view.uid)))
            for seen in self._revisions_of(target).owned_by(uid)
            if seen.namespace == target.namespace
        ]

    def _find_pods(self, target: Target, revision: str) -> Iterator[PodView]:
        for pod in self.pods.owned_by(revision):
            if pod.namespace == target.namespace:
                yield pod.view

    def _revisions_of(self, target: Target) -> Table[SeenReplicaSet]:
        deployment = target.kind == WorkloadKind.DEPLOYMENT
        return self.replica_sets if deployment else self.controller_revisions

    def _drop_children(self, target: Target) -> None:
        brief = self.workloads.find(target)
        if brief is None:
            return
        table = self._revisions_of(target)
        for seen in table.owned_by(brief.uid):
            self.pods.drop_owned(seen.view.uid)
        table.drop_owned(brief.uid)

    def guards_of(self, target: Target) -> list[Record]:
        """Return the breakers of a workload."""
        keys = [self.find_key(uid) for uid in self._guards.list_guards(target)]
        return [record for key in keys if key is not None and (record := self.find(key))]

    def _tell_relabelled(self, target: Target) -> None:
        self.changed(target)  # it is set later

    def _mark_target(self, target: Target, *, urgent: bool = False) -> None:
        for uid in self._guards.list_guards(target):
            key = self.find_key(uid)
            if key is not None:
                (self.hurry if urgent else self.mark)(key)

    def _mark_owner_of_pod(self, pod: SeenPod) -> None:
        replica_set = self.replica_sets.find(pod.owner)
        owner = pod.owner.partition("/")[0] if replica_set is None else replica_set.owner
        target = self.workloads.find_target(owner)
        if target is not None:
            self._mark_target(target, urgent=shows_failure(pod.view))

    def _owners_of(self, seen: SeenReplicaSet) -> Iterable[Key]:
        target = self.workloads.find_target(seen.owner)
        guards = () if target is None else self._guards.list_guards(target)
        return [key for uid in guards if (key := self.find_key(uid)) is not None]


def _as_record(brief: Brief) -> Record:
    """Return a workload in the form that events are about."""
    version = "" if brief.view is None else brief.view.resource_version
    key = Key(brief.target.namespace, brief.target.name)
    return Record(
        key,
        brief.uid,
        version,
        brief.version,
        deleting=False,
        selector={},
        coherent=False,
        document="{}",
        kind=brief.target.kind,
        api_version="apps/v1",
    )
