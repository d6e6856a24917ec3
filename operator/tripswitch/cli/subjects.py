"""What a command is about: a GuardedDeployment, or a workload with the breaker that guards it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tripswitch.api.codec import format_selector
from tripswitch.api.spec import Selector
from tripswitch.api.tolerant import field, mapping, read_text
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.references import Kind, Reference
from tripswitch.cli.session import Object, Session
from tripswitch.cluster.guard_register import Rank
from tripswitch.cluster.resources import (
    CIRCUIT_BREAKERS,
    DEPLOYMENTS,
    GUARDED_DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)

KINDS = {Kind.DEPLOYMENT: "Deployment", Kind.STATEFUL_SET: "StatefulSet"}
"""``targetRef.kind`` of the kinds that can be guarded in place."""
WORKLOADS = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that carries the breaker's status and commands, and the workload that it guards.

    ``workload`` is None for a GuardedDeployment, and where the target does not exist.
    """

    resource: Resource
    raw: Object
    workload: Object | None = None

    @property
    def name(self) -> str:
        """The name of the object that carries the breaker."""
        return read_text(field(self.raw, "metadata", "name"))

    @property
    def selector(self) -> str:
        """The label selector of the pods; empty if it is not known."""
        if self.resource is GUARDED_DEPLOYMENTS:
            return read_text(field(self.raw, "status", "selector"))
        return read_selector(self.workload)

    @property
    def revisions(self) -> Resource | None:
        """Where the objects that own the pods of one revision are; None for a StatefulSet's."""
        kind = field(self.raw, "spec", "targetRef", "kind")
        return None if kind == KINDS[Kind.STATEFUL_SET] else REPLICA_SETS


async def find_subject(session: Session, reference: Reference) -> Subject:
    """Return what a reference names.

    Raises:
        Problem: It is not there, or no breaker guards the workload.
    """
    if reference.kind is Kind.GUARDED:
        return Subject(GUARDED_DEPLOYMENTS, await session.get(reference.name))
    if reference.kind is Kind.BREAKER:
        raw = await session.read(CIRCUIT_BREAKERS, reference.name)
    else:
        found = find_guards(await session.list_all(CIRCUIT_BREAKERS), reference)
        if not found:
            raise Problem(
                f"no DeploymentCircuitBreaker guards {reference} in namespace {session.namespace}; "
                f"make one: kubectl tripswitch guard {reference}",
                Exit.NOT_FOUND,
            )
        raw = found[0]
    return Subject(CIRCUIT_BREAKERS, raw, await _find_workload(session, raw))


def find_guards(breakers: Iterable[Object], reference: Reference) -> list[Object]:
    """Return the breakers of a workload, the one that acts first (G1)."""
    wanted = (KINDS[reference.kind], reference.name)
    found = [
        one
        for one in breakers
        if (field(one, "spec", "targetRef", "kind"), field(one, "spec", "targetRef", "name"))
        == wanted
    ]
    return sorted(found, key=Rank.of)


async def load_children(session: Session, subject: Subject) -> tuple[list[Object], list[Object]]:
    """Return the ReplicaSets and the pods that a subject's selector matches."""
    if not subject.selector:  # the operator has not looked at it yet, or there is no workload
        return [], []
    query = {"labelSelector": subject.selector}
    owners = subject.revisions
    return (
        [] if owners is None else await session.list_all(owners, query=query),
        await session.list_all(PODS, query=query),
    )


def read_selector(workload: Object | None) -> str:
    """Return a workload's label selector in one line; empty if there is none."""
    raw = mapping(field(workload, "spec", "selector"))
    return format_selector(Selector.model_validate(raw)) if raw else ""


async def _find_workload(session: Session, breaker: Object) -> Object | None:
    target = mapping(field(breaker, "spec", "targetRef"))
    resource = WORKLOADS.get(read_text(target.get("kind")))
    if resource is None:
        return None
    try:
        return await session.read(resource, read_text(target.get("name")))
    except Problem as problem:
        if problem.code is not Exit.NOT_FOUND:
            raise
        return None
