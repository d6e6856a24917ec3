"""Workloads of public manifests (``../shared/manifests``) on their way: good, broken, restored, corrected.

Nothing of a manifest is changed before it is broken. What it expects to be in the cluster is made.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from tests.e2e.guards import BREAKERS, LABEL
from tests.e2e.namespace import GROUP, VERSION, Namespace, Object, conditions
from tests.support.environment import Environment
from tests.support.shared_files import SHARED, read_shared
from tripswitch.api.identity import FIELD_MANAGER

FOLDER = "manifests/kubernetes"
WORKLOADS = ("Deployment", "StatefulSet")
Break = Callable[[Object], None]
"""What breaks a container."""


def read_manifests(pattern: str) -> list[Object]:
    """Return all objects of the manifests whose file names match; leaves the test out where there are none.

    Raises ValueError when there are manifests, and none of them matches.
    """
    names = sorted(path.name for path in (SHARED / FOLDER).glob(pattern))
    if not names and (SHARED / FOLDER).is_dir():
        raise ValueError(f"no manifest matches {pattern}")
    texts = [read_shared(f"{FOLDER}/{name}") for name in names or [pattern]]
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


def prepare(
    environment: Environment, objects: list[Object], namespace: str
) -> dict[str, Namespace]:
    """Make the namespaces, service accounts and volumes that the manifests name; return the namespaces."""
    worlds = {namespace: Namespace(environment, namespace)}
    for one in objects:
        if one["kind"] not in WORKLOADS:
            continue
        name = one["metadata"].get("namespace", namespace)
        if name not in worlds:
            made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            worlds[namespace].apply(made)
            worlds[name] = Namespace(environment, name)
        pod = one["spec"]["template"]["spec"]
        if account := pod.get("serviceAccountName"):
            made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}
            worlds[name].apply(made)
        for volume in pod.get("volumes", []):
            if claim := volume.get("persistentVolumeClaim"):
                make_volume(worlds[name], claim["claimName"])
    return worlds


def make_volume(world: Namespace, claim: str) -> None:
    """Make a claim and a volume for it: a folder of the node."""
    name = f"{world.namespace}-{claim}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            **common,
            "capacity": {"storage": "1Mi"},
            "claimRef": {"namespace": world.namespace, "name": claim},
            "hostPath": {
                "path": f"{world.environment.directory}/volumes/{name}",
                "type": "DirectoryOrCreate",
            },
        },
    }
    claimed = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim},
        "spec": {**common, "resources": {"requests": {"storage": "1Mi"}}, "volumeName": name},
    }
    world.apply(volume)
    world.apply(claimed)


def apply(worlds: dict[str, Namespace], objects: list[Object], namespace: str) -> None:
    """``kubectl apply`` of everything, each object in its own namespace or else in ``namespace``."""
    for name, world in worlds.items():
        own = [one for one in objects if one["metadata"].get("namespace", namespace) == name]
        if own:
            world.apply({"apiVersion": "v1", "kind": "List", "items": own})


@dataclass
class Guarded:
    """One workload of a manifest on its way.

    ``settings`` are those of its DeploymentCircuitBreaker; None: a label opts it in.
    """

    world: Namespace
    manifest: Object
    fault: Break
    settings: Object | None = None
    step: str = "starting"

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def breaker(self) -> str:
        """The name of its DeploymentCircuitBreaker, as the label would make it."""
        return f"{self.name}-{self.kind.lower()}"

    def opt_in(self) -> None:
        """Guard it by an object, or by its own label."""
        if self.settings is None:
            self.world.kubectl("label", self.kind, self.name, f"{LABEL}=enforce")
            return
        target = {"apiVersion": "apps/v1", "kind": self.kind, "name": self.name}
        self.world.apply(
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "DeploymentCircuitBreaker",
                "metadata": {"name": self.breaker},
                "spec": {"targetRef": target, **self.settings},
            }
        )

    def change(self, change: Break) -> Object:
        """Return the manifest with something changed in the last container."""
        changed = copy.deepcopy(self.manifest)
        change(changed["spec"]["template"]["spec"]["containers"][-1])
        return changed

    def advance(self, live: Object, status: Object, pods: list[Object]) -> None:
        """Look at the newest view of it, and take the next step when it is due."""
        rollout = status.get("rollout", {})
        said = rollout.get("status")
        completed = said == "SUCCESSFUL" and rollout["revision"] == status["lastCompletedRevision"]
        match self.step:
            case "starting" if completed:
                self.world.apply(self.change(self.fault))
                self.step = "broken"
            case "broken" if said == "ROLLBACK_SUCCESSFUL":
                self._assert_restored(live, status, pods)
                self.world.apply(self.change(correct))
                self.step = "corrected"
            case "corrected" if completed:
                container = live["spec"]["template"]["spec"]["containers"][-1]
                assert CORRECTION in container["env"]
                assert_nothing_of_ours(live)
                self.step = "done"
            case _:
                assert said != "FAILED", f"{self.name}: {json.dumps(status, indent=1)}"

    def _assert_restored(self, live: Object, status: Object, pods: list[Object]) -> None:
        """All its pods are of the manifest as it was, and ``kubectl diff`` has nothing to show."""
        assert conditions(live["status"])["Stalled"]["reason"] == "CircuitBreakerTriggered"
        assert status["rollout"]["revision"] == status["lastCompletedRevision"]
        labels = self.manifest["spec"]["selector"]["matchLabels"].items()
        mine = [pod for pod in pods if labels <= pod["metadata"]["labels"].items()]
        assert len(mine) == live["spec"]["replicas"], f"{self.name}: {len(mine)} pods"
        wanted = _essence(self.manifest["spec"]["template"]["spec"])
        assert [_essence(pod["spec"]) for pod in mine] == [wanted] * len(mine)
        assert all(conditions(pod["status"])["Ready"]["status"] == "True" for pod in mine)
        broken = json.dumps(self.change(self.fault))
        self.world.kubectl("diff", "--filename", "-", stdin=broken)  # exits with 1 if it differs


CORRECTION = {"name": "CORRECTED", "value": "yes"}


def correct(container: Object) -> None:
    """Make a new version that works."""
    container["env"] = [*container.get("env", []), CORRECTION]


def _essence(pod: Object) -> list[tuple[Any, ...]]:
    """What the tests break of a pod's containers."""
    return [
        (one["image"], one.get("command"), (one.get("readinessProbe") or {}).get("exec"))
        for one in pod["containers"]
    ]


def assert_nothing_of_ours(live: Object) -> None:
    """The operator left nothing on the workload but the label of who opted in."""
    annotations = live["metadata"].get("annotations", {})
    assert not [key for key in annotations if GROUP in key]
    assert {key for key in live["metadata"].get("labels", {}) if GROUP in key} <= {LABEL}
    entries = [one for one in live["metadata"].get("managedFields", []) if "subresource" not in one]
    assert FIELD_MANAGER not in {one["manager"] for one in entries}, (
        "of the status the times may stay"
    )
    assert "paused" not in live["spec"]
    rolling = live["spec"].get("updateStrategy", {}).get("rollingUpdate", {})
    assert rolling.get("partition", 0) == 0
    told = [(one["type"], one.get("reason")) for one in live["status"].get("conditions", [])]
    assert "Stalled" not in [kind for kind, _ in told]
    assert ("Progressing", "ProgressDeadlineExceeded") not in told


def _look(world: Namespace) -> dict[tuple[str, str], Object]:
    """Return the workloads, breakers and pods of a namespace by kind and name.

    The breakers are read first: what one of them says has been done is seen on its workload.
    """
    lists = {
        kind: world.custom.list_namespaced_custom_object(*group, world.namespace, plural)["items"]
        for kind, group, plural in (
            ("DeploymentCircuitBreaker", (GROUP, VERSION), BREAKERS),
            ("Deployment", ("apps", "v1"), "deployments"),
            ("StatefulSet", ("apps", "v1"), "statefulsets"),
        )
    }
    pods = world.core.list_namespaced_pod(world.namespace, _preload_content=False).data
    lists["Pod"] = json.loads(pods)["items"]
    return {(kind, one["metadata"]["name"]): one for kind, found in lists.items() for one in found}


def run(guarded: list[Guarded], seconds: float) -> None:
    """Let every workload go its way to the end, side by side."""
    assert guarded, "no workloads in these manifests"
    deadline = time.monotonic() + seconds
    while open_ := [one for one in guarded if one.step != "done"]:
        if time.monotonic() > deadline:
            raise AssertionError(f"not through: {[(one.name, one.step) for one in open_]}")
        views = {
            name: _look(one.world) for name, one in {o.world.namespace: o for o in open_}.items()
        }
        for one in open_:
            view = views[one.world.namespace]
            breaker = view.get(("DeploymentCircuitBreaker", one.breaker), {})
            pods = [item for (kind, _), item in view.items() if kind == "Pod"]
            alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            one.advance(view[one.kind, one.name], breaker.get("status", {}), alive)
        time.sleep(0.5)
