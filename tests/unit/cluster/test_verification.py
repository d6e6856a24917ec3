"""Rules V1 and V3: what is read anew before a verdict by time, and what that proves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.bench import WEB
from tests.unit.cluster.fake_api import answer, refuse
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.raws import T0, at, guarded, ready_pod, replica_set, unready_pod
from tripswitch.cluster import verification
from tripswitch.cluster.store import Key, Store
from tripswitch.cluster.verification import Verifier
from tripswitch.domain.values.sight import UNKNOWN, AttemptEvent, Check, Sight

pytestmark = pytest.mark.looptime

NODE = "node-1"
NODE_PATH = f"/api/v1/nodes/{NODE}"
LEASE_PATH = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}"
PODS_PATH = "/api/v1/namespaces/shop/pods"
EVENTS_PATH = "/api/v1/namespaces/shop/events"
PULL = 'Failed to pull image "web:2": not found'


def listing(*items: dict[str, Any], version: int = 500) -> web.Response:
    return answer({"metadata": {"resourceVersion": str(version)}, "items": list(items)})


def node(ready: str = "True") -> web.Response:
    return answer({"status": {"conditions": [{"type": "Ready", "status": ready}]}})


def lease(renewed: float, duration: int | None = 40) -> web.Response:
    return answer({"spec": {"renewTime": at(renewed), "leaseDurationSeconds": duration}})


def failed(message: str, count: int, *, pod: str = "pod-1", path: str = "web") -> dict[str, Any]:
    about = {"uid": pod, "fieldPath": f"spec.containers{{{path}}}"}
    return {"involvedObject": about, "message": message, "count": count, "reason": "Failed"}


class VerifierBench:
    def __init__(self) -> None:
        self.now = T0 + 1000
        self.dirty: list[Key] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Callable[[], web.Response]] = {
            PODS_PATH: lambda: listing(unready_pod(version=400)),
            EVENTS_PATH: listing,
            NODE_PATH: node,
            LEASE_PATH: lambda: lease(990),
        }
        self.store = Store(self.dirty.append, lambda: self.now)
        self.store.upsert_guarded(guarded())
        self.store.replica_sets.upsert(replica_set())
        self.store.pods.upsert(unready_pod())
        self.dirty.clear()
        self.verifier: Verifier

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query)))
        return self.answers[request.path]()

    async def check(self, *nodes: str, events: bool = False, pods: bool = True) -> Sight:
        record = self.store.find(WEB)
        assert record is not None
        (rs,) = self.store.snapshot(record).replica_sets
        self.verifier.ask(record, Check(rs.name, rs.uid, frozenset(nodes), events, pods))
        await self.verifier.drain()
        return self.sight

    @property
    def sight(self) -> Sight:
        record = self.store.find(WEB)
        assert record is not None
        return self.store.snapshot(record).sight


@asynccontextmanager
async def bench() -> AsyncIterator[VerifierBench]:
    it = VerifierBench()
    async with serve_in_memory(it.handle) as client:
        it.verifier = Verifier(client, it.store, lambda: it.now)
        task = asyncio.create_task(it.verifier.run())
        yield it
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_v1_one_list_shows_the_pods_as_they_are_and_when_it_was_begun() -> None:
    """The watch is silent: on the server the pod has been Ready for long."""

    async with bench() as it:

        def answer_slowly() -> web.Response:
            it.now += 8
            return listing(ready_pod(version=400))

        it.answers[PODS_PATH] = answer_slowly
        assert it.sight == UNKNOWN
        assert await it.check() == Sight(as_of=T0 + 1000)
        record = it.store.find(WEB)
        assert record is not None
        ((pod,),) = [rs.pods for rs in it.store.snapshot(record).replica_sets]
        assert pod.ready_since is not None
        assert it.asked == [
            (PODS_PATH, {"labelSelector": "tripswitch.dev/template-hash=6f8c", "limit": "100"})
        ]
        assert it.dirty.count(WEB) == 2, "the pod is another one, and more is known"


async def test_v1_a_pod_that_the_list_does_not_have_is_gone_unless_it_is_newer() -> None:

    async with bench() as it:
        it.store.pods.upsert(unready_pod(name="newer", uid="pod-2", version=501))
        it.answers[PODS_PATH] = lambda: listing(version=500)
        await it.check()
        record = it.store.find(WEB)
        assert record is not None
        (pods,) = [rs.pods for rs in it.store.snapshot(record).replica_sets]
        assert [pod.name for pod in pods] == ["newer"]


@pytest.mark.parametrize(
    ("node_answer", "lease_answer", "alive"),
    [
        pytest.param(node, lambda: lease(1002), True, id="it reports"),
        pytest.param(node, lambda: lease(992), False, id="its Lease was not renewed"),
        pytest.param(node, lambda: lease(1012), False, id="it was away for a renewal"),
        pytest.param(node, lambda: refuse(404, "NotFound"), False, id="its Lease is gone"),
        pytest.param(node, lambda: lease(1012, duration=80), True, id="it renews every 20 s"),
        pytest.param(node, lambda: lease(1002, duration=None), True, id="it does not say how often"),
        pytest.param(node, lambda: lease(1002, duration=-1), True, id="it says so wrongly"),
        pytest.param(lambda: node("False"), lambda: lease(1002), False, id="it is not Ready"),
        pytest.param(lambda: node("Unknown"), lambda: lease(1002), False, id="nobody knows"),
        pytest.param(lambda: refuse(404, "NotFound", 'nodes "node-1" not found'), lambda: lease(1002), False, id="it is gone"),
    ],
)  # fmt: skip
async def test_v3_a_node_is_alive_that_renews_its_lease_after_the_first_look(
    node_answer: Callable[[], web.Response],
    lease_answer: Callable[[], web.Response],
    *,
    alive: bool,
) -> None:

    async with bench() as it:
        it.answers[LEASE_PATH] = lambda: lease(992)
        deadline = it.now
        sight = await it.check(NODE, pods=False)
        assert not sight.confirms(deadline, NODE)
        it.now += 10
        it.answers |= {NODE_PATH: node_answer, LEASE_PATH: lease_answer}
        assert not (await it.check(NODE, pods=False)).confirms(deadline, NODE)
        assert (await it.check()).confirms(deadline, NODE) is alive


@pytest.mark.parametrize(
    ("node_answer", "lease_answer", "alive"),
    [
        pytest.param(node, lambda: refuse(404, "NotFound", 'leases "node-1" not found'), True, id="it has no Lease"),
        pytest.param(node, lambda: answer({"spec": {}}), True, id="its Lease was never renewed"),
        pytest.param(lambda: node("False"), lambda: refuse(404, "NotFound"), False, id="without a Lease, and not Ready"),
        pytest.param(lambda: refuse(404, "NotFound"), lambda: refuse(404, "NotFound"), False, id="it is gone"),
        pytest.param(lambda: node("False"), lambda: refuse(403, "Forbidden"), True, id="no right to read the Lease"),
        pytest.param(lambda: refuse(403, "Forbidden"), lambda: refuse(404, "NotFound"), True, id="no right to read the node"),
    ],
)  # fmt: skip
async def test_v3_without_a_lease_the_first_look_says_whether_a_node_may_be_dead(
    node_answer: Callable[[], web.Response],
    lease_answer: Callable[[], web.Response],
    *,
    alive: bool,
) -> None:

    async with bench() as it:
        it.answers |= {NODE_PATH: node_answer, LEASE_PATH: lease_answer}
        sight = await it.check(NODE)
        assert sight.confirms(T0 + 1000, NODE) is alive
        assert sight.has_lost(NODE, T0 + 1000) is not alive


async def test_v3_one_look_at_each_node_and_one_list_serve_all_pods() -> None:

    async with bench() as it:
        await it.check(NODE, pods=False)
        assert [path for path, _ in it.asked] == [LEASE_PATH]
        it.now += 10
        it.answers[LEASE_PATH] = lambda: lease(1000)
        await it.check(NODE, pods=False)
        assert [path for path, _ in it.asked] == [LEASE_PATH, LEASE_PATH, NODE_PATH]
        await it.check()
        assert it.asked.pop()[0] == PODS_PATH
        it.now += 10
        await it.check(NODE, pods=False)
        assert [path for path, _ in it.asked[3:]] == [LEASE_PATH], "a dead node costs one look"


async def test_v3_what_is_known_of_other_nodes_is_kept_for_a_while() -> None:

    async with bench() as it:
        other = LEASE_PATH.replace(NODE, "node-2")
        it.answers[other] = lambda: lease(990)
        await it.check(NODE, pods=False)
        it.now += verification.LIFE_KEPT_SECONDS
        assert set((await it.check("node-2", pods=False)).lives or ()) == {NODE, "node-2"}
        it.now += 1
        assert set((await it.check(pods=False)).lives or ()) == {"node-2"}


async def test_v3_the_pods_are_read_after_the_lease() -> None:
    """The kubelet renews its Lease first and then reports its pods, when it was cut off."""

    async with bench() as it:
        await it.check(NODE)
        assert [path for path, _ in it.asked] == [LEASE_PATH, PODS_PATH]
        it.asked.clear()
        it.now += 5
        before = await it.check(NODE, pods=False)
        assert before.as_of == T0 + 1000, "no pods were read"


async def test_f2_the_events_of_the_rollouts_pods_are_read_when_they_are_asked_for() -> None:

    async with bench() as it:
        told = [
            failed(PULL, 3),
            failed(PULL, 7, pod="another's"),
            {"involvedObject": {"uid": "pod-1"}, "message": "Error: x", "series": {"count": 2}},
        ]
        it.answers[EVENTS_PATH] = lambda: listing(*told)
        assert (await it.check()).events is None
        assert (await it.check(events=True)).events == (
            AttemptEvent("pod-1", "web", PULL, 3),
            AttemptEvent("pod-1", "", "Error: x", 2),
        )
        assert "reason=Failed" in it.asked[-1][1]["fieldSelector"]


async def test_without_the_right_to_read_events_the_rest_is_known_all_the_same() -> None:

    async with bench() as it:
        it.answers[EVENTS_PATH] = lambda: refuse(403, "Forbidden")
        assert await it.check(events=True) == Sight(as_of=T0 + 1000)


async def test_no_more_events_are_read_than_a_check_is_worth() -> None:

    async with bench() as it:
        pages = 0

        def page() -> web.Response:
            nonlocal pages
            pages += 1
            items = [failed(PULL, 1, pod="another's")] * 1000
            return answer({"metadata": {"continue": "more"}, "items": items})

        it.answers[EVENTS_PATH] = page
        await it.check(events=True)
        enough = verification.MAX_EVENTS // 1000
        assert pages in (enough, enough + 1), "the next one may be on its way"


@pytest.mark.parametrize("path", [PODS_PATH, NODE_PATH, LEASE_PATH, EVENTS_PATH])
async def test_v1_what_cannot_be_read_proves_nothing(path: str) -> None:

    async with bench() as it:
        before = await it.check(NODE, pods=False)
        it.now += 10
        it.answers[LEASE_PATH] = lambda: lease(1000)
        it.answers[path] = lambda: refuse(503, message="away")
        assert await it.check(NODE, events=True) == before


async def test_after_a_check_that_failed_the_object_is_looked_at_again() -> None:

    async with bench() as it:
        it.answers[PODS_PATH] = lambda: refuse(500, message="broken")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await it.check()
        assert it.dirty == []
        async with asyncio.timeout(20):
            while WEB not in it.dirty:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.05)
        assert loop.time() - began >= verification.RETRY_SECONDS


async def test_one_check_of_an_object_at_a_time() -> None:

    async with bench() as it:
        record = it.store.find(WEB)
        assert record is not None
        for _ in range(5):
            it.verifier.ask(record, Check("web-6f8c", "rs-1"))
        it.verifier.ask(record, None)
        await it.verifier.drain()
        assert len(it.asked) == 1
        it.verifier.ask(record, Check("web-6f8c", "rs-1"))
        await it.verifier.drain()
        assert len(it.asked) == 2


async def test_an_answer_about_an_object_that_is_gone_has_nowhere_to_go() -> None:

    async with bench() as it:
        record = it.store.find(WEB)
        assert record is not None
        it.store.remove_guarded(record.uid)
        it.dirty.clear()
        it.verifier.ask(record, Check("web-6f8c", "rs-1"))
        await it.verifier.drain()
        it.store.upsert_guarded(guarded(uid="the-next", version=900))
        assert it.sight == UNKNOWN
