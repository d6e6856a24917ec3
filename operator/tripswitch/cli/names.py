"""Completion of names from the cluster. Never an error: no answer means nothing to offer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import click

from tripswitch.cli.where import Where

SECONDS = 3.0
"""Nobody waits longer for a name to be completed."""


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return GuardedDeployments that begin so."""
    del param

    async def ask(session: Any) -> list[str]:
        found = await session.guarded_deployments()
        return [str(one["metadata"]["name"]) for one in found]

    return _begin_so(ctx, ask, incomplete)


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
    return sorted(name for name in found if name.startswith(incomplete))
