"""Rules K1 and C4: lifecycle hooks of type PAUSE, at which a rollout waits for a person.

Theory. Each stage of a rollout is passed once. When the rollout reaches a stage, one execution begins of
each hook that names the stage, all at the same time, and each with an id of its own that no other rollout
has. An execution waits (AWAITING_ACTION) until a person answers it (SUCCEEDED, FAILED) or its time is up
(TIMED_OUT), and then never changes again. The rollout goes on when none waits any more, and is stopped
as soon as one asks for a rollback. What happened is a part of the rollout's memory, and an answer names
the id: a new operator process or a repeated answer changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from tripswitch.domain.rules.sight import compute_due
from tripswitch.domain.values.hooks import Hook, HookAction, HookSpec, HookStatus, LifecycleStage
from tripswitch.domain.values.sight import EVER, Standstill
from tripswitch.domain.values.time import Instant

ANSWERED = MappingProxyType(
    {HookAction.CONTINUE: HookStatus.SUCCEEDED, HookAction.ROLLBACK: HookStatus.FAILED}
)
"""The status of a hook after each answer."""


def compute_hook_id(rollout_id: str, stage: LifecycleStage, index: int) -> str:
    """Return the id of a hook's execution.

    >>> compute_hook_id("uid-1/2/1800000000.0", LifecycleStage.PRE_SCALE_UP, 0)
    'pause-f81b046e41962bac'

    Args:
        rollout_id: What no other rollout has: the object's UID, the revision and the start.
        stage: The stage at which it waits.
        index: Its place in ``lifecycleHooks``.
    """
    text = f"{rollout_id}/{stage}/{index}"
    return f"pause-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def begin_hooks(
    wanted: Iterable[HookSpec], stage: LifecycleStage, rollout_id: str, now: Instant
) -> tuple[Hook, ...]:
    """Return the executions that begin when a rollout reaches a stage."""
    return tuple(
        Hook(
            hook_id=compute_hook_id(rollout_id, stage, index),
            lifecycle_stage=stage,
            started_at=now,
            expires_at=round(now + hook.timeout_seconds, 3),
            timeout_action=hook.timeout_action,
        )
        for index, hook in enumerate(wanted)
        if stage in hook.stages
    )


def find_waiting(hooks: Iterable[Hook]) -> tuple[Hook, ...]:
    """Return those that wait for an answer."""
    return tuple(hook for hook in hooks if hook.status is HookStatus.AWAITING_ACTION)


def read_answers(text: str | None) -> Mapping[str, HookAction]:
    """Return the answers that the annotation gives; several are separated by commas (C4).

    >>> read_answers("pause-1/CONTINUE, pause-2/ROLLBACK")
    {'pause-1': <HookAction.CONTINUE: 'CONTINUE'>, 'pause-2': <HookAction.ROLLBACK: 'ROLLBACK'>}

    What is no answer is left out:

    >>> read_answers("pause-1/PERHAPS,pause-2,,")
    {}
    """
    pairs = (part.strip().partition("/") for part in (text or "").split(","))
    return {
        hook: HookAction(action) for hook, _, action in pairs if action in HookAction.__members__
    }


def answer_hooks(hooks: Iterable[Hook], answers: Mapping[str, HookAction]) -> tuple[Hook, ...]:
    """Return the hooks after a person's answers; a hook that does not wait has no use for one."""
    return tuple(
        replace(hook, status=ANSWERED[answers[hook.hook_id]])
        if hook.status is HookStatus.AWAITING_ACTION and hook.hook_id in answers
        else hook
        for hook in hooks
    )


def compute_timeout(hook: Hook, standstills: tuple[Standstill, ...]) -> Instant:
    """Return when the time of a hook is up: it does not run in an outage, in which nobody could answer (V2).

    Where it is not known since when no operator has looked, an outage is not known either, and the time has
    passed: a hook must not wait for ever because the operator is started again and again.
    """
    known = tuple(stood for stood in standstills if stood.began > EVER)
    return compute_due(hook.started_at, hook.expires_at - hook.started_at, known)


def time_out_hooks(
    hooks: Iterable[Hook], now: Instant, standstills: tuple[Standstill, ...]
) -> tuple[Hook, ...]:
    """Return the hooks, those TIMED_OUT that have waited for as long as they may."""
    return tuple(
        replace(hook, status=HookStatus.TIMED_OUT)
        if hook.status is HookStatus.AWAITING_ACTION and compute_timeout(hook, standstills) <= now
        else hook
        for hook in hooks
    )


def put_off(hooks: Iterable[Hook], seconds: float) -> tuple[Hook, ...]:
    """Return the hooks after a pause of so many seconds: those that wait have as long as before (R7)."""
    return tuple(
        replace(
            hook,
            started_at=round(hook.started_at + seconds, 3),
            expires_at=round(hook.expires_at + seconds, 3),
        )
        if hook.status is HookStatus.AWAITING_ACTION
        else hook
        for hook in hooks
    )


def asks_for_rollback(hook: Hook) -> bool:
    """Return whether a hook stops its rollout."""
    timed_out = hook.status is HookStatus.TIMED_OUT
    return hook.status is HookStatus.FAILED or (
        timed_out and hook.timeout_action is HookAction.ROLLBACK
    )


def describe_hook(hook: Hook) -> str:
    """Return what a hook waits for, and what happens without it.

    >>> describe_hook(Hook("pause-1", LifecycleStage.PRE_SCALE_UP, 0.0, 5400.0))
    'hook pause-1 waits at PRE_SCALE_UP for an answer, and rolls back after 90 min without one'
    """
    minutes = round((hook.expires_at - hook.started_at) / 60)
    ends = "rolls back" if hook.timeout_action is HookAction.ROLLBACK else "continues"
    return (
        f"hook {hook.hook_id} waits at {hook.lifecycle_stage} for an answer, and {ends} after "
        f"{minutes} min without one"
    )
