"""What a rollout of ten pods costs the API server: the requests of the operator in a simulated cluster.

The numbers are exact, because a world comes again from its seed; they may only fall. They are means of some
worlds: in one of them, two requests in another order are enough for one to four more or fewer. A rollout is given
with how long its pods take, because mere progress is written every two seconds. Nodes say which digests their
pods run, so that pinning them (rules D) is a part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.sim.api import ApiServer
from tests.sim.config import Config, Plan
from tests.sim.faults import Faults
from tests.sim.images import ImagePlan
from tests.sim.rest import Rest, read_path
from tests.sim.templates import make_template
from tests.sim.world import World, close_last_world
from tripswitch.cluster.transport import Answer, Call
from tripswitch.domain.values.pods import ContainerView
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Spec

REPLICAS = 10
SHAPE = (ContainerView("web"),)
SEEDS = range(1, 11)


class CountingRest(Rest):
    """Counts what is asked for; what is asked by the clock alone (the pulse, every 5 s) is left out."""

    def __init__(self, api: ApiServer, server_time: Callable[[], Instant]) -> None:
        super().__init__(api, server_time)
        self.requests: Counter[str] = Counter()

    def answer(self, call: Call) -> Answer:
        if "limit" not in call.query:
            self.requests[f"{call.method} {read_path(call.path).plural}"] += 1
        return super().answer(call)


class CountingWorld(World):
    """A world whose API server counts."""

    def _make_rest(self) -> CountingRest:
        self.counting = CountingRest(self.api, self.server_time)
        return self.counting


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    close_last_world()


def count_requests(way: str, seed: int) -> tuple[Counter[str], RolloutStatus]:
    """Return the requests of a rollout whose pods behave in a way, and how it ended."""
    good, new = (make_template(name, SHAPE) for name in ("v1", "v2"))
    spec, plans = Spec(REPLICAS, good), [Plan(good, SHAPE, ("good",)), Plan(new, SHAPE, (way,))]
    config = Config(spec, plans, Faults(lag=0.02), leased=False, images=ImagePlan())
    world = CountingWorld(config, seed)
    world.run_until(world.now + 120)
    world.counting.requests.clear()
    world.api.put_guarded(spec=replace(spec, template=new))
    world.run_until(world.now + 300)
    assert world.api.guarded is not None
    rollout = world.api.guarded.status.memory.rollout
    assert rollout is not None
    return world.counting.requests, rollout.status


@pytest.mark.parametrize(
    ("way", "ends", "most"),
    [
        pytest.param("good", RolloutStatus.SUCCESSFUL, 13.9, id="good, 12 s"),
        pytest.param("slow", RolloutStatus.SUCCESSFUL, 36.3, id="good, 58 s"),
        pytest.param("oom", RolloutStatus.ROLLBACK_SUCCESSFUL, 15.4, id="bad, 2 s"),
    ],
)
def test_a_rollout_of_ten_pods_makes_no_more_requests_than_this(
    way: str, ends: RolloutStatus, most: float
) -> None:
    all_found: Counter[str] = Counter()
    for seed in SEEDS:
        found, status = count_requests(way, seed)
        assert status is ends, seed
        all_found += found
        close_last_world()
    assert all_found.total() / len(SEEDS) <= most, dict(all_found)
