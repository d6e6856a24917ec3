"""Tools around a guarded workload during a trip: Helm, autoscalers, GitOps, kubectl (rules G)."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.guards import (
    LABEL,
    circuit_breaker,
    deployment,
    find,
    find_writes,
    guard_status,
    images,
    start,
    stateful_set,
    until,
    until_guard,
    until_seen,
)
from tests.e2e.namespace import Namespace, Object, conditions
from tools.helm import Helm, HelmError

SERVER_SIDE = ("apply", "--server-side", "--force-conflicts", "--filename", "-")
CLIENT_SIDE = ("apply", "--filename", "-")
HELM_SECONDS = 300
"""Helm's own time-out, which must not be what ends an upgrade."""


def until_completed(world: Namespace, revision: int, name: str = "web") -> Object:
    """Wait until this revision has completed."""
    return until(
        lambda: guard_status(world, name),
        lambda status: (
            status.get("lastCompletedRevision") == revision
            and status["rollout"]["status"] == "SUCCESSFUL"
        ),
    )


def follow_rollout(world: Namespace, target: str) -> tuple[int, str]:
    """Run ``kubectl rollout status``; return its exit code and what it said.

    Its time-out is far below the 600 s after which a Deployment fails on its own.
    """
    done = subprocess.run(
        [
            world.environment.kubectl_path,
            f"--kubeconfig={world.environment.kubeconfig}",
            f"--namespace={world.namespace}",
            *("rollout", "status", target, "--timeout=80s"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def applying(world: Namespace, manifest: Object, *ways: tuple[str, ...]) -> Iterator[list[float]]:
    """Apply a manifest again and again, every second, in each of some ways; yields when it was done.

    Raises what kubectl said when an apply failed.
    """
    text, ended, at = json.dumps(manifest), threading.Event(), list[float]()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not ended.wait(1):
                world.kubectl(*ways[len(at) % len(ways)], stdin=text)
                at.append(time.monotonic())
        except BaseException as error:  # noqa: BLE001 - raised below, in the test
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield at
    finally:
        ended.set()
        thread.join(60)
    if failures:
        raise failures[0]


def until_applied(world: Namespace, at: list[float], times: int) -> None:
    """Wait until the manifest was applied so many times more."""
    wanted = len(at) + times
    world.until_true(lambda: len(at) >= wanted)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_namespace_in_observe_sees_a_good_and_a_bad_rollout_and_writes_nothing(
    world: Namespace, kind: str
) -> None:
    """G7, G8: and the bad one is left as it would be without us."""
    make = deployment if kind == "Deployment" else stateful_set
    name = f"web-{kind.lower()}"
    world.kubectl("label", "namespace", world.namespace, f"{LABEL}=observe")
    world.apply(make())
    until_guard(world, "SUCCESSFUL", name)
    world.apply(make(image="web:2"))
    good = until_completed(world, 2, name)
    assert good["circuitBreaker"]["failureCount"] == 0
    world.apply(make("crash", image="web:3"))
    status = until_guard(world, "FAILED", name)
    assert status["lastCompletedRevision"] == 2
    assert "3 failures" in world.until_event("CircuitBreakerWouldTrigger", name)
    assert "web:3" in {pod.spec.containers[0].image for pod in world.pods()}
    assert not find_writes(world)


def test_rollout_status_fails_at_a_trip_and_not_after_a_corrected_image(world: Namespace) -> None:
    """Also for who asks when the trip is over already.

    The controller of a paused Deployment says that it has seen the corrected template while the failure of the
    one before still stands in the conditions: docs/how-to/guard-workloads.md says what to wait for.
    """
    start(world, deployment())
    world.apply(deployment("crash", image="web:2"))
    code, words = follow_rollout(world, "deployment/web")
    assert (code, "exceeded its progress deadline" in words) == (1, True), words
    until_guard(world, "ROLLBACK_SUCCESSFUL")
    code, words = follow_rollout(world, "deployment/web")
    assert (code, "exceeded its progress deadline" in words) == (1, True), words
    world.apply(deployment(image="web:3"))
    until_seen(world, find(world, "deployment"))
    code, words = follow_rollout(world, "deployment/web")
    assert (code, "successfully rolled out" in words) == (0, True), words
    assert images(world) == ["web:3"] * 4


def test_rollout_status_of_a_held_stateful_set_does_not_fail(world: Namespace) -> None:
    """kubectl looks at the partition, not at a condition: docs/how-to/guard-workloads.md says so."""
    start(world, stateful_set())
    world.apply(stateful_set("crash", image="web:2"))
    until_guard(world, "ROLLBACK_SUCCESSFUL")
    code, words = follow_rollout(world, "statefulset/web")
    assert (code, "partitioned roll out complete: 0 new pods" in words) == (0, True), words
    world.kubectl("wait", "--for=condition=Stalled", "dcb/web", "--timeout=30s")


def write_chart(folder: Path, *objects: Object) -> str:
    """Write a chart that holds these objects; returns its path."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text('{"apiVersion": "v2", "name": "web", "version": "1.0.0"}')
    text = "\n---\n".join(json.dumps(one) for one in objects)
    (folder / "templates" / "web.yaml").write_text(text)
    return str(folder)


def labelled(manifest: Object) -> Object:
    """Return the workload with the label that opts in (G8)."""
    manifest["metadata"]["labels"][LABEL] = "enforce"
    return manifest


def test_a_helm_upgrade_fails_at_the_trip_and_not_at_its_time_out(
    world: Namespace, tmp_path: Path
) -> None:
    """Helm 4 ``--wait`` reads the condition Stalled. The next good version goes through.

    For that one Helm does not wait: it skips a Deployment that is paused when it is applied.
    """
    helm = Helm("helm", tmp_path, world.environment.kubeconfig)
    words = ("web", f"--namespace={world.namespace}", "--wait", f"--timeout={HELM_SECONDS}s")
    chart = tmp_path / "chart"
    helm("install", *words, write_chart(chart, labelled(deployment())))
    until_guard(world, "SUCCESSFUL", "web-deployment")
    began = time.monotonic()
    with pytest.raises(HelmError, match=r"Deployment/.*/web not ready\. status: Failed"):
        helm("upgrade", *words, write_chart(chart, labelled(deployment("crash", image="web:2"))))
    assert time.monotonic() - began < HELM_SECONDS
    until_guard(world, "ROLLBACK_SUCCESSFUL", "web-deployment")
    assert images(world) == ["web:1"] * 4
    helm("upgrade", *words, write_chart(chart, labelled(deployment(image="web:3"))))
    assert [one["status"] for one in helm.history("web", world.namespace)] == [
        "superseded",
        "failed",
        "deployed",
    ]
    until_completed(world, 3, "web-deployment")
    assert images(world) == ["web:3"] * 4
    assert "paused" not in find(world, "deployment")["spec"]


def autoscaler(least: int, most: int) -> Object:
    """Return an autoscaler whose bounds alone decide: nothing here serves metrics."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    usage = {"type": "Utilization", "averageUtilization": 50}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": usage}}],
        },
    }


def test_an_autoscaler_goes_on_scaling_the_good_revision_during_a_trip(world: Namespace) -> None:
    """Up and down, and neither ends the trip; the corrected image gets the autoscaler's size."""
    good = deployment()
    del good["spec"]["replicas"]
    world.apply(good)
    world.apply(autoscaler(4, 8))
    until(lambda: {"images": images(world)}, lambda seen: len(seen["images"]) == 4)
    world.apply(circuit_breaker())
    until_guard(world, "SUCCESSFUL")
    bad = deployment("crash", image="web:2")
    del bad["spec"]["replicas"]
    world.apply(bad)
    until_guard(world, "ROLLBACK_SUCCESSFUL")
    before = find_writes(world)
    for least, most in ((7, 8), (2, 3)):
        world.apply(autoscaler(least, most))
        wanted = {"images": ["web:1"] * (least if least > 4 else most)}
        until(lambda: {"images": images(world)}, wanted.__eq__)
    held = find(world, "deployment")
    assert held["spec"]["paused"] is True
    assert conditions(held["status"])["Stalled"]["status"] == "True"
    # While it is scaled, the operator may see the good ReplicaSet below its size and raise it, too.
    written = {words for words, _ in (find_writes(world) - before).items()}
    assert written <= {"patch replicasets"}
    status = guard_status(world)
    assert status["rollout"]["status"] == "ROLLBACK_SUCCESSFUL"
    assert not status.get("resumes")
    good["spec"]["template"]["spec"]["containers"][0]["image"] = "web:3"
    world.apply(good)
    until_completed(world, 3)
    assert images(world) == ["web:3"] * 3


def test_a_gitops_tool_that_applies_all_the_time_causes_one_trip_and_no_write_after_it(
    world: Namespace,
) -> None:
    """G5: the same manifest, client-side and server-side in turn, from before the trip until long after."""
    start(world, deployment())
    bad = deployment("crash", image="web:2")
    world.apply(bad)
    with applying(world, bad, CLIENT_SIDE, SERVER_SIDE) as at:
        until_guard(world, "ROLLBACK_SUCCESSFUL")
        until_applied(world, at, 1)
        restored, spec = find_writes(world), find(world, "deployment")["spec"]
        until_applied(world, at, 8)
    assert find(world, "deployment")["spec"] == spec
    assert spec["paused"] is True
    assert images(world) == ["web:1"] * 4
    assert find_writes(world) == restored
    assert not guard_status(world).get("resumes")
    told = [reason for reason, _ in world.events()]
    assert told.count("CircuitBreakerTriggered") == 2, "on the Deployment and on the breaker"


def test_a_tool_that_forces_paused_false_all_the_time_is_told_and_bounded(world: Namespace) -> None:
    """G5: three retries at most, then the tool has its way, and we write no more.

    It has it sooner where it is faster than a rollback: meanwhile no revision is completed (B1).
    """
    start(world, deployment())
    bad = deployment("crash", image="web:2", paused=False)
    world.apply(bad)
    with applying(world, bad, SERVER_SIDE) as at:
        status = until(
            lambda: guard_status(world),
            lambda status: status["rollout"]["status"] == "FAILED",
            150,
        )
        until_applied(world, at, 1)
        before = find_writes(world)
        until_applied(world, at, 8)
    assert 1 <= status["resumes"] <= 3
    assert "nothing was changed" in status["rollout"]["message"]
    assert "was resumed" in world.until_event("WorkloadResumed")
    assert find_writes(world) == before
    assert guard_status(world)["rollout"]["status"] == "FAILED"
    world.apply(deployment(image="web:3"))
    until_completed(world, 3)
    assert images(world) == ["web:3"] * 4
