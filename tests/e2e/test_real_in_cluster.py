"""The operator as it is meant to run: two pods of its own image, put there by Helm, on a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.in_cluster import Installed, install_chart
from tests.e2e.namespace import Object, PodWatcher, conditions, guarded, revision
from tests.support.rights import judge, read_granted
from tools.cluster import images
from tools.cluster.control_plane import ClusterError
from tools.helm import NAMESPACE, RELEASE

pytestmark = pytest.mark.own_nodes

PROBE = {"httpGet": {"path": "/", "port": images.PORT}, "periodSeconds": 1}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Everything a platform team would do, but for the registry."""
    folder = tmp_path_factory.mktemp("in-cluster")
    archives = [
        images.write_archive(images.IMAGES[name], folder / f"{name}.tar")
        for name in ("server", "exit-2")
    ]
    with install_chart(folder, archives, "--set=failedPodRetention.enabled=true") as found:
        yield found


def of_image(image: str, replicas: int = 4) -> Object:
    """A GuardedDeployment of one of the images on the node."""
    manifest = guarded(replicas=replicas, image=images.IMAGES[image].reference)
    manifest["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = PROBE
    return manifest


def test_two_pods_are_ready_under_an_account_of_their_own(installed: Installed) -> None:
    """And run as nobody in particular, in an image that cannot be written to."""
    pods = installed.operator_pods()
    assert len(pods) == 2
    for pod in pods:
        assert pod["spec"]["serviceAccountName"] == RELEASE
        assert pod["status"]["containerStatuses"][0]["ready"]
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    name = pods[0]["metadata"]["name"]
    code = "import os; print(os.getuid(), os.getgid()); open('/tmp/x', 'w')"
    command = ("exec", f"--namespace={NAMESPACE}", name, "--", "/usr/bin/python3", "-c")
    with pytest.raises(ClusterError, match="Read-only file system"):
        installed.cluster.kubectl(*command, code)
    said = installed.cluster.kubectl(*command, "import os; print(os.getuid(), os.getgid())")
    assert said.split() == ["65532", "65532"]
    for shell in ("sh", "/bin/sh", "bash", "perl"):
        with pytest.raises(ClusterError, match=r"no such file|not found"):
            installed.cluster.kubectl("exec", f"--namespace={NAMESPACE}", name, "--", shell)


def test_one_of_them_leads(installed: Installed) -> None:
    """The Lease names one of the two pods."""
    words = ("get", f"lease/{RELEASE}", f"--namespace={NAMESPACE}", "-ojson")
    holder = json.loads(installed.cluster.kubectl(*words))["spec"]["holderIdentity"]
    names = [pod["metadata"]["name"] for pod in installed.operator_pods()]
    assert sum(holder.startswith(name) for name in names) == 1


def test_good_and_bad_revisions_behave_as_in_the_demo(installed: Installed) -> None:
    """A good one completes; a bad one trips, and the good one is back without losing a pod."""
    world = installed.world
    world.completed(of_image("server"))
    before = {pod.metadata.uid for pod in world.pods()}
    with PodWatcher(world) as watcher:
        world.apply(of_image("exit-2"))
        status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=180)
    assert watcher.fewest_ready == 4
    assert {pod.metadata.uid for pod in world.pods()} >= before
    assert "container web exited 2" in revision(status, 2)["reason"]
    assert conditions(status)["Stalled"]["status"] == "True"
    assert conditions(status)["Available"]["status"] == "True"
    world.until_event("RollbackCompleted")
    events = [reason for reason, _ in world.events()]
    assert "CircuitBreakerTriggered" in events
    assert "RollbackCompleted" in events


def test_a_first_bad_revision_stalls(installed: Installed) -> None:
    world = installed.world
    manifest = of_image("exit-2")
    manifest["metadata"]["name"] = "first"
    world.apply(manifest)
    status = world.until_rollout("FAILED", "first", seconds=180)
    assert conditions(status)["Stalled"]["reason"] == "NoCompletedRevision"


def test_its_rights_are_enough(installed: Installed) -> None:
    """No request was refused, of either pod."""
    rendered = installed.helm("get", "manifest", RELEASE, f"--namespace={NAMESPACE}")
    granted = read_granted(rendered)
    assert judge(installed.cluster.audit_log, granted, whole=False) == []


def test_uninstalling_leaves_the_users_pods_and_nothing_of_the_operator(
    installed: Installed,
) -> None:
    """But the CRDs, and with them the GuardedDeployments: a new installation takes up from there."""
    world, cluster = installed.world, installed.cluster
    world.apply(of_image("server"))
    world.until(
        lambda status: (
            conditions(status)["Ready"]["status"] == "True" and status["availableReplicas"] == 4
        )
    )
    before = {pod.metadata.uid for pod in world.pods()}
    installed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
    world.until_true(lambda: not installed.operator_pods())
    kinds = cluster.kubectl("api-resources", "--verbs=list,delete", "--output=name").split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "apiservices", "namespaces"))]
    listed = cluster.kubectl("get", ",".join(kinds), "--all-namespaces", "--output=name").split()
    ours = {name for name in listed if RELEASE in name}
    assert {name for name in ours if not name.startswith("guardeddeployment.")} == {
        "customresourcedefinition.apiextensions.k8s.io/deploymentcircuitbreakers.tripswitch.dev",
        "customresourcedefinition.apiextensions.k8s.io/guardeddeployments.tripswitch.dev",
    }
    assert {pod.metadata.uid for pod in world.pods()} == before
    assert all(pod.status.container_statuses[0].ready for pod in world.pods())

    installed.helm.install()
    world.apply(of_image("server", replicas=5))
    world.until(lambda status: status["availableReplicas"] == 5)
    assert {pod.metadata.uid for pod in world.pods()} > before
