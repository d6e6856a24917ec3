"""Notifications to a real receiver on loopback: in order, signed, tried again, and never in the way."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.manual_cluster import ManualCluster, completed
from tests.unit.cluster.guard_raws import breaker
from tests.unit.cluster.raws import T0, at, guarded
from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.cloud_events import build_cloud_event
from tripswitch.cluster.notify import (
    MAX_TRIES,
    MAX_WAITING,
    Notifier,
    Target,
    Timing,
    check_key,
)
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.domain.values.alarms import Alarms, TriggeredAlarm
from tripswitch.domain.values.decision import Decision, Event, EventReason
from tripswitch.domain.values.hooks import HookSpec, LifecycleStage
from tripswitch.domain.values.inquiry import Evidence, Finding
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.status import Status

PAGE = Path(__file__).parents[3] / "docs/how-to/notifications.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
QUICK = Timing(retry=Backoff(first=0.001, most=0.001))


def record() -> Record:
    store = Store(lambda _: None, lambda: T0)
    store.upsert_guarded(guarded())
    found = store.find(Key("shop", "web"))
    assert found is not None
    return found


def said(reason: EventReason, message: str = "words") -> Decision:
    return Decision(status=Status(), events=(Event(reason, message),))


class Receiver:
    """Keeps what it gets; answers what a test lays down, then 202."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], None] | None = None
        self.now = T0
        self.outcomes: Counter[str] = Counter()
        self.notifier: Notifier

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        if self.before is not None:
            await self.before()
        if self.after is not None:
            self.after()
        return web.Response(status=self.answers.pop(0) if self.answers else 202)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    async def tell(self, *decisions: Decision) -> None:
        for decision in decisions:
            self.notifier.tell(record(), decision)
        await self.notifier.drain(10)


@asynccontextmanager
async def receiver(
    *,
    secret: str = SECRET,
    run: bool = True,
    timing: Timing = QUICK,
    max_waiting: int = MAX_WAITING,
) -> AsyncIterator[Receiver]:
    made = Receiver()
    application = web.Application()
    application.router.add_post("/hook", made.handle)
    server = TestServer(application)
    await server.start_server()
    target = Target(str(server.make_url("/hook")), secret)

    def note(outcome: str) -> None:
        made.outcomes[outcome] += 1

    made.notifier = Notifier(target, lambda: made.now, note, timing=timing, max_waiting=max_waiting)
    task = asyncio.create_task(made.notifier.run()) if run else None
    try:
        yield made
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await made.notifier.close()
        await server.close()


async def test_ecs_names_are_used_and_a_finished_rollback_has_its_own() -> None:
    async with receiver() as it:
        world = completed()
        await it.tell(world.apply("v2").look(1.0))
        world.settle()
        await it.tell(world.crash("v2").look(1.0))
        await it.tell(*(world.look() for _ in range(4)))
        assert [event["data"]["eventName"] for event in it.events] == [
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "SERVICE_DEPLOYMENT_FAILED",
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "SERVICE_DEPLOYMENT_ROLLBACK_COMPLETED",
        ]
        failed, rolling = it.events[1]["data"], it.events[2]["data"]
        assert (failed["eventType"], failed["revision"]) == ("ERROR", 2)
        assert "container web exited 1" in failed["reason"]
        assert failed["images"] == ["shop:v2"]
        assert (rolling["eventType"], rolling["revision"]) == ("INFO", 1)
        assert (rolling["kind"], rolling["failedRevision"]) == ("ROLLBACK", 2)
        assert it.outcomes == {"sent": 4}


async def test_k1_each_hook_is_told_with_an_id_of_its_own() -> None:
    hook = HookSpec((LifecycleStage.PRE_SCALE_UP,))
    async with receiver() as it:
        world = completed().want(hooks=(hook, hook))
        await it.tell(world.apply("v2").look(1.0))
        waiting = world.rollout.hooks
        await it.tell(world.command(answers=f"{waiting[1].hook_id}/ROLLBACK").look(1.0))
        assert [event["data"]["eventName"] for event in it.events] == [
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "HOOK_AWAITING_ACTION",
            "HOOK_AWAITING_ACTION",
            "HOOK_FAILED",
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "SERVICE_DEPLOYMENT_ROLLBACK_COMPLETED",
        ]
        assert len({event["id"] for event in it.events}) == 6
        first, failed = it.events[1]["data"], it.events[3]["data"]
        assert waiting[0].hook_id in first["reason"]
        assert (first["eventType"], first["revision"]) == ("INFO", 2)
        assert (failed["eventType"], failed["revision"]) == ("ERROR", 2)


def test_a_circuit_breaker_is_told_of_with_its_workload() -> None:
    """G7: also what it only would have done."""
    store = Store(lambda _: None, lambda: T0)
    store.upsert_guarded(breaker("web", target="StatefulSet/db"))
    about = store.find(Key("shop", "web"))
    assert about is not None
    decision = said(EventReason.CIRCUIT_BREAKER_WOULD_TRIGGER)
    event = build_cloud_event(about, decision, decision.events[0], None, T0)
    assert event["data"]["eventName"] == "SERVICE_DEPLOYMENT_WOULD_HAVE_FAILED"
    assert event["data"]["workload"] == {"kind": "StatefulSet", "name": "db"}
    assert event["source"].endswith("/namespaces/shop/deploymentcircuitbreakers/web")


async def test_a_completed_rollout_is_told_and_pods_that_fail_are_not() -> None:
    async with receiver() as it:
        await it.tell(
            said(EventReason.ROLLOUT_COMPLETED),
            said(EventReason.POD_LAUNCH_FAILED),
            said(EventReason.ROLLOUT_STOPPED),
        )
        assert [event["data"]["eventName"] for event in it.events] == [
            "SERVICE_DEPLOYMENT_COMPLETED"
        ]


async def test_it_is_a_cloud_event_in_structured_mode() -> None:
    async with receiver() as it:
        world = ManualCluster()
        await it.tell(world.look())
        [(headers, _)] = it.got
        [event] = it.events
        assert headers["Content-Type"].startswith("application/cloudevents+json")
        assert event["specversion"] == "1.0"
        assert event["type"] == "dev.tripswitch.SERVICE_DEPLOYMENT_IN_PROGRESS"
        assert event["source"] == ("/apis/tripswitch.dev/namespaces/shop/guardeddeployments/web")
        assert event["id"].startswith("gd-1/1/RolloutStarted/")
        assert event["time"] == at(0).replace("Z", ".000Z")
        assert event["datacontenttype"] == "application/json"


async def test_the_body_is_signed_and_without_a_key_it_is_not() -> None:
    async with receiver() as it:
        it.now = time.time()  # the library of the receiver compares with its own clock
        await it.tell(said(EventReason.ROLLOUT_COMPLETED))
        [(headers, body)] = it.got
        assert Webhook(SECRET).verify(body, headers) == it.events[0]
        other = Webhook(base64.b64encode(bytes(24)).decode())
        example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        assert example is not None
        documented: dict[str, Any] = {}
        exec(example[1], documented)
        assert documented["read_notification"](SECRET, body, headers) == it.events[0]
        changed = {
            "another key": (other, body, headers),
            "another body": (Webhook(SECRET), body + b" ", headers),
            "another id": (Webhook(SECRET), body, {**headers, "webhook-id": "msg_1"}),
            "no signature": (Webhook(SECRET), body, {**headers, "webhook-signature": ""}),
        }
        for webhook, text, given in changed.values():
            with pytest.raises(WebhookVerificationError):
                webhook.verify(text, given)
    async with receiver(secret="") as it:
        await it.tell(said(EventReason.ROLLOUT_COMPLETED))
        assert not [name for name in it.got[0][0] if name.lower().startswith("webhook-")]


async def test_a_recorded_request_is_refused_later_and_a_second_try_is_signed_anew() -> None:
    """The library of the receiver compares the time of the request with its own clock."""

    async with receiver() as it:
        it.answers = [503]
        it.now = time.time() - 400
        it.after = lambda: setattr(it, "now", time.time())
        await it.tell(said(EventReason.ROLLOUT_COMPLETED))
        (old, body), (new, again) = it.got
        assert (old["webhook-id"], body) == (new["webhook-id"], again)
        with pytest.raises(WebhookVerificationError, match="too old"):
            Webhook(SECRET).verify(body, old)
        Webhook(SECRET).verify(again, new)


@pytest.mark.parametrize(
    "key",
    [
        SECRET,
        SECRET.removeprefix("whsec_"),
        "c0ffee" * 10 + "abcd",
        base64.b64encode(bytes(64)).decode(),
    ],
    ids=["with the prefix", "without", "openssl rand -hex 32", "the longest"],
)
def test_a_key_of_standard_webhooks_is_taken_as_it_is(key: str) -> None:
    assert check_key(key) == key
    Webhook(key)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("a key that only the two know", "not base64"),
        ("whsec_", "0 bytes; it needs 24 to 64"),
        (base64.b64encode(bytes(23)).decode(), "23 bytes"),
        (base64.b64encode(bytes(65)).decode(), "65 bytes"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwA", "not base64"),
    ],
)
def test_a_key_that_receivers_cannot_use_is_refused(key: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_key(key)


async def test_what_fails_is_tried_again_unchanged_and_in_order() -> None:
    async with receiver() as it:
        it.answers = [503, 429, 408]
        await it.tell(
            said(EventReason.ROLLOUT_STARTED), said(EventReason.CIRCUIT_BREAKER_TRIGGERED)
        )
        bodies = [body for _, body in it.got]
        assert len(bodies) == 5
        assert len(set(bodies[:4])) == 1
        assert it.events[-1]["data"]["eventName"] == "SERVICE_DEPLOYMENT_FAILED"
        assert it.outcomes == {"sent": 2}


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
async def test_what_the_receiver_refuses_for_good_is_not_tried_again(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver() as it:
        it.answers = [status]
        await it.tell(said(EventReason.ROLLOUT_STARTED), said(EventReason.ROLLOUT_COMPLETED))
        assert len(it.got) == 2
        assert it.outcomes == {"failed": 1, "sent": 1}
    assert f"given up: HTTP status {status}" in caplog.text


async def test_it_gives_up_in_the_end_and_goes_on_with_the_next() -> None:
    async with receiver() as it:
        it.answers = [500] * MAX_TRIES
        await it.tell(said(EventReason.ROLLOUT_STARTED), said(EventReason.ROLLOUT_COMPLETED))
        assert len(it.got) == MAX_TRIES + 1
        assert it.outcomes == {"failed": 1, "sent": 1}


async def test_a_receiver_that_is_not_there_keeps_its_address_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="tripswitch"):
        notifier = Notifier(Target("http://127.0.0.1:1/?token=hush"), lambda: T0, timing=QUICK)
        task = asyncio.create_task(notifier.run())
        notifier.tell(record(), said(EventReason.ROLLOUT_COMPLETED))
        await notifier.drain(10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await notifier.close()
    assert "given up" in caplog.text
    assert "hush" not in caplog.text


async def test_a_receiver_that_hangs_is_given_a_short_time() -> None:
    async with receiver(timing=replace(QUICK, request=0.1)) as it:
        released = asyncio.Event()

        async def wait() -> None:
            await released.wait()

        it.before = wait
        it.notifier.tell(record(), said(EventReason.ROLLOUT_COMPLETED))
        await it.notifier.drain(10)
        assert it.outcomes == {"failed": 1}
        released.set()


async def test_telling_never_waits_and_drops_what_is_too_much(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with receiver(run=False, max_waiting=3) as it:
        for _ in range(5):
            it.notifier.tell(record(), said(EventReason.ROLLOUT_COMPLETED))
        assert it.outcomes == {"dropped": 2}
        await it.notifier.drain(0.01)
        task = asyncio.create_task(it.notifier.run())
        await it.notifier.drain(10)
        assert len(it.got) == 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "dropped: the queue of notifications is full" in caplog.text
    assert "were not sent in time" in caplog.text


async def test_of_a_log_no_more_than_its_last_line_leaves_the_cluster() -> None:
    """A trip quotes it, as its event does; with --log-evidence=false there is none to quote."""

    async with receiver() as it:
        world = completed().apply("v2").settle(1.0).crash("v2", count=1)
        [inquiry] = world.look(1.0).inquiries
        found = Evidence("web-1", log_tail="user=joe\nFATAL: no such table")
        world.findings = (Finding(inquiry.topic, found),)
        await it.tell(world.crash("v2").look(1.0))
        assert "FATAL: no such table" in it.events[0]["data"]["reason"]
        assert all(b"joe" not in body for _, body in it.got)


def test_a1_a_notification_of_a_trip_by_an_alarm_has_its_labels_and_its_summary() -> None:
    alarm = TriggeredAlarm("HighErrorRate", {"app": "web"}, "7% of requests fail")
    memory = Memory(alarms=Alarms(triggered_alarms=(alarm,)))
    told = Event(EventReason.ALARM_TRIGGERED, "revision 2 failed: alarm HighErrorRate fires")
    decision = Decision(status=Status(memory), events=(told,))
    data = build_cloud_event(record(), decision, told, None, T0)["data"]
    assert data["eventName"] == "SERVICE_DEPLOYMENT_FAILED"
    assert data["alarms"] == [
        {"alarmName": "HighErrorRate", "labels": {"app": "web"}, "summary": "7% of requests fail"}
    ]
    started = said(EventReason.ROLLOUT_STARTED)
    other = build_cloud_event(record(), started, started.events[0], None, T0)
    assert other["data"]["alarms"] == []
