"""The queue of what comes often and is worked on once."""

from __future__ import annotations

import asyncio

from tripswitch.cluster.latest_queue import LatestQueue


async def test_the_latest_entry_of_a_key_is_taken_in_the_place_of_the_first() -> None:
    queue = LatestQueue[str, int]()
    for key, value in (("a", 1), ("b", 2), ("a", 3)):
        queue.put(key, value)
    assert len(queue) == 2
    assert [await queue.take(), await queue.take()] == [("a", 3), ("b", 2)]


async def test_who_takes_waits_for_the_next_entry() -> None:
    queue = LatestQueue[str, int]()
    queue.put("a", 1)
    await queue.take()
    taking = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    assert not taking.done()
    queue.put("a", 2)
    assert await taking == ("a", 2)
