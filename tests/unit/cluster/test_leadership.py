"""A standby waits for the Lease, catches up, and only then begins; it gives back only what is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.test_lease import RENEWED, TERMS, WALL, Server
from tripswitch.api.times import parse_instant
from tripswitch.cluster.errors import UnreachableError
from tripswitch.cluster.leader_election.leadership import Leadership
from tripswitch.cluster.leader_election.lease import Candidacy, Lease

pytestmark = pytest.mark.looptime


class CatchUp:
    """Fails as often as it is told to."""

    def __init__(self, fails: int = 0) -> None:
        self.calls = 0
        self.begun: list[float | None] = []
        self._fails = fails

    async def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self._fails:
            raise UnreachableError("not yet")


@asynccontextmanager
async def standby(catch_up: CatchUp) -> AsyncIterator[tuple[Leadership, Server]]:
    server = Server()
    server.hold("other")
    async with serve_in_memory(server.handle) as client:
        lease = Lease(client, Candidacy("system", "tripswitch", "me", TERMS), lambda: WALL)
        leadership = Leadership(lease, catch_up, catch_up.begun.append)
        tasks = leadership.start()
        yield leadership, server
        await leadership.give_back(finished=False)
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_without_a_lease_it_leads_from_the_start() -> None:
    catch_up = CatchUp()
    leadership = Leadership(None, catch_up, catch_up.begun.append)
    assert leadership.start() == []
    await leadership.gain()
    await leadership.give_back(finished=True)
    assert leadership.leads()
    assert not leadership.is_lost
    assert leadership.find_stuck(0) == []
    assert catch_up.calls == 0, "there is nobody to catch up with"
    assert catch_up.begun == [None]


async def test_it_begins_when_it_has_the_lease_and_has_caught_up_whatever_that_takes() -> None:
    catch_up = CatchUp(fails=2)
    async with standby(catch_up) as (leadership, server):
        gaining = asyncio.create_task(leadership.gain())
        await asyncio.sleep(0.1)
        assert catch_up.calls == 0
        assert not leadership.leads()
        assert catch_up.begun == []
        server.hold("")
        await asyncio.wait_for(gaining, 30)
        assert catch_up.calls == 3
        assert catch_up.begun == [parse_instant(RENEWED)]
        assert leadership.leads()
        assert leadership.find_stuck(30) == []


async def test_the_lease_is_given_back_when_everything_is_written() -> None:
    async with standby(CatchUp()) as (leadership, server):
        server.hold("")
        await asyncio.wait_for(leadership.gain(), 30)
        await leadership.give_back(finished=True)
        assert server.spec["holderIdentity"] == ""
        assert not leadership.leads()


async def test_after_a_write_that_was_cut_off_the_lease_is_left_to_expire() -> None:
    async with standby(CatchUp()) as (leadership, server):
        server.hold("")
        await asyncio.wait_for(leadership.gain(), 30)
        await leadership.give_back(finished=False)
        assert server.spec["holderIdentity"] == "me"


async def test_an_election_without_a_sign_of_life_is_told() -> None:
    async with standby(CatchUp()) as (leadership, _):
        assert leadership.find_stuck(-1) == ["leader election makes no progress"]
