"""One decision about a large object, and one event of a pod: microbenchmarks without a cluster."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from benchmarks.pod_events import measure_pod_events
from benchmarks.report import Result, Row
from tests.support.builders import (
    START,
    breaker_spec,
    crashing_pod,
    guarded,
    ready_pods,
    replica_set,
    snapshot,
    template,
)
from tripswitch.domain.decide import decide
from tripswitch.domain.values.images import TemplateImage
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import RolloutStatus

PODS = 1000
TARGET_MS = 5.0
LATER = START + 100


def measure_decide(times: int = 50) -> Result:
    """Time ``decide`` on 1,000 pods: at rest, and in the middle of a rollout that fails."""
    resting = _settle(snapshot(guarded(PODS), _run_images(replica_set(1, *ready_pods(PODS)))))
    breaker = breaker_spec(reset_on_healthy_task=False)
    changed = replace(resting.guarded.spec, template=template("v2"), breaker=breaker)
    wish = replace(resting.guarded, generation=2, spec=changed)
    crashing = tuple(crashing_pod(f"c{number}") for number in range(100))
    new = _run_images(replica_set(2, *ready_pods(400, "b"), *crashing))
    old = _run_images(replica_set(1, *ready_pods(500)))
    begun = _settle(replace(resting, guarded=wish))  # pods that come later count
    rolling = _settle(replace(begun, replica_sets=(old, new)))
    assert resting.guarded.status.memory.rollout is not None
    assert resting.guarded.status.memory.rollout.status is RolloutStatus.SUCCESSFUL
    assert rolling.guarded.status.memory.circuit_breaker.failure_count == 100
    rows = []
    for what, view in (("at rest", resting), ("in a rollout, 100 of them crashing", rolling)):
        spent = _time(view, times)
        words = f"{spent:.1f} ms"
        target = f"under {TARGET_MS:.0f} ms"
        rows.append(
            Row(
                f"decide() with {PODS:,} pods {what}",
                words,
                target=target,
                met=spent < TARGET_MS,
                reason="each pod of the target is compared with what is remembered of it (F7)",
            )
        )
    how = (
        f"Median of {times} calls on frozen views, CPU time; no cluster. An event of a pod is decoded from the line "
        "of a watch, made a view, and filed in the store."
    )
    return Result(how, [*rows, measure_pod_events()])


def _run_images(of: ReplicaSetView) -> ReplicaSetView:
    """Let all pods run the image of the template's tag, as their nodes say: the digests are settled (D1)."""
    [tag] = of.template.images
    shown = f"docker.io/library/shop@sha256:{'a' * 64}"
    pods = tuple(
        replace(
            pod, containers=tuple(replace(one, image=tag, image_id=shown) for one in pod.containers)
        )
        for pod in of.pods
    )
    containers = (TemplateImage("web", tag),)
    return replace(of, pods=pods, template=replace(of.template, containers=containers))


def _settle(view: Snapshot) -> Snapshot:
    """What the next look sees when the world stands still."""
    for _ in range(3):
        status = decide(view, LATER).status
        view = replace(view, guarded=replace(view.guarded, status=status))
    return view


def _time(view: Snapshot, times: int) -> float:
    spent = []
    for _ in range(times):
        began = time.process_time()
        decide(view, LATER)
        spent.append(1000 * (time.process_time() - began))
    return median(spent)
