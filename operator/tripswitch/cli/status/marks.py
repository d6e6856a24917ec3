"""The signs and colours of states in the pictures of ``status`` and ``history``."""

from __future__ import annotations

from rich.text import Text

from tripswitch.cli.status.pod_lines import Tone

MARKS = {
    Tone.GOOD: ("✔", "green"),
    Tone.WAITING: ("◌", "yellow"),
    Tone.BAD: ("✖", "red"),
    Tone.GONE: ("○", "dim"),
}
STATES = {
    "COMPLETED": Tone.GOOD,
    "SUCCESSFUL": Tone.GOOD,
    "IN_PROGRESS": Tone.WAITING,
    "PENDING": Tone.WAITING,
    "ROLLBACK_IN_PROGRESS": Tone.WAITING,
    "ROLLBACK_SUCCESSFUL": Tone.BAD,
    "ROLLBACK_FAILED": Tone.BAD,
    "FAILED": Tone.BAD,
    "STOPPED": Tone.GONE,
}


def mark(tone: Tone, words: str, *, bold: bool) -> Text:
    """Return words behind the sign of a tone, in its colour if they are bold."""
    sign, style = MARKS[tone]
    return Text.assemble((f"{sign} ", style), (words, f"{style} bold" if bold else "default"))
