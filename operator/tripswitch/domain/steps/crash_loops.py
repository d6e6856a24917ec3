"""Containers of a completed revision that restart again and again: shown, never acted upon.

A container that exits after a minute without a probe completes its rollout, by the rules and in ECS as
well. Nothing watches it afterwards (S3), so a condition, one event and a metric say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.ended_runs import NODE_ENDED
from tripswitch.domain.rules.health import STEADY_SECONDS
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import ShortRuns
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodView
from tripswitch.domain.values.time import Instant

CRASH_LOOPING = "CrashLooping"
"""The condition's type. It is there only while it is True."""

MOST_RESTARTS = 3
"""A container that restarted more often, and ran for 10 minutes at no time between, is in a loop."""

MOST_REMEMBERED = 50
"""Containers whose earlier restarts are remembered; of those beyond, each restart counts."""


def report_crash_loops(draft: Draft) -> Draft:
    """Say once that containers crash in a loop, and wake when the first of them has run for long enough."""
    short = _find_remembered(draft)
    moments = [moment for _, one in short if (moment := _steady_at(one)) is not None]
    draft = _remember(draft, short).wake(min(moments, default=None))
    words = describe_crash_loops(draft)
    if not words or any(one.type == CRASH_LOOPING for one in draft.memory.conditions):
        return draft
    return draft.say(EventReason.CRASH_LOOPING, words)


def describe_crash_loops(draft: Draft) -> str:
    """Return which containers of the completed revision restart again and again; empty if none does."""
    before = {(one.pod, one.container): one.restarts_before for one in draft.memory.short_runs}
    names: dict[str, int] = {}
    for pod, one in _find_short(_watched_pods(draft), draft.now):
        if one.restarts - before.get((pod.uid, one.name), 0) > MOST_RESTARTS:
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


def _find_remembered(draft: Draft) -> list[tuple[PodView, ContainerView]]:
    """Return what runs briefly in the completed revision, and what did before in pods that stay in a rollout."""
    watched = _watched_pods(draft)
    known = {(one.pod, one.container) for one in draft.memory.short_runs}
    if not known:
        return list(_find_short(watched, draft.now))
    names = {pod.uid for pod in watched}
    pods = (pod for one in draft.snapshot.replica_sets for pod in one.pods if pod.live)
    return [
        (pod, one)
        for pod, one in _find_short(pods, draft.now)
        if pod.uid in names or (pod.uid, one.name) in known
    ]


def _remember(draft: Draft, short: list[tuple[PodView, ContainerView]]) -> Draft:
    """Note from where the restarts of each container count: those before a run of 10 minutes do not."""
    found = {(pod.uid, one.name): _count_before(pod, one, draft.now) for pod, one in short}
    kept = {(one.pod, one.container): one for one in draft.memory.short_runs}
    runs = [kept[key] for key in kept if key in found]
    runs += [ShortRuns(*key, found[key]) for key in sorted(found.keys() - kept.keys())]
    return replace(draft, memory=replace(draft.memory, short_runs=tuple(runs[:MOST_REMEMBERED])))


def _count_before(pod: PodView, container: ContainerView, now: Instant) -> int:
    """Return the restarts before the first short run that is certain: the latest, if the pod is older."""
    if now - pod.created_at < STEADY_SECONDS:
        return 0
    restarted = container.running_since is not None
    return max(0, container.restarts - restarted)


def _watched_pods(draft: Draft) -> list[PodView]:
    """Return the pods of the completed revision; none while a rollout goes on or has failed."""
    if draft.rollout.status not in rollout_states.SUCCEEDED or draft.target is None:
        return []
    return [pod for pod in draft.target.pods if pod.live and not pod.disrupted]


def _find_short(pods: Iterable[PodView], now: Instant) -> Iterator[tuple[PodView, ContainerView]]:
    """Yield the containers whose latest run was short, and whose present one is not long yet."""
    for pod in pods:
        for one in pod.containers:
            last = one.ended or one.last_ended
            if last is None or one.role is ContainerRole.INIT or last.reason in NODE_ENDED:
                continue
            steady = _steady_at(one)
            if last.seconds < STEADY_SECONDS and (steady is None or now < steady):
                yield pod, one


def _steady_at(container: ContainerView) -> Instant | None:
    """Return when the present run will have lasted for long enough; None while there is none."""
    return None if container.running_since is None else container.running_since + STEADY_SECONDS
