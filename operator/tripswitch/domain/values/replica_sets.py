"""ReplicaSets as the rules see them: frozen, built by ``tripswitch.cluster.replicasets``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tripswitch.domain.values.images import Pin
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template


@dataclass(frozen=True, slots=True)
class ReplicaSetView:
    """One of our ReplicaSets with its pods; ``size`` is its ``spec.replicas``.

    ``owned`` is False for one that carries our marks and has no controller (it was orphaned).
    """

    name: str
    uid: str
    revision: int
    template: Template
    size: int
    pods: tuple[PodView, ...] = ()
    resource_version: str = field(default="", compare=False)
    """Two versions are equal if a decision cannot tell them apart."""
    created_at: Instant = 0.0
    completed_at: Instant | None = None
    owned: bool = True
    deleting: bool = False
    create_error: str = ""
    """The ReplicaSet controller's words when it cannot create pods (quota, admission)."""
    observed: bool = field(default=True, compare=False)
    """The ReplicaSet controller has looked at the latest size. That it has is no news on its own: the pods that it
    makes, or the error that it meets, are."""
    counted: int | None = field(default=None, compare=False)
    """The live pods that its controller found at its last look; None if that is not told."""
    sized_for: int | None = None
    """The ``spec.replicas`` that ``size`` was decided for; None if that was never written down."""
    pins: tuple[Pin, ...] = ()
    """Containers whose image is pinned to a digest (D1), by name. ``template`` is without pins."""


@dataclass(frozen=True, slots=True)
class CreateError:
    """How the latest try to create the ReplicaSet of a template ended, when it failed for good.

    ``name_taken``: another object has that name (a hash collision); otherwise the API server refused
    the ReplicaSet itself, in ``message``'s words.
    """

    digest: str
    replica_set: str
    message: str = ""
    name_taken: bool = False
