"""Requests about guarded workloads: those of a trip in order, those of a new target, those of a label."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster import guard_raws as raws
from tests.unit.cluster.bench import Bench
from tests.unit.cluster.fake_api import answer, refuse, until
from tests.unit.cluster.memory_transport import serve_in_memory
from tests.unit.cluster.test_workload_store import Views
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ConflictError
from tripswitch.cluster.hold_executor import HoldExecutor
from tripswitch.cluster.leftovers import Leftovers
from tripswitch.cluster.loading import Loader
from tripswitch.cluster.opt_in import OptIn
from tripswitch.cluster.workload_index import OPT_IN
from tripswitch.domain.values.decision import Action, DeletePod
from tripswitch.domain.values.hold_actions import HoldWorkload, ReportTrip, ResizeRevision
from tripswitch.domain.values.protection import Mark, WorkloadKind

pytestmark = pytest.mark.looptime

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
SET = "/apis/apps/v1/namespaces/shop/replicasets/web-6f8c"
POD = "/api/v1/namespaces/shop/pods/web-6f8c-a"
BREAKERS = "/apis/tripswitch.dev/v1alpha1/namespaces/shop/deploymentcircuitbreakers"
PLACE = (WorkloadKind.DEPLOYMENT, "web", "uid-web", "10")
HOLD = HoldWorkload(*PLACE, Mark("web-2", raws.BREAKER_UID))
REPORT = ReportTrip(*PLACE, "bad")
RAISE = ResizeRevision("web-6f8c", "rs-6f8c", "10", 3, "uid-web", 3, 4)
HELD = raws.deployment(
    version=12,
    spec={"paused": True},
    metadata={
        "annotations": {
            "tripswitch.dev/tripped": "web-2",
            "tripswitch.dev/changed": f'{{"breaker": "{raws.BREAKER_UID}"}}',
        }
    },
)
DELETE = DeletePod("web-6f8c-a", "uid-web-6f8c-a", "10")


@asynccontextmanager
async def table(views: Views) -> AsyncIterator[tuple[Bench, Client]]:
    """Run a server that answers by a table."""
    made = Bench(filled=False)
    async with serve_in_memory(made.handle) as client:
        yield made, client


def holding() -> Views:
    views = Views()
    views.store.upsert_guarded(raws.breaker())
    return views.fill()


def a_list(*items: dict[str, Any]) -> web.Response:
    return answer({"metadata": {"resourceVersion": "90"}, "items": list(items)})


async def test_a_trip_is_written_in_order_each_on_the_version_of_the_one_before() -> None:
    """G4."""

    views = holding()
    async with table(views) as (server, client):
        held = {**raws.deployment(version=11), "kind": "Deployment"}
        server.on(f"PATCH {WEB}", answer(held))
        server.on(
            f"PATCH {WEB}/status",
            answer({**held, "metadata": {**held["metadata"], "resourceVersion": "12"}}),
        )
        server.on(f"PATCH {SET}", answer(raws.replica_set(version=13)))
        executor = HoldExecutor(client, views.store, lambda: 0.0)
        await executor.act(views.record(), "", [HOLD, REPORT, RAISE])
        assert [name for name, _ in server.requests] == [
            f"PATCH {WEB}",
            f"PATCH {WEB}/status",
            f"PATCH {SET}",
        ]
        versions = [body["metadata"]["resourceVersion"] for _, body in server.requests]
        assert versions == ["10", "11", "10"]
        found = views.store.replica_sets.find("rs-6f8c")
        assert found is not None
        assert found.view.resource_version == "13"


@pytest.mark.parametrize("code", [404, 409])
async def test_after_a_write_that_failed_no_other_follows(code: int) -> None:
    views = holding()
    async with table(views) as (server, client):
        server.on(f"PATCH {WEB}", refuse(code, "NotFound" if code == 404 else "Conflict"))
        server.on(f"GET {WEB}", answer(raws.deployment(version=13, spec={"replicas": 9})))
        executor = HoldExecutor(client, views.store, lambda: 0.0)
        with pytest.raises(ConflictError):
            await executor.act(views.record(), "", [HOLD, REPORT, RAISE])
        assert [name for name, _ in server.requests if name.startswith("PATCH")] == [f"PATCH {WEB}"]


async def test_what_a_status_of_the_controller_got_in_the_way_of_is_sent_again() -> None:
    """W1: it answers the pause with a status. Nothing that was decided depends on that."""
    views = holding()
    async with table(views) as (server, client):
        held = {**HELD, "metadata": {**HELD["metadata"], "generation": 3}}
        again = {**held, "status": {"observedGeneration": 3}}
        again = {**again, "metadata": {**again["metadata"], "resourceVersion": "13"}}
        server.on(f"PATCH {WEB}", answer(held))
        server.on(f"PATCH {WEB}/status", refuse(409, "Conflict"), answer(again))
        server.on(f"GET {WEB}", answer(again))
        executor = HoldExecutor(client, views.store, lambda: 0.0)
        await executor.act(views.record(), "", [HOLD, REPORT])
        sent = server.bodies(f"PATCH {WEB}/status")
        assert [body["metadata"]["resourceVersion"] for body in sent] == ["12", "13"]


@pytest.mark.parametrize("action", [RAISE, DELETE], ids=["resize", "delete"])
async def test_g5_what_somebody_has_resumed_is_left_alone_though_no_watch_has_told_of_it(
    action: Action,
) -> None:
    """Else each size would be written again and again, against the Deployment's own controller."""
    views = holding()
    async with table(views) as (server, client):
        server.on(f"GET {WEB}", answer(raws.deployment(version=12)))
        executor = HoldExecutor(client, views.store, lambda: 0.0)
        with pytest.raises(ConflictError, match="Deployment web is not held any more"):
            await executor.act(views.record(), "", [action])
        assert [name for name, _ in server.requests] == [f"GET {WEB}"]
        workload = views.snapshot().protected
        assert workload is not None
        assert workload.workload is not None
        assert workload.workload.resource_version == "12", "the next look knows"


async def test_a_workload_that_is_gone_has_no_pods_to_take() -> None:
    views = holding()
    async with table(views) as (server, client):
        server.on(f"GET {WEB}", refuse(404, "NotFound"))
        executor = HoldExecutor(client, views.store, lambda: 0.0)
        with pytest.raises(ConflictError, match="Deployment web is gone"):
            await executor.act(views.record(), "", [RAISE])


async def test_a_pod_is_deleted_on_the_version_that_was_looked_at() -> None:
    views = holding()
    async with table(views) as (server, client):
        server.on(f"GET {WEB}", answer(HELD))
        server.on(f"DELETE {POD}", answer({"kind": "Status"}))
        executor = HoldExecutor(client, views.store, lambda: 0.0)
        await executor.act(views.record(), "", [DELETE])
        _, (_, body) = server.requests
        assert body["preconditions"] == {"uid": "uid-web-6f8c-a", "resourceVersion": "10"}
        assert len(views.store.pods) == 0


async def in_background(run: Callable[[], Awaitable[None]], reached: Callable[[], object]) -> None:
    """Run a task until something is reached."""
    task = asyncio.ensure_future(run())
    try:
        await until(reached)
    finally:
        task.cancel()


async def test_the_workload_of_a_new_breaker_is_read() -> None:
    views = Views().fill()
    async with table(views) as (server, client):
        loader = Loader(client, views.store, retry_seconds=0.01)
        views.store.load = loader.ask
        sets, pods = "/apis/apps/v1/namespaces/shop/replicasets", "/api/v1/namespaces/shop/pods"
        server.on(f"GET {WEB}", refuse(500), answer(raws.deployment()))
        server.on(f"GET {sets}", a_list(raws.replica_set()))
        server.on(f"GET {pods}", a_list(raws.pod(), raws.stateful_pod()))
        views.store.upsert_guarded(raws.breaker())
        await in_background(loader.run, lambda: views.store.is_ready(views.record()))
        (revision,) = views.snapshot().replica_sets
        assert [pod.name for pod in revision.pods] == ["web-6f8c-a"]


async def test_a_stateful_set_is_read_with_its_controller_revisions() -> None:
    views = Views()
    async with table(views) as (server, client):
        loader = Loader(client, views.store)
        views.store.load = loader.ask
        apps = "/apis/apps/v1/namespaces/shop"
        server.on(f"GET {apps}/statefulsets/db", answer(raws.stateful_set(selector={})))
        server.on(f"GET {apps}/controllerrevisions", a_list(raws.controller_revision()))
        server.on("GET /api/v1/namespaces/shop/pods", a_list(raws.stateful_pod()))
        views.store.upsert_guarded(raws.breaker(target="StatefulSet/db"))
        await in_background(loader.run, lambda: views.store.is_ready(views.record()))
        assert len(views.store.pods) == 1


async def test_a_target_that_does_not_exist_is_known_not_to() -> None:
    views = Views()
    async with table(views) as (server, client):
        loader = Loader(client, views.store)
        views.store.load = loader.ask
        views.store.upsert_guarded(raws.breaker("gone", "uid-2", target="Deployment/gone"))
        views.store.remove_guarded("uid-2")  # before it could be read
        server.on(f"GET {WEB}", refuse(404, "NotFound"))
        views.store.upsert_guarded(raws.breaker())
        await in_background(loader.run, lambda: views.store.is_ready(views.record()))
        await loader.drain()
        assert len(server.requests) == 1


# --- what a breaker that is gone has left ---------------------------------------------------------

MARKS = HELD["metadata"]["annotations"]
STALLED = {"type": "Stalled", "status": "True", "reason": "CircuitBreakerTriggered"}


def left(version: int, annotations: Any = MARKS, *told: Any, **spec: Any) -> dict[str, Any]:
    """A Deployment with these marks and conditions."""
    status = {**raws.deployment()["status"], "conditions": list(told)}
    return raws.deployment(
        version=version, spec=spec, metadata={"annotations": annotations}, status=status
    )


@asynccontextmanager
async def cleaning(views: Views) -> AsyncIterator[Bench]:
    gate = asyncio.Event()
    gate.set()
    async with table(views) as (server, client):
        task = asyncio.ensure_future(Leftovers(client, views.store, gate).run())
        yield server
        task.cancel()


async def test_g9_a_workload_that_was_resumed_without_its_breaker_loses_condition_and_mark() -> (
    None
):
    """The mark last, each on the version of the one before; a write that failed comes again with a version."""
    views = Views()
    async with cleaning(views) as server:
        server.on(f"PATCH {WEB}/status", refuse(500), answer(left(14)), refuse(409, "Conflict"))
        server.on(f"PATCH {WEB}", answer(left(15, {})))
        views.deployments.upsert(left(11, MARKS, STALLED, paused=True))
        views.deployments.upsert(left(12, MARKS, STALLED))
        await until(lambda: len(server.requests) == 1)
        views.deployments.upsert(left(13, MARKS, STALLED))
        await until(lambda: len(server.requests) == 3)
        (_, first), (how, second), (what, third) = server.requests
        assert first["metadata"]["resourceVersion"] == "12"
        assert how == f"PATCH {WEB}/status"
        assert second["metadata"] == {"uid": "uid-web", "resourceVersion": "13"}
        assert second["status"] == {"conditions": [{"$patch": "delete", "type": "Stalled"}]}
        assert what == f"PATCH {WEB}"
        assert third["metadata"]["resourceVersion"] == "14"
        assert third["metadata"]["annotations"]["tripswitch.dev/tripped"] is None
        assert "spec" not in third
        views.deployments.upsert(left(16, MARKS, STALLED))  # an undo brought it back
        await until(lambda: len(server.requests) == 4)


async def test_g9_what_is_still_paused_or_guarded_is_left_alone() -> None:
    views = Views()
    async with cleaning(views) as server:
        views.deployments.upsert(left(11, MARKS, STALLED, paused=True))
        views.store.upsert_guarded(raws.breaker())
        views.deployments.upsert(left(12, MARKS, STALLED))
        await asyncio.sleep(1)
        assert server.requests == []


async def test_g9_a_breaker_that_is_deleted_before_it_could_clean_up_leaves_nothing() -> None:
    views = Views()
    async with cleaning(views) as server:
        server.on(f"PATCH {WEB}", answer(left(13, {})))
        views.store.upsert_guarded(raws.breaker())
        views.deployments.upsert(left(12))
        views.store.remove_guarded(raws.BREAKER_UID)
        await until(lambda: server.requests)
        assert [path for path, _ in server.requests] == [f"PATCH {WEB}"]


def labelled(value: str, version: int = 11) -> dict[str, Any]:
    return raws.deployment(version=version, metadata={"labels": {OPT_IN: value}})


@asynccontextmanager
async def opting_in(views: Views) -> AsyncIterator[tuple[Bench, OptIn]]:
    gate = asyncio.Event()
    gate.set()
    async with table(views) as (server, client):
        opt_in = OptIn(client, views.store, gate, retry_seconds=0.01)
        task = asyncio.ensure_future(opt_in.run())
        yield server, opt_in
        task.cancel()


def made(mode: str, version: int = 20) -> dict[str, Any]:
    return raws.breaker(
        "web-deployment",
        version=version,
        mode=mode,
        annotations={"tripswitch.dev/made-by": "label"},
    )


async def test_a_label_makes_a_breaker_that_its_workload_owns() -> None:
    """G8. A write that failed is tried again."""

    views = Views()
    async with opting_in(views) as (server, _):
        taken = refuse(409, "AlreadyExists")
        server.on(f"POST {BREAKERS}", refuse(500), answer({}, 201), taken)
        views.deployments.upsert(labelled("observe"))
        await until(lambda: len(server.requests) == 2)
        body = server.requests[1][1]
        assert body["metadata"]["name"] == "web-deployment"
        assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-web"
        assert body["spec"]["mode"] == "Observe"
        assert body["spec"]["targetRef"]["name"] == "web"
        views.deployments.upsert(labelled("enforce", 12))
        await until(lambda: len(server.requests) == 3)


async def test_a_label_that_says_nothing_we_know_is_told_and_capitals_mean_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G8: whoever wrote it believes that the workload is guarded."""
    views = Views()
    async with opting_in(views) as (server, opt_in):
        views.deployments.upsert(labelled("enforced"))
        await until(lambda: not opt_in._waiting)  # noqa: SLF001
        assert server.requests == []
        assert "shop/web has the value 'enforced': write enforce, observe or off" in caplog.text
        server.on(f"POST {BREAKERS}", answer({}, 201))
        views.deployments.upsert(labelled("Enforce", 12))
        await until(lambda: server.requests)
        assert server.requests[0][1]["spec"]["mode"] == "Enforce"


async def test_another_label_changes_the_mode_and_none_deletes_what_it_made() -> None:
    views = Views()
    async with opting_in(views) as (server, _):
        name = f"{BREAKERS}/web-deployment"
        views.store.upsert_guarded(made("Observe"))
        server.on(f"PATCH {name}", answer({}))
        views.deployments.upsert(labelled("enforce"))
        await until(lambda: server.requests)
        assert server.requests[0][1]["spec"] == {"mode": "Enforce"}
        views.store.upsert_guarded(made("Enforce", 21))
        server.on(f"DELETE {name}", answer({}), refuse(404, "NotFound"))
        views.deployments.upsert(labelled("off", 12))
        await until(lambda: len(server.requests) == 2)
        views.deployments.upsert(labelled("", 13))
        await until(lambda: len(server.requests) == 3)
        assert server.requests[2][1]["preconditions"] == {"uid": raws.BREAKER_UID}


async def test_a_workload_that_is_being_deleted_keeps_no_breaker_and_gets_none() -> None:
    """With --cascade=orphan its breaker would stay, owned by nothing, and outlive also the next workload."""
    views = Views()
    async with opting_in(views) as (server, opt_in):
        name = f"{BREAKERS}/web-deployment"
        views.deployments.upsert(labelled("enforce"))
        views.store.upsert_guarded(made("Enforce"))
        await until(lambda: not opt_in._waiting)  # noqa: SLF001
        server.on(f"DELETE {name}", answer({}))
        going = labelled("enforce", 12)
        going["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"
        views.deployments.upsert(going)
        await until(lambda: server.requests)
        views.store.remove_guarded(raws.BREAKER_UID)
        await until(lambda: not opt_in._waiting)  # noqa: SLF001
        assert [path for path, _ in server.requests] == [f"DELETE {name}"]


async def test_a_breaker_that_a_person_made_is_left_alone() -> None:
    views = Views()
    async with opting_in(views) as (server, opt_in):
        views.store.upsert_guarded(raws.breaker(mode="Observe"))
        views.deployments.upsert(labelled("enforce"))
        views.deployments.upsert(labelled("off", 12))
        views.deployments.remove(labelled("off", 13))
        await until(lambda: not opt_in._waiting)  # noqa: SLF001
        assert server.requests == []


def namespace(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "uid": "ns", "labels": labels}}


async def test_a_namespaces_label_is_for_all_its_workloads_and_comes_after_their_own() -> None:
    """G8."""

    views = Views()
    async with opting_in(views) as (server, opt_in):
        views.deployments.upsert(labelled("off"))
        views.stateful_sets.upsert(raws.stateful_set())
        server.on(f"POST {BREAKERS}", answer({}, 201))
        opt_in.namespaces.upsert(namespace(**{OPT_IN: "enforce"}))
        opt_in.namespaces.upsert(namespace(**{OPT_IN: "enforce"}))
        await until(lambda: server.requests and not opt_in._waiting)  # noqa: SLF001
        ((_, body),) = server.requests
        assert body["metadata"]["name"] == "db-statefulset"
        opt_in.namespaces.retain(None, set(), 5)
        opt_in.namespaces.remove(namespace())
        assert opt_in.namespaces.find("shop") == ""
