"""Given, when, then: a namespace of its own, and words to act on it and to wait for what happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from kubernetes import client, config, watch

from tests.e2e.following import follow_pods
from tests.support.environment import Environment
from tools.terminal import Plugin
from tripswitch.domain.rules.health import LEAST_PATIENCE
from tripswitch.domain.values.sight import AGAIN_SECONDS

GROUP, VERSION, PLURAL = "tripswitch.dev", "v1alpha1", "guardeddeployments"
PATIENCE = 90.0
VERDICT_SECONDS = LEAST_PATIENCE + 3 * AGAIN_SECONDS
"""How long the operator takes at most to count a pod that runs and is not Ready: the time that the pod
has (F4), and three looks at its node's Lease (V3). Simulated nodes renew it every 10 s, as kubelets do."""
Object = dict[str, Any]

FAST_PROBE = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
"""Readiness budget (rule F4): 0 + 3 x 1 + 1 = 4 s."""


def guarded(
    name: str = "web",
    replicas: int = 4,
    behaviour: str | None = None,
    image: str = "web:1",
    *,
    configuration: Object | None = None,
    pod: Object | None = None,
    **spec: Any,
) -> Object:
    """Return a GuardedDeployment whose simulated pods show ``behaviour``.

    Its pods are healthy as soon as they are Ready: the first one need not run for 10 s (H1).
    """
    annotations = {"stage.tripswitch.dev/behaviour": behaviour} if behaviour else {}
    containers = [{"name": "web", "image": image, "readinessProbe": FAST_PROBE}]
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "GuardedDeployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "minReadySeconds": 0,
            "selector": {"matchLabels": {"app": name}},
            "deploymentConfiguration": configuration or {},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": annotations},
                "spec": {"containers": containers, **(pod or {})},
            },
            **spec,
        },
    }


def breaker(**settings: Any) -> Object:
    """Return a deploymentConfiguration with these settings of the breaker."""
    return {"deploymentCircuitBreaker": settings}


class Namespace:
    """One namespace of the cluster under test."""

    def __init__(self, environment: Environment, namespace: str) -> None:
        self.environment = environment
        self.namespace = namespace
        self.api = config.new_client_from_config(environment.kubeconfig)
        self.core: Any = client.CoreV1Api(self.api)
        self.apps: Any = client.AppsV1Api(self.api)
        self.custom: Any = client.CustomObjectsApi(self.api)

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Run kubectl in this namespace."""
        return self.environment.kubectl("--namespace", self.namespace, *words, stdin=stdin)

    def plugin(self, directory: Path, program: Path | None = None) -> Plugin:
        """Return the plugin as a user of this namespace has it; its files go into a new folder."""
        kubectl, kubeconfig = Path(self.environment.kubectl_path), Path(self.environment.kubeconfig)
        return Plugin(kubectl, kubeconfig, self.namespace, directory, program)

    def apply(self, manifest: Object) -> None:
        """kubectl apply."""
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(manifest))

    def patch(self, name: str, change: Object) -> None:
        """Merge a change into a GuardedDeployment."""
        self.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, name, change
        )

    def annotate(self, name: str, key: str, value: str | None) -> None:
        """Give a command (rules C)."""
        self.patch(name, {"metadata": {"annotations": {f"tripswitch.dev/{key}": value}}})

    def get(self, name: str = "web") -> Object:
        """Return a GuardedDeployment."""
        found: Object = self.custom.get_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, name
        )
        return found

    def status(self, name: str = "web") -> Object:
        """Return its status."""
        return dict(self.get(name).get("status", {}))

    def until(
        self,
        reached: Callable[[Object], bool],
        name: str = "web",
        seconds: float = PATIENCE,
    ) -> Object:
        """Wait until the status is as wanted, looking at every version of it; return it."""
        deadline = time.monotonic() + seconds
        status: Object = {}
        while time.monotonic() < deadline:
            stream = watch.Watch().stream(
                self.custom.list_namespaced_custom_object,
                GROUP,
                VERSION,
                self.namespace,
                PLURAL,
                field_selector=f"metadata.name={name}",
                timeout_seconds=max(1, int(deadline - time.monotonic())),
            )
            for event in stream:
                status = event["object"].get("status", {})
                if status.get("rollout") and reached(status):
                    return dict(status)
        raise AssertionError(f"{name} did not get there: {json.dumps(status, indent=1)}")

    def until_rollout(self, wanted: str, name: str = "web", seconds: float = PATIENCE) -> Object:
        """Wait for a rollout status."""
        return self.until(lambda status: rollout(status) == wanted, name, seconds)

    def until_true(self, what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait for anything else; returns what came."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            if time.monotonic() > deadline:
                raise AssertionError(f"never came true: {found!r}")
            time.sleep(0.1)
        return found

    def completed(self, manifest: Object, seconds: float = PATIENCE) -> Object:
        """Apply a manifest and wait until its rollout is COMPLETED; return the status."""
        self.apply(manifest)
        name = manifest["metadata"]["name"]
        generation = self.get(name)["metadata"]["generation"]
        return self.until(
            lambda status: (
                rollout(status) == "SUCCESSFUL" and status["observedGeneration"] >= generation
            ),
            name,
            seconds,
        )

    def replica_sets(self, name: str = "web") -> dict[str, Any]:
        """Return the ReplicaSets of a GuardedDeployment by name."""
        found = self.apps.list_namespaced_replica_set(self.namespace, label_selector=f"app={name}")
        return {item.metadata.name: item for item in found.items}

    def pods(self, name: str = "web") -> list[Any]:
        """Return its pods that are not being deleted."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector=f"app={name}").items
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def events(self, name: str = "web") -> list[tuple[str, str]]:
        """Return reasons and messages of its events."""
        found = self.core.list_namespaced_event(
            self.namespace,
            field_selector=f"involvedObject.name={name}",
            _preload_content=False,  # to make objects of JSON takes longer than all the rest
        )
        items = json.loads(found.data)["items"]
        return [(item.get("reason", ""), item.get("message", "")) for item in items]

    def until_event(self, reason: str, name: str = "web") -> str:
        """Wait for an event; return its message."""
        message: str = self.until_true(
            lambda: next((words for found, words in self.events(name) if found == reason), None)
        )
        return message


def rollout(status: Object) -> str:
    """Return the status of the rollout."""
    return str(status["rollout"]["status"])


def conditions(status: Object) -> dict[str, Object]:
    """Return the conditions by type."""
    return {condition["type"]: condition for condition in status["conditions"]}


def revision(status: Object, number: int) -> Object:
    """Return a revision of the history."""
    found: Object = next(r for r in status["revisions"] if r["revision"] == number)
    return found


class PodWatcher:
    """Sees every version of every pod, and keeps the extremes: fewest Ready, most alive."""

    def __init__(self, world: Namespace, name: str = "web") -> None:
        self._world = world
        self._name = name
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = threading.Event()
        self.fewest_ready = 10**9
        self.most_alive = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._began.wait(30), "the watch did not begin"
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the watch did not end"

    def _run(self) -> None:
        kubeconfig, namespace = self._world.environment.kubeconfig, self._world.namespace
        for pods in follow_pods(kubeconfig, namespace, self._done, f"app={self._name}"):
            alive = [pod for pod in pods.values() if is_alive(pod)]
            self.most_alive = max(self.most_alive, len(alive))
            self.fewest_ready = min(self.fewest_ready, sum(map(is_ready, alive)))
            self._began.set()


def is_alive(pod: Any) -> bool:
    """Whether its ReplicaSet counts it."""
    return pod.metadata.deletion_timestamp is None and pod.status.phase not in (
        "Failed",
        "Succeeded",
    )


def is_ready(pod: Any) -> bool:
    """Whether its Ready condition is True."""
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
