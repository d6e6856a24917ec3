"""Bad input gets one clear error at the earliest place, and loses nothing."""

from __future__ import annotations

import copy
import json
import subprocess
from typing import Any

import pytest

from tests.e2e.namespace import Namespace, breaker, conditions, guarded, rollout

COUNT = {"type": "COUNT", "value": 1000}
HALF = {"type": "BOUNDED_PERCENT", "value": 101}


def _change(change: dict[str, Any]) -> dict[str, Any]:
    """Return a good manifest with parts of its spec replaced."""
    manifest = copy.deepcopy(guarded())
    manifest["spec"] |= change
    return manifest


def _refusal(world: Namespace, manifest: dict[str, Any]) -> str:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        world.kubectl("apply", "--filename", "-", stdin=json.dumps(manifest))
    return str(refused.value.stderr)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"selector": {"matchLabels": {"app": "other"}}}, "must match spec.selector.matchLabels"),
        ({"selector": {}}, "spec.selector must not be empty"),
        ({"deploymentConfiguration": {"minimumHealthyPercent": 101}}, "less than or equal to 100"),
        ({"deploymentConfiguration": {"maximumPercent": 99}}, "greater than or equal to 100"),
        (
            {"deploymentConfiguration": {"maximumPercent": 150}, "strategy": {"type": "Recreate"}},
            "not both",
        ),
        ({"deploymentConfiguration": breaker(thresholdConfiguration=HALF)}, "must be 1 to 100"),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
            "only with type RollingUpdate",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
            "cannot both be 0",
        ),
        ({"replicas": -1}, "greater than or equal to 0"),
        (
            {"minReadySeconds": 600, "progressDeadlineSeconds": 600},
            "must be greater than minReadySeconds",
        ),
        (
            {"minReadySeconds": None, "progressDeadlineSeconds": 10},
            "must be greater than minReadySeconds",
        ),
        (
            {
                "template": {
                    **guarded()["spec"]["template"],
                    "spec": {
                        **guarded()["spec"]["template"]["spec"],
                        "ephemeralContainers": [{"name": "debug", "image": "busybox"}],
                    },
                }
            },
            "ephemeralContainers cannot be set in a pod template",
        ),
    ],
)
def test_the_api_server_refuses_it_with_one_clear_sentence(
    world: Namespace, change: dict[str, Any], words: str
) -> None:
    """Schema and CEL, no webhook."""
    assert words in _refusal(world, _change(change))


@pytest.mark.parametrize(
    "change",
    [
        {"minReadySeconds": 900},
        {"minReadySeconds": 600, "progressDeadlineSeconds": 601},
        {"minReadySeconds": 600, "progressDeadlineSeconds": 0},
        {"minReadySeconds": None, "progressDeadlineSeconds": 11},
        {"progressDeadlineSeconds": 1},
    ],
)
def test_a_deadline_that_pods_can_meet_is_taken(world: Namespace, change: dict[str, Any]) -> None:
    """P2."""
    world.apply(_change({"paused": True, **change}))
    world.until_rollout("PENDING")
    assert world.get()["spec"].get("progressDeadlineSeconds") == change.get(
        "progressDeadlineSeconds"
    )


def test_a_sidecar_without_a_probe_counts_for_the_deadline(world: Namespace) -> None:
    """P2, H1: 40 s."""
    manifest = _change({"minReadySeconds": None, "progressDeadlineSeconds": 30, "paused": True})
    world.apply(manifest)
    pod = manifest["spec"]["template"]["spec"]
    pod["initContainers"] = [{"name": "mesh", "image": "mesh:1", "restartPolicy": "Always"}]
    assert "by default 40" in _refusal(world, manifest | {"metadata": {"name": "other"}})


def test_a_count_of_1000_is_accepted(world: Namespace) -> None:
    """T3's range."""
    world.apply(
        _change({"deploymentConfiguration": breaker(thresholdConfiguration=COUNT), "paused": True})
    )
    assert world.until_rollout("PENDING")["circuitBreaker"]["threshold"] == 1000


def test_a_typo_in_the_pod_template_is_refused_by_kubectl_apply(world: Namespace) -> None:
    """The CRD has the whole PodTemplateSpec."""
    manifest = guarded()
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePullPolicyy"] = "Always"
    assert 'unknown field "spec.template.spec.containers[0].imagePullPolicyy"' in _refusal(
        world, manifest
    )


@pytest.mark.parametrize("how", ["client-side", "server-side"])
def test_a_template_is_taken_as_a_deployment_takes_it(world: Namespace, how: str) -> None:
    """A port with two names, a variable twice (the last one wins), half a CPU as a number."""
    manifest = guarded(replicas=1)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["ports"] = [
        {"name": "http", "containerPort": 8080},
        {"name": "metrics", "containerPort": 8080},
    ]
    container["env"] = [{"name": "LEVEL", "value": "info"}, {"name": "LEVEL", "value": "debug"}]
    container["resources"] = {"requests": {"cpu": 0.5, "memory": 1e6}}
    manifest["spec"]["template"]["spec"]["imagePullSecrets"] = [{"name": "a"}, {"name": "a"}]
    options = ["--server-side"] if how == "server-side" else []
    world.kubectl("apply", *options, "--filename", "-", stdin=json.dumps(manifest))
    world.until_rollout("SUCCESSFUL")
    (pod,) = world.pods()
    assert pod.spec.containers[0].resources.requests == {"cpu": "500m", "memory": "1M"}
    assert [port.name for port in pod.spec.containers[0].ports] == ["http", "metrics"]


@pytest.mark.parametrize("quantity", [True, {"a": 1}, {}, [1], "half"])
def test_a_quantity_is_text_or_a_number(world: Namespace, quantity: Any) -> None:
    """The schema has no type for it, but lets nothing else through."""
    manifest = guarded()
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"cpu": quantity}}
    assert "resources.limits.cpu" in _refusal(world, manifest)


def test_the_selector_cannot_be_changed(world: Namespace) -> None:
    """As in a Deployment."""
    world.completed(guarded(replicas=1))
    manifest = guarded(replicas=1)
    manifest["spec"]["selector"]["matchLabels"]["more"] = "labels"
    manifest["spec"]["template"]["metadata"]["labels"]["more"] = "labels"
    assert "spec.selector cannot be changed" in _refusal(world, manifest)


def test_what_only_the_api_server_can_judge_is_shown_in_its_words_and_costs_no_pod(
    world: Namespace,
) -> None:
    """Two containers that mount a volume which is not there."""
    world.completed(guarded(image="web:1"))
    bad = guarded(image="web:2")
    bad["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "nowhere", "mountPath": "/data"}
    ]
    world.apply(bad)
    status = world.until(
        lambda status: conditions(status)["Progressing"]["reason"] == "ReplicaSetCreateError"
    )
    assert 'Not found: "nowhere"' in conditions(status)["Progressing"]["message"]
    assert conditions(status)["Stalled"]["status"] == "True"
    assert conditions(status)["Available"]["status"] == "True"
    assert len(world.pods()) == 4
    assert world.completed(guarded(image="web:3"))["rollout"]["revision"] == 3


def test_kubectl_explain_has_words_for_every_field_of_the_breaker(world: Namespace) -> None:
    """Also recursively."""
    path = "gdeploy.spec.deploymentConfiguration.deploymentCircuitBreaker"
    for name in (
        "",
        ".enable",
        ".rollback",
        ".resetOnHealthyTask",
        ".thresholdConfiguration",
        ".thresholdConfiguration.type",
        ".thresholdConfiguration.value",
        ".failurePolicy",
        ".failurePolicy.rules",
        ".failurePolicy.rules.action",
        ".failurePolicy.rules.onReasons",
        ".failurePolicy.rules.onExitCodes",
        ".failurePolicy.rules.onExitCodes.values",
        ".failurePolicy.rules.containerName",
    ):
        told = world.kubectl("explain", path + name)
        description = told.partition("DESCRIPTION:")[2].partition("FIELDS:")[0].strip()
        assert len(description) > 10, (name, told)
        assert "<empty>" not in told


def test_server_side_apply_merges_containers_by_name(world: Namespace) -> None:
    """Two managers, each with a container of its own."""
    manifest = guarded(replicas=1)
    for manager, container in (("one", "web"), ("two", "sidecar")):
        part = copy.deepcopy(manifest)
        part["spec"]["template"]["spec"]["containers"][0]["name"] = container
        world.kubectl(
            "apply",
            "--server-side",
            f"--field-manager={manager}",
            "--filename",
            "-",
            stdin=json.dumps(part),
        )
    containers = world.get()["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["web", "sidecar"]


def test_a_status_edited_to_nonsense_is_healed(world: Namespace) -> None:
    """W2: history is on the ReplicaSets; no pod is touched."""
    world.completed(guarded(replicas=2, image="web:1"))
    pods = {pod.metadata.uid for pod in world.pods()}
    world.kubectl(
        "patch",
        "gdeploy/web",
        "--subresource=status",
        "--type=merge",
        "--patch",
        json.dumps({"status": {"rollout": None, "revisions": [], "conditions": []}}),
    )
    status = world.until(lambda status: bool(status.get("revisions")))
    assert rollout(status) == "SUCCESSFUL"
    assert status["lastCompletedRevision"] == 1
    assert {pod.metadata.uid for pod in world.pods()} == pods
