"""Rule B9 on a real API server: what a rollback would miss is told before it is needed, and costs one list."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.e2e.conftest import OwnCluster
from tests.e2e.guards import circuit_breaker, deployment, guard_status, start, until, until_guard
from tests.e2e.namespace import Namespace, Object, conditions, guarded
from tools.cluster.audit import AuditLog, Request
from tools.operator_process import USER, install

AT_RISK = "RollbackAtRisk"
LEAST_SECONDS = 9.5
"""Lists of one kind in one namespace are at least 10 s apart, whatever asks for them."""
READ = ("configmaps", "serviceaccounts", "secrets")


def naming(manifest: Object, settings: str, *, account: str = "default") -> Object:
    """Return a manifest whose pods need a ConfigMap and a ServiceAccount."""
    pod = manifest["spec"]["template"]["spec"]
    pod["serviceAccountName"] = account
    pod["containers"][0]["envFrom"] = [{"configMapRef": {"name": settings}}]
    return manifest


def stuck(manifest: Object) -> Object:
    """Return a manifest whose pods wait for a volume, which counts nothing: its rollout goes on."""
    notes = manifest["spec"]["template"]["metadata"].setdefault("annotations", {})
    notes["stage.tripswitch.dev/behaviour"] = "slow-mount"
    notes["stage.tripswitch.dev/delay"] = "10m"
    return manifest


def find_risk(status: Object) -> str:
    """Return what the condition says; empty if it is not there."""
    return str(conditions(status).get(AT_RISK, {}).get("message", ""))


def list_requests(log: AuditLog, world: Namespace) -> dict[str, list[Request]]:
    """Return the operator's requests about what templates name, by verb and resource."""
    found: dict[str, list[Request]] = {}
    for one in log.read():
        if one.user == USER and one.resource in READ and one.namespace == world.namespace:
            found.setdefault(one.words, []).append(one)
    return found


def received_at(request: Request) -> float:
    return datetime.fromisoformat(request.raw["requestReceivedTimestamp"]).timestamp()


def test_b9_a_config_map_that_was_pruned_is_named_before_a_rollback_needs_it(
    world: Namespace, tmp_path: Path
) -> None:
    """Of a GuardedDeployment and of a guarded Deployment, from the same lists."""
    log = AuditLog(Path(world.environment.audit_log))
    world.kubectl("create", "configmap", "settings-1")
    world.kubectl("create", "configmap", "settings-2")
    world.kubectl("create", "serviceaccount", "web")
    world.apply(naming(deployment(), "settings-1", account="web"))
    world.apply(circuit_breaker())
    until_guard(world, "SUCCESSFUL")
    world.completed(naming(guarded("api"), "settings-1"))
    world.apply(stuck(naming(guarded("api", image="web:2"), "settings-2")))
    world.apply(stuck(naming(deployment(image="web:2"), "settings-2", account="web")))
    until_guard(world, "IN_PROGRESS")
    assert find_risk(world.until_rollout("IN_PROGRESS", "api")) == ""
    world.kubectl("delete", "configmap", "settings-1")
    status = world.until(lambda status: AT_RISK in conditions(status), "api")
    assert find_risk(status) == (
        "new pods of revision 1, which a rollback goes back to, cannot start: ConfigMap settings-1 does "
        "not exist: create it again"
    )
    assert status["missingReferences"] == {"revision": 1, "configMaps": ["settings-1"]}
    assert "ConfigMap settings-1" in world.until_event(AT_RISK, "api")
    status = until(lambda: guard_status(world), lambda status: AT_RISK in conditions(status))
    assert "ConfigMap settings-1 does not exist" in find_risk(status)
    plugin = world.plugin(tmp_path)
    for name in ("gdeploy/api", "deploy/web"):
        shown = plugin("tripswitch", "status", name)
        assert "at risk: new pods of revision 1, which a rollback goes back to" in shown
    world.kubectl("create", "configmap", "settings-1")
    status = world.until(lambda status: AT_RISK not in conditions(status), "api")
    assert "missingReferences" not in status
    until(lambda: guard_status(world), lambda status: AT_RISK not in conditions(status))
    assert [reason for reason, _ in world.events("api")].count(AT_RISK) == 1
    asked = list_requests(log, world)
    assert set(asked) == {"list configmaps", "list serviceaccounts"}
    for requests in asked.values():
        times = [received_at(one) for one in requests]
        assert all(after - before > LEAST_SECONDS for before, after in pairwise(times))


def find_images(world: Namespace) -> Object:
    """Return the images of the ReplicaSets that are there."""
    found = world.apps.list_namespaced_replica_set(world.namespace).items
    return {"images": sorted(one.spec.template.spec.containers[0].image for one in found)}


def test_a_deployment_that_will_delete_what_a_rollback_needs_is_named_before(
    world: Namespace,
) -> None:
    """Its controller keeps the newest old ReplicaSets, failed ones too; that it does so is looked at here."""
    start(world, deployment(revisionHistoryLimit=1))
    assert find_risk(guard_status(world)) == ""
    world.apply(deployment("crash", "web:2", revisionHistoryLimit=1))
    assert find_risk(until_guard(world, "ROLLBACK_SUCCESSFUL")) == (
        "revisionHistoryLimit is 1, and 1 later revision did not complete: the Deployment controller "
        "deletes the ReplicaSet that a rollback needs as soon as it counts a rollout as complete; raise the limit "
        "(its default is 10)"
    )
    world.apply(circuit_breaker(bakeTimeInMinutes=10))
    world.apply(deployment(None, "web:3", revisionHistoryLimit=1))
    until(lambda: find_images(world), lambda seen: seen["images"] == ["web:2", "web:3"])


def test_b9_lists_do_not_grow_with_objects_and_a_template_that_names_nothing_has_none(
    world: Namespace,
) -> None:
    log = AuditLog(Path(world.environment.audit_log))
    world.completed(guarded("plain"))
    world.kubectl("create", "configmap", "settings-1")
    names = [f"web-{number}" for number in range(8)]
    for name in names:
        world.apply(naming(guarded(name, replicas=1), "settings-1"))
    for name in names:
        world.until_rollout("SUCCESSFUL", name)
    asked: list[Request] = []

    def read() -> list[Request]:
        for requests in list_requests(log, world).values():
            asked.extend(requests)
        return asked

    world.until_true(read)
    assert {one.words for one in asked} == {"list configmaps"}
    assert len(asked) <= 3, "one, and one each 10 s while more of them complete"


def find_rule(role: Object) -> list[Any]:
    return [rule for rule in role["rules"] if "configmaps" in rule["resources"]]


def test_b9_without_the_right_there_is_no_verdict(own: OwnCluster) -> None:
    """The ConfigMap never was there: simulated pods start without it."""
    kubectl = own.cluster.kubectl
    role = json.loads(kubectl("get", "clusterrole/tripswitch", "-ojson"))
    assert find_rule(role)
    role["rules"] = [rule for rule in role["rules"] if rule not in find_rule(role)]
    kubectl("replace", "-f", "-", input=json.dumps(role))
    world = own.world
    world.completed(naming(guarded(), "settings-1"))
    world.until_true(
        lambda: "configmaps of namespace default cannot be listed" in own.operator.log.read_text()
    )
    world.apply(stuck(naming(guarded(image="web:2"), "settings-1")))
    status = world.until_rollout("IN_PROGRESS")
    assert AT_RISK not in conditions(status)
    assert "missingReferences" not in status
    world.kubectl("patch", "gdeploy/web", "--type=merge", '--patch={"spec": {"replicas": 5}}')
    status = world.until(lambda status: status["observedGeneration"] == 3)
    assert AT_RISK not in conditions(status)
    install(kubectl)
    status = world.until(lambda status: AT_RISK in conditions(status))
    assert status["missingReferences"]["configMaps"] == ["settings-1"]
