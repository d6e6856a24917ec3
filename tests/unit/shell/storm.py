"""A thousand rollouts at once on a server whose answers take their time: the whole operator, without watches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.unit.cluster.fake_api import answer
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import T0, at, ended, guarded, pod, waiting
from tripswitch.shell.clock import ServerClock, Time
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.wiring import Wiring, Wishes

RUNNING = {"event recorder", "evidence", "verification"}
"""The background tasks that run here."""
SETUP = ("ContainerCreating", "PodInitializing")
"""A pod that waits now for this and now for that changes what the status tells, and nothing else."""
WORKERS = 8


class Storm:
    """The API server, and what the watches deliver."""

    def __init__(self) -> None:
        self.answer_seconds = 0.005
        self.version = 1000
        self.raws: dict[str, dict[str, Any]] = {}
        self.sets: dict[str, dict[str, Any]] = {}
        """By the name of their object."""
        self.requests: Counter[str] = Counter()
        self.scaled: dict[str, asyncio.Future[float]] = {}
        """Of objects that are about to trip: the time at which their ReplicaSet was scaled."""
        self.parts: Wiring

    # The server --------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.answer_seconds)
        body = await request.json() if request.method != "GET" else {}
        kind = request.path.split("/")[6 if "apis" in request.path else 5]
        name, answered = self._answer(request.method, kind, body)
        self.requests[f"{request.method} {kind}"] += 1
        if request.method == "PATCH" and name in self.scaled:
            assert self.sets[name]["spec"]["replicas"] == 0
            self.scaled[name].set_result(asyncio.get_running_loop().time())
        return answered

    def _answer(self, method: str, kind: str, body: dict[str, Any]) -> tuple[str, web.Response]:
        self.version += 1
        newer = {"resourceVersion": str(self.version)}
        metadata = body.get("metadata", {})
        if method == "PUT":
            name = metadata["name"]
            self._put(name, {**self.raws[name], "status": body["status"]})
            return name, answer(self.raws[name])
        if kind != "replicasets":
            about = body.get("involvedObject", {}).get("name", "")
            return about, answer({"items": []} if method == "GET" else body)
        if method == "POST":
            name = body["metadata"]["ownerReferences"][0]["name"]
            given = {"uid": f"rs-{name}", "creationTimestamp": at(0), **newer}
            self.sets[name] = {**body, "metadata": {**metadata, **given}}
        else:
            name = metadata["uid"].removeprefix("rs-")
            known = self.sets[name]
            changed = {**known["metadata"], **newer}
            self.sets[name] = {
                **known,
                "spec": {**known["spec"], **body["spec"]},
                "metadata": changed,
            }
        return name, answer(self.sets[name])

    def _put(self, name: str, raw: dict[str, Any]) -> None:
        metadata = {**raw["metadata"], "resourceVersion": str(self.version)}
        self.raws[name] = {**raw, "metadata": metadata}

    # What is delivered ---------------------------------------------------------------------------

    async def create(self, names: list[str]) -> None:
        """Create objects, and wait until each has its ReplicaSet and a pod that is being set up."""
        self.deliver(names)
        await asyncio.sleep(30)
        assert len(self.sets) == len(names)
        for name in names:
            self.set_up(name, 0)
        await asyncio.sleep(30)

    def deliver(self, names: list[str], status: dict[str, Any] | None = None) -> None:
        """Tell of new objects, or of some that another process has given a status."""
        for name in names:
            self.raws[name] = {**guarded(name=name, uid=f"gd-{name}"), "status": status or {}}
            self.parts.store.upsert_guarded(self.raws[name])

    def set_up(self, name: str, step: int) -> None:
        """Tell of mere progress: a pod waits for something else."""
        self._tell(name, 0, waiting(SETUP[step % 2]))

    def crash(self, name: str, number: int) -> None:
        """Tell of a pod that crashed."""
        state = {"name": "web", "state": {"terminated": ended(1, "Error")}, "restartCount": 0}
        self._tell(name, number, state)

    def _tell(self, name: str, number: int, state: dict[str, Any]) -> None:
        self.version += 1
        uid, owner = f"pod-{name}-{number}", f"rs-{name}"
        named = f"{name}-{number}"
        raw = pod(state, name=named, uid=uid, owner=owner, version=self.version, phase="Pending")
        self.parts.store.pods.upsert(raw)

    async def trip(self, name: str) -> float:
        """Have the third of three pods crash; return how long until the ReplicaSet is scaled to 0."""
        for number in (1, 2):
            self.crash(name, number)
        await asyncio.sleep(0.9)
        loop = asyncio.get_running_loop()
        began, self.scaled[name] = loop.time(), loop.create_future()
        self.crash(name, 3)
        return await self.scaled[name] - began


@asynccontextmanager
async def storm(*, leads: bool = True) -> AsyncIterator[Storm]:
    """The operator at work on what is delivered, from the beginning or once its gate is opened."""
    made, loop = Storm(), asyncio.get_running_loop()
    time = Time(ServerClock(steady=loop.time, wall=lambda: T0 + 3.0))
    async with serve_in_memory(made.handle) as client:
        parts = made.parts = Wiring(client, Metrics(), time, wishes=Wishes(workers=WORKERS))
        if leads:
            parts.gate.set()
        tasks = parts.start()
        for task in tasks:
            if task.get_name() not in RUNNING:
                task.cancel()
        yield made
        await parts.queue.stop(1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
