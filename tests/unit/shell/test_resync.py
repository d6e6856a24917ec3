"""What kopf does not tell about GuardedDeployments is found by comparing names and versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.bench import WEB, Bench, bench
from tests.unit.cluster.fake_api import answer, refuse, until
from tests.unit.cluster.raws import guarded, replica_set
from tripswitch.cluster.client import METADATA_ONLY
from tripswitch.cluster.errors import NotFoundError
from tripswitch.cluster.store import Key
from tripswitch.shell.resync import USUAL, Resync, Timing

pytestmark = pytest.mark.looptime

ALL = "/apis/tripswitch.dev/v1alpha1/guardeddeployments"
ALL_SETS = "/apis/apps/v1/replicasets"
SETS = "/apis/apps/v1/namespaces/shop/replicasets"
SHOP = "/apis/tripswitch.dev/v1alpha1/namespaces/shop/guardeddeployments"


def listed(*items: dict[str, Any], version: int = 100) -> web.Response:
    return answer({"metadata": {"resourceVersion": str(version)}, "items": list(items)})


def make_resync(it: Bench, *namespaces: str, timing: Timing = USUAL) -> Resync:
    return Resync(it.client, it.store, it.executor, namespaces or [None], timing=timing)


async def until_forgotten(it: Bench, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait for what the comparison does in its own time, however slow the machine is."""
    async with asyncio.timeout(30):
        while it.store.find(WEB) is not None:
            meanwhile()
            await asyncio.sleep(0.02)


async def test_the_first_list_fills_the_store() -> None:
    async with bench(filled=False) as it:
        it.on(f"GET {ALL}", listed(guarded(), guarded(name="api", uid="gd-2")))
        await make_resync(it).fill()
        assert {record.key.name for record in it.store.records()} == {"web", "api"}


async def test_without_the_crd_it_says_so() -> None:
    async with bench(filled=False) as it:
        it.on(f"GET {ALL}", refuse(404, "NotFound"))
        with pytest.raises(NotFoundError):
            await make_resync(it).fill()


async def test_what_is_gone_is_dropped_and_reported() -> None:
    async with bench() as it:
        it.dirty.clear()
        it.on(f"GET {ALL}", listed())
        await make_resync(it).compare(None)
        assert it.store.find(WEB) is None
        assert it.dirty == [WEB]


async def test_what_is_newer_than_the_list_is_kept() -> None:
    async with bench() as it:
        it.on(f"GET {ALL}", listed(version=9))
        await make_resync(it).compare(None)
        assert it.store.find(WEB) is not None


async def test_missed_versions_and_objects_are_fetched() -> None:
    async with bench() as it:
        api = guarded(name="api", uid="gd-2", version=30)
        it.on(f"GET {ALL}", listed(guarded(version=40), api))
        it.on(f"GET {SHOP}/web", answer(guarded(version=40, replicas=7)))
        it.on(f"GET {SHOP}/api", answer(api))
        await make_resync(it).compare(None)
        assert it.snapshot.guarded.spec.replicas == 7
        assert it.store.find(Key("shop", "api")) is not None


async def test_one_that_was_made_again_replaces_the_old_one() -> None:
    async with bench() as it:
        again = guarded(uid="gd-2", version=50)
        it.on(f"GET {ALL}", listed(again))
        it.on(f"GET {SHOP}/web", answer(again))
        await make_resync(it).compare(None)
        assert it.record.uid == "gd-2"


async def test_a_process_that_begins_to_lead_fetches_every_size_it_has_not_seen() -> None:
    async with bench() as it:
        newer = replica_set(version=60, size=9)
        made = replica_set(name="web-new", uid="rs-2", version=61, size=5)
        gone = replica_set(name="web-gone", uid="rs-3", version=62)
        it.on(f"GET {ALL}", listed(guarded()))
        it.on(f"GET {ALL_SETS}", listed(newer, made, gone))
        it.on(f"GET {SETS}/web-6f8c", answer(newer))
        it.on(f"GET {SETS}/web-new", answer(made))
        it.on(f"GET {SETS}/web-gone", refuse(404, "NotFound"))
        await make_resync(it).catch_up()
        sizes = {rs.name: rs.size for rs in it.snapshot.replica_sets}
        assert sizes == {"web-6f8c": 9, "web-new": 5}
        asked = len(it.requests)
        it.on(f"GET {ALL}", listed(guarded()))
        it.on(f"GET {ALL_SETS}", listed(newer, made))
        await make_resync(it).catch_up()
        assert len(it.requests) == asked + 2, "what is known is not fetched again"


async def test_a_process_that_begins_to_lead_lists_names_and_versions_and_no_pods() -> None:
    """Its own watches have filled its caches while it waited for the Lease."""
    async with bench() as it:
        it.on(f"GET {ALL}", listed(guarded()))
        it.on(f"GET {ALL_SETS}", listed(replica_set()))
        await make_resync(it).catch_up()
        assert [name for name, _ in it.requests] == [f"GET {ALL}", f"GET {ALL_SETS}"]
        assert set(it.accepted) == {METADATA_ONLY}


async def test_a_watch_that_owes_a_version_is_told_until_it_speaks() -> None:
    async with bench() as it:
        looking = make_resync(it)
        it.on(f"GET {ALL}", listed(guarded()))
        await looking.compare(None)
        assert looking.missed_since is None
        it.on(f"GET {ALL}", listed(guarded(version=40)))
        it.on(f"GET {SHOP}/web", answer(guarded(version=40)))
        await looking.compare(None)
        assert looking.missed_since is not None
        looking.hear()
        assert looking.missed_since is None


async def test_a_watch_that_speaks_during_the_comparison_owes_nothing() -> None:
    async with bench() as it:
        looking = make_resync(it)
        it.on(f"GET {ALL}", listed(guarded(version=40)))
        it.on(f"GET {SHOP}/web", answer(guarded(version=40)))
        comparing = asyncio.create_task(looking.compare(None))
        await until(lambda: it.bodies(f"GET {SHOP}/web"))
        looking.hear()
        await comparing
        assert looking.missed_since is None


async def test_an_object_that_vanishes_during_the_comparison_is_owed_by_nobody() -> None:
    async with bench() as it:
        looking = make_resync(it)
        it.on(f"GET {ALL}", listed(guarded(version=40)))
        it.on(f"GET {SHOP}/web", refuse(404, "NotFound"))
        await looking.compare(None)
        assert looking.missed_since is None


async def test_a_namespace_that_cannot_be_had_does_not_keep_the_others_from_being_compared() -> (
    None
):
    async with bench() as it:
        closed = "/apis/tripswitch.dev/v1alpha1/namespaces/closed/guardeddeployments"
        it.on(f"GET {closed}", refuse(403, "Forbidden"))
        it.on(f"GET {SHOP}", listed())
        looking = make_resync(it, "closed", "shop", timing=Timing(settle=0.01))
        task = asyncio.create_task(looking.run())
        looking.soon()
        await until(lambda: it.store.find(WEB) is None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_namespace_is_compared_with_itself_only() -> None:
    async with bench() as it:
        elsewhere = "/apis/tripswitch.dev/v1alpha1/namespaces/elsewhere/guardeddeployments"
        it.on(f"GET {elsewhere}", listed())
        await make_resync(it, "elsewhere").compare("elsewhere")
        assert it.store.find(WEB) is not None


async def test_after_a_re_list_it_compares_and_trouble_does_not_end_it() -> None:
    async with bench() as it:
        it.on(f"GET {ALL}", refuse(503), listed())
        looking = make_resync(it, timing=Timing(settle=0.01))
        task = asyncio.create_task(looking.run())
        await until_forgotten(it, looking.soon)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_compares_from_time_to_time_also_when_nobody_asks() -> None:
    async with bench() as it:
        it.on(f"GET {ALL}", listed())
        task = asyncio.create_task(make_resync(it, timing=Timing(every=0.05)).run())
        await until_forgotten(it)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
