"""The promise of guarding in place, as one story each: the chart, an unchanged public manifest, one label."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.e2e.guards import LABEL, until, until_seen
from tests.e2e.in_cluster import Installed, install_chart
from tests.e2e.namespace import Namespace, Object
from tests.e2e.public_manifests import (
    WORKLOADS,
    apply,
    assert_nothing_of_ours,
    prepare,
    read_manifests,
)
from tests.e2e.stand_ins import STAND_INS, write_stand_ins
from tests.support.rights import judge, read_granted
from tools.cluster.images import IMAGES, write_archive
from tools.helm import NAMESPACE, RELEASE

pytestmark = pytest.mark.own_nodes

BAD = IMAGES["exit-2"]
"""It has no ./podinfo, which the manifests want to start: the fault of the seed's own test case."""
DEADLINE_SECONDS = 600.0
"""The Deployment's own progressDeadlineSeconds: what ends before it was ended by the trip."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A fresh cluster with the chart and the images that the manifests name."""
    folder = tmp_path_factory.mktemp("guarded-in-cluster")
    archives = write_stand_ins([name for name in STAND_INS if name.startswith("podinfo")], folder)
    archives.append(write_archive(BAD, folder / "bad.tar"))
    with install_chart(folder, archives) as found:
        yield found


def apply_unchanged(installed: Installed, name: str) -> tuple[Namespace, Object]:
    """Apply a public manifest as it is, with what it expects; return its namespace and workload."""
    objects = read_manifests(name)
    worlds = prepare(installed.world.environment, objects, installed.world.namespace)
    apply(worlds, objects, installed.world.namespace)
    manifest = next(one for one in objects if one["kind"] in WORKLOADS)
    return worlds[manifest["metadata"].get("namespace", installed.world.namespace)], manifest


def get(world: Namespace, target: str) -> Object:
    """Return an object."""
    found: Object = json.loads(world.kubectl("get", target, "--output=json"))
    return found


def follow(world: Namespace, target: str) -> tuple[int, str, float]:
    """Run ``kubectl rollout status``; return exit code, its words, and after how many seconds it ended."""
    kubectl = (world.environment.kubectl_path, f"--kubeconfig={world.environment.kubeconfig}")
    words = (f"--namespace={world.namespace}", "rollout", "status", target, "--timeout=120s")
    began = time.monotonic()
    done = subprocess.run(
        [*kubectl, *words], check=False, capture_output=True, text=True, timeout=150
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


def changes(world: Namespace, manifest: Object) -> set[str]:
    """Return the names of the fields that ``kubectl diff`` of the manifest shows."""
    kubectl = (world.environment.kubectl_path, f"--kubeconfig={world.environment.kubeconfig}")
    done = subprocess.run(
        [*kubectl, f"--namespace={world.namespace}", "diff", "--filename", "-"],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(manifest),
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr
    lines = [
        line
        for line in done.stdout.splitlines()
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    return {line[1:].strip().lstrip("- ").partition(":")[0] for line in lines}


def until_status(world: Namespace, breaker: str, wanted: str) -> Object:
    """Wait for the rollout status of a breaker."""
    return until(
        lambda: get(world, breaker).get("status", {}),
        lambda status: status.get("rollout", {}).get("status") == wanted,
        150,
    )


def serving(world: Namespace, manifest: Object) -> list[str]:
    """Return the images of the Ready pods of a workload."""
    labels = ",".join(f"{k}={v}" for k, v in manifest["spec"]["selector"]["matchLabels"].items())
    found = json.loads(world.kubectl("get", "pods", f"--selector={labels}", "-ojson"))["items"]
    alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return sorted(
        pod["spec"]["containers"][0]["image"]
        for pod in alive
        if {("Ready", "True")}
        <= {(one["type"], one["status"]) for one in pod["status"].get("conditions", [])}
    )


def test_a_labelled_deployment_goes_back_by_itself_and_nothing_stays(installed: Installed) -> None:
    """The Deployment of podinfo, four replicas by ``kubectl scale``."""
    world, manifest = apply_unchanged(installed, "podinfo-backend.yaml")
    world.kubectl("scale", "deployment/backend", "--replicas=4")
    world.kubectl("label", "deploy", "backend", f"{LABEL}=enforce")
    until_status(world, "dcb/backend-deployment", "SUCCESSFUL")
    good = [manifest["spec"]["template"]["spec"]["containers"][0]["image"]] * 4
    until(lambda: {"images": serving(world, manifest)}, lambda seen: seen["images"] == good)

    world.kubectl("set", "image", "deploy/backend", f"backend={BAD.reference}")
    code, words, seconds = follow(world, "deployment/backend")
    assert (code, "exceeded its progress deadline" in words) == (1, True), words
    assert seconds < DEADLINE_SECONDS
    until_status(world, "dcb/backend-deployment", "ROLLBACK_SUCCESSFUL")
    assert serving(world, manifest) == good
    assert changes(world, manifest) <= {"generation", "image"}

    corrected = STAND_INS["podinfo-5.0.4"].reference
    world.kubectl("set", "image", "deploy/backend", f"backend={corrected}")
    until_seen(world, get(world, "deploy/backend"), "backend-deployment")
    code, words, _ = follow(world, "deployment/backend")
    assert (code, "successfully rolled out" in words) == (0, True), words
    assert serving(world, manifest) == [corrected] * 4
    until_status(world, "dcb/backend-deployment", "SUCCESSFUL")
    live = get(world, "deployment/backend")
    assert_nothing_of_ours(live)
    assert live["metadata"]["labels"][LABEL] == "enforce"
    assert changes(world, manifest) <= {"generation", "image"}


def test_a_labelled_stateful_set_goes_back_by_itself_and_nothing_stays(
    installed: Installed,
) -> None:
    """The StatefulSet of podinfo with its volume; ``kubectl rollout status`` has no way to fail (see the docs)."""
    world, manifest = apply_unchanged(installed, "podinfo-statefulset-primary.yaml")
    target, breaker = "statefulset/database-primary", "dcb/database-primary-statefulset"
    world.kubectl("label", target, f"{LABEL}=enforce")
    until_status(world, breaker, "SUCCESSFUL")
    good = [manifest["spec"]["template"]["spec"]["containers"][0]["image"]]
    assert serving(world, manifest) == good
    claim = get(world, "pvc/database-primary")

    world.kubectl("set", "image", target, f"database={BAD.reference}")
    world.kubectl("wait", "--for=condition=Stalled", breaker, "--timeout=120s")
    until_status(world, breaker, "ROLLBACK_SUCCESSFUL")
    assert serving(world, manifest) == good
    code, words, _ = follow(world, target)
    assert (code, "partitioned roll out complete: 0 new pods" in words) == (0, True), words
    assert changes(world, manifest) <= {"generation", "image"}

    corrected = STAND_INS["podinfo-6.14.2"].reference
    world.kubectl("set", "image", target, f"database={corrected}")
    until(lambda: {"images": serving(world, manifest)}, lambda seen: seen["images"] == [corrected])
    until_status(world, breaker, "SUCCESSFUL")
    live = get(world, target)
    assert_nothing_of_ours(live)
    assert live["metadata"]["labels"][LABEL] == "enforce"
    after = get(world, "pvc/database-primary")
    assert (after["metadata"]["uid"], after["spec"]) == (claim["metadata"]["uid"], claim["spec"])


def test_the_rights_of_the_chart_are_enough(installed: Installed) -> None:
    """No request of the operator was refused."""
    rendered = installed.helm("get", "manifest", RELEASE, f"--namespace={NAMESPACE}")
    assert judge(installed.cluster.audit_log, read_granted(rendered), whole=False) == []
