"""``guard``: gives a Deployment or a StatefulSet that exists a circuit breaker, or takes it away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tripswitch.api.identity import API_VERSION, BREAKER_KIND
from tripswitch.api.tolerant import field, mapping, read_text
from tripswitch.cli.options import where_options, workload_argument
from tripswitch.cli.output import emit
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.references import Reference
from tripswitch.cli.session import Object, Session, converse
from tripswitch.cli.subjects import KINDS, WORKLOADS, find_guards
from tripswitch.cli.where import Where
from tripswitch.cluster.resources import CIRCUIT_BREAKERS
from tripswitch.cluster.workload_index import is_made_for_label

LABEL = "tripswitch.dev/circuit-breaker"
"""Label of a workload or a namespace that asks for a breaker (G8)."""


@click.command()
@workload_argument()
@click.option("--observe", is_flag=True, help="Only report what a trip would have done.")
@click.option("--remove", is_flag=True, help="Take the circuit breaker away again.")
@click.option("--dry-run", is_flag=True, help="Print the object as YAML, for Git; write nothing.")
@where_options
def guard(*, target: Reference, observe: bool, remove: bool, dry_run: bool, where: Where) -> None:
    """Give an existing Deployment or StatefulSet a circuit breaker.

    Writes a DeploymentCircuitBreaker with default settings; the workload itself is not changed. Its own
    controller goes on rolling it out. A rollout that fails is stopped and rolled back.

    With --observe failures are counted and reported, and nothing is done. Called again without it, the
    breaker acts from then on.

    With --remove a workload that a trip holds stays held; its annotation tripswitch.dev/how-to-go-on says what
    to do.

    The label tripswitch.dev/circuit-breaker=enforce (or observe, off) on a workload or on a namespace does
    the same without an object of your own.

    \b
    kubectl tripswitch guard deploy/web --observe
    kubectl tripswitch guard deploy/web
    kubectl tripswitch guard sts/db --dry-run > db-breaker.yaml
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    if remove and (observe or dry_run):
        raise click.UsageError("--remove cannot be combined with another option")
    mode = "Observe" if observe else "Enforce"
    if dry_run:
        body = build_breaker(target, target.name, mode)
        if where.namespace:
            body["metadata"]["namespace"] = where.namespace
        click.echo("---")  # so that it may be appended to a manifest
        emit(body, "yaml")
    elif remove:
        click.echo(converse(where, lambda session: _remove(session, target)))
    else:
        click.echo(converse(where, lambda session: _guard(session, target, mode)))


def build_breaker(target: Reference, name: str, mode: str) -> dict[str, Any]:
    """Return a DeploymentCircuitBreaker with default settings."""
    kind = KINDS[target.kind]
    return {
        "apiVersion": API_VERSION,
        "kind": BREAKER_KIND,
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": target.name},
            "mode": mode,
        },
    }


async def _guard(session: Session, target: Reference, mode: str) -> str:
    workload = await session.read(WORKLOADS[KINDS[target.kind]], target.name)
    breakers = await session.list_all(CIRCUIT_BREAKERS)
    found = find_guards(breakers, target)
    said = await (
        _set_mode(session, target, found[0], mode)
        if found
        else _create(session, target, breakers, mode)
    )
    return "\n".join([said, *(f"warning: {words}" for words in find_obstacles(workload))])


async def _create(session: Session, target: Reference, breakers: list[Object], mode: str) -> str:
    taken = {read_text(field(one, "metadata", "name")) for one in breakers}
    name = target.name
    if name in taken:  # that of another kind with the same name
        name = f"{target.name}-{KINDS[target.kind].lower()}"
    await session.create(CIRCUIT_BREAKERS, build_breaker(target, name, mode))
    return f"{target} is guarded by dcb/{name}, mode {mode}"


async def _set_mode(session: Session, target: Reference, breaker: Object, mode: str) -> str:
    name = read_text(field(breaker, "metadata", "name"))
    if field(breaker, "spec", "mode") == mode:
        return f"{target} is guarded already by dcb/{name}, mode {mode}"
    if is_made_for_label(breaker):
        raise Problem(
            f"dcb/{name} was created for a label, which decides its mode; change the label: "
            f"kubectl label {target} {LABEL}={mode.lower()} --overwrite"
        )
    await session.patch(CIRCUIT_BREAKERS, name, {"spec": {"mode": mode}})
    return f"{target} is guarded by dcb/{name}, mode {mode} from now on"


async def _remove(session: Session, target: Reference) -> str:
    found = find_guards(await session.list_all(CIRCUIT_BREAKERS), target)
    if not found:
        raise Problem(
            f"no DeploymentCircuitBreaker guards {target} in namespace {session.namespace}",
            Exit.NOT_FOUND,
        )
    said: list[str] = []
    for breaker in found:
        name = read_text(field(breaker, "metadata", "name"))
        if is_made_for_label(breaker):
            words = (
                f"dcb/{name} was created for a label and would be created again; opt out: "
                f"kubectl label {target} {LABEL}=off --overwrite"
            )
            if not said:
                raise Problem(words)
            said.append(f"warning: it is guarded from now on by another one: {words}")
            continue
        uid = read_text(field(breaker, "metadata", "uid"))
        await session.delete(CIRCUIT_BREAKERS, name, uid)
        said.append(f"{target} is no longer guarded by dcb/{name}")
        if mapping(field(breaker, "status", "hold")):
            said.append(
                f"warning: a trip holds {target}, and it stays held; its annotation "
                "tripswitch.dev/how-to-go-on says what to do"
            )
    return "\n".join(said)


def find_obstacles(workload: Mapping[str, Any]) -> list[str]:
    """Return what keeps a breaker from doing its work on a workload, in words."""
    found = []
    if field(workload, "spec", "revisionHistoryLimit") == 0:
        found.append("revisionHistoryLimit is 0: no earlier revision is kept to roll back to")
    if field(workload, "spec", "updateStrategy", "type") == "OnDelete":
        found.append("updateStrategy is OnDelete: there is no rollout to watch")
    return found
