"""A decision is written status first, fenced by what was looked at, and its answers are remembered."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.bench import WEB, Bench, bench
from tests.unit.cluster.fake_api import answer, refuse
from tests.unit.cluster.raws import T0, at, guarded, ready_pod, replica_set
from tripswitch.cluster.client import STRATEGIC_PATCH
from tripswitch.cluster.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    ThrottledError,
    UnreachableError,
)
from tripswitch.cluster.log_context import About, read_about
from tripswitch.cluster.marks import COMPLETED_AT, HASH_LABEL, PINNED, SIZED_FOR
from tripswitch.domain.values.decision import (
    Action,
    AdoptReplicaSet,
    CreateReplicaSet,
    DeletePod,
    DeleteReplicaSet,
    MarkCompleted,
    PinImages,
    ReleaseReplicaSet,
    ScaleReplicaSet,
)
from tripswitch.domain.values.images import Pinning, TemplateImage

pytestmark = pytest.mark.looptime

SETS = "/apis/apps/v1/namespaces/shop/replicasets"
PODS = "/api/v1/namespaces/shop/pods"
GUARD = "/apis/tripswitch.dev/v1alpha1/namespaces/shop/guardeddeployments/web"

CREATE = CreateReplicaSet("web-new", revision=4, size=4, sized_for=4)
SCALE = ScaleReplicaSet("web-6f8c", "rs-1", "50", 2, sized_for=2)
MARK = MarkCompleted("web-6f8c", "rs-1", "50", T0)
PRUNE = DeleteReplicaSet("web-6f8c", "rs-1", "50")
KILL = DeletePod("web-6f8c-x2x9k", "pod-1", "100")
PIN = PinImages(
    "web-6f8c",
    "rs-1",
    "50",
    Pinning((TemplateImage("web", "web@sha256:1"),), (TemplateImage("web", "web:1"),)),
)
RELEASE = ReleaseReplicaSet("web-6f8c", "rs-1", "50")
ADOPT = AdoptReplicaSet("web-6f8c", "rs-1", "50")


def status_of_deletion() -> web.Response:
    return answer({"kind": "Status", "status": "Success", "details": {"uid": "rs-1"}})


def created(name: str = "web-new", digest: str = "", **more: Any) -> dict[str, Any]:
    marks = {"tripswitch.dev/revision": "4", "tripswitch.dev/template-digest": digest}
    return replica_set(name=name, uid="rs-2", version=70, annotations=marks, **more)


class TestStatus:
    async def test_it_is_fenced_and_nothing_else_of_the_object_is_sent(self) -> None:
        async with bench() as it:
            it.on(f"PUT {GUARD}/status", answer(guarded(version=11)))
            await it.executor.write_status(it.record, {"replicas": 4})
            assert it.bodies(f"PUT {GUARD}/status") == [
                {
                    "apiVersion": "tripswitch.dev/v1alpha1",
                    "kind": "GuardedDeployment",
                    "metadata": {
                        "name": "web",
                        "namespace": "shop",
                        "uid": "gd-1",
                        "resourceVersion": "10",
                    },
                    "status": {"replicas": 4},
                }
            ]
            assert it.record.version == 11

    async def test_a_conflict_fetches_the_latest_version(self) -> None:
        async with bench() as it:
            it.on(f"PUT {GUARD}/status", refuse(409, "Conflict"))
            it.on(f"GET {GUARD}", answer(guarded(version=12, replicas=9)))
            with pytest.raises(ConflictError):
                await it.executor.write_status(it.record, {})
            assert it.snapshot.guarded.spec.replicas == 9

    async def test_an_object_that_is_gone_is_forgotten(self) -> None:
        async with bench() as it:
            it.on(f"PUT {GUARD}/status", refuse(404, "NotFound"))
            it.on(f"GET {GUARD}", refuse(404, "NotFound"))
            with pytest.raises(ApiError):
                await it.executor.write_status(it.record, {})
            assert it.store.find(WEB) is None


class TestActions:
    async def test_scaling_has_preconditions_and_its_answer_is_known_at_once(self) -> None:
        async with bench() as it:
            it.on(f"PATCH {SETS}/web-6f8c", answer(replica_set(version=51, size=2)))
            assert await it.act(SCALE) is None
            assert it.bodies(f"PATCH {SETS}/web-6f8c") == [
                {
                    "metadata": {
                        "uid": "rs-1",
                        "resourceVersion": "50",
                        "annotations": {"tripswitch.dev/desired-replicas": "2"},
                    },
                    "spec": {"replicas": 2},
                }
            ]
            assert it.snapshot.replica_sets[0].size == 2

    async def test_actions_on_one_object_follow_each_other_with_its_new_version(self) -> None:
        async with bench() as it:
            path = f"PATCH {SETS}/web-6f8c"
            it.on(path, answer(replica_set(version=51)), answer(replica_set(version=52)))
            await it.act(SCALE, RELEASE)
            versions = [body["metadata"]["resourceVersion"] for body in it.bodies(path)]
            assert versions == ["50", "51"]

    async def test_changes_of_one_replica_set_that_follow_each_other_are_one_request(self) -> None:
        async with bench() as it:
            path = f"PATCH {SETS}/web-6f8c"
            it.store.replica_sets.upsert(replica_set(version=51, readyReplicas=1))
            it.on(path, refuse(409, "Conflict"), answer(replica_set(version=53)))
            it.on(f"GET {SETS}/web-6f8c", answer(replica_set(version=52, readyReplicas=2)))
            await it.act(PIN, SCALE, MARK)
            bodies = it.bodies(path)
            assert [body["metadata"].pop("resourceVersion") for body in bodies] == ["51", "52"]
            annotations = bodies[0]["metadata"]["annotations"]
            assert list(annotations) == [PINNED, SIZED_FOR, COMPLETED_AT]
            containers = [{"name": "web", "image": "web@sha256:1"}]
            spec = {"replicas": 2, "template": {"spec": {"containers": containers}}}
            assert bodies == 2 * [
                {"metadata": {"uid": "rs-1", "annotations": annotations}, "spec": spec}
            ]
            assert it.content_types[0] == it.content_types[-1] == STRATEGIC_PATCH

    @pytest.mark.parametrize("action", [SCALE, MARK], ids=["size", "completion"])
    async def test_w1_what_is_decided_from_pods_is_written_where_nothing_but_the_status_differs(
        self, action: ScaleReplicaSet | MarkCompleted
    ) -> None:
        async with bench() as it:
            path = f"PATCH {SETS}/web-6f8c"
            for version in (51, 52):
                it.store.replica_sets.upsert(replica_set(version=version, readyReplicas=version))
            it.on(path, refuse(409, "Conflict"), answer(replica_set(version=54)))
            it.on(f"GET {SETS}/web-6f8c", answer(replica_set(version=53, readyReplicas=53)))
            await it.act(action)
            versions = [body["metadata"]["resourceVersion"] for body in it.bodies(path)]
            assert versions == ["52", "53"], "the one that is known, then the one that was read"

    @pytest.mark.parametrize(
        "found", [answer(replica_set(version=51, size=3)), refuse(404)], ids=["resized", "gone"]
    )
    async def test_w1_a_size_is_not_written_where_another_one_was_written_meanwhile(
        self, found: web.Response
    ) -> None:
        async with bench() as it:
            path = f"PATCH {SETS}/web-6f8c"
            it.on(path, refuse(409, "Conflict"))
            it.on(f"GET {SETS}/web-6f8c", found)
            with pytest.raises(ConflictError):
                await it.act(SCALE)
            assert len(it.bodies(path)) == 1

    async def test_w1_a_deletion_is_only_of_the_very_version_looked_at(self) -> None:
        async with bench() as it:
            it.store.replica_sets.upsert(replica_set(version=51, readyReplicas=1))
            path = f"DELETE {SETS}/web-6f8c"
            it.on(path, refuse(409, "Conflict"))
            with pytest.raises(ConflictError):
                await it.act(PRUNE)
            assert it.bodies(path)[0]["preconditions"]["resourceVersion"] == "50"

    async def test_when_one_fails_the_next_on_that_object_is_left_and_all_others_are_done(
        self,
    ) -> None:
        async with bench() as it:
            it.on(f"PATCH {SETS}/web-6f8c", refuse(409, "Conflict"))
            it.on(f"GET {SETS}/web-6f8c", answer(replica_set()))
            it.on(f"DELETE {PODS}/web-6f8c-x2x9k", answer(ready_pod(version=101)))
            with pytest.raises(ConflictError):
                await it.act(SCALE, MARK, KILL)
            assert len(it.bodies(f"PATCH {SETS}/web-6f8c")) == 1
            assert len(it.bodies(f"DELETE {PODS}/web-6f8c-x2x9k")) == 1

    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            (refuse(500), UnreachableError),
            (refuse(429), ThrottledError),
            (refuse(403), ForbiddenError),
        ],
    )
    async def test_the_worst_of_several_errors_is_told(
        self, second: web.Response, expected: type[ApiError]
    ) -> None:
        async with bench() as it:
            it.on(f"PATCH {SETS}/web-6f8c", refuse(409, "Conflict"))
            it.on(f"GET {SETS}/web-6f8c", answer(replica_set()))
            it.on(f"DELETE {PODS}/web-6f8c-x2x9k", second)
            with pytest.raises(expected):
                await it.act(SCALE, KILL)

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_every_one_of_several_errors_is_told_and_a_request_for_patience_is_kept(
        self, caplog: pytest.LogCaptureFixture, *, reverse: bool
    ) -> None:
        with caplog.at_level(logging.WARNING):
            async with bench() as it:
                it.on(f"PATCH {SETS}/web-6f8c", refuse(403, "Forbidden", "no right to scale"))
                slow = refuse(429, message="slow down")
                slow.headers["Retry-After"] = "5"
                slower = refuse(429, message="slower still")
                slower.headers["Retry-After"] = "30"
                it.on(f"DELETE {PODS}/web-6f8c-x2x9k", slow)
                it.on(f"DELETE {PODS}/web-6f8c-other", slower)
                it.on(f"DELETE {PODS}/web-6f8c-third", refuse(409, "Conflict", "has moved on"))
                other = DeletePod("web-6f8c-other", "pod-2", "100")
                third = DeletePod("web-6f8c-third", "pod-3", "100")
                actions = [SCALE, KILL, other, third]
                with pytest.raises(ThrottledError, match="slower still") as caught:
                    await it.act(*(reversed(actions) if reverse else actions))
                assert caught.value.retry_after == 30
                notes = "\n".join(caught.value.__notes__)
                for words in ("no right to scale", "slow down", "has moved on"):
                    assert words in notes
        told = [record.getMessage() for record in caplog.records]
        assert f"PATCH {SETS}/web-6f8c: no right to scale" in told
        assert f"DELETE {PODS}/web-6f8c-x2x9k: slow down" in told
        assert {read_about(record) for record in caplog.records} == {About("shop", "web")}
        assert not any("has moved on" in words for words in told)  # which is normal

    async def test_a_bug_is_worse_than_everything_and_a_second_one_is_traced(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            async with bench() as it:
                it.on(f"DELETE {PODS}/web-6f8c-x2x9k", refuse(403, "Forbidden", "no right"))
                bug = MarkCompleted("web-6f8c", "rs-1", "50", math.nan)  # no time at all
                second = MarkCompleted("web-old", "rs-0", "50", math.nan)
                with pytest.raises(ValueError, match="NaN") as caught:
                    await it.act(KILL, bug, second)
                assert any("no right" in note for note in caught.value.__notes__)
        assert f"DELETE {PODS}/web-6f8c-x2x9k: no right" in caplog.text
        (traced,) = [record for record in caplog.records if record.exc_info]
        assert "NaN" in traced.getMessage()

    async def test_deleting_a_pod_has_preconditions_and_it_counts_as_going_at_once(self) -> None:
        async with bench() as it:
            going = ready_pod(version=101, metadata={"deletionTimestamp": at(1000)})
            it.on(f"DELETE {PODS}/web-6f8c-x2x9k", answer(going))
            await it.act(KILL)
            (options,) = it.bodies(f"DELETE {PODS}/web-6f8c-x2x9k")
            assert options["preconditions"] == {"uid": "pod-1", "resourceVersion": "100"}
            assert it.snapshot.replica_sets[0].pods[0].deleting

    @pytest.mark.parametrize("action", [SCALE, MARK, PRUNE])
    async def test_what_turns_out_to_be_gone_is_forgotten(self, action: Action) -> None:
        async with bench() as it:
            method = "DELETE" if isinstance(action, DeleteReplicaSet) else "PATCH"
            it.on(f"{method} {SETS}/web-6f8c", refuse(404, "NotFound"))
            with pytest.raises(ConflictError, match="is gone"):
                await it.act(action)
            assert it.snapshot.replica_sets == ()

    async def test_a_replica_set_deleted_at_once_is_forgotten_and_stays_so(self) -> None:
        async with bench() as it:
            it.on(f"DELETE {SETS}/web-6f8c", status_of_deletion())
            await it.act(PRUNE)
            it.store.replica_sets.upsert(replica_set(version=50))  # the watch lags
            assert it.snapshot.replica_sets == ()

    async def test_one_that_waits_for_finalizers_is_still_there(self) -> None:
        async with bench() as it:
            going = replica_set(version=51, metadata={"deletionTimestamp": at(1000)})
            going["metadata"]["uid"] = "rs-1"
            it.on(f"DELETE {SETS}/web-6f8c", answer(going))
            await it.act(PRUNE)
            assert it.snapshot.replica_sets[0].deleting


class TestAdoption:
    def orphaned(self, it: Bench) -> None:
        it.store.replica_sets.upsert(replica_set(version=60, guard=None))

    async def test_it_adds_an_owner_after_asking_whether_there_still_is_one(self) -> None:
        async with bench() as it:
            self.orphaned(it)
            it.on(f"GET {GUARD}", answer(guarded()))
            it.on(f"PATCH {SETS}/web-6f8c", answer(replica_set(version=61)))
            await it.act(ADOPT)
            (patch,) = it.bodies(f"PATCH {SETS}/web-6f8c")
            assert [ref["uid"] for ref in patch["metadata"]["ownerReferences"]] == ["gd-1"]
            assert it.snapshot.replica_sets[0].owned

    @pytest.mark.parametrize(
        "latest",
        [
            refuse(404, "NotFound"),
            answer(guarded(uid="gd-2", version=90)),
            answer(
                {
                    **guarded(),
                    "metadata": {
                        **guarded(version=90)["metadata"],
                        "deletionTimestamp": at(1),
                    },
                }
            ),
        ],
        ids=["gone", "another", "going"],
    )
    async def test_orphans_of_one_that_is_going_stay_orphans(self, latest: web.Response) -> None:
        """Else ``kubectl delete --cascade=orphan`` would delete what it is to keep."""

        async with bench() as it:
            self.orphaned(it)
            it.on(f"GET {GUARD}", latest)
            with pytest.raises(ConflictError, match="its ReplicaSets are not adopted"):
                await it.act(ADOPT)
            assert it.bodies(f"PATCH {SETS}/web-6f8c") == []


class TestRelease:
    async def test_it_removes_our_reference_only_and_the_replica_set_is_nobodys(self) -> None:
        async with bench() as it:
            labels = {"labels": {"app": "other", HASH_LABEL: "6f8c"}}
            it.store.replica_sets.upsert(replica_set(version=60, metadata=labels))
            it.on(
                f"PATCH {SETS}/web-6f8c",
                answer(replica_set(version=61, guard=None, metadata=labels)),
            )
            await it.act(ReleaseReplicaSet("web-6f8c", "rs-1", "60"))
            assert it.bodies(f"PATCH {SETS}/web-6f8c") == [
                {
                    "metadata": {
                        "uid": "rs-1",
                        "resourceVersion": "60",
                        "ownerReferences": [{"$patch": "delete", "uid": "gd-1"}],
                    }
                }
            ]
            assert (it.snapshot.replica_sets, it.snapshot.strays) == ((), ())


class TestCreation:
    async def test_it_is_known_at_once(self) -> None:
        async with bench() as it:
            it.on(f"POST {SETS}", answer(created(digest=it.digest), 201))
            assert await it.act(CREATE) is None
            (body,) = it.bodies(f"POST {SETS}")
            marks = body["metadata"]["annotations"]
            assert marks["tripswitch.dev/template-digest"] == it.digest
            assert {view.name for view in it.snapshot.replica_sets} == {"web-6f8c", "web-new"}

    @pytest.mark.parametrize("status", [400, 403, 422])
    async def test_a_refusal_is_remembered_in_the_servers_words_and_not_asked_for_hot(
        self, status: int
    ) -> None:
        async with bench() as it:
            it.on(f"POST {SETS}", refuse(status, message="the server's words"))
            retry_at = await it.act(CREATE)
            error = it.snapshot.create_error
            assert error is not None
            assert (error.message, error.name_taken) == ("the server's words", False)
            assert retry_at is not None
            assert it.now < retry_at <= it.now + 1
            assert await it.act(CREATE) == retry_at  # no request: it is too early
            it.now = retry_at
            it.on(f"POST {SETS}", answer(created(digest=it.digest), 201))
            assert await it.act(CREATE) is None
            assert it.snapshot.create_error is None

    async def test_trouble_that_passes_is_no_refusal(self) -> None:
        async with bench() as it:
            it.on(f"POST {SETS}", refuse(500))
            with pytest.raises(UnreachableError):
                await it.act(CREATE)
            assert it.snapshot.create_error is None

    async def test_our_own_of_an_earlier_try_is_taken(self) -> None:
        async with bench() as it:
            it.on(f"POST {SETS}", refuse(409, "AlreadyExists"))
            it.on(f"GET {SETS}/web-new", answer(created(digest=it.digest)))
            await it.act(CREATE)
            assert len(it.snapshot.replica_sets) == 2
            assert it.snapshot.create_error is None

    async def test_our_own_without_its_label_gets_it_back(self) -> None:
        """The operator sees only what carries the label: without it, every look would POST again."""

        async with bench() as it:
            found = created(digest=it.digest)
            bare = {**found, "metadata": {**found["metadata"], "labels": {"app": "web"}}}
            it.on(f"POST {SETS}", refuse(409, "AlreadyExists"))
            it.on(f"GET {SETS}/web-new", answer(bare))
            it.on(f"PATCH {SETS}/web-new", answer(found))
            await it.act(CREATE)
            [body] = it.bodies(f"PATCH {SETS}/web-new")
            assert body["metadata"] == {
                "uid": found["metadata"]["uid"],
                "resourceVersion": found["metadata"]["resourceVersion"],
                "labels": {HASH_LABEL: "new"},
            }
            assert len(it.snapshot.replica_sets) == 2

    async def test_an_orphan_of_ours_is_taken_note_of(self) -> None:
        async with bench() as it:
            it.on(f"POST {SETS}", refuse(409, "AlreadyExists"))
            it.on(f"GET {SETS}/web-new", answer(created(digest=it.digest, guard=None)))
            await it.act(CREATE)
            assert [view.owned for view in it.snapshot.replica_sets] == [True, False]

    @pytest.mark.parametrize(
        "found",
        [
            created(digest="another"),
            created(digest="another", guard="gd-2"),
            created(digest="ours", guard=None, metadata={"labels": {HASH_LABEL: "new"}}),
            created(digest="ours", metadata={"labels": {"app": "other"}}),
        ],
        ids=["another template", "another owner", "released", "about to be released"],
    )
    async def test_a_name_that_is_taken_is_told(self, found: dict[str, Any]) -> None:
        """W5: also by a ReplicaSet of the same template that the selector does not match."""

        async with bench() as it:
            found["metadata"]["annotations"] = {
                mark: it.digest if value == "ours" else value
                for mark, value in found["metadata"]["annotations"].items()
            }
            it.on(f"POST {SETS}", refuse(409, "AlreadyExists"))
            it.on(f"GET {SETS}/web-new", answer(found))
            await it.act(CREATE)
            error = it.snapshot.create_error
            assert error is not None
            assert (error.replica_set, error.name_taken) == ("web-new", True)

    async def test_one_that_has_just_gone_is_tried_again(self) -> None:
        async with bench() as it:
            it.on(f"POST {SETS}", refuse(409, "AlreadyExists"))
            it.on(f"GET {SETS}/web-new", refuse(404, "NotFound"))
            with pytest.raises(ConflictError):
                await it.act(CREATE)
