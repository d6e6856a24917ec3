"""A StatefulSet whose rollout waits for a pod that was there before it (rules G), in words.

With ``podManagementPolicy: OrderedReady`` the StatefulSet's controller changes no pod while one is not Ready.
If that one is of an older revision nothing of the new one is ever launched, so there is nothing to count and the clock
of P1 stands still. Such a pod is named; no rule lets anybody but a person touch it.
"""

from __future__ import annotations

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.health import LEAST_PATIENCE
from tripswitch.domain.rules.pod_words import describe_pod
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.states import RolloutKind
from tripswitch.domain.values.time import Instant


def await_ordered_pods(draft: Draft) -> Draft:
    """Wake when a pod that the rollout waits for is to be named."""
    moments = (_named_at(pod) for _, pod in _find_waited_for(draft))
    return draft.wake(min((at for at in moments if at > draft.now), default=None))


def describe_ordered_wait(draft: Draft) -> str:
    """Return which pod the StatefulSet's controller waits for; empty if it waits for none.

    A pod is named once it is not Ready for 60 s, the lowest ordinal first.
    """
    due = [(rs, pod) for rs, pod in _find_waited_for(draft) if _named_at(pod) <= draft.now]
    if not due:
        return ""
    rs, pod = min(due, key=lambda one: (len(one[1].name), one[1].name))
    numbers = (one.revision for one in draft.remembered if one.replica_set == rs.name)
    return (
        f"pod {pod.name} of revision {next(numbers, rs.revision)} is not Ready ({describe_pod(pod)}), and with podManagementPolicy OrderedReady "
        "the StatefulSet changes no other pod until that one is Ready: repair or delete it"
    )


def _find_waited_for(draft: Draft) -> list[tuple[ReplicaSetView, PodView]]:
    """Return the pods that are not Ready and were there before the rollout, with their revisions.

    They are of another revision than the rollout's; in a rollback, which others are deleted in, of its own.
    """
    if draft.snapshot.protected is None or not draft.workload.ordered:
        return []
    if draft.rollout.status not in rollout_states.RUNNING:
        return []
    target, back = draft.target, draft.rollout.kind is RolloutKind.ROLLBACK
    return [
        (rs, pod)
        for rs in draft.snapshot.replica_sets
        if (target is not None and rs.name == target.name) is back
        for pod in rs.pods
        if not pod.deleting and pod.ready_since is None
    ]


def _named_at(pod: PodView) -> Instant:
    """Return when a pod that is not Ready is named: a restart or a scale-up takes a moment, too."""
    return (pod.unready_since or pod.created_at) + LEAST_PATIENCE
