"""Rules paragraph by paragraph, where no other story shows them: B1, B8, H2, P1, R2, R4, R5, R7, S1, S2, W5."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

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
from tools.cluster.behaviours import BEHAVIOUR, STOP

ONE_AFTER_THE_OTHER = {"minimumHealthyPercent": 0, "maximumPercent": 100}
"""Old pods go before new ones come, so a rollback takes as long as the old revision's start."""


def count(status: dict[str, Any]) -> int:
    return int(status["circuitBreaker"]["failureCount"])


def rolling_back(world: Namespace) -> dict[str, Any]:
    """A bad second revision, and a first one that takes its time to come back."""
    first = guarded(behaviour="slow-start", image="web:1", configuration=ONE_AFTER_THE_OTHER)
    world.completed(first)
    world.apply(guarded(behaviour="crash", image="web:2", configuration=ONE_AFTER_THE_OTHER))
    return world.until_rollout("ROLLBACK_IN_PROGRESS")


def test_b1_until_a_rollback_is_completed_there_is_nothing_to_go_back_to(world: Namespace) -> None:
    during = rolling_back(world)
    assert during.get("lastCompletedRevision") is None
    assert revision(during, 1)["rolloutState"] == "IN_PROGRESS"
    after = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert after["lastCompletedRevision"] == 1
    assert revision(after, 1)["rolloutState"] == "COMPLETED"


def test_b8_a_revision_whose_replica_set_was_deleted_is_no_candidate(world: Namespace) -> None:
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="never-ready", healthCheckGracePeriodSeconds=600))
    status = world.until(lambda status: status["desiredRevision"] == 2)
    world.kubectl("delete", f"replicaset/{revision(status, 1)['replicaSet']}")
    world.until(lambda status: status.get("lastCompletedRevision") is None)
    world.annotate("web", "stop", "2/ROLLBACK")
    status = world.until_rollout("STOPPED")
    assert conditions(status)["Stalled"]["reason"] == "NoCompletedRevision"


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "never reset"])
def test_h2_a_pod_that_becomes_healthy_resets_the_count_if_it_is_to(
    world: Namespace, *, reset: bool
) -> None:
    """And S1: with a pod that has been RUNNING the breaker is in stage HEALTH."""
    settings = breaker(
        resetOnHealthyTask=reset, thresholdConfiguration={"type": "COUNT", "value": 100}
    )
    world.apply(guarded(replicas=3, behaviour="never-pull", configuration=settings))
    status = world.until(lambda status: count(status) >= 3)
    assert status["circuitBreaker"]["stage"] == "LAUNCH"
    before = count(status)
    cure(world)
    status = world.until(
        lambda status: (
            status["circuitBreaker"]["stage"] == "HEALTH" and revision(status, 1)["healthy"] == 1
        )
    )
    assert (count(status) < before) is reset
    assert revision(status, 1)["failedTasks"] >= before, "history keeps them"


def test_s2_one_pod_that_runs_does_not_save_those_that_crash(world: Namespace) -> None:
    settings = breaker(
        resetOnHealthyTask=False, thresholdConfiguration={"type": "COUNT", "value": 10}
    )
    world.apply(guarded(replicas=4, behaviour="crash", configuration=settings))
    world.until(lambda status: count(status) >= 1)
    cure(world)
    status = world.until(lambda status: status["circuitBreaker"]["stage"] == "HEALTH")
    assert rollout(status) == "IN_PROGRESS"
    status = world.until_rollout("FAILED", seconds=150)
    assert status["circuitBreaker"]["status"] == "TRIGGERED"
    # B3: what is healthy of it is kept, nothing more is launched.
    world.until(lambda status: revision(status, 1)["desired"] == 1)
    assert len(world.pods()) == 1


def cure(world: Namespace) -> None:
    """Take the fault away from one pod."""
    name = world.pods()[0].metadata.name
    world.kubectl("annotate", f"pod/{name}", f"{BEHAVIOUR}-")


def test_r2_percentages_without_room_get_one_pod_of_it(world: Namespace) -> None:
    tight = {"minimumHealthyPercent": 100, "maximumPercent": 100}
    world.completed(guarded(image="web:1", configuration=tight))
    with PodWatcher(world) as watcher:
        world.completed(guarded(image="web:2", configuration=tight))
    assert watcher.fewest_ready == 4
    assert watcher.most_alive == 5


def test_r4_an_autoscaler_in_the_middle_of_a_rollback_moves_the_rollback(world: Namespace) -> None:
    """A real HorizontalPodAutoscaler, through the scale subresource, up and down."""
    status = rolling_back(world)
    assert status["circuitBreaker"]["threshold"] == 3
    world.kubectl("autoscale", "gdeploy/web", "--min=8", "--max=9", "--cpu=50%")
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    status = world.until(lambda status: revision(status, 1)["healthy"] == 8)
    assert status["circuitBreaker"]["threshold"] == 4
    assert world.get()["spec"]["replicas"] == 8
    world.kubectl("patch", "hpa/web", '--patch={"spec": {"minReplicas": 1, "maxReplicas": 2}}')
    world.until(lambda status: revision(status, 1)["desired"] == 2)
    world.until_true(lambda: len(world.pods()) == 2)


def test_r5_pods_that_still_are_terminating_do_not_hold_it_up(world: Namespace) -> None:
    first = guarded(image="web:1")
    first["spec"]["template"]["metadata"]["annotations"][STOP] = "300s"
    world.completed(first)
    old = {pod.metadata.name for pod in world.pods()}
    world.completed(guarded(image="web:2"))
    found = world.core.list_namespaced_pod(world.namespace).items
    assert old <= {pod.metadata.name for pod in found}, "they still are there"
    world.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")


def test_r7_a_pause_in_the_middle_counts_nothing_launches_nothing_and_stops_the_clock(
    world: Namespace,
) -> None:
    """And P1: afterwards the clock goes on, and failures of the pause are not counted."""
    never = breaker(thresholdConfiguration={"type": "COUNT", "value": 1000})
    world.completed(guarded(image="web:1", configuration=never))
    deadline = 40
    world.apply(
        guarded(
            image="web:2",
            behaviour="crash",
            configuration=never,
            progressDeadlineSeconds=deadline,
        )
    )
    world.until(lambda status: status["desiredRevision"] == 2 and count(status) >= 4)
    world.patch("web", {"spec": {"paused": True}})
    paused = world.until(lambda status: conditions(status)["Progressing"]["reason"] == "Paused")
    began = time.monotonic()
    world.kubectl("scale", "gdeploy/web", "--replicas=6")
    restarts = number_of_restarts(world)
    # Each pod restarts twice more, with a kubelet's back-off: that alone takes the deadline's time.
    world.until_true(lambda: number_of_restarts(world) >= restarts + 8, seconds=240)
    stood_still = time.monotonic() - began
    held = world.status()
    assert count(held) == count(paused)
    assert rollout(held) == "IN_PROGRESS"
    assert [revision(held, n)["desired"] for n in (1, 2)] == [6, 6], "in proportion (R7)"
    world.patch("web", {"spec": {"paused": False, "replicas": 4}})
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert f"no progress for {deadline} s" in revision(status, 2)["reason"]
    started, finished = (revision(status, 2)[key] for key in ("createdAt", "finishedAt"))
    assert seconds(finished) - seconds(started) > deadline + stood_still - 2


def number_of_restarts(world: Namespace) -> int:
    return sum(
        one.restart_count for pod in world.pods() for one in pod.status.container_statuses or []
    )


def seconds(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()


def test_w5_a_replica_set_that_left_the_selector_is_let_go_and_another_takes_its_place(
    world: Namespace,
) -> None:
    """As a Deployment does it. Its pods run on, and count no more."""
    world.completed(guarded(image="web:1"))
    [(name, before)] = world.replica_sets().items()
    old = {pod.metadata.uid for pod in world.pods()}
    world.kubectl("label", f"replicaset/{name}", "app=x", "--overwrite")
    world.until_true(lambda: not _read_replica_set(world, name).metadata.owner_references)
    [(instead, _)] = world.until_true(lambda: world.replica_sets().items())
    status = world.until(
        lambda status: (
            revision(status, status["desiredRevision"])["replicaSet"] == instead
            and revision(status, status["desiredRevision"])["running"] == 4
            and status["readyReplicas"] == 4
        )
    )
    assert instead != name
    [owner] = world.replica_sets()[instead].metadata.owner_references
    assert (owner.kind, owner.name) == ("GuardedDeployment", "web")
    assert rollout(status) == "SUCCESSFUL"
    assert status["replicas"] == 4, "the other four are nobody's"
    assert status["circuitBreaker"]["failureCount"] == 0
    let_go = _read_replica_set(world, name)
    assert (let_go.metadata.uid, let_go.spec.replicas) == (before.metadata.uid, 4)
    assert old <= {pod.metadata.uid for pod in world.pods()}, "they run on"


def _read_replica_set(world: Namespace, name: str) -> Any:
    return world.apps.read_namespaced_replica_set(name, world.namespace)
