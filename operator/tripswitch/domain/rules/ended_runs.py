"""Rule F1: which ended runs of a container are new, and which of them are its own fault (F5).

The kubelet shows at most the two latest ends of a container (``state.terminated`` and
``lastState.terminated``); all others are only a number, ``restartCount``. What the words below rely on
was read in the source of the kubelet of Kubernetes 1.36 and, but for resizes, recorded from it
(``tests/recordings``).
"""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodView

RESTARTED_ALL = "RestartingAllContainers"
"""The kubelet's reason for a container that it removed because another one asked for
``RestartAllContainers``. The container that asked gets it, too, once it is removed."""

LOST_SIGHT = "ContainerStatusUnknown"

NODE_ENDED = frozenset({LOST_SIGHT, "Unknown"})
"""Runs whose end the node lost sight of (a reboot, a restarted runtime): never count (F5)."""

IN_RESTART_COUNT = frozenset({LOST_SIGHT, RESTARTED_ALL})
"""Ends with which ``restartCount`` rises at once. It rises with the start of the next run otherwise."""

NOT_STARTED_YET = frozenset({"", "ContainerCreating", "PodInitializing", RESTARTED_ALL})
"""Waiting reasons of a container whose last end is in ``restartCount`` already."""

NOT_BY_RESIZE = frozenset({"ContainerCannotRun", "OOMKilled", "StartError"})
"""Reasons of ends that are not the kubelet's doing when it restarts a container to resize it."""


@dataclass(frozen=True, slots=True)
class NewEnds:
    """The ends of one container that a look found new and that are its own fault.

    ``latest`` is the latest of them that can be seen; None if only ``restartCount`` tells of them.
    ``resized`` says that at least one more was put down to an in-place resize.
    """

    count: int = 0
    latest: Ended | None = None
    resized: bool = False


def compute_ended_runs(container: ContainerView) -> int:
    """Return how many runs of a container have ended, for any reason (F1).

    >>> crashed = Ended(exit_code=2, reason="Error")
    >>> compute_ended_runs(ContainerView("web", restarts=1, running_since=0.0, last_ended=crashed))
    1
    >>> compute_ended_runs(
    ...     ContainerView("web", restarts=1, waiting="CrashLoopBackOff", last_ended=crashed)
    ... )
    2

    The latest run is left out if it did what it is for:

    >>> compute_ended_runs(
    ...     ContainerView("setup", ContainerRole.INIT, ended=Ended(0, "Completed"))
    ... )
    0
    """
    latest = container.ended
    if container.waiting is not None and container.waiting not in NOT_STARTED_YET:
        latest = container.last_ended
    if latest is None or latest.reason in IN_RESTART_COUNT or has_succeeded(container, latest):
        return container.restarts
    return container.restarts + 1


def count_new_sandboxes(container: ContainerView, known: int) -> int:
    """Return how often an init container was run again though it did not fail; 0 for any other one.

    This is the number of new sandboxes of its pod since ``known`` runs had ended. For each new sandbox the
    kubelet ends all other containers of the pod.
    """
    last = container.last_ended
    failed = last is not None and not has_succeeded(container, last)
    if container.role is not ContainerRole.INIT or failed:
        return 0
    return max(0, container.restarts - known)


def ended_for_others(pod: PodView, container: ContainerView, last: Ended) -> bool:
    """Return whether a container ended only as often as its node or a resize can explain.

    By F1 and F5 none of these ends is a failure. ``last`` is the latest; the container runs again.

    >>> reboot = Ended(exit_code=255, reason="Unknown")
    >>> ended_for_others(PodView("web-1", "uid"), ContainerView("web", restarts=1), reboot)
    True
    """
    explained = max((count_new_sandboxes(one, 0) for one in pod.containers), default=0)
    if last.reason in NODE_ENDED:
        explained = max(explained, 1)
    elif container.resize_restarts and last.reason not in NOT_BY_RESIZE:
        explained = max(explained, pod.generation - 1)
    return max(1, container.restarts) <= explained


def find_new_ends(
    container: ContainerView, known: int, *, rises: int = 0, sandboxes: int = 0
) -> NewEnds:
    """Return the ends beyond the ``known`` ones that are the container's own fault (F1, F5).

    Ends that cannot be seen any more count: three crashes and a reboot that are seen in one look are
    three failures.

    >>> lost = Ended(exit_code=255, reason="Unknown")
    >>> find_new_ends(ContainerView("web", restarts=4, running_since=0.0, last_ended=lost), 0).count
    3

    Args:
        container: The container as it is now.
        known: What ``compute_ended_runs`` returned at the looks before, at most.
        rises: How often its pod was changed since an end was last put down to a resize. This many ends
            of a container that a resize restarts are not its own fault.
        sandboxes: How many new sandboxes its pod had meanwhile: the latest ends are the kubelet's doing.
    """
    spared = 0 if container.role is ContainerRole.INIT else sandboxes
    new = compute_ended_runs(container) - known - spared
    if new <= 0 or container.device_unhealthy:
        return NewEnds()
    shown = [e for e in _shown(container)[spared : spared + new] if e.reason != RESTARTED_ALL]
    unseen = new - len(shown) if _counts_unseen(container) else 0
    failed = [e for e in shown if e.reason not in NODE_ENDED and not has_succeeded(container, e)]
    left = max(0, rises) if container.resize_restarts else 0
    own = []
    for end in failed:
        if left and end.reason not in NOT_BY_RESIZE:
            left -= 1
        else:
            own.append(end)
    count = len(own) + max(0, unseen - left)
    return NewEnds(count, own[0] if own else None, resized=count < len(failed) + unseen)


def _shown(container: ContainerView) -> list[Ended]:
    """Return the ends of ``compute_ended_runs`` that can be seen, latest first."""
    shown = [container.ended, container.last_ended]
    if container.ended is not None and has_succeeded(container, container.ended):
        shown = shown[1:]
    return [end for end in shown if end is not None]


def _counts_unseen(container: ContainerView) -> bool:
    """Return whether ends that nothing but ``restartCount`` tells of were the container's own fault."""
    if any(end.reason == RESTARTED_ALL for end in _shown(container)):
        return container.restarts_pod  # the others were ended by it
    if not _may_succeed(container):
        return True
    # It also runs again after a success (a new sandbox), and then the kubelet forgets the run before.
    last = container.last_ended
    return last is not None and last.reason not in NODE_ENDED and not has_succeeded(container, last)


def has_succeeded(container: ContainerView, end: Ended) -> bool:
    """Return whether a container did with this run what it is for, and is not meant to run again."""
    return _may_succeed(container) and end.exit_code == 0 and not end.signal


def _may_succeed(container: ContainerView) -> bool:
    return container.role is ContainerRole.INIT or container.may_complete
