"""``history``: the revisions as a table."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from tripswitch.cli.formatting import format_moment, one_line
from tripswitch.cli.options import output_option, target_argument, where_options
from tripswitch.cli.output import emit, make_console, to_plain
from tripswitch.cli.references import Reference
from tripswitch.cli.session import converse
from tripswitch.cli.status.command import load
from tripswitch.cli.status.marks import MARKS, STATES
from tripswitch.cli.status.view import View
from tripswitch.cli.where import Where


@click.command()
@target_argument()
@output_option
@where_options
def history(
    *,
    target: Reference,
    output: str,
    where: Where,
) -> None:
    """List the revisions of a GuardedDeployment or a guarded workload, newest first.

    A revision is one pod template with its ReplicaSet (of a StatefulSet, its ControllerRevision). ROLES: "wanted" is what spec asks for,
    "running" what the latest rollout makes run, "last completed" where a rollback would go.

    \b
    kubectl tripswitch history web
    kubectl tripswitch history deploy/web
    kubectl tripswitch undo web --to-revision 3
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    view = converse(where, lambda session: load(session, target))
    if output == "text":
        make_console().print(render_history(view))
    else:
        emit(to_plain(view.revisions), output)


def render_history(view: View) -> Table:
    """Return the table."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in (
        "REVISION",
        "STATE",
        "ROLES",
        "HEALTHY",
        "FAILURES",
        "IMAGES",
        "CREATED",
        "ENDED",
    ):
        table.add_column(title, no_wrap=title != "IMAGES")
    table.add_column("REASON", overflow="fold")
    for revision in view.revisions:
        mark = STATES.get(revision.state)
        table.add_row(
            str(revision.number),
            Text(revision.state, style=MARKS[mark][1] if mark else ""),
            ", ".join(_roles(view, revision.number)),
            f"{revision.healthy}/{revision.desired}",
            str(revision.failures),
            one_line(revision.image_words),
            format_moment(revision.created_at),
            format_moment(revision.finished_at or revision.completed_at),
            one_line(revision.reason),
        )
    return table


def _roles(view: View, number: int) -> list[str]:
    roles = (
        ("wanted", view.desired_revision),
        ("running", view.rollout.revision),
        ("last completed", view.last_completed),
    )
    return [role for role, which in roles if which == number]
