"""Rules S and F10: fold one look at the pods of a rollout into the breaker, and tell the failures."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.breaker import find_cause, take_base_line, watch_pods
from tripswitch.domain.rules.counted_pods import forget
from tripswitch.domain.rules.digests import find_dropped
from tripswitch.domain.rules.failure_reasons import PULLS
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.registry_outage import excuse_outages
from tripswitch.domain.steps.use_evidence import take, tell_failure
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.failure_cause import FailureCause
from tripswitch.domain.values.states import BreakerState, RolloutKind
from tripswitch.domain.values.workload import PolicyRule

PULLS_IN_A_ROLLBACK = PolicyRule(Verdict.IGNORE, reasons=PULLS)
"""F10: the target has been pulled before, so it is the registry that is in trouble."""


def watch_rollout(draft: Draft) -> tuple[Draft, str | None]:
    """Fold the pods into the breaker; return why it trips, if it does."""
    breaker = draft.memory.circuit_breaker
    if not draft.spec.breaker.enable:
        return draft.with_memory(breaker=forget(breaker)), None
    if breaker.status is BreakerState.DISABLED:  # it was switched on in the middle of a rollout
        breaker = take_base_line(
            breaker, draft.target, draft.spec, draft.now, draft.experience, existed_before=True
        )
    spec = draft.spec
    policy = (*_excuse_pulls(draft), *spec.breaker.policy, *excuse_outages(draft))
    spec = replace(spec, breaker=replace(spec.breaker, policy=policy))
    watched = watch_pods(breaker, draft.target, spec, draft.now, draft.sight, draft.experience)
    new = sum(failure.count for failure in watched.failures)
    revisions = tuple(
        replace(
            record,
            failed_tasks=record.failed_tasks + new,
            ready_seconds=_longer(record.ready_seconds, watched.ready_seconds),
        )
        if record.revision == draft.rollout.revision
        else record
        for record in draft.memory.revisions
    )
    draft = draft.with_memory(breaker=watched.breaker, revisions=revisions).wake(watched.wake_at)
    draft = draft.need(watched.need)
    draft = take(replace(draft, failures=draft.failures + watched.failures))
    cause = watched.cause
    if draft.target is None:  # it was deleted; the threshold may have come down to the count (T4)
        cause = find_cause(watched.breaker, (), draft.rollout.revision)
    return _tell_failures(draft, watched.failures), cause


def _excuse_pulls(draft: Draft) -> tuple[PolicyRule, ...]:
    """F10, and D3: pulls that say nothing about the revision."""
    if draft.rollout.kind is RolloutKind.ROLLBACK:
        return (PULLS_IN_A_ROLLBACK,)
    record = draft.record(draft.rollout.revision)
    return tuple(
        PolicyRule(Verdict.IGNORE, reasons=PULLS, container=name)
        for name in find_dropped(() if record is None else record.container_images)
    )


def _longer(known: int | None, seen: int | None) -> int | None:
    return max((one for one in (known, seen) if one is not None), default=None)


def _tell_failures(draft: Draft, failures: tuple[Failure, ...]) -> Draft:
    """One event for each cause of this look, however many pods showed it."""
    by_cause: dict[FailureCause, list[Failure]] = {}
    for failure in failures:
        by_cause.setdefault(failure.cause, []).append(failure)
    for same in by_cause.values():
        first, *others = sorted({failure.pod for failure in same})
        named = f"pod {first}" + (f" and {len(others)} more" if others else "")
        draft = tell_failure(draft, same[-1], named)
    return draft
