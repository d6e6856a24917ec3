"""The reasons that a failure can have: the closed set of rule F5.

They are metric labels, and words for ``failurePolicy.rules[].onReasons``.
"""

from __future__ import annotations

from tripswitch.domain.rules import failed_pods
from tripswitch.domain.rules.pulls import REGISTRY_UNAVAILABLE

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
