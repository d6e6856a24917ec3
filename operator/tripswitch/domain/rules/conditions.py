"""The conditions: one clear sentence each, in the form that kstatus, Helm, Flux and Argo CD read."""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.values.memory import ConditionState, Rollout
from tripswitch.domain.values.report import Condition
from tripswitch.domain.values.states import Reason, RolloutState
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class Facts:
    """What the conditions are made from.

    ``needed`` healthy pods make it Available.
    ``refused``: the API server does not accept the ReplicaSet. ``blocked``: the ReplicaSet cannot
    create pods. ``waits``: which pod a StatefulSet's controller waits for before it changes any other.
    ``late``: the progress deadline passed while the breaker is disabled.
    ``crash_loops``: containers of the completed revision restart again and again.
    ``desired_state`` is that of the revision in ``spec``. ``frozen``: why the size does not follow
    ``replicas`` (R7). ``incomplete``: why new pods of the revision for a rollback would not start (B9).
    ``at_risk``: why a rollback of a guarded workload may come too late (rules G).
    ``outage``: which registry also fails completed revisions (F9).
    ``alarms_ignored`` and ``alarms_unavailable``: which alarms cannot fail the rollout, and why (A2).
    ``storm``: which ReplicaSets are held because their pods fail as soon as they are made (R8).
    """

    rollout: Rollout
    desired_state: RolloutState
    healthy: int
    replicas: int
    needed: int
    paused: bool = False
    refused: str = ""
    blocked: str = ""
    waits: str = ""
    late: str = ""
    explanation: str = ""
    crash_loops: str = ""
    frozen: str = ""
    incomplete: str = ""
    at_risk: str = ""
    outage: str = ""
    alarms_ignored: str = ""
    alarms_unavailable: str = ""
    storm: str = ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    type: str
    status: bool
    reason: Reason
    message: str


def compute_conditions(
    facts: Facts, before: tuple[ConditionState, ...], now: Instant
) -> tuple[Condition, ...]:
    """Return the conditions, with the transition times of those whose status did not change."""
    known = {condition.type: condition for condition in before}
    return tuple(_timed(wanted, known.get(wanted.type), now) for wanted in _wanted(facts))


def compute_problem_conditions(
    reason: Reason, message: str, before: tuple[ConditionState, ...], now: Instant
) -> tuple[Condition, ...]:
    """Return the conditions of a breaker that has nothing to watch, with the reason why.

    Waiting for the workload's controller is progress; anything else needs a person.
    """
    waits = reason is Reason.WAITING_FOR_CONTROLLER
    known = {condition.type: condition for condition in before}
    wanted = (
        _Wanted("Ready", False, reason, message),
        _Wanted("Reconciling" if waits else "Stalled", True, reason, message),
    )
    return tuple(_timed(one, known.get(one.type), now) for one in wanted)


def is_ready(facts: Facts) -> bool:
    """Return whether what ``spec`` asks for is what runs: COMPLETED and Available."""
    return facts.desired_state is RolloutState.COMPLETED and _is_available(facts)


def _is_available(facts: Facts) -> bool:
    return facts.healthy >= facts.needed


def _wanted(facts: Facts) -> list[_Wanted]:
    progressing = _progressing(facts)
    wanted = [_available(facts), progressing, _ready(facts, progressing)]
    # kstatus wants one of the two, and a rollback in progress already is a failure (B7).
    stalled = _stalled(facts, progressing)
    if stalled is not None:
        wanted.append(stalled)
    if facts.crash_loops:
        wanted.append(_Wanted("CrashLooping", True, Reason.CRASH_LOOPING, facts.crash_loops))
    if facts.storm:
        wanted.append(_Wanted("PodStorm", True, Reason.POD_STORM, facts.storm))
    risks = [risk for risk in (facts.incomplete, facts.at_risk) if risk]
    if risks:
        reason = Reason.REVISION_INCOMPLETE if facts.incomplete else Reason.ROLLBACK_AT_RISK
        wanted.append(_Wanted("RollbackAtRisk", True, reason, "; ".join(risks)))
    for kind, reason, told in (
        ("RegistryOutage", Reason.REGISTRY_OUTAGE, facts.outage),
        ("AlarmsIgnored", Reason.ALARMS_IGNORED, facts.alarms_ignored),
        ("AlarmsUnavailable", Reason.ALARMS_UNAVAILABLE, facts.alarms_unavailable),
    ):
        if told:
            wanted.append(_Wanted(kind, True, reason, told))
    if stalled is None and facts.rollout.status in rollout_states.OPEN:
        wanted.append(_Wanted("Reconciling", True, progressing.reason, progressing.message))
    return wanted


def _available(facts: Facts) -> _Wanted:
    enough = _is_available(facts)
    frozen = f"; {facts.frozen}" if facts.frozen else ""
    return _Wanted(
        "Available",
        enough,
        Reason.MINIMUM_HEALTHY if enough else Reason.BELOW_MINIMUM_HEALTHY,
        f"{facts.healthy} of {facts.replicas} pods are healthy, at least {facts.needed} needed"
        f"{frozen}",
    )


def _progressing(facts: Facts) -> _Wanted:
    rollout = facts.rollout
    if rollout.status in rollout_states.OPEN:
        if facts.refused:
            return _Wanted("Progressing", False, Reason.REPLICA_SET_CREATE_ERROR, facts.refused)
        if facts.paused:
            return _Wanted("Progressing", False, Reason.PAUSED, "the rollout is paused")
        if facts.blocked:
            return _Wanted("Progressing", False, Reason.REPLICA_SET_CREATE_ERROR, facts.blocked)
        if facts.waits:
            return _Wanted("Progressing", False, Reason.WAITING_FOR_POD, facts.waits)
        if facts.late:
            return _Wanted("Progressing", False, Reason.PROGRESS_DEADLINE_EXCEEDED, facts.late)
    return _Wanted(
        "Progressing",
        rollout.status not in rollout_states.STALLED,
        rollout.reason,
        facts.explanation,
    )


def _ready(facts: Facts, progressing: _Wanted) -> _Wanted:
    if is_ready(facts):
        return _Wanted("Ready", True, facts.rollout.reason, facts.explanation)
    if facts.desired_state is RolloutState.COMPLETED:
        available = _available(facts)
        return _Wanted("Ready", False, available.reason, available.message)
    return _Wanted("Ready", False, progressing.reason, progressing.message)


def _stalled(facts: Facts, progressing: _Wanted) -> _Wanted | None:
    """B7: a trip is never success, also not after a finished rollback."""
    if facts.refused and facts.rollout.status in rollout_states.OPEN:
        return _Wanted("Stalled", True, Reason.REPLICA_SET_CREATE_ERROR, facts.refused)
    failed = facts.desired_state in (RolloutState.FAILED, RolloutState.STOPPED)
    if failed or facts.rollout.status in rollout_states.STALLED:
        return _Wanted("Stalled", True, progressing.reason, progressing.message)
    return None


def _timed(wanted: _Wanted, before: ConditionState | None, now: Instant) -> Condition:
    changed = before is None or before.status is not wanted.status
    return Condition(
        type=wanted.type,
        status=wanted.status,
        reason=wanted.reason,
        message=wanted.message,
        last_transition_time=now if changed or before is None else before.last_transition_time,
    )
