"""Containers of a completed revision that restart again and again: shown, never acted upon.

A container that exits after a minute without a probe completes its rollout, by the rules and in ECS as
well. Nothing watches it afterwards (S3), so a condition, one event and a metric say so.
"""

from __future__ import annotations

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.ended_runs import NODE_ENDED
from tripswitch.domain.rules.health import STEADY_SECONDS
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodView
from tripswitch.domain.values.time import Instant

CRASH_LOOPING = "CrashLooping"
"""The condition's type. It is there only while it is True."""

MOST_RESTARTS = 3
"""A container that restarted more often, and ran for 10 minutes neither before nor since, is in a loop."""


def report_crash_loops(draft: Draft) -> Draft:
    """Say once that containers crash in a loop, and wake when the first of them has run for long enough."""
    words = describe_crash_loops(draft)
    if not words:
        return draft
    moments = [until for pod in _live_pods(draft) for one in _find_loops(pod, draft.now)
               if (until := _steady_at(one)) is not None]  # fmt: skip
    draft = draft.wake(min(moments, default=None))
    if any(condition.type == CRASH_LOOPING for condition in draft.memory.conditions):
        return draft
    return draft.say(EventReason.CRASH_LOOPING, words)


def describe_crash_loops(draft: Draft) -> str:
    """Return which containers of the completed revision restart again and again; empty if none does."""
    names: dict[str, int] = {}
    for pod in _live_pods(draft):
        for one in _find_loops(pod, draft.now):
            names[one.name] = names.get(one.name, 0) + 1
    if not names:
        return ""
    told = ", ".join(
        f"container {name} of {count} pod{'s' if count > 1 else ''}"
        for name, count in sorted(names.items())
    )
    return (
        f"revision {draft.rollout.revision} completed, but {told} restarted more than "
        f"{MOST_RESTARTS} times without running for {STEADY_SECONDS / 60:.0f} minutes"
    )


def _live_pods(draft: Draft) -> list[PodView]:
    """Return the pods of the completed revision; none while a rollout goes on or has failed."""
    if draft.rollout.status not in rollout_states.SUCCEEDED or draft.target is None:
        return []
    return [pod for pod in draft.target.pods if pod.live and not pod.disrupted]


def _find_loops(pod: PodView, now: Instant) -> list[ContainerView]:
    return [one for one in pod.containers if _is_looping(one, now)]


def _is_looping(container: ContainerView, now: Instant) -> bool:
    last = container.ended or container.last_ended
    if container.restarts <= MOST_RESTARTS or container.role is ContainerRole.INIT or last is None:
        return False
    steady = _steady_at(container)
    return (
        last.seconds < STEADY_SECONDS
        and last.reason not in NODE_ENDED
        and (steady is None or now < steady)
    )


def _steady_at(container: ContainerView) -> Instant | None:
    """Return when the present run will have lasted for long enough; None while there is none."""
    return None if container.running_since is None else container.running_since + STEADY_SECONDS
