"""The plugin's one line about a pod names what is wrong with it, as its status shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster.raws import T0, condition, ended, pod, ready_pod, unready_pod, waiting
from tripswitch.cli.status.pod_lines import Tone, describe_pod
from tripswitch.cluster.pods import see_pod

NOW = T0 + 60


def describe(raw: dict[str, Any]) -> tuple[Tone, str, str]:
    line = describe_pod(see_pod(raw, None, NOW).view, NOW)
    return line.tone, line.state, line.why


CRASHED = {"terminated": ended(2, "Error")}


@pytest.mark.parametrize(
    ("raw", "tone", "state", "why"),
    [
        (ready_pod(), Tone.GOOD, "Ready", "for 58s"),
        (
            pod(waiting("CrashLoopBackOff", "back-off", restartCount=2, lastState=CRASHED)),
            Tone.BAD,
            "CrashLoopBackOff",
            "container web exited 2, 2 restarts",
        ),
        (
            pod(
                waiting("CrashLoopBackOff", lastState={"terminated": ended(137, "OOMKilled")}),
            ),
            Tone.BAD,
            "CrashLoopBackOff",
            "container web exited 137 (OOMKilled)",
        ),
        (
            pod(waiting("RunContainerError", 'exec: "EXIT": not found')),
            Tone.BAD,
            "RunContainerError",
            'container web: exec: "EXIT": not found',
        ),
        (
            pod(waiting("ImagePullBackOff", 'manifest for "web:9"\nnot found')),
            Tone.BAD,
            "ImagePullBackOff",
            'container web: manifest for "web:9" not found',
        ),
        (
            pod(waiting("CreateContainerConfigError", 'secret "db" not found')),
            Tone.BAD,
            "CreateContainerConfigError",
            'container web: secret "db" not found',
        ),
        (
            pod(
                conditions=[
                    condition("PodScheduled", "False", reason="Unschedulable", message="0/2 nodes")
                ],
                phase="Pending",
            ),
            Tone.WAITING,
            "Unschedulable",
            "0/2 nodes",
        ),
        (
            unready_pod(started_at=20.0),
            Tone.WAITING,
            "Running",
            "not Ready yet, for 40s",
        ),
        (
            unready_pod(since=40.0, started_at=1.0),
            Tone.BAD,
            "NotReady",
            "lost its readiness 20s ago",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="used too much ephemeral storage"),
            Tone.BAD,
            "Evicted",
            "used too much ephemeral storage",
        ),
        (
            ready_pod(metadata={"deletionTimestamp": "2026-11-24T13:00:00Z"}),
            Tone.GONE,
            "Terminating",
            "",
        ),
        (
            pod(conditions=[condition("DisruptionTarget", "True")]),
            Tone.GONE,
            "Disrupted",
            "evicted, preempted or drained: does not count as a failure",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pods_line_says_what_is_wrong(
    raw: dict[str, Any], tone: Tone, state: str, why: str
) -> None:
    assert describe(raw) == (tone, state, why)


def test_an_init_container_that_fails_is_named() -> None:
    raw = pod(
        waiting("PodInitializing"),
        initContainerStatuses=[
            waiting("CrashLoopBackOff", name="migrate", restartCount=1, lastState=CRASHED)
        ],
    )
    raw["spec"]["initContainers"] = [{"name": "migrate"}]
    assert describe(raw)[1:] == (
        "CrashLoopBackOff",
        "container migrate exited 2, 1 restart",
    )


@pytest.mark.parametrize(
    "junk", [{}, {"status": 7}, {"status": {"containerStatuses": "?"}}], ids=str
)
def test_no_pod_is_too_strange_to_be_described(junk: dict[str, Any]) -> None:
    assert isinstance(describe(junk)[0], Tone)


def test_a_container_that_may_complete_and_did_is_no_reason_why_its_pod_is_not_ready() -> None:
    raw = unready_pod()
    status = {"name": "warm-up", "state": {"terminated": ended(0, "Completed")}}
    raw["status"]["containerStatuses"].append(status)
    raw["spec"]["containers"].append({"name": "warm-up", "restartPolicy": "OnFailure"})
    assert describe(raw)[:2] == (Tone.WAITING, "Running")
    raw["spec"]["containers"][1].pop("restartPolicy")
    assert describe(raw)[:2] == (Tone.BAD, "Completed")
