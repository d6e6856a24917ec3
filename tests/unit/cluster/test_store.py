"""The store keeps what is newest, never brings back the dead, and says whom a change concerns."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.unit.cluster.raws import T0, guarded, pod, ready_pod, replica_set, unready_pod, waiting
from tripswitch.api.codec import InvalidObjectError
from tripswitch.cluster.child_index import MAX_TOMBSTONES, Tombstones
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.cluster.per_object import PerObject
from tripswitch.cluster.record import Key, Record
from tripswitch.cluster.store import Store
from tripswitch.domain.values.inquiry import Evidence, Finding
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.sight import Sight
from tripswitch.domain.values.snapshot import Snapshot

WEB = Key("shop", "web")


def unlabelled(raw: dict[str, Any]) -> dict[str, Any]:
    """The object as a watch with a selector sends it with DELETED when it has lost the label."""
    del raw["metadata"]["labels"][HASH_LABEL]
    return raw


class Cluster:
    """A store, what it reported, and a clock."""

    def __init__(self) -> None:
        self.now = T0 + 1000
        self.dirty: list[Key] = []
        self.store = Store(self.dirty.append, lambda: self.now)

    def record(self, key: Key = WEB) -> Record:
        found = self.store.find(key)
        assert found is not None
        return found

    def snapshot(self, key: Key = WEB) -> Snapshot:
        return self.store.snapshot(self.record(key))

    def told(self) -> list[Key]:
        """What was reported since the last time."""
        told, self.dirty[:] = list(self.dirty), []
        return told


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.store.upsert_guarded(guarded())
    made.store.replica_sets.upsert(replica_set())
    made.store.pods.upsert(ready_pod())
    made.told()
    return made


def test_a_snapshot_has_everything_of_one_object_and_nothing_of_others(cluster: Cluster) -> None:
    cluster.store.pods.upsert(ready_pod(name="b", uid="pod-2"))
    cluster.store.pods.upsert(ready_pod(uid="pod-9", owner="another"))
    cluster.store.replica_sets.upsert(replica_set(uid="rs-9", guard="another"))
    (view,) = cluster.snapshot().replica_sets
    assert (view.uid, view.owned) == ("rs-1", True)
    assert [one.name for one in view.pods] == ["b", "web-6f8c-x2x9k"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_the_order_in_which_things_become_known_does_not_matter(order: tuple[int, ...]) -> None:
    cluster = Cluster()
    steps = (
        lambda: cluster.store.upsert_guarded(guarded()),
        lambda: cluster.store.replica_sets.upsert(replica_set()),
        lambda: cluster.store.pods.upsert(ready_pod()),
    )
    for number in order:
        steps[number]()
    assert WEB in cluster.told()
    assert len(cluster.snapshot().replica_sets[0].pods) == 1


def test_a_change_of_a_child_is_reported_by_its_owners_key(cluster: Cluster) -> None:
    cluster.store.pods.upsert(unready_pod(version=101))
    assert cluster.told() == [WEB]
    cluster.store.replica_sets.upsert(replica_set(version=51, size=5))
    assert cluster.told() == [WEB]


def test_an_object_is_urgent_once_a_pod_of_it_shows_a_failure_or_a_reading_has_come(
    cluster: Cluster,
) -> None:
    store = cluster.store
    record = store.find(WEB)
    assert record is not None
    assert not store.is_urgent(WEB)
    store.pods.upsert(ready_pod(version=200))
    assert not store.is_urgent(WEB)
    store.pods.upsert(pod(waiting("ErrImagePull"), version=201))
    assert store.is_urgent(WEB)
    store.track(record).urgent = False
    store.see(record, Sight(as_of=T0))
    assert store.is_urgent(WEB)
    store.remove_guarded("gd-1")
    assert not store.is_urgent(WEB)
    cluster.dirty.clear()
    store.hurry(WEB)
    assert cluster.dirty == [WEB], "it is looked at, and found to be gone"


def test_a_version_that_changes_nothing_is_kept_but_not_reported(cluster: Cluster) -> None:
    cluster.store.pods.upsert(ready_pod(version=101))
    cluster.store.replica_sets.upsert(replica_set(version=51))
    assert cluster.told() == []
    (view,) = cluster.snapshot().replica_sets
    assert (view.resource_version, view.pods[0].resource_version) == ("51", "101")


def test_an_older_version_never_replaces_a_newer_one(cluster: Cluster) -> None:
    cluster.store.replica_sets.upsert(replica_set(version=60, size=7))
    cluster.store.replica_sets.upsert(replica_set(version=55, size=1))
    cluster.store.pods.upsert(pod(waiting("ContainerCreating"), version=99))
    cluster.store.upsert_guarded(guarded(version=9, replicas=1))
    snapshot = cluster.snapshot()
    assert snapshot.replica_sets[0].size == 7
    assert snapshot.replica_sets[0].pods[0].ready_since is not None
    assert snapshot.guarded.spec.replicas == 4


def test_versions_are_compared_as_numbers(cluster: Cluster) -> None:
    cluster.store.replica_sets.upsert(replica_set(version=100, size=9))
    assert cluster.snapshot().replica_sets[0].size == 9


class TestGone:
    """An object is gone up to a version (W4); the answer to our own write may come after the watch."""

    @pytest.mark.parametrize("version", [100, 150, 200])
    def test_no_late_answer_brings_a_deleted_object_back(
        self, cluster: Cluster, version: int
    ) -> None:
        cluster.store.pods.remove(ready_pod(version=200))
        cluster.store.pods.upsert(ready_pod(version=version))
        cluster.store.replica_sets.remove(replica_set(version=200))
        cluster.store.replica_sets.upsert(replica_set(version=version))
        assert (len(cluster.store.pods), len(cluster.store.replica_sets)) == (0, 0)

    def test_an_object_that_left_the_selector_and_came_back_is_taken_again(
        self, cluster: Cluster
    ) -> None:
        cluster.store.pods.remove(unlabelled(ready_pod(version=200)))
        cluster.store.replica_sets.remove(unlabelled(replica_set(version=201)))
        assert cluster.snapshot().replica_sets == ()
        cluster.told()
        cluster.store.pods.upsert(ready_pod(version=202))
        cluster.store.replica_sets.upsert(replica_set(version=203))
        assert WEB in cluster.told()
        assert len(cluster.snapshot().replica_sets[0].pods) == 1

    def test_each_departure_moves_the_version_up_and_none_moves_it_down(
        self, cluster: Cluster
    ) -> None:
        cluster.store.pods.remove(ready_pod(version=200))
        cluster.store.pods.upsert(ready_pod(version=210))
        cluster.store.pods.remove(ready_pod(version=220))
        cluster.store.pods.remove(ready_pod(version=205))  # told again, late
        cluster.store.pods.upsert(ready_pod(version=215))
        assert len(cluster.store.pods) == 0

    def test_a_late_word_that_it_left_does_not_drop_a_version_since_then(
        self, cluster: Cluster
    ) -> None:
        cluster.store.pods.upsert(ready_pod(version=210))
        cluster.store.pods.remove(unlabelled(ready_pod(version=200)))
        assert len(cluster.store.pods) == 1

    def test_an_answer_without_the_label_drops_it(self, cluster: Cluster) -> None:
        """The watch does not follow such an object: what is known of it would never change again."""
        cluster.store.replica_sets.upsert(unlabelled(replica_set(version=60)))
        assert cluster.snapshot().replica_sets == ()
        cluster.store.replica_sets.upsert(replica_set(version=59))
        assert cluster.snapshot().replica_sets == ()
        cluster.store.replica_sets.upsert(replica_set(version=61))
        assert len(cluster.snapshot().replica_sets) == 1

    def test_what_a_list_did_not_have_is_gone_up_to_the_lists_version(
        self, cluster: Cluster
    ) -> None:
        cluster.store.pods.retain(None, set(), listed_at=200)
        cluster.store.pods.upsert(ready_pod(version=200))
        assert len(cluster.store.pods) == 0
        cluster.store.pods.upsert(ready_pod(version=201))
        assert len(cluster.store.pods) == 1

    def test_a_list_without_a_version_says_it_of_the_known_version(self, cluster: Cluster) -> None:
        cluster.store.pods.retain(None, set(), listed_at=0)
        cluster.store.pods.upsert(ready_pod(version=100))
        assert len(cluster.store.pods) == 0
        cluster.store.pods.upsert(ready_pod(version=101))
        assert len(cluster.store.pods) == 1

    def test_what_our_own_request_found_gone_is_gone_up_to_what_is_known(
        self, cluster: Cluster
    ) -> None:
        cluster.store.replica_sets.upsert(replica_set(version=60))
        cluster.store.replica_sets.forget("rs-1", looked_at="50")
        for version, there in ((50, 0), (60, 0), (61, 1)):
            cluster.store.replica_sets.upsert(replica_set(version=version))
            assert len(cluster.store.replica_sets) == there

    def test_a_version_that_is_no_number_does_not_bring_it_back(self, cluster: Cluster) -> None:
        cluster.store.pods.remove(ready_pod(version=200))
        raw = ready_pod()
        raw["metadata"]["resourceVersion"] = "new"
        cluster.store.pods.upsert(raw)
        assert len(cluster.store.pods) == 0

    def test_a_guarded_deployment_is_gone_for_good(self, cluster: Cluster) -> None:
        """Its watch has no selector, and a UID is used once."""
        cluster.store.remove_guarded("gd-1")
        cluster.store.upsert_guarded(guarded(version=500))
        assert cluster.store.find(WEB) is None

    def test_only_the_latest_departures_are_remembered(self) -> None:
        gone = Tombstones()
        for number in range(MAX_TOMBSTONES + 1):
            gone.add(f"uid-{number}", number)
            gone.add("uid-1", number)  # it leaves again and again: it is one of the latest
        assert not gone.covers("uid-0", 0)
        assert gone.covers("uid-1", MAX_TOMBSTONES)
        assert gone.covers("uid-3", 3)
        assert not gone.covers("uid-3", 4)


def test_every_loss_is_reported(cluster: Cluster) -> None:
    cluster.store.pods.remove(ready_pod())
    assert cluster.told() == [WEB]
    cluster.store.replica_sets.remove(replica_set())
    assert cluster.told() == [WEB]
    cluster.store.remove_guarded("gd-1")
    assert cluster.told() == [WEB]
    cluster.store.remove_guarded("gd-1")
    assert cluster.told() == []


def test_a_list_without_an_object_drops_it_unless_it_is_newer(cluster: Cluster) -> None:
    cluster.store.pods.upsert(ready_pod(name="new", uid="pod-2", version=300))
    cluster.store.pods.retain(None, set(), listed_at=200)
    assert [one.name for one in cluster.snapshot().replica_sets[0].pods] == ["new"]


def test_a_list_of_one_namespace_says_nothing_about_another(cluster: Cluster) -> None:
    cluster.store.pods.retain("elsewhere", set(), listed_at=900)
    assert len(cluster.store.pods) == 1
    cluster.store.pods.retain("shop", set(), listed_at=900)
    assert len(cluster.store.pods) == 0


def test_a_pod_that_changes_hands_moves(cluster: Cluster) -> None:
    cluster.store.replica_sets.upsert(replica_set(name="web-new", uid="rs-2"))
    cluster.told()
    cluster.store.pods.upsert(ready_pod(version=101, owner="rs-2"))
    assert set(cluster.told()) == {WEB}
    pods = {view.uid: len(view.pods) for view in cluster.snapshot().replica_sets}
    assert pods == {"rs-1": 0, "rs-2": 1}


def test_a_pod_that_is_let_go_is_dropped(cluster: Cluster) -> None:
    raw = ready_pod(version=101)
    raw["metadata"]["ownerReferences"] = []
    cluster.store.pods.upsert(raw)
    assert len(cluster.store.pods) == 0


class TestOrphans:
    def test_they_appear_where_the_selector_takes_them(self, cluster: Cluster) -> None:
        cluster.store.replica_sets.upsert(replica_set(version=60, guard=None))
        assert set(cluster.told()) == {WEB}
        (view,) = cluster.snapshot().replica_sets
        assert not view.owned
        assert len(view.pods) == 1

    def test_not_where_it_does_not(self, cluster: Cluster) -> None:
        labels = {"labels": {"app": "other"}}
        cluster.store.replica_sets.upsert(replica_set(uid="rs-2", guard=None, metadata=labels))
        assert cluster.told() == []
        assert len(cluster.snapshot().replica_sets) == 1

    def test_not_in_another_namespace(self, cluster: Cluster) -> None:
        raw = replica_set(uid="rs-2", guard=None)
        raw["metadata"]["namespace"] = "elsewhere"
        cluster.store.replica_sets.upsert(raw)
        assert cluster.told() == []

    def test_adopted_they_are_owned(self, cluster: Cluster) -> None:
        cluster.store.replica_sets.upsert(replica_set(version=60, guard=None))
        cluster.store.replica_sets.upsert(replica_set(version=61))
        assert [view.owned for view in cluster.snapshot().replica_sets] == [True]


STRANGE = {"labels": {"app": "other", HASH_LABEL: "6f8c"}}
"""Metadata of a ReplicaSet that the selector does not match."""


class TestStrays:
    """W5: an owned ReplicaSet that somebody took out of the selector by hand."""

    def test_it_is_reported_and_neither_it_nor_its_pods_count(self, cluster: Cluster) -> None:
        cluster.store.replica_sets.upsert(replica_set(version=60, metadata=STRANGE))
        assert cluster.told() == [WEB]
        snapshot = cluster.snapshot()
        assert snapshot.replica_sets == ()
        (stray,) = snapshot.strays
        assert (stray.uid, stray.resource_version, stray.pods) == ("rs-1", "60", ())

    def test_with_its_labels_back_it_counts_again(self, cluster: Cluster) -> None:
        cluster.store.replica_sets.upsert(replica_set(version=60, metadata=STRANGE))
        cluster.told()
        cluster.store.replica_sets.upsert(replica_set(version=61))
        assert cluster.told() == [WEB]
        snapshot = cluster.snapshot()
        assert snapshot.strays == ()
        assert [len(view.pods) for view in snapshot.replica_sets] == [1]

    def test_released_it_is_nobodys_until_it_matches_again(self, cluster: Cluster) -> None:
        cluster.store.replica_sets.upsert(replica_set(version=60, guard=None, metadata=STRANGE))
        assert (cluster.snapshot().replica_sets, cluster.snapshot().strays) == ((), ())
        cluster.told()
        cluster.store.replica_sets.upsert(replica_set(version=61, guard=None))
        assert cluster.told() == [WEB]
        (orphan,) = cluster.snapshot().replica_sets
        assert (orphan.owned, len(orphan.pods)) == (False, 1)

    @pytest.mark.parametrize(
        "selector",
        [
            {"matchLabels": {"app": "never"}},
            {"matchExpressions": [{"key": HASH_LABEL, "operator": "DoesNotExist"}]},
            {},
        ],
        ids=["not its template's", "not its ReplicaSets'", "empty"],
    )
    def test_nothing_is_let_go_where_the_next_one_would_not_match_either(
        self, selector: dict[str, Any]
    ) -> None:
        cluster = Cluster()
        cluster.store.upsert_guarded(guarded(selector=selector))
        cluster.store.replica_sets.upsert(replica_set())
        (record,) = cluster.store.records()
        assert not record.lets_go({"app": "web", HASH_LABEL: "6f8c"})
        assert not record.lets_go({})

    def test_one_in_another_namespace_is_not_touched(self, cluster: Cluster) -> None:
        raw = replica_set(name="web-x", uid="rs-2", metadata=STRANGE)
        raw["metadata"]["namespace"] = "elsewhere"
        cluster.store.replica_sets.upsert(raw)
        assert cluster.snapshot().strays == ()


class TestForgedOwners:
    """Who may write in one namespace gains nothing in another (docs/explanation/security.md)."""

    def elsewhere(self, raw: dict[str, Any]) -> dict[str, Any]:
        raw["metadata"]["namespace"] = "elsewhere"
        return raw

    def test_a_replica_set_that_names_an_owner_in_another_namespace_is_not_its(
        self, cluster: Cluster
    ) -> None:
        forged = replica_set(name="web-x", uid="rs-2", annotations={"tripswitch.dev/revision": "9"})
        cluster.store.replica_sets.upsert(self.elsewhere(forged))
        cluster.store.pods.upsert(self.elsewhere(ready_pod(name="x", uid="pod-2", owner="rs-2")))
        assert cluster.told() == []
        assert [view.uid for view in cluster.snapshot().replica_sets] == ["rs-1"]

    def test_a_pod_that_names_a_replica_set_in_another_namespace_is_not_its(
        self, cluster: Cluster
    ) -> None:
        forged = pod(waiting("ErrImagePull"), name="x", uid="pod-2", owner="rs-1")
        cluster.store.pods.upsert(self.elsewhere(forged))
        assert cluster.told() == []
        (view,) = cluster.snapshot().replica_sets
        assert [one.uid for one in view.pods] == ["pod-1"]

    def test_a_controller_of_another_group_is_not_ours(self, cluster: Cluster) -> None:
        forged = replica_set(name="web-x", uid="rs-2")
        forged["metadata"]["ownerReferences"][0]["apiVersion"] = "tripswitch.dev.evil/v1"
        cluster.store.replica_sets.upsert(forged)
        assert cluster.told() == []
        assert [view.uid for view in cluster.snapshot().replica_sets] == ["rs-1"]


class TestGuardedDeployments:
    def test_the_same_version_twice_is_no_news(self, cluster: Cluster) -> None:
        cluster.store.upsert_guarded(guarded())
        assert cluster.told() == []

    def test_one_that_was_made_again_is_another(self, cluster: Cluster) -> None:
        cluster.store.upsert_guarded(guarded(uid="gd-2", version=400))
        assert cluster.record().uid == "gd-2"
        assert cluster.snapshot().replica_sets == ()
        cluster.store.remove_guarded("gd-1")  # the deletion comes late
        assert cluster.record().uid == "gd-2"

    def test_a_late_word_of_the_one_before_does_not_bring_it_back(self, cluster: Cluster) -> None:
        cluster.store.upsert_guarded(guarded(uid="gd-2", version=400))
        cluster.store.upsert_guarded(guarded(uid="gd-1", version=300))
        assert cluster.record().uid == "gd-2"

    def test_one_that_cannot_be_understood_is_kept_and_told(self, cluster: Cluster) -> None:
        cluster.store.upsert_guarded(guarded(version=11, replicas="many"))
        with pytest.raises(InvalidObjectError):
            cluster.snapshot()
        cluster.store.upsert_guarded(guarded(version=12))
        assert cluster.snapshot().guarded.spec.replicas == 4

    def test_its_document_is_the_object_without_managed_fields(self, cluster: Cluster) -> None:
        raw: dict[str, Any] = guarded()
        del raw["metadata"]["managedFields"]
        assert cluster.record().decode() == raw

    def test_what_comes_late_about_the_one_before_reaches_no_other(self, cluster: Cluster) -> None:
        """Every way to tell the store something about an object (code review, A4)."""
        before, store = cluster.record(), cluster.store
        memory: PerObject[list[str]] = PerObject(store, list)
        store.upsert_guarded(guarded(uid="gd-2", version=400))
        now = store.track(cluster.record())
        untouched = deepcopy(now)
        cluster.told()

        store.find_out(before, (Finding("1/LAUNCH/Error/web/2/", Evidence("web-x-1")),))
        store.see(before, Sight(T0, {}))
        store.refuse(before, CreateError("digest", "web-x", message="quota"))
        store.refuse_retention(before)
        memory.of(before).append("written")

        assert now == untouched
        assert cluster.told() == []
        assert store.all_tracked() == [now]

    def test_state_of_an_object_goes_with_it(self, cluster: Cluster) -> None:
        notes: PerObject[list[str]] = PerObject(cluster.store, list)
        old = cluster.record()
        notes.of(old).append("old")
        assert notes.of(old) == ["old"]
        cluster.store.upsert_guarded(guarded(uid="gd-2", version=400))
        notes.of(old).append("late")
        assert notes.of(old) == []
        assert notes.of(cluster.record()) == []
        assert len(notes) == 1

    def test_whoever_keeps_state_outside_is_told_before_the_next_one_is_there(
        self, cluster: Cluster
    ) -> None:
        told: list[tuple[str, Record | None]] = []
        cluster.store.when_gone(
            lambda record: told.append((record.uid, cluster.store.find(record.key)))
        )
        cluster.store.upsert_guarded(guarded(uid="gd-2", version=400))
        cluster.store.remove_guarded("gd-1")
        assert told == [("gd-1", None)]


class TestRefusals:
    def error(self, cluster: Cluster, **more: Any) -> CreateError:
        digest = cluster.snapshot().guarded.spec.template.digest
        return CreateError(digest, "web-a", **more)

    def test_a_refusal_is_in_the_next_snapshot_and_reported_once(self, cluster: Cluster) -> None:
        error = self.error(cluster, message="no")
        cluster.store.refuse(cluster.record(), error)
        assert cluster.snapshot().create_error == error
        assert cluster.told() == [WEB]
        cluster.store.refuse(cluster.record(), error)
        assert cluster.told() == []

    def test_the_same_refusal_is_asked_for_later_and_later(self, cluster: Cluster) -> None:
        error = self.error(cluster, message="no")
        for longest in (1, 2, 4, 8, 16, 32, 60, 60):
            cluster.store.refuse(cluster.record(), error)
            at = cluster.store.retry_at(cluster.record(), "web-a")
            assert at is not None
            assert longest / 2 <= at - cluster.now <= longest

    def test_success_another_template_and_deletion_forget_it(self, cluster: Cluster) -> None:
        record = cluster.record()
        cluster.store.refuse(record, self.error(cluster, message="no"))
        cluster.store.accept(record, replica_set(uid="rs-2", name="web-a"))
        assert cluster.snapshot().create_error is None
        cluster.store.refuse(record, CreateError("another digest", "web-a", message="no"))
        assert cluster.snapshot().create_error is None
        assert cluster.store.retry_at(record, "web-a") is None

    def test_a_name_that_is_taken_is_not_waited_for(self, cluster: Cluster) -> None:
        cluster.store.refuse(cluster.record(), self.error(cluster, name_taken=True))
        assert cluster.store.retry_at(cluster.record(), "web-a") is None
        assert cluster.snapshot().create_error is not None
