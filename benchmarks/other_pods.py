"""Pods beside a guarded fleet that nothing guards: those of other Deployments, and some that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from benchmarks.api import Object
from benchmarks.fleet import DEPLOYMENT
from benchmarks.pods import is_ready
from benchmarks.testbed import Testbed

PREFIX = "other"
REPLICAS = 10
EVENTS = 200.0
"""Pod events per second that those make which come and go."""
EVENTS_OF_A_LIFE = 5
"""Made, placed, running, marked for deletion, gone."""
CHURNING = 8
"""How many Deployments they belong to."""


async def prepare(testbed: Testbed) -> None:
    """Make the Deployment that :func:`lay_out` copies; all others are removed by it, so it comes first."""
    await testbed.seed(DEPLOYMENT, PREFIX, 0)


async def lay_out(testbed: Testbed, size: int) -> None:
    """Have so many running pods, of finished Deployments that nothing guards."""
    await testbed.seed(DEPLOYMENT, PREFIX, size // REPLICAS)


async def churn(testbed: Testbed, seconds: float, begin: Callable[[], None]) -> int:
    """Delete pods of unguarded Deployments for so long; return how many events a watch saw meanwhile.

    Their ReplicaSets make new ones at once. ``begin`` is called when the first set of pods is Ready.
    """
    space = await testbed.namespace("churn")
    path = f"/api/v1/namespaces/{space}/pods"
    ready: dict[str, None] = {}
    seen = 0

    def look(event: str, raw: Object, at: float) -> None:
        nonlocal seen
        seen += 1
        name = raw["metadata"]["name"]
        if event != "DELETED" and is_ready(raw):
            ready.setdefault(name)
        else:
            ready.pop(name, None)

    async with testbed.api.watch(path, look) as watch:
        for number in range(CHURNING):
            body = DEPLOYMENT.body(f"churn-{number}", REPLICAS)
            await testbed.api.request("POST", DEPLOYMENT.path(space), body)
        if not await watch.until(lambda: len(ready) == CHURNING * REPLICAS, 120):
            raise RuntimeError("the pods that are to come and go did not get Ready")
        begin()
        before, clock = seen, asyncio.get_running_loop()
        began, number = clock.time(), 0
        async with asyncio.TaskGroup() as group:
            while clock.time() - began < seconds:
                if ready:
                    oldest = next(iter(ready))
                    del ready[oldest]
                    group.create_task(
                        testbed.api.request("DELETE", f"{path}/{oldest}", accept=[404])
                    )
                number += 1
                pause = began + number * EVENTS_OF_A_LIFE / EVENTS - clock.time()
                await asyncio.sleep(max(0.0, pause))
        await watch.until(lambda: True, 1)  # raises what ended the watch: the number would be wrong
        return seen - before
