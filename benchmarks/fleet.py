"""The same fleet in three kinds: ours, an Argo Rollout, a Deployment. One pod template for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.cluster.behaviours import BEHAVIOUR
from tools.operator_process import USER

Object = dict[str, Any]

VERSION = "bench.tripswitch.dev/version"
"""The annotation of the template that differs between revisions."""
PROBE = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}


def template(label: str, version: str, behaviour: str | None) -> Object:
    """A pod template; ``version`` is what differs between revisions."""
    annotations = {VERSION: version}
    if behaviour:
        annotations[BEHAVIOUR] = behaviour
    container = {
        "name": "web",
        "image": "registry.example/web:1",
        "readinessProbe": PROBE,
        "ports": [{"containerPort": 80}],
        "env": [{"name": f"SETTING_{n}", "value": f"value of setting {n}"} for n in range(5)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return {
        "metadata": {"labels": {"app": label}, "annotations": annotations},
        "spec": {"containers": [container]},
    }


def _status(raw: Object) -> Object:
    return raw.get("status") or {}


def _ours_done(raw: Object) -> bool:
    status = _status(raw)
    seen: bool = status.get("observedGeneration") == raw["metadata"]["generation"]
    return seen and str(status["rollout"]["status"]) == "SUCCESSFUL"


def _ours_back(raw: Object) -> bool:
    status = _status(raw)
    seen: bool = status.get("observedGeneration") == raw["metadata"]["generation"]
    return seen and str(status["rollout"]["status"]) == "ROLLBACK_SUCCESSFUL"


def _argo_done(raw: Object) -> bool:
    status = _status(raw)
    return (
        status.get("observedGeneration") == str(raw["metadata"]["generation"])
        and status.get("phase") == "Healthy"
    )


def _argo_back(raw: Object) -> bool:
    """Aborted, and nothing is left of the new pods."""
    status = _status(raw)
    return (
        bool(status.get("abort"))
        and status.get("updatedReplicas", 0) == 0
        and status.get("availableReplicas", 0) == raw["spec"]["replicas"]
    )


def _deployment_done(raw: Object) -> bool:
    status, wanted = _status(raw), raw["spec"]["replicas"]
    counts = (status.get(f"{name}eplicas", 0) for name in ("r", "updatedR", "availableR"))
    return status.get("observedGeneration") == raw["metadata"]["generation"] and all(
        count == wanted for count in counts
    )


def _deployment_failed(raw: Object) -> bool:
    """It never goes back; all it does is say so."""
    conditions = _status(raw).get("conditions", [])
    return any(one.get("reason") == "ProgressDeadlineExceeded" for one in conditions)


@dataclass(frozen=True)
class Kind:
    """One of the competitors.

    Args:
        group: API group and version.
        store: Where etcd has the objects.
        done: Whether an object's latest rollout is finished.
        back: Whether it gave a bad one up.
        rolling: What stands in ``spec`` beside replicas, selector and template.
        user: Who makes its requests, in the audit log.
    """

    name: str
    group: str
    kind: str
    plural: str
    store: str
    done: Callable[[Object], bool]
    back: Callable[[Object], bool]
    rolling: Object
    user: str

    def path(self, namespace: str, name: str = "") -> str:
        """URL path of an object, or of all in a namespace."""
        path = f"/apis/{self.group}/namespaces/{namespace}/{self.plural}"
        return f"{path}/{name}" if name else path

    def body(
        self,
        name: str,
        replicas: int,
        *,
        label: str = "",
        version: str = "1",
        behaviour: str | None = None,
        spec: Object | None = None,
    ) -> Object:
        """An object to create; ``spec`` adds to its spec."""
        label = label or name
        return {
            "apiVersion": self.group,
            "kind": self.kind,
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": label}},
                "template": template(label, version, behaviour),
                **self.rolling,
                **(spec or {}),
            },
        }

    def change(self, version: str, behaviour: str | None) -> Object:
        """A merge patch to another revision."""
        annotations = {VERSION: version, BEHAVIOUR: behaviour}
        return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


# A Deployment and a Rollout have minReadySeconds 0 where they do not say. Ours has to say it: without
# it the first pod of a revision runs for 10 s before any of them is healthy (ADR 14).
OURS = Kind(
    "Tripswitch",
    "tripswitch.dev/v1alpha1",
    "GuardedDeployment",
    "guardeddeployments",
    "/registry/tripswitch.dev/guardeddeployments/",
    _ours_done,
    _ours_back,
    {"minReadySeconds": 0},
    USER,
)
_FULL_SURGE = {"maxSurge": "100%", "maxUnavailable": 0}
ARGO = Kind(
    "Argo Rollouts",
    "argoproj.io/v1alpha1",
    "Rollout",
    "rollouts",
    "/registry/argoproj.io/rollouts/",
    _argo_done,
    _argo_back,
    {"progressDeadlineAbort": True, "strategy": {"canary": _FULL_SURGE}},
    "system:serviceaccount:argo-rollouts:argo-rollouts",
)
DEPLOYMENT = Kind(
    "Deployment",
    "apps/v1",
    "Deployment",
    "deployments",
    "/registry/deployments/",
    _deployment_done,
    _deployment_failed,
    {"strategy": {"type": "RollingUpdate", "rollingUpdate": _FULL_SURGE}},
    "system:serviceaccount:kube-system:deployment-controller",
)
