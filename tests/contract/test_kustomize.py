"""With the component of ours kustomize does with a GuardedDeployment what it does with a Deployment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.shared_files import read_shared
from tools.cluster.build import ensure
from tools.cluster.programs import PROGRAMS
from tools.generate.kustomize import FOLDER, OPENAPI, read_crds

Object = dict[str, Any]
Kustomize = Callable[[str], list[Object]]

GUARDED = {"apiVersion": "tripswitch.dev/v1alpha1", "kind": "GuardedDeployment"}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment"}
KINDS = pytest.mark.parametrize("kind", [GUARDED, DEPLOYMENT], ids=lambda kind: kind["kind"])

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: 3000}]}
"""
WORKLOAD = """
apiVersion: API_VERSION
kind: KIND
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: main
        image: example.test/server:1
        envFrom: [{configMapRef: {name: shop-config}}]
        readinessProbe: {httpGet: {path: /, port: 3000}}
"""
OVERLAY = """
resources: [../base]
labels: [{pairs: {env: prod}, includeSelectors: true}]
images: [{name: example.test/server, newTag: "2"}]
replicas: [{name: shop, count: 4}]
patches:
- patch: |
    {apiVersion: API_VERSION, kind: KIND, metadata: {name: shop},
     spec: {template: {spec: {containers: [{name: main, resources: {requests: {cpu: 100m}}}]}}}}
"""

# Every list that is merged, and every field that names another object or selects pods.
EVERYTHING = """
apiVersion: API_VERSION
kind: KIND
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      serviceAccountName: account
      priorityClassName: urgent
      imagePullSecrets: [{name: secret}]
      hostAliases: [{ip: 10.0.0.1, hostnames: [one]}]
      topologySpreadConstraints:
      - {topologyKey: zone, whenUnsatisfiable: DoNotSchedule, maxSkew: 1, labelSelector: {matchLabels: {app: shop}}}
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: host, labelSelector: {matchLabels: {app: shop}}}
          preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 1, podAffinityTerm: {topologyKey: host, labelSelector: {matchLabels: {app: shop}}}}
        podAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: host, labelSelector: {matchLabels: {app: shop}}}
          preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 1, podAffinityTerm: {topologyKey: host, labelSelector: {matchLabels: {app: shop}}}}
      initContainers:
      - name: migrate
        image: example.test/migrate:1
        env: [{name: A, valueFrom: {secretKeyRef: {name: secret, key: a}}}]
        envFrom: [{secretRef: {name: secret}}, {configMapRef: {name: config}}]
      containers:
      - name: main
        image: example.test/server:1
        env:
        - {name: A, valueFrom: {configMapKeyRef: {name: config, key: a}}}
        - {name: B, valueFrom: {secretKeyRef: {name: secret, key: b}}}
        envFrom: [{secretRef: {name: secret}}, {configMapRef: {name: config}}]
        ports: [{containerPort: 80, protocol: TCP, name: http}]
        volumeMounts: [{name: config, mountPath: /config}]
        volumeDevices: [{name: block, devicePath: /dev/block}]
      - {name: sidecar, image: "example.test/sidecar:1"}
      volumes:
      - {name: config, configMap: {name: config}}
      - {name: secret, secret: {secretName: secret}}
      - {name: claim, persistentVolumeClaim: {claimName: claim}}
      - {name: csi, csi: {driver: csi.test, nodePublishSecretRef: {name: secret}}}
      - name: projected
        projected: {sources: [{configMap: {name: config}}, {secret: {name: secret}}]}
"""
NAMED = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: account}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: urgent}
value: 1
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec: {maxReplicas: 9, scaleTargetRef: {kind: KIND, name: shop}}
"""
HARD_OVERLAY = """
resources: [../base]
namePrefix: prod-
namespace: shop
labels:
- {pairs: {env: prod}, includeSelectors: true}
- {pairs: {team: red}, includeTemplates: true}
commonAnnotations: {contact: red}
images:
- {name: example.test/server, newTag: "2"}
- {name: example.test/migrate, newName: other.test/migrate}
replicas: [{name: shop, count: 7}]
patches:
- patch: |
    apiVersion: API_VERSION
    kind: KIND
    metadata: {name: shop}
    spec:
      template:
        spec:
          $setElementOrder/containers: [{name: main}, {name: added}]
          hostAliases: [{ip: 10.0.0.2, hostnames: [two]}]
          imagePullSecrets: [{name: second}]
          topologySpreadConstraints:
          - {topologyKey: zone, whenUnsatisfiable: DoNotSchedule, maxSkew: 2}
          - {topologyKey: host, whenUnsatisfiable: DoNotSchedule, maxSkew: 3}
          tolerations: [{key: spot}]
          initContainers: [{name: migrate, command: [migrate]}]
          containers:
          - name: main
            env: [{name: A, value: a, valueFrom: null}, {name: C, value: c}]
            ports: [{containerPort: 80, protocol: UDP}, {containerPort: 81}]
            volumeMounts: [{mountPath: /config, readOnly: true}, {mountPath: /claim, name: claim}]
            volumeDevices: [{devicePath: /dev/block, name: other}]
          - {name: sidecar, $patch: delete}
          - {name: added, image: "example.test/added:1"}
          volumes: [{name: secret, secret: {defaultMode: 256}}, {name: claim, $patch: delete}]
"""


@pytest.fixture
def kustomize(tmp_path: Path) -> Kustomize:
    """Runs ``kubectl kustomize`` over a folder below the test's own."""
    kubectl = str(ensure(["kubectl"])["kubectl"])

    def run(folder: str) -> list[Object]:
        words = [kubectl, "kustomize", "--load-restrictor=LoadRestrictionsNone", folder]
        done = subprocess.run(words, cwd=tmp_path, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise ValueError(done.stderr)
        return list(yaml.safe_load_all(done.stdout))

    return run


@dataclass(frozen=True)
class Overlay:
    """A base with one workload, and an overlay of it."""

    workload: str
    others: str
    overlay: str

    def write(self, folder: Path, kind: Object, *, component: bool = True) -> None:
        """Write both with a workload of this kind; the base uses the component of ours, or does not."""
        base = {
            "resources": ["shop.yaml", "others.yaml"],
            "configMapGenerator": [
                {"name": name, "literals": ["a=1"]} for name in ("config", "shop-config")
            ],
            "secretGenerator": [{"name": "secret", "literals": ["a=1"]}],
            "components": [os.path.relpath(FOLDER, folder / "base")] if component else [],
        }
        files = {
            "base/kustomization.yaml": yaml.safe_dump(base),
            "base/shop.yaml": self.workload,
            "base/others.yaml": self.others,
            "over/kustomization.yaml": self.overlay,
        }
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                text.replace("API_VERSION", kind["apiVersion"]).replace("KIND", kind["kind"])
            )


def set_openapi_first(folder: Path) -> None:
    """Name our openapi file in the overlay: then kustomize never reads the one that is built in."""
    overlay = folder / "over" / "kustomization.yaml"
    path = os.path.relpath(OPENAPI, folder / "over")
    overlay.write_text(f"openapi: {{path: {path}}}\n{overlay.read_text()}")


SIMPLE = Overlay(WORKLOAD, SERVICE, OVERLAY)
HARD = Overlay(EVERYTHING, NAMED, HARD_OVERLAY)


def only(objects: list[Object], kind: str) -> Object:
    """Return the one object of a kind."""
    (found,) = [found for found in objects if found["kind"] == kind]
    return found


def named_volume(volumes: list[Object], name: str) -> Object:
    """Return the volume of this name."""
    (found,) = [volume for volume in volumes if volume["name"] == name]
    return found


@pytest.mark.cluster
@KINDS
def test_an_overlay_reaches_the_pods(kind: Object, kustomize: Kustomize, tmp_path: Path) -> None:
    """Labels, generated names, images, sizes, and a patch of one container of the list."""
    SIMPLE.write(tmp_path, kind, component=kind is GUARDED)
    objects = kustomize("over")
    spec = only(objects, kind["kind"])["spec"]
    assert spec["replicas"] == 4
    assert spec["selector"]["matchLabels"] == {"app": "shop", "env": "prod"}
    assert spec["template"]["metadata"]["labels"] == only(objects, "Service")["spec"]["selector"]
    (container,) = spec["template"]["spec"]["containers"]
    (generated,) = [
        found["metadata"]["name"]
        for found in objects
        if found["kind"] == "ConfigMap" and found["metadata"]["name"].startswith("shop-config-")
    ]
    assert container == {
        "name": "main",
        "image": "example.test/server:2",
        "envFrom": [{"configMapRef": {"name": generated}}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 3000}},
        "resources": {"requests": {"cpu": "100m"}},
    }


@pytest.mark.cluster
@pytest.mark.parametrize("alone", [False, True], ids=["component", "openapi file alone"])
def test_whatever_a_deployment_gets_a_guarded_deployment_gets(
    kustomize: Kustomize, tmp_path: Path, *, alone: bool
) -> None:
    """The Deployment has no component, so kustomize's own rules are the referee."""
    HARD.write(tmp_path / "guarded", GUARDED)
    if alone:
        set_openapi_first(tmp_path / "guarded")
    HARD.write(tmp_path / "plain", DEPLOYMENT, component=False)
    objects = kustomize("guarded/over")
    guarded = only(objects, "GuardedDeployment")
    deployment = only(kustomize("plain/over"), "Deployment")
    beyond = [found["spec"]["template"]["spec"].pop("volumes") for found in (guarded, deployment)]
    csi = [named_volume(volumes, "csi")["csi"].pop("nodePublishSecretRef") for volumes in beyond]
    assert csi[0]["name"].startswith("prod-secret-"), "kustomize overlooks it in a Deployment"
    assert beyond[0] == beyond[1]
    assert guarded["spec"] == deployment["spec"]
    assert guarded["metadata"] == deployment["metadata"]
    scaler = only(objects, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "prod-shop"


PLAIN_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: server, image: "example.test/server:1"}]}
---
apiVersion: tripswitch.dev/v1alpha1
kind: DeploymentCircuitBreaker
metadata: {name: shop}
spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}}
"""


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("components", "name"), [("components: [../component]\n", "prod-shop"), ("", "shop")]
)
def test_a_breaker_follows_the_name_of_its_deployment(
    kustomize: Kustomize, tmp_path: Path, components: str, name: str
) -> None:
    """A prefix renames both; without the component the breaker would guard nothing."""
    base, over = tmp_path / "base", tmp_path / "over"
    for folder in (base, over):
        folder.mkdir()
    (base / "workload.yaml").write_text(PLAIN_DEPLOYMENT)
    (base / "kustomization.yaml").write_text("resources: [workload.yaml]\n")
    shutil.copytree(FOLDER, tmp_path / "component")
    overlay = f"resources: [../base]\nnamePrefix: prod-\n{components}"
    (over / "kustomization.yaml").write_text(overlay)
    breaker = only(kustomize("over"), "DeploymentCircuitBreaker")
    assert breaker["metadata"]["name"] == "prod-shop"
    assert breaker["spec"]["targetRef"]["name"] == name


@pytest.mark.cluster
def test_a_deployment_beside_it_is_merged_as_ever(kustomize: Kustomize, tmp_path: Path) -> None:
    """The component's openapi file replaces kustomize's own, so it has Kubernetes' kinds, too."""
    HARD.write(tmp_path / "with", DEPLOYMENT)
    set_openapi_first(tmp_path / "with")
    HARD.write(tmp_path / "without", DEPLOYMENT, component=False)
    assert kustomize("with/over") == kustomize("without/over")


@pytest.mark.cluster
def test_without_the_component_it_is_not_so(kustomize: Kustomize, tmp_path: Path) -> None:
    """What the component is for: a patch of one container replaces the list."""
    Overlay(WORKLOAD, SERVICE, OVERLAY.replace("replicas:", "# replicas:")).write(
        tmp_path, GUARDED, component=False
    )
    template = only(kustomize("over"), "GuardedDeployment")["spec"]["template"]
    assert "env" not in template["metadata"]["labels"]
    assert "image" not in template["spec"]["containers"][0]


@pytest.mark.cluster
def test_the_field_case_becomes_what_it_is_expected_to_be(
    kustomize: Kustomize, tmp_path: Path
) -> None:
    """Case 10: its files, with the component instead of the configuration that it tried."""
    parts = read_shared("cases/kustomize-overlay.yaml").split("# --- ")[1:5]
    base, over, service, workload = (part.partition("\n")[2] for part in parts)
    relative = os.path.relpath(FOLDER, tmp_path / "base")
    files = {
        "base/kustomization.yaml": f"{base.replace('---', '')}components: [{relative}]\n",
        "base/app.yaml": f"{service}{workload}",
        "over/kustomization.yaml": f"{over.replace('---', '')}replicas: [{{name: shop, count: 4}}]\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    objects = kustomize("over")
    spec = only(objects, "GuardedDeployment")["spec"]
    assert spec["replicas"] == 4
    assert spec["template"]["metadata"]["labels"] == only(objects, "Service")["spec"]["selector"]
    (container,) = spec["template"]["spec"]["containers"]
    (reference,) = container.pop("envFrom")
    assert reference["configMapRef"]["name"] == only(objects, "ConfigMap")["metadata"]["name"]
    assert container == {
        "name": "main",
        "image": "tripswitch.test/server:1",
        "readinessProbe": {"httpGet": {"path": "/", "port": 3000}},
        "resources": {"requests": {"cpu": "100m"}},
    }


def test_the_merge_keys_are_those_of_the_kubernetes_that_is_pinned() -> None:
    document = json.loads(OPENAPI.read_text())
    assert document["info"]["version"] == PROGRAMS["kubectl"].version
    kinds = {crd["spec"]["names"]["kind"] for crd in read_crds()}
    assert kinds == {
        name.rpartition(".")[2] for name in document["definitions"] if name.startswith("tripswitch")
    }
