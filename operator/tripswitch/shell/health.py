"""``/healthz``, ``/readyz`` and ``/metrics`` on one port."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from aiohttp import web

Problems = Callable[[], list[str]]
"""Returns what is wrong, in words; nothing when all is well."""


class HealthPortError(Exception):
    """The port for probes and metrics cannot be listened on."""


class HealthServer:
    """Answers probes and Prometheus.

    Args:
        alive: What a restart of the process would cure.
        ready: What keeps it from working yet.
        metrics: Renders the metrics.
    """

    def __init__(self, alive: Problems, ready: Problems, metrics: Callable[[], bytes]) -> None:
        self._metrics = metrics
        application = web.Application()
        application.router.add_get("/healthz", _probe(alive))
        application.router.add_get("/readyz", _probe(ready))
        application.router.add_get("/metrics", self._render)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start(self, port: int) -> None:
        """Listen on a port of all addresses; 0 means not at all.

        Raises:
            HealthPortError: The port cannot be had.
        """
        await self._runner.setup()
        try:
            if port:
                await web.TCPSite(self._runner, port=port).start()
        except OSError as error:
            await self._runner.cleanup()
            # asyncio's own message repeats the address; the system's words are enough.
            words = os.strerror(error.errno) if error.errno else str(error)
            raise HealthPortError(f"health port {port}: {words.lower()}") from error

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()

    async def _render(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )


def _probe(find_problems: Problems) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        problems = find_problems()
        return web.Response(text="\n".join(problems) or "ok", status=503 if problems else 200)

    return answer
