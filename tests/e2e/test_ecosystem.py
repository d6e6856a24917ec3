"""Other people's tools understand a GuardedDeployment: Helm, kubectl, the eviction API, Argo CD."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.namespace import Namespace, PodWatcher, conditions, guarded, revision
from tools.cluster.build import ensure
from tools.helm import Helm, HelmError

ECOSYSTEM = Path(__file__).parents[2] / "manifests" / "ecosystem"
RECORDED = Path(__file__).parent / "recorded"
IMAGE = "jsonpath={.spec.template.spec.containers[0].image}"


CRASHING = (
    "--set=image=web:2",
    r"--set-string=annotations.stage\.tripswitch\.dev/behaviour=crash",
)


def users_chart(folder: Path) -> Path:
    """A chart as users have them, with a GuardedDeployment whose image is a value."""
    manifest = guarded(image="{{ .Values.image }}")
    manifest["spec"]["template"]["metadata"]["annotations"] = "ANNOTATIONS"
    text = yaml.safe_dump(manifest).replace("ANNOTATIONS", "{{ toJson .Values.annotations }}")
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "web.yaml").write_text(text)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (folder / "values.yaml").write_text("image: web:1\nannotations: {}\n")
    return folder


class Shop:
    """A release of that chart."""

    def __init__(self, world: Namespace, folder: Path) -> None:
        self.chart = users_chart(folder / "chart")
        self.helm = Helm("helm", folder, world.environment.kubeconfig)
        self.namespace = world.namespace

    def run(self, verb: str, *words: str) -> None:
        """Install or upgrade, and wait with a patience that no trip needs."""
        where = (f"--namespace={self.namespace}", "--wait", "--timeout=10m")
        self.helm(verb, "shop", str(self.chart), *where, *words, seconds=500)

    def history(self) -> list[tuple[int, str]]:
        """Numbers and states of the release's revisions."""
        found = self.helm.history("shop", self.namespace)
        return [(entry["revision"], entry["status"]) for entry in found]


@pytest.fixture
def shop(world: Namespace, tmp_path: Path) -> Shop:
    """The shop, with its first version installed; Helm has waited until it was Ready."""
    found = Shop(world, tmp_path)
    found.run("install")
    assert conditions(world.status())["Ready"]["status"] == "True"
    return found


def test_helm_fails_at_the_trip_and_not_at_its_time_out(world: Namespace, shop: Shop) -> None:
    """Kstatus: Stalled is Failed, and says why."""
    with pytest.raises(HelmError) as failure:
        shop.run("upgrade", *CRASHING)
    assert "status: Failed" in str(failure.value)
    assert "container web exited 2" in str(failure.value)
    assert "context deadline exceeded" not in str(failure.value)
    assert shop.history() == [(1, "deployed"), (2, "failed")]
    world.until_rollout("ROLLBACK_SUCCESSFUL")


def test_helm_rolls_back_on_failure_and_both_end_on_the_old_template(
    world: Namespace, shop: Shop
) -> None:
    """Our rollback keeps the pods, and Helm's puts the template back that they already run."""
    before = {pod.metadata.uid for pod in world.pods()}
    with PodWatcher(world) as watcher, pytest.raises(HelmError, match="has been rolled back"):
        shop.run("upgrade", "--rollback-on-failure", *CRASHING)
    assert watcher.fewest_ready == 4
    assert shop.history() == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    assert world.kubectl("get", "gdeploy/web", "--output", IMAGE) == "web:1"
    status = world.until(lambda status: conditions(status)["Ready"]["status"] == "True")
    assert revision(status, status["desiredRevision"])["images"] == ["web:1"]
    assert {pod.metadata.uid for pod in world.pods()} == before


def test_helm_goes_on_with_a_good_version_after_a_bad_one(world: Namespace, shop: Shop) -> None:
    """The failure of the version before is not taken for the new one's."""
    with pytest.raises(HelmError, match="status: Failed"):
        shop.run("upgrade", *CRASHING)
    shop.run("upgrade", "--set=image=web:3")
    assert shop.history()[-1] == (3, "deployed")
    assert {pod.spec.containers[0].image for pod in world.pods()} == {"web:3"}


def test_what_charts_render_where_a_value_is_empty_is_accepted(world: Namespace) -> None:
    """Null or an empty map or list means nothing, as in a Deployment, and is no new revision."""
    manifest = guarded(replicas=1, pod={"nodeSelector": None, "tolerations": None, "volumes": []})
    manifest["spec"]["template"]["metadata"]["annotations"] = None
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"env": None, "resources": None, "command": None, "imagePullPolicy": None}
    world.completed(manifest)
    bare = guarded(replicas=1)
    world.apply(bare)
    bare["spec"]["template"]["metadata"]["annotations"] = {}
    world.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--filename=-"), stdin=json.dumps(bare)
    )
    generation = world.get()["metadata"]["generation"]
    status = world.until(lambda status: status["observedGeneration"] == generation)
    assert [entry["revision"] for entry in status["revisions"]] == [1]


def test_kubectl_wait_tells_a_trip_from_a_success(world: Namespace) -> None:
    world.completed(guarded())
    world.kubectl("wait", "--for=condition=Ready", "gdeploy/web", "--timeout=60s")
    world.apply(guarded(behaviour="crash"))
    world.kubectl("wait", "--for=condition=Stalled", "gdeploy/web", "--timeout=90s")
    with pytest.raises(subprocess.CalledProcessError, match="returned non-zero"):
        world.kubectl("wait", "--for=condition=Ready", "gdeploy/web", "--timeout=1s")


def test_kubectl_scale_and_autoscale_work_through_the_scale_subresource(world: Namespace) -> None:
    """Selector and sizes are where the autoscaler looks for them."""
    world.completed(guarded(replicas=2))
    world.kubectl("scale", "gdeploy/web", "--replicas=3", "--current-replicas=2")
    world.until(lambda status: status["availableReplicas"] == 3)
    scale = json.loads(world.kubectl("get", "gdeploy/web", "--subresource=scale", "-ojson"))
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 3)
    assert scale["status"]["selector"] == "app=web"
    world.kubectl("autoscale", "gdeploy/web", "--min=4", "--max=6", "--cpu=50%")
    world.until(lambda status: status["availableReplicas"] == 4)
    found = json.loads(world.kubectl("get", "hpa/web", "-ojson"))
    assert found["spec"]["scaleTargetRef"]["kind"] == "GuardedDeployment"


def test_a_pod_disruption_budget_counts_and_protects_the_pods(world: Namespace) -> None:
    """A share of the pods needs the scale subresource; an evicted pod is replaced, and blames nobody."""
    world.completed(guarded(replicas=4))
    world.kubectl(
        "create", "poddisruptionbudget", "web", "--selector=app=web", "--max-unavailable=25%"
    )

    world.until_true(lambda: budget(world).get("disruptionsAllowed") == 1)
    assert budget(world)["expectedPods"] == 4
    victim = world.pods()[0].metadata.name
    evict(world, victim)
    world.until_true(lambda: victim not in {pod.metadata.name for pod in world.pods()})
    status = world.until(lambda status: status["availableReplicas"] == 4)
    assert status["circuitBreaker"]["failureCount"] == 0
    world.until_true(lambda: budget(world)["currentHealthy"] == 4)


def budget(world: Namespace) -> dict[str, Any]:
    """Return the status of the disruption budget."""
    found = world.custom.get_namespaced_custom_object(
        "policy", "v1", world.namespace, "poddisruptionbudgets", "web"
    )
    return dict(found.get("status", {}))


def evict(world: Namespace, pod: str) -> None:
    """Ask for a pod to go, as ``kubectl drain`` does; CalledProcessError if a budget refuses."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{world.namespace}/pods/{pod}/eviction"
    world.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


@pytest.mark.parametrize(
    ("asked", "wanted", "allowed"),
    [("--min-available=3", 3, 1), ("--max-unavailable=1", 7, 0), ("--min-available=75%", 6, 0)],
    ids=["minAvailable as a number", "maxUnavailable", "a share"],
)
def test_only_a_budget_that_names_a_number_is_right_during_a_rollout(
    world: Namespace, asked: str, wanted: int, allowed: int
) -> None:
    """The disruption controller adds up the ReplicaSets of both revisions, eight pods, for the others."""
    patient = {"httpGet": {"path": "/", "port": 80}, "failureThreshold": 60}
    manifest = guarded(replicas=4)
    manifest["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = patient
    world.completed(manifest)
    world.kubectl("create", "poddisruptionbudget", "web", "--selector=app=web", asked)
    annotations = {"stage.tripswitch.dev/behaviour": "never-ready"}
    manifest["spec"]["template"]["metadata"]["annotations"] = annotations
    old = world.pods()[0].metadata.name
    world.apply(manifest)

    def is_counted() -> bool:
        found = budget(world)
        return (found.get("desiredHealthy"), found.get("currentHealthy")) == (wanted, 4)

    world.until_true(lambda: len(world.pods()) == 8)
    world.until_true(is_counted)
    assert budget(world)["disruptionsAllowed"] == allowed
    if allowed:
        evict(world, old)
        world.until_true(lambda: old not in {pod.metadata.name for pod in world.pods()})
    else:
        with pytest.raises(subprocess.CalledProcessError):
            evict(world, old)


# Argo CD ----------------------------------------------------------------------------------------


def as_lua(value: Any) -> str:
    """Return a value as Argo CD hands it to a script: lists from 1, null as nothing."""
    match value:
        case dict():
            items = (f"[{as_lua(key)}]={as_lua(item)}" for key, item in value.items())
            return "{" + ",".join(items) + "}"
        case list():
            return "{" + ",".join(map(as_lua, value)) + "}"
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'
    return str(value)


def argo_cd_health(
    resource: Any, folder: Path, check: str = "argo-cd-health.lua"
) -> tuple[str, str]:
    """Run the check in the interpreter that Argo CD has built in; return status and message.

    As there, ``obj`` is a global, and none of the libraries but the basic ones are loaded.
    """
    script = folder / "check.lua"
    script.write_text(
        f"obj = {as_lua(resource)}\n"
        "string, math, io, os, debug, package, require = nil\n"
        f'local hs = dofile("{ECOSYSTEM / check}")\n'
        'print(hs.status)\nprint(hs.message or "")\n'
    )
    lua = str(ensure(["glua"])["glua"])
    done = subprocess.run([lua, str(script)], check=True, capture_output=True, text=True)
    status, _, message = done.stdout.partition("\n")
    return status, message.strip()


@pytest.mark.parametrize(
    ("name", "health", "words"),
    [
        ("just-created", "Progressing", "waiting"),
        ("in-progress", "Progressing", "rolling out revision 1"),
        ("completed", "Healthy", "revision 1 completed"),
        ("changed-and-not-seen-yet", "Progressing", "waiting"),
        ("rolling-back", "Degraded", "container web exited 2"),
        ("rolled-back", "Degraded", "container web exited 2"),
        ("stalled", "Degraded", "ErrImagePull"),
        ("paused", "Suspended", "paused"),
        ("pods-lost", "Progressing", "of 4 pods are healthy"),
        ("breaker-deployment-completed", "Healthy", "revision 1 completed"),
        ("breaker-deployment-rolled-back", "Degraded", "container web exited 2"),
        ("breaker-statefulset-completed", "Healthy", "revision 1 completed"),
        ("breaker-statefulset-rolled-back", "Degraded", "container web exited 2"),
    ],
)
def test_argo_cd_shows_the_health(name: str, health: str, words: str, tmp_path: Path) -> None:
    """On objects recorded from a real API server with the operator at work."""
    resource = json.loads((RECORDED / f"{name}.json").read_text())
    status, message = argo_cd_health(resource, tmp_path)
    assert status == health
    assert words in message


@pytest.mark.parametrize(
    ("name", "health", "words"),
    [
        ("deployment-completed", "Healthy", ""),
        ("deployment-in-progress", "Progressing", ""),
        ("deployment-held", "Degraded", "container web exited 2"),
        ("deployment-corrected", "Healthy", ""),
        ("deployment-paused-by-a-person", "Suspended", "paused"),
        ("statefulset-completed", "Healthy", ""),
        ("statefulset-in-progress", "Progressing", ""),
        ("statefulset-held", "Degraded", "container web exited 2"),
        ("statefulset-corrected", "Healthy", ""),
    ],
)
def test_argo_cd_shows_the_health_of_a_guarded_workload(
    name: str, health: str, words: str, tmp_path: Path
) -> None:
    """A workload that Tripswitch holds is Degraded; all others are judged as Argo CD judges them."""
    resource = json.loads((RECORDED / f"{name}.json").read_text())
    status, message = argo_cd_health(resource, tmp_path, "argo-cd-health-workload.lua")
    assert (status, words in message) == (health, True)


def test_argo_cd_shows_a_held_stateful_set_without_its_condition(tmp_path: Path) -> None:
    """Its controller drops the condition whenever it writes status; the annotation stays."""
    resource = json.loads((RECORDED / "statefulset-held.json").read_text())
    del resource["status"]["conditions"]
    status, message = argo_cd_health(resource, tmp_path, "argo-cd-health-workload.lua")
    assert status == "Degraded"
    assert "keeps it from rolling out" in message


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_argo_cd_shows_a_workload_as_it_is_after_a_hold_of_a_breaker_that_is_gone(
    kind: str, tmp_path: Path
) -> None:
    """G9: a person resumed it, and nobody took the condition and the annotations away."""
    resource = json.loads((RECORDED / f"{kind}-corrected.json").read_text())
    held = json.loads((RECORDED / f"{kind}-held.json").read_text())
    stalled = [one for one in held["status"]["conditions"] if one["type"] == "Stalled"]
    resource["metadata"]["annotations"] = held["metadata"]["annotations"]
    resource["status"]["conditions"] = [*resource["status"].get("conditions", []), *stalled]
    status, _ = argo_cd_health(resource, tmp_path, "argo-cd-health-workload.lua")
    assert (status, len(stalled)) == ("Healthy", 1)


DEPLOYED = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
EXCEEDED = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": "too slow"}  # fmt: skip
STATEFUL = {"observedGeneration": 1, "readyReplicas": 2, "updatedReplicas": 2}
PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "health"),
    [
        ("Deployment", {}, DEPLOYED, "Healthy"),
        ("Deployment", {}, {}, "Progressing"),
        ("Deployment", {}, DEPLOYED | {"observedGeneration": 0}, "Progressing"),
        ("Deployment", {}, DEPLOYED | {"updatedReplicas": 1}, "Progressing"),
        ("Deployment", {}, DEPLOYED | {"replicas": 3}, "Progressing"),
        ("Deployment", {}, DEPLOYED | {"availableReplicas": 1}, "Progressing"),
        ("Deployment", {}, DEPLOYED | {"conditions": [EXCEEDED]}, "Degraded"),
        ("Deployment", {"paused": True}, DEPLOYED, "Suspended"),
        ("StatefulSet", {}, STATEFUL, "Healthy"),
        ("StatefulSet", {}, {}, "Progressing"),
        ("StatefulSet", {}, STATEFUL | {"readyReplicas": 1}, "Progressing"),
        (
            "StatefulSet",
            {},
            STATEFUL | {"updateRevision": "b", "currentRevision": "a"},
            "Progressing",
        ),
        ("StatefulSet", PARTITION, STATEFUL | {"updatedReplicas": 0}, "Progressing"),
        ("StatefulSet", PARTITION, STATEFUL | {"updatedReplicas": 1}, "Healthy"),
        ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, STATEFUL, "Healthy"),
    ],
)
def test_a_workload_that_nobody_holds_is_judged_as_argo_cd_does(
    kind: str, spec: dict[str, Any], status: dict[str, Any], health: str, tmp_path: Path
) -> None:
    """The check takes the place of the one that is built into Argo CD, for every workload."""
    resource = {
        "kind": kind,
        "metadata": {"generation": 1},
        "spec": {"replicas": 2, **spec},
        "status": status,
    }
    assert argo_cd_health(resource, tmp_path, "argo-cd-health-workload.lua")[0] == health


def test_argo_cd_follows_a_trip_live(world: Namespace, tmp_path: Path) -> None:
    """Healthy, then Degraded with the reason, although all pods are well after the rollback."""
    world.completed(guarded())
    assert argo_cd_health(world.get(), tmp_path)[0] == "Healthy"
    world.apply(guarded(behaviour="crash"))
    world.until_rollout("ROLLBACK_SUCCESSFUL")
    status, message = argo_cd_health(world.get(), tmp_path)
    assert status == "Degraded"
    assert "container web exited 2" in message
