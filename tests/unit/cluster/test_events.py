"""Events are posted in the background, repeats are counted, and floods are combined."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import answer, refuse, until
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import T0, at, guarded
from tripswitch.cluster.events import BACKLOG, MAX_MESSAGES, MAX_WAITING, Recorder
from tripswitch.cluster.store import Key, Record, Store

pytestmark = pytest.mark.looptime


def record(uid: str = "gd-1") -> Record:
    store = Store(lambda _: None, lambda: T0)
    store.upsert_guarded(guarded(uid=uid))
    found = store.find(Key("shop", "web"))
    assert found is not None
    return found


class RecorderBench:
    def __init__(self) -> None:
        self.now = T0
        self.posted: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.refusal: web.Response | None = None
        self.recorder: Recorder

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            return refusal
        if request.method == "POST":
            self.posted.append(body)
        else:
            self.patched.append((request.path.rpartition("/")[2], body))
        return answer({}, 201)

    async def say(self, message: str, uid: str = "gd-1", *, later: float = 0.0) -> None:
        self.tell(message, uid, later=later)
        await self.recorder.drain(5)

    def tell(self, message: str, uid: str = "gd-1", *, later: float = 0.0, topic: str = "") -> None:
        """Say it, and do not wait until it is posted."""
        self.now += later
        self.recorder.say(record(uid), "PodLaunchFailed", message, warning=True, topic=topic)


@asynccontextmanager
async def bench() -> AsyncIterator[RecorderBench]:
    made = RecorderBench()
    async with serve_in_memory(made.handle) as client:
        made.recorder = Recorder(client, lambda: made.now)
        task = asyncio.create_task(made.recorder.run())
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_event_names_its_object() -> None:
    async with bench() as it:
        await it.say("it crashed")
        (event,) = it.posted
        assert event["involvedObject"] == {
            "apiVersion": "tripswitch.dev/v1alpha1",
            "kind": "GuardedDeployment",
            "namespace": "shop",
            "name": "web",
            "uid": "gd-1",
            "resourceVersion": "10",
        }
        assert (event["type"], event["reason"]) == ("Warning", "PodLaunchFailed")
        assert (event["message"], event["count"]) == ("it crashed", 1)
        assert event["metadata"]["name"].startswith("web.")


async def test_a_repeat_raises_the_count_of_the_same_event() -> None:
    async with bench() as it:
        for _ in range(3):
            await it.say("it crashed", later=60)
        (event,) = it.posted
        name = event["metadata"]["name"]
        assert [(where, what["count"]) for where, what in it.patched] == [(name, 2), (name, 3)]
        last = it.patched[-1][1]["lastTimestamp"]
        assert last == at(180).replace("Z", ".000Z")


async def test_what_comes_in_one_burst_is_one_event_in_the_latest_words() -> None:
    async with bench() as it:
        for number in (1, 2, 3):
            it.tell(f"pod {number} crashed ({number}/9)", topic="crashed", later=0.1)
        it.tell("another object", uid="gd-2")
        it.tell("something else")
        await it.recorder.drain(5)
        first, *others = it.posted
        assert (first["message"], first["count"]) == ("pod 3 crashed (3/9)", 3)
        assert first["firstTimestamp"] == at(0.1)
        assert first["firstTimestamp"] < first["lastTimestamp"]
        assert [event["message"] for event in others] == ["another object", "something else"]
        it.tell("pod 4 crashed (4/9)", topic="crashed", later=60)
        await it.recorder.drain(5)
        ((where, what),) = it.patched
        assert where == first["metadata"]["name"]
        assert (what["message"], what["count"]) == ("pod 4 crashed (4/9)", 4)


async def test_events_are_posted_without_anybody_waiting_for_them() -> None:
    async with bench() as it:
        it.recorder.hold_seconds = 0.02
        for number in (1, 2):
            it.tell(f"pod {number} crashed")
            await until(lambda: len(it.posted) == number)  # noqa: B023 - called right here


async def test_after_ten_quiet_minutes_it_is_a_new_event() -> None:
    async with bench() as it:
        await it.say("it crashed")
        await it.say("it crashed", later=601)
        assert len(it.posted) == 2
        await it.say("it crashed", later=1)
        assert it.patched[0][0] == it.posted[1]["metadata"]["name"]


async def test_an_event_that_has_expired_on_the_server_is_made_again() -> None:
    async with bench() as it:
        await it.say("it crashed")
        it.refusal = refuse(404, "NotFound")
        await it.say("it crashed")
        assert len(it.posted) == 2


async def test_many_messages_of_one_reason_are_combined() -> None:
    async with bench() as it:
        for number in range(MAX_MESSAGES + 5):
            await it.say(f"pod {number} crashed")
        assert len(it.posted) == MAX_MESSAGES + 1
        combined = it.posted[-1]
        assert combined["message"] == "(combined from similar events) pod 10 crashed"
        assert it.patched[-1] == (
            combined["metadata"]["name"],
            {
                "count": 5,
                "lastTimestamp": at(0).replace("Z", ".000Z"),
                "message": "(combined from similar events) pod 14 crashed",
            },
        )
        await it.say("pod 3 crashed")
        assert it.patched[-1][1]["count"] == 2
        await it.say("another object has events of its own", uid="gd-2")
        assert len(it.posted) == MAX_MESSAGES + 2


async def test_one_that_is_refused_is_lost_and_the_next_goes_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with bench() as it:
            it.refusal = refuse(403, "Forbidden", "namespace is being terminated")
            await it.say("first")
            await it.say("second")
            assert [event["message"] for event in it.posted] == ["second"]
    assert "namespace is being terminated" in caplog.text


async def test_saying_never_waits(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with serve_in_memory(RecorderBench().handle) as client:
            recorder = Recorder(client, lambda: T0)
            for number in range(MAX_WAITING + 1):
                recorder.say(record(), "PodLaunchFailed", str(number), warning=True)
            await recorder.drain(0.01)
    assert "dropped" in caplog.text
    assert "1000 events were not posted in time" in caplog.text


async def test_in_a_backlog_warnings_are_posted_first_and_else_all_in_their_order() -> None:
    async with bench() as it:
        it.recorder.say(record(), "RolloutStarted", "started", warning=False)
        it.tell("it crashed")
        await it.recorder.drain(5)
        assert [event["message"] for event in it.posted] == ["started", "it crashed"]
        it.posted.clear()
        for number in range(BACKLOG):
            it.recorder.say(record(f"other-{number}"), "RolloutStarted", "started", warning=False)
        it.tell("it tripped", uid="gd-9")
        await it.recorder.drain(5)
        assert it.posted[0]["message"] == "it tripped"
        assert len(it.posted) == BACKLOG + 1


async def test_what_becomes_of_each_event_is_counted() -> None:
    """None is dropped in silence, and a warning only if there is no other event to drop."""
    found: list[str] = []
    made = RecorderBench()
    async with serve_in_memory(made.handle) as client:
        recorder = Recorder(client, lambda: T0, found.append)
        for number in range(MAX_WAITING):
            recorder.say(record(), "RolloutStarted", f"{number}", warning=number == 7)
        recorder.say(record(), "PodLaunchFailed", "it crashed", warning=True)
        assert found == ["dropped"]
        recorder.say(record(), "PodLaunchFailed", "it crashed", warning=True)
        recorder.say(record(), "RolloutStarted", "one too many", warning=False)
        assert found == ["dropped", "merged", "dropped"]
        made.refusal = refuse(403, "Forbidden", "no right")
        task = asyncio.create_task(recorder.run())
        await recorder.drain(60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert found.count("failed") == 1
    assert found.count("posted") == MAX_WAITING - 1
    told = [event["message"] for event in made.posted] + [
        what["message"] for _, what in made.patched
    ]
    assert any("it crashed" in message for message in told)
    assert not any(message in ("999", "one too many") for message in told)


async def test_what_steers_a_terminal_is_left_out() -> None:
    async with bench() as it:
        await it.say("no \u202esuch\u2069 \x9b31mtable\x85")
        assert it.posted[0]["message"] == "no such 31mtable"
