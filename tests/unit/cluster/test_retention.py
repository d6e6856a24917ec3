"""Setting a pod aside: one patch, before its ReplicaSet is lowered; seen again after a restart."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.bench import Bench, bench
from tests.unit.cluster.fake_api import answer, refuse
from tests.unit.cluster.raws import T0, at, guarded, ready_pod, replica_set
from tripswitch.cluster.bodies import build_set_aside
from tripswitch.cluster.errors import ConflictError
from tripswitch.cluster.executor import NOT_SET_ASIDE, SET_ASIDE, Executor
from tripswitch.cluster.store import RETENTION_AGAIN_SECONDS
from tripswitch.domain.values.decision import DropPod, ScaleReplicaSet, SetAsidePod
from tripswitch.domain.values.pods import RetainedPod

pytestmark = pytest.mark.looptime

POD = "/api/v1/namespaces/shop/pods/web-6f8c-x2x9k"
SET = "/apis/apps/v1/namespaces/shop/replicasets/web-6f8c"
ASIDE = SetAsidePod("web-6f8c-x2x9k", "pod-1", "100", "rs-1", revision=3, ttl=600)
LOWER = ScaleReplicaSet("web-6f8c", "rs-1", "50", 0, sized_for=4)
DROP = DropPod("web-6f8c-x2x9k", "pod-1", "101")


def retained_pod(version: int = 101, until: str = at(1600)) -> dict[str, Any]:
    """The pod as the server holds it afterwards."""
    raw = ready_pod()
    raw["metadata"] |= {
        "resourceVersion": str(version),
        "labels": {
            "tripswitch.dev/template-hash": "set-aside",
            "tripswitch.dev/retained-for": "web",
        },
        "annotations": {
            "tripswitch.dev/revision": "3",
            "tripswitch.dev/retained-until": until,
        },
        "ownerReferences": [
            {
                "apiVersion": "tripswitch.dev/v1alpha1",
                "kind": "GuardedDeployment",
                "name": "web",
                "uid": "gd-1",
                "controller": True,
            }
        ],
    }
    return raw


def told_by(it: Bench) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    it.executor = Executor(
        it.client, it.store, lambda: it.now, lambda _, reason, words: told.append((reason, words))
    )
    return told


async def test_the_pod_loses_its_selectors_labels_and_its_replica_set_in_one_fenced_patch() -> None:
    async with bench() as it:
        told = told_by(it)
        it.on(f"PATCH {POD}", answer(retained_pod()))
        await it.act(ASIDE)
        [body] = it.bodies(f"PATCH {POD}")
        metadata = body["metadata"]
        assert (metadata["uid"], metadata["resourceVersion"]) == ("pod-1", "100")
        assert metadata["labels"] == {
            "app": None,
            "tripswitch.dev/template-hash": "set-aside",
            "tripswitch.dev/retained-for": "web",
        }
        replaced, owner = metadata["ownerReferences"]
        assert replaced == {"$patch": "replace"}
        assert (owner["kind"], owner["uid"]) == ("GuardedDeployment", "gd-1")
        assert metadata["annotations"]["tripswitch.dev/retained-until"] == (
            at(1600).replace("Z", ".000Z")
        )
        [(reason, words)] = told
        assert reason == SET_ASIDE
        assert "kubectl logs --previous web-6f8c-x2x9k" in words
        [pod] = it.snapshot.retained
        assert (pod.name, pod.revision, pod.until) == ("web-6f8c-x2x9k", 3, T0 + 1600)
        assert it.snapshot.replica_sets[0].pods == ()


OURS = {
    "tripswitch.dev/template-hash": "set-aside",
    "tripswitch.dev/retained-for": "web",
}


@pytest.mark.parametrize(
    ("selector", "more", "gone"),
    [
        ({"matchLabels": {"app": "web"}}, {}, {"app"}),
        (
            {
                "matchLabels": {"app": "web", "tier": "front"},
                "matchExpressions": [
                    {"key": "stage", "operator": "In", "values": ["live"]},
                    {"key": "canary", "operator": "DoesNotExist"},
                ],
            },
            {},
            {"app", "tier", "stage", "canary"},
        ),
        ({"matchLabels": {"app": "web"}}, {"dropLabels": ["team", "app"]}, {"app", "team"}),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, {}, {"app"}),
        ({"matchLabels": {"app": "web"}}, {"dropLabels": [*OURS]}, {"app"}),
        ({"matchLabels": {"app": "web"}}, {"dropLabels": "team"}, {"app"}),
    ],
    ids=["labels", "expressions", "named", "expression only", "our own", "nonsense"],
)
def test_only_the_labels_that_let_go_of_the_pod_are_dropped(
    selector: dict[str, Any], more: dict[str, Any], gone: set[str]
) -> None:
    """The others stay: NetworkPolicies that select by them go on isolating the pod."""
    owner = guarded(selector=selector, failedPodRetention={"count": 1, **more})
    patch = build_set_aside(owner, ASIDE, T0)
    assert patch["metadata"]["labels"] == {**dict.fromkeys(gone), **OURS}


async def test_its_replica_set_is_lowered_after_it_and_with_its_own_version() -> None:
    async with bench() as it:
        it.on(f"PATCH {POD}", answer(retained_pod()))
        it.on(f"PATCH {SET}", answer(replica_set(version=51)))
        await it.act(ASIDE, LOWER)
        assert [name for name, _ in it.requests] == [f"PATCH {POD}", f"PATCH {SET}"]
        [body] = it.bodies(f"PATCH {SET}")
        assert body["metadata"]["resourceVersion"] == "50"


async def test_a_pod_that_has_moved_on_is_looked_at_again_before_anything_is_lowered() -> None:
    async with bench() as it:
        it.on(f"PATCH {POD}", refuse(409, "Conflict"))
        with pytest.raises(ConflictError):
            await it.act(ASIDE, LOWER)
        assert it.bodies(f"PATCH {SET}") == []


@pytest.mark.parametrize("refusal", [(403, "Forbidden"), (422, "Invalid")], ids=str)
async def test_without_the_right_it_is_told_once_and_the_pod_is_scaled_away(
    refusal: tuple[int, str],
) -> None:
    async with bench() as it:
        told = told_by(it)
        words = "cannot patch resource pods"
        it.on(f"PATCH {POD}", *(_refuse(refusal, words) for _ in range(2)))
        it.on(f"PATCH {SET}", *(answer(replica_set(version=51 + n)) for n in range(2)))
        await it.act(ASIDE, LOWER)
        await it.act(ASIDE, LOWER)
        assert len(it.bodies(f"PATCH {SET}")) == 2
        [(reason, message)] = told
        assert reason == NOT_SET_ASIDE
        assert words in message
        assert it.snapshot.retention_refused
        it.now += RETENTION_AGAIN_SECONDS
        assert not it.snapshot.retention_refused


def _refuse(refusal: tuple[int, str], words: str) -> web.Response:
    return refuse(*refusal, words)


async def test_one_whose_time_is_up_is_deleted_in_the_version_looked_at() -> None:
    async with bench() as it:
        it.store.pods.upsert(retained_pod())
        it.on(f"DELETE {POD}", answer({"kind": "Status", "status": "Success"}))
        await it.act(DROP)
        [body] = it.bodies(f"DELETE {POD}")
        assert body["preconditions"] == {"uid": "pod-1", "resourceVersion": "101"}
        assert it.snapshot.retained == ()


async def test_after_a_restart_it_is_seen_and_news_of_it_have_its_owner_looked_at() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        it.dirty.clear()
        it.store.pods.upsert(retained_pod())
        assert [key.name for key in it.dirty] == ["web"]
        assert it.snapshot.retained == (
            RetainedPod("web-6f8c-x2x9k", "pod-1", "101", 3, T0 + 1600),
        )


async def test_a_time_that_makes_no_sense_has_passed() -> None:
    async with bench() as it:
        it.store.pods.upsert(retained_pod(until="tomorrow"))
        [pod] = it.snapshot.retained
        assert pod.until == it.now


async def test_a_strangers_pod_without_the_label_is_never_taken_for_one() -> None:
    async with bench(filled=False) as it:
        it.store.upsert_guarded(guarded())
        raw = retained_pod()
        del raw["metadata"]["labels"]["tripswitch.dev/retained-for"]
        it.store.pods.upsert(raw)
        assert it.snapshot.retained == ()
