"""What a decision does to a guarded Deployment or StatefulSet (rules G4, G5).

``uid`` and ``resource_version`` are preconditions: an action is done on the very version that was looked
at. The actions of one decision are done in their order.
"""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.protection import Mark, WorkloadKind


@dataclass(frozen=True, slots=True)
class HoldWorkload:
    """Pause a Deployment, or set a StatefulSet's partition above every ordinal, and write the mark.

    Both are one request, so that a change of ours is never without its mark.
    """

    kind: WorkloadKind
    name: str
    uid: str
    resource_version: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class ReleaseWorkload:
    """Take the mark away, and change back what is still as the hold left it.

    ``resume``: ``paused`` (Deployment) or the partition (StatefulSet) is still ours. ``partition`` is
    the one to restore; None: there was none.
    """

    kind: WorkloadKind
    name: str
    uid: str
    resource_version: str
    resume: bool
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class ReportTrip:
    """Write the conditions that say that the rollout failed: Stalled, and a Deployment's Progressing."""

    kind: WorkloadKind
    name: str
    uid: str
    resource_version: str
    message: str


@dataclass(frozen=True, slots=True)
class WithdrawReport:
    """Remove the condition Stalled; a Deployment's controller renews Progressing itself."""

    kind: WorkloadKind
    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class ResizeRevision:
    """Set the size of one of the workload's ReplicaSets, and which ``replicas`` it was decided for.

    A Deployment's controller notes on a ReplicaSet the ``replicas`` (desired-replicas) and the most pods
    (max-replicas) that its size was decided for. While the note of a ReplicaSet with pods differs from
    ``spec.replicas`` it only scales and rolls nothing out, so the note is written together with each size.
    ``workload`` is the UID of the Deployment.
    """

    name: str
    uid: str
    resource_version: str
    size: int
    workload: str
    replicas: int
    most: int


@dataclass(frozen=True, slots=True)
class DisownFields:
    """Remove the entry of ``metadata.managedFields`` that calls a field ours which was changed back.

    A Deployment's ``paused`` goes with its value. A StatefulSet always has a partition: the one that was
    restored would stay ours, and a server-side apply of another one would be a conflict with us.
    ``entry`` is the index of the entry in the version that was looked at.
    """

    kind: WorkloadKind
    name: str
    uid: str
    resource_version: str
    entry: int


HoldAction = (
    HoldWorkload | ReleaseWorkload | ReportTrip | WithdrawReport | ResizeRevision | DisownFields
)
