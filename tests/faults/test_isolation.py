"""The threat model of docs/explanation/security.md, line by line, against a real API server.

Mallory may edit GuardedDeployments in one namespace, and nothing else anywhere.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.namespace import PATIENCE, VERDICT_SECONDS, Namespace, guarded, rollout
from tests.support.environment import Environment
from tools.cluster.audit import AuditLog
from tools.cluster.behaviours import BEHAVIOUR, STOP
from tools.cluster.stages import LOG
from tools.operator_process import USER

pytestmark = [pytest.mark.cluster]
Object = dict[str, Any]
MARKS = {"app": "web", "tripswitch.dev/template-hash": "forged"}


@dataclass
class Mallory:
    """Two namespaces of which she may edit GuardedDeployments in one."""

    hers: Namespace
    theirs: Namespace
    kubeconfig: str

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Do something as her."""
        program = self.hers.environment.kubectl_path
        where = (f"--kubeconfig={self.kubeconfig}", f"--namespace={self.hers.namespace}")
        command = [program, *where, *words]
        return subprocess.run(
            command, input=stdin, check=True, capture_output=True, text=True, timeout=60
        ).stdout


@pytest.fixture
def mallory(environment: Environment, tmp_path: Path) -> Iterator[Mallory]:
    """Make the two namespaces, her account and her rights."""
    names = [f"{role}-{secrets.token_hex(3)}" for role in ("hers", "theirs")]
    for name in names:
        environment.kubectl("create", "namespace", name)
    hers, theirs = (Namespace(environment, name) for name in names)
    hers.kubectl("create", "serviceaccount", "mallory")
    verbs = "--verb=get,list,watch,create,update,patch,delete"
    hers.kubectl("create", "role", "mallory", verbs, "--resource=guardeddeployments.tripswitch.dev")
    account = f"--serviceaccount={names[0]}:mallory"
    hers.kubectl("create", "rolebinding", "mallory", "--role=mallory", account)
    token = hers.kubectl("create", "token", "mallory").strip()
    yield Mallory(hers, theirs, _kubeconfig(environment, token, tmp_path / "mallory"))
    for name in names:
        environment.kubectl("delete", "namespace", name, "--wait=false")


def _kubeconfig(environment: Environment, token: str, path: Path) -> str:
    raw = environment.kubectl("config", "view", "--raw", "--minify", "--output=json")
    config = json.loads(raw)
    cluster = config["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        authority = Path(cluster.pop("certificate-authority")).read_bytes()
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    config["users"][0]["user"] = {"token": token}
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return str(path)


def _replica_set(owner: Object | None, *, replicas: int = 0) -> Object:
    """Return a ReplicaSet as the operator would have made it, with whatever owner."""
    references = [] if owner is None else [_reference(owner)]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": "web-forged",
            "labels": MARKS,
            "annotations": {
                "tripswitch.dev/revision": "99",
                "tripswitch.dev/template-digest": "forged",
                "tripswitch.dev/completed-at": "2099-01-01T00:00:00Z",
            },
            "ownerReferences": references,
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": MARKS},
            "template": {
                "metadata": {"labels": MARKS},
                "spec": {"containers": [{"name": "evil", "image": "evil:1"}]},
            },
        },
    }


def _reference(owner: Object) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }


def _settle(world: Namespace) -> Object:
    """Give the operator the time to do what it must not do, and return the status."""
    before = world.get()["metadata"]["resourceVersion"]
    time.sleep(3)
    found = world.get()
    assert found["metadata"]["resourceVersion"] == before, "the operator wrote something"
    return dict(found["status"])


def test_she_may_edit_guarded_deployments_and_nothing_else(mallory: Mallory) -> None:
    """The premise of all the others."""
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(guarded(replicas=1)))
    mallory.hers.until_rollout("SUCCESSFUL")
    for what in (
        ("create", "pods"),
        ("get", "pods"),
        ("get", "pods", "--subresource=log"),
        ("patch", "replicasets.apps"),
        ("update", "guardeddeployments", "--subresource=status"),
        ("get", "secrets"),
    ):
        with pytest.raises(subprocess.CalledProcessError):
            mallory.kubectl("auth", "can-i", *what)


def test_a_replica_set_elsewhere_that_names_an_object_as_its_owner_changes_nothing_for_it(
    mallory: Mallory,
) -> None:
    """No cross-namespace owner: neither a revision, nor a rollback target, nor healthy pods."""
    mallory.theirs.completed(guarded(replicas=2))
    quiet = _settle(mallory.theirs)
    forged = _replica_set(mallory.theirs.get(), replicas=0)
    mallory.hers.kubectl("create", "--filename", "-", stdin=json.dumps(forged))
    status = _settle(mallory.theirs)
    assert status == quiet
    assert [record["revision"] for record in status["revisions"]] == [1]


def test_a_pod_elsewhere_that_names_a_replica_set_as_its_owner_is_not_counted(
    mallory: Mallory,
) -> None:
    """Crashing pods that somebody else owns up to trip nothing."""
    mallory.theirs.completed(guarded(replicas=2))
    raw = mallory.theirs.kubectl("get", "replicasets", "--output=json")
    owner = json.loads(raw)["items"][0]
    owner |= {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
    quiet = _settle(mallory.theirs)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "forged",
            "labels": owner["spec"]["selector"]["matchLabels"],
            "annotations": {"stage.tripswitch.dev/behaviour": "crash"},
            "ownerReferences": [_reference(owner)],
        },
        "spec": {"containers": [{"name": "evil", "image": "evil:1"}]},
    }
    mallory.hers.kubectl("create", "--filename", "-", stdin=json.dumps(pod))
    assert _settle(mallory.theirs) == quiet


def test_no_log_of_another_namespaces_pods_is_read_for_her(mallory: Mallory) -> None:
    """Pods there have the names, the labels and the owner of her failing ones: they are no evidence."""
    log = AuditLog(Path(mallory.hers.environment.audit_log))
    # The grace gives the time to put the others beside hers, before anything is looked into.
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(guarded(image="web:1")))
    mallory.hers.until_rollout("SUCCESSFUL")  # so a late pod has 60 s and not 300 (F4)
    late = guarded(
        image="web:2",
        behaviour="never-ready",
        healthCheckGracePeriodSeconds=8,
        strategy={"type": "Recreate"},
    )
    late["spec"]["template"]["metadata"]["annotations"][STOP] = "10s"
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(late))

    def find_late() -> list[dict[str, Any]]:
        found = json.loads(mallory.hers.kubectl("get", "pods", "--output=json"))["items"]
        return [pod for pod in found if BEHAVIOUR in pod["metadata"].get("annotations", {})]

    mallory.hers.until_true(lambda: len(find_late()) == 4)
    listed = find_late()
    for number, pod in enumerate(listed):
        metadata = pod["metadata"]
        twin = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": metadata["name"],
                "labels": metadata["labels"],
                "annotations": {BEHAVIOUR: ("crash", "never-ready")[number % 2]},
                # Its owner is not in its namespace: the garbage collector takes it, sooner or later.
                "ownerReferences": metadata["ownerReferences"] if number < 2 else [],
            },
            "spec": {"containers": [{"name": "web", "image": "secret:1"}]},
        }
        mallory.theirs.kubectl("create", "--filename", "-", stdin=json.dumps(twin))
    status = mallory.hers.until(
        lambda status: LOG[-1] in status.get("rolloutStateReason", ""),
        seconds=PATIENCE + VERDICT_SECONDS,
    )
    hers = {pod["metadata"]["name"] for pod in listed}
    assert {failure["pod"] for failure in status["circuitBreaker"]["failures"]} <= hers
    asked = [
        (request.namespace, request.resource)
        for request in log.read()
        if request.user == USER and request.resource in ("pods/log", "events")
    ]
    assert (mallory.hers.namespace, "pods/log") in asked
    assert mallory.theirs.namespace not in {namespace for namespace, _ in asked}


def test_she_cannot_adopt_what_is_in_another_namespace(mallory: Mallory) -> None:
    """An orphan that matches her selector, with every mark right."""
    orphan = _replica_set(None)
    mallory.theirs.kubectl("create", "--filename", "-", stdin=json.dumps(orphan))
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(guarded(replicas=1)))
    status = mallory.hers.until_rollout("SUCCESSFUL")
    assert [record["revision"] for record in status["revisions"]] == [1]
    left = json.loads(mallory.theirs.kubectl("get", "replicaset/web-forged", "--output=json"))
    assert "ownerReferences" not in left["metadata"]


def test_she_cannot_adopt_a_replica_set_that_never_was_an_operators(mallory: Mallory) -> None:
    """In her own namespace, and her selector matches: without our mark it is nobody's business."""
    stranger = _replica_set(None)
    for labels in (
        stranger["metadata"]["labels"],
        stranger["spec"]["selector"]["matchLabels"],
        stranger["spec"]["template"]["metadata"]["labels"],
    ):
        labels.pop("tripswitch.dev/template-hash", None)
    stranger["metadata"]["name"] = "stranger"
    mallory.hers.kubectl("create", "--filename", "-", stdin=json.dumps(stranger))
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(guarded(replicas=1)))
    mallory.hers.until_rollout("SUCCESSFUL")
    left = json.loads(mallory.hers.kubectl("get", "replicaset/stranger", "--output=json"))
    assert "ownerReferences" not in left["metadata"]


def test_what_another_controller_owns_stays_its(mallory: Mallory) -> None:
    """A Deployment's ReplicaSet with our marks on it, forged or copied."""
    labels = json.dumps({"metadata": {"labels": {"tripswitch.dev/template-hash": "forged"}}})
    mallory.hers.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=1")
    raw = mallory.hers.until_true(
        lambda: mallory.hers.kubectl("get", "replicasets", "--selector=app=web", "--output=name")
    )
    mallory.hers.kubectl("patch", raw.strip(), "--patch", labels)
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(guarded(replicas=1)))
    mallory.hers.until_rollout("SUCCESSFUL")
    left = json.loads(mallory.hers.kubectl("get", raw.strip(), "--output=json"))
    assert [ref["kind"] for ref in left["metadata"]["ownerReferences"]] == ["Deployment"]
    assert left["spec"]["replicas"] == 1


def test_admission_judges_her_pods_like_everybodys(mallory: Mallory) -> None:
    """No pod that a ReplicaSet of hers could not have: Pod Security refuses it there, too."""
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    mallory.hers.kubectl("label", "namespace", mallory.hers.namespace, enforce)
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(guarded(replicas=1)))
    status = mallory.hers.until(lambda status: "PodSecurity" in json.dumps(status["conditions"]))
    assert rollout(status) == "IN_PROGRESS"
    assert mallory.hers.pods() == []


def test_a_namespace_in_her_template_is_no_way_out(mallory: Mallory) -> None:
    """Pods come where their ReplicaSet is, and it comes where her object is."""
    manifest = guarded(replicas=1)
    manifest["spec"]["template"]["metadata"]["namespace"] = mallory.theirs.namespace
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(manifest))
    mallory.hers.until_true(lambda: mallory.hers.get().get("status", {}).get("rollout"))
    time.sleep(2)
    assert mallory.theirs.pods() == []
    assert mallory.theirs.replica_sets() == {}


def test_a_hash_in_her_template_does_not_become_the_mark(mallory: Mallory) -> None:
    """The operator's own mark wins over one that she writes into template and selector."""
    manifest = guarded(replicas=1)
    manifest["spec"]["selector"]["matchLabels"] |= MARKS
    manifest["spec"]["template"]["metadata"]["labels"] |= MARKS
    mallory.kubectl("apply", "--filename", "-", stdin=json.dumps(manifest))
    mallory.hers.until_rollout("SUCCESSFUL")
    (made,) = mallory.hers.replica_sets().values()
    assert made.metadata.labels["tripswitch.dev/template-hash"] != "forged"
    assert made.metadata.name == f"web-{made.metadata.labels['tripswitch.dev/template-hash']}"
