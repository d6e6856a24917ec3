"""An operator without a Lease asks the API server all the time, so that it knows of every outage (V2)."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import answer, refuse, until
from tests.unit.cluster.memory_transport import serve_in_memory
from tripswitch.shell.pulse import Pulse

pytestmark = pytest.mark.looptime


async def test_v2_it_goes_on_asking_after_every_answer_of_the_server() -> None:
    asked: list[str] = []
    heard: list[bool] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return refuse(503) if len(asked) == 1 else answer({"items": []})

    def hear(*, stored: bool, answered: bool, seconds: float, date: str | None) -> None:
        assert stored
        heard.append(answered)

    async with serve_in_memory(handle, heard=hear) as client:
        task = asyncio.create_task(Pulse(client, "shop").run())
        await until(lambda: len(heard) >= 3)
        task.cancel()
    path = "/apis/tripswitch.dev/v1alpha1/namespaces/shop/guardeddeployments?limit=1"
    assert set(asked) == {path}
    assert heard[:3] == [False, True, True]
