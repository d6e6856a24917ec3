"""Files that are written from something else: written, or compared and the difference shown."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 60
"""Of a difference; the first lines tell what was forgotten."""


def settle(wanted: Mapping[Path, str], *, check: bool) -> int:
    """Write the files that are not as wanted; with ``check``, show how they differ and write nothing.

    Returns:
        The exit code: 1 if a check found a difference.
    """
    found = {path: path.read_text() if path.exists() else None for path in wanted}
    stale = {path: text for path, text in wanted.items() if found[path] != text}
    for path, text in stale.items():
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
            continue
        before = found[path]
        print(
            f"{name} is {'missing' if before is None else 'stale'}: run `make generate`",
            file=sys.stderr,
        )
        if before is not None:
            _show(before, text, f"{name}")
    return 1 if check and stale else 0


def _show(before: str, after: str, name: str) -> None:
    lines = list(
        difflib.unified_diff(
            before.splitlines(), after.splitlines(), name, f"{name} as it should be", lineterm=""
        )
    )
    print(*lines[:MOST_LINES], sep="\n", file=sys.stderr)
    if len(lines) > MOST_LINES:
        print(f"... {len(lines) - MOST_LINES} lines more", file=sys.stderr)
