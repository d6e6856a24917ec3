"""Rules H1, S1 and F4: when a pod is RUNNING, when it is healthy, and when it is late."""

from __future__ import annotations

from tripswitch.domain.model import (
    ContainerRole,
    ContainerView,
    Instant,
    PodPhase,
    PodView,
    Readiness,
    Spec,
)

RUNNING_SECONDS = 5.0
"""A container that dies sooner never ran (Words: RUNNING)."""

UNPROBED_READY_SECONDS = 40
"""ECS counts a task without health checks as healthy after 40 s RUNNING (H1)."""


def effective_min_ready_seconds(spec: Spec, readiness: Readiness) -> int:
    """Return how long a pod must be Ready to be healthy (H1), in seconds.

    The spec's own value; else 0 when every app container has a readiness probe; else 40, because
    a crash-looping pod without a probe is Ready for a moment at every restart.
    """
    if spec.min_ready_seconds is not None:
        return spec.min_ready_seconds
    return 0 if readiness.all_probed else UNPROBED_READY_SECONDS


def healthy_at(pod: PodView, min_ready_seconds: int) -> Instant | None:
    """Return when the pod is (or will be, if it stays Ready) healthy; None while it is not Ready."""
    if not pod.live or pod.ready_since is None:
        return None
    return pod.ready_since + min_ready_seconds


def running_at(pod: PodView) -> Instant | None:
    """Return when the pod is (or will be) RUNNING: all its containers up and started for 5 s."""
    lasting = _lasting(pod)
    if not pod.live or pod.phase is not PodPhase.RUNNING or not lasting:
        return None
    latest = 0.0
    for container in lasting:
        if container.running_since is None or not container.started:
            return None
        latest = max(latest, container.running_since)
    return latest + RUNNING_SECONDS


def health_deadline(pod: PodView, readiness: Readiness, grace: int) -> Instant | None:
    """Return when a pod that still is not Ready counts as a health failure (F4).

    None for a pod that is Ready, not RUNNING, or not Ready only because its node stopped reporting
    (F5: a lost node is nobody's fault). The budget begins when the last container is ``started``:
    only then does the kubelet ask its readiness probe. A pod that lost its readiness has the budget
    again, from the moment it lost it. ``grace`` is ``healthCheckGracePeriodSeconds``.
    """
    if pod.ready_since is not None or pod.unready_by_node:
        return None
    running = running_at(pod)
    if running is None:
        return None
    starts = (c.started_since or c.running_since or 0.0 for c in _lasting(pod))
    began = max(*starts, pod.unready_since or 0.0)
    # Never before it is RUNNING: a shorter budget must not judge a pod that has not run.
    return max(began + grace + readiness.budget, running)


def _lasting(pod: PodView) -> list[ContainerView]:
    """Return the containers that are meant to stay."""
    return [c for c in pod.containers if c.role is not ContainerRole.INIT]
