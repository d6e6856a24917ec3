"""A kubelet for simulations: what a pod's status shows, moment after moment. Pure.

The times are those recorded of a real one with its default settings: a container starts a second
after its pod was made; after it ended it is started at once the first time, and then after a back-off
that doubles from 10 s to 300 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, repeat

from tripswitch.domain.values.pods import ContainerView, Ended, PodPhase, PodView
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Readiness
from tripswitch.simulation.script import Act, Line

START = 1.0
PULL = 1.5
RUN = 0.9
READY = 1.0
"""Seconds: from the pod to its container, to the first failed pull, of a run that crashes at once,
and from a container's start to a successful probe."""

SYNC = 12.0
"""Seconds between two tries to make a container whose configuration is not there."""
ATTEMPT_FAILED = "Error: the container cannot be started"
"""An event as the kubelet writes it about each such try and each failed pull."""

BACK_OFFS = (0.1, 12.0, 28.0, 43.0, 86.0, 173.0, 305.0)
EVICTED_AFTER = 340.0
"""Seconds after a node was lost until its pods are deleted: 40 s until it counts as not ready, and the
default toleration of 300 s."""

ENDS = {
    Act.CRASH: Ended(exit_code=2, reason="Error"),
    Act.OUT_OF_MEMORY: Ended(exit_code=137, reason="OOMKilled"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """From ``at`` on the pod is like this."""

    at: Instant
    pod: PodView


def play(pod: PodView, line: Line, readiness: Readiness, began: Instant) -> Iterator[Moment]:
    """Yield the life of a pod that was made at ``began``, moment after moment.

    Args:
        pod: Its name, UID and node.
        line: What it does.
        readiness: Whether its containers have readiness probes.
        began: When it was made.
    """
    pending = replace(pod, containers=(ContainerView("web", waiting="ContainerCreating"),))
    yield Moment(began, pending)
    yield from _continue(pending, line, readiness, began)


def _continue(pod: PodView, line: Line, readiness: Readiness, began: Instant) -> Iterator[Moment]:
    match line.act:
        case Act.FINE:
            yield from _run(pod, readiness, began + START)
        case Act.CRASH | Act.OUT_OF_MEMORY:
            yield from _crash(pod, line, readiness, began + START)
        case Act.PULL:
            for number in count():
                reason = "ImagePullBackOff" if number % 2 else "ErrImagePull"
                yield _waiting(pod, reason, "the image is not there", began + PULL + 14 * number)
        case Act.CONFIG:
            words = 'configmap "settings" not found'
            for number in count():
                at = began + START + SYNC * number
                yield _waiting(pod, "CreateContainerConfigError", words, at)
        case Act.UNREADY if line.seconds is not None:
            ready = list(_run(pod, readiness, began + START))
            yield from ready
            lost = max(began + START + line.seconds, ready[-1].at + 0.001)
            yield Moment(lost, replace(ready[-1].pod, ready_since=None, unready_since=lost))
        case Act.UNREADY:
            yield Moment(began + START, _running(pod, began + START))
        case Act.UNSCHEDULABLE:
            words = "Unschedulable: 0/2 nodes are available: 2 Insufficient cpu."
            nothing = (ContainerView("web"),)
            yield Moment(began, replace(pod, node="", waiting_for=words, containers=nothing))


def is_failed_attempt(pod: PodView) -> bool:
    """Return whether a moment of a pod's life is the end of an attempt to start its container."""
    return pod.containers[0].waiting in ("ErrImagePull", "CreateContainerConfigError")


def lose_node(pod: PodView, at: Instant) -> PodView:
    """Return a pod whose node has stopped reporting: Ready is taken away, nobody is to blame."""
    if pod.ready_since is None:
        return pod
    return replace(pod, ready_since=None, unready_since=at, unready_by_node=True)


def _run(pod: PodView, readiness: Readiness, start: Instant) -> Iterator[Moment]:
    running = _running(pod, start)
    if readiness.all_probed:
        yield Moment(start, running)
        start += READY
    yield Moment(start, replace(running, ready_since=start))


def _running(pod: PodView, start: Instant, restarts: int = 0) -> PodView:
    container = ContainerView("web", running_since=start, started=True, restarts=restarts)
    return replace(pod, phase=PodPhase.RUNNING, containers=(container,))


def _crash(pod: PodView, line: Line, readiness: Readiness, start: Instant) -> Iterator[Moment]:
    lasts, ended = max(RUN, line.seconds or 0.0), ENDS[line.act]
    for restarts, back_off in enumerate(chain(BACK_OFFS, repeat(BACK_OFFS[-1]))):
        running = _running(pod, start, restarts)
        last = ended if restarts else None
        running = replace(running, containers=(replace(running.containers[0], last_ended=last),))
        ready = start + (READY if readiness.all_probed else 0.0)
        yield Moment(start, running)
        if ready < start + lasts:
            yield Moment(ready, replace(running, ready_since=ready))
        end = start + lasts
        down = ContainerView("web", restarts=restarts, ended=ended, last_ended=last)
        yield Moment(end, replace(running, containers=(down,)))
        if back_off > 1.0:
            waits = replace(down, ended=None, waiting="CrashLoopBackOff", last_ended=ended)
            yield Moment(end + 1.0, replace(running, containers=(waits,)))
        start = round(end + back_off, 3)


def _waiting(pod: PodView, reason: str, words: str, at: Instant) -> Moment:
    container = ContainerView("web", waiting=reason, message=words)
    return Moment(at, replace(pod, containers=(container,)))
