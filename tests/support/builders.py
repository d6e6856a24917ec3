"""Small builders of frozen views, so that a test shows only what it is about.

Everything starts at ``START``. A builder fills in a believable rest (UIDs and resource versions from
names, a phase that fits the containers); any field of the view can be given by its own name:

    pod("a", crash_looping(runs=2), node="node-7")
    replica_set(2, ready_pod("b"), pending_pod("c"), size=4)
    snapshot(guarded(4, template("v2"), status=status), replica_set(1, *ready_pods(4)))
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tripswitch.domain.rules.health import PROOF_SECONDS
from tripswitch.domain.rules.history import compute_replica_set_name
from tripswitch.domain.values.memory import Revision, Rollout
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase, PodView
from tripswitch.domain.values.replica_sets import CreateError, ReplicaSetView
from tripswitch.domain.values.sight import CURRENT
from tripswitch.domain.values.snapshot import Guarded, Snapshot
from tripswitch.domain.values.states import RolloutKind, RolloutState, RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import BreakerSpec, Readiness, Spec, Template, ThresholdType

START: Instant = 1_800_000_000.0
"""When tests begin; divisible by everything, so that seconds are easy to read."""

OWNER = "shop"
"""The name of the GuardedDeployment."""

BUDGET = 30.0
"""The readiness budget of ``template()``, in seconds."""


# --- templates and the wish -----------------------------------------------------------------------


def template(version: str = "v1", *, probed: bool = True, budget: float | None = None) -> Template:
    """Return a pod template; ``probed`` ones are healthy as soon as they are Ready (H1)."""
    seconds = (BUDGET if probed else 0.0) if budget is None else budget
    return Template(version, (f"shop:{version}",), Readiness(all_probed=probed, budget=seconds))


def breaker_spec(count: int | None = None, **fields: Any) -> BreakerSpec:
    """Return the breaker's settings; with ``count`` it trips at so many failures (T3)."""
    if count is not None:
        fields = {
            "threshold_type": ThresholdType.COUNT,
            "threshold_value": count,
            **fields,
        }
    return BreakerSpec(**fields)


def spec(replicas: int = 4, wanted: Template | None = None, **fields: Any) -> Spec:
    """Return the wish for so many replicas of a template (``v1`` if none is given)."""
    return Spec(replicas=replicas, template=template() if wanted is None else wanted, **fields)


def guarded(
    replicas: int = 4,
    wanted: Template | None = None,
    *,
    status: Status | None = None,
    retry: str | None = None,
    stop: str | None = None,
    answers: str | None = None,
    generation: int = 1,
    **fields: Any,
) -> Guarded:
    """Return a GuardedDeployment; ``fields`` are those of its spec."""
    return Guarded(
        name=OWNER,
        uid=f"uid-{OWNER}",
        generation=generation,
        spec=spec(replicas, wanted, **fields),
        status=Status() if status is None else status,
        retry=retry,
        stop=stop,
        answers=answers,
    )


# --- containers -----------------------------------------------------------------------------------


def container(name: str = "web", **fields: Any) -> ContainerView:
    """Return a container that has not begun yet."""
    return ContainerView(name, **fields)


def running(since: Instant = START, name: str = "web", **fields: Any) -> ContainerView:
    """Return a container that is up and started."""
    return container(name, **{"running_since": since, "started": True, **fields})


def waiting(reason: str, name: str = "web", **fields: Any) -> ContainerView:
    """Return a container that waits, for instance for ``ImagePullBackOff``."""
    return container(name, waiting=reason, **fields)


def ended(exit_code: int = 1, reason: str = "", name: str = "web", **fields: Any) -> ContainerView:
    """Return a container that is terminated now, after its first run."""
    return container(name, ended=_end(exit_code, reason), **fields)


def crash_looping(
    runs: int = 1, exit_code: int = 1, reason: str = "", name: str = "web", **fields: Any
) -> ContainerView:
    """Return a container in CrashLoopBackOff after so many ended runs."""
    return waiting(
        "CrashLoopBackOff",
        name,
        **{"restarts": runs - 1, "last_ended": _end(exit_code, reason), **fields},
    )


def restarted(
    runs: int = 1, since: Instant = START, exit_code: int = 1, name: str = "web", **fields: Any
) -> ContainerView:
    """Return a container that is up again after so many ended runs."""
    return running(since, name, **{"restarts": runs, "last_ended": _end(exit_code, ""), **fields})


def _end(exit_code: int, reason: str) -> Ended:
    return Ended(exit_code, reason or ("Error" if exit_code else "Completed"))


# --- pods -----------------------------------------------------------------------------------------


def pod(name: str = "a", *containers: ContainerView, **fields: Any) -> PodView:
    """Return a pod; its phase follows from its containers unless it is given."""
    began = any(
        c.role is not ContainerRole.INIT
        and (c.running_since is not None or c.ended is not None or c.last_ended is not None)
        for c in containers
    )
    defaults = {
        "uid": f"uid-{name}",
        "resource_version": "1",
        "node": "node-1",
        "phase": PodPhase.RUNNING if began else PodPhase.PENDING,
    }
    return PodView(name, containers=containers, **{**defaults, **fields})


def ready_pod(name: str = "a", since: Instant = START, **fields: Any) -> PodView:
    """Return a pod that has been Ready since a moment, and up for so long that it proves something."""
    return pod(name, running(since - PROOF_SECONDS), **{"ready_since": since, **fields})


def ready_pods(count: int, prefix: str = "a", since: Instant = START) -> tuple[PodView, ...]:
    """Return so many pods that have been Ready since a moment."""
    return tuple(ready_pod(f"{prefix}{number}", since) for number in range(count))


def unready_pod(name: str = "a", since: Instant = START, **fields: Any) -> PodView:
    """Return a pod that is up and not Ready."""
    return pod(name, running(since), **fields)


def pending_pod(name: str = "a", **fields: Any) -> PodView:
    """Return a pod whose container is being created."""
    return pod(name, waiting("ContainerCreating"), **fields)


def crashing_pod(name: str = "a", runs: int = 1, exit_code: int = 1, **fields: Any) -> PodView:
    """Return a pod in CrashLoopBackOff."""
    return pod(name, crash_looping(runs, exit_code), **fields)


def stuck_pod(name: str = "a", reason: str = "ImagePullBackOff", **fields: Any) -> PodView:
    """Return a pod whose container cannot start."""
    return pod(name, waiting(reason), **fields)


def failed_pod(name: str = "a", reason: str = "", message: str = "", **fields: Any) -> PodView:
    """Return a pod in phase Failed."""
    return pod(name, **{"phase": PodPhase.FAILED, "reason": reason, "message": message, **fields})


def terminating(of: PodView) -> PodView:
    """Return a pod while it is being deleted."""
    return replace(of, deleting=True)


# --- ReplicaSets, history, snapshot ---------------------------------------------------------------


def replica_set_name(of: Template, collisions: int = 0) -> str:
    """Return the name that a template's ReplicaSet gets."""
    return compute_replica_set_name(OWNER, of.digest, collisions)


def replica_set(
    revision: int = 1,
    *pods: PodView,
    size: int | None = None,
    of: Template | None = None,
    **fields: Any,
) -> ReplicaSetView:
    """Return a revision's ReplicaSet; of template ``v<revision>`` and as large as its live pods."""
    made_of = template(f"v{revision}") if of is None else of
    name = replica_set_name(made_of)
    defaults = {"name": name, "uid": f"uid-{name}", "resource_version": "1", "created_at": START}
    return ReplicaSetView(
        revision=revision,
        template=made_of,
        size=sum(p.live for p in pods) if size is None else size,
        pods=pods,
        **{**defaults, **fields},
    )


def revision(
    number: int = 1,
    state: RolloutState = RolloutState.COMPLETED,
    *,
    of: Template | None = None,
    **fields: Any,
) -> Revision:
    """Return an entry of the history, of template ``v<number>``."""
    made_of = template(f"v{number}") if of is None else of
    completed = state is RolloutState.COMPLETED
    defaults = {
        "created_at": START,
        "finished_at": None if state is RolloutState.IN_PROGRESS else START,
        "completed_at": START if completed else None,
        "images": made_of.images,
    }
    return Revision(
        revision=number,
        replica_set=replica_set_name(made_of),
        digest=made_of.digest,
        rollout_state=state,
        **{**defaults, **fields},
    )


def rollout(
    number: int = 1,
    status: RolloutStatus = RolloutStatus.IN_PROGRESS,
    kind: RolloutKind = RolloutKind.DEPLOY,
    **fields: Any,
) -> Rollout:
    """Return a rollout of a revision that began at ``START``."""
    defaults = {"started_at": START, "progressed_at": START}
    return Rollout(revision=number, kind=kind, status=status, **{**defaults, **fields})


def snapshot(
    of: Guarded | None = None,
    *replica_sets: ReplicaSetView,
    create_error: CreateError | None = None,
) -> Snapshot:
    """Return everything one decision is made from, all of it known to be current."""
    wanted = guarded() if of is None else of
    return Snapshot(wanted, replica_sets, create_error, sight=CURRENT)
