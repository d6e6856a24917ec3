"""What a pod that is not healthy waits for, in words."""

from __future__ import annotations

from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodView

MAX_WORDS = 200
"""Characters of one pod's words in a message that joins several."""
HEAD = 80
"""How many of them come from the beginning, if there are more."""


def describe_pod(pod: PodView, set_up_words: str = "") -> str:
    """Return what a pod that is not healthy waits for; ``set_up_words`` say why it is not set up, if that is known."""
    for container in pod.containers:
        if container.waiting and container.waiting != "PodInitializing":
            held = pod.waiting_for or _describe_waiting(container)
            if set_up_words and pod.being_set_up:
                held = f"{container.waiting}: {set_up_words}"
            return shorten(f"container {container.name} {held}")
    if pod.waiting_for:
        return shorten(pod.waiting_for)
    if pod.ready_since is None:
        up = any(
            c.running_since is not None and c.role is not ContainerRole.INIT for c in pod.containers
        )
        return "running, not Ready" if up else "not started"
    return "Ready, but not yet for minReadySeconds"


def _describe_waiting(container: ContainerView) -> str:
    """Return a waiting container's reason and message.

    The message of a back-off names the pod, so it would keep pods that wait for the same from being counted
    together.
    """
    if container.waiting == "CrashLoopBackOff" or not container.message:
        return str(container.waiting)
    return f"{container.waiting}: {container.message}"


def shorten(words: str) -> str:
    """Return words of a limited length, without their middle: what a thing is and its cause stand at the ends.

    >>> shorten("short"), len(shorten("long" * 100))
    ('short', 200)
    >>> shorten("container web ErrImagePull: " + "x" * 300 + ": connect: connection refused")[-27:]
    'connect: connection refused'
    """
    if len(words) <= MAX_WORDS:
        return words
    return f"{words[:HEAD]} ... {words[HEAD + 5 - MAX_WORDS :]}"
