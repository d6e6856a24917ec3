"""The chart, with the real Helm: what it refuses, installs, upgrades, rolls back and leaves behind.

On a cluster of its own: the CRD and the cluster roles are shared by everybody on one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.namespace import guarded
from tests.support.rights import Right, read_granted
from tools.cluster.control_plane import ClusterError, ControlPlane
from tools.crds import delete_crds
from tools.helm import CHART, NAMESPACE, RELEASE, Helm, HelmError

VERSIONS = ("helm", "helm3")
PLURAL = "guardeddeployments"
CRD = f"crd/{PLURAL}.tripswitch.dev"
ALL_CRDS = (CRD, "crd/deploymentcircuitbreakers.tripswitch.dev")
CRDS = Path("files", "crds")
SECRET_LIMIT = 1024 * 1024
EVERYTHING: dict[str, Any] = {
    "replicas": 3,
    "image": {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "mine"}],
    "watchNamespaces": ["shop", "web"],
    "log": {"level": "debug", "format": "text"},
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "special", "operator": "Exists"}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
            ]
        }
    },
    "priorityClassName": "system-cluster-critical",
    "podLabels": {"team": "platform"},
    "podAnnotations": {"note": "yes"},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraArgs": ["--kubeconfig=/nowhere"],
    "notifications": {
        "url": "https://hooks.example.com/ecs?a=b",
        "signingSecret": {"name": "tripswitch-notify", "key": "hmac"},
    },
    "serviceAccount": {"name": "breaker", "annotations": {"role": "x"}},
    "failedPodRetention": {"enabled": True},
    "logEvidence": False,
}
SERVICE_MONITORS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An empty cluster, with the namespace as install.yaml makes it."""
    with ControlPlane(tmp_path_factory.mktemp("helm") / "cluster") as control_plane:
        control_plane.add_nodes(2)
        control_plane.kubectl("create", "namespace", NAMESPACE)
        control_plane.kubectl(
            "label", f"namespace/{NAMESPACE}", "pod-security.kubernetes.io/enforce=restricted"
        )
        yield control_plane


@pytest.fixture
def clean(cluster: ControlPlane) -> Iterator[ControlPlane]:
    """The same, and empty again afterwards."""
    yield cluster
    delete_crds(cluster.kubectl, *(crd.removeprefix("crd/") for crd in ALL_CRDS))
    for kind in ("clusterrole", "clusterrolebinding"):
        cluster.kubectl("delete", kind, f"--selector=app.kubernetes.io/name={RELEASE}")
    kinds = "deployment,service,poddisruptionbudget,serviceaccount,secret"
    cluster.kubectl("delete", kinds, f"--namespace={NAMESPACE}", "--all")


@pytest.fixture(params=VERSIONS)
def helm(request: pytest.FixtureRequest, cluster: ControlPlane, tmp_path: Path) -> Helm:
    """Helm 4 and Helm 3."""
    return Helm(request.param, tmp_path, str(cluster.kubeconfig))


def changed_chart(tmp_path: Path) -> Path:
    """A copy of the chart as a later version: its CRD has one more column."""
    chart = tmp_path / "next"
    shutil.copytree(CHART, chart)
    crd = yaml.safe_load((chart / CRDS / f"{PLURAL}.yaml").read_text())
    column = {"name": "Next", "type": "string", "jsonPath": ".metadata.name"}
    crd["spec"]["versions"][0]["additionalPrinterColumns"].append(column)
    (chart / CRDS / f"{PLURAL}.yaml").write_text(yaml.safe_dump(crd))
    return chart


def columns(cluster: ControlPlane) -> list[str]:
    """Names of the columns that the CRD on the cluster has."""
    found = json.loads(cluster.kubectl("get", CRD, "--output=json"))
    return [c["name"] for c in found["spec"]["versions"][0]["additionalPrinterColumns"]]


def left_over(cluster: ControlPlane) -> set[str]:
    """Everything on the cluster that is the operator's, but events and what the CRD brings."""
    kinds = cluster.kubectl("api-resources", "--verbs=list,delete", "--output=name").split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "apiservices"))]
    listed = cluster.kubectl("get", ",".join(kinds), "--all-namespaces", "--output=name")
    return {name for name in listed.split() if RELEASE in name and not name.startswith("namespace")}


def test_it_lints(helm: Helm) -> None:
    helm("lint", str(CHART), "--strict")


@pytest.mark.parametrize("words", ["--set=replica=3", "--set=log.level=loud"])
def test_a_wrong_value_is_refused_before_anything_is_done(helm: Helm, words: str) -> None:
    with pytest.raises(HelmError, match="values don't meet the specifications"):
        helm("template", RELEASE, str(CHART), words)


def test_what_it_renders_with_every_value_set_is_accepted_by_the_api_server(
    cluster: ControlPlane, helm: Helm, tmp_path: Path
) -> None:
    """Field by field: an unknown one is an error, and so is a pod that PodSecurity would refuse."""
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(SERVICE_MONITORS))
    cluster.kubectl(
        "wait", "--for=condition=Established", "crd/servicemonitors.monitoring.coreos.com"
    )
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(EVERYTHING))
    where = (f"--namespace={NAMESPACE}", f"--values={values}")
    rendered = helm("template", RELEASE, str(CHART), *where)
    documents = [found for found in yaml.safe_load_all(rendered) if found]
    for namespace in EVERYTHING["watchNamespaces"]:
        if namespace not in cluster.kubectl("get", "namespaces", "--output=name"):
            cluster.kubectl("create", "namespace", namespace)
    dry = ("--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    cluster.kubectl("apply", *dry, input=yaml.safe_dump_all(documents))
    kinds = [found["kind"] for found in documents]
    assert "ClusterRoleBinding" not in kinds, "namespaces are listed: no right on all of them"
    assert kinds.count("Role") >= 2
    assert "ServiceMonitor" in kinds
    deployment = next(found for found in documents if found["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 3
    assert pod["serviceAccountName"] == "breaker"
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["imagePullSecrets"] == [{"name": "mine"}]
    assert pod["containers"][0]["image"] == f"tripswitch@sha256:{'0' * 64}"
    assert pod["containers"][0]["env"] == [
        {"name": "TRIPSWITCH_NOTIFY_URL", "value": "https://hooks.example.com/ecs?a=b"},
        {
            "name": "TRIPSWITCH_NOTIFY_SECRET",
            "valueFrom": {"secretKeyRef": {"name": "tripswitch-notify", "key": "hmac"}},
        },
        *EVERYTHING["extraEnv"],
    ]
    arguments = pod["containers"][0]["args"]
    assert {"--namespace=shop", "--namespace=web", "--log-level=debug"} <= set(arguments)
    assert arguments[-1] == "--kubeconfig=/nowhere"


def read_places(rendered: str) -> set[str]:
    """Return the namespaces in which it gives rights; the empty one stands for all."""
    documents = [found for found in yaml.safe_load_all(rendered) if found]
    bindings = (one for one in documents if one["kind"] in ("RoleBinding", "ClusterRoleBinding"))
    return {one["metadata"].get("namespace", "") for one in bindings}


def test_in_listed_namespaces_it_gets_no_right_on_nodes_and_none_in_kube_node_lease(
    helm: Helm,
) -> None:
    """What rule V3 needs is not there then, as docs/how-to/install.md says."""
    words = ("template", RELEASE, str(CHART), f"--namespace={NAMESPACE}")
    everywhere, listed = helm(*words), helm(*words, "--set=watchNamespaces={shop,web}")
    assert Right("", "nodes", "get") in read_granted(everywhere)
    assert read_places(everywhere) == {"", NAMESPACE, "kube-node-lease"}
    assert read_places(listed) == {"shop", "web", NAMESPACE}
    assert "nodes" not in {right.resource for right in read_granted(listed)}
    assert Right("", "events", "list") in read_granted(listed)


def test_install_upgrade_roll_back_uninstall(
    clean: ControlPlane, helm: Helm, tmp_path: Path
) -> None:
    """The whole life of a release; the CRD goes along with it, and is all that stays of it."""
    helm.install()
    deployment = json.loads(
        clean.kubectl("get", f"deployment/{RELEASE}", f"-n={NAMESPACE}", "--output=json")
    )
    assert deployment["status"]["readyReplicas"] == 2
    assert "Next" not in columns(clean)
    clean.kubectl("apply", "-f", "-", input=json.dumps(guarded(replicas=0)))

    helm.upgrade("--set=replicas=3", chart=changed_chart(tmp_path))
    assert "Next" in columns(clean)
    size = ("get", f"deployment/{RELEASE}", f"-n={NAMESPACE}", "--output=jsonpath={.spec.replicas}")
    assert clean.kubectl(*size) == "3"

    helm("rollback", RELEASE, "1", f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
    assert "Next" not in columns(clean)
    assert clean.kubectl(*size) == "2"
    assert [found["status"] for found in helm.history()][-1] == "deployed"

    helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
    assert left_over(clean) == {
        "customresourcedefinition.apiextensions.k8s.io/deploymentcircuitbreakers.tripswitch.dev",
        "customresourcedefinition.apiextensions.k8s.io/guardeddeployments.tripswitch.dev",
        "guardeddeployment.tripswitch.dev/web",
    }

    helm.install()  # and takes the CRD that it left
    assert helm.history()[-1]["status"] == "deployed"


def test_a_crd_that_somebody_else_applied_is_not_taken_without_being_told_to(
    clean: ControlPlane, helm: Helm
) -> None:
    """Helm says whose it is not; there are two ways on."""
    clean.kubectl("apply", "--server-side", "-f", str(CHART / CRDS))
    with pytest.raises(HelmError, match="invalid ownership metadata"):
        helm.install()
    forced = ("--force-conflicts",) if helm.program == "helm" else ()
    helm.install("--take-ownership", *forced)
    helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait")
    assert "Ready" in columns(clean), "kept"


def test_the_crd_can_be_left_to_somebody_else(clean: ControlPlane, helm: Helm) -> None:
    clean.kubectl("apply", "--server-side", "-f", str(CHART / CRDS))
    helm.install("--set=crds.install=false")
    found = json.loads(clean.kubectl("get", CRD, "--output=json"))
    assert "meta.helm.sh/release-name" not in found["metadata"]["annotations"]
    # Kubernetes 1.36.3 never finishes the deletion of a CRD that comes before the first list of its objects.
    _await(lambda: _are_served(clean))


def test_a_release_fits_into_the_secret_that_helm_keeps_it_in(
    clean: ControlPlane, helm: Helm
) -> None:
    """Both CRDs are in it twice, compressed. With a fifth of the limit there is room to grow."""
    helm.install()
    found = json.loads(clean.kubectl("get", "secrets", f"--namespace={NAMESPACE}", "--output=json"))
    sizes = [len(json.dumps(item["data"])) for item in found["items"]]
    assert sizes
    assert max(sizes) < SECRET_LIMIT / 5


@pytest.mark.parametrize("how", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_install_yaml_is_enough_for_kubectl(clean: ControlPlane, how: tuple[str, ...]) -> None:
    """The same objects, without Helm; PodSecurity's restricted level lets the pods in."""
    clean.kubectl("apply", *how, "-f", str(CHART.parent / "install.yaml"))
    clean.kubectl(
        *("rollout", "status", f"deployment/{RELEASE}", f"-n={NAMESPACE}", "--timeout=120s")
    )


def test_people_have_the_rights_of_their_role(clean: ControlPlane, tmp_path: Path) -> None:
    """Aggregated to view, edit and admin, as for Deployments."""
    Helm("helm", tmp_path, str(clean.kubeconfig)).install()
    for role in ("view", "edit", "admin"):
        binding = f"{role}-binding"
        clean.kubectl("create", "rolebinding", binding, f"--clusterrole={role}", f"--user={role}")

    def can(who: str, verb: str, what: str, subresource: str = "") -> bool:
        words = (verb, what, f"--as={who}", f"--subresource={subresource}")
        try:
            return clean.kubectl("auth", "can-i", *words).strip() == "yes"
        except ClusterError:  # "no" is an exit code of its own
            return False

    resource = "guardeddeployments.tripswitch.dev"
    # The aggregating controller needs a moment.
    _await(lambda: can("view", "list", resource))
    _await(lambda: can("edit", "create", resource) and can("admin", "create", resource))
    for who in ("view", "edit", "admin"):
        for verb in ("get", "list", "watch"):
            assert can(who, verb, resource)
        assert not can(who, "update", resource, "status"), "that is the operator's"
    for verb in ("create", "update", "patch", "delete"):
        assert can("edit", verb, resource)
        assert not can("view", verb, resource)
    assert can("edit", "patch", resource, "scale")
    assert not can("view", "patch", resource, "scale")
    assert not can("nobody", "get", resource)


def _are_served(cluster: ControlPlane) -> bool:
    """Whether the API server lists the objects of both CRDs."""
    try:
        cluster.kubectl("get", f"{PLURAL},deploymentcircuitbreakers", "--all-namespaces")
    except ClusterError:
        return False
    return True


def _await(true: Any, tries: int = 300) -> None:
    for _ in range(tries):
        if true():
            return
    raise AssertionError("it never came true")
