"""kopf watches GuardedDeployments and does nothing else: a real kopf on a scripted API server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import kopf
import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import ScriptedApi, answer, event, failure, host_of, refuse, serve
from tests.unit.cluster.raws import guarded
from tripswitch.cluster.credentials import Connection
from tripswitch.shell.kopf_adapter import Pacer, build_registry, build_settings

NAMESPACES = {
    "name": "namespaces",
    "singularName": "namespace",
    "kind": "Namespace",
    "namespaced": False,
    "verbs": ["list"],
}
GUARDED = {
    "name": "guardeddeployments",
    "singularName": "guardeddeployment",
    "kind": "GuardedDeployment",
    "namespaced": True,
    "verbs": ["get", "list", "watch", "patch"],
}
BREAKERS = {
    **GUARDED,
    "name": "deploymentcircuitbreakers",
    "singularName": "deploymentcircuitbreaker",
    "kind": "DeploymentCircuitBreaker",
}
GROUP = {
    "name": "tripswitch.dev",
    "versions": [{"version": "v1alpha1"}],
    "preferredVersion": {"version": "v1alpha1"},
}


class Server:
    """Discovery, and two scripted collections."""

    def __init__(self) -> None:
        self.script = ScriptedApi()
        self.breakers = ScriptedApi()
        self.writes: list[str] = []
        self.tokens: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.tokens.add(request.headers.get("Authorization", ""))
        if request.method != "GET":
            self.writes.append(f"{request.method} {request.path}")
        if request.path.endswith("/guardeddeployments"):
            return await self.script.handle(request)
        if request.path.endswith("/deploymentcircuitbreakers"):
            return await self.breakers.handle(request)
        found: dict[str, Any] = {
            "/api": {"versions": ["v1"]},
            "/apis": {"groups": [GROUP]},
            "/api/v1": {"resources": [NAMESPACES]},
            "/apis/tripswitch.dev/v1alpha1": {"resources": [GUARDED, BREAKERS]},
        }
        return answer(found.get(request.path, {}))


async def go_on(_: float) -> None:
    """Wait for nothing."""


async def watch(
    server: Server,
    seen: list[tuple[str | None, str]],
    breakers: list[tuple[str | None, str]] | None = None,
    wait: Callable[[float], Awaitable[object]] = go_on,
) -> list[float]:
    """Run kopf until the script is played out, or kopf ends by itself; return its pauses, in seconds.

    ``wait`` is what waits for a pause; by default nothing does.
    """
    stop = asyncio.Event()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await wait(seconds)

    async with serve(server.handle) as client:
        host = host_of(client)

        async def connect() -> Connection:
            return Connection(host, None, False, None, None, "bearer secret")

        def take(kind: str | None, raw: Mapping[str, Any]) -> None:
            seen.append((kind, raw["metadata"]["name"]))

        def take_breaker(kind: str | None, raw: Mapping[str, Any]) -> None:
            assert breakers is not None
            breakers.append((kind, raw["metadata"]["name"]))

        running = asyncio.create_task(
            kopf.operator(
                registry=build_registry(
                    take, connect, None if breakers is None else take_breaker, Pacer(pause)
                ),
                settings=build_settings(),
                clusterwide=True,
                stop_flag=stop,
            )
        )
        scripts = [server.script] if breakers is None else [server.script, server.breakers]

        async def play_out() -> None:
            for script in scripts:
                await script.exhausted.wait()

        finished = asyncio.create_task(play_out())
        await asyncio.wait([running, finished], timeout=10, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        finished.cancel()
        await running
    return pauses


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


async def test_every_event_is_handed_on_and_nothing_is_ever_written() -> None:
    server = Server()
    server.script.lists = [[guarded(), guarded(name="api", uid="gd-2")]]
    server.script.watches = [
        [
            event("ADDED", guarded(name="new", uid="gd-3", version=101)),
            event("MODIFIED", guarded(version=102)),
            event("DELETED", guarded(version=103)),
        ]
    ]
    seen: list[tuple[str | None, str]] = []
    await watch(server, seen)
    assert sorted(seen, key=str) == [
        ("ADDED", "new"),
        ("DELETED", "web"),
        ("MODIFIED", "web"),
        (None, "api"),
        (None, "web"),
    ]
    assert server.writes == []
    assert server.tokens == {"bearer secret"}


async def test_an_error_that_is_fatal_for_kopf_comes_out_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    server.script.lists = [[]]
    server.script.watches = [[failure(500, "InternalError")]]
    with caplog.at_level(logging.CRITICAL), pytest.raises(Exception, match="watch-stream"):
        await watch(server, [])


async def test_a_stream_that_always_closes_at_once_is_not_reopened_in_a_hot_loop() -> None:
    """kopf alone does so thousands of times a second. Between four openings there are three pauses."""
    server = Server()
    server.script.lists = [[]]
    server.script.watches = [[], [], []]
    pauses = await watch(server, [])
    assert len(server.script.watched_from) == 4
    assert [least <= pause for least, pause in zip((0.1, 0.2, 0.4), pauses, strict=True)] == [
        True
    ] * 3


async def test_credentials_that_are_refused_are_asked_for_again_in_no_hot_loop() -> None:
    """And it goes on once they are accepted: a token that expired is an ordinary thing."""
    server = Server()
    server.script.lists = [refuse(401), refuse(401), [guarded()]]
    seen: list[tuple[str | None, str]] = []
    pauses = await watch(server, seen)
    assert seen == [(None, "web")]
    assert [least <= pause for least, pause in zip((0.1, 0.2), pauses, strict=True)] == [True] * 2


async def test_two_watches_whose_credentials_are_refused_go_on_with_new_ones() -> None:
    """kopf closes the session that both use while the other one still waits for its turn.

    The pauses are real ones: without them the other one does not wait.
    """
    server = Server()
    server.script.lists = [refuse(401), refuse(401), [guarded()]]
    server.breakers.lists = [refuse(401), refuse(401), refuse(401), [guarded(name="dcb")]]
    seen: list[tuple[str | None, str]] = []
    breakers: list[tuple[str | None, str]] = []
    await watch(server, seen, breakers, asyncio.sleep)
    assert (seen, breakers) == ([(None, "web")], [(None, "dcb")])
