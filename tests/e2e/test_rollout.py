"""Rules R, P, C and W on the cluster: scaling, pausing, strategies, commands, history."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.namespace import (
    Namespace,
    PodWatcher,
    breaker,
    conditions,
    guarded,
    revision,
    rollout,
)


@pytest.mark.parametrize(
    ("bounds", "lower", "upper"),
    [
        ({"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 100}}, 5, 10),
        (
            {"deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 150}},
            10,
            15,
        ),
        ({"strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}}, 8, 13),
        ({"strategy": {"type": "Recreate"}}, 0, 10),
    ],
    ids=["50-100", "100-150", "25-25", "Recreate"],
)
def test_a_rollout_stays_within_its_bounds(
    world: Namespace, bounds: dict[str, object], lower: int, upper: int
) -> None:
    """R1, R3: never fewer healthy, never more alive."""
    first = guarded(replicas=10, image="web:1")
    second = guarded(replicas=10, image="web:2", behaviour="slow-start")
    for manifest in (first, second):
        manifest["spec"].pop("deploymentConfiguration")
        manifest["spec"] |= bounds
    world.completed(first)
    with PodWatcher(world) as watcher:
        world.completed(second)
    assert watcher.fewest_ready >= lower
    assert watcher.most_alive <= upper


def test_a_hand_on_replicas_in_the_middle_of_a_rollout_applies_at_once(world: Namespace) -> None:
    """R4, T4: kubectl scale moves the sizes and the threshold."""
    world.completed(guarded(replicas=4, image="web:1"))
    world.apply(guarded(replicas=4, image="web:2", behaviour="slow-start", minReadySeconds=10))
    world.until_rollout("IN_PROGRESS")
    world.kubectl("scale", "gdeploy/web", "--replicas=10")
    status = world.until(lambda status: status["circuitBreaker"]["threshold"] == 5)
    assert rollout(status) == "IN_PROGRESS"
    status = world.until_rollout("SUCCESSFUL")
    assert revision(status, 2)["healthy"] == 10


def test_a_horizontal_pod_autoscaler_scales_through_the_scale_subresource(world: Namespace) -> None:
    """R4 with a real HorizontalPodAutoscaler: its minimum raises replicas."""
    world.completed(guarded(replicas=2))
    world.kubectl("autoscale", "gdeploy/web", "--min=5", "--max=8", "--cpu=50%")
    world.until(lambda status: status["availableReplicas"] == 5)
    assert world.get()["spec"]["replicas"] == 5


def test_replicas_zero_completes_but_proves_nothing(world: Namespace) -> None:
    """R6: scaled up from zero, the revision is watched, trips, and the proved one comes back."""
    world.completed(guarded(replicas=2, image="web:1"))
    world.apply(guarded(replicas=0, image="web:2", behaviour="crash"))
    status = world.until_rollout("SUCCESSFUL")
    status = world.until(lambda status: status["rollout"]["reason"] == "ScaledToZero")
    assert status["lastCompletedRevision"] == 1
    world.kubectl("scale", "gdeploy/web", "--replicas=4")
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert status["rollout"]["revision"] == 1


def test_a_pause_holds_everything_and_counts_nothing(world: Namespace) -> None:
    """R7."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="crash", paused=True))
    world.until_rollout("PENDING")
    assert len(world.replica_sets()) == 1
    world.patch("web", {"spec": {"paused": False}})
    assert world.until_rollout("ROLLBACK_SUCCESSFUL")["rollout"]["failedRevision"] == 2


def test_the_progress_deadline_does_not_trip_a_disabled_breaker(world: Namespace) -> None:
    """P1, S3: as in a Deployment, it only shows."""
    off = breaker(enable=False)
    world.completed(guarded(image="web:1", configuration=off))
    world.apply(
        guarded(
            image="web:2", behaviour="never-ready", configuration=off, progressDeadlineSeconds=2
        )
    )
    status = world.until(
        lambda status: conditions(status)["Progressing"]["reason"] == "ProgressDeadlineExceeded"
    )
    assert rollout(status) == "IN_PROGRESS"
    assert status["circuitBreaker"]["status"] == "DISABLED"


def test_retry_tries_the_failed_revision_once_for_each_value(world: Namespace) -> None:
    """C1."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="crash"))
    first = world.until_rollout("ROLLBACK_SUCCESSFUL")
    world.annotate("web", "retry", "one")
    world.until(
        lambda status: (
            rollout(status) == "ROLLBACK_SUCCESSFUL"
            and status["rollout"]["startedAt"] != first["rollout"]["startedAt"]
        )
    )
    failed = revision(world.status(), 2)["failedTasks"]
    assert failed >= 6, "it was tried again, and failed again"


@pytest.mark.parametrize(
    ("kind", "ends"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("ABORT", "STOPPED")]
)
def test_stop_acts_on_the_rollout_it_names(world: Namespace, kind: str, ends: str) -> None:
    """C2: not on another revision's."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="slow-start", minReadySeconds=60))
    world.until_rollout("IN_PROGRESS")
    world.annotate("web", "stop", f"1/{kind}")
    world.until(lambda status: status.get("observedStop") == f"1/{kind}")
    assert rollout(world.status()) == "IN_PROGRESS"
    world.annotate("web", "stop", f"2/{kind}")
    status = world.until_rollout(ends)
    assert revision(status, 2)["rolloutState"] == "STOPPED"
    assert conditions(status)["Stalled"]["status"] == "True"


def test_a_new_template_stops_the_rollout_in_progress(world: Namespace) -> None:
    """C3: and the count starts at 0."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="never-ready", replicas=4))
    world.until_rollout("IN_PROGRESS")
    status = world.completed(guarded(image="web:3"))
    assert revision(status, 2)["rolloutState"] == "STOPPED"
    assert status["circuitBreaker"]["failureCount"] == 0
    assert world.until_event("RolloutStopped")


def test_history_is_pruned_but_never_what_is_needed(world: Namespace) -> None:
    """revisionHistoryLimit."""
    for number in range(1, 5):
        world.completed(guarded(replicas=1, image=f"web:{number}", revisionHistoryLimit=1))
    world.until_true(lambda: len(world.replica_sets()) == 2)
    status = world.status()
    assert [r["revision"] for r in status["revisions"]][:2] == [4, 3]


def test_a_replica_set_deleted_or_scaled_by_hand_comes_back(world: Namespace) -> None:
    """The running revision is kept at its size, whatever happens to its ReplicaSet or its pods."""
    world.completed(guarded(replicas=3))
    name = next(iter(world.replica_sets()))
    world.kubectl("scale", f"replicaset/{name}", "--replicas=1")
    world.until_true(lambda: world.replica_sets()[name].status.ready_replicas == 3)
    world.kubectl("delete", f"replicaset/{name}")
    world.until_true(
        lambda: sum(rs.status.ready_replicas or 0 for rs in world.replica_sets().values()) == 3
    )
    world.kubectl("delete", "pods", "--all", "--wait=false")
    world.until(lambda status: status["availableReplicas"] == 3)
    assert rollout(world.status()) == "SUCCESSFUL"


def test_an_object_deleted_with_orphans_finds_its_history_again(world: Namespace) -> None:
    """W2: created again, it adopts its ReplicaSets and knows what had completed."""
    world.completed(guarded(replicas=2, image="web:1"))
    world.completed(guarded(replicas=2, image="web:2"))
    pods = {pod.metadata.uid for pod in world.pods()}
    world.kubectl("delete", "gdeploy/web", "--cascade=orphan")
    status = world.completed(guarded(replicas=2, image="web:2"))
    assert status["lastCompletedRevision"] == 2
    assert {pod.metadata.uid for pod in world.pods()} == pods, "no pod was touched"
    uid = world.get()["metadata"]["uid"]

    def owners() -> set[str]:
        sets = world.replica_sets().values()
        return {ref.uid for rs in sets for ref in rs.metadata.owner_references or []}

    # One may be adopted a little later than the other: the garbage collector lets go of them in turn.
    world.until_true(lambda: owners() == {uid} and len(world.replica_sets()) == 2)
    world.until_true(
        lambda: all(rs.metadata.owner_references for rs in world.replica_sets().values())
    )


def test_deleting_it_deletes_everything(world: Namespace) -> None:
    """By owner references; no finalizer."""
    world.completed(guarded(replicas=2))
    assert "finalizers" not in world.get()["metadata"]
    world.kubectl("delete", "gdeploy/web")
    world.until_true(lambda: not world.pods() and not world.replica_sets())


def test_the_frame_leaves_no_trace_on_any_object(world: Namespace) -> None:
    """No annotation, no finalizer, and only our field manager on what is ours."""
    world.completed(guarded(replicas=1))
    found = json.loads(
        world.kubectl("get", "gdeploy,replicasets,pods", "--output=json", "--show-managed-fields")
    )
    assert "kopf" not in json.dumps(found)
    managers = {m["manager"] for item in found["items"] for m in item["metadata"]["managedFields"]}
    assert "tripswitch" in managers


def test_standing_still_writes_nothing(world: Namespace) -> None:
    """W3: no version of anything changes once it is done."""
    world.completed(guarded(replicas=2))
    time.sleep(2)
    before = world.get()["metadata"]["resourceVersion"]
    time.sleep(5)
    assert world.get()["metadata"]["resourceVersion"] == before
