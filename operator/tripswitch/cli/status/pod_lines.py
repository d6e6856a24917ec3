"""What a pod does right now, and why it is not healthy: one pod view -> one line. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.cli.formatting import format_age, one_line, plural
from tripswitch.cluster.pods import SETTING_UP
from tripswitch.domain.rules.ended_runs import has_succeeded
from tripswitch.domain.rules.failure_reasons import CANNOT_START
from tripswitch.domain.rules.failure_words import describe_end
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase, PodView
from tripswitch.domain.values.time import Instant


class Tone(StrEnum):
    """How good it is."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class PodLine:
    """One pod, for people. ``state`` is one word, ``why`` the rest of the sentence."""

    name: str
    tone: Tone
    state: str
    why: str = ""
    node: str = ""
    restarts: int = 0


def describe_pod(pod: PodView, now: Instant) -> PodLine:
    """Return what to say of a pod: the worst thing about it first."""
    tone, state, why = _judge(pod, now)
    restarts = sum(container.restarts for container in pod.containers)
    return PodLine(pod.name, tone, state, one_line(why), pod.node, restarts)


def _judge(pod: PodView, now: Instant) -> tuple[Tone, str, str]:
    if pod.deleting:
        return Tone.GONE, "Terminating", ""
    if pod.phase is PodPhase.FAILED:
        return Tone.BAD, pod.reason or "Failed", pod.message or _ends(pod)
    if pod.disrupted:
        return Tone.GONE, "Disrupted", "evicted, preempted or drained: does not count as a failure"
    for container in sorted(pod.containers, key=lambda c: c.role is ContainerRole.APP):
        found = _judge_container(container)
        if found is not None:
            return found
    if pod.waiting_for:
        reason, _, words = pod.waiting_for.partition(": ")
        return Tone.WAITING, reason, words
    if pod.ready_since is not None:
        return Tone.GOOD, "Ready", f"for {format_age(now - pod.ready_since)}"
    return _judge_unready(pod, now)


def _judge_container(container: ContainerView) -> tuple[Tone, str, str] | None:
    """Return what is wrong with a container; None when it runs, or has yet to begin."""
    name, waiting = container.name, container.waiting
    if waiting in CANNOT_START or waiting == "CrashLoopBackOff":
        ended = container.last_ended
        if ended is not None and waiting != "PostStartHookError":
            return Tone.BAD, str(waiting), f"container {name} {_end(ended)}{_restarts(container)}"
        return Tone.BAD, str(waiting), f"container {name}: {container.message or waiting}"
    ended = container.ended
    if ended is not None and not has_succeeded(container, ended):
        why = f"container {name} {_end(ended)}{_restarts(container)}"
        return Tone.BAD, ended.reason or "Error", why
    if waiting and waiting not in SETTING_UP:
        return Tone.WAITING, waiting, f"container {name}: {container.message}"
    return None


def _judge_unready(pod: PodView, now: Instant) -> tuple[Tone, str, str]:
    started = [c.running_since for c in pod.containers if c.running_since is not None]
    if pod.unready_by_node:
        return Tone.WAITING, "NodeSilent", "its node has stopped reporting"
    crashed = next((c for c in pod.containers if c.last_ended is not None and c.restarts), None)
    last = (
        f"; container {crashed.name} {_end(crashed.last_ended)}{_restarts(crashed)}"
        if crashed is not None and crashed.last_ended is not None
        else ""
    )
    if pod.unready_since is not None:
        since = format_age(now - pod.unready_since)
        return Tone.BAD, "NotReady", f"lost its readiness {since} ago{last}"
    if started and pod.phase is PodPhase.RUNNING:
        return Tone.WAITING, "Running", f"not Ready yet, for {format_age(now - max(started))}{last}"
    return Tone.WAITING, pod.phase.value, ""


def _ends(pod: PodView) -> str:
    ends = [c for c in pod.containers if c.ended is not None and not _is_success(c.ended)]
    return "; ".join(f"container {c.name} {_end(c.ended)}" for c in ends if c.ended is not None)


def _end(ended: Ended) -> str:
    """Return how a run ended, and what the container said last."""
    words = f": {ended.message}" if ended.message else ""
    return f"{describe_end(ended.exit_code, ended.signal, ended.reason)}{words}"


def _restarts(container: ContainerView) -> str:
    return f", {plural(container.restarts, 'restart')}" if container.restarts else ""


def _is_success(ended: Ended) -> bool:
    return ended.exit_code == 0 and not ended.signal
