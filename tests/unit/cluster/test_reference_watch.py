"""When a namespace is listed, what of it is kept, and who is looked at again (B9)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import answer, refuse
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import guarded
from tripswitch.cluster.client import METADATA_ONLY, Client
from tripswitch.cluster.reference_watch import ReferenceWatcher
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.domain.values.references import (
    NO_REFERENCES,
    ReferenceQuestion,
    ReferenceReading,
    References,
)

pytestmark = pytest.mark.looptime

WEB, API, FAR = Key("shop", "web"), Key("shop", "api"), Key("far", "web")
MAPS = References(("settings",))
BOTH = References(("settings",), ("web",))
OTHER = References(("other",))
PLACE = "/api/v1/namespaces/shop"


class ReferenceBench:
    """A watcher, the lists that its API server has, and a store of three objects."""

    def __init__(self) -> None:
        self.there: dict[str, list[str]] = {"configmaps": ["settings"], "serviceaccounts": ["web"]}
        self.refused: dict[str, int] = {}
        self.kind = "PartialObjectMetadataList"
        self.requests: list[tuple[float, str]] = []
        self.accepts: set[str] = set()
        self.seconds = 0.0
        self.marked: list[Key] = []
        self.store = Store(self.marked.append, lambda: 0.0)
        for key in (WEB, API, FAR):
            raw = guarded()
            raw["metadata"] |= {
                "name": key.name,
                "namespace": key.namespace,
                "uid": f"uid-{key.namespace}-{key.name}",
            }
            self.store.upsert_guarded(raw)
        self.marked.clear()
        self.watcher = ReferenceWatcher(None)

    def connect(self, client: Client) -> None:
        self.watcher = ReferenceWatcher(client)
        self.store.when_gone(self.watcher.forget)

    async def handle(self, request: web.Request) -> web.Response:
        kind = request.path.rpartition("/")[2]
        self.requests.append((round(asyncio.get_running_loop().time(), 1), request.path_qs))
        self.accepts.add(request.headers["Accept"])
        await asyncio.sleep(self.seconds)
        if kind in self.refused:
            return refuse(self.refused[kind])
        names = self.there[kind]
        items: list[dict[str, Any]] | None = [{"metadata": {"name": name}} for name in names]
        return answer({"kind": self.kind, "metadata": {}, "items": items or None})

    def record(self, key: Key = WEB) -> Record:
        found = self.store.find(key)
        assert found is not None
        return found

    def ask(self, wanted: References | None, key: Key = WEB, **more: bool) -> None:
        question = None if wanted is None else ReferenceQuestion(wanted, **more)
        self.watcher.ask(self.store, self.record(key), question)

    def reading(self, key: Key = WEB) -> ReferenceReading | None:
        return self.store.snapshot(self.record(key)).references

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.requests]


@asynccontextmanager
async def running() -> AsyncIterator[ReferenceBench]:
    bench = ReferenceBench()
    async with serve_in_memory(bench.handle) as client:
        bench.connect(client)
        task = asyncio.create_task(bench.watcher.run())
        try:
            yield bench
        finally:
            task.cancel()
            assert not task.done(), "it runs for ever"


async def test_b9_nobody_who_asks_costs_no_request() -> None:
    async with running() as bench:
        await asyncio.sleep(36_000)
        assert bench.requests == []


async def test_b9_one_list_of_each_kind_serves_all_objects_of_a_namespace() -> None:
    async with running() as bench:
        bench.ask(BOTH)
        bench.ask(MAPS, API)
        await asyncio.sleep(5)
        paths = [path for _, path in bench.requests]
        assert paths == [f"{PLACE}/configmaps?limit=100", f"{PLACE}/serviceaccounts?limit=100"]
        assert bench.accepts == {METADATA_ONLY}
        assert bench.reading() == ReferenceReading(BOTH)
        assert bench.reading(API) == ReferenceReading(MAPS)
        assert bench.marked == [], "nothing is missing, and nothing was told"


async def test_b9_a_kind_that_nobody_names_is_not_listed() -> None:
    async with running() as bench:
        bench.ask(MAPS)
        bench.ask(References((), ("web",)), FAR)
        await asyncio.sleep(5)
        assert Counter(path.partition("?")[0] for _, path in bench.requests) == {
            f"{PLACE}/configmaps": 1,
            "/api/v1/namespaces/far/serviceaccounts": 1,
        }


async def test_b9_what_is_missing_is_news_once() -> None:
    async with running() as bench:
        bench.there = {"configmaps": [], "serviceaccounts": ["web"]}
        bench.ask(BOTH)
        await asyncio.sleep(100)
        assert bench.reading() == ReferenceReading(BOTH, MAPS)
        assert bench.marked == [WEB]
        bench.there["configmaps"] = ["settings"]
        await asyncio.sleep(36)
        assert bench.reading() == ReferenceReading(BOTH)
        assert bench.marked == [WEB, WEB]


async def test_b9_idle_namespaces_are_listed_every_ten_minutes_or_so() -> None:
    async with running() as bench:
        bench.ask(MAPS)
        for _ in range(3600):
            await asyncio.sleep(1)
            bench.ask(MAPS)  # each look asks again
        gaps = [after - before for before, after in zip(bench.times, bench.times[1:], strict=False)]
        assert len(gaps) >= 4
        assert all(480 <= gap <= 721 for gap in gaps)
        assert bench.marked == []


async def test_b9_a_rollout_has_its_namespace_listed_soon_and_every_half_minute() -> None:
    async with running() as bench:
        bench.ask(MAPS)
        await asyncio.sleep(100)
        bench.ask(MAPS, urgent=True)
        await asyncio.sleep(99)
        assert bench.times[:2] == [1.0, 101.0]
        gaps = [
            after - before for before, after in zip(bench.times[1:], bench.times[2:], strict=False)
        ]
        assert len(gaps) >= 2
        assert all(24 <= gap <= 36.1 for gap in gaps)


async def test_b9_new_questions_wait_for_each_other() -> None:
    async with running() as bench:
        bench.ask(MAPS)
        await asyncio.sleep(1.5)
        bench.ask(MAPS, API)
        await asyncio.sleep(3)
        bench.ask(OTHER)
        await asyncio.sleep(30)
        assert bench.times[:2] == [1.0, 11.0]
        assert bench.reading(API) == ReferenceReading(MAPS)
        assert bench.reading() == ReferenceReading(OTHER, OTHER)


@pytest.mark.parametrize("status", [403, 500, 429])
async def test_b9_a_list_that_failed_says_nothing(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as bench:
        bench.there["configmaps"] = []
        bench.refused = {"configmaps": status}
        bench.ask(BOTH)
        await asyncio.sleep(1300)
        assert bench.reading() == ReferenceReading(BOTH)
        assert bench.marked == []
        words = [one.getMessage() for one in caplog.records if "cannot be listed" in one.message]
        assert len(words) == 1
        assert words[0].startswith("the configmaps of namespace shop cannot be listed")


async def test_b9_a_list_that_fails_takes_back_what_was_found_before() -> None:
    async with running() as bench:
        bench.there["configmaps"] = []
        bench.ask(MAPS)
        await asyncio.sleep(5)
        assert bench.reading() == ReferenceReading(MAPS, MAPS)
        bench.refused = {"configmaps": 403}
        await asyncio.sleep(36)
        assert bench.reading() == ReferenceReading(MAPS)
        assert bench.marked == [WEB, WEB]


@pytest.mark.parametrize(("status", "least"), [(403, 480), (503, 24)])
async def test_b9_a_refusal_is_no_reason_to_ask_again_soon(status: int, least: float) -> None:
    """Without the right it costs what an idle namespace costs."""
    async with running() as bench:
        bench.refused = {"configmaps": status}
        bench.ask(MAPS)
        await asyncio.sleep(1300)
        gap = bench.times[1] - bench.times[0]
        assert least <= gap <= least * 1.51


async def test_b9_an_answer_that_is_no_list_of_metadata_says_nothing() -> None:
    """Such as that of a proxy: taken for an empty list, all would be missing."""
    async with running() as bench:
        bench.kind = "Status"
        bench.there["configmaps"] = []
        bench.ask(MAPS)
        await asyncio.sleep(5)
        assert bench.reading() == ReferenceReading(MAPS)


async def test_b9_a_reading_is_for_the_question_that_was_asked_when_it_began() -> None:
    async with running() as bench:
        bench.seconds = 4.0
        bench.ask(MAPS)
        bench.ask(MAPS, API)
        await asyncio.sleep(2)
        bench.ask(OTHER)
        bench.ask(None, API)
        await asyncio.sleep(4)
        assert bench.reading() is None
        assert bench.reading(API) is None
        await asyncio.sleep(20)
        assert bench.reading() == ReferenceReading(OTHER, OTHER)


@pytest.mark.parametrize("between", [None, OTHER])
async def test_b9_what_was_found_is_dropped_with_its_question(between: References | None) -> None:
    """Asked again an hour later, the answer would be an hour old."""
    async with running() as bench:
        bench.there["configmaps"] = []
        bench.ask(MAPS)
        await asyncio.sleep(5)
        assert bench.reading() == ReferenceReading(MAPS, MAPS)
        bench.ask(between)
        bench.ask(MAPS)
        assert bench.reading() is None
        bench.there["configmaps"] = ["settings"]
        await asyncio.sleep(20)
        assert bench.reading() == ReferenceReading(MAPS)
        assert bench.marked == [WEB]


async def test_b9_who_asks_for_nothing_or_is_gone_costs_nothing_and_leaves_nothing() -> None:
    async with running() as bench:
        bench.refused = {"configmaps": 403}
        bench.ask(MAPS)
        bench.ask(MAPS, API)
        await asyncio.sleep(5)
        before = len(bench.requests)
        late = bench.record(API)
        bench.ask(None)
        bench.store.remove_guarded(late.uid)
        bench.watcher.ask(bench.store, late, ReferenceQuestion(MAPS))
        assert len(bench.watcher) == 0
        await asyncio.sleep(36_000)
        assert len(bench.requests) == before


async def test_b9_a_namespace_that_nobody_asks_about_is_forgotten_in_the_middle_of_a_list() -> None:
    async with running() as bench:
        bench.refused, bench.seconds = {"configmaps": 403}, 2.0
        bench.ask(MAPS)
        await asyncio.sleep(2)
        bench.ask(None)
        await asyncio.sleep(5)
        assert len(bench.requests) == 1
        assert "shop" not in repr(vars(bench.watcher))


async def test_b9_switched_off_nothing_is_asked_and_what_was_told_is_taken_back() -> None:
    bench = ReferenceBench()
    task = asyncio.create_task(bench.watcher.run())
    bench.ask(MAPS)
    assert bench.marked == []
    bench.ask(MAPS, told=True)
    assert bench.reading() == ReferenceReading(MAPS, NO_REFERENCES)
    assert bench.marked == [WEB]
    await asyncio.sleep(36_000)
    task.cancel()
    assert bench.requests == []
    assert len(bench.watcher) == 0


async def test_b9_what_was_told_before_a_restart_is_looked_at_again() -> None:
    async with running() as bench:
        bench.ask(MAPS, told=True)
        await asyncio.sleep(5)
        assert bench.marked == [WEB]
