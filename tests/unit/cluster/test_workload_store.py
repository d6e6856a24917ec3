"""What is known of guarded workloads, and that nothing is kept of all the others (rules G)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster import guard_raws as raws
from tripswitch.api.codec import InvalidObjectError
from tripswitch.cluster.guarded_sink import GuardedSink
from tripswitch.cluster.store import Key, Record
from tripswitch.cluster.workload_index import KindSink
from tripswitch.cluster.workload_store import WorkloadStore
from tripswitch.cluster.workloads import Target, is_stateful
from tripswitch.domain.values.protection import Mode, WorkloadKind
from tripswitch.domain.values.sight import Check
from tripswitch.domain.values.snapshot import Snapshot

WEB = Target("Deployment", "shop", "web")
DB = Target("StatefulSet", "shop", "db")
KEY = Key("shop", "web")


class Views:
    """A store with its sinks, as the watches fill them."""

    def __init__(self, most: Mode = Mode.ENFORCE) -> None:
        self.dirty: list[Key] = []
        self.store = WorkloadStore(self.dirty.append, lambda: 1_800_100_000.0, most=most)
        self.deployments = KindSink(self.store.workloads, WorkloadKind.DEPLOYMENT)
        self.stateful_sets = KindSink(self.store.workloads, WorkloadKind.STATEFUL_SET)
        self.sets = GuardedSink(self.store.replica_sets, self.store.keeps)
        self.revisions = GuardedSink(self.store.controller_revisions, self.store.keeps)
        self.pods = GuardedSink(self.store.pods, self.store.keeps, lambda p: not is_stateful(p))
        self.db_pods = GuardedSink(self.store.pods, self.store.keeps, is_stateful)

    def fill(self) -> Views:
        """See a Deployment with a ReplicaSet and a pod, and a StatefulSet with the same."""
        self.deployments.upsert(raws.deployment())
        self.stateful_sets.upsert(raws.stateful_set())
        self.sets.upsert(raws.replica_set())
        self.revisions.upsert(raws.controller_revision())
        self.pods.upsert(raws.pod())
        self.db_pods.upsert(raws.stateful_pod())
        return self

    def record(self, name: str = "web") -> Record:
        """Return a breaker."""
        found = self.store.find(Key("shop", name))
        assert found is not None
        return found

    def snapshot(self, name: str = "web") -> Snapshot:
        """Return what a look at a breaker sees."""
        return self.store.snapshot(self.record(name))


def guarded(**more: Any) -> Views:
    views = Views()
    views.store.upsert_guarded(raws.breaker(**more))
    return views.fill()


def test_of_what_is_not_guarded_nothing_is_kept() -> None:
    views = Views().fill()
    assert [len(t) for t in (views.store.replica_sets, views.store.pods)] == [0, 0]
    assert len(views.store.controller_revisions) == 0
    assert [brief.view for brief in views.store.workloads] == [None, None]
    assert views.dirty == []


def test_a_snapshot_has_the_workload_its_revisions_and_their_pods() -> None:
    snapshot = guarded().snapshot()
    assert snapshot.protected is not None
    assert snapshot.protected.workload is not None
    assert snapshot.protected.workload.name == "web"
    assert snapshot.protected.current == "web-6f8c"
    assert [[pod.name for pod in rs.pods] for rs in snapshot.replica_sets] == [["web-6f8c-a"]]


def test_an_owner_in_another_namespace_means_nothing() -> None:
    """Somebody guards a Deployment of the same name elsewhere, and forges the owner's UID."""
    views = guarded()
    elsewhere = raws.breaker("web", "uid-2")
    elsewhere["metadata"]["namespace"] = "evil"
    views.store.upsert_guarded(elsewhere)
    for sink, raw in (
        (views.sets, raws.replica_set("0bad", "web:bad")),
        (views.pods, raws.pod("web-6f8c-b")),
    ):
        raw["metadata"]["namespace"] = "evil"
        raw["metadata"]["uid"] += "-2"
        sink.upsert(raw)
    assert [[pod.name for pod in rs.pods] for rs in views.snapshot().replica_sets] == [
        ["web-6f8c-a"]
    ]


def test_a_snapshot_of_a_stateful_set() -> None:
    snapshot = guarded(target="StatefulSet/db").snapshot()
    assert snapshot.protected is not None
    assert snapshot.protected.current == "db-1a"
    assert [[pod.name for pod in rs.pods] for rs in snapshot.replica_sets] == [["db-0"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.deployments.upsert(raws.deployment("web:2", 11)),
        lambda v: v.sets.upsert(raws.replica_set(version=11) | {"spec": {"replicas": 1}}),
        lambda v: v.pods.upsert(raws.pod("web-6f8c-b")),
        lambda v: v.pods.remove(raws.pod(version=11)),
        lambda v: v.deployments.remove(raws.deployment(version=11)),
        lambda v: v.store.upsert_guarded(raws.breaker(version=21, mode="Observe")),
    ],
)
def test_whatever_changes_marks_the_breaker(change: Any) -> None:
    views = guarded()
    views.dirty.clear()
    change(views)
    assert set(views.dirty) == {KEY}


def test_a_pod_of_a_stateful_set_marks_its_breaker() -> None:
    views = guarded(target="StatefulSet/db")
    views.dirty.clear()
    views.db_pods.upsert(raws.stateful_pod("db-1"))
    assert views.dirty == [KEY]


def test_an_older_version_changes_nothing() -> None:
    views = guarded()
    views.dirty.clear()
    views.deployments.upsert(raws.deployment("web:0", 9))
    assert views.dirty == []
    views.deployments.upsert(raws.deployment(version=10))
    assert views.dirty == []


def test_lists_of_one_kind_of_pods_leave_the_other_kind_alone() -> None:
    views = guarded()
    views.store.upsert_guarded(raws.breaker("db", "uid-2", target="StatefulSet/db"))
    views.fill()
    views.pods.retain(None, {"uid-web-6f8c-a"}, 50)
    assert len(views.store.pods) == 2
    views.db_pods.retain(None, set(), 50)
    assert len(views.store.pods) == 1


def test_a_list_drops_workloads_of_its_kind_that_are_gone() -> None:
    views = guarded()
    views.stateful_sets.retain(None, set(), 50)
    assert [brief.target for brief in views.store.workloads] == [WEB]
    views.deployments.retain("other", set(), 50)
    views.deployments.retain("shop", set(), 5)
    assert len(views.store.workloads) == 1
    views.deployments.retain("shop", set(), 50)
    assert len(views.store.workloads) == 0
    assert views.snapshot().protected is not None


def test_a_workload_that_is_made_again_is_another_one() -> None:
    """Its old ReplicaSets, which are still being collected, are none of its revisions."""
    views = guarded()
    raw = raws.deployment(version=30)
    raw["metadata"]["uid"] = "uid-again"
    views.deployments.upsert(raw)
    assert views.snapshot().replica_sets == ()
    assert views.store.workloads.find_target("uid-web") is None


def test_a_late_answer_about_the_workload_before_does_not_bring_it_back() -> None:
    views = guarded()
    again = raws.deployment(version=30)
    again["metadata"]["uid"] = "uid-again"
    views.deployments.upsert(again)
    views.deployments.upsert(raws.deployment(version=20))
    assert views.store.workloads.find_target("uid-again") == WEB
    assert views.store.workloads.find_target("uid-web") is None


def test_a_pod_that_goes_while_its_workload_is_read_stays_gone() -> None:
    """The watch tells of the deletion before the answer of the list comes, which has the pod."""
    views = guarded()
    views.pods.remove(raws.pod("web-6f8c-b", version=40))
    views.pods.upsert(raws.pod("web-6f8c-b", version=12))
    assert [pod.name for rs in views.snapshot().replica_sets for pod in rs.pods] == ["web-6f8c-a"]


def test_a_workload_that_is_being_deleted_is_as_good_as_gone() -> None:
    views = guarded()
    leaving = {"deletionTimestamp": "2027-01-15T09:00:00Z"}
    views.deployments.upsert(raws.deployment(version=30, metadata=leaving))
    protected = views.snapshot().protected
    assert protected is not None
    assert protected.workload is None


def test_two_breakers_of_one_workload_the_older_acts() -> None:
    """G1."""
    views = guarded()
    late = raws.breaker("late", "uid-2", created="2027-01-16T08:00:00Z")
    views.store.upsert_guarded(late)
    assert views.snapshot().protected is not None
    first, second = (views.snapshot(name).protected for name in ("web", "late"))
    assert first is not None
    assert second is not None
    assert (first.rival, second.rival) == ("", "web")
    views.dirty.clear()
    views.store.remove_guarded(raws.BREAKER_UID)
    assert Key("shop", "late") in views.dirty
    second = views.snapshot("late").protected
    assert second is not None
    assert second.rival == ""


def test_a_breaker_that_a_person_made_comes_before_one_made_for_a_label() -> None:
    """G1, G8: also where it is younger."""
    views = Views()
    labelled = raws.breaker(
        "web-deployment", "uid-1", annotations={"tripswitch.dev/made-by": "label"}
    )
    views.store.upsert_guarded(labelled)
    views.store.upsert_guarded(raws.breaker("own", "uid-2", created="2027-01-16T08:00:00Z"))
    views.fill()

    def find_rivals() -> list[str]:
        found = (views.snapshot(name).protected for name in ("web-deployment", "own"))
        return [one.rival for one in found if one is not None]

    assert find_rivals() == ["own", ""]
    views.dirty.clear()
    views.store.upsert_guarded(raws.breaker("web-deployment", "uid-1", version=19))
    assert find_rivals() == ["own", ""], "an older version is no news"
    views.store.upsert_guarded(raws.breaker("web-deployment", "uid-1", version=21))
    assert find_rivals() == ["", "web-deployment"], "a person made it their own"
    assert Key("shop", "own") in views.dirty


def test_after_the_last_breaker_nothing_is_kept() -> None:
    views = guarded()
    views.store.remove_guarded(raws.BREAKER_UID)
    views.store.remove_guarded("unknown")
    assert [len(t) for t in (views.store.replica_sets, views.store.pods)] == [0, 0]
    found = views.store.workloads.find(WEB)
    assert found is not None
    assert found.view is None


def test_a_breaker_whose_workload_is_not_there_goes_quietly() -> None:
    views = Views()
    views.store.upsert_guarded(raws.breaker())
    assert views.store.find_workload(views.record()) is None
    views.store.remove_guarded(raws.BREAKER_UID)
    assert not views.store.is_guarded(WEB)


def test_a_pod_that_its_owner_released_is_dropped() -> None:
    views = guarded()
    raw = raws.pod(version=11)
    del raw["metadata"]["ownerReferences"]
    views.pods.upsert(raw)
    assert len(views.store.pods) == 0


def test_the_operators_option_observe_wins_over_the_breakers_mode() -> None:
    """G7."""
    views = Views(Mode.OBSERVE)
    views.store.upsert_guarded(raws.breaker(mode="Enforce"))
    views.fill()
    protected = views.snapshot().protected
    assert protected is not None
    assert protected.protection.mode is Mode.OBSERVE
    assert views.store.find_workload(views.record()) is None


def test_events_about_the_workload_name_it_unless_it_is_observed() -> None:
    views = guarded()
    about = views.store.find_workload(views.record())
    assert about is not None
    assert (about.api_version, about.kind, about.key, about.uid) == (
        "apps/v1",
        "Deployment",
        KEY,
        "uid-web",
    )
    views.store.upsert_guarded(raws.breaker(version=21, mode="Observe"))
    record = views.record()
    assert views.store.find_workload(record) is None
    views.store.remove_guarded(raws.BREAKER_UID)
    assert views.store.find_workload(record) is None


@pytest.mark.parametrize(("by", "told"), [(raws.BREAKER_UID, ["web"]), ("uid-other", [])])
def test_a_breaker_that_goes_during_a_trip_is_told(by: str, told: list[str]) -> None:
    """G9."""
    views = guarded()
    marks = {
        "tripswitch.dev/tripped": "web-2",
        "tripswitch.dev/changed": f'{{"breaker": "{by}"}}',
    }
    views.deployments.upsert(raws.deployment(version=30, metadata={"annotations": marks}))
    left: list[str] = []
    views.store.left = lambda record: left.append(record.key.name)
    views.store.remove_guarded(raws.BREAKER_UID)
    assert left == told


def test_the_pods_of_a_revision_have_a_label_of_their_own() -> None:
    views = guarded()
    check = Check("web-6f8c", "rs-6f8c", frozenset(), events=False)
    assert views.store.pod_labels(views.record(), check) == "pod-template-hash=6f8c"
    views = guarded(target="StatefulSet/db")
    check = Check("db-1a", "uid-db/db-1a", frozenset(), events=False)
    assert views.store.pod_labels(views.record(), check) == "controller-revision-hash=db-1a"


@pytest.mark.parametrize("target", ["DaemonSet/web", "Deployment/", "/"])
def test_a_target_that_makes_no_sense_is_not_read_and_told_at_the_look(target: str) -> None:
    """Such an object was stored under another CRD."""
    views = Views()
    asked: list[Record] = []
    views.store.load = asked.append
    views.store.upsert_guarded(raws.breaker(target=target))
    assert asked == []
    assert views.store.is_ready(views.record())
    with pytest.raises(InvalidObjectError):
        views.snapshot()


def test_nothing_is_decided_before_a_new_workload_was_read() -> None:
    views = Views()
    asked: list[Record] = []
    views.store.load = asked.append
    views.store.upsert_guarded(raws.breaker())
    assert asked == [views.record()]
    assert not views.store.is_ready(views.record())
    views.store.finish_loading(asked[0])
    assert views.store.is_ready(views.record())
    views.store.upsert_guarded(raws.breaker("other", "uid-2"))
    assert len(asked) == 1, "it is known already"
    for uid in (raws.BREAKER_UID, "uid-2"):
        views.store.remove_guarded(uid)
    views.store.finish_loading(asked[0])
    assert not views.store.is_ready(asked[0])
