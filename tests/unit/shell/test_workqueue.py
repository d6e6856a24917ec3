"""The work queue folds, orders, delays and isolates, on a clock that jumps to the next timer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tripswitch.cluster.backoff import Backoff
from tripswitch.shell.workqueue import Pace, TryAgainError, WorkQueue

pytestmark = pytest.mark.looptime

Work = Callable[[str, float], Awaitable[float | None]]


@asynccontextmanager
async def queue(
    work: Work, *, workers: int = 2, open_gate: bool = True, pace: Pace[str] | None = None
) -> AsyncIterator[WorkQueue[str]]:
    gate = asyncio.Event()
    if open_gate:
        gate.set()
    retry = Backoff(first=1.0, most=8.0)
    made = WorkQueue(work, gate, workers=workers, retry=retry, pace=pace)
    made.start()
    try:
        yield made
    finally:
        await made.stop(1.0)


class Log:
    """Work that notes when it was done, and takes some time."""

    def __init__(self, *results: float | Exception | None, takes: float = 0.0) -> None:
        self.done: list[tuple[str, float]] = []
        self.running = 0
        self.most_at_once = 0
        self._results = list(results)
        self._takes = takes
        self._more = asyncio.Event()

    async def __call__(self, key: str, _marked: float) -> float | None:
        self.done.append((key, round(asyncio.get_running_loop().time(), 3)))
        self._more.set()
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(self._takes)
        self.running -= 1
        result = self._results.pop(0) if self._results else None
        if isinstance(result, Exception):
            raise result
        return result

    async def wait(self, times: int) -> None:
        """Wait until the work was begun so many times."""
        while len(self.done) < times:
            self._more.clear()
            await self._more.wait()

    @property
    def times(self) -> list[float]:
        return [time for _, time in self.done]


async def test_marks_that_wait_are_one_mark() -> None:
    log = Log()
    async with queue(log) as marks:
        for _ in range(5):
            marks.mark("web")
        assert marks.depth == 1
        await asyncio.sleep(1)
    assert log.done == [("web", 0)]


async def test_a_key_is_never_worked_on_twice_at_once_and_a_mark_meanwhile_is_not_lost() -> None:
    log = Log(takes=10)
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(1)
        marks.mark("web")
        marks.mark("web")
        await asyncio.sleep(40)
    assert log.done == [("web", 0), ("web", 10)]
    assert log.most_at_once == 1


async def test_different_keys_are_worked_on_at_the_same_time_by_as_many_as_there_are_workers() -> (
    None
):

    log = Log(takes=1)
    async with queue(log, workers=3) as marks:
        for number in range(7):
            marks.mark(str(number))
        await asyncio.sleep(10)
    assert len(log.done) == 7
    assert log.most_at_once == 3


async def test_nothing_is_taken_before_the_gate_opens() -> None:
    log = Log()
    gate = asyncio.Event()
    marks = WorkQueue(log, gate)
    marks.start()
    marks.mark("web")
    await asyncio.sleep(5)
    assert log.done == []
    gate.set()
    await asyncio.sleep(1)
    assert log.done == [("web", 5)]
    await marks.stop(1)


async def test_a_result_brings_the_key_back_at_that_very_time() -> None:
    log = Log(2.5, 0.25, None)
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(100)
    assert log.times == [0, 2.5, 2.75]


async def test_a_mark_before_its_time_takes_the_place_of_the_delay() -> None:
    log = Log(30.0, 30.0)
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(10)
        marks.mark("web")
        await asyncio.sleep(80)
    assert log.times == [0, 10, 40]


async def test_a_delay_ends_with_the_work_that_a_mark_brought_earlier() -> None:
    log = Log(30.0, None)
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(10)
        marks.mark("web")
        await asyncio.sleep(80)
    assert log.times == [0, 10]


async def test_failures_come_back_later_and_later_until_one_success() -> None:
    failures = [TryAgainError("conflict") for _ in range(6)]
    log = Log(*failures, None, TryAgainError("conflict"))
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(100)
        gaps = [late - early for early, late in zip(log.times, log.times[1:], strict=False)]
        for gap, longest in zip(gaps, (1, 2, 4, 8, 8, 8), strict=True):
            assert longest / 2 <= gap <= longest + 0.001
        marks.mark("web")
        await asyncio.sleep(100)
        assert log.times[-1] - log.times[-2] <= 1.001


async def test_the_server_may_ask_for_more_patience() -> None:
    log = Log(TryAgainError("throttled", at_least=30))
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(100)
    assert log.times == [0, 30]


async def test_a_bug_in_one_object_is_told_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        done: list[str] = []

        async def work(key: str, _marked: float) -> None:
            if key == "bad":
                raise ZeroDivisionError
            done.append(key)

        async with queue(work, workers=1) as marks:
            marks.mark("bad")
            marks.mark("good")
            await asyncio.sleep(0.1)
        assert done == ["good"]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "unexpected error while handling bad" in record.getMessage()


async def test_a_bug_is_handed_on_and_its_key_is_not_worked_on_hot_however_often_it_is_marked() -> (
    None
):

    log = Log(*[ZeroDivisionError() for _ in range(3)], None)
    broken: list[tuple[str, Exception]] = []
    gate = asyncio.Event()
    gate.set()
    marks = WorkQueue(log, gate, broken=lambda key, error: broken.append((key, error)))
    marks.start()
    for _ in range(40):
        marks.mark("web")
        await asyncio.sleep(0.1)
    assert log.times[:4] == [0, 1, 2, 3], "once a second, and no mark is lost"
    assert [key for key, _ in broken] == ["web"] * 3
    assert isinstance(broken[0][1], ZeroDivisionError)
    await marks.stop(1)


async def test_where_the_server_asks_for_patience_marks_wait() -> None:
    log = Log(TryAgainError("throttled", at_least=30))
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(10)
        marks.mark("web")
        await asyncio.sleep(100)
    assert log.times == [0, 30]


async def test_after_a_conflict_a_mark_does_not_wait() -> None:
    log = Log(*[TryAgainError("conflict") for _ in range(4)])
    async with queue(log) as marks:
        for _ in range(4):
            marks.mark("web")
            await asyncio.sleep(0.01)
    assert log.times == [0, 0.01, 0.02, 0.03]


async def test_work_is_told_since_when_its_key_was_marked() -> None:
    seen: list[float] = []

    async def work(_key: str, marked: float) -> None:
        seen.append(marked)
        await asyncio.sleep(10)

    async with queue(work) as marks:
        marks.mark("web")
        await asyncio.sleep(4)
        marks.mark("web")
        await asyncio.sleep(30)
    assert seen == [0, 4]


async def test_stopping_finishes_what_is_under_way_and_takes_nothing_more() -> None:
    log = Log(3.0, takes=5)
    async with queue(log, workers=1) as marks:
        for key in ("due at 8", "under way", "waiting"):
            marks.mark(key)
        await asyncio.sleep(6)
        assert await marks.stop(60)
        assert log.running == 0
        assert all(task.done() for task in marks.tasks)
        await asyncio.sleep(60)
        assert marks.depth == 0, "no timer marks anything any more"
    assert log.done == [("due at 8", 0), ("under way", 5)]


async def test_stopping_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        log = Log(takes=1000)
        async with queue(log, workers=1) as marks:
            marks.mark("web")
            await asyncio.sleep(1)
            assert not await marks.stop(3)
            assert asyncio.get_running_loop().time() == 4
    assert "did not finish" in caplog.text


async def test_a_key_that_is_forgotten_owes_nothing_to_what_went_wrong_before() -> None:
    """The next object of the same name waits neither for the old one's holds nor for its back-off."""

    log = Log(*[RuntimeError("bug") for _ in range(4)], TryAgainError("conflict"))
    async with queue(log) as marks:
        marks.mark("web")
        await log.wait(4)
        await asyncio.sleep(0)  # the fourth has failed
        marks.forget("web")
        began = asyncio.get_running_loop().time()
        marks.mark("web")
        await asyncio.sleep(0.1)
        assert log.times[4:] == [round(began, 3)]  # no hold
        await asyncio.sleep(1.5)
        assert len(log.done) == 6  # the first delay, not the fifth


async def test_work_on_a_key_that_was_forgotten_meanwhile_leaves_no_delay() -> None:
    log = Log(TryAgainError("be patient", 3600.0), takes=5.0)
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(1)
        marks.forget("web")
        marks.mark("web")
        await asyncio.sleep(30)
        assert log.times == [0, 5]
        await asyncio.sleep(7200)
        assert len(log.done) == 2


async def test_a_key_that_waits_for_a_hold_is_worked_on_when_it_is_forgotten() -> None:
    log = Log(TryAgainError("be patient", 3600.0))
    async with queue(log) as marks:
        marks.mark("web")
        await asyncio.sleep(1)
        marks.mark("web")  # held
        marks.forget("web")
        await asyncio.sleep(1)
        assert log.times == [0, 1]


# --- pace -----------------------------------------------------------------------------------------


async def test_a_key_rests_after_the_work_and_what_happens_meanwhile_is_one_more_look() -> None:
    log = Log()
    async with queue(log, pace=Pace(rest=lambda: 3.0)) as marks:
        for _ in range(5):
            marks.mark("web")
            await asyncio.sleep(0.5)
        marks.mark("other")
        await asyncio.sleep(20)
        marks.mark("web")
        await asyncio.sleep(1)
    assert log.done == [("web", 0), ("other", 2.5), ("web", 3), ("web", 22.5)]


async def test_a_key_that_becomes_urgent_does_not_rest() -> None:
    log, urgent = Log(), set[str]()
    async with queue(log, pace=Pace(urgent.__contains__, lambda: 3.0)) as marks:
        marks.mark("web")
        await asyncio.sleep(1)
        marks.mark("web")
        urgent.add("web")
        marks.mark("web")
        await asyncio.sleep(1)
        marks.mark("web")
        await asyncio.sleep(20)
    assert log.times == [0, 1, 2]


async def test_urgent_or_not_what_failed_is_not_tried_again_before_its_time() -> None:
    log = Log(TryAgainError("throttled", 7.0))
    async with queue(log, pace=Pace(lambda _: True, lambda: 3.0)) as marks:
        marks.mark("web")
        await asyncio.sleep(1)
        marks.mark("web")
        await asyncio.sleep(20)
    assert log.times == [0, 7]


async def test_a_key_that_is_forgotten_in_its_rest_is_worked_on_as_soon_as_it_is_marked() -> None:
    log = Log()
    async with queue(log, pace=Pace(rest=lambda: 3.0)) as marks:
        marks.mark("web")
        await asyncio.sleep(1)
        marks.forget("web")
        marks.mark("web")
        await asyncio.sleep(1)
    assert log.times == [0, 1]
