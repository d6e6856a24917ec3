"""Rules F1 and F2: runs of containers that ended, and containers that cannot start.

The marks of a container never fall, so that a failure that was counted is not counted again (F7).
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.ended_runs import (
    NewEnds,
    compute_ended_runs,
    count_new_sandboxes,
    find_new_ends,
)
from tripswitch.domain.rules.failed_pods import failed_as_a_whole
from tripswitch.domain.rules.failure_reasons import CANNOT_START, ENDED, IN_ONE_WORD
from tripswitch.domain.rules.health import (
    RUNNING_SECONDS,
)
from tripswitch.domain.rules.pulls import (
    REGISTRY_UNAVAILABLE,
    is_bare_back_off,
    is_registry_trouble,
)
from tripswitch.domain.rules.rule_result import RuleResult
from tripswitch.domain.rules.start_attempts import (
    compute_next_reading,
    find_attempts,
    is_trouble_of_node,
)
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.memory import Counted, Tally
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodView
from tripswitch.domain.values.sight import Need, Sight
from tripswitch.domain.values.states import BestState
from tripswitch.domain.values.time import Instant

NOTHING_YET = Tally("")
"""The marks of a container of which nothing was counted."""


def count_containers(pod: PodView, before: Counted, sight: Sight, now: Instant) -> RuleResult:
    """F1 and F2: ended runs, and attempts to start a container."""
    tallies = {tally.container: tally for tally in before.containers}
    sandboxes = max(
        (count_new_sandboxes(c, tallies.get(c.name, NOTHING_YET).runs) for c in pod.containers),
        default=0,
    )
    moved: dict[str, Tally] = {}
    failures: list[Failure] = []
    waiting_since: list[Instant] = []
    for container in pod.containers:
        tally = tallies.get(container.name, NOTHING_YET)
        after = _advance(container, tally, now, find_attempts(pod, container, tally, sight))
        rises = pod.generation - max(1, tally.generation)
        ends = find_new_ends(container, tally.runs, rises=rises, sandboxes=sandboxes)
        if ends.resized:
            after = replace(after, generation=pod.generation)
        if after.since is not None:
            waiting_since.append(after.since)
        if after != tally:
            moved[container.name] = after
            waits = after.waits - tally.waits
            best = _correct_best_state(before.best_state, container, tally, ends)
            failures += _container_failures(pod, container, waits, ends, best)
    marks = before
    if moved:
        tallies |= moved
        marks = replace(before, containers=tuple(tallies[name] for name in sorted(tallies)))
    readings = [compute_next_reading(since, sight) for since in waiting_since]
    return RuleResult(
        marks,
        # In a pod that failed as a whole, ended containers are the consequence, not the cause.
        failures=() if failed_as_a_whole(pod) else tuple(failures),
        wakes=tuple(due for due in readings if due > now),
        needs=tuple(Need(events=True) for due in readings if due <= now),
    )


def _advance(container: ContainerView, tally: Tally, now: Instant, attempts: int | None) -> Tally:
    """Raise the marks of one container; none ever falls, also when numbers of the pod's status fall (F7).

    ``attempts`` to start it are known from a reading of its pod's events; None without one.
    """
    ended = compute_ended_runs(container)
    stuck = (
        container.waiting in CANNOT_START
        and ended == 0
        and not is_trouble_of_node(container.message)
        and not is_bare_back_off(container.message)  # the next attempt says why
    )
    if not stuck:
        runs = max(tally.runs, ended)
        moved = runs != tally.runs or tally.since is not None
        return replace(tally, container=container.name, runs=runs, since=None) if moved else tally
    waits, base = max(tally.waits, 1), tally.base
    if attempts is not None:
        # What was tried before anything counted is left out: the base is what makes it nothing new.
        base = attempts - waits if base < 0 else base
        waits = max(waits, attempts - base)
    since = now if tally.since is None else tally.since
    after = replace(tally, container=container.name, since=since, waits=waits, base=base)
    return tally if after == tally else after


def _correct_best_state(
    best: BestState, container: ContainerView, tally: Tally, ends: NewEnds
) -> BestState:
    """Return the best the pod can have been before this end: not RUNNING if its first run was too short.

    That a pod ran for 5 s is concluded when they have passed and no end was told, which may come late.
    """
    last = ends.latest
    first = tally.runs == 0 and ends.count == 1 and container.role is not ContainerRole.INIT
    short = last is not None and 0 < last.seconds < RUNNING_SECONDS
    return BestState.NONE if best is BestState.READY and first and short else best


def _container_failures(
    pod: PodView, container: ContainerView, waits: int, ends: NewEnds, best: BestState
) -> list[Failure]:
    found = []
    if waits > 0 and container.waiting is not None:
        trouble = is_registry_trouble(container.waiting, container.message)  # F8
        found.append(
            Failure(
                cause=FailureCause(
                    FailureKind.LAUNCH,
                    REGISTRY_UNAVAILABLE if trouble else container.waiting,
                    container.name,
                ),
                pod=pod.name,
                count=waits,
                node=pod.node,
                message=container.message,
                verdict=Verdict.IGNORE if trouble else Verdict.COUNT,
            )
        )
    ended = ends.latest
    if ends.count:
        found.append(
            Failure(
                cause=FailureCause(
                    FailureKind.LAUNCH if best is BestState.NONE else FailureKind.HEALTH,  # F5
                    _ended_reason(container, ended),
                    container.name,
                    None if ended is None else ended.exit_code,
                    None if ended is None else ended.signal or None,
                ),
                pod=pod.name,
                count=ends.count,
                node=pod.node,
                message=(ended.message if ended is not None else "") or container.message,
            )
        )
    return found


def _ended_reason(container: ContainerView, ended: Ended | None) -> str:
    if container.waiting == "PostStartHookError":
        return container.waiting
    if ended is None:
        return "Error"
    reason = IN_ONE_WORD.get(ended.reason, ended.reason)
    if reason in ENDED:
        return reason
    return "Completed" if ended.exit_code == 0 and not ended.signal else "Error"
