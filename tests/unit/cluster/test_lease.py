"""The requests of an election, against a server that swaps only the version that was seen."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import answer, refuse, until
from tests.unit.cluster.memory_transport import serve_in_memory
from tripswitch.api.times import parse_instant
from tripswitch.cluster.leader_election.lease import Candidacy, Lease, LeaseLostError, steady_clock
from tripswitch.cluster.leader_election.rules import Terms

pytestmark = pytest.mark.looptime

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/system/leases"
PATH = f"{COLLECTION}/tripswitch"
TERMS = Terms(retry_period=0.04)
WALL = 1_795_496_400.0


RENEWED = "2026-11-24T05:00:00.000000Z"
"""When somebody else renewed the Lease, by that process' clock."""
LONG_AGO = "2026-11-24T04:00:00.000000Z"


class Server:
    """One Lease. ``troubles`` are answered instead, ``after`` True: once the write has been done."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 10
        self.writes: list[dict[str, Any]] = []
        self.troubles: list[web.Response] = []
        self.away = False
        self.lose_answers = False

    def hold(self, holder: str, **spec: Any) -> None:
        """Somebody else writes."""
        renewed = {"leaseDurationSeconds": 10, "renewTime": RENEWED}
        self._store({**renewed, **spec, "holderIdentity": holder})

    def _store(self, spec: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self.version += 1
        kept = metadata or (self.lease or {}).get("metadata", {"labels": {"kept": "yes"}})
        metadata = {**kept, "resourceVersion": str(self.version)}
        self.lease = {"kind": "Lease", "metadata": metadata, "spec": spec}

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec

    async def handle(self, request: web.Request) -> web.Response:
        assert request.path in (PATH, COLLECTION)
        if self.away:
            return refuse(503, message="away")
        if request.method == "GET":
            return answer(self.lease) if self.lease else refuse(404, "NotFound")
        if self.troubles:
            return self.troubles.pop(0)
        body = json.loads(await request.text())
        if request.method == "POST" and self.lease is not None:
            return refuse(409, "AlreadyExists")
        if request.method == "PUT":
            if self.lease is None:
                return refuse(404, "NotFound")
            if body["metadata"]["resourceVersion"] != str(self.version):
                return refuse(409, "Conflict")
        self.writes.append(body)
        self._store(body["spec"], body["metadata"])
        return refuse(500, message="lost") if self.lose_answers else answer(self.lease)


class LeaseBench:
    """A candidate named "me", its server, and the time."""

    def __init__(self) -> None:
        self.server = Server()
        self.now = 100.0
        self.lease: Lease
        self.task: asyncio.Task[None]

    async def until_leading(self) -> None:
        async with asyncio.timeout(20):
            await self.lease.leading.wait()

    async def looks(self, times: int = 3) -> None:
        """Give it time to look at the Lease so often."""
        await asyncio.sleep(times * TERMS.poll_period * 2)


@asynccontextmanager
async def candidate() -> AsyncIterator[LeaseBench]:
    it = LeaseBench()
    async with serve_in_memory(it.server.handle) as client:
        who = Candidacy("system", "tripswitch", "me", TERMS)
        it.lease = Lease(client, who, lambda: WALL, lambda: it.now)
        it.task = asyncio.create_task(it.lease.run())
        yield it
        it.task.cancel()
        await asyncio.gather(it.task, return_exceptions=True)


async def test_where_there_is_no_lease_it_is_made_and_held() -> None:
    async with candidate() as it:
        await it.until_leading()
        assert it.lease.remaining() == 7
        assert it.server.spec == {
            "holderIdentity": "me",
            "leaseDurationSeconds": 10,
            "leaseTransitions": 0,
            "acquireTime": "2026-11-24T05:00:00.000000Z",
            "renewTime": "2026-11-24T05:00:00.000000Z",
        }


async def test_a_holder_renews_and_leaves_alone_what_others_have_put_there() -> None:
    async with candidate() as it:
        it.server.hold("", preferredHolder="somebody", leaseTransitions=4)
        await it.until_leading()
        writes = len(it.server.writes)
        it.now += 5
        await until(lambda: len(it.server.writes) > writes + 1)
        assert it.lease.remaining() == 7
        assert it.server.spec["leaseTransitions"] == 5
        assert it.server.spec["preferredHolder"] == "somebody"
        assert it.server.lease is not None
        assert it.server.lease["metadata"]["labels"] == {"kept": "yes"}


async def test_another_s_lease_is_taken_only_when_it_has_not_changed_for_its_duration() -> None:
    async with candidate() as it:
        it.server.hold("other", renewTime="1", leaseTransitions=2)
        await it.looks()
        it.now += 9.9
        it.server.hold("other", renewTime="2", leaseTransitions=2)
        await it.looks()
        it.now += 9.9
        await it.looks()
        assert it.server.writes == []
        assert it.lease.remaining() <= 0
        it.now += 0.2
        await it.until_leading()
        assert it.server.spec["holderIdentity"] == "me"
        assert it.server.spec["leaseTransitions"] == 3


async def test_who_loses_the_race_does_not_lead() -> None:
    async with candidate() as it:
        it.server.hold("")
        it.server.troubles = [refuse(409, "Conflict")]
        await until(lambda: not it.server.troubles)
        assert not it.lease.leading.is_set()
        await it.until_leading()  # nobody else wanted it after all


async def test_a_holder_that_cannot_renew_leads_until_its_deadline_and_not_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with candidate() as it:
            await it.until_leading()
            it.server.away = True
            it.now += 6.9
            await it.looks(20)
            assert not it.task.done()
            assert 0 < it.lease.remaining() <= 0.11
            it.now += 0.2
            assert it.lease.remaining() <= 0
            with pytest.raises(LeaseLostError, match="away"):
                await asyncio.wait_for(it.task, 20)
    assert caplog.text.count("could not acquire the Lease: away") == 1, "each trouble is said once"


async def test_a_holder_that_sees_another_s_name_has_lost_at_once_and_for_good() -> None:
    async with candidate() as it:
        await it.until_leading()
        it.server.hold("other")
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(it.task, 20)
        assert it.lease.remaining() <= 0
        writes = len(it.server.writes)
        await it.lease.release()
        assert len(it.server.writes) == writes
        assert it.server.spec["holderIdentity"] == "other"


async def test_who_was_asleep_does_not_lead_again_even_if_the_lease_is_free_by_then() -> None:
    """What it knows is from before another has led."""

    async with candidate() as it:
        await it.until_leading()
        it.now += 60
        it.server.hold("")
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(it.task, 20)


async def test_a_holder_whose_lease_was_edited_or_deleted_goes_on() -> None:
    async with candidate() as it:
        await it.until_leading()
        assert it.server.lease is not None
        it.server.hold("me", **{**it.server.spec, "comment": "by hand"})
        writes = len(it.server.writes)
        await until(lambda: len(it.server.writes) > writes)
        it.server.lease = None
        await until(lambda: it.server.lease is not None)
        assert it.server.spec["holderIdentity"] == "me"
        assert not it.task.done()
        assert it.lease.remaining() > 0


async def test_a_lost_answer_does_not_cost_the_lease() -> None:
    async with candidate() as it:
        it.server.lose_answers = True
        await until(lambda: it.server.writes)
        assert it.lease.remaining() <= 0, "it does not know that it leads"
        it.server.lose_answers = False
        await it.until_leading()
        assert it.server.spec["leaseTransitions"] == 0


async def test_v2_a_lost_answer_does_not_hide_since_when_nobody_led() -> None:
    """What the write of its own that it finds says is not the word of the holder before it."""
    async with candidate() as it:
        it.server.hold("", renewTime=LONG_AGO)
        it.server.lose_answers = True
        await until(lambda: it.server.writes)
        it.server.lose_answers = False
        await it.until_leading()
        assert it.lease.held_until == parse_instant(LONG_AGO)


async def test_v2_after_a_lost_answer_to_its_making_nobody_is_known_to_have_led() -> None:
    async with candidate() as it:
        it.server.lose_answers = True
        await until(lambda: it.server.writes)
        it.server.lose_answers = False
        await it.until_leading()
        assert it.lease.held_until is None


async def test_it_is_given_back_for_the_next_to_take_at_once() -> None:
    async with candidate() as it:
        await it.until_leading()
        it.task.cancel()
        await asyncio.gather(it.task, return_exceptions=True)
        await it.lease.release()
        assert it.lease.remaining() <= 0
        assert it.server.spec["holderIdentity"] == ""
        assert it.server.spec["leaseTransitions"] == 0


async def test_a_release_that_fails_is_left_to_expire(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with candidate() as it:
            await it.until_leading()
            it.task.cancel()
            await asyncio.gather(it.task, return_exceptions=True)
            it.server.away = True
            await it.lease.release()
            assert it.lease.remaining() <= 0
    assert "which will expire" in caplog.text


def test_the_clock_only_goes_forward() -> None:
    assert steady_clock() <= steady_clock()
