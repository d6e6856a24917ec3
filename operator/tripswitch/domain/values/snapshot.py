"""Everything that one decision is made from."""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.alarms import NO_READING, AlarmReading
from tripswitch.domain.values.inquiry import Finding
from tripswitch.domain.values.pods import RetainedPod
from tripswitch.domain.values.protection import Protected
from tripswitch.domain.values.references import ReferenceReading
from tripswitch.domain.values.registries import RegistryOutage
from tripswitch.domain.values.replica_sets import CreateError, ReplicaSetView
from tripswitch.domain.values.sight import UNKNOWN, Sight
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Spec


@dataclass(frozen=True, slots=True)
class Guarded:
    """A GuardedDeployment: its ``spec``, the commands in its annotations, and its ``status``."""

    name: str
    uid: str
    generation: int
    spec: Spec
    status: Status
    retry: str | None = None
    stop: str | None = None
    answers: str | None = None
    """Answers to hooks, as the annotation gives them (C4)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one decision is made from."""

    guarded: Guarded
    replica_sets: tuple[ReplicaSetView, ...] = ()
    create_error: CreateError | None = None
    findings: tuple[Finding, ...] = ()
    """Answers to what earlier decisions asked about failures; the order is of no meaning."""
    retained: tuple[RetainedPod, ...] = ()
    retention_refused: bool = False
    """Setting a pod aside was refused a short while ago (no right to patch pods)."""
    sight: Sight = UNKNOWN
    """How current all of this is (rules V)."""
    strays: tuple[ReplicaSetView, ...] = ()
    """Owned ReplicaSets whose labels the selector no longer matches, without pods (W5)."""
    alarms: AlarmReading = NO_READING
    """The latest reading of the alarms that an earlier decision asked for (A1)."""
    outages: tuple[RegistryOutage, ...] = ()
    """What pods of completed revisions of all workloads suffer from (F9)."""
    references: ReferenceReading | None = None
    """What was found of the objects that an earlier decision asked for (B9); None: nothing yet."""
    protected: Protected | None = None
    """The Deployment or StatefulSet that is guarded in place (rules G); None: a GuardedDeployment."""
