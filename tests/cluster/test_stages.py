"""Simulated pods show what a kubelet would show, in the same order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tools.cluster.behaviours import BEHAVIOUR, BEHAVIOURS, CONTAINER, STOP
from tools.cluster.control_plane import ControlPlane
from tools.cluster.looks import EXPECTED, reason, seen, states, subject
from tools.cluster.recorder import Pod, Recorder
from tools.recordings import Version
from tools.recordings.story import STORIES, tell

pytestmark = pytest.mark.cluster

# Such pods are made once more, by these names: a sidecar that crashes, a probe that is too slow.
SIDECAR, PROBED = "sidecar", "probed"


@pytest.fixture(scope="module")
def recorded(cluster: ControlPlane) -> Iterator[Recorder]:
    """One pod of each behaviour, all running side by side, watched from before they are made."""
    namespace = "behaviours"
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", f"--namespace={namespace}")
    pods = [_pod(name, {BEHAVIOUR: name}) for name in BEHAVIOURS]
    pods.append(_pod(SIDECAR, {BEHAVIOUR: "crash", CONTAINER: "proxy"}))
    pods.append(_pod(PROBED, {BEHAVIOUR: "crash"}, readinessProbe={"exec": {"command": ["true"]}}))
    pods.append(_pod("normal", {}))
    with Recorder(cluster, namespace) as recorder:
        _create(cluster, namespace, *pods)
        yield recorder


def test_every_behaviour_is_described() -> None:
    assert set(EXPECTED) == set(BEHAVIOURS)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_it_shows_what_a_kubelet_shows(recorded: Recorder, behaviour: str) -> None:
    expected = EXPECTED[behaviour].split(", ")
    versions = recorded.pods[behaviour]

    recorded.wait(lambda: len(seen(versions)) >= len(expected), seconds=90)

    assert seen(versions)[: len(expected)] == expected


@pytest.mark.parametrize("behaviour", STORIES)
def test_the_operator_makes_of_it_what_it_made_of_a_real_pod(
    recorded: Recorder, behaviour: str
) -> None:
    """The recordings of a real kubelet tell the same stories: tests/unit/tools/test_recordings.py."""
    story = STORIES[behaviour]

    def told() -> list[tuple[object, ...]]:
        pairs = zip(recorded.times[behaviour], recorded.pods[behaviour], strict=False)
        return [found[:5] for found in tell([Version(*p) for p in pairs], probed=story.probed)]

    assert recorded.wait(lambda: len(told()) >= len(story.failures), seconds=120)
    assert told()[: len(story.failures)] == list(story.failures)


def test_a_normal_pod_is_ready_with_all_its_containers(recorded: Recorder) -> None:
    versions = recorded.pods["normal"]
    assert recorded.wait(lambda: bool(versions) and _is(versions[-1], "Ready"), seconds=30)
    status = versions[-1]["status"]

    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.")
    assert [(s["name"], s["ready"]) for s in status["initContainerStatuses"]] == [("setup", True)]
    assert [(s["name"], s["ready"], s["started"]) for s in status["containerStatuses"]] == [
        ("proxy", True, True),
        ("web", True, True),
    ]


def test_a_crash_loop_keeps_the_last_end_and_names_the_pause(recorded: Recorder) -> None:
    def waiting() -> list[dict[str, Any]]:
        statuses = (subject(version) for version in recorded.pods["crash"])
        return [s for s in statuses if s and reason(s) == "CrashLoopBackOff"]

    assert recorded.wait(lambda: bool(waiting()), seconds=30)
    status = waiting()[0]

    assert status["lastState"]["terminated"]["exitCode"] == 2
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed")
    assert status["containerID"].startswith("containerd://")


def test_the_third_failure_of_a_crash_loop_comes_after_the_real_back_off(
    recorded: Recorder,
) -> None:
    def ends() -> list[dict[str, Any]]:
        statuses = (subject(version) for version in recorded.pods["crash"])
        return [s["state"]["terminated"] for s in statuses if s and s["state"].get("terminated")]

    assert recorded.wait(lambda: len(ends()) >= 3, seconds=60)
    created = _seconds(recorded.pods["crash"][0]["metadata"]["creationTimestamp"])

    assert 13 <= _seconds(ends()[2]["finishedAt"]) - created <= 20


def test_only_the_named_container_fails(recorded: Recorder) -> None:
    versions = recorded.pods[SIDECAR]
    assert recorded.wait(lambda: "CrashLoopBackOff/1" in states(versions, "proxy"), seconds=30)

    assert set(states(versions, "web")) == {"running/0 SR"}


def test_a_short_run_is_never_ready_where_there_is_a_probe(recorded: Recorder) -> None:
    versions = recorded.pods[PROBED]
    assert recorded.wait(lambda: "CrashLoopBackOff/1" in seen(versions), seconds=30)

    assert seen(versions)[:2] == ["running/0 S", "Error 2/0"]


def test_an_eviction_by_the_kubelet_is_a_disruption_and_one_for_its_storage_is_not(
    recorded: Recorder,
) -> None:
    both = [recorded.pods["evicted-disruption"], recorded.pods["evicted-storage"]]
    assert recorded.wait(lambda: all(seen(v)[-1:] == ["Failed Evicted"] for v in both), 30)

    assert [_is(versions[-1], "DisruptionTarget") for versions in both] == [True, False]


def test_what_is_recorded_never_contradicts_itself(recorded: Recorder) -> None:
    for name, versions in recorded.pods.items():
        for pod in versions:
            ready = [status["ready"] for status in pod["status"].get("containerStatuses", [])]
            assert _is(pod, "ContainersReady") == (bool(ready) and all(ready)), name
            assert _is(pod, "Ready") == _is(pod, "ContainersReady"), name
        for before, after in pairwise(versions):
            counts = [subject(pod).get("restartCount", 0) for pod in (before, after)]
            assert counts == sorted(counts), name
            for kind, condition in _conditions(after).items():
                then = _conditions(before).get(kind, condition)
                moved = then["lastTransitionTime"] != condition["lastTransitionTime"]
                assert not moved or then["status"] != condition["status"], f"{name}: {kind}"


def test_a_pod_can_be_told_to_fail_later_and_to_recover(
    cluster: ControlPlane, namespace: str
) -> None:
    with Recorder(cluster, namespace) as recorder:
        _create(cluster, namespace, _pod("web", {}))
        versions = recorder.pods["web"]
        assert recorder.wait(lambda: seen(versions) == ["running/0 SR"], seconds=30)

        cluster.kubectl("annotate", "pod", "web", f"{BEHAVIOUR}=crash", f"--namespace={namespace}")
        assert recorder.wait(lambda: seen(versions)[-1] == "CrashLoopBackOff/1", seconds=30)

        cluster.kubectl("annotate", "pod", "web", f"{BEHAVIOUR}-", f"--namespace={namespace}")
        assert recorder.wait(lambda: seen(versions)[-1] == "running/2 SR", seconds=30)


def test_a_pod_with_a_readiness_gate_waits_for_it(cluster: ControlPlane, namespace: str) -> None:
    gated = _pod("web", {})
    gated["spec"]["readinessGates"] = [{"conditionType": "example.com/in-service"}]
    opened = {"type": "example.com/in-service", "status": "True"}
    with Recorder(cluster, namespace) as recorder:
        _create(cluster, namespace, gated)
        versions = recorder.pods["web"]
        assert recorder.wait(lambda: seen(versions) == ["running/0 SR"], seconds=30)
        assert not _is(versions[-1], "Ready")

        patch = json.dumps({"status": {"conditions": [opened]}})
        where = ["--subresource=status", f"--namespace={namespace}"]
        cluster.kubectl("patch", "pod", "web", *where, "--patch", patch)

        assert recorder.wait(lambda: _is(versions[-1], "Ready"), seconds=30)


def test_a_deleted_pod_goes_when_it_was_told_to(cluster: ControlPlane, namespace: str) -> None:
    def seconds_to_go(name: str) -> float:
        started = time.monotonic()
        cluster.kubectl("delete", "pod", name, f"--namespace={namespace}")
        return time.monotonic() - started

    _create(cluster, namespace, _pod("quick", {}), _pod("slow", {STOP: "4s"}))
    cluster.kubectl("wait", "--for=condition=Ready", "pod", "--all", f"--namespace={namespace}")

    assert seconds_to_go("quick") < 4 <= seconds_to_go("slow")


def _pod(name: str, annotations: dict[str, str], **main_container: Any) -> Pod:
    image = "registry.test/web:1"
    # By name the main container is the last one: a kubelet shows them sorted.
    main = {"name": "web", "image": image, **main_container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "initContainers": [{"name": "setup", "image": image}],
            "containers": [main, {"name": "proxy", "image": image}],
        },
    }


def _create(cluster: ControlPlane, namespace: str, *pods: Pod) -> None:
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})
    cluster.kubectl("create", "-f", "-", f"--namespace={namespace}", input=document)


def _conditions(pod: Pod) -> dict[str, dict[str, Any]]:
    return {condition["type"]: condition for condition in pod["status"].get("conditions", [])}


def _is(pod: Pod, kind: str) -> bool:
    return bool(_conditions(pod).get(kind, {}).get("status") == "True")


def _seconds(timestamp: str) -> float:
    return time.mktime(time.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ"))
