"""An executor and its store, before a server that answers by a table."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import T0, guarded, ready_pod, replica_set
from tripswitch.cluster.client import Client
from tripswitch.cluster.executor import Executor
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.domain.values.decision import Action
from tripswitch.domain.values.snapshot import Snapshot

WEB = Key("shop", "web")


class Bench:
    """An executor on a store with one of everything, before a server that answers by a table."""

    def __init__(self, *, filled: bool = True) -> None:
        self.answers: dict[str, list[web.Response]] = {}
        self.requests: list[tuple[str, Any]] = []
        self.content_types: list[str] = []
        self.accepted: list[str] = []
        """What each request wanted to have."""
        self.now = T0 + 1000
        self.dirty: list[Key] = []
        self.store = Store(self.dirty.append, lambda: self.now)
        if filled:
            self.store.upsert_guarded(guarded())
            self.store.replica_sets.upsert(replica_set())
            self.store.pods.upsert(ready_pod())
        self.client: Client
        self.executor: Executor

    def on(self, request: str, *answers: web.Response) -> None:
        """Lay down what is answered to "METHOD path", one after the other."""
        self.answers[request] = list(answers)

    async def handle(self, request: web.Request) -> web.Response:
        name = f"{request.method} {request.path}"
        body = await request.text()
        self.requests.append((name, json.loads(body) if body else None))
        self.content_types.append(request.headers["Content-Type"])
        self.accepted.append(request.headers["Accept"])
        await asyncio.sleep(0.01)  # so that what runs at the same time is seen to
        return self.answers[name].pop(0)

    def bodies(self, request: str) -> list[Any]:
        return [body for name, body in self.requests if name == request]

    @property
    def record(self) -> Record:
        found = self.store.find(WEB)
        assert found is not None
        return found

    @property
    def snapshot(self) -> Snapshot:
        return self.store.snapshot(self.record)

    @property
    def digest(self) -> str:
        return self.snapshot.guarded.spec.template.digest

    async def act(self, *actions: Action) -> float | None:
        return await self.executor.act(self.record, self.digest, actions)


@asynccontextmanager
async def bench(
    *, filled: bool = True, permit: Callable[[], float] = lambda: math.inf
) -> AsyncIterator[Bench]:
    made = Bench(filled=filled)
    async with serve_in_memory(made.handle, permit=permit) as client:
        made.client = client
        made.executor = Executor(client, made.store, lambda: made.now)
        yield made
