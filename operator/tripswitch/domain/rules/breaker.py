"""Rules S, F7, H2 and T5: the breaker. Its memory, its states, and one look's worth of counting.

Theory. The breaker watches one rollout. Its status is not stored separately: it follows from the
rollout's status (``BREAKER_STATES``), so the two always agree. While it is MONITORING it is in one of two
stages: LAUNCH until one pod of the target revision has been RUNNING, then HEALTH for the
rest of the rollout (S1). One counter serves both stages (S2). A look folds every pod of the target
revision into the memory: first the pods that became healthy (H2), then the failures, so that a
failure seen together with a success is never forgotten. Only those of the very pod that became healthy
came before that. The order of pods does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

from tripswitch.domain.rules import counted_pods
from tripswitch.domain.rules.failure_policy import judge
from tripswitch.domain.rules.failure_records import record_failures
from tripswitch.domain.rules.failure_words import describe_failure, describe_failures
from tripswitch.domain.rules.failures import Observed
from tripswitch.domain.rules.health import Experience, expect, running_at, started_at
from tripswitch.domain.rules.sight import merge_needs
from tripswitch.domain.rules.start_attempts import UNKNOWN_BASE
from tripswitch.domain.rules.threshold import compute_threshold
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.memory import Breaker, Counted, FailureRecord
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import CURRENT, Need, Sight
from tripswitch.domain.values.states import BestState, BreakerState, RolloutStatus, Stage
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import PolicyRule, Spec

BREAKER_STATES = MappingProxyType(
    {
        RolloutStatus.PENDING: BreakerState.MONITORING,
        RolloutStatus.IN_PROGRESS: BreakerState.MONITORING,
        RolloutStatus.ROLLBACK_IN_PROGRESS: BreakerState.MONITORING,
        RolloutStatus.SUCCESSFUL: BreakerState.MONITORING_COMPLETE,
        RolloutStatus.ROLLBACK_SUCCESSFUL: BreakerState.MONITORING_COMPLETE,
        RolloutStatus.STOPPED: BreakerState.MONITORING_COMPLETE,
        RolloutStatus.FAILED: BreakerState.TRIGGERED,
        RolloutStatus.ROLLBACK_FAILED: BreakerState.TRIGGERED,
    }
)
"""The breaker's status for each rollout status (S3); DISABLED when it is not enabled."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One look of the breaker: its next memory and what the look found.

    ``cause`` says why it trips (T5 or FailNow), None while it does not.
    """

    breaker: Breaker
    failures: tuple[Failure, ...] = ()
    ready_seconds: int | None = None
    """The longest that a pod took to become Ready, of those that did so for the first time (F4)."""
    cause: str | None = None
    wake_at: Instant | None = None
    need: Need | None = None


def begin_breaker(
    spec: Spec,
    target: ReplicaSetView | None,
    now: Instant,
    failures: tuple[FailureRecord, ...] = (),
    experience: Experience | None = None,
) -> Breaker:
    """Return the memory at the start of a rollout.

    Pods that are there already start from their count at this moment, and their health will not
    reset the count (rule F, H2). ``failures`` of the rollout before stay to be read in a rollback.
    """
    threshold = compute_threshold(spec.breaker, spec.replicas)
    fresh = Breaker(threshold=threshold, failures=failures)
    return take_base_line(fresh, target, spec, now, experience, existed_before=True)


def take_base_line(
    breaker: Breaker,
    target: ReplicaSetView | None,
    spec: Spec,
    now: Instant,
    experience: Experience | None = None,
    *,
    existed_before: bool = False,
) -> Breaker:
    """Return the memory with everything the pods show now taken as seen, and nothing counted.

    For the start of a rollout, and for what happened while nothing was to be counted: a pause (R7),
    or a breaker that was disabled (S3).
    """
    if target is None:
        return breaker
    expected = expect(target, spec, now, experience, CURRENT)
    looks = counted_pods.look_at(
        breaker, target, expected, spec.breaker.policy, now, existed_before=existed_before
    )
    seen = [replace(look, after=_forget_attempts(look.after, now)) for look in looks]
    return counted_pods.remember_base_line(breaker, target, seen, spec, now)


def watch_pods(
    breaker: Breaker,
    target: ReplicaSetView | None,
    spec: Spec,
    now: Instant,
    sight: Sight,
    experience: Experience | None = None,
) -> Watched:
    """Fold one look at the pods of the target revision into the breaker's memory.

    The order is the rule: first the reset by a healthy pod (H2), then the new failures (S2), so that a
    failure seen together with a success is counted. A pod that became healthy has failed before that,
    also where no look saw it fail: a restart of the operator must not turn the order round (F7).
    """
    threshold = compute_threshold(spec.breaker, spec.replicas)  # T4: at every look
    if target is None:
        return Watched(replace(breaker, threshold=threshold))
    known, policy = {entry.pod: entry for entry in breaker.counted}, spec.breaker.policy
    expected = expect(target, spec, now, experience, sight)
    shown = counted_pods.look_at(breaker, target, expected, policy, now)
    looks = counted_pods.admit(shown, known, policy)
    failures = _judge_failures(looks, policy)
    resets = spec.breaker.reset_on_healthy_task and _has_healthier(looks, breaker, known)
    start = _reset(breaker, target.revision) if resets else breaker
    counting = failures
    if resets:
        counting = _judge_failures(_leave_out_overcome(looks, breaker, known), policy)
    stage, stage_wakes = _next_stage(breaker.stage, target.pods, looks, now)
    after = replace(
        counted_pods.remember(start, looks, spec),
        stage=stage,
        threshold=threshold,
        failure_count=start.failure_count + sum(failure.count for failure in counting),
        failures=record_failures(start.failures, counting, target.revision, now),
    )
    look_wakes = [look.wake_at for look in looks if look.wake_at is not None]
    return Watched(
        breaker=after,
        failures=failures,
        ready_seconds=None if breaker.unlisted else _measure(target.pods, known),
        cause=find_cause(after, failures, target.revision),
        wake_at=min([*look_wakes, *stage_wakes], default=None),
        need=merge_needs(look.need for look in looks if look.need is not None),
    )


def _judge_failures(looks: list[Observed], policy: tuple[PolicyRule, ...]) -> tuple[Failure, ...]:
    """Return the new failures that count, in the order of the pods' names (F6)."""
    judged = [judge(failure, policy) for look in looks for failure in look.failures]
    counting = [failure for failure in judged if failure.verdict is not Verdict.IGNORE]
    return tuple(sorted(counting, key=lambda failure: failure.pod))


def _has_healthier(looks: list[Observed], breaker: Breaker, known: dict[str, Counted]) -> bool:
    """Return whether another pod became healthy (H2).

    Healthy pods without an entry are remembered as a number (F7): more of them than before means one more
    healthy pod.
    """
    without_entry_before = breaker.unlisted or 0
    return sum(_became_healthy(look.after, known) for look in looks) > without_entry_before


def _leave_out_overcome(
    looks: list[Observed], breaker: Breaker, known: dict[str, Counted]
) -> list[Observed]:
    """Return the looks without those at pods that became healthy by them: their failures came before (H2).

    Which pods became healthy is known only where each of them has an entry (F7).
    """
    if breaker.unlisted is not None:
        return looks
    return [look for look in looks if not _became_healthy(look.after, known)]


def _reset(breaker: Breaker, revision: int) -> Breaker:
    """Return the memory with the count at 0 and without the revision's records (H2)."""
    others = tuple(record for record in breaker.failures if record.revision != revision)
    return replace(breaker, failure_count=0, failures=others)


def _forget_attempts(seen: Counted, now: Instant) -> Counted:
    """Take the attempts to start a container until now as seen; how many there were is read later (F2)."""
    return replace(
        seen,
        containers=tuple(
            tally if tally.since is None else replace(tally, since=now, base=UNKNOWN_BASE)
            for tally in seen.containers
        ),
    )


def find_cause(breaker: Breaker, failures: tuple[Failure, ...], revision: int) -> str | None:
    """Return why the breaker trips after these new failures (T5, and F6's FailNow); None: it does not."""
    for failure in failures:
        if failure.verdict is Verdict.FAIL_NOW:
            return f"failurePolicy says FailNow: {describe_failure(failure)} in pod {failure.pod}"
    if breaker.failure_count >= breaker.threshold:
        own = tuple(record for record in breaker.failures if record.revision == revision)
        plural = "" if breaker.failure_count == 1 else "s"
        counted = f"{breaker.failure_count} failure{plural} (threshold {breaker.threshold})"
        return f"{counted}: {describe_failures(own)}"
    return None


def _measure(pods: tuple[PodView, ...], known: dict[str, Counted]) -> int | None:
    """F4: how long pods took from started to Ready, in whole seconds; only their first time tells."""
    lengths = [
        math.ceil(max(pod.ready_after, pod.ready_since - started_at(pod)))
        for pod in pods
        if pod.live
        and pod.ready_since is not None
        and (
            pod.uid not in known or not (known[pod.uid].existed_before or known[pod.uid].best_state)
        )
        and running_at(pod) is not None
    ]
    return max(lengths, default=None)


def _became_healthy(after: Counted, known: dict[str, Counted]) -> bool:
    """H2: another pod became healthy: for the first time, and not one from before the rollout."""
    before = known.get(after.pod)
    return (
        after.best_state is BestState.HEALTHY
        and not after.existed_before
        and (before is None or before.best_state is not BestState.HEALTHY)
    )


def _next_stage(
    stage: Stage, pods: tuple[PodView, ...], looks: list[Observed], now: Instant
) -> tuple[Stage, list[Instant]]:
    """Return the stage after a look, and when time alone changes it (S1).

    A pod that was Ready for long enough has been RUNNING, also if no look saw it run.
    """
    if stage is Stage.HEALTH:
        return stage, []
    if any(look.after.best_state is not BestState.NONE for look in looks):
        return Stage.HEALTH, []
    moments = [at for pod in pods if (at := running_at(pod)) is not None]
    if any(at <= now for at in moments):
        return Stage.HEALTH, []
    return stage, moments
