"""A new operator process in the middle of rollouts: nothing changes for what runs."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.conftest import OwnCluster
from tests.e2e.namespace import Namespace, guarded, revision
from tests.statuses.record import not_rolled_back, paused, rolled_back, waiting
from tools.cluster.audit import AuditLog
from tools.operator_process import USER, OperatorProcess

STORIES = {
    "paused": paused,
    "rolled-back": rolled_back,
    "not-rolled-back": not_rolled_back,
    "waiting": waiting,
}


def test_a_restart_in_the_middle_of_rollouts_writes_nothing_and_touches_no_pod(
    own: OwnCluster,
) -> None:
    """W3: a rollout that waits for a node, one that is paused, and three that have ended."""
    world = own.world
    world.completed(guarded("completed"))
    for name, story in STORIES.items():
        story(world, name)
    names = ["completed", *STORIES]
    until_quiet(world, own.operator, len(names))
    before = versions(world)
    own.operator.stop()
    log = AuditLog(own.cluster.audit_log)
    own.operator.start()
    until_quiet(world, own.operator, len(names))
    assert versions(world) == before
    assert [request for request in log.read() if request.user == USER and request.writes] == []


def test_a_rollout_goes_on_under_the_next_process_from_where_it_was(own: OwnCluster) -> None:
    """The pods that are there are kept; the failures that were counted stay counted, once."""
    world = own.world
    world.completed(guarded(replicas=1))
    world.apply(guarded(replicas=1, behaviour="crash"))
    world.until(lambda status: status["circuitBreaker"]["failureCount"] >= 1)
    pods = {pod.metadata.uid for pod in world.pods()}
    own.operator.stop()
    own.operator.start()
    assert {pod.metadata.uid for pod in world.pods()} == pods
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert revision(status, 2)["failedTasks"] == 3
    assert len(world.replica_sets()) == 2


def until_quiet(world: Namespace, operator: OperatorProcess, objects: int) -> None:
    """Wait until every object has been looked at, and three looks around bring nothing new."""

    def looks() -> float:
        line = "\ntripswitch_reconcile_duration_seconds_count "
        return float(operator.metrics().partition(line)[2].partition("\n")[0])

    world.until_true(lambda: looks() >= objects)
    seen: list[dict[str, str]] = []

    def is_quiet() -> bool:
        seen.append(versions(world))
        return len(seen) >= 3 and seen[-1] == seen[-2] == seen[-3]

    world.until_true(is_quiet)


def versions(world: Namespace) -> dict[str, str]:
    """Return the version of every object, of every ReplicaSet and of every pod, by UID."""
    found: list[Any] = json.loads(world.kubectl("get", "gdeploy,rs,pods", "--output=json"))["items"]
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in found}
