"""The whole way of a verdict by time: reconciler, store, verifier and outages before a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.bench import WEB
from tests.unit.cluster.fake_api import answer, refuse
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import T0, guarded, ready_pod, replica_set, unready_pod
from tripswitch.api.template import template_digest
from tripswitch.cluster.client import Client
from tripswitch.cluster.events import Recorder
from tripswitch.cluster.evidence import Collector
from tripswitch.cluster.executor import Executor
from tripswitch.cluster.reachability import Reachability
from tripswitch.cluster.store import Store
from tripswitch.cluster.verification import Verifier
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.reconciler import Background, Reconciler
from tripswitch.shell.workqueue import TryAgainError

pytestmark = pytest.mark.looptime

TEMPLATE = guarded()["spec"]["template"]
PODS = 4
FIRST_PATIENCE = 300.0


class Cluster:
    """What the API server has. ``ready``: its pods are Ready, whatever the watch tells."""

    def __init__(self) -> None:
        self.now = T0 + 3
        self.version = 1000
        self.ready = False
        self.away = False
        self.status: dict[str, Any] = {}
        self.requests: list[str] = []
        self.reachability = Reachability(lambda: self.now)
        self.store = Store(lambda _: None, lambda: self.now, self.reachability.standstills)
        self.verifier: Verifier
        self.reconciler: Reconciler

    async def handle(self, request: web.Request) -> web.Response:
        kind = request.path.rpartition("/")[2]
        self.requests.append(f"{request.method} {kind}")
        if self.away:
            return refuse(503, message="away")
        self.version += 1
        if request.method == "PUT":
            self.status = json.loads(await request.text())["status"]
            return answer({**guarded(version=self.version), "status": self.status})
        if kind == "pods":
            listed = {"resourceVersion": str(self.version)}
            return answer({"metadata": listed, "items": self.pods()})
        if kind.startswith("node-1"):
            ready = [{"type": "Ready", "status": "True"}]
            return answer({"status": {"conditions": ready}, "spec": {}, "metadata": {}})
        return refuse(404, "NotFound")

    def pods(self) -> list[dict[str, Any]]:
        make = ready_pod if self.ready else unready_pod
        version = 900 if self.ready else 100
        return [make(name=f"web-{n}", uid=f"pod-{n}", version=version) for n in range(PODS)]

    def tell_pods(self) -> None:
        """The watch tells of the pods as they are."""
        for pod in self.pods():
            self.store.pods.upsert(pod)

    def build(self, client: Client) -> None:
        def clock() -> float:
            return self.now

        self.verifier = Verifier(client, self.store, clock)
        self.reconciler = Reconciler(
            self.store,
            Executor(client, self.store, clock),
            Recorder(client, clock),
            Metrics(),
            clock,
            background=Background(Collector(client, self.store, clock, logs=False), self.verifier),
        )
        budget = self.reconciler.budget
        budget.progress_seconds = budget.step_seconds = budget.burst_seconds = 0.0
        owned = {"tripswitch.dev/revision": "1"}
        digest = {"tripswitch.dev/template-digest": template_digest(TEMPLATE)}
        self.store.upsert_guarded(guarded(template=TEMPLATE))
        self.store.replica_sets.upsert(replica_set(annotations={**owned, **digest}))
        self.tell_pods()

    async def look(self, later: float = 0.0) -> None:
        """Look, let what was asked be read, and look again."""
        self.now += later
        for _ in range(3):
            record = self.store.find(WEB)
            assert record is not None
            try:
                await self.reconciler.reconcile(WEB, 0.0)
            except TryAgainError:
                return
            await self.verifier.drain()

    @property
    def told(self) -> tuple[str, int]:
        return self.status["rollout"]["status"], self.status["circuitBreaker"]["failureCount"]


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    it = Cluster()

    def hear(*, stored: bool, answered: bool, seconds: float, date: str | None) -> None:
        it.reachability.note(stored=stored, answered=answered, seconds=seconds)

    async with serve_in_memory(it.handle, heard=hear) as client:
        it.build(client)
        reading = asyncio.create_task(it.verifier.run())
        yield it
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_v1_a_silent_watch_does_not_fail_a_good_rollout() -> None:

    async with cluster() as it:
        await it.look()
        assert it.told == ("IN_PROGRESS", 0)
        it.ready = True  # and the watch is half open: nothing tells of it
        it.requests.clear()
        await it.look(FIRST_PATIENCE)
        assert "GET pods" in it.requests
        assert not [name for name in it.requests if name.startswith(("DELETE", "PATCH"))]
        assert it.told[1] == 0
        await it.look(60.0)
        assert it.told == ("SUCCESSFUL", 0)


async def test_v1_what_a_fresh_view_shows_too_is_counted() -> None:
    """The other way round, so that the story above proves something."""

    async with cluster() as it:
        await it.look()
        await it.look(FIRST_PATIENCE)
        assert it.told == ("FAILED", PODS)


async def test_v2_an_outage_in_which_nobody_could_report_does_not_fail_a_good_rollout() -> None:
    """The first kubelets report up to 40 s after it; the pods' deadline would have passed in it."""

    async with cluster() as it:
        await it.look()
        await it.look(FIRST_PATIENCE - 20)
        it.away = True
        for _ in range(12):  # a minute; something has to be asked, as the Lease is every 2 s
            it.now += 5.0
            it.reachability.note(stored=True, answered=False, seconds=0.1)
            await it.look()
        it.away = False
        it.reachability.note(stored=True, answered=True, seconds=0.1)
        await it.look(1.0)
        await it.look(38.0)
        assert it.told == ("IN_PROGRESS", 0), "read anew, and not one kubelet has reported yet"
        it.ready = True
        it.tell_pods()
        await it.look(0.5)
        await it.look(60.0)
        assert it.told == ("SUCCESSFUL", 0)
