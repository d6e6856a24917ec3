"""What the pods of a rollout wait for, in words: for messages and for the reason of a late rollout (P1)."""

from __future__ import annotations

from tripswitch.domain.rules.evidence import waiting_topic
from tripswitch.domain.rules.pod_words import describe_pod, shorten
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.ordered_pods import describe_ordered_wait
from tripswitch.domain.steps.pin_images import describe_gone_images
from tripswitch.domain.values.pods import OVER
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.workload import Recreate


def describe_lateness(draft: Draft) -> str:
    """Return why a rollout is late: what its pods wait for, by their status, most frequent first (P1)."""
    healthy, most = (
        draft.counts_of(draft.rollout.revision).healthy,
        draft.rollout.healthy_high_water,
    )
    flaps = f" (at most {most} at once)" if healthy < most else ""  # H3
    told = (
        f"{healthy} of {draft.spec.replicas} pods healthy{flaps}, no progress for "
        f"{draft.progress_deadline} s"
    )
    words = compute_waiting_words(draft)
    return f"{told}: {words}" if words else told


def compute_waiting_words(draft: Draft) -> str:
    """Return what keeps the target's pods from being healthy, joined in one clause."""
    error = draft.snapshot.create_error
    if error is not None and error.digest == draft.spec.template.digest and error.message:
        return error.message
    if gone := describe_gone_images(draft, draft.rollout.revision):
        return gone
    if waits := describe_ordered_wait(draft):
        return waits
    reasons: dict[str, int] = {}
    if (leaving := _count_leaving(draft)) > 0:
        reasons["an old pod that is still terminating (Recreate)"] = leaving
    if draft.target is not None:
        _add_pod_words(draft, draft.target, reasons)
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{words} (x{count})" if count > 1 else words for words, count in ranked[:3])


def _add_pod_words(draft: Draft, target: ReplicaSetView, reasons: dict[str, int]) -> None:
    """Count what the target's pods that are not healthy wait for, in their own words."""
    found = _find_set_up_words(draft)
    for pod in draft.counts[target.name].unhealthy:
        words = describe_pod(pod, found)
        reasons[words] = reasons.get(words, 0) + 1
    if target.create_error:
        reasons[shorten(target.create_error)] = draft.spec.replicas


def _count_leaving(draft: Draft) -> int:
    """Return how many old pods a ``Recreate`` waits for before it launches any new one (P1)."""
    if not isinstance(draft.spec.strategy, Recreate):
        return 0
    name = draft.counts_of(draft.rollout.revision).name
    others = (rs for rs in draft.snapshot.replica_sets if rs.name != name)
    return sum(pod.phase not in OVER for rs in others for pod in rs.pods)


def _find_set_up_words(draft: Draft) -> str:
    """Return why one pod is not set up, by its events; it stands for all pods that are being set up."""
    topic = waiting_topic(draft.rollout.revision)
    found = (f.evidence.event for f in draft.snapshot.findings if f.topic == topic)
    return next(found, "")
