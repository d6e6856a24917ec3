"""When alarms are read, for whom, and who is looked at again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.unit.cluster.raws import T0, guarded
from tripswitch.cluster.alarms_client import AlarmsUnreadError, Source
from tripswitch.cluster.alarms_watch import NOT_SET_UP, AlarmWatcher
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.domain.values.alarms import (
    NO_READING,
    AlarmQuestion,
    AlarmReading,
    Alert,
    RuleReading,
)

pytestmark = pytest.mark.looptime

WEB, API = Key("shop", "web"), Key("shop", "api")
ERRORS = AlarmQuestion(("Errors",), {}, T0)
SLOW = AlarmQuestion(("Slow",), {}, T0)
KNOWN = frozenset({"Errors", "Slow"})
FIRES = Alert("Errors", {"namespace": "shop"})


class AlarmsBench:
    """A watcher whose server is this object, and a store of two objects."""

    def __init__(self, *, set_up: bool = True) -> None:
        self.source = Source("http://nobody")
        self.asked: list[tuple[float, frozenset[str]]] = []
        self.alerts: tuple[Alert, ...] = ()
        self.refusal = ""
        self.seconds = 0.0
        self.outcomes: list[str] = []
        self.marked: list[Key] = []
        self.store = Store(self.marked.append, self.clock)
        for key in (WEB, API):
            raw = guarded()
            raw["metadata"] |= {"name": key.name, "uid": f"uid-{key.name}"}
            self.store.upsert_guarded(raw)
        self.marked.clear()
        client = self if set_up else None
        self.watcher = AlarmWatcher(client, self.clock, self.outcomes.append)
        self.store.when_gone(self.watcher.forget)

    def clock(self) -> float:
        return T0 + round(asyncio.get_running_loop().time(), 3)

    async def read(self, names: Collection[str]) -> RuleReading:
        self.asked.append((self.clock() - T0, frozenset(names)))
        await asyncio.sleep(self.seconds)
        if self.refusal:
            raise AlarmsUnreadError(self.refusal)
        return RuleReading(KNOWN, self.alerts)

    def record(self, key: Key = WEB) -> Record:
        found = self.store.find(key)
        assert found is not None
        return found

    def ask(self, question: AlarmQuestion | None, key: Key = WEB) -> None:
        self.watcher.ask(self.store, self.record(key), question)

    def reading(self, key: Key = WEB) -> AlarmReading:
        return self.store.snapshot(self.record(key)).alarms

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.asked]


@asynccontextmanager
async def running(*, set_up: bool = True) -> AsyncIterator[AlarmsBench]:
    bench = AlarmsBench(set_up=set_up)
    task = asyncio.create_task(bench.watcher.run())
    try:
        yield bench
    finally:
        task.cancel()
        assert not task.done(), "it runs for ever"


async def test_a1_nobody_who_asks_costs_no_request() -> None:
    async with running() as bench:
        await asyncio.sleep(3600)
        assert bench.asked == []


async def test_a1_a_question_is_answered_at_once_and_then_every_ten_seconds() -> None:
    async with running() as bench:
        await asyncio.sleep(1000)
        bench.ask(ERRORS)
        await asyncio.sleep(25)
        assert bench.times == [1000, 1010, 1020]
        assert bench.marked == [WEB], "the later ones are no news"
        assert bench.reading() == AlarmReading(T0 + 1020)
        assert bench.outcomes == ["ok", "ok", "ok"]


async def test_a1_one_request_serves_the_whole_fleet() -> None:
    async with running() as bench:
        bench.ask(ERRORS)
        bench.ask(SLOW, API)
        await asyncio.sleep(5)
        assert bench.asked == [(0, KNOWN)]
        assert bench.marked == [WEB, API]


async def test_a1_a_rollout_that_begins_between_two_requests_gets_its_base_line_soon() -> None:
    async with running() as bench:
        bench.ask(ERRORS)
        await asyncio.sleep(0.2)
        bench.ask(SLOW, API)
        await asyncio.sleep(5)
        assert bench.times == [0, 1.0], "no more than one request each second"
        assert bench.marked == [WEB, API]


async def test_a1_what_fires_is_told_and_only_to_those_it_belongs_to() -> None:
    async with running() as bench:
        bench.ask(ERRORS)
        bench.ask(SLOW, API)
        await asyncio.sleep(5)
        bench.marked.clear()
        bench.alerts = (FIRES, Alert("Errors", {"namespace": "till"}))
        await asyncio.sleep(10)
        assert bench.marked == [WEB]
        assert bench.reading().alerts == (FIRES,)


async def test_a3_the_reading_after_the_end_of_a_bake_is_told_and_comes_in_time() -> None:
    async with running() as bench:
        bench.ask(ERRORS)
        await asyncio.sleep(5)
        bench.marked.clear()
        bench.ask(replace(ERRORS, after=T0 + 13))
        await asyncio.sleep(7)
        assert bench.times == [0, 10]
        assert bench.marked == []
        await asyncio.sleep(2)
        assert bench.times == [0, 10, 13]
        assert bench.marked == [WEB]


async def test_a2_no_answer_is_told_once_and_tried_again_every_ten_seconds() -> None:
    async with running() as bench:
        bench.ask(ERRORS)
        await asyncio.sleep(5)
        bench.marked.clear()
        bench.refusal = "HTTP status 503"
        await asyncio.sleep(20)
        assert bench.times == [0, 10, 20]
        assert bench.marked == [WEB]
        found = bench.reading()
        assert (found.unread_since, found.problem) == (T0, "HTTP status 503")
        bench.refusal = ""
        await asyncio.sleep(10)
        assert bench.marked == [WEB, WEB]
        assert bench.reading() == AlarmReading(T0 + 30)
        assert bench.outcomes == ["ok", "failed", "failed", "ok"]


async def test_a1_who_does_not_ask_any_more_is_forgotten() -> None:
    async with running() as bench:
        bench.ask(None)
        bench.ask(ERRORS)
        await asyncio.sleep(5)
        bench.ask(None)
        assert bench.reading() == NO_READING, "a later rollout must not find an old reading"
        await asyncio.sleep(100)
        assert bench.times == [0]


async def test_a1_an_object_that_is_gone_is_forgotten() -> None:
    async with running() as bench:
        bench.ask(ERRORS)
        await asyncio.sleep(5)
        record = bench.record()
        bench.store.remove_guarded("uid-web")
        bench.watcher.ask(bench.store, record, ERRORS)  # by a look that was under way
        await asyncio.sleep(100)
        assert bench.times == [0]


async def test_a1_an_object_that_goes_while_it_is_read_for_gets_no_answer() -> None:
    async with running() as bench:
        bench.seconds = 3
        bench.ask(ERRORS)
        await asyncio.sleep(1)
        bench.store.remove_guarded("uid-web")
        await asyncio.sleep(100)
        assert bench.times == [0]


async def test_a1_another_question_is_read_anew() -> None:
    async with running() as bench:
        bench.ask(ERRORS)
        await asyncio.sleep(5)
        bench.ask(SLOW)
        assert bench.reading() == NO_READING
        await asyncio.sleep(0.1)
        assert bench.asked[-1] == (5, frozenset({"Slow"}))


async def test_a1_an_answer_to_an_earlier_question_is_not_taken() -> None:
    async with running() as bench:
        bench.seconds = 3
        bench.ask(ERRORS)
        bench.ask(ERRORS, API)
        await asyncio.sleep(1)
        bench.ask(SLOW)
        bench.ask(None, API)
        await asyncio.sleep(2.5)
        assert bench.reading() == NO_READING
        assert bench.reading(API) == NO_READING
        await asyncio.sleep(3)
        assert bench.reading() == AlarmReading(T0 + 3)


async def test_a2_without_an_address_every_question_has_that_answer() -> None:
    async with running(set_up=False) as bench:
        await asyncio.sleep(7)
        bench.ask(ERRORS)
        bench.ask(ERRORS)
        await asyncio.sleep(100)
        bench.ask(ERRORS)
        assert bench.marked == [WEB]
        found = bench.reading()
        assert (found.unread_since, found.problem) == (T0 + 7, NOT_SET_UP)
        bench.ask(None)
        assert bench.reading() == NO_READING
        await bench.watcher.poll()
        assert bench.asked == []
