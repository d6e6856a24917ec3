"""Objects as the simulated API server holds them. Frozen: every version is a value of its own.

Times in here are written by nodes: whole seconds, of clocks that may be off. ``ledger`` is the truth
that no API shows: how many runs of each container have really ended and were its own doing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.pods import ContainerView, PodPhase
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Spec, Template


@dataclass(frozen=True, slots=True)
class RawPod:
    """A pod. ``owner`` is the UID of its ReplicaSet, ``mark`` the name of the one whose labels it has."""

    name: str
    uid: str
    owner: str | None
    mark: str
    created: Instant
    version: int = 0
    phase: PodPhase = PodPhase.PENDING
    reason: str = ""
    message: str = ""
    deleting: bool = False
    disrupted: bool = False
    ready: bool = False
    ready_written: Instant = 0.0
    """``lastTransitionTime`` of Ready."""
    ready_really: Instant | None = None
    """The truth: since when it is Ready."""
    by_node: bool = False
    waiting_for: str = ""
    node: str = ""
    containers: tuple[ContainerView, ...] = ()
    ledger: tuple[int, ...] = ()
    attempts: tuple[int, ...] = ()
    """How often its kubelet failed to start each container, as the pod's events tell."""
    generation: int = 1
    starts_slowly: bool = False
    """Whether one of its containers has a startup probe."""
    template: Template = Template("")

    @property
    def live(self) -> bool:
        """Whether its ReplicaSet counts it."""
        return not self.deleting and self.phase not in (PodPhase.FAILED, PodPhase.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class RawSet:
    """A ReplicaSet. ``guard`` is the UID of the GuardedDeployment that controls it."""

    name: str
    uid: str
    guard: str | None
    revision: int
    template: Template
    size: int
    created: Instant
    version: int = 0
    completed_at: Instant | None = None
    deleting: bool = False
    create_error: str = ""
    seen_live: int = 0
    seen_ready: int = 0
    sized_for: int | None = None
    matches: bool = True
    """Whether the GuardedDeployment's selector matches its labels."""


@dataclass(frozen=True, slots=True)
class RawGuarded:
    """A GuardedDeployment."""

    name: str
    uid: str
    spec: Spec
    version: int = 0
    generation: int = 1
    status: Status = Status()
    retry: str | None = None
    stop: str | None = None


Raw = RawPod | RawSet | RawGuarded


@dataclass(frozen=True, slots=True)
class Change:
    """One watch event. ``gone``: the object was deleted; ``raw`` is its last version."""

    raw: Raw
    gone: bool = False
