"""All there is of kopf: its settings, and one handler for each kind that hands raw objects on.

``on.event`` writes nothing to the cluster, and nothing else is registered. No object has an annotation
or a finalizer of kopf's, and nothing of ours depends on its memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import kopf

from tripswitch.api.identity import GROUP, VERSION
from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.credentials import Connection
from tripswitch.cluster.resources import CIRCUIT_BREAKERS, GUARDED_DEPLOYMENTS, Resource

Seen = Callable[[str | None, Mapping[str, Any]], None]
"""Called with the type of a watch event (None: it was listed) and the raw object."""


REPEAT = Backoff(first=0.2, most=10.0)
"""Pauses before a request that was made a short while ago is made again."""


class Pacer:
    """Holds kopf back where it would ask for the same again and again.

    kopf reopens a stream that ends at once without any pause: thousands of times a second, measured
    against a proxy that closes every stream. And it logs in and asks again, without a pause, when the
    server refuses its credentials. Its session asks here before each list and watch. What lasted
    longer than the longest pause goes on without one, so an ordinary end costs nothing; a watch that
    goes on from a later version brought something, and has a short one.

    Args:
        pause: Waits for so many seconds.
    """

    def __init__(self, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._pause = pause
        self._began: dict[tuple[str, bool], tuple[float, int, str]] = {}
        """For each path, lists and watches apart: the last begin, how many came too soon, and from
        which version it went on."""

    async def middleware(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a request of kopf's session when its pause is over.

        Raises:
            RuntimeError: kopf has closed the session meanwhile, because the credentials of another watch
                were refused. kopf logs in again on this error, and on no other that aiohttp raises here.
        """
        await self._pace(request)
        if request.session.closed:
            raise RuntimeError("Session is closed")
        return await send(request)

    async def _pace(self, request: aiohttp.ClientRequest) -> None:
        query = request.url.query
        if "continue" in query:
            return  # the next page of one list
        loop, what = asyncio.get_running_loop(), (request.url.path, "watch" in query)
        version = query.get("resourceVersion", "")
        began, soon, before = self._began.get(what, (loop.time() - REPEAT.most, 0, version))
        if loop.time() - began >= REPEAT.most:
            soon = 0
        else:
            soon = 2 if version != before else soon + 1
            await self._pause(REPEAT.delay(soon))
        self._began[what] = (loop.time(), soon, version)


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing of an object: there is no handler that asks what changed."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return the same for every object, so that none is copied and compared."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Return nothing."""
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""


def build_settings() -> kopf.OperatorSettings:
    """Return settings that make kopf a watcher and nothing more."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 20
    settings.watching.chunk_size = 50
    settings.networking.request_timeout = 30
    # Back within 5 s when the API server is; after 5 minutes of errors the process starts anew.
    settings.networking.error_backoffs = (1, 1, 2, 3, *[5] * 60)
    settings.networking.trust_env = True  # as our own client does
    settings.queueing.idle_timeout = 0.1
    settings.process.ultimate_exiting_timeout = 60
    return settings


def build_registry(
    seen: Seen,
    connect: Callable[[], Awaitable[Connection]],
    guards_seen: Seen | None = None,
    pacer: Pacer | None = None,
) -> kopf.OperatorRegistry:
    """Return the registry with everything that kopf is to do.

    Args:
        seen: Where GuardedDeployments go.
        connect: Gives the credentials, again each time they are no longer good.
        guards_seen: Where DeploymentCircuitBreakers go; None: they are not watched.
        pacer: Holds kopf back where it repeats itself; None: one with the usual pauses.
    """
    registry = kopf.OperatorRegistry()
    paced = pacer or Pacer()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return _open_session(await connect(), paced)

    _hand_on(registry, GUARDED_DEPLOYMENTS, seen)
    if guards_seen is not None:
        _hand_on(registry, CIRCUIT_BREAKERS, guards_seen)
    return registry


def _hand_on(registry: kopf.OperatorRegistry, resource: Resource, seen: Seen) -> None:
    @kopf.on.event(GROUP, VERSION, resource.plural, registry=registry)
    async def hand_on(event: kopf.RawEvent, **_: Any) -> None:
        seen(event["type"], event["object"])


def _open_session(found: Connection, pacer: Pacer) -> kopf.AiohttpSession:
    """Return what kopf would have made of the credentials, and the pacer. kopf closes it."""
    scheme, _separator, token = (found.authorization or "").rpartition(" ")
    info = kopf.ConnectionInfo(
        server=found.server,
        ca_path=found.ca_path,
        insecure=found.insecure,
        certificate_path=found.certificate_path,
        private_key_path=found.private_key_path,
        scheme=scheme or None,
        token=token or None,
    )
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        trust_env=True,
        middlewares=[pacer.middleware],
    )
    return kopf.AiohttpSession(server=found.server, aiohttp_session=session)
