"""Small pieces of text: ages, numbers, and words of strangers made safe for a terminal."""

from __future__ import annotations

from datetime import UTC, datetime


def clean(text: str) -> str:
    r"""Return text without what could steer a terminal: logs and messages are written by strangers.

    Line ends and tabs stay; every other control character becomes a space.

    >>> clean("\x1b[31mred\x07\nnext")
    ' [31mred \nnext'
    """
    return "".join(char if char.isprintable() or char in "\n\t" else " " for char in text)


def one_line(text: str) -> str:
    r"""Return clean text on one line.

    >>> one_line("no such\n  image ")
    'no such image'
    """
    return " ".join(clean(text).split())


def format_age(seconds: float) -> str:
    """Return a duration as kubectl writes it: two units at most.

    >>> [format_age(s) for s in (0.4, 75, 3600, 8000, 200000, -3)]
    ['0s', '1m15s', '1h', '2h13m', '2d7h', '0s']
    """
    rest = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def format_lasting(seconds: float) -> str:
    """Return how long something took: short times to a tenth of a second.

    >>> [format_lasting(s) for s in (0.42, 9.96, 75)]
    ['0.4s', '10.0s', '1m15s']
    """
    return f"{max(0.0, seconds):.1f}s" if seconds < 10 else format_age(seconds)


def format_moment(moment: float | None) -> str:
    """Return a time, in seconds since 1970, to the second in UTC.

    >>> format_moment(0.0), format_moment(None)
    ('1970-01-01 00:00:00Z', '-')
    """
    if moment is None:
        return "-"
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def plural(count: int, word: str) -> str:
    """Return a number with its word.

    >>> plural(1, "pod"), plural(3, "failure")
    ('1 pod', '3 failures')
    """
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
