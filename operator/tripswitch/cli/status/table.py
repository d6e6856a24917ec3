"""The table of everything that is guarded, what needs attention first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tripswitch.cli.formatting import format_age, one_line, plural
from tripswitch.cli.status.marks import MARKS
from tripswitch.cli.status.pod_lines import Tone
from tripswitch.cli.status.view import Outcome, View
from tripswitch.domain.values.time import Instant


class Rank(IntEnum):
    """How much a row needs a person's attention, the most urgent first."""

    STALLED = 0
    """Its rollout failed and nothing is done about it."""
    ROLLING_BACK = 1
    ROLLED_BACK = 2
    """The wanted revision failed; an earlier one runs."""
    PROBLEM = 3
    """Nothing is guarded: the target is missing or taken, or has no rollout to watch."""
    FAILING = 4
    """A rollout that has failures."""
    ROLLING_OUT = 5
    UNSEEN = 6
    """The operator has not looked at the latest change."""
    AT_RISK = 7
    """All is well, but a trip could not roll back, or would come late."""
    GOOD = 8


TONES = {
    Rank.STALLED: Tone.BAD,
    Rank.ROLLING_BACK: Tone.BAD,
    Rank.ROLLED_BACK: Tone.BAD,
    Rank.PROBLEM: Tone.BAD,
    Rank.FAILING: Tone.BAD,
    Rank.ROLLING_OUT: Tone.WAITING,
    Rank.UNSEEN: Tone.WAITING,
    Rank.AT_RISK: Tone.GOOD,
    Rank.GOOD: Tone.GOOD,
}
COLUMNS = (
    *("NAMESPACE", "NAME", "MODE", "ROLLOUT", "REVISION", "STAGE", "FAILURES", "HEALTHY", "SINCE"),
)


def rank(view: View) -> Rank:
    """Return how urgent a row is."""
    status = view.rollout.status
    if view.problem:
        return Rank.PROBLEM
    if status == "ROLLBACK_IN_PROGRESS":
        return Rank.ROLLING_BACK
    if not view.current:
        return Rank.UNSEEN
    if view.outcome is Outcome.FAILED:
        return Rank.ROLLED_BACK if status == "ROLLBACK_SUCCESSFUL" else Rank.STALLED
    if view.outcome is Outcome.RUNNING:
        return Rank.FAILING if view.breaker.count else Rank.ROLLING_OUT
    return Rank.AT_RISK if view.risk else Rank.GOOD


def sort_worst_first(views: Sequence[View]) -> list[View]:
    """Return rows in the order in which a person should look at them; the same order each time."""
    return sorted(
        views,
        key=lambda view: (rank(view), -view.breaker.count, view.namespace, view.label, view.name),
    )


def render_table(views: Sequence[View], now: Instant, note: str = "") -> Group:
    """Return the table and a summary; ``note`` is one more line at its end."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in COLUMNS:
        table.add_column(title, no_wrap=True)
    table.add_column("REASON", no_wrap=True, overflow="ellipsis")
    for view in views:
        table.add_row(*_row(view, now))
    lines: list[RenderableType] = [table, Text(_summary(views), style="dim")]
    if note:
        lines.append(Text(note, style="dim"))
    return Group(*lines)


def _row(view: View, now: Instant) -> list[Text]:
    mark, style = MARKS[TONES[rank(view)]]
    rollout, breaker = view.rollout, view.breaker
    since = rollout.finished_at if rollout.finished_at is not None else rollout.started_at
    return [
        Text(one_line(view.namespace)),
        Text.assemble((f"{mark} ", style), (one_line(view.label), "bold")),
        Text(view.mode or "-"),
        Text(rollout.status or "-", style=style),
        Text(str(rollout.revision) if rollout.status else "-"),
        Text(breaker.stage if view.outcome is Outcome.RUNNING and breaker.stage else "-"),
        Text(f"{breaker.count}/{breaker.threshold}" if breaker.threshold else "-"),
        Text(f"{view.healthy}/{view.replicas}"),
        Text("-" if since is None else format_age(now - since)),
        Text(one_line(_find_reason(view))),
    ]


def _find_reason(view: View) -> str:
    if rank(view) is Rank.AT_RISK:
        return f"at risk: {view.risk}"
    return view.problem or view.reason


def _summary(views: Sequence[View]) -> str:
    ranks = [rank(view) for view in views]
    urgent = sum(TONES[one] is Tone.BAD for one in ranks)
    running = sum(one in (Rank.FAILING, Rank.ROLLING_OUT, Rank.ROLLING_BACK) for one in ranks)
    words = f"{len(views)} guarded: {urgent} need attention, {plural(running, 'rollout')} running"
    return words.replace(": 1 need ", ": 1 needs ")
