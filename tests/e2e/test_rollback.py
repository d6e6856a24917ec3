"""The main job: a bad revision trips, and the last completed one comes back (rules B)."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from tests.e2e.conftest import OwnCluster
from tests.e2e.namespace import (
    Namespace,
    PodWatcher,
    breaker,
    conditions,
    guarded,
    revision,
    rollout,
)
from tools.cluster.behaviours import DELAY
from tools.operator_process import install


@pytest.mark.parametrize(
    ("replicas", "threshold"), [(1, 3), (25, 13), (400, 200), (800, 200)], ids=str
)
def test_the_seeds_thresholds_stand_in_the_status(
    world: Namespace, replicas: int, threshold: int
) -> None:
    """T1, the seed's own table, read back from real objects."""
    world.apply(guarded(replicas=replicas, paused=True))
    status = world.until_rollout("PENDING")
    assert status["circuitBreaker"]["threshold"] == threshold
    assert status["circuitBreaker"]["summary"] == f"0/{threshold}"


def test_a_crashing_revision_is_rolled_back_and_no_healthy_pod_is_lost(world: Namespace) -> None:
    """B1, B2, B7: with minimumHealthyPercent 100 all four stay healthy at every moment."""
    world.completed(guarded(replicas=4))
    with PodWatcher(world) as watcher:
        world.apply(guarded(replicas=4, behaviour="crash"))
        status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert watcher.fewest_ready == 4
    assert watcher.most_alive <= 8
    assert status["rollout"]["revision"] == 1
    assert status["rollout"]["failedRevision"] == 2
    assert status["rolloutState"] == "FAILED"
    assert status["lastCompletedRevision"] == 1
    assert "container web exited 2" in revision(status, 2)["reason"]
    assert revision(status, 2)["rolloutState"] == "FAILED"
    assert revision(status, 2)["failedTasks"] >= 3
    found = conditions(status)
    assert found["Ready"]["status"] == "False"
    assert found["Stalled"]["status"] == "True"
    assert found["Available"]["status"] == "True"
    assert "Reconciling" not in found
    wanted = world.get()["spec"]["template"]["metadata"]["annotations"]
    assert wanted == {"stage.tripswitch.dev/behaviour": "crash"}, "spec is never written (B6)"
    world.until_event("RollbackCompleted")
    events = [reason for reason, _ in world.events()]
    assert "CircuitBreakerTriggered" in events
    assert "RollbackStarted" in events


def test_a_first_rollout_that_fails_stalls(world: Namespace) -> None:
    """B3: nothing to go back to; the failed ReplicaSet is lowered, nothing more is launched."""
    world.apply(guarded(behaviour="image-pull"))
    status = world.until_rollout("FAILED")
    assert conditions(status)["Stalled"]["reason"] == "NoCompletedRevision"
    assert "ErrImagePull" in status["rolloutStateReason"]
    world.until_true(lambda: not world.pods())
    assert world.until_event("RolloutStalled")


def test_without_rollback_a_trip_stalls_and_the_old_revision_keeps_what_it_has(
    world: Namespace,
) -> None:
    """B4."""
    off = breaker(rollback=False)
    world.completed(guarded(configuration=off))
    world.apply(guarded(configuration=off, behaviour="crash"))
    status = world.until_rollout("FAILED")
    assert conditions(status)["Stalled"]["reason"] == "CircuitBreakerTriggered"
    world.until(lambda status: revision(status, 2)["desired"] == 0)
    assert revision(world.status(), 1)["healthy"] == 4


def test_a_bad_revision_applied_during_a_rollback_cannot_roll_back_and_stalls(
    world: Namespace,
) -> None:
    """B3, ECS's own example: D1 completed, D2 trips, D3 is applied before D1 is back, and trips."""
    manifest = guarded(behaviour="slow-start", image="web:1")
    # No surge is left for D1 to come back at once, so its return takes as long as a slow start.
    manifest["spec"]["deploymentConfiguration"] = {
        "minimumHealthyPercent": 0,
        "maximumPercent": 100,
    }
    world.completed(manifest)
    second = guarded(behaviour="crash", image="web:2")
    second["spec"]["deploymentConfiguration"] = manifest["spec"]["deploymentConfiguration"]
    world.apply(second)
    world.until_rollout("ROLLBACK_IN_PROGRESS")
    third = guarded(behaviour="crash", image="web:3")
    third["spec"]["deploymentConfiguration"] = manifest["spec"]["deploymentConfiguration"]
    world.apply(third)
    status = world.until_rollout("FAILED")
    assert status["rollout"]["revision"] == 3
    assert status.get("lastCompletedRevision") is None
    assert conditions(status)["Stalled"]["reason"] == "NoCompletedRevision"


def test_a_rollback_that_fails_is_not_rolled_back_again(world: Namespace) -> None:
    """B5: the completed revision's own new pods crash when it comes back."""
    settings = {"minimumHealthyPercent": 0, "maximumPercent": 100}
    first = guarded(image="web:1", configuration=settings)
    world.completed(first)
    # From now on new pods of the first revision are told to crash: its ReplicaSet is edited.
    name = next(iter(world.replica_sets()))
    world.apps.patch_namespaced_replica_set(
        name,
        world.namespace,
        {
            "spec": {
                "template": {
                    "metadata": {"annotations": {"stage.tripswitch.dev/behaviour": "crash"}}
                }
            }
        },
    )
    world.apply(guarded(image="web:2", behaviour="crash", configuration=settings))
    status = world.until_rollout("ROLLBACK_FAILED")
    assert conditions(status)["Stalled"]["reason"] == "RollbackFailed"
    assert world.until_event("RollbackFailed")


def test_a_corrected_revision_after_a_rollback_completes(world: Namespace) -> None:
    """B6: a template that differs from the failed one starts a rollout."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="crash"))
    world.until_rollout("ROLLBACK_SUCCESSFUL")
    status = world.completed(guarded(image="web:3"))
    assert status["lastCompletedRevision"] == 3
    assert conditions(status)["Ready"]["status"] == "True"
    assert "Stalled" not in conditions(status)


def test_putting_the_old_template_back_makes_the_running_revision_the_desired_one(
    world: Namespace,
) -> None:
    """B6."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="crash"))
    before = world.until_rollout("ROLLBACK_SUCCESSFUL")
    world.apply(guarded(image="web:1"))
    status = world.until(lambda status: status["desiredRevision"] == 1)
    assert status["rolloutState"] == "COMPLETED"
    assert conditions(status)["Ready"]["status"] == "True"
    assert status["rollout"]["startedAt"] == before["rollout"]["startedAt"], "no new rollout"


def test_a_crash_right_after_the_trip_was_written_loses_nothing(own: OwnCluster) -> None:
    """W1: kill -9 after the status write and before any action; the next process goes on.

    The operator may not change ReplicaSets while it trips, so it cannot get further than the
    status, however fast it is.
    """
    world = own.world
    world.completed(guarded(replicas=4))
    nodes = "--selector=kubernetes.io/os=linux"
    with PodWatcher(world) as watcher:
        own.cluster.kubectl("cordon", nodes)  # nothing crashes before the rights are gone
        world.apply(guarded(replicas=4, behaviour="crash"))
        world.until_true(lambda: len(world.pods()) == 8)
        own.cluster.kubectl(
            "patch",
            "clusterrole",
            "tripswitch",
            "--type=json",
            '--patch=[{"op": "replace", "path": "/rules", "value": ['
            '{"apiGroups": ["tripswitch.dev"], "resources": ["guardeddeployments",'
            ' "guardeddeployments/status"], "verbs": ["get", "list", "watch", "update"]},'
            '{"apiGroups": ["apps"], "resources": ["replicasets"],'
            ' "verbs": ["get", "list", "watch"]},'
            '{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]}]',
        )
        own.cluster.kubectl("uncordon", nodes)
        tripped = world.until_rollout("ROLLBACK_IN_PROGRESS")
        own.operator.kill()
        assert revision(world.status(), 2)["desired"] == 4, "it acted before it was killed"
        install(own.cluster.kubectl)
        time.sleep(1)  # rights spread through the API server's caches
        own.operator.start()
        status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert status["rollout"]["startedAt"] == tripped["rollout"]["startedAt"], "the same rollback"
    assert revision(status, 2)["failedTasks"] == revision(tripped, 2)["failedTasks"]
    assert watcher.fewest_ready == 4


def test_a_restart_in_the_middle_neither_loses_nor_doubles_failures(own: OwnCluster) -> None:
    """F7: one crash-looping pod that waits after its second failure; the operator is killed twice then."""
    world = own.world
    world.completed(guarded(replicas=1))
    bad = guarded(replicas=1, behaviour="crash")
    bad["spec"]["template"]["metadata"]["annotations"][DELAY] = "1h"
    world.apply(bad)
    world.until(partial(_has_counted, 2))
    for _ in range(2):
        own.operator.kill()
        own.operator.start()
        assert world.status()["circuitBreaker"]["failureCount"] == 2
    (pod,) = (
        one.metadata.name for one in world.pods() if DELAY in (one.metadata.annotations or {})
    )
    world.kubectl("annotate", "pod", pod, f"{DELAY}=0s", "--overwrite")
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert revision(status, 2)["failedTasks"] == 3
    assert rollout(status) == "ROLLBACK_SUCCESSFUL"


def _has_counted(count: int, status: dict[str, Any]) -> bool:
    return bool(status["circuitBreaker"]["failureCount"] == count)
