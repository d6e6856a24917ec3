"""Rules D on real nodes: a real registry, tags that are pushed again, and what the pods run.

On a cluster of two real nodes, because a node keeps the images that it has pulled.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.namespace import Namespace, Object, conditions, is_ready, revision, rollout
from tests.e2e.real import GOOD, PATIENCE, service
from tests.support.environment import Environment
from tools.cluster.control_plane import ControlPlane
from tools.cluster.images import PULLED, Image, load_images, write_archive
from tools.cluster.registry import Registry
from tools.operator_process import OperatorProcess, install, write_kubeconfig

pytestmark = pytest.mark.own_nodes

FIRST = PULLED
SECOND = Image("server-second", ("/bin/sh", "-c", f"sleep 0.3; {PULLED.command[-1]}"))
"""Another good version."""
MESH = Image("mesh", ("/bin/sh", "-c", "exec sleep 3600"))
OTHER_MESH = Image("other-mesh", ("/bin/sh", "-c", "exec sleep 3601"))
"""Two versions of a container that is injected."""
BAD = Image("bad-push", ("/bin/sh", "-c", "sleep 0.2; exit 3"))
HOST = "digests.test"
HOOK = {"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"]}


@dataclass
class Place:
    """Two real nodes, a namespace, and a repository of the test's own in a real registry."""

    world: Namespace
    registry: Registry
    repository: str
    folder: Path

    def push(self, image: Image, tag: str = "latest") -> str:
        """Push an image to a tag; return its digest."""
        # A node names any repository from which it has the same content, so each test has its own.
        own = Image(image.name, (*image.command[:2], f": {self.repository}; {image.command[2]}"))
        archive = write_archive(own, self.folder / f"{image.name}.tar")
        self.registry.push(archive, f"{self.repository}:{tag}")
        return self.registry.find_digest(f"{self.repository}:{tag}")

    def service(self, replicas: int, tag: str = "latest", policy: str = "Always") -> Object:
        """Return a service that runs what a tag means."""
        image = f"{HOST}/{self.repository}:{tag}"
        return service(replicas, image, imagePullPolicy=policy)

    def restart(self) -> None:
        """A rollout of the same template, as ``kubectl tripswitch restart`` makes it."""
        self.plugin("restart", "web")

    def plugin(self, *words: str) -> str:
        """Run the plugin; return what it prints."""
        return self.world.plugin(self.folder / secrets.token_hex(3))("tripswitch", *words)

    def digests(self, container: str = "web") -> set[str]:
        """Return what the Ready pods run."""
        return {
            one.image_id.partition("@")[2]
            for pod in self.world.pods()
            if is_ready(pod)
            for one in pod.status.container_statuses
            if one.name == container
        }

    def until_ready(self, count: int) -> None:
        """Wait until so many pods are Ready, and no more are there."""
        self.world.until_true(
            lambda: len(self.world.pods()) == count and all(map(is_ready, self.world.pods())),
            PATIENCE,
        )


@dataclass
class _Nodes:
    cluster: ControlPlane
    environment: Environment
    registry: Registry


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Nodes]:
    """Two real nodes and a registry that both trust."""
    folder = tmp_path_factory.mktemp("digests")
    with ControlPlane(folder / "cluster", node="real") as cluster:
        cluster.add_real_node()
        load_images(folder, cluster.load_image)
        install(cluster.kubectl)
        rights = write_kubeconfig(cluster.kubectl, folder / "operator.kubeconfig")
        environment = Environment(
            provider="real",
            kubeconfig=str(cluster.kubeconfig),
            kubectl_path=str(cluster.kubectl_path),
            directory=str(folder),
        )
        registry = Registry(folder / "registry", cluster.layout.address)
        with registry, OperatorProcess(rights, folder / "operator.log"):
            for node in cluster.real_nodes.values():
                node.trust_registry(HOST, registry.url)
            yield _Nodes(cluster, environment, registry)


@pytest.fixture
def place(nodes: _Nodes, tmp_path: Path) -> Iterator[Place]:
    """A namespace and a repository of the test's own."""
    word = f"digests-{secrets.token_hex(3)}"
    nodes.cluster.kubectl("create", "namespace", word)
    yield Place(Namespace(nodes.environment, word), nodes.registry, word, tmp_path)
    nodes.cluster.kubectl("delete", "namespace", word, "--wait=false")


def _images(status: Object, number: int) -> list[Object]:
    found: list[Object] = revision(status, number).get("containerImages", [])
    return found


def _pinned(world: Namespace) -> list[Any]:
    """Return the images of the ReplicaSets' templates, by revision."""
    sets = world.replica_sets().values()
    by_number = sorted(sets, key=lambda rs: int(rs.metadata.annotations["tripswitch.dev/revision"]))
    return [rs.spec.template.spec.containers[0].image for rs in by_number]


_POLICY = "MutatingAdmissionPolicy"


def _injecting(namespace: str, image: str) -> tuple[Object, Object]:
    """Return an admission policy that adds a container ``mesh`` to the pods of a namespace, and its binding."""
    group, name = "admissionregistration.k8s.io/v1", {"name": namespace}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    container = (
        f"Object.spec.containers{{name: 'mesh', image: '{image}', imagePullPolicy: 'Always'}}"
    )
    expression = f"Object{{spec: Object.spec{{containers: [{container}]}}}}"
    patch = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    spec = {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [{**rule, "resources": ["pods"]}],
        },
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [patch],
    }
    policy = {"apiVersion": group, "kind": _POLICY, "metadata": name, "spec": spec}
    bound = {"policyName": namespace}
    return policy, {
        "apiVersion": group,
        "kind": f"{_POLICY}Binding",
        "metadata": name,
        "spec": bound,
    }


def _is_injected(world: Namespace) -> bool:
    """Whether the API server heeds the policy: it takes a moment to learn of it."""
    words = ("run", "probe", f"--image={GOOD}", "--dry-run=server", "--output=json")
    return len(json.loads(world.kubectl(*words))["spec"]["containers"]) == 2


def test_d1_a_rollback_after_a_bad_push_to_the_same_tag_runs_the_first_image(place: Place) -> None:
    world, first = place.world, place.push(FIRST)
    status = world.completed(place.service(2), PATIENCE)
    image = f"{HOST}/{place.repository}:latest"
    shown = {"containerName": "web", "image": image, "imageDigest": first}
    assert _images(status, 1) == [shown]
    bad = place.push(BAD)
    assert bad != first
    place.restart()
    status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    assert status["lastCompletedRevision"] == 1
    world.patch("web", {"spec": {"replicas": 4}})
    place.until_ready(4)
    assert place.digests() == {first}
    assert _pinned(world)[0] == f"{HOST}/{place.repository}@{first}"
    assert world.get()["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert first in place.plugin("history", "web", "-o", "json")
    difference = place.plugin("diff", "web", "1", "2")
    lines = [line.replace(" ", "") for line in difference.splitlines() if "image:" in line]
    assert lines[0].endswith(f"image:{image}@{first}")
    assert lines[1].endswith(f"image:{image}@{bad}")


def test_d1_a_node_that_had_cached_an_older_image_runs_the_pinned_one(place: Place) -> None:
    """Both versions are good: nothing is harmed by the pin."""
    world, kubectl = place.world, place.world.environment.kubectl
    first = place.push(FIRST)
    kubectl("cordon", "real-1")
    try:
        world.completed(place.service(1, policy="IfNotPresent"), PATIENCE)
    finally:
        kubectl("uncordon", "real-1")
    second = place.push(SECOND)
    kubectl("cordon", "real-0")
    try:
        place.restart()
        status = world.until(lambda s: s["lastCompletedRevision"] == 2, seconds=PATIENCE)
        assert _images(status, 2)[0]["imageDigest"] == second
    finally:
        kubectl("uncordon", "real-0")
    kubectl("cordon", "real-1")
    try:
        world.patch("web", {"spec": {"replicas": 2}})
        place.until_ready(2)
    finally:
        kubectl("uncordon", "real-1")
    assert {pod.spec.node_name for pod in world.pods()} == {"real-0", "real-1"}
    assert place.digests() == {second}
    assert first != second


def test_d3_a_digest_that_is_gone_while_a_pod_runs_it_is_dropped(place: Place) -> None:
    """The pin must not keep a revision from growing: new pods run what the tag means now."""
    world, kubectl = place.world, place.world.environment.kubectl
    first = place.push(FIRST)
    kubectl("cordon", "real-1")
    try:
        world.completed(place.service(1), PATIENCE)
    finally:
        kubectl("uncordon", "real-1")
    second = place.push(SECOND)
    place.registry.delete(place.repository, first)
    kubectl("cordon", "real-0")
    try:
        world.patch("web", {"spec": {"replicas": 2}})
        words = world.until_event("ImageDigestUnusable")
        place.until_ready(2)
    finally:
        kubectl("uncordon", "real-0")
    assert "its registry does not have it; new pods use the tag" in words
    assert place.digests() == {first, second}
    status = world.status()
    assert rollout(status) == "SUCCESSFUL"
    assert _images(status, 1)[0].get("imageDigest") is None
    assert _pinned(world) == [f"{HOST}/{place.repository}:latest"]


def test_d2_an_injected_container_is_left_alone(place: Place) -> None:
    """The pods have it and the template has not: its tag may be pushed again."""
    world = place.world
    first, mesh = place.push(FIRST), place.push(MESH, "mesh")
    for manifest in _injecting(world.namespace, f"{HOST}/{place.repository}:mesh"):
        world.apply(manifest)
    try:
        world.until_true(lambda: _is_injected(world), PATIENCE)
        status = world.completed(place.service(1), PATIENCE)
        assert [one["containerName"] for one in _images(status, 1)] == ["web"]
        other = place.push(OTHER_MESH, "mesh")
        world.patch("web", {"spec": {"replicas": 2}})
        place.until_ready(2)
    finally:
        world.kubectl("delete", f"{_POLICY},{_POLICY}Binding", world.namespace)
    assert place.digests("web") == {first}
    assert place.digests("mesh") == {mesh, other}
    assert _pinned(world) == [f"{HOST}/{place.repository}@{first}"]


def test_d4_a_rollback_to_a_digest_that_the_registry_deleted_says_so_and_waits(
    place: Place,
) -> None:
    world, first = place.world, place.push(FIRST)
    wanted = place.service(2)
    wanted["spec"]["deploymentConfiguration"] = {"minimumHealthyPercent": 50, "maximumPercent": 100}
    world.completed(wanted, PATIENCE)
    place.push(BAD)
    place.registry.delete(place.repository, first)
    place.restart()
    words = world.until_event("ImageDigestGone")
    assert f"no longer has {HOST}/{place.repository}:latest as {first[:19]}" in words
    assert "its tag is not used instead" in words
    status = world.until(lambda s: "no longer has" in s["rolloutStateReason"], seconds=PATIENCE)
    assert rollout(status) == "ROLLBACK_IN_PROGRESS"
    told = conditions(status)["RollbackAtRisk"]
    assert told["reason"] == "RevisionIncomplete"
    assert f"no longer has {HOST}/{place.repository}:latest as {first[:19]}" in told["message"]
    assert place.digests() == {first}
    place.push(FIRST, "again")
    world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    place.until_ready(2)
    assert place.digests() == {first}
    world.until(lambda s: "RollbackAtRisk" not in conditions(s), seconds=PATIENCE)


def test_b9_a_digest_that_is_gone_is_told_before_a_rollback_needs_it(place: Place) -> None:
    """A pod of the completed revision is lost while the next revision is rolled out."""
    world, first = place.world, place.push(FIRST)
    world.completed(place.service(2), PATIENCE)
    second = place.push(SECOND)
    assert first != second
    place.registry.delete(place.repository, first)
    wanted = place.service(2)
    wanted["spec"]["deploymentConfiguration"] = {"lifecycleHooks": [HOOK]}
    wanted["spec"]["template"]["metadata"]["annotations"] = {"release": "2"}
    world.apply(wanted)
    world.until(lambda s: "waits at PRE_SCALE_UP" in s["rolloutStateReason"], seconds=PATIENCE)
    world.kubectl("delete", "pod", world.pods()[0].metadata.name, "--wait=false")
    status = world.until(lambda s: "RollbackAtRisk" in conditions(s), seconds=PATIENCE)
    assert (
        f"no longer has {HOST}/{place.repository}:latest as {first[:19]}"
        in conditions(status)["RollbackAtRisk"]["message"]
    )
    place.push(FIRST, "again")
    place.until_ready(2)
    world.until(lambda s: "RollbackAtRisk" not in conditions(s), seconds=PATIENCE)
    assert place.digests() == {first}


def test_d4_a_retry_after_a_fix_was_pushed_to_the_same_tag_runs_the_fix(place: Place) -> None:
    """The first revision ever: there is nothing to go back to, and the pin must not keep the bad image."""
    world = place.world
    place.push(BAD)
    world.apply(place.service(2))
    world.until_rollout("FAILED", seconds=PATIENCE)
    good = place.push(FIRST)
    world.annotate("web", "retry", "a fix was pushed")
    status = world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    place.until_ready(2)
    assert place.digests() == {good}
    assert _images(status, 1)[0]["imageDigest"] == good


def test_d2_a_local_image_and_a_digest_in_the_template_are_left_alone(place: Place) -> None:
    world, first = place.world, place.push(FIRST)
    status = world.completed(service(1, GOOD), PATIENCE)
    assert _images(status, 1) == [{"containerName": "web", "image": GOOD, "reason": "LocalImage"}]
    named = f"{HOST}/{place.repository}@{first}"
    world.apply(service(1, named))
    status = world.until(lambda s: s["lastCompletedRevision"] == 2, seconds=PATIENCE)
    assert _images(status, 2) == [{"containerName": "web", "image": named, "imageDigest": first}]
    for rs in world.replica_sets().values():
        assert "tripswitch.dev/pinned-images" not in rs.metadata.annotations


def test_d2_an_image_of_two_architectures_is_pinned_as_a_whole(place: Place) -> None:
    world = place.world
    first, other = place.push(FIRST, "amd64"), place.push(SECOND, "arm64")
    index = place.registry.push_index(
        f"{place.repository}:latest", {"amd64": first, "arm64": other}
    )
    status = world.completed(place.service(1), PATIENCE)
    assert _images(status, 1)[0]["imageDigest"] == index
    world.patch("web", {"spec": {"replicas": 3}})
    place.until_ready(3)
    assert place.digests() == {index}


def test_d5_disabled_a_scale_up_runs_what_the_tag_means_now(place: Place) -> None:
    world, first = place.world, place.push(FIRST)
    wanted = place.service(1)
    wanted["spec"]["versionConsistency"] = "disabled"
    status = world.completed(wanted, PATIENCE)
    assert _images(status, 1) == []
    second = place.push(SECOND)
    world.patch("web", {"spec": {"replicas": 2}})
    place.until_ready(2)
    assert place.digests() == {first, second}
