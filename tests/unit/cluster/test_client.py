"""The seam: every answer is a dict or one of our errors, and every request is counted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from tests.unit.cluster.fake_api import answer, host_of, refuse, serve
from tests.unit.cluster.memory_transport import serve_in_memory
from tripswitch.cluster.client import MERGE_PATCH, Client
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import (
    ApiError,
    ConflictError,
    InvalidError,
    NotLeadingError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)
from tripswitch.cluster.http_transport import HttpTransport
from tripswitch.cluster.resources import PODS, describe_request


async def test_a_write_carries_its_body_type_and_our_name() -> None:
    async def handle(request: web.Request) -> web.Response:
        return answer(
            {
                "method": request.method,
                "path": request.path,
                "query": dict(request.query),
                "type": request.headers["Content-Type"],
                "body": await request.json(),
            }
        )

    async with serve(handle) as client:
        path = PODS.path("shop", "web-1")
        echoed = await client.request("PATCH", path, body={"spec": None}, content_type=MERGE_PATCH)
        assert echoed == {
            "method": "PATCH",
            "path": "/api/v1/namespaces/shop/pods/web-1",
            "query": {"fieldManager": "tripswitch"},
            "type": "application/merge-patch+json",
            "body": {"spec": None},
        }


async def test_an_error_status_is_never_taken_for_an_answer() -> None:
    counted: list[tuple[str, ...]] = []

    async def handle(_: web.Request) -> web.Response:
        return refuse(409, "Conflict", "the object has been modified")

    async with serve(handle, lambda *labels: counted.append(labels)) as client:
        with pytest.raises(ConflictError, match="the object has been modified"):
            await client.request("GET", PODS.path("shop", "web-1"))
    assert counted == [("get", "pods", "409")]


async def test_every_answer_tells_what_time_it_is_there() -> None:
    """Also one that refuses."""
    ((stored, answered, date),) = await _heard("GET", refuse(404, "NotFound"))
    assert (stored, answered) == (True, True)
    assert date is not None
    assert date.endswith("GMT")


@pytest.mark.parametrize(
    ("status", "message", "answered"),
    [
        pytest.param(409, "the object was modified", True, id="a refusal is an answer"),
        pytest.param(429, "too many requests", True, id="so is a request for patience"),
        pytest.param(500, "failed calling webhook", True, id="a webhook is not the server"),
        pytest.param(500, "etcdserver: request timed out", False, id="its storage is away"),
        pytest.param(502, "bad gateway", False, id="a load balancer without a server"),
        pytest.param(503, "apiserver is shutting down", False, id="it is going"),
        pytest.param(504, "timeout", False, id="it takes too long"),
    ],
)
async def test_which_answers_come_from_a_server_that_takes_reports(
    status: int,
    message: str,
    *,
    answered: bool,
) -> None:
    told = await _heard("PUT", refuse(status, message=message))
    assert [(stored, heard) for stored, heard, _ in told] == [(True, answered)]


async def test_a_server_that_is_not_there_does_not_answer() -> None:
    assert await _heard("PUT", None) == [(True, False, None)]


async def _heard(method: str, response: web.Response | None) -> list[tuple[bool, bool, str | None]]:
    """Return what one request told; None: the connection is closed instead of an answer."""
    told: list[tuple[bool, bool, str | None]] = []

    async def handle(request: web.Request) -> web.Response:
        if response is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return response

    def hear(*, stored: bool, answered: bool, seconds: float, date: str | None) -> None:
        assert seconds >= 0
        told.append((stored, answered, date))

    async with serve(handle, heard=hear) as client:
        with pytest.raises(ApiError):
            await client.request(method, PODS.path("shop", "web-1"), body={})
    return told


async def test_retry_after_is_read_from_the_header() -> None:
    async def handle(_: web.Request) -> web.Response:
        return answer("slow down", 429, Retry_After="9")

    async with serve(handle) as client:
        with pytest.raises(ThrottledError) as caught:
            await client.request("GET", PODS.path())
        assert caught.value.retry_after == 9.0


@pytest.mark.parametrize("text", ["", "<html>", "[]", "7", '{"kind": "Pod'])
async def test_an_answer_that_is_no_object_counts_as_none(text: str) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(text=text)

    async with serve(handle) as client:
        with pytest.raises(UnreachableError):
            await client.request("GET", PODS.path())


async def test_a_server_that_is_not_there_is_unreachable_and_counted() -> None:
    counted: list[tuple[str, ...]] = []

    credentials = Credentials("there is no such file")
    credentials.configuration.host = "http://127.0.0.1:1"
    async with Client(HttpTransport(credentials), lambda *labels: counted.append(labels)) as client:
        with pytest.raises(UnreachableError) as caught:
            await client.request("GET", PODS.path())
        assert caught.value.__cause__ is not None
    assert counted == [("list", "pods", "0")]


async def test_without_a_permit_nothing_is_written_and_everything_is_read() -> None:
    methods: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        methods.append(request.method)
        return answer({})

    path = PODS.path("shop", "web-1")
    async with serve(handle, permit=lambda: 0.0) as client:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with pytest.raises(NotLeadingError):
                await client.request(method, path, body={})
        await client.request("GET", path)
    assert methods == ["GET"]


@pytest.mark.looptime
async def test_a_write_is_given_up_when_its_permit_ends() -> None:
    async def handle(_: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return answer({})

    async with serve_in_memory(handle, permit=lambda: 0.1) as client:
        with pytest.raises(UnreachableError, match="Timeout"):
            await client.request("DELETE", PODS.path("shop", "web-1"))
        assert await client.request("GET", PODS.path("shop", "web-1")) == {}


async def test_watches_of_very_many_namespaces_leave_room_for_requests() -> None:
    """The client's own limit of 100 connections would stop everything here."""
    streams = 110
    opened = asyncio.Semaphore(0)
    done = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return answer({})
        stream = web.StreamResponse()
        await stream.prepare(request)
        opened.release()
        await done.wait()
        return stream

    async with serve(handle) as client:

        async def follow(namespace: str) -> None:
            async for _ in client.stream(PODS.path(namespace), {}, stall_seconds=60):
                pass

        watches = [asyncio.create_task(follow(f"n{number}")) for number in range(streams)]
        for _ in range(streams):
            await asyncio.wait_for(opened.acquire(), 30)
        await asyncio.wait_for(client.request("GET", PODS.path("shop", "web-1")), 15)
        done.set()
        await asyncio.gather(*watches)


async def test_the_audit_log_of_the_server_tells_which_replica_it_was() -> None:
    async def handle(request: web.Request) -> web.Response:
        return answer({"agent": request.headers["User-Agent"]})

    async with serve(handle, agent="pod-1") as client:
        told = await client.request("GET", PODS.path())
        assert told == {"agent": "tripswitch/pod-1"}


async def test_no_token_and_no_body_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the level, also of the libraries below, and whether it is taken or refused."""
    refused: list[bool] = []

    async def handle(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer top-secret"
        if not refused:
            refused.append(True)
            return refuse(422, "Invalid", "no such field")
        return answer(await request.json())

    with caplog.at_level(logging.DEBUG):
        async with serve(handle, token="top-secret") as client:
            path = PODS.path("shop", "web-1")
            for _ in range(2):
                with contextlib.suppress(InvalidError):
                    await client.request("PATCH", path, body={"spec": "body-words"})
    assert refused
    assert caplog.records, "nothing is logged at all: this shows nothing"
    assert "top-secret" not in caplog.text
    assert "body-words" not in caplog.text


async def test_a_silent_stream_counts_as_dead() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b'{"type": "BOOKMARK"}\n')
        await asyncio.Event().wait()  # until the test ends
        return stream

    async with serve(handle) as client:
        stream = client.stream(PODS.path(), {}, stall_seconds=0.05)
        assert await anext(stream) == {"type": "BOOKMARK"}
        with pytest.raises(UnreachableError):
            await anext(stream)


async def test_pages_follow_the_continue_token() -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.query["limit"] == "100"
        assert request.query["labelSelector"] == "app in (web)"
        more = {"a b/c=": "", None: "a b/c="}[request.query.get("continue")]
        return answer({"metadata": {"continue": more}, "items": [{"more": more}]})

    async with serve(handle) as client:
        pages = client.pages(PODS.path(), {"labelSelector": "app in (web)"})
        assert [page["items"] async for page in pages] == [[{"more": "a b/c="}], [{"more": ""}]]


async def test_the_next_page_is_on_its_way_while_one_is_read() -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.query.get("continue", "first"))
        more = {"first": "second", "second": "third", "third": ""}[asked[-1]]
        return answer({"metadata": {"continue": more}, "items": []})

    async with serve_in_memory(handle) as client:
        seen = []
        async for _ in client.pages(PODS.path()):
            await asyncio.sleep(0)  # the reader gives others one turn, and the request is there
            seen.append(list(asked))
    assert seen == [["first", "second"], ["first", "second", "third"], ["first", "second", "third"]]


@pytest.mark.parametrize("state", ["on its way", "refused"])
async def test_a_page_that_nobody_waits_for_any_more_is_given_up(
    state: str, caplog: pytest.LogCaptureFixture
) -> None:
    ended = asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        if "continue" not in request.query:
            return answer({"metadata": {"continue": "more"}, "items": []})
        try:
            if state == "on its way":
                await asyncio.Event().wait()  # until it is cancelled
        finally:
            ended.set()
        return refuse(410, "Expired")

    async with serve_in_memory(handle) as client:
        async with contextlib.aclosing(client.pages(PODS.path())) as pages:
            await anext(pages)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert ended.is_set()
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_credentials_that_are_refused_are_read_again_for_the_next_try(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"

    def write(server: str, token: str) -> None:
        named = {"name": "it"}
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "current-context": "it",
                    "contexts": [{**named, "context": {"cluster": "it", "user": "it"}}],
                    "clusters": [{**named, "cluster": {"server": server}}],
                    "users": [{**named, "user": {"token": token}}],
                }
            )
        )

    async def handle(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Bearer new":
            return refuse(401, "Unauthorized")
        return answer({"kind": "PodList"})

    async with serve(handle) as other:
        server = host_of(other)
        write(server, "old")
        credentials = Credentials(str(kubeconfig))
        await credentials.load()
        write(server, "new")
        async with Client(HttpTransport(credentials)) as client:
            with pytest.raises(UnauthorizedError):
                await client.request("GET", PODS.path())
            assert await client.request("GET", PODS.path()) == {"kind": "PodList"}
        connection = await credentials.connection()
        assert (connection.server, connection.authorization) == (server, "Bearer new")


async def test_missing_credentials_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UnauthorizedError, match="no usable credentials"):
        await Credentials(str(tmp_path / "nothing")).load()


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "pods")),
        ("GET", "/api/v1/namespaces/shop/pods", ("list", "pods")),
        ("DELETE", "/api/v1/namespaces/shop/pods/web-1", ("delete", "pods")),
        ("POST", "/apis/apps/v1/namespaces/shop/replicasets", ("create", "replicasets")),
        ("PATCH", "/apis/apps/v1/namespaces/pods/replicasets/pods", ("patch", "replicasets")),
        (
            "PUT",
            "/apis/tripswitch.dev/v1alpha1/namespaces/a/guardeddeployments/b/status",
            ("update", "guardeddeployments/status"),
        ),
        ("GET", "/version", ("get", "other")),
    ],
)
def test_requests_are_named_as_rbac_names_them(
    method: str, path: str, expected: tuple[str, str]
) -> None:
    assert describe_request(method, path) == expected
