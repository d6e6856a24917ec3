"""``status``: the tree of one object, or the table of everything guarded, once or live."""

from __future__ import annotations

import asyncio
import json
import sys

import click

from tripswitch.cli.clock import read_clock
from tripswitch.cli.options import output_option, target_argument, where_options
from tripswitch.cli.output import emit, make_console, to_plain
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.references import Reference
from tripswitch.cli.session import Session, converse, open_session
from tripswitch.cli.status.fleet import follow_fleet, load_fleet
from tripswitch.cli.status.screen import Screen
from tripswitch.cli.status.table import render_table
from tripswitch.cli.status.tree import render_line, render_status
from tripswitch.cli.status.view import Outcome, View, build_view
from tripswitch.cli.status.watch import follow
from tripswitch.cli.subjects import find_subject, load_children
from tripswitch.cli.where import Where


@click.command()
@target_argument(required=False)
@click.option("-w", "--watch", is_flag=True, help="Repaint until the rollout has ended.")
@click.option("-A", "--all-namespaces", is_flag=True, help="List those of all namespaces.")
@click.option("--all-pods", is_flag=True, help="Show every pod, not only the first ten.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --watch: give up after this time (exit code 1). Default: never.",
)
@output_option
@where_options
def status(  # noqa: PLR0913 - one for each option
    *,
    target: Reference | None,
    watch: bool,
    all_namespaces: bool,
    all_pods: bool,
    timeout: float | None,
    output: str,
    where: Where,
) -> None:
    """Show what runs, what failed and why.

    With NAME a tree: the rollout, the circuit breaker with its causes, the revisions, their
    ReplicaSets, and each pod with the reason why it is failing. NAME is a GuardedDeployment (web), or
    a workload that is guarded in place (deploy/web, sts/db, or its breaker dcb/web).

    With --watch the tree is repainted as things happen, until the rollout has ended: exit code 0
    if it COMPLETED, 1 if it FAILED, was stopped, or was rolled back. On a pipe every change is one
    line (with -o json one JSON document).

    Without NAME a table of everything that is guarded, what needs attention first; with --watch it is
    repainted until it is interrupted or the time is over.

    \b
    kubectl tripswitch status web
    kubectl apply -f web.yaml && kubectl tripswitch status deploy/web --watch
    kubectl tripswitch status -A --watch
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    if target is None:
        _show_fleet(where, output, timeout, everywhere=all_namespaces, watch=watch)
        return
    if all_namespaces:
        raise click.UsageError("give either NAME or --all-namespaces, not both")
    if watch:
        screen = _choose_screen(output, all_pods=all_pods)
        view = asyncio.run(_watch(where, target, screen, timeout))
        sys.exit(Exit.DONE if view.outcome is Outcome.COMPLETED else Exit.FAILED)
    view = converse(where, lambda session: load(session, target))
    if output == "text":
        make_console().print(render_status(view, read_clock(), all_pods=all_pods))
    else:
        emit(to_plain(view), output)


async def load(session: Session, target: Reference) -> View:
    """Read one object with its workload, ReplicaSets and pods."""
    subject = await find_subject(session, target)
    replica_sets, pods = await load_children(session, subject)
    return build_view(subject.raw, replica_sets, pods, read_clock(), subject.workload)


def _show_fleet(
    where: Where, output: str, timeout: float | None, *, everywhere: bool, watch: bool
) -> None:
    if watch:
        screen = _choose_fleet_screen(output)
        asyncio.run(_watch_fleet(where, screen, timeout, everywhere=everywhere))
        return
    views = converse(where, lambda session: load_fleet(session, everywhere=everywhere))
    if output != "text":
        emit([to_plain(view) for view in views], output)
    elif views:
        make_console().print(render_table(views, read_clock()))


async def _watch_fleet(
    where: Where,
    screen: Screen,
    timeout: float | None,  # noqa: ASYNC109 - it is the user's
    *,
    everywhere: bool,
) -> None:
    try:
        async with asyncio.timeout(timeout), open_session(where) as session:
            await follow_fleet(session, screen, everywhere=everywhere)
    except TimeoutError:
        return


async def _watch(
    where: Where,
    target: Reference,
    screen: Screen,
    timeout: float | None,  # noqa: ASYNC109 - it is the user's
) -> View:
    try:
        async with asyncio.timeout(timeout), open_session(where) as session:
            return await follow(session, target, screen)
    except TimeoutError:
        message = f"the rollout has not ended after {timeout:g} s"
        raise Problem(message, Exit.FAILED) from None


def _choose_screen(output: str, *, all_pods: bool) -> Screen:
    console = make_console()
    if output == "json":
        return Screen(lambda view: [json.dumps(to_plain(view), ensure_ascii=False)], console)
    if output == "yaml":
        raise click.UsageError("--watch writes text or json")
    if console.is_terminal:
        return Screen(
            lambda view, note="": render_status(view, read_clock(), all_pods=all_pods, note=note),
            console,
            live=True,
        )
    return Screen(lambda view: [render_line(view)], console)


def _choose_fleet_screen(output: str) -> Screen:
    console = make_console()
    if output == "yaml":
        raise click.UsageError("--watch writes text or json")
    if output == "json":
        return Screen(
            lambda views: [json.dumps(to_plain(view), ensure_ascii=False) for view in views],
            console,
        )
    if console.is_terminal:
        return Screen(
            lambda views, note="": render_table(views, read_clock(), note=note), console, live=True
        )
    return Screen(lambda views: [render_line(view) for view in views], console)
