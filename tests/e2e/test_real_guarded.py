"""Plain Deployments and StatefulSets with real containers, guarded in place (rules G)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.guards import (
    circuit_breaker,
    deployment,
    find,
    images,
    stateful_set,
    until,
    until_guard,
)
from tests.e2e.namespace import Namespace, Object, PodWatcher, conditions
from tests.e2e.public_manifests import (
    WORKLOADS,
    Break,
    Guarded,
    apply,
    assert_nothing_of_ours,
    make_volume,
    prepare,
    read_manifests,
    run,
)
from tests.e2e.real import GOOD, NEXT, PATIENCE
from tests.e2e.simulated_kubelet import break_command, break_probe
from tests.e2e.stand_ins import write_stand_ins
from tests.support.environment import Environment
from tools.cluster.images import IMAGES, PORT
from tools.cluster.real_node import load_into
from tools.cluster.registry import REGISTRY

SEED = IMAGES["seed-exit-2"].reference
PROBE = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 10}
STORY = [
    "/bin/sh",
    "-c",
    "date >> /data/starts; httpd -f -p 3000 -h /www & trap 'exit 0' TERM; wait",
]
"""The good StatefulSet's command: it leaves a line in its volume at each start."""


def of_image(manifest: Object, image: str) -> Object:
    """Return a workload with real containers of an image."""
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"image": image, "readinessProbe": PROBE}
    return manifest


def test_the_seeds_bad_image_on_a_plain_deployment(world: Namespace) -> None:
    """G4, G5: the failed pods go, no good one does, and the corrected image rolls out."""
    world.apply(of_image(deployment(), GOOD))
    world.apply(circuit_breaker())
    until_guard(world, "SUCCESSFUL", seconds=PATIENCE)
    bad = of_image(deployment(), SEED)
    with PodWatcher(world) as watcher:
        world.apply(bad)
        status = until_guard(world, "ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    assert watcher.fewest_ready >= 3, "maxUnavailable of the Deployment is one pod of four"
    assert images(world) == [GOOD] * 4
    failures = status["circuitBreaker"]["failures"]
    assert "StartError" in str(failures)
    held = find(world, "deployment")
    assert conditions(held["status"])["Stalled"]["reason"] == "CircuitBreakerTriggered"
    world.apply(of_image(deployment(), NEXT))
    until(lambda: {"images": images(world)}, lambda seen: seen["images"] == [NEXT] * 4, PATIENCE)
    until_guard(world, "SUCCESSFUL", seconds=PATIENCE)
    assert_nothing_of_ours(find(world, "deployment"))


def with_volume(image: str, command: list[str] | None = None) -> Object:
    """Return a StatefulSet of two replicas, each with a volume of its own."""
    template = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    manifest = of_image(stateful_set(replicas=2, volumeClaimTemplates=[template]), image)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    if command:
        container["command"] = command
    return manifest


def test_the_seeds_bad_image_on_a_stateful_set_with_volumes(world: Namespace) -> None:
    """G4, G5: its pods come back on the volumes they had, and what is in these stays."""
    for number in range(2):
        make_volume(world, f"data-web-{number}")
    world.apply(with_volume(GOOD, STORY))
    world.apply(circuit_breaker("StatefulSet"))
    until_guard(world, "SUCCESSFUL", seconds=PATIENCE)
    first = [_read_starts(world, number) for number in range(2)]
    assert [len(lines) for lines in first] == [1, 1]
    world.apply(with_volume(SEED))
    until_guard(world, "ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    assert images(world) == [GOOD] * 2
    last, untouched = _read_starts(world, 1), _read_starts(world, 0)
    assert (last[:1], len(last)) == (first[1], 2), "one more start, on the same volume"
    assert untouched == first[0], "the pod before it was not touched"
    world.apply(with_volume(NEXT, STORY))
    until(lambda: {"images": images(world)}, lambda seen: seen["images"] == [NEXT] * 2, PATIENCE)
    until_guard(world, "SUCCESSFUL", seconds=PATIENCE)
    assert _read_starts(world, 0)[:1] == first[0]
    assert_nothing_of_ours(find(world, "statefulset"))


def _read_starts(world: Namespace, number: int) -> list[str]:
    """Return what a pod finds in its volume."""
    return world.kubectl("exec", f"web-{number}", "--", "cat", "/data/starts").splitlines()


def break_pull(container: Object) -> None:
    """Name a tag that the registry of the tests does not have."""
    container["image"] = f"{REGISTRY}/server:missing"


MANIFESTS: tuple[tuple[str, str, Break, Object], ...] = (
    ("sock.yaml", "front-end", break_command, {}),
    ("kp-kubeStateMetrics.yaml", "kube-state-metrics", break_pull, {"minReadySeconds": 5}),
    (
        "podinfo-statefulset-primary.yaml",
        "database-primary",
        break_probe,
        {"progressDeadlineSeconds": 60},
    ),
)
"""File, workload, what is broken, and settings of its breaker."""


def bring_images(environment: Environment, folder: Path) -> None:
    """Bring the stand-ins of the manifests' images onto the node."""
    names = ("front-end", "kube-state-metrics", "kube-rbac-proxy", "podinfo-6.14.1")
    for archive in write_stand_ins(names, folder):
        load_into(Path(environment.directory) / "cluster", archive)


@pytest.mark.own_nodes
def test_three_public_manifests_unchanged_with_local_images(
    world: Namespace, tmp_path: Path
) -> None:
    """A command, an image and a probe are broken; each goes back, and nothing is left on it."""
    bring_images(world.environment, tmp_path)
    guarded = []
    for file, name, fault, settings in MANIFESTS:
        objects = [one for one in read_manifests(file) if one["metadata"]["name"] == name]
        worlds = prepare(world.environment, objects, world.namespace)
        apply(worlds, objects, world.namespace)
        manifest = next(one for one in objects if one["kind"] in WORKLOADS)
        there = worlds[manifest["metadata"].get("namespace", world.namespace)]
        guarded.append(Guarded(there, manifest, fault, settings))
        guarded[-1].opt_in()
    run(guarded, PATIENCE)
    for one in guarded:
        if one.world.namespace != world.namespace:
            world.kubectl("delete", "namespace", one.world.namespace, "--wait=false")
