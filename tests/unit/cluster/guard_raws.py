"""Guarded workloads, their children and their breakers as the API server sends them."""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]

DEPLOYMENT_UID = "uid-web"
BREAKER_UID = "uid-breaker"


def metadata(name: str, uid: str, version: int = 10, **more: Any) -> Raw:
    """Return metadata in the namespace ``shop``."""
    return {
        "name": name,
        "namespace": "shop",
        "uid": uid,
        "resourceVersion": str(version),
        "creationTimestamp": "2027-01-15T08:00:00Z",
        **more,
    }


def template(image: str = "web:1", **labels: str) -> Raw:
    """Return a pod template."""
    return {
        "metadata": {"labels": {"app": "web", **labels}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }


def deployment(image: str = "web:1", version: int = 10, **more: Any) -> Raw:
    """Return a Deployment of two replicas that is complete; without its kind, as in a list."""
    meta, spec = more.pop("metadata", {}), more.pop("spec", {})
    return {
        "metadata": metadata("web", DEPLOYMENT_UID, version, generation=3, **meta),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
            **spec,
        },
        "status": {
            "observedGeneration": 3,
            "replicas": 2,
            "updatedReplicas": 2,
            "availableReplicas": 2,
        },
        **more,
    }


def stateful_set(version: int = 10, **spec: Any) -> Raw:
    """Return a StatefulSet of two replicas."""
    return {
        "metadata": metadata("db", "uid-db", version, generation=1),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            **spec,
        },
        "status": {"updateRevision": "db-1a", "currentRevision": "db-1a"},
    }


def owner(kind: str, name: str, uid: str) -> Raw:
    """Return the reference to a controller."""
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": uid, "controller": True}]}


def replica_set(ending: str = "6f8c", image: str = "web:1", version: int = 10) -> Raw:
    """Return a ReplicaSet of the Deployment."""
    meta = metadata(
        f"web-{ending}",
        f"rs-{ending}",
        version,
        labels={"app": "web", "pod-template-hash": ending},
        annotations={"deployment.kubernetes.io/revision": "1"},
        **owner("Deployment", "web", DEPLOYMENT_UID),
    )
    made_of = template(image, **{"pod-template-hash": ending})
    return {"metadata": meta, "spec": {"replicas": 2, "template": made_of}}


def controller_revision(name: str = "db-1a", number: int = 1, version: int = 10) -> Raw:
    """Return a ControllerRevision of the StatefulSet."""
    meta = metadata(name, f"cr-{name}", version, **owner("StatefulSet", "db", "uid-db"))
    return {"metadata": meta, "revision": number, "data": {"spec": {"template": template()}}}


def pod(name: str = "web-6f8c-a", ending: str = "6f8c", version: int = 10) -> Raw:
    """Return a pod of the Deployment."""
    meta = metadata(
        name,
        f"uid-{name}",
        version,
        labels={"app": "web", "pod-template-hash": ending},
        **owner("ReplicaSet", f"web-{ending}", f"rs-{ending}"),
    )
    return {"metadata": meta, "spec": {"containers": [{"name": "web"}]}, "status": {}}


def stateful_pod(name: str = "db-0", revision: str = "db-1a", version: int = 10) -> Raw:
    """Return a pod of the StatefulSet."""
    meta = metadata(
        name,
        f"uid-{name}",
        version,
        labels={"app": "web", "controller-revision-hash": revision},
        **owner("StatefulSet", "db", "uid-db"),
    )
    return {"metadata": meta, "spec": {"containers": [{"name": "web"}]}, "status": {}}


def breaker(
    name: str = "web",
    uid: str = BREAKER_UID,
    version: int = 20,
    target: str = "Deployment/web",
    created: str = "2027-01-15T08:00:00Z",
    **more: Any,
) -> Raw:
    """Return a DeploymentCircuitBreaker; ``more`` are fields of its spec and ``annotations``."""
    kind, _, of = target.partition("/")
    annotations = more.pop("annotations", {})
    meta = metadata(name, uid, version, generation=1, annotations=annotations)
    return {
        "apiVersion": "tripswitch.dev/v1alpha1",
        "kind": "DeploymentCircuitBreaker",
        "metadata": {**meta, "creationTimestamp": created},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": of}, **more},
    }
