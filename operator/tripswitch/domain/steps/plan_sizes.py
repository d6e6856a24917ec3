"""Rules R3, R4, R7 and B3: the next size of every ReplicaSet, in each state of a rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.rules.proportion import (
    is_scaled_down,
    is_scaled_up,
    share_replicas,
    share_upper_bound,
)
from tripswitch.domain.rules.scaling import lower, resize, roll, take_in_order
from tripswitch.domain.steps.complete_rollout import describe_rest
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.states import RolloutState, RolloutStatus
from tripswitch.domain.values.workload import Recreate


@dataclass(frozen=True, slots=True)
class Plan:
    """The next sizes by name, and whether they are those that ``replicas`` asks for.

    ``followed`` is False while a step towards ``replicas`` is still to be made, or cannot be made.
    ``frozen`` says why nothing may grow; empty if something may, or nothing has to.
    """

    sizes: Mapping[str, int]
    followed: bool = True
    frozen: str = ""

    def compute_mark(self, before: int | None, replicas: int) -> int:
        """Return the ``replicas`` that a next size is decided for; ``before``: the last one was."""
        return replicas if self.followed or before is None else before


def plan_sizes(draft: Draft) -> Plan:
    """Return the next size of every ReplicaSet that may be scaled."""
    target = draft.counts_of(draft.rollout.revision)
    others = _in_order_of_leaving(draft, target)
    status = draft.rollout.status
    if status in rollout_states.STALLED:
        plan = _plan_stalled(draft, target, others)
    elif rollout_states.awaits_launch(draft.rollout) or (draft.spec.paused and _is_moving(draft)):
        there = draft.target is not None
        plan = _plan_paused(draft, [*others, target] if there else others)
    else:
        plan = _plan_rolling(draft, target, others)
    names = {rs.name for rs in draft.snapshot.replica_sets if not rs.deleting} | {target.name}
    return replace(plan, sizes={name: size for name, size in plan.sizes.items() if name in names})


def _is_moving(draft: Draft) -> bool:
    """Whether pods are launched or removed for a rollout: in progress, or completed early (E1)."""
    status = draft.rollout.status
    return status in rollout_states.RUNNING or (
        status in rollout_states.SUCCEEDED and bool(describe_rest(draft))
    )


def _plan_rolling(draft: Draft, target: PodCounts, others: Sequence[PodCounts]) -> Plan:
    """R3. Scaled up, the revisions that completed before grow in proportion with the target (R4)."""
    replicas, bounds = draft.spec.replicas, draft.bounds
    if isinstance(draft.spec.strategy, Recreate):
        return Plan(roll(target, others, replicas, bounds, recreate=True))
    grown = [*others, target]
    if draft.rollout.status is RolloutStatus.IN_PROGRESS:
        proven = _find_proven(draft)
        grown = _grow(draft, [replace(c, proven=c.name in proven) for c in grown])
    sizes = roll(grown[-1], grown[:-1], replicas, bounds, recreate=False)
    return _within_upper_bound(draft, sizes)


def _plan_paused(draft: Draft, all_counts: Sequence[PodCounts]) -> Plan:
    """R7: the rollout is held, and what is there follows ``replicas``, in proportion."""
    replicas, bounds = draft.spec.replicas, draft.bounds
    alone = _find_alone(draft, all_counts)
    if alone is not None:
        spare = alone.surely_healthy(alone.size) - replicas
        sizes = {counts.name: counts.size for counts in all_counts}
        return Plan({**sizes, alone.name: resize(alone, replicas, spare)})
    grown = _grow(draft, all_counts)
    if grown != all_counts:
        return _within_upper_bound(draft, {counts.name: counts.size for counts in grown})
    sizes = {counts.name: counts.size for counts in all_counts}
    total = sum(sizes.values())
    growing = _find_growing(draft)
    if (
        total < replicas
        and is_scaled_up(_active(all_counts), replicas)
        and not any(counts.name in growing for counts in _active(all_counts))
    ):
        why = "the rollout is paused" if draft.spec.paused else "the rollout waits at a hook"
        return Plan(sizes, followed=False, frozen=_describe_frozen(draft, total, why))
    if is_scaled_down(_active(all_counts), replicas):
        active = _oldest_first(draft, _active(all_counts))
        leaving = sum(counts.occupied for counts in all_counts if counts.leaving)
        shares = share_upper_bound(active, replicas, draft.spec.strategy, leaving)
        sizes = lower(all_counts, {**sizes, **shares}, bounds.upper, replicas)
    return Plan(sizes, followed=sum(sizes.values()) <= bounds.upper)


def _plan_stalled(draft: Draft, target: PodCounts, others: Sequence[PodCounts]) -> Plan:
    """B3: nothing is launched of the failed revision, which keeps its pods that are Ready or have only lost that.

    The target of a rollback that failed has proved itself and keeps all of its pods: what they wait for, or crash
    for, may be over at any time (F10). The others keep what they have. Scaled up, the revisions that completed before make up what is
    missing (R7); scaled down, the failed one goes first.
    """
    replicas = draft.spec.replicas
    back = draft.rollout.status is RolloutStatus.ROLLBACK_FAILED
    held = target.size if back else min(target.size, target.served)
    kept = [replace(target, size=held), *others]
    growing = _find_growing_while_stalled(draft, others)
    # Its ReplicaSet may be gone, and with it what it was sized for.
    scaled = [target, *_active(others), *(growing if draft.target is None else ())]
    most = replicas if is_scaled_down(scaled, replicas) else draft.bounds.upper
    sizes = lower(kept, take_in_order(kept, most), most, replicas)
    total = sum(sizes.values())
    stuck = draft.target is None and not growing
    if total >= replicas or not (stuck or is_scaled_up(scaled, replicas)):
        return Plan(sizes, followed=total <= most)
    if not growing:
        why = f"nothing of revision {draft.rollout.revision} is launched any more"
        return Plan(sizes, followed=False, frozen=_describe_frozen(draft, total, why))
    taken = total - sum(sizes[counts.name] for counts in growing)
    return _within_upper_bound(draft, {**sizes, **share_replicas(growing, replicas, taken)})


def _describe_frozen(draft: Draft, total: int, why: str) -> str:
    return (
        f"the size stays at {total} of {draft.spec.replicas} pods: {why}, "
        "and no other revision has completed"
    )


def _find_growing_while_stalled(draft: Draft, others: Sequence[PodCounts]) -> list[PodCounts]:
    """Return the revisions that completed before; without pods, the one that did so last."""
    proven = _find_proven(draft)
    active = [counts for counts in _active(others) if counts.name in proven]
    last = draft.replica_set(draft.memory.last_completed_revision)
    empty = [counts for counts in others if last is not None and counts.name == last.name]
    return _oldest_first(draft, active or empty)


def _find_alone(draft: Draft, all_counts: Sequence[PodCounts]) -> PodCounts | None:
    """Return the one ReplicaSet that follows ``replicas`` because no other one has pods.

    With no pods at all that of the last completed revision, or else of the running rollout.
    """
    occupied = [counts for counts in all_counts if counts.occupied]
    last = draft.replica_set(draft.memory.last_completed_revision)
    if not occupied and last is not None:
        return draft.counts[last.name]
    growing = [counts for counts in all_counts if counts.name in _find_growing(draft)]
    if not occupied:
        return next((counts for counts in growing if _is_target(draft, counts)), None)
    alone = occupied[0]
    return alone if occupied == [alone] and alone in growing and not alone.leaving else None


def _grow(draft: Draft, all_counts: Sequence[PodCounts]) -> list[PodCounts]:
    """Return the ReplicaSets with the sizes that they grow to when they were scaled up (R4, R7)."""
    replicas, growing = draft.spec.replicas, _find_growing(draft)
    share = _oldest_first(
        draft, [counts for counts in _active(all_counts) if counts.name in growing]
    )
    if not is_scaled_up(share, replicas):
        return list(all_counts)
    taken = sum(counts.occupied for counts in all_counts if counts not in share)
    sizes = share_upper_bound(share, replicas, draft.spec.strategy, taken)
    return [replace(c, size=max(c.size, sizes.get(c.name, 0))) for c in all_counts]


def _within_upper_bound(draft: Draft, sizes: Mapping[str, int]) -> Plan:
    """Put raising off while pods that are still to go take the room (R3)."""
    now = {name: draft.counts.get(name, PodCounts(name, 0)) for name in sizes}
    planned = sum(max(now[name].occupied, size) for name, size in sizes.items())
    if planned <= draft.bounds.upper or all(now[name].size >= sizes[name] for name in sizes):
        return Plan(sizes)
    held = {name: min(size, now[name].size) for name, size in sizes.items()}
    return Plan(held, followed=False)


def _find_proven(draft: Draft) -> frozenset[str]:
    """Return the ReplicaSets of revisions that completed and have not failed since, but the target."""
    return frozenset(
        record.replica_set
        for record in draft.memory.revisions
        if record.completed_at is not None
        and record.rollout_state is not RolloutState.FAILED
        and record.revision != draft.rollout.revision
    )


def _find_growing(draft: Draft) -> frozenset[str]:
    """Return the ReplicaSets that may be given more pods when the rollout is not stalled."""
    if rollout_states.awaits_launch(draft.rollout):
        return _find_proven(draft)
    return _find_proven(draft) | {draft.counts_of(draft.rollout.revision).name}


def _is_target(draft: Draft, counts: PodCounts) -> bool:
    return counts.name == draft.counts_of(draft.rollout.revision).name


def _active(all_counts: Sequence[PodCounts]) -> list[PodCounts]:
    """Return those that are to have pods (Kubernetes' active ReplicaSets)."""
    return [counts for counts in all_counts if counts.size > 0 and not counts.leaving]


def _oldest_first(draft: Draft, all_counts: Sequence[PodCounts]) -> list[PodCounts]:
    numbers = {record.replica_set: record.revision for record in draft.memory.revisions}
    return sorted(all_counts, key=lambda counts: numbers.get(counts.name, 0))


def _in_order_of_leaving(draft: Draft, target: PodCounts) -> list[PodCounts]:
    """R3, B2: what failed or was stopped goes before what completed, older before newer."""

    def rank(counts: PodCounts) -> tuple[bool, int]:
        record = next((r for r in draft.memory.revisions if r.replica_set == counts.name), None)
        if record is None:
            return (False, 0)
        return (record.rollout_state is RolloutState.COMPLETED, record.revision)

    return sorted((c for name, c in draft.counts.items() if name != target.name), key=rank)
