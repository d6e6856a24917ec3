"""A deleted object leaves nothing behind: every part of the operator is walked for its UID and its name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster import guard_raws
from tests.unit.cluster.fake_api import answer, refuse
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import (
    T0,
    at,
    ended,
    guarded,
    pod,
    ready_pod,
    replica_set,
    unready_pod,
    waiting,
)
from tripswitch.cluster.child_index import Tombstones
from tripswitch.cluster.store import Key
from tripswitch.domain.values.protection import Mode, WorkloadKind
from tripswitch.shell.clock import ServerClock, Time
from tripswitch.shell.guard_line import GuardLine, Shared
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.options import Options
from tripswitch.shell.wiring import Wiring, Wishes

pytestmark = pytest.mark.looptime

UID, NAME = "uid-of-the-shop", "storefront"
OF_OURS = ("tripswitch.", "prometheus_client.", "asyncio.queues")
"""Modules whose objects are walked; functions and tasks are not."""


def find_traces(root: object, *words: str) -> list[str]:
    """Return where a text that contains one of the words is found: the paths to it, without repeats.

    A tombstone may name an object that is gone: that is what it is for.
    """
    found: dict[str, None] = {}
    seen: set[int] = set()
    waiting: deque[tuple[str, object]] = deque([("", root)])
    while waiting:
        path, one = waiting.popleft()
        if isinstance(one, str):
            if any(word in one for word in words):
                found[path] = None
        elif id(one) not in seen and not isinstance(one, Tombstones):
            if not isinstance(one, Key):  # many share one
                seen.add(id(one))
            waiting.extend((path + step, part) for step, part in _parts_of(one))
    return list(found)


def _parts_of(one: object) -> Iterator[tuple[str, object]]:
    if isinstance(one, Mapping):
        for key, value in list(one.items()):
            yield "{}", key
            yield "[]", value
    elif isinstance(one, list | tuple | set | frozenset | deque):
        yield from (("[]", part) for part in list(one))
    elif type(one).__module__.startswith(OF_OURS):
        slots = [s for kind in type(one).__mro__ for s in getattr(kind, "__slots__", ())]
        names = dict.fromkeys([*slots, *getattr(one, "__dict__", {})])
        yield from ((f".{name}", getattr(one, name)) for name in names if hasattr(one, name))


class Server:
    """What the API server has, and what it answers."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        """By UID."""
        self.version = 1000
        self.pods: list[dict[str, Any]] = []
        self.takes_status = True
        self.before_write: Callable[[], None] = lambda: None
        self.posted: list[str] = []
        """Reasons of the events that were posted."""
        self.asked: list[str] = []
        self.parts: Wiring

    def deliver(self, raw: dict[str, Any], kind: str = "MODIFIED") -> None:
        """Have the watch tell of a GuardedDeployment or a DeploymentCircuitBreaker."""
        guards = self.parts.guards
        assert guards is not None
        self.objects[raw["metadata"]["uid"]] = raw
        line = self.parts if raw["kind"] == "GuardedDeployment" else guards
        line.take_event(kind, raw)

    async def handle(self, request: web.Request) -> web.Response:
        kind = request.path.rpartition("/")[2]
        self.asked.append(f"{request.method} {kind}")
        self.version += 1
        if request.method == "PUT" and not self.takes_status:
            return refuse(503)
        if request.method == "PUT":
            self.before_write()
            sent = await request.json()
            raw = {**self.objects[sent["metadata"]["uid"]], "status": sent["status"]}
            raw["metadata"] = {**raw["metadata"], "resourceVersion": str(self.version)}
            self.deliver(raw)
            return answer(raw)
        if request.method == "POST" and kind == "events":
            self.posted.append((await request.json())["reason"])
            return answer({}, 201)
        if request.method == "POST" and kind == "replicasets":
            made = await request.json()
            given = {"uid": "rs-7", "resourceVersion": "80", "creationTimestamp": at(0)}
            return answer({**made, "metadata": {**made["metadata"], **given}}, 201)
        if request.method == "GET" and kind in ("pods", "events", "configmaps"):
            items = self.pods if kind == "pods" else []
            metadata = {"resourceVersion": str(self.version)}
            named = {"kind": "PartialObjectMetadataList"} if kind == "configmaps" else {}
            return answer({**named, "metadata": metadata, "items": items})
        if kind == "node-1":
            return answer({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        if kind == "log":
            return web.Response(text="FATAL: no such table\n")
        if request.method == "PATCH" and "/events/" in request.path:
            return answer({})
        return refuse(404 if request.method == "GET" else 409, "Refused")


@asynccontextmanager
async def operator() -> AsyncIterator[tuple[Wiring, GuardLine, Server]]:
    """Both lines of the operator at work, without watches; what is delivered is all they know."""
    server, metrics, loop = Server(), Metrics(), asyncio.get_running_loop()
    time = Time(ServerClock(steady=loop.time, wall=lambda: T0 + 3.0))
    async with serve_in_memory(server.handle) as client:
        parts = server.parts = Wiring(client, metrics, time, wishes=Wishes(check_references=True))
        rest = (parts.alarms, parts.references, parts.store.board)
        shared = Shared(client, parts.recorder, metrics, time, parts.gate, None, *rest)
        parts.guards = guards = GuardLine(Options(), shared, Mode.ENFORCE)
        parts.gate.set()
        running = {
            "event recorder",
            "evidence",
            "verification",
            "evidence of workloads",
            "references",
        }
        tasks = parts.start()
        for task in tasks:
            if task.get_name() not in running:
                task.cancel()
        yield parts, guards, server
        for queue in parts.queues:
            await queue.stop(1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def crashed(number: int) -> dict[str, Any]:
    state = waiting("CrashLoopBackOff", restartCount=1, lastState={"terminated": ended(2, "Error")})
    return pod(state, name=f"{NAME}-{number}", uid=f"pod-{number}", owner="rs-7", version=200)


def late(number: int) -> dict[str, Any]:
    return unready_pod(name=f"{NAME}-{number}", uid=f"pod-{number}", owner="rs-7", version=100)


async def fail_a_rollout(server: Server) -> None:
    """Have pods miss their deadline, so that they are read anew, and then crash."""
    store = server.parts.store
    server.deliver(guarded(uid=UID, name=NAME), "ADDED")
    await asyncio.sleep(1)
    for make in (late, crashed):
        server.pods = [make(number) for number in range(4)]
        for raw in server.pods:
            store.pods.upsert(raw)
        await asyncio.sleep(320)


async def test_a_deleted_guarded_deployment_leaves_nothing_anywhere() -> None:
    async with operator() as (parts, _, server):
        await fail_a_rollout(server)
        before = find_traces(parts, UID, NAME)
        for part in (
            "store._tracked",
            "store.pods",
            "queue._wakes",
            "queue._fails",
            "recorder._posted",
            "reconciler._metrics.decisions._reasons",
            "reconciler._metrics.decisions._failures",
        ):
            assert any(path.startswith(f".{part}") for path in before), f"{part} is put to the test"
        assert {"GET pods", "GET log"} <= set(server.asked)
        for raw in server.pods:
            parts.store.pods.remove(raw)
        parts.store.replica_sets.remove(replica_set(name=f"{NAME}-1", uid="rs-7", version=2000))
        server.deliver(server.objects[UID], "DELETED")
        await asyncio.sleep(5)
        assert find_traces(parts, UID, NAME) == []


async def test_b9_a_deleted_object_of_which_something_was_missing_leaves_nothing() -> None:
    """Template, question, list, status: the whole way through the operator."""
    async with operator() as (parts, _, server):
        container = {"name": "web", "image": "web:1"}
        container |= {"envFrom": [{"configMapRef": {"name": "settings"}}]}  # type: ignore[dict-item]
        labels = {"labels": {"app": "web"}}
        template = {"metadata": labels, "spec": {"containers": [container]}}
        server.deliver(guarded(uid=UID, name=NAME, replicas=1, template=template), "ADDED")
        await asyncio.sleep(1)
        parts.store.pods.upsert(ready_pod(name=f"{NAME}-1", uid="pod-1", owner="rs-7"))
        await asyncio.sleep(120)
        assert server.asked.count("GET configmaps") >= 2
        status = server.objects[UID]["status"]
        assert status["missingReferences"] == {"revision": 1, "configMaps": ["settings"]}
        assert server.posted.count("RollbackAtRisk") == 1
        assert len(parts.references) == 1
        raw = ready_pod(name=f"{NAME}-1", uid="pod-1", owner="rs-7", version=900)
        parts.store.pods.remove(raw)
        parts.store.replica_sets.remove(replica_set(name=f"{NAME}-1", uid="rs-7", version=2000))
        server.deliver(server.objects[UID], "DELETED")
        await asyncio.sleep(5)
        assert len(parts.references) == 0
        assert find_traces(parts, UID, NAME) == []


async def test_b9_of_a_guarded_workload_the_same_is_told_and_nothing_is_left() -> None:
    async with operator() as (parts, guards, server):
        deployment, owned = guard_raws.deployment(), guard_raws.replica_set()
        for raw in (deployment, owned):
            (container,) = raw["spec"]["template"]["spec"]["containers"]
            container["envFrom"] = [{"configMapRef": {"name": "settings"}}]
        server.deliver(guard_raws.breaker(name="watcher"), "ADDED")
        guards.store.workloads.upsert(WorkloadKind.DEPLOYMENT, deployment)
        guards.store.replica_sets.upsert(owned)
        for name in ("web-6f8c-a", "web-6f8c-b"):
            guards.store.pods.upsert({**guard_raws.pod(name), "status": ready_pod()["status"]})
        await asyncio.sleep(120)
        status = server.objects[guard_raws.BREAKER_UID]["status"]
        assert status["missingReferences"] == {"revision": 1, "configMaps": ["settings"]}
        assert server.posted.count("RollbackAtRisk") == 1
        assert len(parts.references) == 1
        server.deliver(server.objects[guard_raws.BREAKER_UID], "DELETED")
        assert len(parts.references) == 0


async def test_an_event_that_waits_for_an_object_that_goes_is_posted_and_then_forgotten() -> None:
    async with operator() as (parts, _, server):
        server.deliver(guarded(uid=UID, name=NAME), "ADDED")
        await asyncio.sleep(0.5)  # it is said that the rollout begins, and events are held for 1 s
        parts.store.replica_sets.remove(replica_set(name=f"{NAME}-1", uid="rs-7", version=2000))
        server.deliver(server.objects[UID], "DELETED")
        assert find_traces(parts, UID) != []
        await asyncio.sleep(5)
        assert server.posted == ["RolloutStarted"]
        assert find_traces(parts, UID, NAME) == []


async def test_what_is_told_of_an_object_that_goes_during_a_look_is_forgotten_too() -> None:
    async with operator() as (parts, _, server):
        server.before_write = lambda: parts.store.remove_guarded(UID)
        server.deliver(guarded(uid=UID, name=NAME), "ADDED")
        await asyncio.sleep(5)
        assert server.posted == ["RolloutStarted"]
        parts.store.replica_sets.remove(replica_set(name=f"{NAME}-1", uid="rs-7", version=2000))
        assert find_traces(parts, UID, NAME) == []


async def test_a_deleted_circuit_breaker_leaves_nothing_and_its_workload_one_entry() -> None:
    """What is not guarded stays in the index of workloads, in four fields (G8), until it is deleted."""
    async with operator() as (_, guards, server):
        store, breaker = guards.store, guard_raws.BREAKER_UID
        server.deliver(guard_raws.breaker(name="watcher"), "ADDED")
        store.workloads.upsert(WorkloadKind.DEPLOYMENT, guard_raws.deployment())
        store.replica_sets.upsert(guard_raws.replica_set())
        store.pods.upsert(guard_raws.pod())
        await asyncio.sleep(5)
        record = store.find(Key("shop", "watcher"))
        assert record is not None
        workload = store.find_workload(record)
        assert workload is not None
        server.parts.recorder.say(workload, "RolloutFailed", "it is said of both", warning=True)
        server.takes_status = False  # so that it is tried again and again
        changed = server.objects[breaker]
        newer = {"generation": 2, "resourceVersion": "2000"}
        server.deliver({**changed, "metadata": {**changed["metadata"], **newer}})
        await asyncio.sleep(5)
        before = find_traces(guards, breaker, "watcher", "Deployment/web")
        for part in ("store._tracked", "store._guards", "queue._fails", "_shared.metrics"):
            assert any(path.startswith(f".{part}") for path in before), f"{part} is put to the test"
        server.deliver(server.objects[breaker], "DELETED")
        await asyncio.sleep(5)
        assert find_traces(guards, breaker, "watcher", "Deployment/web", "web-6f8c") == []
        uid = guard_raws.DEPLOYMENT_UID
        left = find_traces(guards, uid)
        kept = (
            ".store.workloads._briefs",
            ".store.workloads._targets",
            "._shared.recorder._posted",
        )
        assert [path for path in left if not path.startswith(kept)] == []
        assert any(path.startswith(kept[2]) for path in left)
        store.workloads.remove(uid)
        assert find_traces(guards, uid) == []
