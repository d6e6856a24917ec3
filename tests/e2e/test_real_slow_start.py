"""Pods that take their time, and sidecars that look healthy, with real containers (rules F4, H1, F10)."""

from __future__ import annotations

import copy

from tests.e2e.namespace import Namespace, Object, conditions, revision, rollout
from tests.e2e.real import GOOD, PATIENCE, service

SLOW = ["sh", "-c", "sleep 45; exec httpd -f -p 3000 -h /www"]
"""A server that answers after 45 s, as a Java service does."""


def _container(manifest: Object) -> Object:
    found: Object = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


def _with_sidecar(manifest: Object, command: str) -> Object:
    """Return the service with a native sidecar that has no probe."""
    made = copy.deepcopy(manifest)
    made["spec"].pop("minReadySeconds")
    made["spec"]["template"]["spec"]["initContainers"] = [
        {
            "name": "mesh",
            "image": GOOD,
            "restartPolicy": "Always",
            "command": ["sh", "-c", command],
        }
    ]
    return made


def test_f4_a_server_that_is_up_after_45_s_behind_a_default_probe_completes(
    world: Namespace,
) -> None:
    """A Deployment waits for it; no pod of it is deleted, in the first rollout and in the next."""
    manifest = service(1)
    probe = {"httpGet": {"path": "/", "port": 3000}}
    _container(manifest).update(command=SLOW, readinessProbe=probe)
    world.apply(manifest)
    status = world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    assert status["circuitBreaker"]["failures"] == []
    assert revision(status, 1)["readySeconds"] >= 40
    _container(manifest)["env"] = [{"name": "VERSION", "value": "2"}]
    world.apply(manifest)
    world.until(lambda status: status["desiredRevision"] == 2)
    status = world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    assert revision(status, 2)["failedTasks"] == 0


def test_h1_a_native_sidecar_that_crash_loops_is_rolled_back(world: Namespace) -> None:
    """It ends 6 s after each start; the main container is probed and well."""
    world.apply(_with_sidecar(service(2), "sleep 9999"))
    world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    world.apply(_with_sidecar(service(2), "sleep 6; echo bad configuration; exit 1"))
    status = world.until(lambda s: rollout(s).startswith("ROLLBACK"), seconds=PATIENCE)
    assert {f["container"] for f in status["circuitBreaker"]["failures"]} == {"mesh"}
    status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    assert conditions(status)["Available"]["status"] == "True"
    assert revision(status, 2)["rolloutState"] == "FAILED"


def test_f10_a_rollback_goes_on_when_its_config_map_is_back(world: Namespace) -> None:
    """The ConfigMap and the template were changed in one apply."""
    bounds = {"minimumHealthyPercent": 50, "maximumPercent": 100}

    def config(key: str) -> Object:
        name = {"name": "settings"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": {key: "1"}}

    def version(key: str, **container: object) -> Object:
        manifest = service(4)
        manifest["spec"]["deploymentConfiguration"] = bounds
        reference = {"configMapKeyRef": {"name": "settings", "key": key}}
        env = [{"name": "SETTING", "valueFrom": reference}]
        _container(manifest).update(env=env, **container)
        return manifest

    world.apply(config("OLD"))
    world.apply(version("OLD"))
    world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    world.apply(config("NEW"))
    world.apply(version("NEW", command=["sh", "-c", "exit 2"]))
    world.until_rollout("ROLLBACK_FAILED", seconds=PATIENCE)
    world.apply(config("OLD"))
    status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    assert status["lastCompletedRevision"] == 1
    assert status["availableReplicas"] == 4
