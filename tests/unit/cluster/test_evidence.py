"""Evidence is looked for in the background: few requests, short answers, nothing that gets in the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import answer, refuse, until
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import T0, guarded
from tripswitch.cluster.evidence import MAX_TRIES, Collector, Timing
from tripswitch.cluster.evidence_text import cut_log, select_event
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.domain.rules.evidence import MAX_EVENT, MAX_LOG_TAIL
from tripswitch.domain.values.inquiry import Evidence, Finding, Inquiry

pytestmark = pytest.mark.looptime

CRASH = Inquiry("2/LAUNCH/Error/web/2/", "web-1", "web", log=True)
KILL = Inquiry("2/HEALTH/Error/web/137/", "web-1", "web", log=True, killed=True)
UNREADY = Inquiry("2/HEALTH/NotReadyInTime///", "web-1", log=True, ended=False)
WAITING = Inquiry("2/waiting", "web-1", lasting=True)
LOG = "/api/v1/namespaces/shop/pods/web-1/log"
EVENTS = "/api/v1/namespaces/shop/events"


def warning(reason: str, message: str, *, container: str = "", at: str = "") -> dict[str, Any]:
    path = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "name": "web-1", **path},
    }


AT_ONCE = Timing(event=0.0, late_event=0.0)


class CollectorBench:
    """A collector, and an API server that answers as a test lays down."""

    def __init__(self) -> None:
        self.now = T0
        self.marked: list[Key] = []
        self.store = Store(self.marked.append, lambda: self.now)
        self.store.upsert_guarded(guarded())
        self.marked.clear()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.events: list[dict[str, Any]] | web.Response = []
        self.previous: str | web.Response = "boom\n"
        self.current: str | web.Response = "now\n"
        self.collector: Collector

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query)))
        if request.path == EVENTS:
            found = self.events
            return _again(found) if isinstance(found, web.Response) else answer({"items": found})
        log = self.previous if "previous" in request.query else self.current
        return _again(log) if isinstance(log, web.Response) else web.Response(text=log)

    @property
    def record(self) -> Record:
        found = self.store.find(Key("shop", "web"))
        assert found is not None
        return found

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.store.snapshot(self.record).findings

    @property
    def tails(self) -> list[str]:
        return [finding.evidence.log_tail for finding in self.findings]

    async def ask(self, *inquiries: Inquiry, later: float = 0.0) -> None:
        """What a look does whose decision knew all findings and is written."""
        self.now += later
        self.collector.ask(self.record, inquiries, self.findings)
        await self.collector.drain()


def _again(response: web.Response) -> web.Response:
    """A response can be sent only once."""
    return web.Response(body=response.body, status=response.status, content_type="application/json")


@asynccontextmanager
async def bench(*, logs: bool = True, timing: Timing = AT_ONCE) -> AsyncIterator[CollectorBench]:
    made = CollectorBench()
    async with serve_in_memory(made.handle) as client:
        made.collector = Collector(client, made.store, lambda: made.now, logs=logs, timing=timing)
        task = asyncio.create_task(made.collector.run())
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_log_of_the_run_that_ended_comes_back_with_the_next_snapshot() -> None:
    async with bench() as it:
        await it.ask(CRASH)
        assert it.findings == (Finding(CRASH.topic, Evidence("web-1", log_tail="boom")),)
        assert it.marked == [Key("shop", "web")]
        path, query = it.asked[0]
        assert (path, query["container"], query["previous"]) == (LOG, "web", "true")
        assert int(query["tailLines"]) <= 100
        assert int(query["limitBytes"]) <= 64 * 1024
        [(_, events)] = [asked for asked in it.asked if asked[0] == EVENTS]
        assert events["fieldSelector"] == (
            "involvedObject.kind=Pod,involvedObject.name=web-1,type=Warning"
        )


async def test_a_trip_does_not_wait_for_a_log_but_tells_it_if_it_is_there() -> None:
    """The event may be a moment away; nothing is written for a log that comes before it."""

    async with bench(timing=replace(AT_ONCE, event=3600.0)) as it:
        it.collector.ask(it.record, [CRASH])
        await until(lambda: it.findings)
        assert it.findings == (Finding(CRASH.topic, Evidence("web-1", log_tail="boom")),)
        assert it.marked == []


async def test_a_container_that_was_not_started_again_has_only_one_log() -> None:
    async with bench() as it:
        it.previous = refuse(400, "BadRequest", "previous terminated container not found")
        await it.ask(CRASH)
        assert it.findings[0].evidence.log_tail == "now"


async def test_a_pod_that_is_not_ready_tells_its_probes_words_and_its_containers_log() -> None:
    async with bench() as it:
        it.events = [warning("Unhealthy", "Readiness probe failed: 503", container="web")]
        await it.ask(UNREADY)
        [finding] = it.findings
        assert finding.evidence == Evidence("web-1", "Readiness probe failed: 503", "now")
        assert "previous" not in it.asked[-1][1]
        assert it.asked[-1][1]["container"] == "web"


async def test_logs_can_be_switched_off() -> None:
    async with bench(logs=False) as it:
        it.events = [warning("Unhealthy", "Liveness probe failed: 500", container="web")]
        await it.ask(CRASH, UNREADY)
        assert all(path == EVENTS for path, _ in it.asked)
        assert {f.evidence.log_tail for f in it.findings} == {""}


async def test_a_question_is_asked_once_while_it_stands() -> None:
    async with bench() as it:
        for _ in range(5):
            await it.ask(CRASH, later=60)
        assert len(it.asked) == 2
        assert it.marked == [Key("shop", "web")]


async def test_an_answer_is_kept_until_the_decision_that_holds_it_is_written() -> None:
    async with bench() as it:
        it.events = [warning("Unhealthy", "Readiness probe failed: 503", container="web")]
        await it.ask(CRASH)
        it.collector.ask(it.record, [])  # it has its answer, but only in memory
        it.collector.ask(it.record, [CRASH, UNREADY])
        await it.collector.drain()
        assert [finding.topic for finding in it.findings] == sorted([CRASH.topic, UNREADY.topic])
        assert len([path for path, _ in it.asked if path == LOG]) == 2, "each is asked once"


async def test_an_event_that_comes_while_the_log_is_being_written_is_the_next_looks() -> None:
    """The status then has the evidence of the log, so that nothing is asked any more."""

    async with bench(timing=replace(AT_ONCE, event=0.05)) as it:
        it.events = [warning("Unhealthy", "Liveness probe failed: 500", container="web")]
        it.collector.ask(it.record, [KILL])
        await until(lambda: it.findings)
        before = it.findings
        await until(lambda: it.marked)
        it.collector.ask(it.record, [], before)
        [finding] = it.findings
        assert finding.evidence == Evidence("web-1", "Liveness probe failed: 500", "boom")
        await it.ask()
        assert it.findings == ()


@pytest.mark.parametrize(("inquiry", "words"), [(CRASH, ""), (KILL, "Liveness probe failed: 500")])
async def test_the_event_of_a_container_that_was_killed_may_come_late(
    inquiry: Inquiry, words: str
) -> None:
    """Nobody has anything to say about one that ended by itself: that is not asked twice."""

    async with bench(timing=replace(AT_ONCE, late_event=0.1)) as it:
        it.collector.ask(it.record, [inquiry])
        await until(lambda: [path for path, _ in it.asked if path == EVENTS])
        it.events = [warning("Unhealthy", "Liveness probe failed: 500", container="web")]
        await it.collector.drain()
        assert it.findings == (Finding(inquiry.topic, Evidence("web-1", words, "boom")),)


async def test_an_answer_is_forgotten_once_nobody_asks_for_it() -> None:
    async with bench() as it:
        await it.ask(CRASH)
        await it.ask()
        assert it.findings == ()
        await it.ask(CRASH)
        assert len(it.asked) == 4


async def test_nothing_found_marks_nothing_and_is_not_asked_again() -> None:
    async with bench() as it:
        it.previous = it.current = ""
        for _ in range(3):
            await it.ask(CRASH, later=60)
        assert len(it.asked) == 2
        assert (it.findings, it.marked) == ((), [])


async def test_a_pod_that_is_gone_is_asked_for_a_few_times_and_not_in_a_hurry() -> None:
    async with bench() as it:
        it.previous = refuse(404, "NotFound", "pods web-1 not found")
        for _ in range(10):
            await it.ask(CRASH, later=1)
        assert len(it.asked) == 4
        for _ in range(10):
            await it.ask(CRASH, later=60)
        assert len(it.asked) == 2 * MAX_TRIES
        assert it.findings == ()


async def test_when_the_next_pod_of_the_cause_answers_that_is_the_evidence() -> None:
    async with bench() as it:
        it.previous = refuse(404, "NotFound", "pods web-1 not found")
        await it.ask(CRASH)
        it.previous = "boom"
        await it.ask(Inquiry(CRASH.topic, "web-1", "web", log=True), later=10)
        assert it.findings[0].evidence.log_tail == "boom"


async def test_without_the_rights_it_says_so_once_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with bench() as it:
            it.events = refuse(403, "Forbidden", "cannot list events")
            await it.ask(CRASH)
            assert it.findings[0].evidence == Evidence("web-1", log_tail="boom")
            it.previous = refuse(403, "Forbidden", "cannot get pods/log")
            other = Inquiry("2/LAUNCH/Error/web/3/", "web-1", "web", log=True)
            it.events = refuse(403, "Forbidden", "cannot list events")
            await it.ask(other)
            await it.ask(other, later=60)
            assert len(it.asked) == 4
    assert len([r for r in caplog.records if "no permission to read events" in r.message]) == 1
    assert len([r for r in caplog.records if "no permission to read pods/log" in r.message]) == 1


async def test_a_kubelet_that_does_not_answer_costs_a_short_time_only() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError("nobody waits that long")

    it = CollectorBench()
    async with serve_in_memory(hang) as client:
        timing = replace(AT_ONCE, request=0.05)
        collector = Collector(client, it.store, lambda: it.now, timing=timing)
        task = asyncio.create_task(collector.run())
        collector.ask(it.record, [CRASH])
        await asyncio.wait_for(collector.drain(), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert it.findings == ()


async def test_asking_never_waits_and_drops_what_is_too_much(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        made = CollectorBench()
        async with serve_in_memory(made.handle) as client:
            collector = Collector(
                client, made.store, lambda: made.now, timing=AT_ONCE, max_waiting=2
            )
            asked = [Inquiry(f"2/{n}", "web-1", "web", log=True) for n in range(3)]
            collector.ask(made.record, asked)
            task = asyncio.create_task(collector.run())
            await collector.drain()
            assert len(made.findings) == 2
            collector.ask(made.record, asked)  # the next look asks again
            await collector.drain()
            assert len(made.findings) == 3
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert "collected later" in caplog.text


async def test_pods_that_are_being_set_up_are_asked_again_and_only_news_is_marked() -> None:
    async with bench() as it:
        it.events = [warning("FailedMount", 'configmap "conf" not found')]
        for _ in range(3):
            await it.ask(WAITING, later=30)
        assert len(it.asked) == 2
        assert it.marked == [Key("shop", "web")]
        it.events = [warning("FailedMount", 'secret "key" not found')]
        await it.ask(WAITING, later=60)
        assert it.findings[0].evidence.event == 'secret "key" not found'
        assert len(it.marked) == 2


async def test_an_object_that_is_gone_leaves_nothing_behind() -> None:
    async with bench() as it:
        record = it.record
        await it.ask(CRASH)
        it.store.remove_guarded(record.uid)
        it.store.find_out(record, (Finding("late", Evidence("web-1", "x")),))
        it.store.upsert_guarded(guarded(uid="gd-2", version=50))
        assert it.findings == ()


@pytest.mark.parametrize("deletion_seen", [True, False])
async def test_the_next_object_of_the_same_name_is_not_told_what_was_found_about_the_one_before(
    *, deletion_seen: bool
) -> None:
    """Two marks of one name may fold into one look: no look ever saw the object gone."""

    async with bench() as it:
        old = it.record
        await it.ask(CRASH)
        assert it.tails == ["boom"]
        if deletion_seen:
            it.store.remove_guarded(old.uid)
        it.store.upsert_guarded(guarded(uid="gd-2", version=50))
        await it.ask()  # the first look asks nothing
        assert it.findings == ()
        it.collector.ask(old, [CRASH])  # the look at the old object ends late
        await it.collector.drain()
        await it.ask()
        assert it.findings == ()
        it.previous = "bang\n"
        await it.ask(CRASH)  # the same cause, of the new object
        assert it.tails == ["bang"]


async def test_an_answer_that_comes_after_the_object_has_gone_is_dropped() -> None:
    async with bench() as it:
        it.collector.ask(it.record, [CRASH])
        await until(lambda: it.asked != [])
        it.store.upsert_guarded(guarded(uid="gd-2", version=50))
        it.marked.clear()
        await it.collector.drain()
        await it.ask()
        assert it.findings == ()
        assert it.marked == []


async def test_a_question_about_an_object_that_went_meanwhile_is_not_asked() -> None:
    async with bench() as it:
        it.collector.ask(it.record, [CRASH])
        it.store.remove_guarded(it.record.uid)
        await it.collector.drain()
        assert it.asked == []


async def test_events_that_make_no_sense_cost_their_evidence_and_nothing_else() -> None:
    async with bench() as it:
        it.events = [{"reason": 7, "message": ["x"], "involvedObject": "pod"}]
        await it.ask(CRASH)
        assert it.findings[0].evidence == Evidence("web-1", log_tail="boom")


# --- which event, how much of a log ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "inquiry", "words"),
    [
        pytest.param([], CRASH, "", id="none"),
        pytest.param([warning("BackOff", "Back-off restarting")], CRASH, "", id="no news"),
        pytest.param(
            [
                warning("FailedScheduling", "0/2 nodes are available", at="2026-11-24T06:00:00Z"),
                warning("Unhealthy", "Readiness probe failed: 503", container="web"),
            ],
            UNREADY,
            "Readiness probe failed: 503",
            id="a probe says more than what is over",
        ),
        pytest.param(
            [warning("Unhealthy", "Readiness probe failed: refused", container="web")],
            CRASH,
            "",
            id="a readiness probe ends no container",
        ),
        pytest.param(
            [warning("Unhealthy", "Liveness probe failed: 500", container="web")],
            CRASH,
            "Liveness probe failed: 500",
            id="a liveness probe does",
        ),
        pytest.param(
            [warning("Failed", "Error: other is broken", container="other")],
            CRASH,
            "",
            id="another container",
        ),
        pytest.param(
            [
                warning("Failed", "Failed to pull image: not found", at="2026-11-24T05:00:00Z"),
                warning("Failed", "Error: ImagePullBackOff", at="2026-11-24T05:01:00Z"),
            ],
            CRASH,
            "Failed to pull image: not found",
            id="a reason alone is in the status",
        ),
        pytest.param(
            [
                warning("FailedMount", "old", at="2026-11-24T05:00:00Z"),
                warning("FailedMount", "new\n  words", at="2026-11-24T05:01:00Z"),
            ],
            WAITING,
            "new words",
            id="the latest, in one line",
        ),
        pytest.param(
            [warning("FailedMount", "x" * 2000)], WAITING, "x" * MAX_EVENT, id="cut to size"
        ),
    ],
)
def test_the_event_that_says_most_is_chosen(
    events: list[dict[str, Any]], inquiry: Inquiry, words: str
) -> None:
    assert select_event(list(events), inquiry)[0] == words


@pytest.mark.parametrize(
    ("log", "tail"),
    [
        ("", ""),
        ("a\r\nb\r\n", "a\nb"),
        ("\x1b[1;31mred\x1b[0m \x07bell\ttab\x00", "red bell\ttab"),
        ("unable to retrieve container logs for containerd://1234", ""),
        ("x" * 5000, "x" * MAX_LOG_TAIL),
    ],
)
def test_a_log_is_cut_and_cleaned(log: str, tail: str) -> None:
    assert cut_log(log) == tail


def test_of_a_long_log_whole_lines_from_the_end_are_kept() -> None:
    tail = cut_log("\n".join(f"line {number}: ü" for number in range(1000)))
    assert tail.startswith("line ")
    assert tail.endswith("line 999: ü")
    assert MAX_LOG_TAIL - 20 < len(tail.encode()) <= MAX_LOG_TAIL
