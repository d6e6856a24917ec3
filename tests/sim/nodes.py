"""Nodes: whether they live, whether their kubelets can report, and how old their Leases are (rule V3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from tests.sim.api import ApiServer
from tests.sim.controllers import Controllers
from tests.sim.gate import Later
from tests.sim.kubelet import Handle
from tripswitch.domain.values.time import Instant

NAMES = tuple(f"node-{number}" for number in range(3))
RENEW_SECONDS = 10.0
"""How often a kubelet renews the Lease of its node."""
LATE_SECONDS = 40.0
"""After an outage a kubelet needs up to so long until it has reported everything."""
MISSED_SECONDS = 40.0
"""A node without a report for so long is marked as not Ready (``--node-monitor-grace-period``)."""
SKEWS = dict(zip(NAMES, (0.0, 90.0, -3_600.0), strict=True))
"""How many seconds the clock of each node, which writes its Lease, is fast."""
TOLERATED_SECONDS = 300.0
"""So long the pods of a node that is not Ready stay where they are."""


@dataclass(slots=True)
class Node:
    """One node; ``reports`` is False while its kubelet cannot write, or has not come to it yet."""

    alive: bool = True
    reports: bool = True


class Nodes:
    """All nodes. Without :meth:`begin`, none of them has a Lease, and all are well.

    ``clock`` is the true time. Each node's own clock goes right and shows a wrong time.
    """

    def __init__(
        self,
        api: ApiServer,
        later: Later,
        rng: Random,
        clock: Callable[[], Instant],
        handles: Mapping[str, Handle],
    ) -> None:
        self._api = api
        self._later = later
        self._rng = rng
        self._clock = clock
        self._handles = handles
        self._nodes = {name: Node() for name in NAMES}

    def begin(self) -> None:
        """Have every node renew its Lease from now on."""
        for name in NAMES:
            self._later(self._rng.uniform(0, RENEW_SECONDS), lambda name=name: self._beat(name))  # type: ignore[misc]

    def is_alive(self, name: str) -> bool:
        """Return whether a node runs containers."""
        return name not in self._nodes or self._nodes[name].alive

    def can_report(self, name: str) -> bool:
        """Return whether what happens on a node is written at once."""
        one = self._nodes.get(name)
        return self._api.writable and (one is None or (one.alive and one.reports))

    def choose(self, wanted: str) -> str:
        """Return the node that the scheduler takes: the wanted one, unless it is known to be dead."""
        fit = [name for name in NAMES if name not in self._api.unready_nodes]
        return wanted if wanted in fit else fit[0]

    def cut_off(self) -> None:
        """Nobody can write any more."""
        for one in self._nodes.values():
            one.reports = False

    def reconnect(self) -> None:
        """The API server is back: each kubelet comes to it in its own time."""
        for name in NAMES:
            delay = self._rng.uniform(0.5, LATE_SECONDS - 10)
            self._later(delay, lambda name=name: self._come_back(name))  # type: ignore[misc]

    def cut_off_one(self, name: str, seconds: float, controllers: Controllers) -> None:
        """A node loses its network for a while: its pods run on, and nobody hears of it."""
        self._nodes[name].reports = False
        gate = controllers.gate
        if seconds > MISSED_SECONDS:
            self._later(MISSED_SECONDS, lambda: gate.run(lambda: self._mark(name)))
        self._later(seconds, lambda: self._come_back(name))

    def kill(self, name: str, controllers: Controllers) -> None:
        """A node dies: no report any more, and much later its pods are given up."""
        self._nodes[name].alive = False
        gate = controllers.gate
        self._later(MISSED_SECONDS, lambda: gate.run(lambda: self._mark(name)))
        given_up = MISSED_SECONDS + TOLERATED_SECONDS
        self._later(given_up, lambda: gate.run(lambda: self._evict(name)))

    def _beat(self, name: str) -> None:
        one = self._nodes[name]
        if one.alive:
            self._later(RENEW_SECONDS, lambda: self._beat(name))
        if self.can_report(name):
            self._renew(name)

    def _renew(self, name: str) -> None:
        self._api.node_leases[name] = self._clock() + SKEWS[name]

    def _come_back(self, name: str) -> None:
        one = self._nodes[name]
        if not self._api.writable or not one.alive:
            return
        one.reports = True
        self._renew(name)
        self._api.unready_nodes.discard(name)
        for uid, handle in self._handles.items():
            if self._api.pods[uid].node == name:
                # The kubelet's own loop writes what it could not write once in ten seconds.
                back = handle.return_node if self._api.pods[uid].by_node else handle.flush
                self._later(self._rng.uniform(0.01, 10.0), back)

    def _mark(self, name: str) -> None:
        """The node is not Ready; its pods that were Ready are not either (``MarkPodsNotReady``)."""
        self._api.unready_nodes.add(name)
        for uid, handle in list(self._handles.items()):
            pod = self._api.pods[uid]
            if pod.node == name and pod.ready:
                handle.lose_node()

    def _evict(self, name: str) -> None:
        for pod in list(self._api.pods.values()):
            if pod.node == name and pod.live:
                self._api.put_pod(replace(pod, disrupted=True))
                self._api.delete_pod(pod.uid)
