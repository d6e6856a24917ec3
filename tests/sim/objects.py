"""Objects as the simulated API server holds them. Frozen: every version is a value of its own.

Times in here are written by nodes: whole seconds, of clocks that may be off. ``ledger`` is the truth
that no API shows: how many runs of each container have really ended and were its own doing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.circuit_breaker import CircuitBreaker
from tripswitch.domain.values.pods import ContainerView, PodPhase
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import RollingUpdate, Spec, Strategy, Template

Notes = tuple[tuple[str, str], ...]
"""Annotations, in the order of their names."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What a pod has that was set aside: its owner, what it was, and until when it is kept.

    ``guard`` is the UID of the GuardedDeployment that owns it now, ``replica_set`` of the ReplicaSet that did.
    """

    guard: str
    replica_set: str | None
    revision: int
    until: Instant


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
    kind: WorkloadKind | None = None
    """Of a guarded workload's pod: which kind of workload. ``owner`` of a StatefulSet's pod is the UID of
    the StatefulSet, and ``mark`` the name of its ControllerRevision."""
    aside: Aside | None = None
    """It was set aside for a look (failedPodRetention), and has neither ``owner`` nor ``mark``."""

    @property
    def live(self) -> bool:
        """Whether its ReplicaSet counts it."""
        return not self.deleting and self.phase not in (PodPhase.FAILED, PodPhase.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What only a Deployment's ReplicaSet has.

    ``desired`` and ``most`` are its annotations desired-replicas and max-replicas; ``history`` are the
    revisions that it was before; ``notes`` are the annotations copied from its Deployment.
    """

    deployment: str
    ending: str
    min_ready: int = 0
    desired: int | None = None
    most: int | None = None
    history: str = ""
    notes: Notes = ()
    available: int = 0
    generation: int = 1
    observed: int = 0


@dataclass(frozen=True, slots=True)
class RawSet:
    """A ReplicaSet. ``guard`` is the UID of the GuardedDeployment or Deployment that controls it."""

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
    generation: int = 1
    observed: int = 0
    """The generation that the ReplicaSet controller has looked at last."""
    sized_for: int | None = None
    matches: bool = True
    """Whether the GuardedDeployment's selector matches its labels."""
    deployed: Deployed | None = None
    """None: it is a GuardedDeployment's."""
    pins: Notes = ()
    """Containers whose image was replaced, with the image that they have now (D1)."""


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
    answers: str | None = None


@dataclass(frozen=True, slots=True)
class RawCondition:
    """One condition of a workload's status; ``updated`` and ``changed`` are in whole seconds."""

    type: str
    status: str
    reason: str
    message: str = ""
    updated: Instant = 0.0
    changed: Instant = 0.0


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """``status`` of a Deployment."""

    observed: int = 0
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    unavailable: int = 0
    collisions: int | None = None
    conditions: tuple[RawCondition, ...] = ()


@dataclass(frozen=True, slots=True)
class RawDeployment:
    """A Deployment. ``deadline`` None: it has none. ``holder``: who last wrote ``paused``."""

    name: str
    uid: str
    replicas: int
    template: Template
    strategy: Strategy = RollingUpdate()
    paused: bool = False
    min_ready: int = 0
    deadline: int | None = 600
    history_limit: int = 10
    notes: Notes = ()
    revision: str = ""
    """Its annotation deployment.kubernetes.io/revision."""
    labels: Notes = ()
    status: DeploymentStatus = DeploymentStatus()
    version: int = 0
    generation: int = 1
    holder: str = ""


@dataclass(frozen=True, slots=True)
class StatefulStatus:
    """``status`` of a StatefulSet."""

    observed: int = 0
    replicas: int = 0
    ready: int = 0
    available: int = 0
    current: int = 0
    updated: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: tuple[RawCondition, ...] = ()


@dataclass(frozen=True, slots=True)
class RawStateful:
    """A StatefulSet."""

    name: str
    uid: str
    replicas: int
    template: Template
    parallel: bool = False
    partition: int = 0
    on_delete: bool = False
    """Its update strategy is OnDelete: people delete its pods."""
    min_ready: int = 0
    history_limit: int = 10
    notes: Notes = ()
    labels: Notes = ()
    status: StatefulStatus = StatefulStatus()
    version: int = 0
    generation: int = 1
    holder: str = ""


@dataclass(frozen=True, slots=True)
class RawRevision:
    """A ControllerRevision of a StatefulSet, whose UID is ``owner``."""

    name: str
    uid: str
    owner: str
    number: int
    template: Template
    created: Instant
    notes: Notes = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class RawBreaker:
    """A DeploymentCircuitBreaker. ``wish`` holds name, UID, generation, settings, status and commands."""

    wish: CircuitBreaker
    created: Instant = 0.0
    version: int = 0
    made_for: str = ""
    """UID of the workload for whose label it was made (G8); empty: a person made it."""

    @property
    def uid(self) -> str:
        """Its UID."""
        return self.wish.uid

    @property
    def name(self) -> str:
        """Its name."""
        return self.wish.name


RawWorkload = RawDeployment | RawStateful
Raw = RawPod | RawSet | RawGuarded | RawDeployment | RawStateful | RawRevision | RawBreaker


@dataclass(frozen=True, slots=True)
class Change:
    """One watch event. ``gone``: the object was deleted; ``raw`` is its last version."""

    raw: Raw
    gone: bool = False
