"""Rules H1, S1 and F4: when a pod is RUNNING, when it is healthy, and when it is late."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tripswitch.domain.rules.ended_runs import ended_for_others
from tripswitch.domain.rules.sight import compute_due
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodPhase, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import UNKNOWN, Sight
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Readiness, Spec

RUNNING_SECONDS = 5.0
"""A container that dies sooner never ran (Words: RUNNING)."""

UNPROBED_READY_SECONDS = 40
"""ECS counts a task without health checks as healthy after 40 s RUNNING (H1)."""

PROOF_SECONDS = 10.0
"""How long the first pod of a revision has to run before any of them is healthy (H1)."""

STEADY_SECONDS = 600.0
"""A run of at least this length, in seconds, is part of no crash loop: the kubelet resets its back-off, too."""

LEAST_PATIENCE = 60.0
"""The shortest time that a pod is given to become Ready, also if its probe asks for less (F4)."""

FIRST_PATIENCE = 300.0
"""The same while no completed revision has shown how long its pods take (F4)."""

EXPERIENCE_FACTOR = 3
"""How many times as long as the slowest pod of the last completed revision a pod may take (F4)."""

GATE_SECONDS = 60.0
"""More time for pods that wait for a load balancer's health checks (F4)."""


@dataclass(frozen=True, slots=True)
class Experience:
    """How long the slowest pod of a completed revision took to become Ready, in seconds."""

    revision: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is expected of the pods of one revision: when they are healthy (H1), when late (F4).

    ``min_ready`` and ``grace`` are the spec's, in seconds. ``proved``: one pod of the revision has run
    for ``PROOF_SECONDS`` and is healthy. ``sight``: how much of what happened is known (rules V).
    """

    readiness: Readiness
    min_ready: int | None = None
    grace: int = 0
    experience: Experience | None = None
    proved: bool = False
    sight: Sight = UNKNOWN


def expect(
    replica_set: ReplicaSetView,
    spec: Spec,
    now: Instant,
    experience: Experience | None = None,
    sight: Sight = UNKNOWN,
) -> Expectations:
    """Return what is expected of the pods of a ReplicaSet now."""
    expected = Expectations(
        readiness=replica_set.template.readiness,
        min_ready=spec.min_ready_seconds,
        grace=spec.health_check_grace_period,
        experience=experience,
        sight=sight,
    )
    moments = (healthy_at(pod, expected) for pod in replica_set.pods)
    return replace(expected, proved=any(at is not None and at <= now for at in moments))


def effective_min_ready_seconds(min_ready: int | None, *, all_probed: bool) -> int:
    """Return how long a pod must be Ready to be healthy (H1), in seconds.

    The spec's own value; else 0 when every app container and every sidecar has a readiness probe;
    else 40, because a crash-looping pod without a probe is Ready for a moment at every restart.
    """
    if min_ready is not None:
        return min_ready
    return 0 if all_probed else UNPROBED_READY_SECONDS


def healthy_at(pod: PodView, expected: Expectations) -> Instant | None:
    """Return when the pod is (or will be, if it stays Ready) healthy; None while it is not Ready.

    It is Ready for ``minReadySeconds``, also for the sake of containers that only the pod has (H1). A
    container that ended before has to run for longer than its last run lasted, so a crash loop is
    never healthy between two ends; one that only its node or a resize ended is in no loop. Without
    ``minReadySeconds`` the first pod of a revision has to run for 10 s: one that crashes some seconds
    after it was Ready must not take the place of a good one.
    """
    if not pod.live or pod.ready_since is None:
        return None
    proof = 0.0 if expected.proved or expected.min_ready is not None else PROOF_SECONDS
    all_probed = expected.readiness.all_probed
    ran = 0.0
    for container in _lasting(pod):
        all_probed = all_probed and container.readiness_budget is not None
        if container.running_since is not None:
            ran = max(ran, container.running_since + max(proof, _outlast(pod, container)))
    seconds = effective_min_ready_seconds(expected.min_ready, all_probed=all_probed)
    return max(pod.ready_since + seconds, ran)


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


def started_at(pod: PodView) -> Instant:
    """Return when the last container of a RUNNING pod became ``started``.

    Only then does the kubelet ask its readiness probe.
    """
    return max(c.started_since or c.running_since or 0.0 for c in _lasting(pod))


def lost_readiness(pod: PodView) -> bool:
    """Whether a RUNNING pod that is not Ready was so, and has not restarted since."""
    return pod.unready_since is not None and pod.unready_since >= started_at(pod)


def health_deadline(pod: PodView, expected: Expectations) -> Instant | None:
    """Return when a pod that still is not Ready counts as a health failure (F4).

    None for a pod that is Ready, not RUNNING, or not Ready only because its node stopped reporting
    (F5: a lost node is nobody's fault). From when the last container became ``started`` the pod has
    ``healthCheckGracePeriodSeconds`` and the largest of its readiness budget, 60 s, and 3 times what
    the slowest pod of the last completed revision took; without that experience, of its budget and
    300 s. A pod that lost its readiness has its budget again, at least 60 s, from that moment. The
    clock stands still in an outage (V2).
    """
    if pod.ready_since is not None or pod.unready_by_node or running_at(pod) is None:
        return None
    began = started_at(pod)
    own = (container.readiness_budget or 0.0 for container in _lasting(pod))
    budget = max(expected.readiness.budget, *own)
    gates = GATE_SECONDS if expected.readiness.gated or pod.gated else 0.0
    if pod.unready_since is not None and lost_readiness(pod):
        again = pod.unready_since + max(budget, LEAST_PATIENCE)
        due, since = max(again, began + expected.grace) + gates, pod.unready_since
        return compute_due(since, due - since, expected.sight.standstills)
    shown = FIRST_PATIENCE
    if expected.experience is not None:
        shown = max(LEAST_PATIENCE, EXPERIENCE_FACTOR * expected.experience.seconds)
    patience = expected.grace + max(budget, shown) + gates
    return compute_due(began, patience, expected.sight.standstills)


def _outlast(pod: PodView, container: ContainerView) -> float:
    """Return how long a container has to run to have outlasted its last run, in seconds (H1).

    Nodes write whole seconds, so a second comes on top.
    """
    last = container.last_ended
    if last is None or last.seconds >= STEADY_SECONDS or ended_for_others(pod, container, last):
        return 0.0
    return last.seconds + 1.0


def _lasting(pod: PodView) -> list[ContainerView]:
    """Return the containers that are meant to stay."""
    return [c for c in pod.containers if c.role is not ContainerRole.INIT]
