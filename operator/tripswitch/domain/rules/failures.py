"""Rules F: how many failures a pod shows, and whose fault they are.

``count_failures`` compares a pod with what has been seen of it before (:class:`Counted`) and returns
what is new. Nothing here remembers anything: the marks it returns are written to the status, so a
restart, a repeated event or another leader neither loses nor doubles a failure (F7).

What a pod shows counts from any view. What is concluded from the absence of a report counts only where a
report that had come would be known (rules V); until then a :class:`Need` says what must be read anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tripswitch.domain.rules import failed_pods
from tripswitch.domain.rules.ended_runs import (
    NewEnds,
    compute_ended_runs,
    count_new_sandboxes,
    find_new_ends,
)
from tripswitch.domain.rules.health import (
    RUNNING_SECONDS,
    Expectations,
    health_deadline,
    healthy_at,
    lost_readiness,
    started_at,
)
from tripswitch.domain.rules.health import running_at as pod_running_at
from tripswitch.domain.rules.pulls import REGISTRY_UNAVAILABLE, is_registry_trouble
from tripswitch.domain.rules.sight import merge_needs
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.memory import Counted, Tally
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase, PodView
from tripswitch.domain.values.sight import AttemptEvent, Need, Sight
from tripswitch.domain.values.states import Seen
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import PolicyRule

CANNOT_START = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "PostStartHookError",
        "RunContainerError",
        "SignatureValidationFailed",
    }
)
"""Waiting reasons that are the revision's own fault (F2, F5). Any other one (ContainerCreating,
PodInitializing, a reason of a newer kubelet) never counts: the progress deadline covers it."""

PULLS = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "SignatureValidationFailed",
        REGISTRY_UNAVAILABLE,
    }
)
"""Reasons of failures of a container whose image is not there yet (F10)."""

ENDED = frozenset(
    {"Completed", "ContainerCannotRun", "Error", "OOMKilled", "SeccompKilled", "StartError"}
)
"""Reasons of an ended run (F1); an unknown one counts as Error."""

IN_ONE_WORD = {"seccomp killed": "SeccompKilled"}
"""Reasons of container runtimes that are no single word, and the word that stands for each. CRI-O ends a
container with this one after forbidden system calls, if its pod asks for that by an annotation."""

NOT_READY_IN_TIME = "NotReadyInTime"

FAILURE_REASONS = (
    CANNOT_START | ENDED | failed_pods.REASONS | {NOT_READY_IN_TIME, REGISTRY_UNAVAILABLE}
)
"""Every reason a failure can have: a closed set, fit for metric labels and ``onReasons``."""

NOTHING_YET = Tally("")
"""The marks of a container of which nothing was counted."""

ATTEMPT_SECONDS = 5.0
"""How often the events of containers that cannot start are read, in seconds (F2)."""

NO_ATTEMPTS = ("Error: ErrImagePull", "Error: ImagePullBackOff")
"""Events that only repeat another one, or that say that the kubelet waits."""

UNKNOWN_BASE = -1
"""``Tally.base`` of a container whose earlier attempts have not been read yet (F2)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What one look at one pod found: new marks, new failures, and when time alone adds more."""

    after: Counted
    failures: tuple[Failure, ...] = ()
    wake_at: Instant | None = None
    need: Need | None = None
    """What has to be read anew before more can be said (rules V)."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one rule found: the marks after it, new failures, and when or what to read again."""

    marks: Counted
    failures: tuple[Failure, ...] = ()
    wakes: tuple[Instant, ...] = ()
    needs: tuple[Need, ...] = ()


def count_failures(pod: PodView, before: Counted, expected: Expectations, now: Instant) -> Observed:
    """Return what is new about a pod of the target revision since ``before``.

    Four rules look at it one after the other, each with the marks that the one before it left.
    """
    containers = _count_containers(pod, before, expected.sight, now)
    whole_pod = _count_failed_pod(pod, containers.marks)
    late = _count_lateness(pod, whole_pod.marks, expected, now)
    best = _raise_best_seen(pod, late.marks, expected, now)
    return _combine(pod, (containers, whole_pod, late, best))


def _combine(pod: PodView, found: tuple[_Found, ...]) -> Observed:
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


def _count_containers(pod: PodView, before: Counted, sight: Sight, now: Instant) -> _Found:
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
        after = _advance(container, tally, now, _find_attempts(pod, container, tally, sight))
        rises = pod.generation - max(1, tally.generation)
        ends = find_new_ends(container, tally.runs, rises=rises, sandboxes=sandboxes)
        if ends.resized:
            after = replace(after, generation=pod.generation)
        if after.since is not None:
            waiting_since.append(after.since)
        if after != tally:
            moved[container.name] = after
            waits = after.waits - tally.waits
            seen = _correct_seen(before.seen, container, tally, ends)
            failures += _container_failures(pod, container, waits, ends, seen)
    marks = before
    if moved:
        tallies |= moved
        marks = replace(before, containers=tuple(tallies[name] for name in sorted(tallies)))
    readings = [_next_reading_at(since, sight) for since in waiting_since]
    return _Found(
        marks,
        # In a pod that failed as a whole, ended containers are the consequence, not the cause.
        failures=() if _failed_as_a_whole(pod) else tuple(failures),
        wakes=tuple(due for due in readings if due > now),
        needs=tuple(Need(events=True) for due in readings if due <= now),
    )


def _failed_as_a_whole(pod: PodView) -> bool:
    """Whether the pod's own status says why it failed (an eviction, a lost node)."""
    return pod.phase is PodPhase.FAILED and bool(pod.reason)


def _count_failed_pod(pod: PodView, marks: Counted) -> _Found:
    """F3: a pod that failed, once; where containers failed, they are what is counted."""
    if pod.phase is not PodPhase.FAILED or marks.failed:
        return _Found(marks)
    if _marked(marks) and not _failed_as_a_whole(pod):
        return _Found(marks)
    return _Found(replace(marks, failed=True), (_pod_failure(pod),))


def _count_lateness(pod: PodView, marks: Counted, expected: Expectations, now: Instant) -> _Found:
    """F4: a pod that missed its health deadline, once, and only where a report would be known."""
    deadline = health_deadline(pod, expected)
    if deadline is None:
        return _Found(marks)
    if deadline > now:  # also of one that was counted: it is replaced when it is late again
        return _Found(marks, wakes=(deadline,))
    if not expected.sight.confirms(deadline, pod.node):
        due, need = expected.sight.find_need(deadline, pod.node)
        return _Found(marks, wakes=(due,)) if due > now else _Found(marks, needs=(need,))
    if marks.unhealthy:
        return _Found(marks)
    return _Found(replace(marks, unhealthy=True), (_health_failure(pod, expected, now),))


def _raise_best_seen(pod: PodView, marks: Counted, expected: Expectations, now: Instant) -> _Found:
    """F5 and H2: the best that the pod has been, and when it will be better."""
    seen, wakes = _best_seen(pod, marks.seen, expected, now)
    return _Found(replace(marks, seen=seen), wakes=tuple(wakes))


def judge(failure: Failure, policy: tuple[PolicyRule, ...]) -> Failure:
    """Return the failure with the verdict of the first rule that matches it (F6)."""
    for rule in policy:
        if _matches(rule, failure):
            return replace(failure, verdict=rule.action)
    return failure


def count_attempts(events: Iterable[AttemptEvent], pod: PodView, container: str) -> int:
    """Return how often the kubelet failed to start a container, as the pod's events tell (F2).

    The kubelet writes two events about each failed pull and one about any other failed attempt. Waiting
    for the end of a back-off is no attempt, and neither is what is the node's own trouble.

    >>> pull = AttemptEvent("uid", "web", 'Failed to pull image "web:2": not found', count=2)
    >>> echo = AttemptEvent("uid", "web", "Error: ErrImagePull", count=2)
    >>> wait = AttemptEvent("uid", "web", "Error: ImagePullBackOff", count=5)
    >>> count_attempts([pull, echo, wait], PodView("web-1", "uid"), "web")
    2
    >>> missing = AttemptEvent("uid", "web", 'Error: configmap "settings" not found', count=3)
    >>> count_attempts([missing], PodView("web-1", "uid"), "web")
    3
    """
    return sum(
        event.count
        for event in events
        if event.pod == pod.uid
        and event.container in ("", container)
        and event.message.startswith(("Failed to pull image", "Error: "))
        and event.message not in NO_ATTEMPTS
        and not is_trouble_of_node(event.message)
    )


def is_trouble_of_node(message: str) -> bool:
    """Return whether a container waits for its node alone: a late cache, the node's own pull limit."""
    return ("failed to sync" in message and "cache" in message) or "pull QPS exceeded" in message


def _advance(container: ContainerView, tally: Tally, now: Instant, attempts: int | None) -> Tally:
    """Raise the marks of one container; none ever falls, also when numbers of the pod's status fall (F7).

    ``attempts`` to start it are known from a reading of its pod's events; None without one.
    """
    ended = compute_ended_runs(container)
    stuck = (
        container.waiting in CANNOT_START
        and ended == 0
        and not is_trouble_of_node(container.message)
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


def _find_attempts(
    pod: PodView, container: ContainerView, tally: Tally, sight: Sight
) -> int | None:
    """Return the attempts that a reading of the events tells of, None without one since it waits."""
    if sight.events is None or tally.since is None or sight.as_of <= tally.since:
        return None
    return count_attempts(sight.events, pod, container.name)


def _next_reading_at(since: Instant, sight: Sight) -> Instant:
    """Return when the events of a container that cannot start are to be read (again)."""
    return max(since, sight.as_of if sight.events is not None else 0.0) + ATTEMPT_SECONDS


def _correct_seen(seen: Seen, container: ContainerView, tally: Tally, ends: NewEnds) -> Seen:
    """Return the best the pod can have been before this end: not RUNNING if its first run was too short.

    That a pod ran for 5 s is concluded when they have passed and no end was told, which may come late.
    """
    last = ends.latest
    first = tally.runs == 0 and ends.count == 1 and container.role is not ContainerRole.INIT
    short = last is not None and 0 < last.seconds < RUNNING_SECONDS
    return Seen.NONE if seen is Seen.READY and first and short else seen


def _container_failures(
    pod: PodView, container: ContainerView, waits: int, ends: NewEnds, seen: Seen
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
                    FailureKind.LAUNCH if seen is Seen.NONE else FailureKind.HEALTH,  # F5
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
            f"lost its readiness and was not Ready again for {now - pod.unready_since:.0f} s; "
            "if this is expected, raise failureThreshold of the readinessProbe"
        )
    else:
        shown = expected.experience
        measure = (
            "no completed revision has shown how long it takes"
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


def _best_seen(
    pod: PodView, seen: Seen, expected: Expectations, now: Instant
) -> tuple[Seen, list[Instant]]:
    """Return the best the pod has been, and when it will be better if nothing changes."""
    if seen is Seen.HEALTHY:
        return seen, []
    healthy = healthy_at(pod, expected)
    running = pod_running_at(pod)
    if healthy is None:
        return seen, []
    if healthy <= now:
        return Seen.HEALTHY, []
    wakes = [healthy]
    if running is not None and running <= now:
        seen = Seen.READY
    elif running is not None:
        wakes.append(running)
    return seen, wakes


def _marked(counted: Counted) -> bool:
    return any(tally.runs or tally.waits for tally in counted.containers)


def _matches(rule: PolicyRule, failure: Failure) -> bool:
    cause = failure.cause
    if rule.reasons and cause.reason not in rule.reasons:
        return False
    if rule.container is not None and cause.container != rule.container:
        return False
    if rule.exit_codes:
        listed = cause.exit_code in rule.exit_codes
        return cause.exit_code is not None and listed is not rule.exit_codes_negated
    return True
