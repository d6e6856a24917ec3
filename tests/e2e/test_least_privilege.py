"""Rights that the shared cluster cannot show: single namespaces, and enforced owner references.

What the operator asks for over the whole suite is compared with its rights when the suite has ended
(tests/conftest.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.namespace import Namespace, conditions, guarded
from tests.support.environment import Environment
from tests.support.rights import judge
from tools.cluster.control_plane import ControlPlane
from tools.helm import NAMESPACE, RELEASE, Helm
from tools.operator_process import OperatorProcess, install, write_kubeconfig
from tripswitch.api.crd import UNSEEN


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster on which owner references are enforced."""
    plugin = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"
    extra = {"kube-apiserver": [plugin]}
    with ControlPlane(tmp_path / "cluster", extra_arguments=extra) as control_plane:
        control_plane.add_nodes(1)
        yield control_plane


def world_of(cluster: ControlPlane, namespace: str) -> Namespace:
    """A new namespace."""
    cluster.kubectl("create", "namespace", namespace)
    environment = Environment(
        "kwok", str(cluster.kubeconfig), str(cluster.kubectl_path), str(cluster.directory)
    )
    return Namespace(environment, namespace)


def test_in_listed_namespaces_roles_are_enough_and_reach_no_further(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    """With watchNamespaces there is no ClusterRole of the operator's at all."""
    shop, other = world_of(cluster, "shop"), world_of(cluster, "other")
    cluster.kubectl("create", "namespace", NAMESPACE)
    helm = Helm("helm", tmp_path, str(cluster.kubeconfig))
    # No pods of its own: the operator under test is the process below, with the same account.
    helm.install("--set=watchNamespaces={shop}", "--set=replicas=0")
    rights = write_kubeconfig(cluster.kubectl, tmp_path / "operator.kubeconfig")
    arguments = ["--namespace=shop", "--leader-elect", f"--lease-name={RELEASE}"]
    arguments.append(f"--lease-namespace={NAMESPACE}")
    with OperatorProcess(rights, tmp_path / "operator.log", arguments=arguments):
        for world in (other, shop):
            world.apply(guarded(image="web:1"))
        shop.until_rollout("SUCCESSFUL")
        shop.apply(guarded(image="web:2", behaviour="crash"))
        shop.until_rollout("ROLLBACK_SUCCESSFUL")
    assert other.status() == UNSEEN
    assert judge(cluster.audit_log, set(), whole=False) == []
    words = ("get", "clusterrolebinding", f"--selector=app.kubernetes.io/name={RELEASE}", "-ojson")
    assert json.loads(cluster.kubectl(*words))["items"] == []


def test_a_strangers_replica_set_with_the_name_is_looked_at_and_left_alone(
    world: Namespace,
) -> None:
    """What `get` on ReplicaSets is for: whose is the one that has our name already?"""
    world.completed(guarded(replicas=1))
    (name,) = world.replica_sets()
    world.kubectl("delete", "gdeploy/web", "--cascade=foreground")
    labels = {"app": "stranger"}
    template = {"metadata": {"labels": labels}, "spec": guarded()["spec"]["template"]["spec"]}
    stranger = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
    world.kubectl("create", "--filename=-", stdin=json.dumps(stranger))
    status = world.completed(guarded(replicas=1))
    assert status["collisionCount"] == 1
    assert name not in world.replica_sets()
    assert world.replica_sets("stranger")[name].spec.replicas == 1


def test_enforced_owner_references_need_the_right_on_finalizers(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    """The one right that no request of the operator's own asks for."""
    world = world_of(cluster, "shop")
    install(cluster.kubectl)
    rights = write_kubeconfig(cluster.kubectl, tmp_path / "operator.kubeconfig")
    with OperatorProcess(rights, tmp_path / "operator.log"):
        world.completed(guarded())
        role = json.loads(cluster.kubectl("get", f"clusterrole/{RELEASE}", "-ojson"))
        role["rules"] = [
            rule
            for rule in role["rules"]
            if "guardeddeployments/finalizers" not in rule["resources"]
        ]
        cluster.kubectl("replace", "-f", "-", input=json.dumps(role))
        world.apply(guarded("second"))
        status = world.until(lambda status: "Stalled" in conditions(status), "second")
    assert "blockOwnerDeletion" in conditions(status)["Stalled"]["message"]
