"""Rule F2: how often the kubelet tried to start a container, which only the pod's events tell."""

from __future__ import annotations

from collections.abc import Iterable

from tripswitch.domain.values.memory import Tally
from tripswitch.domain.values.pods import ContainerView, PodView
from tripswitch.domain.values.sight import AttemptEvent, Sight
from tripswitch.domain.values.time import Instant

ATTEMPT_SECONDS = 5.0
"""How often the events of containers that cannot start are read, in seconds (F2)."""


NO_ATTEMPTS = ("Error: ErrImagePull", "Error: ImagePullBackOff")
"""Events that only repeat another one, or that say that the kubelet waits."""


UNKNOWN_BASE = -1
"""``Tally.base`` of a container whose earlier attempts have not been read yet (F2)."""


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


def find_attempts(pod: PodView, container: ContainerView, tally: Tally, sight: Sight) -> int | None:
    """Return the attempts that a reading of the events tells of, None without one since it waits."""
    if sight.events is None or tally.since is None or sight.as_of <= tally.since:
        return None
    return count_attempts(sight.events, pod, container.name)


def compute_next_reading(since: Instant, sight: Sight) -> Instant:
    """Return when the events of a container that cannot start are to be read (again)."""
    return max(since, sight.as_of if sight.events is not None else 0.0) + ATTEMPT_SECONDS
