"""Rules F: how many failures a pod shows, and whose fault they are.

``count_failures`` compares a pod with what has been seen of it before (:class:`Counted`) and returns
what is new. Nothing here remembers anything: the marks it returns are written to the status, so a
restart, a repeated event or another leader neither loses nor doubles a failure (F7).

What a pod shows counts from any view. What is concluded from the absence of a report counts only where a
report that had come would be known (rules V); until then a :class:`Need` says what must be read anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tripswitch.domain.rules import failed_pods
from tripswitch.domain.rules.container_failures import count_containers
from tripswitch.domain.rules.ended_runs import compute_ended_runs
from tripswitch.domain.rules.failed_pods import failed_as_a_whole
from tripswitch.domain.rules.failure_reasons import NOT_READY_IN_TIME
from tripswitch.domain.rules.health import (
    Expectations,
    health_deadline,
    healthy_at,
    lost_readiness,
    started_at,
)
from tripswitch.domain.rules.health import running_at as pod_running_at
from tripswitch.domain.rules.rule_result import RuleResult
from tripswitch.domain.rules.sight import merge_needs
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.memory import Counted
from tripswitch.domain.values.pods import PodPhase, PodView
from tripswitch.domain.values.sight import Need
from tripswitch.domain.values.states import BestState
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class Observed:
    """What one look at one pod found: new marks, new failures, and when time alone adds more."""

    after: Counted
    failures: tuple[Failure, ...] = ()
    wake_at: Instant | None = None
    need: Need | None = None
    """What has to be read anew before more can be said (rules V)."""


def count_failures(pod: PodView, before: Counted, expected: Expectations, now: Instant) -> Observed:
    """Return what is new about a pod of the target revision since ``before``.

    Four rules look at it one after the other, each with the marks that the one before it left.
    """
    if _is_unchanged(pod, before):
        return Observed(before)
    containers = count_containers(pod, before, expected.sight, now)
    whole_pod = _count_failed_pod(pod, containers.marks)
    late = _count_lateness(pod, whole_pod.marks, expected, now)
    best = _raise_best_state(pod, late.marks, expected, now)
    return _combine(pod, (containers, whole_pod, late, best))


def _is_unchanged(pod: PodView, before: Counted) -> bool:
    """Whether a pod was healthy, is Ready, and none of its containers ever failed: no rule finds anything.

    Most pods of most looks are like this, so they are not shown to each rule.
    """
    return (
        before.best_state is BestState.HEALTHY
        and not before.containers
        and pod.ready_since is not None
        and pod.phase is PodPhase.RUNNING
        and all(one.waiting is None and not compute_ended_runs(one) for one in pod.containers)
    )


def _combine(pod: PodView, found: tuple[RuleResult, ...]) -> Observed:
    """Return the findings of all rules as one look at the pod."""
    failures = tuple(failure for one in found for failure in one.failures)
    return Observed(
        after=found[-1].marks,
        # F5: a failure that a pod shows while it is being taken away is never its revision's fault. The
        # marks move on all the same, so that it is not counted later either.
        failures=() if pod.deleting or pod.disrupted else failures,
        wake_at=min((at for one in found for at in one.wakes), default=None),
        need=merge_needs(need for one in found for need in one.needs),
    )


def _count_failed_pod(pod: PodView, marks: Counted) -> RuleResult:
    """F3: a pod that failed, once; where containers failed, they are what is counted."""
    if pod.phase is not PodPhase.FAILED or marks.failed:
        return RuleResult(marks)
    if _marked(marks) and not failed_as_a_whole(pod):
        return RuleResult(marks)
    return RuleResult(replace(marks, failed=True), (_pod_failure(pod),))


def _count_lateness(
    pod: PodView, marks: Counted, expected: Expectations, now: Instant
) -> RuleResult:
    """F4: a pod that missed its health deadline, once, and only where a report would be known."""
    deadline = health_deadline(pod, expected)
    if deadline is None:
        return RuleResult(marks)
    if deadline > now:  # also of one that was counted: it is replaced when it is late again
        return RuleResult(marks, wakes=(deadline,))
    if not expected.sight.confirms(deadline, pod.node):
        due, need = expected.sight.find_need(deadline, pod.node)
        return RuleResult(marks, wakes=(due,)) if due > now else RuleResult(marks, needs=(need,))
    if marks.unhealthy:
        return RuleResult(marks)
    return RuleResult(replace(marks, unhealthy=True), (_health_failure(pod, expected, now),))


def _raise_best_state(
    pod: PodView, marks: Counted, expected: Expectations, now: Instant
) -> RuleResult:
    """F5 and H2: the best that the pod has been, and when it will be better."""
    best, wakes = _find_best_state(pod, marks.best_state, expected, now)
    after = marks if best is marks.best_state else replace(marks, best_state=best)
    return RuleResult(after, wakes=tuple(wakes))


def _pod_failure(pod: PodView) -> Failure:
    """F3, with F5's verdict on the reason."""
    reason, verdict = failed_pods.judge_failed_pod(pod)
    return Failure(
        cause=FailureCause(FailureKind.LAUNCH, reason),
        pod=pod.name,
        node=pod.node,
        message=pod.message or pod.reason,
        verdict=verdict,
    )


def _health_failure(pod: PodView, expected: Expectations, now: Instant) -> Failure:
    """F4: once per pod, which is then replaced."""
    if pod.unready_since is not None and lost_readiness(pod):
        words = (
            f"became unready and has not been Ready again for {now - pod.unready_since:.0f} s; "
            "if this is expected, raise failureThreshold of the readinessProbe"
        )
    else:
        shown = expected.experience
        measure = (
            "no completed revision shows how long it takes"
            if shown is None
            else f"revision {shown.revision} took {shown.seconds} s"
        )
        words = (
            f"not Ready {now - started_at(pod):.0f} s after its containers started ({measure}); "
            "if this is expected, set healthCheckGracePeriodSeconds or a startupProbe"
        )
    return Failure(
        cause=FailureCause(FailureKind.HEALTH, NOT_READY_IN_TIME),
        pod=pod.name,
        node=pod.node,
        message=words,
    )


def _find_best_state(
    pod: PodView, best: BestState, expected: Expectations, now: Instant
) -> tuple[BestState, list[Instant]]:
    """Return the best the pod has been, and when it will be better if nothing changes."""
    if best is BestState.HEALTHY:
        return best, []
    healthy = healthy_at(pod, expected)
    running = pod_running_at(pod)
    if healthy is None:
        return best, []
    if healthy <= now:
        return BestState.HEALTHY, []
    wakes = [healthy]
    if running is not None and running <= now:
        best = BestState.READY
    elif running is not None:
        wakes.append(running)
    return best, wakes


def _marked(counted: Counted) -> bool:
    return any(tally.runs or tally.waits for tally in counted.containers)
