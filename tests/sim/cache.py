"""What the operator knows of the cluster: versions that arrived, by watch, by list, or as answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.sim.api import ApiServer
from tests.sim.objects import Change, Raw, RawGuarded, RawPod, RawSet
from tests.sim.views import SeenPod, see_guarded, see_pod, see_set
from tripswitch.domain.rules.node_life import follow_lease, trust_condition
from tripswitch.domain.values.node_life import Renewal
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.sight import UNKNOWN, AttemptEvent, Check, Standstill
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant

KINDS: tuple[type[RawGuarded | RawSet | RawPod], ...] = (RawGuarded, RawSet, RawPod)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a consistent read of a rollout's pods, their events and nodes says.

    Attributes:
        check: What was asked for.
        version: The version of everything that was read.
        as_of: What it proves: everything is as it was at this moment or later.
        pods: The rollout's pods.
        events: Their events.
        leases: When the nodes renewed their Leases, by their own clocks; None where none can be read.
        unready: Those of the nodes that are not Ready.
    """

    check: Check
    version: int
    as_of: Instant
    pods: tuple[RawPod, ...]
    events: tuple[AttemptEvent, ...]
    leases: dict[str, Instant | None]
    unready: frozenset[str]


def read(api: ApiServer, check: Check, as_of: Instant) -> Answer:
    """Read everything that a check asks for, as it is now; ``as_of`` is what it will prove."""
    pods = tuple(api.pods_of(check.uid))
    events = tuple(
        AttemptEvent(pod.uid, one.name, "Error: it cannot be started", count)
        for pod in pods
        for one, count in zip(pod.containers, pod.attempts, strict=True)
        if count
    )
    seen = not api.hides_nodes
    leases = {node: api.node_leases.get(node) if seen else None for node in check.nodes}
    unready = check.nodes & api.unready_nodes if seen else frozenset()
    return Answer(check, api.version, as_of, pods, events, leases, unready)


class Cache:
    """Of two versions the newer one stays; what is gone is so up to a version (W4)."""

    def __init__(self) -> None:
        self.guarded: RawGuarded | None = None
        self.sets: dict[str, RawSet] = {}
        self.pods: dict[str, SeenPod] = {}
        self._gone: dict[str, int] = {}
        self.sight = UNKNOWN
        self.answers: tuple[Answer, ...] = ()
        """Everything that was read about nodes, in order."""

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
        check = answer.check
        lives = dict(self.sight.lives or {})
        for node, renewed in answer.leases.items():
            if renewed is None:
                life = trust_condition(answer.as_of)
            else:
                life = follow_lease(lives.get(node), Renewal(renewed), answer.as_of)
            lost = life.lost or (life.since == answer.as_of and node in answer.unready)
            lives[node] = replace(life, lost=lost)
        self.sight = replace(self.sight, lives=lives)
        self.answers += (answer,) if answer.leases else ()
        if not check.pods:
            return
        events = answer.events if check.events else None
        self.sight = replace(self.sight, as_of=answer.as_of, events=events)
        there = {pod.uid for pod in answer.pods}
        gone = [uid for uid, seen in self.pods.items() if seen.raw.owner == check.uid]
        for uid in gone:
            if uid not in there:
                self.forget(uid, answer.version)
        for pod in answer.pods:
            self.upsert(pod, now)

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
