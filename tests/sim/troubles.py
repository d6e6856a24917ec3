"""Troubles of the control plane that last for a while, and are no revision's fault (rules V).

Each method begins one; the world's own agenda ends it. In none of them can anybody report what happens to
a pod, or the operator cannot see it, or its clock is told a wrong time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sim.nodes import LATE_SECONDS, NAMES
from tests.sim.objects import RawPod

if TYPE_CHECKING:
    from tests.sim.world import World

ABSENCE_SECONDS = 660.0
"""Longer than the default progress deadline (P1)."""
STEP_SECONDS = 60.0


class Troubles:
    """Begins troubles in a world, one at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.free_at = 0.0
        """When the latest trouble, and what follows from it, is over."""
        self._dead = False

    def strike(self) -> str:
        """Begin one of those that the world may have, unless another one lasts; return its name."""
        world = self._world
        name = world.rng.choice(world.config.troubles)
        if world.is_quiet or world.now < self.free_at or (name == "dead_node" and self._dead):
            return "nothing"
        self.begin(name)
        return f"trouble: {name}"

    def begin(self, name: str) -> None:
        """Begin the trouble of a name in :data:`TROUBLES`."""
        TROUBLES[name](self)

    def silent_watch(self) -> None:
        """No event of a pod arrives; then the watch is found to be dead, and pods are listed."""
        self._watch_pauses(90.0, relist=True)

    def frozen_watch(self) -> None:
        """Events of pods are held up for minutes, and then they all come."""
        self._watch_pauses(240.0, relist=False)

    def short_outage(self) -> None:
        """The API server is away for a minute."""
        self._server_is_away(60.0)

    def long_outage(self) -> None:
        """The API server is away for five minutes."""
        self._server_is_away(300.0)

    def lost_storage(self) -> None:
        """Etcd is away: reads answer from the cache, writes and consistent reads fail."""
        self._world.api.storage_away = True
        self._cut_off()
        self._end_after(60.0, self._reconnect)

    def long_lost_storage(self) -> None:
        """The same for five minutes."""
        self._world.api.storage_away = True
        self._cut_off()
        self._end_after(300.0, self._reconnect)

    def no_controllers(self) -> None:
        """The controller manager is away."""
        self._world.controllers.gate.shut()
        self._end_after(ABSENCE_SECONDS, self._world.controllers.gate.open)

    def no_scheduler(self) -> None:
        """The scheduler is away."""
        self._world.scheduler.shut()
        self._end_after(ABSENCE_SECONDS, self._world.scheduler.open)

    def no_operator(self) -> None:
        """The operator is away."""
        self._world.send_operator_away()
        self._end_after(ABSENCE_SECONDS, self._world.bring_operator_back)

    def dead_control_plane(self) -> None:
        """The operator is away together with the API server, and begins as soon as that is back."""
        self._world.send_operator_away()
        self._server_is_away(ABSENCE_SECONDS)
        self._world.later(ABSENCE_SECONDS, self._world.bring_operator_back)

    def dead_node(self) -> None:
        """The node of the youngest pod that is not Ready dies, for good."""
        world = self._world
        self._dead = True
        world.nodes.kill(self._choose_node(), world.controllers)
        self.free_at = world.now + ABSENCE_SECONDS

    def lost_node(self) -> None:
        """That node has no network for 100 s: not Ready, and not so long that pods are evicted."""
        self._cut_off_node(100.0)

    def briefly_lost_node(self) -> None:
        """That node has no network for 25 s, which the control plane does not notice."""
        self._cut_off_node(25.0)

    def clock_forward(self) -> None:
        """The clock of the API server, and of the operator's machine, is set forward."""
        self._set_clocks((STEP_SECONDS,))

    def clock_back(self) -> None:
        """They are set back."""
        self._set_clocks((-STEP_SECONDS,))

    def two_clocks(self) -> None:
        """A second API server answers, and its clock is a minute fast."""
        self._set_clocks((0.0, STEP_SECONDS))

    # -------------------------------------------------------------------------------------------

    def _choose_node(self) -> str:
        world = self._world
        starting = [pod for pod in world.api.pods.values() if pod.node and not pod.ready]
        return starting[-1].node if starting else world.rng.choice(NAMES)

    def _cut_off_node(self, seconds: float) -> None:
        world = self._world
        world.nodes.cut_off_one(self._choose_node(), seconds, world.controllers)
        self.free_at = world.now + seconds + LATE_SECONDS

    def _set_clocks(self, offsets: tuple[float, ...]) -> None:
        """They stay so for the rest of the world."""
        self._world.offsets = offsets
        self.free_at = self._world.now + 300.0

    def _watch_pauses(self, seconds: float, *, relist: bool) -> None:
        world = self._world
        world.rest.hushed.add(RawPod)
        for process in world.processes:
            process.hush(RawPod)

        def end() -> None:
            world.rest.hushed.discard(RawPod)
            for process in world.processes:
                process.hear_again(RawPod, relist=relist)

        self._end_after(seconds, end)

    def _server_is_away(self, seconds: float) -> None:
        self._world.api.away = True
        for process in self._world.processes:
            process.lose_connections()
        self._cut_off()
        self._end_after(seconds, self._reconnect)

    def _cut_off(self) -> None:
        self._world.nodes.cut_off()
        self._world.writers.shut()
        self._world.controllers.gate.shut()
        self._world.scheduler.shut()

    def _reconnect(self) -> None:
        world = self._world
        world.api.away = world.api.storage_away = False
        world.nodes.reconnect()
        world.writers.open()
        world.controllers.gate.open()
        world.scheduler.open()

    def _end_after(self, seconds: float, end: Callable[[], None]) -> None:
        self._world.later(seconds, end)
        self.free_at = self._world.now + seconds + LATE_SECONDS


TROUBLES: dict[str, Callable[[Troubles], None]] = {
    method.__name__: method
    for method in (
        Troubles.silent_watch, Troubles.frozen_watch, Troubles.short_outage, Troubles.long_outage,
        Troubles.lost_storage, Troubles.long_lost_storage, Troubles.no_controllers,
        Troubles.no_scheduler, Troubles.no_operator, Troubles.dead_control_plane,
        Troubles.dead_node, Troubles.lost_node, Troubles.briefly_lost_node, Troubles.clock_forward, Troubles.clock_back, Troubles.two_clocks,
    )
}  # fmt: skip
NODES = ("dead_node", "lost_node", "briefly_lost_node")
"""Those that only an operator outlives that may read nodes (V3)."""
CLOCKS = ("clock_forward", "clock_back", "two_clocks")
