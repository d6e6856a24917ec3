"""A thousand rollouts at once, and one of them fails: who waits for whom. All times are virtual."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.shell.storm import WORKERS, Storm, storm

pytestmark = pytest.mark.looptime

OBJECTS = 1000
BEGINNING = 300
SLOW = 0.1
"""Seconds that the server takes for an answer while it is busy."""
SECONDS = 4
VICTIMS = [f"victim-{number}" for number in range(3)]


async def go_on(it: Storm, names: list[str]) -> None:
    """Tell of progress of each object every four seconds, evenly spread."""
    for step in range(1, SECONDS // 4 + 1):
        for name in names:
            it.set_up(name, step)
            await asyncio.sleep(4 / len(names))


async def test_a_trip_comes_first_while_a_thousand_rollouts_progress() -> None:
    """Alone it takes two answers: the status, then the ReplicaSet. In the storm, one more at most."""
    async with storm() as it:
        others = [f"other-{number}" for number in range(OBJECTS)]
        await it.create([*others, *VICTIMS, "alone"])
        it.answer_seconds = SLOW
        assert await it.trip("alone") == pytest.approx(2 * SLOW, abs=0.005)
        it.requests.clear()
        going_on = asyncio.create_task(go_on(it, others))
        trips = [await it.trip(name) for name in VICTIMS]
        await going_on
        assert max(trips) <= 3 * SLOW + 0.005, trips
        written = it.requests["PUT guardeddeployments"]
        assert written > 20, "progress is told nevertheless"
        assert written < 3 * SECONDS / SLOW, (
            "eight workers could have made eight times as many as one"
        )


async def test_a_trip_comes_before_rollouts_that_begin() -> None:
    """They wait for all eight workers: 300 times two answers, which are 7.5 s."""
    async with storm() as it:
        await it.create(VICTIMS)
        it.answer_seconds = SLOW
        it.deliver([f"other-{number}" for number in range(BEGINNING)])
        trips = [await it.trip(name) for name in VICTIMS]
        assert len(it.sets) < BEGINNING, "the last of them has not begun yet"
        assert max(trips) <= 3 * SLOW + 0.005, trips


async def test_what_changed_while_nobody_led_comes_before_what_may_be_at_rest() -> None:
    """One object in 300, the last of the list, whose spec is newer than its status (*start*, fail-over)."""
    async with storm(leads=False) as it:
        it.answer_seconds = SLOW
        it.deliver([f"other-{number}" for number in range(BEGINNING)], {"observedGeneration": 1})
        it.deliver(["changed"], {"observedGeneration": 0})
        for reflector in it.parts.reflectors:
            reflector.synced.set()
        await it.parts.open_gate()
        await asyncio.sleep(2.5 * SLOW)
        assert "changed" in it.sets
        assert len(it.sets) <= WORKERS
