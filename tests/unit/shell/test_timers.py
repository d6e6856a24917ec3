"""The queue's second layer alone: one timer for each key."""

from __future__ import annotations

import asyncio

import pytest

from tripswitch.shell.timers import Timers

pytestmark = pytest.mark.looptime


class Rung:
    """Notes which keys were due, and when."""

    def __init__(self) -> None:
        self.log: list[tuple[str, float]] = []
        self.timers: Timers[str] = Timers(self.ring)
        self.again = False

    def ring(self, key: str) -> None:
        self.log.append((key, asyncio.get_running_loop().time()))
        assert not self.timers.cancel(key), "its timer has run"
        if self.again:
            self.again = False
            self.timers.set(key, 1)


async def test_each_key_is_due_at_its_own_time() -> None:
    rung = Rung()
    rung.timers.set("late", 20)
    rung.timers.set("early", 5)
    assert len(rung.timers) == 2
    await asyncio.sleep(100)
    assert rung.log == [("early", 5), ("late", 20)]
    assert len(rung.timers) == 0


async def test_a_new_time_replaces_the_earlier_one() -> None:
    rung = Rung()
    rung.timers.set("web", 5)
    rung.timers.set("web", 20)
    assert len(rung.timers) == 1
    await asyncio.sleep(100)
    assert rung.log == [("web", 20)]


async def test_a_key_may_get_a_new_timer_when_it_is_due() -> None:
    rung = Rung()
    rung.again = True
    rung.timers.set("web", 5)
    await asyncio.sleep(100)
    assert rung.log == [("web", 5), ("web", 6)]


async def test_a_cancelled_timer_does_not_ring() -> None:
    rung = Rung()
    rung.timers.set("web", 5)
    assert rung.timers.cancel("web")
    assert not rung.timers.cancel("web")
    for key in "abc":
        rung.timers.set(key, 5)
    rung.timers.cancel_all()
    assert len(rung.timers) == 0
    await asyncio.sleep(100)
    assert rung.log == []
