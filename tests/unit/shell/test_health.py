"""Probes and Prometheus find what they look for."""

from __future__ import annotations

import aiohttp
import pytest

from tools.cluster.ports import free_port
from tripswitch.shell.health import HealthServer


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("healthz", 200, "ok"),
        ("readyz", 503, "not yet\nnot this either"),
        ("metrics", 200, "a_metric 1.0\n"),
        ("elsewhere", 404, "404: Not Found"),
    ],
)
async def test_each_path_answers(path: str, status: int, text: str) -> None:
    port = free_port()
    server = HealthServer(list, lambda: ["not yet", "not this either"], lambda: b"a_metric 1.0\n")
    await server.start(port)
    url = f"http://127.0.0.1:{port}/{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert (answer.status, await answer.text()) == (status, text)
    await server.stop()


async def test_port_0_means_none() -> None:
    server = HealthServer(list, list, lambda: b"")
    await server.start(0)
    await server.stop()
