"""Rules F3 and F5 for a pod that failed as a whole: why, and whose fault it is.

A kubelet that rejects a pod sets the pod's phase to Failed before any container runs
(``pkg/kubelet/lifecycle``, ``pkg/kubelet/cm`` and ``pkg/kubelet/sysctl`` of Kubernetes have the words).
Nearly all of those reasons are about the node and the moment, and the ReplicaSet replaces such a pod
at once: three of them within a second say nothing about the revision.
"""

from __future__ import annotations

from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.pods import ContainerView, PodPhase, PodView

NODE_FAULTS = frozenset(
    {
        "InvalidNodeInfo",
        "NodeAffinity",
        "NodeLost",
        "NodeName",
        "NodePorts",
        "NodeShutdown",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "PodFeatureUnsupported",
        "Preempted",
        "Preempting",
        "SMTAlignmentError",
        "Shutdown",
        "TaintToleration",
        "Terminated",
        "TopologyAffinityError",
        "UnexpectedAdmissionError",
        "UnexpectedPredicateFailureType",
        "UnknownReason",
        "VolumeAttachmentLimitExceeded",
    }
)
"""Reasons of failed pods that are the node's or the scheduler's doing: never count (F5)."""

OUT_OF_RESOURCE = "OutOfResource"
"""``OutOf<any resource a node offers>``: never counts."""

POD_REJECTED = "PodRejected"
"""A rejection at admission for a reason that is in none of these lists: never counts."""

TEMPLATE_FAULTS = frozenset(
    {
        "AppArmor",
        "EmptyPodSharedPoolError",
        "InitContainerRestartPolicyForbidden",
        "PodLevelResourcesNotSupported",
        "PodOSNotSupported",
        "PodOSSelectorNodeLabelDoesNotMatch",
        "SupplementalGroupsPolicyNotSupported",
        "SysctlForbidden",
    }
)
"""Reasons for which a kubelet rejects a pod because of what its template asks for: they count (F5)."""

REJECTION = "Pod was rejected"
"""How the kubelet begins the message of every rejection at admission."""

NODE_EVICTIONS = ("The node had condition", "The node was low on resource", REJECTION)
"""How the kubelet begins the message of an eviction that is not the pod's own doing. Any other
eviction without DisruptionTarget means that the pod went over its own storage limit (F5)."""

POD_FAILED = frozenset({"DeadlineExceeded", "Evicted"})
"""Reasons of pods that were ended for their own doing, unless the words say otherwise."""

UNKNOWN_FAULT = "PodFailed"
"""A reason that is in none of these lists, of a pod that had begun to run: counts."""

REASONS = (
    NODE_FAULTS | TEMPLATE_FAULTS | POD_FAILED | {OUT_OF_RESOURCE, POD_REJECTED, UNKNOWN_FAULT}
)
"""Every reason that ``judge_failed_pod`` returns."""


def judge_failed_pod(pod: PodView) -> tuple[str, Verdict]:
    """Return the reason (F3), of a closed set, and the verdict of F5 on a pod in phase Failed."""
    reason = pod.reason
    if reason in POD_FAILED:
        by_node = reason == "Evicted" and pod.message.startswith(NODE_EVICTIONS)
        return reason, Verdict.IGNORE if by_node else Verdict.COUNT
    if reason in NODE_FAULTS:
        return reason, Verdict.IGNORE
    if reason in TEMPLATE_FAULTS:
        return reason, Verdict.COUNT
    if reason.startswith("OutOf"):
        return OUT_OF_RESOURCE, Verdict.IGNORE
    if reason and (pod.message.startswith(REJECTION) or not any(map(_has_run, pod.containers))):
        return POD_REJECTED, Verdict.IGNORE
    return UNKNOWN_FAULT, Verdict.COUNT


def _has_run(container: ContainerView) -> bool:
    seen = (container.running_since, container.ended, container.last_ended)
    return container.restarts > 0 or any(one is not None for one in seen)


def failed_as_a_whole(pod: PodView) -> bool:
    """Whether the pod's own status says why it failed (an eviction, a lost node)."""
    return pod.phase is PodPhase.FAILED and bool(pod.reason)
