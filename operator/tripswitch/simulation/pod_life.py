"""The life of one simulated pod, played as far as somebody looks."""

from __future__ import annotations

from collections.abc import Iterator

from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.sight import AttemptEvent
from tripswitch.domain.values.time import Instant
from tripswitch.simulation.kubelet import (
    ATTEMPT_FAILED,
    EVICTED_AFTER,
    Moment,
    is_failed_attempt,
    lose_node,
)


class PodLife:
    """One pod; the moments that are asked for never go back in time.

    Args:
        number: The how many-th pod of the cluster it is, from 0.
        moments: What the kubelet shows, in order; at least one moment.
        node_lost_at: When its node stops reporting, None if it does not.
    """

    def __init__(
        self, number: int, moments: Iterator[Moment], node_lost_at: Instant | None
    ) -> None:
        self.number = number
        self.node_lost_at = node_lost_at
        self._moments = moments
        self._current = next(moments)
        self._following = next(moments, None)
        self._attempts = 0

    def view(self, now: Instant) -> PodView:
        """Return the pod at a moment."""
        while self._following is not None and self._following.at <= now:
            self._current, self._following = self._following, next(self._moments, None)
            self._attempts += is_failed_attempt(self._current.pod)
        lost, pod = self.node_lost_at, self._current.pod
        return lose_node(pod, lost) if lost is not None and lost <= now else pod

    def read_events(self, now: Instant) -> AttemptEvent:
        """Return the kubelet's event about failed attempts to start the container."""
        return AttemptEvent(self.view(now).uid, "", ATTEMPT_FAILED, self._attempts)

    def next_change(self, now: Instant) -> Instant | None:
        """Return the first moment after ``now`` at which the pod changes, None if it never does."""
        self.view(now)
        ahead = [] if self._following is None else [self._following.at]
        if self.node_lost_at is not None:
            ahead += [self.node_lost_at, self.node_lost_at + EVICTED_AFTER]
        return min((at for at in ahead if at > now), default=None)

    def is_evicted(self, now: Instant) -> bool:
        """Return whether the pod is to be deleted, because its node was lost long enough ago."""
        return self.node_lost_at is not None and self.node_lost_at + EVICTED_AFTER <= now
