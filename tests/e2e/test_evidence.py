"""The status and the events alone let a reader name the cause of every failure."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.namespace import (
    PATIENCE,
    VERDICT_SECONDS,
    Namespace,
    breaker,
    conditions,
    guarded,
    revision,
    rollout,
)
from tools.cluster.audit import AuditLog
from tools.cluster.behaviours import LIVENESS_WORDS, MOUNT_WORDS, STOP, UNREADY_WORDS
from tools.cluster.stages import LOG, PREVIOUS_LOG
from tools.operator_process import USER

INIT = {"initContainers": [{"name": "setup", "image": "setup:1"}]}
LAST_WORDS = PREVIOUS_LOG[-1]


def count(log: AuditLog, world: Namespace) -> Counter[str]:
    """Count what the operator has asked for in this namespace since the last look."""
    return Counter(
        request.words
        for request in log.read()
        if request.user == USER and request.namespace == world.namespace
    )


def _are_told(world: Namespace, words: list[str]) -> bool:
    """Whether each of the words is in the message of some event."""
    messages = [message for _, message in world.events()]
    return all(any(word in message for message in messages) for word in words)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("crash", ["container web exited 2", LAST_WORDS]),
        ("oom", ["container web exited 137 (OOMKilled)", LAST_WORDS]),
        ("exit-0", ["container web exited 0 (Completed)"]),
        ("start-error", ["container web exited 128 (StartError)"]),
        ("init-fail", ["container setup exited 1", LAST_WORDS]),
        ("image-pull", ["container web cannot start: ErrImagePull", "not found"]),
        ("invalid-image", ["container web cannot start: InvalidImageName", "couldn't parse"]),
        ("config-error", ["CreateContainerConfigError", 'configmap "missing" not found']),
        ("liveness-kill", ["container web exited 137", LIVENESS_WORDS, LAST_WORDS]),
        ("evicted-storage", ["Evicted", "ephemeral local storage usage exceeds"]),
        ("never-ready", ["NotReadyInTime", "not Ready", UNREADY_WORDS, LOG[-1]]),
    ],
)
def test_the_causes_words_are_in_status_events_and_plugin(
    world: Namespace, tmp_path: Path, behaviour: str, words: list[str]
) -> None:
    """For each failing behaviour: in the records, the sentence, a condition, events and the tree."""
    pod = INIT if behaviour == "init-fail" else {}
    world.completed(guarded(image="web:1", pod=pod))
    bad = guarded(image="web:2", behaviour=behaviour, pod=pod, minReadySeconds=60)
    # As real ones do, the pods take a moment to end: their logs are there to be read.
    bad["spec"]["template"]["metadata"]["annotations"][STOP] = "10s"
    world.apply(bad)
    world.until(
        lambda status: (
            rollout(status).startswith("ROLLBACK")
            and all(word in status["rolloutStateReason"] for word in words)
        ),
        seconds=PATIENCE + (VERDICT_SECONDS if behaviour == "never-ready" else 0),
    )
    status = world.status()
    [stalled] = [c for c in status["conditions"] if c["type"] == "Stalled"]
    assert all(word in stalled["message"] for word in words)
    world.until_true(lambda: _are_told(world, words))
    failures = [f for f in status["circuitBreaker"]["failures"] if f["revision"] == 2]
    assert all(f["pod"].startswith("web-") and f["node"].startswith("node-") for f in failures)
    logged = any(LAST_WORDS in f.get("evidence", {}).get("logTail", "") for f in failures)
    assert logged is (LAST_WORDS in words)
    shown = world.plugin(tmp_path)("tripswitch", "status", "web")
    assert [word for word in words if word not in shown] == []
    # The records below the breaker have the reason in front, instead of behind the container.
    _, _, below = shown.partition("breaker ")
    parts = [part for word in words for part in re.split(r": | \(|\)$", word)]
    assert [part for part in parts if part not in below] == []


def test_a_volume_that_is_not_there_is_named_long_before_the_progress_deadline(
    world: Namespace,
) -> None:
    """A pod's status has no words for it; the kubelet's event has."""
    world.completed(guarded(image="web:1"))
    manifest = guarded(image="web:2", behaviour="slow-mount", progressDeadlineSeconds=60)
    notes = manifest["spec"]["template"]["metadata"]["annotations"]
    notes["stage.tripswitch.dev/delay"] = "10m"
    world.apply(manifest)
    status = world.until(lambda status: MOUNT_WORDS in status["rolloutStateReason"])
    assert rollout(status) == "IN_PROGRESS"
    assert status["circuitBreaker"]["failureCount"] == 0
    status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=150)
    assert MOUNT_WORDS in revision(status, 2)["reason"]
    assert MOUNT_WORDS in conditions(status)["Stalled"]["message"]


def test_one_log_and_one_list_of_events_are_read_for_a_cause_however_many_pods_show_it(
    world: Namespace,
) -> None:
    """Evidence costs a few requests for a rollout that fails, and none for one that does not."""
    log = AuditLog(Path(world.environment.audit_log))
    many = breaker(thresholdConfiguration={"type": "COUNT", "value": 20})
    world.completed(guarded(image="web:1", replicas=20, configuration=many))
    assert not count(log, world).keys() & {"get pods/log", "list events"}
    world.apply(guarded(image="web:2", replicas=20, behaviour="crash", configuration=many))
    world.until(lambda status: LAST_WORDS in status["rolloutStateReason"])
    world.until_rollout("ROLLBACK_SUCCESSFUL")
    # One, and one more where the run that ended was the only one.
    asked = count(log, world)
    assert 1 <= asked["get pods/log"] <= 2
    # On a busy machine the rollback is over before it is their turn: then nobody needs them any more.
    assert asked["list events"] <= 1
