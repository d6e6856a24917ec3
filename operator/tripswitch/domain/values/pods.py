"""Pods and their containers as the rules see them: frozen, built by ``tripswitch.cluster.pods``."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tripswitch.domain.values.time import Instant


class ContainerRole(StrEnum):
    """How the kubelet treats a container's end."""

    APP = "app"
    SIDECAR = "sidecar"
    """An init container with ``restartPolicy: Always``; counted like an app container."""
    INIT = "init"


@dataclass(frozen=True, slots=True)
class Ended:
    """One ended run of a container (``state.terminated`` or ``lastState.terminated``)."""

    exit_code: int
    reason: str = ""
    signal: int = 0
    message: str = ""
    seconds: float = 0.0
    """How long the run lasted; 0 where the node does not know."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of a pod; at most one of waiting, running, ended is set.

    ``may_complete``: its own ``restartPolicy`` is ``OnFailure`` or ``Never``, and exit 0 is no failure.
    ``restarts_pod``: it is the only one of its pod whose end can lead to ``RestartAllContainers``.
    ``resize_restarts``: the kubelet restarts it when its resources are changed in place.
    ``device_unhealthy``: a device that it was given is reported as broken.
    """

    name: str
    role: ContainerRole = ContainerRole.APP
    restarts: int = 0
    waiting: str | None = None
    message: str = ""
    running_since: Instant | None = None
    started: bool = False
    started_since: Instant | None = None
    """None: since it runs."""
    ended: Ended | None = None
    last_ended: Ended | None = None
    readiness_budget: float | None = 0.0
    """Seconds, as in :class:`Readiness`; None: the container has no readiness probe."""
    may_complete: bool = False
    restarts_pod: bool = False
    resize_restarts: bool = False
    device_unhealthy: bool = False
    image: str = ""
    """As the pod's spec has it; empty where it has no such container."""
    image_id: str = ""
    """What the node says it runs (``imageID``); empty as long as it does not."""


class PodPhase(StrEnum):
    """``status.phase``; anything else is read as UNKNOWN."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


OVER = (PodPhase.FAILED, PodPhase.SUCCEEDED)
"""The phases of a pod that has ended for good."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of one of our ReplicaSets.

    ``ready_since`` is set while Ready is True. ``unready_since`` is set while Ready is False on a pod
    that was Ready before. ``unready_by_node`` says that Ready was taken away by the control plane
    because the node stopped reporting, while every container still is ready. ``waiting_for`` is what
    holds up a pod that no container rule explains (the scheduler's or a volume's words). ``scheduled``
    is False as long as no scheduler has looked at the pod. ``generation`` is 1 for a pod as it was made,
    and rises with every change of its spec; 0 if the API server does not say. ``ready_after`` is how many
    seconds a Ready pod took for it by its node's own clock, which counts where no look saw it start (F4); 0
    if that is not told.
    """

    name: str
    uid: str
    resource_version: str = field(default="", compare=False)
    """Two versions are equal if a decision cannot tell them apart."""
    created_at: Instant = 0.0
    """In whole seconds, by the API server's clock."""
    phase: PodPhase = PodPhase.PENDING
    reason: str = ""
    message: str = ""
    deleting: bool = False
    disrupted: bool = False
    ready_since: Instant | None = None
    unready_since: Instant | None = None
    unready_by_node: bool = False
    waiting_for: str = ""
    being_set_up: bool = False
    """Its image, volumes or network are not ready yet, as ``waiting_for`` says."""
    gated: bool = False
    """It has ``readinessGates``, from its template or from an admission webhook."""
    node: str = ""
    scheduled: bool = True
    containers: tuple[ContainerView, ...] = ()
    generation: int = 0
    ready_after: float = 0.0

    @property
    def live(self) -> bool:
        """Whether its ReplicaSet counts it: not ended, not being deleted (as Kubernetes counts)."""
        return not self.deleting and self.phase not in OVER


@dataclass(frozen=True, slots=True)
class RetainedPod:
    """A failing pod that was set aside: no ReplicaSet's any more, kept until a moment."""

    name: str
    uid: str
    resource_version: str
    revision: int
    until: Instant
    deleting: bool = False
