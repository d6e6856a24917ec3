"""Checks the subject of a commit message: ``python -m tools.commit_message FILE``.

The hook of pre-commit calls it (``make hooks``). STYLE.md says what a subject looks like.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LONGEST = 72
PREFIX = re.compile(r"(feat|fix|docs|chore|refactor|test|ci|build|style|perf)(\([^)]*\))?!?:")


def find_problem(message: str) -> str:
    """Return what is wrong with the first line of a commit message; empty if nothing is.

    >>> find_problem("Count a rejected pod under its own reason")
    ''
    >>> find_problem("fix: count a rejected pod")
    'no prefix tags: fix:'
    >>> find_problem("Count it.")
    'no full stop at the end'
    """
    lines = message.splitlines() or [""]
    subject = lines[0]
    tag = PREFIX.match(subject)
    if not subject.strip():
        return "the subject is empty"
    if len(subject) > LONGEST:
        return f"the subject has {len(subject)} characters, at most {LONGEST}"
    if tag is not None:
        return f"no prefix tags: {tag.group()}"
    if subject.endswith("."):
        return "no full stop at the end"
    if len(lines) > 1 and lines[1].strip():
        return "the second line is not empty"
    return ""


if __name__ == "__main__":
    sys.exit(find_problem(Path(sys.argv[1]).read_text()) or 0)
