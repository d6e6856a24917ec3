"""One look: status first, then actions, then what is told; every kind of trouble has its way out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.bench import WEB, Bench, bench
from tests.unit.cluster.fake_api import answer, refuse, until
from tests.unit.cluster.raws import at, ended, guarded, pod, ready_pod, waiting
from tripswitch.cluster.events import Recorder
from tripswitch.cluster.log_context import About, read_about
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.reconciler import Reconciler
from tripswitch.shell.workqueue import TryAgainError
from tripswitch.shell.write_budget import WriteBudget

pytestmark = pytest.mark.looptime

GUARD = "/apis/tripswitch.dev/v1alpha1/namespaces/shop/guardeddeployments/web"
NEWER = {"resourceVersion": "120"}
SETS = "/apis/apps/v1/namespaces/shop/replicasets"


class Said(Recorder):
    """Keeps what it is told."""

    def __init__(self, it: Bench) -> None:
        super().__init__(it.client, lambda: it.now)
        self.said: list[tuple[str, str]] = []

    def say(self, about: Any, reason: str, message: str, *, warning: bool, topic: str = "") -> None:
        self.said.append((reason, message))


class Setup:
    def __init__(self, it: Bench) -> None:
        self.it = it
        self.metrics = Metrics()
        self.recorder = Said(it)
        self.reconciler = Reconciler(
            it.store, it.executor, self.recorder, self.metrics, lambda: it.now
        )

    @property
    def budget(self) -> WriteBudget:
        return self.reconciler.budget

    async def look(self) -> float | None:
        marked = asyncio.get_running_loop().time()
        return await self.reconciler.reconcile(WEB, marked)

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.recorder.said]


def written(it: Bench, version: int) -> Any:
    """The object as the server holds it after the last status was written."""
    (*_, body) = it.bodies(f"PUT {GUARD}/status")
    return {**guarded(version=version), "status": body["status"]}


def created(it: Bench) -> dict[str, Any]:
    """The ReplicaSet as the server holds it after the last one was created."""
    (*_, body) = it.bodies(f"POST {SETS}")
    made: dict[str, Any] = {**body, "metadata": {**body["metadata"]}}
    made["metadata"] |= {"uid": "rs-7", "resourceVersion": "80", "creationTimestamp": at(1000)}
    return made


async def started(it: Bench) -> Setup:
    """A rollout after its first look: the status is written, its ReplicaSet is there, without pods."""
    it.store.upsert_guarded(guarded())
    setup = Setup(it)
    it.on(f"PUT {GUARD}/status", answer(guarded(version=11)))
    it.on(f"POST {SETS}", answer({}, 201))
    await setup.look()
    it.store.upsert_guarded(written(it, 12))
    it.store.replica_sets.upsert(created(it))
    return setup


async def test_the_first_look_writes_the_status_then_creates_then_tells() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        setup = Setup(it)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=11)))
        it.on(f"POST {SETS}", answer({}, 201))
        await setup.look()
        names = [name for name, _ in it.requests]
        assert names == [f"PUT {GUARD}/status", f"POST {SETS}"]
        assert setup.reasons == ["RolloutStarted"]
        assert b'tripswitch_breaker_threshold{name="web",namespace="shop"} 3.0' in (
            setup.metrics.render()
        )


async def test_looked_at_again_nothing_is_written_twice() -> None:
    async with bench(filled=False) as it:
        setup = await started(it)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=13)))
        await setup.look()  # it shows the ReplicaSet that is there now
        it.store.upsert_guarded(written(it, 14))
        before = len(it.requests)
        assert await setup.look() is not None  # the progress deadline
        assert len(it.requests) == before


def unlabelled(raw: dict[str, Any], version: int) -> dict[str, Any]:
    """A version that has lost the label by which it is watched."""
    labels = {
        name: value for name, value in raw["metadata"]["labels"].items() if name != HASH_LABEL
    }
    return {
        **raw,
        "metadata": {**raw["metadata"], "labels": labels, "resourceVersion": str(version)},
    }


@pytest.mark.parametrize("who", ["pod", "ReplicaSet"])
async def test_what_lost_its_label_and_got_it_back_counts_on(who: str) -> None:
    """W4: the rollout completes, and nothing is created again."""

    async with bench(filled=False) as it:
        setup = await started(it)
        pods = [
            ready_pod(name=f"web-{n}", uid=f"pod-{n}", owner="rs-7", version=100 + n)
            for n in range(4)
        ]
        for raw in pods:
            it.store.pods.upsert(raw)
        if who == "pod":
            it.store.pods.remove(unlabelled(pods[0], 110))
            it.store.pods.upsert({**pods[0], "metadata": {**pods[0]["metadata"]} | NEWER})
        else:
            it.store.replica_sets.remove(unlabelled(created(it), 110))
            raw = created(it)
            it.store.replica_sets.upsert({**raw, "metadata": {**raw["metadata"]} | NEWER})
        it.on(f"PUT {GUARD}/status", answer(guarded(version=13)))
        it.on(f"PATCH {SETS}/{created(it)['metadata']['name']}", answer(created(it)))
        asked = len(it.requests)
        await setup.look()
        assert [name for name, _ in it.requests[asked:] if name.startswith("POST")] == []
        (*_, body) = it.bodies(f"PUT {GUARD}/status")
        status = body["status"]
        assert status["rollout"]["status"] == "SUCCESSFUL"
        assert status["availableReplicas"] == 4
        shown = {one["type"]: one["status"] for one in status["conditions"]}
        assert shown["Available"] == "True"


async def test_a_replica_set_that_lost_its_label_for_good_is_labelled_once_and_kept() -> None:
    """W4: no look creates it in vain again and again."""

    async with bench(filled=False) as it:
        setup = await started(it)
        own = created(it)
        name = own["metadata"]["name"]
        bare = unlabelled(own, 110)
        it.store.replica_sets.remove(bare)
        it.on(f"PUT {GUARD}/status", *(answer(guarded(version=n)) for n in (13, 14)))
        it.on(f"POST {SETS}", refuse(409, "AlreadyExists"))
        it.on(f"GET {SETS}/{name}", answer(bare))
        it.on(f"PATCH {SETS}/{name}", answer({**own, "metadata": own["metadata"] | NEWER}))
        await setup.look()
        assert len(it.store.replica_sets) == 1
        it.store.upsert_guarded(written(it, 15))
        before = len(it.bodies(f"POST {SETS}"))
        await setup.look()
        assert len(it.bodies(f"POST {SETS}")) == before == 2


async def test_mere_progress_waits_until_two_seconds_have_passed() -> None:
    async with bench(filled=False) as it:
        setup = await started(it)
        it.store.pods.upsert(pod(waiting("ContainerCreating"), owner="rs-7"))
        before = len(it.requests)
        wait = await setup.look()
        assert len(it.requests) == before
        assert wait is not None
        assert wait == pytest.approx(2, abs=0.02)
        await asyncio.sleep(wait)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=13)))
        await setup.look()
        assert len(it.requests) == before + 1


@pytest.mark.parametrize(("answer_seconds", "seconds"), [(0.001, 1.0), (0.1, 2.0), (10.0, 4.0)])
async def test_a_step_of_a_rollout_waits_longer_on_a_slow_server_and_for_no_turn(
    answer_seconds: float, seconds: float
) -> None:
    async with bench(filled=False) as it:
        setup = await started(it)
        lowered = created(it)
        lowered["spec"] = {**lowered["spec"], "replicas": 0}
        lowered["metadata"]["resourceVersion"] = "81"
        it.store.replica_sets.upsert(lowered)
        it.store.pods.upsert(pod(waiting("ContainerCreating"), owner="rs-7"))
        setup.budget.answer_seconds = answer_seconds
        for _ in range(100):
            setup.budget.give_turn(0.0)
        assert await setup.look() == pytest.approx(seconds, abs=0.02)


async def test_what_a_conflict_got_in_the_way_of_does_not_wait_as_mere_progress() -> None:
    """The status stands already: what is left to do looks like progress, and may be a trip's end."""

    async with bench(filled=False) as it:
        setup = await started(it)
        lowered = created(it)
        lowered["spec"] = {**lowered["spec"], "replicas": 0}
        lowered["metadata"]["resourceVersion"] = "81"
        it.store.replica_sets.upsert(lowered)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=13)))
        it.on(f"PATCH {SETS}/{lowered['metadata']['name']}", refuse(409))
        it.on(f"GET {SETS}/{lowered['metadata']['name']}", answer(lowered))
        setup.budget.progress_seconds = setup.budget.step_seconds = 0.0
        with pytest.raises(TryAgainError):
            await setup.look()
        it.store.upsert_guarded(written(it, 14))
        setup.budget.progress_seconds = setup.budget.step_seconds = 60.0
        it.store.pods.upsert(pod(waiting("ContainerCreating"), owner="rs-7"))
        before = len(it.requests)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=15)))
        it.on(f"PATCH {SETS}/{lowered['metadata']['name']}", answer(created(it)))
        await setup.look()
        assert [name.partition(" ")[0] for name, _ in it.requests[before:]] == ["PUT", "PATCH"]
        it.store.upsert_guarded(written(it, 16))
        raised = created(it)
        raised["metadata"]["resourceVersion"] = "90"
        it.store.replica_sets.upsert(raised)
        before = len(it.requests)
        await setup.look()  # all was done: progress waits again
        assert len(it.requests) == before


def crashed() -> dict[str, Any]:
    """A container that has ended once."""
    return {"name": "web", "state": {"terminated": ended(1, "Error")}, "restartCount": 0}


async def test_a_failure_that_trips_nothing_waits_for_more_of_them_and_a_trip_waits_for_nothing() -> (
    None
):

    async with bench(filled=False) as it:
        setup = await started(it)
        setup.budget.progress_seconds = setup.budget.step_seconds = 0.0
        setup.budget.burst_seconds = 60.0
        it.on(f"PUT {GUARD}/status", answer(guarded(version=13)))
        await setup.look()
        it.store.upsert_guarded(written(it, 14))
        before = len(it.requests)
        for number in (1, 2):
            it.store.pods.upsert(pod(crashed(), owner="rs-7", uid=f"pod-{number}"))
            wait = await setup.look()
            assert wait is not None
            assert 0 < wait < 61
        assert len(it.requests) == before
        assert setup.reasons == ["RolloutStarted"]
        it.store.pods.upsert(pod(crashed(), owner="rs-7", uid="pod-3"))
        it.on(f"PUT {GUARD}/status", answer(guarded(version=15)))
        it.on(f"PATCH {SETS}/{created(it)['metadata']['name']}", answer(created(it)))
        await setup.look()
        (status,) = (body["status"] for body in it.bodies(f"PUT {GUARD}/status")[2:])
        assert status["revisions"][0]["failedTasks"] == 3
        assert setup.recorder.said[1][0] == "PodLaunchFailed"
        assert "(3/3)" in setup.recorder.said[1][1]


async def test_a_failure_alone_is_written_when_its_time_is_over() -> None:
    async with bench(filled=False) as it:
        setup = await started(it)
        setup.budget.progress_seconds = setup.budget.step_seconds = 0.0
        it.store.pods.upsert(pod(crashed(), owner="rs-7"))
        wait = await setup.look()
        assert wait is not None
        assert 0 < wait < 1
        await asyncio.sleep(wait)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=13)))
        await setup.look()
        assert setup.reasons == ["RolloutStarted", "PodLaunchFailed"]


async def test_when_the_status_is_refused_nothing_is_done_and_nothing_told() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        setup = Setup(it)
        it.on(f"PUT {GUARD}/status", refuse(409, "Conflict"))
        it.on(f"GET {GUARD}", answer(guarded(version=20)))
        with pytest.raises(TryAgainError):
            await setup.look()
        assert it.bodies(f"POST {SETS}") == []
        assert setup.recorder.said == []


async def test_when_an_action_fails_what_was_written_is_told_all_the_same() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        setup = Setup(it)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=11)))
        it.on(f"POST {SETS}", refuse(503))
        with pytest.raises(TryAgainError):
            await setup.look()
        assert setup.reasons == ["RolloutStarted"]


async def test_a_refused_replica_set_is_looked_at_again_when_it_is_due() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        setup = Setup(it)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=11)))
        it.on(f"POST {SETS}", refuse(403, message="exceeded quota"))
        delay = await setup.look()
        assert delay is not None
        assert 0.4 <= delay <= 1.0


@pytest.mark.parametrize(
    ("refusal", "at_least", "told"),
    [
        (refuse(429, details={"retryAfterSeconds": 7}), 7.0, False),
        (refuse(500, message="etcd is away"), 0.0, True),
        (refuse(403, message="no right"), 0.0, True),
    ],
    ids=["throttled", "unreachable", "forbidden"],
)
async def test_trouble_with_the_server_comes_back_later(
    refusal: web.Response, at_least: float, *, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with bench(filled=False) as it:
            it.store.upsert_guarded(guarded())
            it.on(f"PUT {GUARD}/status", refusal)
            with pytest.raises(TryAgainError) as caught:
                await Setup(it).look()
            assert caught.value.at_least == at_least
    assert bool(caplog.records) is told


async def test_the_log_says_which_request_failed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with bench(filled=False) as it:
            it.store.upsert_guarded(guarded())
            it.on(f"PUT {GUARD}/status", refuse(403, "Forbidden", "not you"))
            with pytest.raises(TryAgainError):
                await Setup(it).look()
    [line] = [one for one in caplog.records if f"PUT {GUARD}/status: not you" in one.getMessage()]
    assert read_about(line) == About("shop", "web")


async def test_an_object_that_cannot_be_understood_is_told_once_a_version_and_left_alone() -> None:
    async with bench() as it:
        setup = Setup(it)
        it.store.upsert_guarded(guarded(version=30, replicas="many"))
        for _ in range(3):
            assert await setup.look() is None
        assert setup.reasons == ["InvalidSpec"]
        assert "spec.replicas" in setup.recorder.said[0][1]
        it.store.upsert_guarded(guarded(version=31, replicas="few"))
        await setup.look()
        assert setup.reasons == ["InvalidSpec", "InvalidSpec"]
        assert it.requests == []


async def test_a_bug_is_shown_on_the_object_and_in_the_metrics() -> None:
    async with bench() as it:
        setup = Setup(it)
        setup.reconciler.tell_broken(WEB, AssertionError("impossible"))
        assert setup.recorder.said == [("InternalError", "AssertionError: impossible")]
        assert b"tripswitch_reconcile_errors_total 1.0" in setup.metrics.render()
        it.store.remove_guarded("gd-1")
        setup.reconciler.tell_broken(WEB, AssertionError("impossible"))
        assert len(setup.recorder.said) == 1


async def test_a_process_that_does_not_lead_writes_nothing_and_does_not_try_hot() -> None:
    async with bench(filled=False, permit=lambda: 0.0) as it:
        it.store.upsert_guarded(guarded())
        with pytest.raises(TryAgainError) as caught:
            await Setup(it).look()
        assert caught.value.at_least >= 1
        assert it.requests == []


async def test_an_object_that_is_being_deleted_is_left_alone() -> None:
    async with bench() as it:
        raw = guarded(version=30)
        raw["metadata"]["deletionTimestamp"] = at(5)
        it.store.upsert_guarded(raw)
        assert await Setup(it).look() is None
        assert it.requests == []


async def test_the_series_of_an_object_that_is_gone_are_dropped() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        setup = Setup(it)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=11)))
        it.on(f"POST {SETS}", answer({}, 201))
        await setup.look()
        assert b'name="web"' in setup.metrics.render()
        it.store.remove_guarded("gd-1")
        assert await setup.look() is None
        assert b'name="web"' not in setup.metrics.render()


async def test_an_object_replaced_between_two_looks_starts_without_the_history_of_the_old_one() -> (
    None
):

    async with bench(filled=False) as it:
        setup = await started(it)
        it.store.pods.upsert(pod(waiting("ContainerCreating"), owner="rs-7"))
        it.on(f"PUT {GUARD}/status", answer(guarded(uid="gd-2", version=51)))
        it.on(f"POST {SETS}", answer({}, 201))
        it.store.upsert_guarded(guarded(uid="gd-2", version=50))
        assert b'name="web"' not in setup.metrics.render()
        await setup.look()  # the first status of the new one is not held back for the old one's
        assert it.bodies(f"PUT {GUARD}/status")[-1]["metadata"]["uid"] == "gd-2"


async def test_each_of_two_objects_of_one_name_is_told_once_that_it_is_not_understood() -> None:
    async with bench(filled=False) as it:
        setup = Setup(it)
        for uid in ("gd-1", "gd-2"):
            it.store.upsert_guarded(guarded(uid=uid, version=30, replicas="many"))
            await setup.look()
            await setup.look()
            it.store.remove_guarded(uid)
        assert setup.reasons == ["InvalidSpec", "InvalidSpec"]


async def test_a_look_that_ends_after_its_object_has_gone_brings_no_series_back() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        setup = Setup(it)
        it.on(f"PUT {GUARD}/status", answer(guarded(version=11)))
        it.on(f"POST {SETS}", answer({}, 201))
        look = asyncio.create_task(setup.look())
        await until(lambda: it.bodies(f"POST {SETS}") != [])
        it.store.remove_guarded("gd-1")
        await look
        assert b'name="web"' not in setup.metrics.render()
