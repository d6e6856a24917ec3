"""``diff``: what is different between two revisions."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from typing import Any

import click
import yaml
from rich.text import Text

from tripswitch.cli.clock import read_clock
from tripswitch.cli.formatting import clean
from tripswitch.cli.options import target_argument, where_options
from tripswitch.cli.output import make_console
from tripswitch.cli.problems import Exit
from tripswitch.cli.references import Reference
from tripswitch.cli.revisions import find_revision, list_previous, load_first, load_replica_set
from tripswitch.cli.session import Session, converse
from tripswitch.cli.status.view import build_view
from tripswitch.cli.subjects import find_subject
from tripswitch.cli.templates import read_template
from tripswitch.cli.where import Where

STYLES = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@target_argument()
@click.argument("one", type=click.IntRange(min=1), required=False, metavar="[A]")
@click.argument("other", type=click.IntRange(min=1), required=False, metavar="[B]")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there are differences.")
@where_options
def diff(
    *,
    target: Reference,
    one: int | None,
    other: int | None,
    exit_code: bool,
    where: Where,
) -> None:
    """Compare the pod templates of revisions A and B.

    A is by default the revision that runs or completed before, B the wanted one: after a trip this is
    the change that failed. Both are shown with the API server's defaults.

    \b
    kubectl tripswitch diff web          what was changed
    kubectl tripswitch diff web 3 7      between two revisions
    kubectl tripswitch diff deploy/web   of a guarded Deployment
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    lines = converse(where, lambda session: _compare(session, target, one, other))
    console = make_console()
    for line in lines:
        console.print(Text(line, style=STYLES.get(line[:1], "")), soft_wrap=True)
    if exit_code and lines:
        sys.exit(Exit.FAILED)


async def _compare(
    session: Session, target: Reference, one: int | None, other: int | None
) -> list[str]:
    subject = await find_subject(session, target)
    view = build_view(subject.raw, (), (), read_clock())
    if one is None:
        first, held, _ = await load_first(session, view, list_previous(view))
    else:
        first = find_revision(view, one)
        held = await load_replica_set(session, view, first)
    second = find_revision(view, other if other is not None else view.desired_revision)
    old = read_template(held, digests=True)
    new = read_template(await load_replica_set(session, view, second), digests=True)
    return compare(old, new, (f"revision {first.number}", f"revision {second.number}"))


def compare(one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, str]) -> list[str]:
    """Return a unified diff of two templates as YAML, empty if they are the same."""
    old, new = (clean(yaml.safe_dump(dict(part))).splitlines() for part in (one, other))
    return list(difflib.unified_diff(old, new, names[0], names[1], lineterm=""))
