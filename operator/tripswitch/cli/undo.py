"""``undo``: an earlier template back into ``spec``. The one command that writes a template."""

from __future__ import annotations

from copy import deepcopy

import click

from tripswitch.api.tolerant import field
from tripswitch.cli.applied import find_server_side_appliers, restate_applied
from tripswitch.cli.clock import read_clock
from tripswitch.cli.options import name_argument, where_options
from tripswitch.cli.problems import Problem
from tripswitch.cli.revisions import find_revision, list_previous, load_first, load_replica_set
from tripswitch.cli.session import Session, as_object, converse
from tripswitch.cli.status.view import View, build_view
from tripswitch.cli.templates import find_written, read_template
from tripswitch.cli.where import Where


@click.command()
@name_argument()
@click.option(
    "--to-revision",
    "number",
    type=click.IntRange(min=1),
    metavar="N",
    help="Default: the revision that runs after a rollback, else the one that completed before.",
)
@where_options
def undo(*, name: str, number: int | None, where: Where) -> None:
    """Put the pod template of an earlier revision back into the spec.

    The operator itself never writes spec: after a rollback the failed template stays there, so that
    Git and the cluster agree. This command is for those who do not work from Git. If the revision is
    the one that runs, nothing is restarted.
    """
    click.echo(converse(where, lambda session: _undo(session, name, number)))


async def _undo(session: Session, name: str, number: int | None) -> str:
    raw = await session.get(name)
    view = build_view(raw, (), (), read_clock())
    if number is not None and number == view.desired_revision:
        raise Problem(f"gdeploy/{name} has the template of revision {number} already")
    if number is None:
        target, replica_set, lost = await load_first(session, view, list_previous(view))
    else:
        target, lost = find_revision(view, number), []
        replica_set = await load_replica_set(session, view, target)
    wanted = await _find_wanted(session, view)
    written = find_written(replica_set, field(raw, "spec", "template"), wanted)
    changed = deepcopy(as_object(raw))
    template = dict(written or read_template(replica_set))
    changed["spec"]["template"] = template
    restate_applied(changed, template)
    await session.replace(name, changed)
    said = f"gdeploy/{name} has the template of revision {target.number} again"
    if written is None:
        said += ", with the API server's defaults written out: it becomes a revision of its own"
    said += "".join(f"\nskipped: revision {one}, whose ReplicaSet was deleted" for one in lost)
    said += "".join(
        f"\nwarning: {manager} applies it on the server side: fields that only this template has "
        "stay until they are removed by hand"
        for manager in find_server_side_appliers(raw)
    )
    return said


async def _find_wanted(session: Session, view: View) -> dict[str, object] | None:
    """Return the ReplicaSet made from the template that ``spec`` holds now, if there is one."""
    if not view.current:
        return None
    try:
        revision = find_revision(view, view.desired_revision)
        return dict(await load_replica_set(session, view, revision))
    except Problem:
        return None  # it was refused, or somebody deleted it: there is less to learn from
