"""Rules F: how many failures a pod shows, and whose fault they are.

``count_failures`` compares a pod with what has been seen of it before (:class:`Counted`) and returns
what is new. Nothing here remembers anything: the marks it returns are written to the status, so a
restart, a repeated event or another leader neither loses nor doubles a failure (F7).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tripswitch.domain import failed_pods
from tripswitch.domain.ended_runs import (
    NewEnds,
    compute_ended_runs,
    find_new_ends,
    runs_in_new_sandbox,
)
from tripswitch.domain.health import (
    Expectations,
    health_deadline,
    healthy_at,
    lost_readiness,
    started_at,
)
from tripswitch.domain.health import running_at as pod_running_at
from tripswitch.domain.model import (
    ContainerView,
    Ended,
    Instant,
    PodPhase,
    PodView,
    PolicyRule,
    Verdict,
)
from tripswitch.domain.status import Counted, FailureKind, Seen, Tally

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
    }
)
"""Waiting reasons of a container whose image is not there yet (F10)."""

ENDED = frozenset({"Completed", "ContainerCannotRun", "Error", "OOMKilled", "StartError"})
"""Reasons of an ended run that are passed on as they are; an unknown one counts as Error (F1)."""

NOT_READY_IN_TIME = "NotReadyInTime"
FAILURE_REASONS = CANNOT_START | ENDED | failed_pods.REASONS | {NOT_READY_IN_TIME}
"""Every reason a failure can have: a closed set, fit for metric labels and ``onReasons``."""

NOTHING_YET = Tally("")
"""The marks of a container of which nothing was counted."""

BACK_OFFS = (10, 20, 40, 80, 160, 300)
"""The kubelet's image pull back-off, in seconds; the last one repeats (F2)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """``count`` failures of one cause that a look found new."""

    kind: FailureKind
    reason: str
    pod: str
    count: int = 1
    container: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    node: str = ""
    message: str = ""
    verdict: Verdict = Verdict.COUNT


@dataclass(frozen=True, slots=True)
class Observed:
    """What one look at one pod found: new marks, new failures, and when time alone adds more."""

    after: Counted
    failures: tuple[Failure, ...] = ()
    wake_at: Instant | None = None


def count_failures(pod: PodView, before: Counted, expected: Expectations, now: Instant) -> Observed:
    """Return what is new about a pod of the target revision since ``before``."""
    tallies = {tally.container: tally for tally in before.containers}
    moved: dict[str, Tally] = {}
    failures: list[Failure] = []
    wakes: list[Instant] = []
    whole_pod = pod.phase is PodPhase.FAILED and bool(pod.reason)
    new_sandbox = any(
        runs_in_new_sandbox(one, tallies.get(one.name, NOTHING_YET).runs) for one in pod.containers
    )
    for container in pod.containers:
        tally = tallies.get(container.name, NOTHING_YET)
        after = _advance(container, tally, now)
        rises = pod.generation - max(1, tally.generation)
        ends = find_new_ends(container, tally.runs, rises=rises, new_sandbox=new_sandbox)
        if ends.resized:
            after = replace(after, generation=pod.generation)
        if after is not tally:
            moved[container.name] = after
            # In a pod that failed as a whole, ended containers are the consequence, not the cause.
            if not whole_pod:
                waits = after.waits - tally.waits
                failures += _container_failures(pod, container, waits, ends, before.seen)
        if after.since is not None:
            wakes.append(_next_back_off(after.since, now))
    counted = before
    if moved:
        tallies |= moved
        counted = replace(before, containers=tuple(tallies[name] for name in sorted(tallies)))
    if pod.phase is PodPhase.FAILED and not counted.failed and (whole_pod or not _marked(counted)):
        counted = replace(counted, failed=True)
        failures.append(_pod_failure(pod))
    deadline = health_deadline(pod, expected)
    if deadline is not None and deadline > now:
        wakes.append(deadline)  # also of one that was counted: it is replaced when it is late again
    elif deadline is not None and not counted.unhealthy:
        counted = replace(counted, unhealthy=True)
        failures.append(_health_failure(pod, expected, now))
    seen, seen_wakes = _best_seen(pod, before.seen, expected, now)
    if seen is not before.seen:
        counted = replace(counted, seen=seen)
    return Observed(
        after=counted,
        # F5: whatever a pod shows while it is being taken away is never its revision's fault. The
        # marks move on all the same, so that it is not counted later either.
        failures=() if pod.deleting or pod.disrupted else tuple(failures),
        wake_at=min([*wakes, *seen_wakes], default=None),
    )


def judge(failure: Failure, policy: tuple[PolicyRule, ...]) -> Failure:
    """Return the failure with the verdict of the first rule that matches it (F6)."""
    for rule in policy:
        if _matches(rule, failure):
            return replace(failure, verdict=rule.action)
    return failure


def compute_waits(elapsed: float) -> int:
    """Return the failures of a container that has been unable to start for ``elapsed`` s (F2).

    One at once, one more each time the kubelet's back-off has passed:

    >>> [compute_waits(s) for s in (0, 9, 10, 30, 70, 150, 310, 610, 910)]
    [1, 1, 2, 3, 4, 5, 6, 7, 8]

    A clock that went back takes nothing away:

    >>> compute_waits(-60)
    1
    """
    waits, passed = 1, 0.0
    while (passed := passed + _back_off(waits)) <= elapsed:
        waits += 1
    return waits


def _advance(container: ContainerView, tally: Tally, now: Instant) -> Tally:
    """Raise the marks of one container; none ever falls, whatever the pod's status says (F7)."""
    ended = compute_ended_runs(container)
    stuck = (
        container.waiting in CANNOT_START and ended == 0 and not _is_held_by_node(container.message)
    )
    if not stuck:
        runs = max(tally.runs, ended)
        moved = runs != tally.runs or tally.since is not None
        return replace(tally, container=container.name, runs=runs, since=None) if moved else tally
    # A wait that was interrupted by a blameless one goes on where it stopped, and counts again only
    # after the next back-off: a reason that flips back and forth must not count at every flip.
    since = now - _passed(tally.waits - 1) if tally.since is None else tally.since
    return replace(
        tally,
        container=container.name,
        since=since,
        waits=max(tally.waits, compute_waits(now - since)),
    )


def _container_failures(
    pod: PodView, container: ContainerView, waits: int, ends: NewEnds, seen: Seen
) -> list[Failure]:
    found = []
    if waits > 0 and container.waiting is not None:
        found.append(
            Failure(
                kind=FailureKind.LAUNCH,
                reason=container.waiting,
                pod=pod.name,
                count=waits,
                container=container.name,
                node=pod.node,
                message=container.message,
            )
        )
    ended = ends.latest
    if ends.count:
        found.append(
            Failure(
                kind=FailureKind.LAUNCH if seen is Seen.NONE else FailureKind.HEALTH,  # F5
                reason=_ended_reason(container, ended),
                pod=pod.name,
                count=ends.count,
                container=container.name,
                exit_code=None if ended is None else ended.exit_code,
                signal=None if ended is None else ended.signal or None,
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
    if ended.reason in ENDED:
        return ended.reason
    return "Completed" if ended.exit_code == 0 and not ended.signal else "Error"


def _is_held_by_node(words: str) -> bool:
    """Return whether a container waits for the kubelet itself: no attempt was made, none failed."""
    return ("failed to sync" in words and "cache" in words) or "pull QPS exceeded" in words


def _pod_failure(pod: PodView) -> Failure:
    """F3, with F5's verdict on the reason."""
    reason, verdict = failed_pods.judge_failed_pod(pod)
    return Failure(
        kind=FailureKind.LAUNCH,
        reason=reason,
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
        kind=FailureKind.HEALTH,
        reason=NOT_READY_IN_TIME,
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
    if rule.reasons and failure.reason not in rule.reasons:
        return False
    if rule.container is not None and failure.container != rule.container:
        return False
    if rule.exit_codes:
        listed = failure.exit_code in rule.exit_codes
        return failure.exit_code is not None and listed is not rule.exit_codes_negated
    return True


def _back_off(number: int) -> int:
    return BACK_OFFS[min(number, len(BACK_OFFS)) - 1]


def _passed(back_offs: int) -> float:
    """Return the seconds that so many back-offs take together."""
    return sum(_back_off(number) for number in range(1, back_offs + 1))


def _next_back_off(since: Instant, now: Instant) -> Instant:
    at, number = since, 0
    while at <= now:
        number += 1
        at += _back_off(number)
    return at
