"""kube-controller-manager: the ReplicaSet controller and the garbage collector, one step behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.sim.api import ApiServer
from tests.sim.consistency import OVER
from tests.sim.gate import Gate, Later
from tests.sim.objects import Change, Deployed, RawPod, RawSet
from tripswitch.domain.values.pods import ContainerView, PodPhase
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template


@dataclass(slots=True)
class Pace:
    """How fast the controllers are, in seconds, and what they may do."""

    slow: float = 0.3
    quota: int | None = None
    """Pods allowed in the namespace."""
    adversary: str = "random"
    """Which of the Ready pods goes first: ``random``, ``oldest`` (the worst) or ``newest``."""


class Controllers:
    """Reacts to changes, later. ``made`` is called with each new pod."""

    def __init__(
        self, api: ApiServer, later: Later, rng: Random, clock: Callable[[], Instant]
    ) -> None:
        self.pace = Pace()
        self.gate = Gate(later, rng)
        self.made: Callable[[RawPod], None] = lambda _: None
        self.refuses: Callable[[Template], str] = lambda _: ""
        """Returns why the API server takes no pod of a template; empty if it does."""
        self.shapes: dict[str, tuple[ContainerView, ...]] = {}
        """Containers of the pods of each template, by digest."""
        self._api = api
        self._later = later
        self._rng = rng
        self._clock = clock
        self._due: set[str] = set()
        self._fails: dict[str, int] = {}
        self._names = 0
        api.watchers.append(self._notice)

    def _notice(self, change: Change) -> None:
        raw = change.raw
        if isinstance(raw, RawSet):
            self._touch(raw.uid)
            if change.gone:
                delay = self._rng.uniform(0.1, 2.0)
                self._later(delay, lambda: self.gate.run(self._collect))
        elif isinstance(raw, RawPod) and raw.owner is not None:
            self._touch(raw.owner)
        elif isinstance(raw, RawPod) and raw.aside is not None and raw.aside.replica_set:
            self._touch(raw.aside.replica_set)

    def _touch(self, uid: str, delay: float | None = None) -> None:
        if uid in self._due:
            return
        self._due.add(uid)
        seconds = self._rng.uniform(0.005, self.pace.slow) if delay is None else delay
        self._later(seconds, lambda: self.gate.run(lambda: self._sync(uid)))

    def _sync(self, uid: str) -> None:
        self._due.discard(uid)
        rs = self._api.sets.get(uid)
        if rs is None:
            return
        if rs.deleting:
            self._collect_foreground(rs)
            return
        self._adopt(rs)
        live = [pod for pod in self._api.pods_of(uid) if pod.live]
        error = ""
        if len(live) < rs.size:
            error = self._create(rs, rs.size - len(live))
        for pod in self._choose(live, len(live) - rs.size):
            self._api.delete_pod(pod.uid)
        self._report(uid, error)

    def _create(self, rs: RawSet, missing: int) -> str:
        for _ in range(missing):
            refusal = self.refuses(rs.template)
            used = sum(pod.phase not in OVER for pod in self._api.pods.values())
            if self.pace.quota is not None and used >= self.pace.quota:
                refusal = "pods is forbidden: exceeded quota"
            if refusal:
                fails = self._fails[rs.uid] = self._fails.get(rs.uid, 0) + 1
                self._touch(rs.uid, min(60.0, 2.0**fails))
                return refusal
            self._names += 1
            pins = dict(rs.pins)
            containers = tuple(
                replace(one, image=pins.get(one.name, ""))
                for one in self.shapes[rs.template.digest]
            )
            pod = RawPod(
                name=f"{rs.name}-{self._names:05d}",
                uid=self._api.make_uid("pod"),
                owner=rs.uid,
                mark=rs.name,
                created=float(int(self._clock())),
                containers=containers,
                ledger=(0,) * len(containers),
                attempts=(0,) * len(containers),
                template=rs.template,
                kind=None if rs.deployed is None else WorkloadKind.DEPLOYMENT,
            )
            self.made(self._api.put_pod(pod))
        self._fails.pop(rs.uid, None)
        return ""

    def _choose(self, live: list[RawPod], count: int) -> list[RawPod]:
        """Kubernetes' own ranking, with any choice among the Ready ones."""
        if count <= 0:
            return []
        order = {"oldest": 1.0, "newest": -1.0}.get(self.pace.adversary)

        def rank(pod: RawPod) -> tuple[bool, bool, bool, float]:
            tie = self._rng.random() if order is None else order * (pod.ready_really or 0.0)
            return (bool(pod.node), pod.phase is PodPhase.RUNNING, pod.ready, tie)

        return sorted(live, key=rank)[:count]

    def _adopt(self, rs: RawSet) -> None:
        """Orphans that carry the labels of a ReplicaSet become its own."""
        for pod in list(self._api.pods.values()):
            if pod.owner is None and pod.mark == rs.name and pod.live:
                self._api.put_pod(replace(pod, owner=rs.uid))

    def _report(self, uid: str, error: str) -> None:
        live = [pod for pod in self._api.pods_of(uid) if pod.live]
        ready = sum(pod.ready for pod in live)
        changes: dict[str, Any] = {"seen_live": len(live), "seen_ready": ready}
        told = self._api.sets[uid].deployed
        if told is not None:
            changes["deployed"] = self._count_available(uid, live, told)
        observed = self._api.sets[uid].generation
        self._api.patch_set(uid, create_error=error, observed=observed, **changes)

    def _count_available(self, uid: str, live: list[RawPod], told: Deployed) -> Deployed:
        """A pod is available once it has been Ready for minReadySeconds."""
        now = self._clock()
        waits = [pod.ready_written + told.min_ready - now for pod in live if pod.ready]
        due = [wait for wait in waits if wait > 0]
        if told.min_ready and due:
            self._later(min(due) + 0.01, lambda: self._touch(uid))
        available = len(waits) if not told.min_ready else len(waits) - len(due)
        return replace(told, available=available, observed=told.generation)

    def _collect_foreground(self, rs: RawSet) -> None:
        pods = self._api.pods_of(rs.uid)
        for pod in pods:
            self._api.delete_pod(pod.uid)
        if not pods:
            self._api.delete_set(rs.uid)

    def _collect(self) -> None:
        """The garbage collector takes the pods of ReplicaSets that are gone."""
        for pod in list(self._api.pods.values()):
            stateful = pod.kind is WorkloadKind.STATEFUL_SET
            if pod.owner is not None and pod.owner not in self._api.sets and not stateful:
                self._api.delete_pod(pod.uid)
