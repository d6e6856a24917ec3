"""The simulated cluster finds what is broken in the operator around the core, each time from a seed.

Each class breaks one part of the real operator in one way. The part runs in generated worlds as the whole one
does, until the referee, the API server's records or the operator's own complaints show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from tests.sim.config import draw_config
from tests.sim.referee import CounterexampleError
from tests.sim.world import World
from tripswitch.cluster.errors import ApiError
from tripswitch.cluster.executor import Executor
from tripswitch.cluster.leader_election.lease import Lease
from tripswitch.cluster.reflector import Reflector
from tripswitch.cluster.store import Record, Store
from tripswitch.domain.values.decision import Action
from tripswitch.domain.values.time import Instant
from tripswitch.shell.wiring import KIT, Kit

WORLDS = 100
STEPS = 400


class ForgetfulStore(Store):
    """Takes no version of a GuardedDeployment after the first one: what was written is forgotten."""

    def upsert_guarded(self, raw: Mapping[str, Any]) -> None:
        known = {record.uid for record in self.records()}
        if raw["metadata"]["uid"] not in known:
            super().upsert_guarded(raw)


class SwallowingExecutor(Executor):
    """Takes an action that failed for one that was carried out."""

    async def act(self, record: Record, digest: str, actions: Iterable[Action]) -> Instant | None:
        try:
            return await super().act(record, digest, actions)
        except ApiError:
            return None


class HastyExecutor(Executor):
    """Writes the status after a while, when the actions have been carried out."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._late: tuple[Record, Mapping[str, Any]] | None = None

    async def write_status(self, record: Record, status: Mapping[str, Any]) -> None:
        self._late = (record, status)

    async def act(self, record: Record, digest: str, actions: Iterable[Action]) -> Instant | None:
        retry_at = await super().act(record, digest, actions)
        if self._late is not None:
            late, self._late = self._late, None
            await super().write_status(*late)
        return retry_at


class LossyReflector(Reflector):
    """Drops one in ten watch events."""

    _number = 0

    def _take(self, kind: str, raw: Any) -> None:
        self._number += 1
        if self._number % 10 or kind in ("ERROR", "BOOKMARK"):
            super()._take(kind, raw)


class LateLease(Lease):
    """Takes a renewal for good for a minute longer than it is."""

    def remaining(self) -> float:
        return super().remaining() + 60.0


@dataclass(frozen=True)
class Broken:
    """What is broken, and how it shows."""

    kit: Kit = KIT
    lease: type[Lease] = Lease
    words: str = ""
    steps: int = STEPS


BROKEN = {
    "forgets a record": Broken(Kit(store=ForgetfulStore), words="not followed|never ends"),
    "swallows an error": Broken(
        # Rare: most failed writes of ReplicaSets are done again at once.
        Kit(executor=SwallowingExecutor),
        words="nothing was decided again|not followed",
        steps=4000,
    ),
    "acts before the status": Broken(Kit(executor=HastyExecutor), words="before its status"),
    "drops a watch event": Broken(
        Kit(reflector=LossyReflector), words="does not know the latest version"
    ),
    "renews late": Broken(lease=LateLease, words="leads"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_shell_is_found_out(name: str) -> None:
    broken = BROKEN[name]
    with pytest.raises(CounterexampleError, match=broken.words):
        run_worlds(broken)


def run_worlds(broken: Broken) -> None:
    for number in range(1, WORLDS):
        config = draw_config(Random(number))
        config.leased = config.standby = broken.lease is not Lease
        world = World(config, number, kit=broken.kit, lease=broken.lease)
        world.run(broken.steps)
        world.settle()
