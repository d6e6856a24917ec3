"""The reasons that a failure can have: the closed set of rule F5.

They are metric labels, and words for ``failurePolicy.rules[].onReasons``.
"""

from __future__ import annotations

from tripswitch.domain.rules import failed_pods
from tripswitch.domain.rules.pulls import REGISTRY_UNAVAILABLE
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodPhase, PodView

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


def shows_failure(pod: PodView) -> bool:
    """Whether something went wrong in a pod, so that it should be looked at before others.

    It may say so of what does not count (F5), never the other way round: whether a failure counts is for
    :mod:`tripswitch.domain.rules.failures` to say.
    """
    if pod.deleting:
        return False
    return pod.phase is PodPhase.FAILED or any(map(_went_wrong, pod.containers))


def _went_wrong(one: ContainerView) -> bool:
    if one.restarts or one.last_ended is not None or one.waiting in CANNOT_START:
        return True
    done = one.role is ContainerRole.INIT and one.ended is not None and one.ended.exit_code == 0
    return one.ended is not None and not done
