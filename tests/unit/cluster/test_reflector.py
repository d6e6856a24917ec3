"""Through every interruption of its watch, a reflector brings its sink to what the server has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import ScriptedApi, answer, bookmark, event, failure, refuse
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import T0, ready_pod
from tripswitch.api.tolerant import field
from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.reflector import Collection, Reflector, Sink, WentBackError
from tripswitch.cluster.resources import PODS
from tripswitch.cluster.shapes import find_shape
from tripswitch.cluster.store import Store

pytestmark = pytest.mark.looptime

QUICK = Backoff(first=0.001, most=0.002)


class Names:
    """A sink that keeps names by UID, and what it was told."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.retained: list[tuple[str | None, int]] = []

    def upsert(self, raw: Mapping[str, Any]) -> None:
        self.known[raw["metadata"]["uid"]] = raw["metadata"]["name"]

    def remove(self, raw: Mapping[str, Any]) -> None:
        self.known.pop(field(raw, "metadata", "uid"), None)

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        self.retained.append((namespace, listed_at))
        self.known = {uid: name for uid, name in self.known.items() if uid in uids}


def pod(name: str, version: int = 1) -> dict[str, Any]:
    return ready_pod(name=name, uid=f"uid-of-{name}", version=version)


async def reflect(
    script: ScriptedApi, *, namespace: str | None = None, sink: Sink | None = None
) -> Names:
    """Run a reflector against a script until that is played out; return its sink of names."""
    names = Names()

    async with serve_in_memory(script.handle) as client:
        reflector = Reflector(
            client,
            Collection(PODS, namespace, "mark", find_shape(PODS)),
            names if sink is None else sink,
            backoff=QUICK,
        )
        task = asyncio.create_task(reflector.run())
        async with asyncio.timeout(10):
            await script.exhausted.wait()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return names


async def test_it_lists_and_then_follows_the_watch_from_there() -> None:
    script = ScriptedApi(version=100)
    script.lists = [[pod("a"), pod("b"), pod("c")]]
    script.watches = [
        [
            event("ADDED", pod("d", 101)),
            event("MODIFIED", {**pod("a", 102), "metadata": {**pod("a", 102)["metadata"]}}),
            event("DELETED", pod("b", 103)),
            bookmark(150),
        ]
    ]
    sink = await reflect(script)
    assert set(sink.known.values()) == {"a", "c", "d"}
    assert script.listed == 1
    assert script.watched_from == ["100", "150"]


async def test_it_selects_on_the_server_and_asks_for_bookmarks_and_an_end() -> None:
    script = ScriptedApi()
    script.lists = [[]]
    await reflect(script)
    listed, watched = script.asked
    assert listed == {"labelSelector": "mark", "limit": "500"}
    assert watched["labelSelector"] == "mark"
    assert watched["allowWatchBookmarks"] == "true"
    assert 240 <= int(watched["timeoutSeconds"]) <= 480


async def test_an_object_that_left_the_selector_and_came_back_is_in_the_store_again() -> None:
    """W4: of a watch with a selector DELETED may mean that the object has lost the label."""
    store = Store(lambda key: None, lambda: T0)
    script = ScriptedApi(version=100)
    script.lists = [[pod("a"), pod("b")]]
    script.watches = [
        [
            event("DELETED", pod("a", 101)),
            event("DELETED", pod("b", 102)),
            event("ADDED", pod("a", 103)),
            event("MODIFIED", pod("b", 101)),  # of the time before
        ]
    ]
    await reflect(script, sink=store.pods)
    assert store.pods.find("uid-of-a") is not None
    assert store.pods.find("uid-of-b") is None


async def test_an_object_that_a_second_list_did_not_have_is_taken_when_it_comes_back() -> None:
    store = Store(lambda key: None, lambda: T0)
    script = ScriptedApi(version=100)
    script.lists = [[pod("a"), pod("b")], []]
    script.watches = [
        [bookmark(110), failure(410, "Expired")],
        [event("ADDED", pod("a", 111)), event("ADDED", pod("b", 109))],
    ]
    await reflect(script, sink=store.pods)
    assert store.pods.find("uid-of-a") is not None
    assert store.pods.find("uid-of-b") is None


async def test_it_keeps_to_its_namespace() -> None:
    script = ScriptedApi(version=7)
    script.lists = [[]]
    paths: list[str] = []
    handle = script.handle

    async def spy(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return await handle(request)

    script.handle = spy  # type: ignore[method-assign]
    sink = await reflect(script, namespace="shop")
    assert set(paths) == {"/api/v1/namespaces/shop/pods"}
    assert sink.retained == [("shop", 7)]


@pytest.mark.parametrize(
    "interruption",
    [
        [failure(410, "Expired")],
        [failure(500, "InternalError")],
        [failure(429, "TooManyRequests")],
        [event("ERROR", {})],
        refuse(410, "Expired"),
    ],
    ids=["410 in the stream", "500 in the stream", "429 in the stream", "no words", "410"],
)
async def test_after_an_error_of_the_stream_deletions_in_the_gap_are_found(
    interruption: web.Response | list[object],
) -> None:
    script = ScriptedApi()
    script.lists = [[pod("a"), pod("b"), pod("c")], [pod("a"), pod("c"), pod("d")]]
    script.watches = [[bookmark(120)], interruption]
    sink = await reflect(script)
    assert set(sink.known.values()) == {"a", "c", "d"}
    assert script.listed == 2


@pytest.mark.parametrize(
    "interruption",
    [
        [],
        ['{"type": "MODIFIED", "obj'],
        ["\x00\xff\n"],
        ["[]\n"],
        refuse(500, "InternalError"),
        refuse(503, "ServiceUnavailable"),
        refuse(429, "TooManyRequests", details={"retryAfterSeconds": 1}),
        refuse(403, "Forbidden"),
        answer("no Status object", 502),
    ],
    ids=["closed", "cut off", "garbage", "no event", "500", "503", "429", "403", "502"],
)
async def test_after_any_other_interruption_it_goes_on_where_it_was(
    interruption: web.Response | list[object],
) -> None:
    script = ScriptedApi()
    script.lists = [[pod("a")]]
    script.watches = [[bookmark(120)], interruption, [event("ADDED", pod("b", 121))]]
    sink = await reflect(script)
    assert set(sink.known.values()) == {"a", "b"}
    assert script.listed == 1
    assert script.watched_from == ["100", "120", "120", "121"]


async def test_events_of_kinds_and_shapes_nobody_knows_are_passed_over() -> None:
    script = ScriptedApi()
    script.lists = [[]]
    odd: list[object] = [{}, {"type": 7}, {"type": "REBASED", "object": 5}, {"object": None}]
    script.watches = [[*odd, event("ADDED", pod("a", 101))]]
    assert set((await reflect(script)).known.values()) == {"a"}


async def test_a_list_that_fails_is_tried_again() -> None:
    script = ScriptedApi()
    script.lists = [refuse(403, "Forbidden"), refuse(500, "InternalError"), [pod("a")]]
    assert set((await reflect(script)).known.values()) == {"a"}


async def test_a_list_whose_second_page_has_expired_begins_anew() -> None:
    script = ScriptedApi()
    first = answer({"metadata": {"continue": "more", "resourceVersion": "5"}, "items": [pod("a")]})
    script.lists = [first, refuse(410, "Expired"), [pod("b")]]
    sink = await reflect(script)
    assert set(sink.known.values()) == {"b"}
    assert sink.retained == [(None, 100)]


async def test_a_version_that_is_refused_again_and_again_is_given_up() -> None:
    """After a restore: "Too large resource version" for as long as the new history is shorter."""
    script = ScriptedApi(version=100)
    script.lists = [[pod("a")], [pod("b")]]
    script.watches = [refuse(504, "Timeout", "Too large resource version") for _ in range(5)]
    assert (await reflect(script)).known == {"uid-of-b": "b"}
    assert script.listed == 2
    assert script.watched_from == ["100"] * 6


async def test_a_server_that_is_away_for_long_costs_no_new_list() -> None:
    script = ScriptedApi(version=100)
    script.lists = [[pod("a")]]
    for _ in range(3):
        script.watches += [refuse(503), refuse(503), [bookmark(100)]]
    await reflect(script)
    assert script.listed == 1


async def test_a_storage_that_went_back_ends_everything() -> None:
    """What is known looks newer than what is true; only a new process can forget it."""

    script = ScriptedApi(version=100)
    script.lists = [[pod("a")]]
    script.watches = [[event("ADDED", pod("b", 120)), failure(410, "Expired")]]
    async with serve_in_memory(script.handle) as client:
        reflector = Reflector(client, Collection(PODS), Names(), backoff=QUICK)
        task = asyncio.create_task(reflector.run())
        script.lists.append(answer({"metadata": {"resourceVersion": "119"}, "items": []}))
        with pytest.raises(WentBackError, match="from 120 to 119"):
            await asyncio.wait_for(task, 20)


async def test_a_stream_that_closes_at_once_is_not_reopened_hot() -> None:
    """A proxy in the way: kopf asks 2,400 times a second, this one a handful of times."""
    script = ScriptedApi()
    script.lists = [[]]
    script.watches = [[] for _ in range(1000)]

    async with serve_in_memory(script.handle) as client:
        reflector = Reflector(
            client, Collection(PODS), Names(), backoff=Backoff(first=0.05, most=10.0)
        )
        task = asyncio.create_task(reflector.run())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(script.watched_from) <= 6


async def test_a_stream_that_closes_after_every_event_still_brings_them_soon() -> None:
    """Doubling pauses would take 2 ** 10 times the first one until the last of ten events."""
    script = ScriptedApi()
    script.lists = [[]]
    script.watches = [[event("ADDED", pod(f"p{n}", 200 + n))] for n in range(10)]
    sink = Names()

    async with serve_in_memory(script.handle) as client, asyncio.timeout(20):
        reflector = Reflector(
            client, Collection(PODS), sink, backoff=Backoff(first=0.02, most=60.0)
        )
        task = asyncio.create_task(reflector.run())
        await script.exhausted.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(sink.known) == 10


async def test_a_stream_that_lived_long_enough_resets_the_back_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With a longest delay of 2 ms every stream here lived long, and none waits longer."""
    caplog.set_level(logging.WARNING)
    script = ScriptedApi()
    script.lists = [[]]
    script.watches = [[bookmark(100 + number)] for number in range(50)]
    await reflect(script)
    assert len(script.watched_from) == 51
    assert caplog.records == []


async def test_synced_is_told_only_after_a_complete_list() -> None:
    script = ScriptedApi()
    more = answer({"metadata": {"continue": "x"}, "items": [pod("a")]})
    script.lists = [more, refuse(500), [pod("a"), pod("b")]]
    sink = Names()
    async with serve_in_memory(script.handle) as client:
        reflector = Reflector(client, Collection(PODS), sink, backoff=QUICK)
        task = asyncio.create_task(reflector.run())
        await asyncio.wait_for(reflector.synced.wait(), 5)
        assert set(sink.known.values()) == {"a", "b"}
        assert script.listed == 3
        assert reflector.last_turn > 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
