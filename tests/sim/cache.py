"""What the operator knows of the cluster: versions that arrived, by watch, by list, or as answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.sim.api import ApiServer
from tests.sim.objects import Change, Raw, RawGuarded, RawPod, RawSet
from tests.sim.views import SeenPod, see_guarded, see_pod, see_set
from tripswitch.cluster.verification import LEASE_SECONDS
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.sight import UNKNOWN, AttemptEvent, Check, Sight, Standstill
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant

KINDS: tuple[type[RawGuarded | RawSet | RawPod], ...] = (RawGuarded, RawSet, RawPod)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a consistent read of a rollout's pods, their events and nodes says."""

    owner: str
    version: int
    pods: tuple[RawPod, ...]
    sight: Sight


def read(api: ApiServer, check: Check, as_of: Instant, now: Instant) -> Answer:
    """Read everything that a check asks for, as it is now; ``as_of`` is what it will prove."""
    pods = tuple(api.pods_of(check.uid))
    events = tuple(
        AttemptEvent(pod.uid, one.name, "Error: it cannot be started", count)
        for pod in pods
        for one, count in zip(pod.containers, pod.attempts, strict=True)
        if count
    )
    lost = {
        node
        for node in check.nodes
        if node in api.unready_nodes or now - api.node_leases.get(node, now) > LEASE_SECONDS
    }
    sight = Sight(as_of, check.nodes, frozenset(lost), events if check.events else None)
    return Answer(check.uid, api.version, pods, sight)


class Cache:
    """Of two versions the newer one stays; what is gone is so up to a version (W4)."""

    def __init__(self) -> None:
        self.guarded: RawGuarded | None = None
        self.sets: dict[str, RawSet] = {}
        self.pods: dict[str, SeenPod] = {}
        self._gone: dict[str, int] = {}
        self.sight = UNKNOWN

    def take(self, change: Change, now: Instant) -> bool:
        """Take a change; return whether anything is different now."""
        if change.gone:
            return self.forget(change.raw.uid, change.raw.version)
        return self.upsert(change.raw, now)

    def upsert(self, raw: Raw, now: Instant) -> bool:
        """Take a version of an object, unless one that is at least as new is known."""
        if raw.version <= self._gone.get(raw.uid, -1):
            return False
        if isinstance(raw, RawPod):
            before = self.pods.get(raw.uid)
            if before is not None and raw.version <= before.raw.version:
                return False
            self.pods[raw.uid] = see_pod(raw, before, now)
        elif isinstance(raw, RawSet):
            known = self.sets.get(raw.uid)
            if known is not None and raw.version <= known.version:
                return False
            self.sets[raw.uid] = raw
        else:
            if self.guarded is not None and raw.version <= self.guarded.version:
                return False
            self.guarded = raw
        return True

    def forget(self, uid: str, version: int) -> bool:
        """Forget an object up to a version, and up to the one that is known."""
        self._gone[uid] = max(version, self._gone.get(uid, 0), self._version_of(uid))
        known = self.guarded is not None and self.guarded.uid == uid
        if known:
            self.guarded = None
        return self.pods.pop(uid, None) is not None or self.sets.pop(uid, None) is not None or known

    def relist(self, api: ApiServer, kind: type[Raw], now: Instant) -> bool:
        """Compare by UID with a complete list of one kind; return whether anything is different."""
        listed: list[Raw] = []
        known: list[str] = []
        if kind is RawPod:
            listed, known = list(api.pods.values()), list(self.pods)
        elif kind is RawSet:
            listed, known = list(api.sets.values()), list(self.sets)
        else:
            listed = [] if api.guarded is None else [api.guarded]
            known = [] if self.guarded is None else [self.guarded.uid]
        there = {raw.uid for raw in listed}
        changed = [self.forget(uid, api.version) for uid in known if uid not in there]
        return any([self.upsert(raw, now) for raw in listed] + changed)

    def _version_of(self, uid: str) -> int:
        if uid in self.pods:
            return self.pods[uid].raw.version
        return self.sets[uid].version if uid in self.sets else 0

    def verify(self, answer: Answer, now: Instant) -> None:
        """Take what was read anew."""
        there = {pod.uid for pod in answer.pods}
        gone = [uid for uid, seen in self.pods.items() if seen.raw.owner == answer.owner]
        for uid in gone:
            if uid not in there:
                self.forget(uid, answer.version)
        for pod in answer.pods:
            self.upsert(pod, now)
        self.sight = answer.sight

    def snapshot(
        self, error: CreateError | None, standstills: tuple[Standstill, ...] = ()
    ) -> Snapshot:
        """Return everything one decision is made from."""
        assert self.guarded is not None
        by_owner: dict[str | None, list[SeenPod]] = {}
        for pod in self.pods.values():
            by_owner.setdefault(pod.raw.owner, []).append(pod)
        return Snapshot(
            guarded=see_guarded(self.guarded),
            replica_sets=tuple(
                see_set(rs, tuple(seen.view for seen in by_owner.get(rs.uid, ())), self.guarded.uid)
                for rs in self.sets.values()
                if rs.guard in (None, self.guarded.uid) and rs.matches
            ),
            create_error=error,
            sight=replace(self.sight, standstills=standstills),
            strays=tuple(
                see_set(rs, (), self.guarded.uid)
                for rs in self.sets.values()
                if rs.guard == self.guarded.uid and not rs.matches
            ),
        )

    def is_current(self, api: ApiServer) -> bool:
        """Return whether it knows the latest version of everything."""
        return (
            self.guarded is not None
            and api.guarded is not None
            and self.guarded.version == api.guarded.version
            and {uid: rs.version for uid, rs in self.sets.items()}
            == {uid: rs.version for uid, rs in api.sets.items()}
            and {uid: seen.raw.version for uid, seen in self.pods.items()}
            == {uid: pod.version for uid, pod in api.pods.items()}
        )
