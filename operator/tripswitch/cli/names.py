"""Completion of names from the cluster. Never an error: no answer means nothing to offer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import click

from tripswitch.cli.references import refer_to
from tripswitch.cli.where import Where

SECONDS = 3.0
"""Nobody waits longer for a name to be completed."""


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return GuardedDeployments that begin so."""
    del param
    return _begin_so(ctx, _list_guarded, incomplete)


def complete_targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return GuardedDeployments and guarded workloads that begin so."""
    del param

    async def ask(session: Any) -> list[str]:
        from tripswitch.cluster.resources import CIRCUIT_BREAKERS  # noqa: PLC0415 - as in _begin_so

        found = await _list_guarded(session)
        with suppress(click.ClickException):  # its CRD may not be installed
            for one in await session.list_all(CIRCUIT_BREAKERS):
                found += [str(refer_to(one)), f"dcb/{one['metadata']['name']}"]
        return found

    return _begin_so(ctx, ask, incomplete)


def complete_workloads(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return Deployments and StatefulSets that begin so."""
    del param

    async def ask(session: Any) -> list[str]:
        from tripswitch.cluster.resources import DEPLOYMENTS, STATEFUL_SETS  # noqa: PLC0415

        found = []
        for short, resource in (("deploy", DEPLOYMENTS), ("sts", STATEFUL_SETS)):
            listed = await session.list_all(resource)
            found += [f"{short}/{one['metadata']['name']}" for one in listed]
        return found

    return _begin_so(ctx, ask, incomplete)


async def _list_guarded(session: Any) -> list[str]:
    from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS  # noqa: PLC0415 - as in _begin_so

    found = await session.list_all(GUARDED_DEPLOYMENTS)
    return [str(one["metadata"]["name"]) for one in found]


def complete_namespaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return namespaces that begin so."""
    del param

    async def ask(session: Any) -> list[str]:
        return [name async for name in session.namespaces()]

    return _begin_so(ctx, ask, incomplete)


def _begin_so(
    ctx: click.Context, ask: Callable[[Any], Awaitable[list[str]]], incomplete: str
) -> list[str]:
    # The import takes half a second, so it is made only when names are asked for.
    from tripswitch.cli.session import open_session  # noqa: PLC0415

    where = Where(*(ctx.params.get(key) for key in ("namespace", "context", "kubeconfig")))

    async def run() -> list[str]:
        async with asyncio.timeout(SECONDS), open_session(where) as session:
            return await ask(session)

    try:
        found = asyncio.run(run())
    except (click.ClickException, TimeoutError):
        return []
    return sorted({name for name in found if name.startswith(incomplete)})
