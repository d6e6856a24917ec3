"""``status``: the tree, once or live."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable

import click

from tripswitch.cli.clock import read_clock
from tripswitch.cli.options import name_argument, output_option, where_options
from tripswitch.cli.output import emit, make_console, to_plain
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.session import Session, converse, open_session
from tripswitch.cli.status.tree import render_line, render_status
from tripswitch.cli.status.view import Outcome, View, build_view
from tripswitch.cli.status.watch import Screen, follow
from tripswitch.cli.where import Where


@click.command()
@name_argument(required=False)
@click.option("-w", "--watch", is_flag=True, help="Repaint until the rollout has ended.")
@click.option("-A", "--all-namespaces", is_flag=True, help="List those of all namespaces.")
@click.option("--all-pods", is_flag=True, help="Show every pod, not only the first ten.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --watch: give up after so long (exit code 1). Default: never.",
)
@output_option
@where_options
def status(  # noqa: PLR0913 - one for each option
    *,
    name: str | None,
    watch: bool,
    all_namespaces: bool,
    all_pods: bool,
    timeout: float | None,
    output: str,
    where: Where,
) -> None:
    """Show what runs, what failed and why.

    With NAME a tree: the rollout, the circuit breaker with its causes, the revisions, their
    ReplicaSets, and each pod with the reason why it is failing. Without NAME one line for each
    GuardedDeployment.

    With --watch the tree is repainted as things happen, until the rollout has ended: exit code 0
    if it COMPLETED, 1 if it FAILED, was stopped, or was rolled back. On a pipe every change is one
    line (with -o json one JSON document).

    \b
    kubectl tripswitch status web
    kubectl apply -f web.yaml && kubectl tripswitch status web --watch
    kubectl tripswitch status -A
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    if name is None:
        if watch:
            raise click.UsageError("--watch needs a NAME")
        views = converse(where, lambda session: _list(session, everywhere=all_namespaces))
        _show_list(views, output)
        return
    if all_namespaces:
        raise click.UsageError("NAME and --all-namespaces exclude each other")
    if watch:
        screen = _choose_screen(output, all_pods=all_pods)
        view = asyncio.run(_watch(where, name, screen, timeout))
        sys.exit(Exit.DONE if view.outcome is Outcome.COMPLETED else Exit.FAILED)
    view = converse(where, lambda session: load(session, name))
    if output == "text":
        make_console().print(render_status(view, read_clock(), all_pods=all_pods))
    else:
        emit(to_plain(view), output)


async def load(session: Session, name: str) -> View:
    """Read one GuardedDeployment with its ReplicaSets and pods."""
    guarded = await session.get(name)
    replica_sets, pods = await session.children(guarded)
    return build_view(guarded, replica_sets, pods, read_clock())


async def _list(session: Session, *, everywhere: bool) -> list[View]:
    found = await session.guarded_deployments(everywhere=everywhere)
    views = [build_view(one, (), (), read_clock()) for one in found]
    if not views:
        where = "any namespace" if everywhere else f"namespace {session.namespace}"
        click.echo(f"no GuardedDeployment in {where}", err=True)
    return sorted(views, key=lambda view: (view.namespace, view.name))


def _show_list(views: Iterable[View], output: str) -> None:
    if output == "text":
        console = make_console()
        for view in views:
            console.print(render_line(view))
    else:
        emit([to_plain(view) for view in views], output)


async def _watch(where: Where, name: str, screen: Screen, timeout: float | None) -> View:  # noqa: ASYNC109 - it is the user's
    try:
        async with asyncio.timeout(timeout), open_session(where) as session:
            return await follow(session, name, screen)
    except TimeoutError:
        message = f"the rollout has not ended after {timeout:g} s"
        raise Problem(message, Exit.FAILED) from None


def _choose_screen(output: str, *, all_pods: bool) -> Screen:
    console = make_console()
    if output == "json":
        return Screen(lambda view: json.dumps(to_plain(view), ensure_ascii=False), console)
    if output == "yaml":
        raise click.UsageError("--watch writes text or json")
    if console.is_terminal:
        return Screen(
            lambda view, note="": render_status(view, read_clock(), all_pods=all_pods, note=note),
            console,
            live=True,
        )
    return Screen(render_line, console)
