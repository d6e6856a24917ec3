"""The breaker and what it counted in the picture of ``status``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text
from rich.tree import Tree

from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import read_int, read_text
from tripswitch.cli.formatting import clean, format_age, one_line
from tripswitch.cli.status.entries import BreakerLine, Raw
from tripswitch.domain.rules.failure_words import describe_cause
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.time import Instant

BAR = 20
"""Longest breaker bar, in characters."""

KNOWN = frozenset(
    {
        "container",
        "count",
        "exitCode",
        "kind",
        "lastSeen",
        "message",
        "node",
        "pod",
        "reason",
        "revision",
        "signal",
    }
)
"""Fields of a failure that its line has already said; all others are shown below it."""


def add_breaker(root: Tree, breaker: BreakerLine, now: Instant) -> None:
    """Add a branch for the breaker, with a leaf for each cause of failures."""
    if not breaker.status:
        return
    branch = root.add(_bar(breaker))
    for failure in breaker.failures:
        _add_failure(branch, failure, now)


def _bar(breaker: BreakerLine) -> Text:
    count, threshold = breaker.count, max(1, breaker.threshold)
    cells = min(threshold, BAR)
    full = min(cells, -(-count * cells // threshold))
    colour = "red" if count >= threshold else "yellow" if count else "green"
    line = Text("breaker ")
    line.append("■" * full, colour).append("□" * (cells - full), "dim")
    line.append(f" {breaker.count}/{breaker.threshold}", f"{colour} bold")
    colour = "red" if breaker.status == "TRIGGERED" else "default"
    line.append(f"  {breaker.status}", colour)
    if breaker.status == "MONITORING":
        line.append(f"  stage {breaker.stage}", "dim")
    return line


def _add_failure(branch: Tree, failure: Raw, now: Instant) -> None:
    line = Text.assemble(("✖ ", "red"), (read_text(failure.get("reason")) or "?", "red bold"))
    line.append(f" x{read_int(failure.get('count'))}", "bold")
    line.append(f"  {describe_failure(failure)}")
    seen = parse_instant(failure.get("lastSeen"))
    if seen is not None:
        line.append(f"  {format_age(now - seen)} ago", "dim")
    leaf = branch.add(line)
    message = read_text(failure.get("message"))
    if message:
        leaf.add(Text(one_line(message)))
    for name, words in _more_fields(failure):
        lines = clean(words).rstrip().splitlines()
        if len(lines) == 1:
            leaf.add(Text(f"{_spaced(name)}: {lines[0]}"))
        else:
            leaf.add(Text("\n".join([f"{_spaced(name)}:", *(f"  {one}" for one in lines)])))


def _more_fields(failure: Raw) -> Iterator[tuple[str, str]]:
    """Yield the other fields, also those one level down (the evidence), of any name."""
    for name, value in failure.items():
        if name in KNOWN or value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            yield from _more_fields(value)
        else:
            yield name, str(value)


def describe_failure(failure: Raw) -> str:
    """Return who failed how: "LAUNCH: container web exited 2, revision 2, pod web-1 on node-3"."""
    words = []
    cause = _read_cause(failure)
    if cause.container:
        words.append(describe_cause(cause))
    if failure.get("revision"):
        words.append(f"revision {failure['revision']}")
    node = f" on {failure['node']}" if failure.get("node") else ""
    words.append(f"pod {read_text(failure.get('pod'))}{node}")
    return one_line(f"{read_text(failure.get('kind'))}: {', '.join(words)}")


def _read_cause(failure: Raw) -> FailureCause:
    """Return the cause that a record of any version tells of, as far as it makes sense."""
    code, signal = (failure.get(name) for name in ("exitCode", "signal"))
    return FailureCause(
        kind=FailureKind.HEALTH
        if failure.get("kind") == FailureKind.HEALTH
        else FailureKind.LAUNCH,
        reason=read_text(failure.get("reason")),
        container=read_text(failure.get("container")) or None,
        exit_code=None if code is None else read_int(code),
        signal=read_int(signal) or None,
    )


def _spaced(name: str) -> str:
    """Return a field's name as words.

    >>> _spaced("logTail")
    'log tail'
    """
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name)
