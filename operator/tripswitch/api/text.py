"""Text of others that is shown to people: pods, servers and logs choose these words."""

from __future__ import annotations

import re

_ESCAPES = r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]"
"""What steers a terminal; its letters go with it."""
_SPACES = r"[^\S\n\t ]"
_CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
"""C0 and C1 without line ends and tabs: U+009B alone is the beginning of an escape sequence."""
_OVERRIDES = r"[\u202a-\u202e\u2066-\u2069]"
"""What makes text read in another order than it is stored in."""

_STEERING = re.compile(f"{_ESCAPES}|{_SPACES}|{_CONTROLS}|{_OVERRIDES}")


def clean(words: str) -> str:
    r"""Return text without what steers a terminal or turns the direction of reading.

    Line ends and tabs stay.

    >>> clean("\x1b[31mFATAL\x1b[0m: no\u202e such \x9btable\r\n")
    'FATAL: no such table\n'
    """
    return words if words.isprintable() else _STEERING.sub("", words)
