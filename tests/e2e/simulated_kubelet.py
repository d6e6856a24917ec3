"""Simulated pods that fail for what their manifest says, not for an annotation in its template.

A simulated kubelet looks at annotations of a pod (tools/cluster/behaviours.py). In a namespace with the
label ``JUDGED``, admission policies of the API server write them on each new pod: an image, a command or
a readiness probe that names something missing gets the behaviour that a kubelet shows. A workload can
then be broken as people break it, and its template holds nothing of the tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from tests.e2e.namespace import FAST_PROBE, Namespace, Object
from tools.cluster.behaviours import BEHAVIOUR, CONTAINER

JUDGED = "e2e.tripswitch.dev/judged"
MISSING_TAG = ":no-such-tag"
MISSING_PROGRAM = "/no-such-program"

_FAULTS = {
    "image-pull": f"c.image.endsWith('{MISSING_TAG}')",
    "start-error": f"has(c.command) && c.command[0] == '{MISSING_PROGRAM}'",
    "never-ready": (
        "has(c.readinessProbe) && has(c.readinessProbe.exec) && "
        f"c.readinessProbe.exec.command[0] == '{MISSING_PROGRAM}'"
    ),
}
"""CEL by behaviour: whether a container ``c`` shows it."""


def break_image(container: Object) -> None:
    """Name a tag that no registry has."""
    container["image"] = container["image"].rpartition(":")[0] + MISSING_TAG


def break_command(container: Object) -> None:
    """Start a program that the image does not have."""
    container["command"] = [MISSING_PROGRAM]


def break_probe(container: Object) -> None:
    """Ask a program that the image does not have whether the container is ready."""
    timing = {
        key: value
        for key, value in container["readinessProbe"].items()
        if key.endswith(("Seconds", "Threshold"))
    }
    container["readinessProbe"] = {"exec": {"command": [MISSING_PROGRAM]}, **timing}


_BROKEN = {
    "image-pull": break_image,
    "start-error": break_command,
    "never-ready": break_probe,
}


def judge_pods(world: Namespace) -> None:
    """Let the faults of ``world``'s pods show; returns when every policy acts."""
    documents = [one for behaviour in _FAULTS for one in _policy(behaviour)]
    items = {"apiVersion": "v1", "kind": "List", "items": documents}
    world.environment.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--filename", "-"), stdin=json.dumps(items)
    )
    world.kubectl("label", "namespace", world.namespace, f"{JUDGED}=yes", "--overwrite")
    for behaviour, fault in _BROKEN.items():
        world.until_true(partial(_shows, world, fault, behaviour))


def pardon_pods(world: Namespace) -> None:
    """Let new pods of ``world`` run whatever their manifest says; returns when no policy acts any more."""
    world.kubectl("label", "namespace", world.namespace, f"{JUDGED}-")
    for fault in _BROKEN.values():
        world.until_true(partial(_shows, world, fault, ""))


def _shows(world: Namespace, fault: Callable[[Object], None], behaviour: str) -> bool:
    """Return whether a pod with this fault would have the behaviour, or none if that is empty."""
    container: Object = {"name": "web", "image": "web:1", "readinessProbe": FAST_PROBE}
    fault(container)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial"},
        "spec": {"containers": [container]},
    }
    admitted = world.core.create_namespaced_pod(world.namespace, pod, dry_run="All")
    return bool((admitted.metadata.annotations or {}).get(BEHAVIOUR, "") == behaviour)


def _policy(behaviour: str) -> tuple[Object, Object]:
    """Return an admission policy for one behaviour, and what binds it to namespaces."""
    name, fault = f"e2e-{behaviour}", _FAULTS[behaviour]
    failing = f"string(object.spec.containers.filter(c, {fault})[0].name)"
    annotations = f"{{'{BEHAVIOUR}': '{behaviour}', '{CONTAINER}': {failing}}}"
    group = "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    policy = {
        "apiVersion": group,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {JUDGED: "yes"}},
                "resourceRules": [rule],
            },
            "matchConditions": [
                {"name": "faulty", "expression": f"object.spec.containers.exists(c, {fault})"}
            ],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {
                        "expression": "Object{metadata: Object.metadata{"
                        f"annotations: {annotations}}}}}"
                    },
                }
            ],
        },
    }
    binding = {
        "apiVersion": group,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    return policy, binding
