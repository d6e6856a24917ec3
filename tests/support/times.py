"""The times that the tests on real containers measured, as a table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from statistics import median

COLUMNS = (1, 4, 10)
"""Replicas."""


def render_times(lines: Iterable[str]) -> str:
    """Return a Markdown table of JSON lines: medians, in seconds.

    >>> print(render_times(['{"image": "exit-2", "replicas": 4, "trip": 2.345, "restored": 0.5}']))
    | image | replicas 1 | replicas 4 | replicas 10 |
    |---|---|---|---|
    | exit-2: trip / restored | | 2.3 / 0.5 | |
    <BLANKLINE>
    """
    found: dict[str, dict[int, list[dict[str, float | None]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for line in map(json.loads, lines):
        found[line["image"]][line["replicas"]].append(line)
    heads = " | ".join(f"replicas {number}" for number in COLUMNS)
    rows = [f"| image | {heads} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for image, by_replicas in sorted(found.items()):
        trips = any(run["trip"] is not None for runs in by_replicas.values() for run in runs)
        cells = [_cell(by_replicas.get(number, [])) for number in COLUMNS]
        what = "trip / restored" if trips else "completed"
        rows.append(f"| {image}: {what} |{''.join(f' {c} |' if c else ' |' for c in cells)}")
    return "\n".join(rows) + "\n"


def _cell(runs: list[dict[str, float | None]]) -> str:
    words = []
    for key in ("trip", "restored"):
        values = [value for run in runs if (value := run[key]) is not None]
        if values:
            words.append(f"{median(values):.1f}")
    return " / ".join(words)
