"""Rule F5's table, line by line, as far as simulated kubelets can show it."""

from __future__ import annotations

import pytest

from tests.e2e.namespace import (
    PATIENCE,
    VERDICT_SECONDS,
    Namespace,
    breaker,
    conditions,
    guarded,
    revision,
    rollout,
)

INIT = {"initContainers": [{"name": "setup", "image": "setup:1"}]}


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason", "container"),
    [
        ("crash", "LAUNCH", "Error", "web"),
        ("exit-0", "LAUNCH", "Completed", "web"),
        ("oom", "LAUNCH", "OOMKilled", "web"),
        ("start-error", "LAUNCH", "StartError", "web"),
        ("init-fail", "LAUNCH", "Error", "setup"),
        ("image-pull", "LAUNCH", "ErrImagePull", "web"),
        ("invalid-image", "LAUNCH", "InvalidImageName", "web"),
        ("config-error", "LAUNCH", "CreateContainerConfigError", "web"),
        ("never-pull", "LAUNCH", "ErrImageNeverPull", "web"),
        ("unsigned", "LAUNCH", "SignatureValidationFailed", "web"),
        ("create-error", "LAUNCH", "CreateContainerError", "web"),
        ("liveness-kill", "HEALTH", "Error", "web"),
        ("late-crash", "HEALTH", "Error", "web"),
        ("evicted-storage", "LAUNCH", "Evicted", None),
        ("deadline-exceeded", "LAUNCH", "DeadlineExceeded", None),
        ("never-ready", "HEALTH", "NotReadyInTime", None),
        ("ready-then-lost", "HEALTH", "NotReadyInTime", None),
    ],
)
def test_what_is_the_revisions_own_fault_trips(
    world: Namespace, behaviour: str, kind: str, reason: str, container: str | None
) -> None:
    """F1 to F5: the right count, kind and reason, in status, history and events."""
    pod = INIT if behaviour == "init-fail" else {}
    # Pods that are Ready for a while must not complete the rollout before they fail.
    world.completed(guarded(image="web:1", pod=pod))
    world.apply(guarded(image="web:2", behaviour=behaviour, pod=pod, minReadySeconds=60))
    patience = PATIENCE + (VERDICT_SECONDS if reason == "NotReadyInTime" else 0)
    status = world.until(lambda status: rollout(status).startswith("ROLLBACK"), seconds=patience)
    failures = [f for f in status["circuitBreaker"]["failures"] if f["revision"] == 2]
    shown = {(f["kind"], f["reason"], f.get("container")) for f in failures}
    assert (kind, reason, container) in shown
    assert sum(f["count"] for f in failures) >= 3
    assert reason in str(failures)
    assert revision(status, 2)["rolloutState"] == "FAILED"
    told = "PodLaunchFailed" if kind == "LAUNCH" else "PodHealthCheckFailed"
    assert world.until_event(told)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("evicted-disruption", "Evicted"),
        ("node-shutdown", "Terminated"),
        ("out-of-cpu", "OutOfcpu"),
        ("node-affinity", "NodeAffinity"),
    ],
)
def test_what_is_nobodys_fault_never_counts(world: Namespace, behaviour: str, reason: str) -> None:
    """F5: disruptions, and nodes that refuse pods."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour=behaviour, minReadySeconds=5))
    world.until_true(lambda: sum(pod.status.reason == reason for pod in world.pods()) >= 6)
    status = world.status()
    assert rollout(status) == "IN_PROGRESS"
    assert revision(status, 2)["failedTasks"] == 0
    assert status["circuitBreaker"]["failureCount"] == 0


def test_a_slow_start_and_pods_deleted_by_hand_never_count(world: Namespace) -> None:
    """F5: ContainerCreating, a startup probe that takes its time, deletionTimestamp."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="slow-start", minReadySeconds=5))
    status = world.until(lambda s: s["desiredRevision"] == 2 and revision(s, 2)["running"] == 4)
    name = revision(status, 2)["replicaSet"]
    for pod in world.pods():
        if pod.metadata.name.startswith(name):
            world.kubectl("delete", f"pod/{pod.metadata.name}", "--wait=false")
    status = world.until_rollout("SUCCESSFUL")
    assert revision(status, 2)["failedTasks"] == 0
    assert status["circuitBreaker"]["failureCount"] == 0


def test_what_cannot_be_scheduled_waits_for_the_progress_deadline(world: Namespace) -> None:
    """F5 and P1: nothing counts; the rollout fails in time, with the scheduler's own words."""
    world.completed(guarded(image="web:1"))
    world.apply(
        guarded(
            image="web:2",
            pod={"nodeSelector": {"no-such": "node"}},
            progressDeadlineSeconds=5,
        )
    )
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert revision(status, 2)["failedTasks"] == 0
    assert "didn't match Pod's node" in revision(status, 2)["reason"]
    assert "no progress for 5 s" in world.until_event("CircuitBreakerTriggered")


def test_a_quota_is_shown_at_once_and_does_not_count(world: Namespace) -> None:
    """F5: the ReplicaSet cannot create pods; when the quota is raised, the rollout goes on."""
    world.completed(guarded(image="web:1"))
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    world.core.create_namespaced_resource_quota(
        world.namespace, {**quota, "spec": {"hard": {"pods": "4"}}}
    )
    world.apply(guarded(image="web:2"))
    status = world.until(
        lambda status: conditions(status)["Progressing"]["reason"] == "ReplicaSetCreateError"
    )
    assert "exceeded quota" in conditions(status)["Progressing"]["message"]
    assert status["circuitBreaker"]["failureCount"] == 0
    world.core.delete_namespaced_resource_quota("few", world.namespace)
    assert world.until_rollout("SUCCESSFUL", seconds=150)["rollout"]["revision"] == 2


def test_a_failure_policy_ignores_counts_and_fails_now(world: Namespace) -> None:
    """F6: FailNow trips at the first failure; Ignore never does."""
    world.completed(guarded(image="web:1"))
    now = [{"action": "FailNow", "onExitCodes": {"containerName": "web", "values": [2]}}]
    policy = breaker(failurePolicy={"rules": now})
    world.apply(guarded(image="web:2", behaviour="crash", configuration=policy, replicas=4))
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert "FailNow" in revision(status, 2)["reason"]
    assert world.until_event("CircuitBreakerTriggered")
    never = [{"action": "Ignore", "onReasons": ["ErrImagePull", "ImagePullBackOff"]}]
    policy = breaker(failurePolicy={"rules": never})
    world.apply(guarded(image="web:3", behaviour="image-pull", configuration=policy))
    world.until_true(
        lambda: any(
            status.state.waiting and status.state.waiting.reason == "ImagePullBackOff"
            for pod in world.pods()
            for status in pod.status.container_statuses or []
        )
    )
    status = world.status()
    assert rollout(status) == "IN_PROGRESS"
    assert revision(status, 3)["failedTasks"] == 0
