"""What the operator asks of the API server for a guarded Deployment, from the audit log (rules G)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.guards import (
    BREAKERS,
    deployment,
    find,
    find_requests,
    find_writes,
    guard_status,
    images,
    start,
    until,
    until_guard,
)
from tests.e2e.namespace import Namespace
from tests.e2e.public_manifests import assert_nothing_of_ours
from tests.e2e.simulated_kubelet import break_command, judge_pods, pardon_pods
from tools.cluster.audit import AuditLog, Request


def test_a_good_rollout_of_a_guarded_deployment_is_never_written_to(world: Namespace) -> None:
    """G1: from the first look to the next completed revision."""
    start(world, deployment())
    world.apply(deployment(image="web:2"))
    until(
        lambda: guard_status(world),
        lambda status: (
            status["rollout"]["revision"] == 2 and status["rollout"]["status"] == "SUCCESSFUL"
        ),
    )
    assert not find_writes(world)


def test_a_good_rollout_of_ten_pods_costs_two_events_and_a_few_statuses(world: Namespace) -> None:
    """W3: at once are written the start, the stage and the end; progress no more often than once a second."""
    start(world, deployment(replicas=10))
    world.until_event("RolloutCompleted")
    log, asked = AuditLog(Path(world.environment.audit_log)), list[Request]()

    def count() -> Counter[str]:
        asked.extend(find_requests(world, log))
        return Counter(request.words for request in asked)

    world.apply(deployment(image="web:2", replicas=10))
    world.until_true(lambda: any("revision 2 completed" in words for _, words in world.events()))
    world.until_true(lambda: count()["create events"] >= 2)
    counted = count()
    assert counted.pop("create events") == 2, "RolloutStarted and RolloutCompleted, on the breaker"
    statuses = counted.pop(f"update {BREAKERS}/status")
    assert not counted
    at = sorted(datetime.fromisoformat(one.raw["requestReceivedTimestamp"]) for one in asked)
    assert statuses <= 4 + (at[-1] - at[0]).seconds


@pytest.mark.parametrize("replicas", [4, 10])
@pytest.mark.parametrize(("probed", "most"), [(True, 40), (False, 120)], ids=["probe", "no probe"])
def test_a_failed_rollout_costs_no_more_requests_than_this(
    world: Namespace, replicas: int, most: int, *, probed: bool
) -> None:
    """Without a readiness probe the Deployment controller takes a crash loop for a whole rollout (ADR 24)."""
    good, bad = (
        deployment(way, image, replicas=replicas)
        for way, image in ((None, "web:1"), ("crash", "web:2"))
    )
    if not probed:
        for one in (good, bad):
            del one["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    start(world, good, minReadySeconds=0 if probed else 5)
    world.until_event("RolloutCompleted")
    log = AuditLog(Path(world.environment.audit_log))
    world.apply(bad)
    until_guard(world, "ROLLBACK_SUCCESSFUL")
    world.until_event("RollbackCompleted")
    asked = find_requests(world, log)
    assert len(asked) <= most, Counter(one.words for one in asked)


def test_an_undo_to_a_revision_that_failed_once_brings_no_hold_back(world: Namespace) -> None:
    """G5: the Deployment controller copied our marks onto its ReplicaSet, and the undo copies them back."""
    judge_pods(world)
    start(world, deployment())
    bad = deployment(image="web:2")
    break_command(bad["spec"]["template"]["spec"]["containers"][0])
    world.apply(bad)
    status = until_guard(world, "ROLLBACK_SUCCESSFUL")
    failed = status["hold"]["failed"]
    world.apply(deployment(image="web:3"))
    until(
        lambda: guard_status(world),
        lambda status: status.get("lastCompletedRevision") == 3 and not status.get("hold"),
    )
    assert_nothing_of_ours(find(world, "deployment"))
    marked = world.apps.read_namespaced_replica_set(failed, world.namespace)
    assert marked.metadata.annotations["tripswitch.dev/tripped"] == failed
    pardon_pods(world)  # what the program lacked is there by now
    world.kubectl("rollout", "undo", "deployment/web", "--to-revision=2")
    until(
        lambda: guard_status(world),
        lambda status: (
            status.get("lastCompletedRevision") == 4 and status["rollout"]["status"] == "SUCCESSFUL"
        ),
    )
    assert images(world) == ["web:2"] * 4
    until(lambda: guard_status(world), lambda status: not status.get("hold"))
    assert_nothing_of_ours(find(world, "deployment"))
    assert not {"WorkloadResumed", "HoldFound"} & {reason for reason, _ in world.events()}
    taken = [one for one in find_requests(world) if one.words == "patch deployments"]
    assert len([one for one in taken if one.code == 200]) == 3, "paused, resumed, freed of the copy"
