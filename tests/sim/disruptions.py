"""What happens to pods and is nobody's fault: none of it may ever count (F5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.sim.api import ApiServer
from tests.sim.gate import Later
from tests.sim.kubelet import Handle
from tripswitch.domain.values.pods import ContainerRole


class Disruptions:
    """Each method disrupts one pod; ``strike`` draws pod and method."""

    def __init__(
        self, api: ApiServer, later: Later, rng: Random, find: Callable[[str], Handle]
    ) -> None:
        self._api = api
        self._later = later
        self._rng = rng
        self._find = find

    def strike(self) -> str:
        """Disrupt something and return how."""
        pods = [pod.uid for pod in self._api.pods.values() if pod.live and pod.node]
        if not pods:
            return "nothing"
        ways = (
            self.evict, self.put_out, self.shut_down, self.lose, self.reboot, self.renew, self.delete,
        )  # fmt: skip
        way = self._rng.choice(ways)
        way(self._find(self._rng.choice(pods)))
        return way.__name__

    def evict(self, handle: Handle) -> None:
        """Drain, preemption: marked, then deleted."""
        self._api.put_pod(replace(handle.pod, disrupted=True))
        self._later(self._rng.uniform(0.01, 2.0), lambda: self._delete_if_there(handle))

    def put_out(self, handle: Handle) -> None:
        """The node is short of memory."""
        handle.fail("Evicted", "The node was low on resource: memory.", disrupted=True)

    def shut_down(self, handle: Handle) -> None:
        """The node is shut down in good order."""
        words = "Pod was terminated in response to imminent node shutdown."
        handle.fail("Terminated", words, disrupted=self._rng.random() < 0.7)

    def lose(self, handle: Handle) -> None:
        """The node is gone for a while; after five minutes its pods are given up."""
        if not handle.pod.ready:
            return
        handle.lose_node()
        if self._rng.random() < 0.5:
            self._later(self._rng.uniform(5, 290), lambda: self._return(handle))
        else:
            self._later(300, lambda: self.evict(handle) if handle.alive else None)

    def reboot(self, handle: Handle) -> None:
        """The node starts again: every container lost its run, through no fault of its own."""
        if handle.pod.ready:
            handle.rerun("ContainerStatusUnknown")
            self._later(self._rng.uniform(0.1, 2.0), lambda: self._recover(handle))

    def renew(self, handle: Handle) -> None:
        """The sandbox is gone, and the kubelet makes a new one. Only init containers let one know."""
        if handle.pod.ready and handle.first(ContainerRole.INIT) is not None:
            handle.renew()
            self._later(self._rng.uniform(0.1, 2.0), lambda: self._recover(handle))

    def delete(self, handle: Handle) -> None:
        """Deleted by hand."""
        self._api.delete_pod(handle.uid)

    def _recover(self, handle: Handle) -> None:
        if handle.alive and not handle.pod.by_node and _is_up(handle):
            handle.set_ready(ready=True)

    def _return(self, handle: Handle) -> None:
        if handle.alive and handle.pod.by_node:
            handle.return_node()

    def _delete_if_there(self, handle: Handle) -> None:
        if handle.alive:
            self._api.delete_pod(handle.uid)


def _is_up(handle: Handle) -> bool:
    return all(c.started for c in handle.pod.containers if c.role != "init")
