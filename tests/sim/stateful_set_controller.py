"""One look of the StatefulSet controller, as Kubernetes 1.36 does it (``pkg/controller/statefulset``).

The feature gate ``MaxUnavailableStatefulSet`` is off, as by default. Claims are left out: they are never
changed by an update. ``tests/oracle`` has Kubernetes' own code answer the same questions. A StatefulSet's
status is written whole, so conditions of others are lost at each write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

from tests.sim.objects import RawRevision, RawStateful, StatefulStatus
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class Member:
    """One pod, as the controller sees it. ``phase`` is empty of one that is not there yet."""

    ordinal: int
    revision: str
    phase: str = ""
    ready_since: Instant | None = None
    deleting: bool = False
    name: str = ""


class Cluster(Protocol):
    """What the controller writes with. Each method may raise an error of :mod:`tests.sim.api`."""

    def create_revision(self, one: RawRevision) -> RawRevision: ...
    def renumber_revision(self, one: RawRevision, number: int) -> RawRevision: ...
    def remove_revision(self, one: RawRevision) -> object: ...
    def create_member(self, ordinal: int, revision: str) -> object: ...
    def delete_member(self, member: Member) -> object: ...
    def write_stateful_status(self, one: RawStateful, status: StatefulStatus) -> object: ...


def sync(
    cluster: Cluster,
    one: RawStateful,
    revisions: Sequence[RawRevision],
    members: Sequence[Member],
    now: Instant,
) -> float | None:
    """Look at a StatefulSet once; return in how many seconds to look again, if at all.

    Raises:
        ApiError: A write was not done; it is to be looked at again soon.
    """
    known = sorted(revisions, key=lambda rev: (rev.number, rev.created, rev.name))
    update = _find_update(cluster, one, known, now)
    current = next((rev for rev in known if rev.name == one.status.current_revision), update)
    look = _Look(cluster, one, current.name, update.name, now)
    status = look.run(members)
    if _is_news(one.status, status):
        cluster.write_stateful_status(one, status)
    _truncate(cluster, one, known, {current.name, update.name, *(m.revision for m in members)})
    waits = [
        member.ready_since + one.min_ready - now
        for member in members
        if member.ready_since is not None and member.ready_since + one.min_ready > now
    ]
    return min(waits) + 0.01 if waits else None


def hash_revision(digest: str) -> str:
    """Return the ending of the name of a template's ControllerRevision."""
    return sha256(f"revision {digest}".encode()).hexdigest()[:10]


def _find_update(
    cluster: Cluster, one: RawStateful, known: Sequence[RawRevision], now: Instant
) -> RawRevision:
    """The newest revision if it has the template; an older one gets a new number; or a new one."""
    number = known[-1].number + 1 if known else 1
    same = [rev for rev in known if rev.template.digest == one.template.digest]
    if same and same[-1] is known[-1]:
        return same[-1]
    if same:
        return cluster.renumber_revision(same[-1], number)
    name = f"{one.name}-{hash_revision(one.template.digest)}"
    return cluster.create_revision(
        RawRevision(name, "", one.uid, number, one.template, now, one.notes)
    )


def _truncate(
    cluster: Cluster, one: RawStateful, known: Sequence[RawRevision], live: set[str]
) -> None:
    past = [rev for rev in known if rev.name not in live]
    for rev in past[: max(0, len(past) - one.history_limit)]:
        cluster.remove_revision(rev)


def _is_news(before: StatefulStatus, after: StatefulStatus) -> bool:
    """Conditions do not count; they go with the next write."""
    return after.observed > before.observed or replace(after, observed=0) != replace(
        before, observed=0, conditions=()
    )


class _Look:
    def __init__(
        self, cluster: Cluster, one: RawStateful, current: str, update: str, now: Instant
    ) -> None:
        self._cluster = cluster
        self._one = one
        self._current = current
        self._update = update
        self._now = now

    def run(self, members: Sequence[Member]) -> StatefulStatus:
        one = self._one
        by_ordinal = {m.ordinal: m for m in members}
        replicas = [by_ordinal.get(n) or self._make(n) for n in range(one.replicas)]
        condemned = sorted(
            (m for m in members if m.ordinal >= one.replicas), key=lambda m: -m.ordinal
        )
        unavailable = [m for m in [*replicas, *reversed(condemned)] if not self._serves(m)]
        first = unavailable[0] if unavailable else None
        stopped = self._fill(replicas) or self._condemn(condemned, first)
        status = self._count([*replicas, *condemned])
        if not stopped and not one.on_delete:
            status = self._update_one(replicas, status)
        return self._complete(status)

    def _make(self, ordinal: int) -> Member:
        old = ordinal < self._one.partition and not self._one.on_delete
        return Member(ordinal, self._current if old else self._update)

    def _is_ready(self, member: Member) -> bool:
        return member.phase == "Running" and member.ready_since is not None

    def _is_available(self, member: Member) -> bool:
        """IsPodAvailable does not ask for the phase, but a Ready pod is Running."""
        since = member.ready_since
        least = self._one.min_ready
        return since is not None and (not least or since + least <= self._now)

    def _serves(self, member: Member) -> bool:
        return self._is_available(member) and not member.deleting

    def _fill(self, replicas: list[Member]) -> bool:
        """Make what is missing. With OrderedReady, one after the other; return whether to wait."""
        parallel = self._one.parallel
        for number, member in enumerate(replicas):
            if self._fill_one(replicas, number, member) and not parallel:
                return True
        return False

    def _fill_one(self, replicas: list[Member], number: int, member: Member) -> bool:
        if member.phase in ("Failed", "Succeeded"):
            if not member.deleting:
                self._cluster.delete_member(member)
            return True
        if not member.phase:
            self._cluster.create_member(member.ordinal, member.revision)
            return True
        return member.deleting or not self._is_ready(member) or not self._is_available(member)

    def _condemn(self, condemned: list[Member], first: Member | None) -> bool:
        """Delete what is beyond ``replicas``, from the highest ordinal; return whether to wait."""
        ordered = not self._one.parallel
        for member in condemned:
            if member.deleting:
                if ordered:
                    return True
                continue
            healthy = self._is_ready(member) and self._is_available(member)
            if ordered and not healthy and member is not first:
                return True
            self._cluster.delete_member(member)
            if ordered:
                return True
        return False

    def _update_one(self, replicas: list[Member], status: StatefulStatus) -> StatefulStatus:
        for member in reversed(replicas[self._one.partition :]):
            if member.revision != self._update and not member.deleting:
                self._cluster.delete_member(member)
                return replace(status, current=status.current - 1)
            if not self._serves(member):
                break
        return status

    def _count(self, members: Sequence[Member]) -> StatefulStatus:
        there = [m for m in members if m.phase]
        ready = [m for m in there if self._is_ready(m)]
        staying = [m for m in there if not m.deleting]
        return StatefulStatus(
            observed=self._one.generation,
            replicas=len(there),
            ready=len(ready),
            available=sum(self._is_available(m) for m in ready),
            current=sum(m.revision == self._current for m in staying),
            updated=sum(m.revision == self._update for m in staying),
            current_revision=self._current,
            update_revision=self._update,
        )

    def _complete(self, status: StatefulStatus) -> StatefulStatus:
        """``completeRollingUpdate``: every replica has the update revision and is Ready."""
        wanted = self._one.replicas
        whole = {status.updated, status.ready, status.replicas} == {wanted}
        if not whole or self._one.on_delete:
            return status
        return replace(status, current=status.updated, current_revision=self._update)
