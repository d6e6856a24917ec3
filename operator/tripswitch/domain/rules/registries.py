"""Rule F9: a registry that also fails pods of completed revisions is what is at fault. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tripswitch.domain.rules.failure_reasons import PULLS
from tripswitch.domain.rules.image_names import find_registry
from tripswitch.domain.rules.pulls import PULL_REASONS, classify_pull
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.registries import PullError, PullTrouble, RegistryOutage, Troubles
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.workload import PolicyRule

NO_OUTAGE = frozenset({PullError.NOT_THERE, PullError.NO_SPACE, PullError.OTHER})
"""Errors that say nothing about a registry: the image, the node, or words that nobody knows."""


def find_troubles(
    revisions: Iterable[Revision], replica_sets: Iterable[ReplicaSetView]
) -> Troubles:
    """Return what the live pods of one workload wait for."""
    completed = {record.replica_set for record in revisions if record.completed_at is not None}
    proved: dict[PullTrouble, int] = {}
    every: set[PullTrouble] = set()
    for replica_set in replica_sets:
        for pod in replica_set.pods:
            found = set(list_troubles(pod))
            every |= found
            if replica_set.name in completed:
                proved |= {one: proved.get(one, 0) + 1 for one in found}
    return Troubles(proved, frozenset(every))


def list_troubles(pod: PodView) -> Iterator[PullTrouble]:
    """Return which registries keep a live pod from starting, and how."""
    for container in pod.containers:
        if container.waiting in PULL_REASONS and pod.live and container.image:
            error = classify_pull(container.message)
            if error not in NO_OUTAGE:
                yield PullTrouble(find_registry(container.image), error)


def excuse_pulls(
    pods: Iterable[PodView], outages: Iterable[RegistryOutage], proved: frozenset[str]
) -> tuple[PolicyRule, ...]:
    """Return the rules by which pulls of a revision do not count (F8, F9).

    Args:
        pods: The revision's pods.
        outages: What pods of completed revisions suffer from, anywhere.
        proved: Registries that a completed revision of the workload has pulled from: that one has no
            address any more is no fault of the revision (F8).
    """
    known: dict[str, set[PullError]] = {name: {PullError.NO_SUCH_HOST} for name in proved}
    for outage in outages:
        known.setdefault(outage.trouble.registry, set()).add(outage.trouble.error)
    if not known:
        return ()
    images = {(one.name, one.image) for pod in pods for one in pod.containers if one.image}
    found: dict[str, set[PullError]] = {}
    for name, image in images:
        errors = known.get(find_registry(image))
        if errors:
            found.setdefault(name, set()).update(errors)
    return tuple(
        PolicyRule(Verdict.IGNORE, reasons=PULLS, container=name, pull_errors=frozenset(errors))
        for name, errors in sorted(found.items())
    )


def find_suffered(
    pods: Iterable[PodView], outages: Collection[RegistryOutage]
) -> list[tuple[RegistryOutage, int]]:
    """Return the outages that a workload's own pods suffer from, with the number of these pods."""
    if not outages:
        return []
    troubles = [set(list_troubles(pod)) for pod in pods]
    counts = [(one, sum(one.trouble in found for found in troubles)) for one in outages]
    return [(one, count) for one, count in counts if count]


def describe_outage(outage: RegistryOutage, own: int) -> str:
    """Say what a registry does, and whom it harms.

    >>> trouble = PullTrouble("registry.test", PullError.DENIED)
    >>> describe_outage(RegistryOutage(trouble, pods=5, workloads=2), 1)
    'registry registry.test denies access: 1 pod waits, and so do 5 pods of completed revisions of 2 workloads'
    """
    waits = f"{own} pod waits" if own == 1 else f"{own} pods wait"
    pods = f"{outage.pods} pod" if outage.pods == 1 else f"{outage.pods} pods"
    does = "does" if outage.pods == 1 else "do"
    workloads = "1 workload" if outage.workloads == 1 else f"{outage.workloads} workloads"
    head = f"registry {outage.trouble.registry} {outage.trouble.error}"
    return f"{head}: {waits}, and so {does} {pods} of completed revisions of {workloads}"
