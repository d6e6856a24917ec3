"""Rule R8: the storm brake on a ReplicaSet whose pods fail as soon as they are made.

A kubelet that rejects a pod fails it within a second, and the ReplicaSet makes the next one at once: without a
brake thousands in ten minutes, none of which is the revision's fault (F5).

Theory. A storm begins when more than ``max(5, replicas)`` pods that were made within 60 s have failed. From then
on the ReplicaSet is held at its live pods that have a node for 10 s or are Ready, and nothing is replaced. After 10 s it may make one pod more, and
after 20, 40 ... 300 s more another one, until one stays. A pod stays when it has a node and has lived for 10 s. Then
two more may be made at once, then four, so that a good rollout loses little time; a pod that fails among them
begins with one at a time again. The storm is over when nothing is missing any more.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tripswitch.domain.values.pods import PodPhase, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.storm import Storm
from tripswitch.domain.values.time import Instant

LEAST_MANY = 5
"""Pods that may fail within ``WINDOW_SECONDS``; ``replicas`` where that is the larger number."""
WINDOW_SECONDS = 60.0
FIRST_WAIT = 10.0
LONGEST_WAIT = 300.0
MAX_WORDS = 300
STAY_SECONDS = 10.0
"""A pod that a node has had for so long was taken in: a kubelet rejects within a second or two."""


def watch_storm(
    before: Storm | None, rs: ReplicaSetView, wanted: int, replicas: int, now: Instant
) -> Storm | None:
    """Return the storm of a ReplicaSet after this look; None if there is none or it is over (R8).

    Args:
        before: The storm as it was remembered.
        rs: The ReplicaSet with its pods.
        wanted: The size it is to have without the brake.
        replicas: ``spec.replicas``.
        now: The moment.
    """
    if before is None:
        return _find_storm(rs, wanted, replicas, now)
    storm = replace(before, size=wanted, message=_find_words(rs) or before.message)
    made = _find_made(storm, rs)
    if _is_whole(rs, wanted, now):
        return None
    staying = _count_staying(rs, now)
    if storm.batch and len(made) >= storm.batch and all(_stays(pod, now) for pod in made):
        return _try(storm, staying, now, batch=2 * storm.batch, tries=0)
    if now >= next_try_at(storm):
        return _try(storm, staying, now, batch=1, tries=storm.tries + 1)
    return storm


def compute_cap(storm: Storm, rs: ReplicaSetView, now: Instant) -> int:
    """Return the size at which a ReplicaSet is held: the pods that stay, and what may be made now.

    Pods that a node has had for a moment only are not among them: at any time the ones that are about to fail
    are there, and a ReplicaSet that is held at those would go on replacing them.
    """
    failed = sum(not pod.live for pod in _find_made(storm, rs))
    return max(_count_staying(rs, now), storm.allowed - failed)


def next_try_at(storm: Storm) -> Instant:
    """Return when one more pod may be made.

    >>> storm = Storm("web-1", began_at=0.0, tried_at=0.0, size=4)
    >>> [next_try_at(replace(storm, tries=tries)) for tries in (0, 1, 2, 3, 4, 5, 6)]
    [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    """
    return storm.tried_at + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(storm.tries, 10))


def find_next_look(storm: Storm, rs: ReplicaSetView, now: Instant) -> Instant:
    """Return when time alone changes something: a pod that was made has stayed, or one more may be made."""
    young = [pod.created_at + STAY_SECONDS for pod in rs.pods if pod.live and _is_young(pod, now)]
    return min([next_try_at(storm), *young])


def describe_storm(storm: Storm) -> str:
    """Return what is going on, for an event and a condition."""
    wait = round(next_try_at(storm) - storm.tried_at)
    words = f" ({storm.message})" if storm.message else ""
    return (
        f"pods of ReplicaSet {storm.replica_set} fail as soon as they are created{words}: it is kept at its live "
        f"pods, and another pod is tried {wait} s after the last one"
    )


def count_live(rs: ReplicaSetView) -> int:
    """Return the pods that a ReplicaSet counts."""
    return sum(pod.live for pod in rs.pods)


def _find_storm(rs: ReplicaSetView, wanted: int, replicas: int, now: Instant) -> Storm | None:
    failed = [pod for pod in rs.pods if _is_failed(pod) and pod.created_at > now - WINDOW_SECONDS]
    if len(failed) <= max(LEAST_MANY, replicas) or _is_whole(rs, wanted, now):
        return None
    return Storm(rs.name, now, now, wanted, message=_find_words(rs))


def _is_whole(rs: ReplicaSetView, wanted: int, now: Instant) -> bool:
    """Return whether nothing is missing, and no pod may be about to fail."""
    return count_live(rs) >= wanted and not any(pod.live and _is_young(pod, now) for pod in rs.pods)


def _try(storm: Storm, staying: int, now: Instant, *, batch: int, tries: int) -> Storm:
    return replace(storm, tried_at=now, allowed=staying + batch, batch=batch, tries=tries)


def _find_made(storm: Storm, rs: ReplicaSetView) -> list[PodView]:
    """Return the pods that were made since the last try began; moments of pods are in whole seconds."""
    return [pod for pod in rs.pods if pod.created_at >= math.floor(storm.tried_at)]


def _count_staying(rs: ReplicaSetView, now: Instant) -> int:
    return sum((pod.ready_since is not None and pod.live) or _stays(pod, now) for pod in rs.pods)


def _is_failed(pod: PodView) -> bool:
    return pod.phase is PodPhase.FAILED


def _stays(pod: PodView, now: Instant) -> bool:
    return pod.live and bool(pod.node) and not _is_young(pod, now)


def _is_young(pod: PodView, now: Instant) -> bool:
    return now < pod.created_at + STAY_SECONDS


def _find_words(rs: ReplicaSetView) -> str:
    """Return why the latest pod failed."""
    failed = max(
        (pod for pod in rs.pods if _is_failed(pod)),
        key=lambda pod: (pod.created_at, pod.name),
        default=None,
    )
    if failed is None:
        return ""
    words = f"{failed.reason}: {failed.message}" if failed.message else failed.reason
    return words[:MAX_WORDS]
