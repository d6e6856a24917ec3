"""Rule B9 on a real kubelet: what is told to be missing is what keeps the pods of a rollback from starting."""

from __future__ import annotations

from tests.e2e.namespace import Namespace, Object, conditions, revision, rollout
from tests.e2e.real import PATIENCE, service
from tools.cluster.images import IMAGES

AT_RISK = "RollbackAtRisk"
LEFT = {"revision": 1, "configMaps": ["settings-1"]}
"""``status.missingReferences`` when the ServiceAccount is back."""


def naming(image: str | None = None) -> Object:
    """Return a service whose old pods go first, and whose pods need a ConfigMap and a ServiceAccount."""
    manifest = service(2) if image is None else service(2, image)
    manifest["spec"]["deploymentConfiguration"] = {
        "minimumHealthyPercent": 50,
        "maximumPercent": 100,
    }
    pod = manifest["spec"]["template"]["spec"]
    pod["serviceAccountName"] = "web"
    pod["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings-1"}}]
    return manifest


def list_waiting(world: Namespace) -> set[tuple[str, str]]:
    """Return reason and message of every container that waits."""
    states = [
        one.state.waiting for pod in world.pods() for one in pod.status.container_statuses or ()
    ]
    return {(one.reason, one.message or "") for one in states if one is not None}


def test_b9_what_was_told_before_a_rollback_is_what_its_pods_wait_for(world: Namespace) -> None:
    """A rollout goes on when both are deleted; a person rolls back, and makes one after the other again.

    The rollback fails meanwhile, keeps the pod that waits, and is completed by it (F10).
    """
    world.kubectl("create", "configmap", "settings-1")
    world.kubectl("create", "serviceaccount", "web")
    world.completed(naming(), PATIENCE)
    second = naming(IMAGES["silent"].reference)
    second["spec"]["healthCheckGracePeriodSeconds"] = 600
    pod = second["spec"]["template"]["spec"]
    del pod["serviceAccountName"], pod["containers"][0]["envFrom"]
    world.apply(second)
    world.until_rollout("IN_PROGRESS", seconds=PATIENCE)
    world.kubectl("delete", "configmap/settings-1", "serviceaccount/web")
    status = world.until(lambda found: AT_RISK in conditions(found), seconds=PATIENCE)
    assert rollout(status) == "IN_PROGRESS"
    assert conditions(status)[AT_RISK]["message"] == (
        "new pods of revision 1, which a rollback goes back to, cannot start: ConfigMap settings-1 and "
        "ServiceAccount web do not exist: create them again"
    )
    world.annotate("web", "stop", "2/ROLLBACK")
    status = world.until(
        lambda found: 'serviceaccount "web" not found' in str(found), seconds=PATIENCE
    )
    assert AT_RISK in conditions(status)
    world.kubectl("create", "serviceaccount", "web")
    waits = ("CreateContainerConfigError", 'configmap "settings-1" not found')
    world.until_true(lambda: waits in list_waiting(world), PATIENCE)
    status = world.until(lambda found: found.get("missingReferences") == LEFT, seconds=PATIENCE)
    assert "ServiceAccount" not in conditions(status)[AT_RISK]["message"]
    status = world.until_rollout("ROLLBACK_FAILED", seconds=PATIENCE)
    assert AT_RISK in conditions(status)
    world.kubectl("create", "configmap", "settings-1")
    status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    assert revision(status, 1)["running"] == 2
    status = world.until(lambda found: AT_RISK not in conditions(found), seconds=PATIENCE)
    assert "missingReferences" not in status
