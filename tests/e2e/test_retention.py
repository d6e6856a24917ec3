"""``failedPodRetention`` on a real API server: out of the ReplicaSet and the Service, and then gone."""

from __future__ import annotations

from typing import Any

from tests.e2e.namespace import Namespace, guarded, rollout


def retained(world: Namespace) -> list[Any]:
    """Return the pods that were set aside."""
    selector = "tripswitch.dev/retained-for=web"
    found: list[Any] = world.core.list_namespaced_pod(
        world.namespace, label_selector=selector
    ).items
    return found


def labelled(labels: dict[str, str], **fields: Any) -> dict[str, Any]:
    """Return a GuardedDeployment whose pods have more labels than its selector names."""
    manifest: dict[str, Any] = guarded(**fields)
    manifest["spec"]["template"]["metadata"]["labels"] |= labels
    return manifest


def grant(world: Namespace) -> None:
    """Grant what the chart's ``failedPodRetention.enabled`` does, in this namespace alone."""
    account = "tripswitch-system:tripswitch"
    world.kubectl("create", "role", "set-aside", "--verb=patch", "--resource=pods")
    world.kubectl(
        *("create", "rolebinding", "set-aside", "--role=set-aside", f"--serviceaccount={account}")
    )


def test_one_failing_pod_is_kept_for_a_look_and_deleted_after_its_time(world: Namespace) -> None:
    """The rollback completes all the same, and the pod belongs to the GuardedDeployment."""
    grant(world)
    retention = {"count": 1, "ttlSeconds": 15, "dropLabels": ["exposed"]}
    more = {"network": "restricted", "exposed": "yes"}
    world.completed(labelled(more, image="web:1", failedPodRetention=retention))
    world.apply(labelled(more, image="web:2", behaviour="crash", failedPodRetention=retention))
    [pod] = world.until_true(lambda: retained(world))
    assert pod.spec.containers[0].image == "web:2"
    assert pod.metadata.labels == {
        "network": "restricted",  # what a NetworkPolicy could select by stays
        "tripswitch.dev/retained-for": "web",
        "tripswitch.dev/template-hash": "set-aside",
    }
    [owner] = pod.metadata.owner_references
    assert (owner.kind, owner.uid) == ("GuardedDeployment", world.get()["metadata"]["uid"])
    assert "tripswitch.dev/retained-until" in pod.metadata.annotations
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert (status["replicas"], status["availableReplicas"]) == (4, 4)
    assert pod.metadata.name in world.until_event("PodSetAside")
    world.until_true(lambda: not retained(world))
    assert rollout(world.status()) == "ROLLBACK_SUCCESSFUL"
    assert len(world.pods()) == 4
