"""Rules S, F7, H2 and T5: the breaker. Its memory, its states, and one look's worth of counting.

Theory. The breaker watches one rollout. Its status is no state of its own but follows from the
rollout's (``STATUS``), so the two can never disagree. While it is MONITORING it is in one of two
stages (``STAGES``): LAUNCH until one pod of the target revision has been RUNNING, then HEALTH for the
rest of the rollout (S1). One counter serves both stages (S2). A look folds every pod of the target
revision into the memory: first the pods that became healthy (H2), then the failures, so that a
failure seen together with a success is never forgotten. The order of pods does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

from tripswitch.domain.rules import counted_pods
from tripswitch.domain.rules.failure_words import describe_failure, describe_failures
from tripswitch.domain.rules.failures import UNKNOWN_BASE, judge
from tripswitch.domain.rules.health import Experience, expect, running_at, started_at
from tripswitch.domain.rules.sight import merge_needs
from tripswitch.domain.rules.threshold import compute_threshold
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.memory import Breaker, Counted, FailureRecord
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import CURRENT, Need, Sight
from tripswitch.domain.values.states import BreakerState, RolloutStatus, Seen, Stage
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Spec

STATUS = MappingProxyType(
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

STAGES = MappingProxyType(
    {(Stage.LAUNCH, "RUNNING"): Stage.HEALTH, (Stage.HEALTH, "RUNNING"): Stage.HEALTH}
)
"""The one way through the stages (S1)."""

MAX_RECORDS = 10
MAX_MESSAGE = 1024


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


def begin(
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
    return rebase(fresh, target, spec, now, experience, before=True)


def rebase(
    breaker: Breaker,
    target: ReplicaSetView | None,
    spec: Spec,
    now: Instant,
    experience: Experience | None = None,
    *,
    before: bool = False,
) -> Breaker:
    """Return the memory with everything the pods show now taken as seen, and nothing counted.

    For the start of a rollout, and for what happened while nothing was to be counted: a pause (R7),
    or a breaker that was disabled (S3).
    """
    if target is None:
        return breaker
    expected = expect(target, spec, now, experience, CURRENT)
    looks = counted_pods.look_at(breaker, target, expected, spec.breaker.policy, now, before=before)
    seen = [replace(look, after=_forget_attempts(look.after, now)) for look in looks]
    return counted_pods.remember_base_line(breaker, target, seen, spec, now)


def watch(
    breaker: Breaker,
    target: ReplicaSetView | None,
    spec: Spec,
    now: Instant,
    sight: Sight,
    experience: Experience | None = None,
) -> Watched:
    """Fold one look at the pods of the target revision into the breaker's memory."""
    threshold = compute_threshold(spec.breaker, spec.replicas)  # T4: at every look
    if target is None:
        return Watched(replace(breaker, threshold=threshold))
    known, policy = {entry.pod: entry for entry in breaker.counted}, spec.breaker.policy
    expected = expect(target, spec, now, experience, sight)
    looks = counted_pods.look_at(breaker, target, expected, policy, now)
    observed = counted_pods.admit(looks, known, policy)
    found = (failure for look in observed for failure in look.failures)
    failures = tuple(
        judged
        for failure in sorted(found, key=lambda failure: failure.pod)
        if (judged := judge(failure, policy)).verdict is not Verdict.IGNORE
    )
    # Healthy pods without an entry are known as a number: one more of them is another healthy pod.
    healthy = sum(_became_healthy(look.after, known) for look in observed)
    resets = spec.breaker.reset_on_healthy_task and healthy > (breaker.unlisted or 0)
    # S2: one counter for both kinds of failures.
    count = (0 if resets else breaker.failure_count) + sum(f.count for f in failures)
    records = tuple(r for r in breaker.failures if not resets or r.revision != target.revision)
    ran = any(look.after.seen is not Seen.NONE for look in observed)
    stage, stage_wake = _next_stage(breaker.stage, target.pods, now, ran=ran)
    after = replace(
        counted_pods.remember(breaker, observed, spec),
        stage=stage,
        threshold=threshold,
        failure_count=count,
        failures=_record(records, failures, target.revision, now),
    )
    wakes = [at for look in observed if (at := look.wake_at) is not None]
    return Watched(
        breaker=after,
        failures=failures,
        ready_seconds=None if breaker.unlisted else _measure(target.pods, known),
        cause=_find_cause(after, failures, target.revision),
        wake_at=min([*wakes, *stage_wake], default=None),
        need=merge_needs(look.need for look in observed if look.need is not None),
    )


def _forget_attempts(seen: Counted, now: Instant) -> Counted:
    """Take the attempts to start a container until now as seen; how many there were is read later (F2)."""
    return replace(
        seen,
        containers=tuple(
            tally if tally.since is None else replace(tally, since=now, base=UNKNOWN_BASE)
            for tally in seen.containers
        ),
    )


def _find_cause(breaker: Breaker, failures: tuple[Failure, ...], revision: int) -> str | None:
    """T5, and F6's FailNow."""
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
        math.ceil(max(0.0, pod.ready_since - started_at(pod)))
        for pod in pods
        if pod.live
        and pod.ready_since is not None
        and running_at(pod) is not None
        and (pod.uid not in known or not (known[pod.uid].before or known[pod.uid].seen))
    ]
    return max(lengths, default=None)


def _became_healthy(after: Counted, known: dict[str, Counted]) -> bool:
    """H2: another pod became healthy: for the first time, and not one from before the rollout."""
    before = known.get(after.pod)
    return (
        after.seen is Seen.HEALTHY
        and not after.before
        and (before is None or before.seen is not Seen.HEALTHY)
    )


def _next_stage(
    stage: Stage, pods: tuple[PodView, ...], now: Instant, *, ran: bool
) -> tuple[Stage, list[Instant]]:
    """S1. A pod that was Ready for long enough has been RUNNING, also if no look saw it (``ran``)."""
    if stage is Stage.HEALTH:
        return stage, []
    moments = [at for pod in pods if (at := running_at(pod)) is not None]
    if ran or any(at <= now for at in moments):
        return STAGES[stage, "RUNNING"], []
    return stage, moments


def _record(
    records: tuple[FailureRecord, ...],
    failures: tuple[Failure, ...],
    revision: int,
    now: Instant,
) -> tuple[FailureRecord, ...]:
    """Add failures to the records for people: same causes together, newest first, at most 10."""
    by_cause = {(r.revision, r.cause): r for r in reversed(records)}
    for failure in failures:
        key = (revision, failure.cause)
        earlier = by_cause.pop(key, None)
        by_cause[key] = FailureRecord(
            revision=revision,
            cause=failure.cause,
            pod=failure.pod,
            count=failure.count + (0 if earlier is None else earlier.count),
            last_seen=now,
            node=failure.node or None,
            message=failure.message[:MAX_MESSAGE],
            evidence=None if earlier is None else earlier.evidence,
        )
    return tuple(reversed(by_cause.values()))[:MAX_RECORDS]
