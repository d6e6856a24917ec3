"""What happens in a simulation, as a person writes it: "2 crash after 30 s, node lost at 10 s". Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """What a pod of the new revision does."""

    FINE = "ok"
    CRASH = "crash"
    OUT_OF_MEMORY = "oom"
    PULL = "pull"
    CONFIG = "config"
    UNREADY = "unready"
    UNSCHEDULABLE = "unschedulable"


NODE_LOST = "node lost"
MEANING = {
    "crash": "the container exits 2 at each start (after S seconds)",
    "oom": "the same, killed for its memory",
    "pull": "the image cannot be pulled",
    "config": "a ConfigMap or Secret is missing",
    "unready": "it runs and is never Ready; after S seconds: it was Ready and loses it",
    "unschedulable": "no node has room for it",
    "ok": "it becomes healthy",
    NODE_LOST: "one of two nodes stops reporting, with all pods on it (at S seconds)",
}

_LINE = re.compile(
    r"(?:(?P<pods>\d+)\s*(?:x|pods?)?\s+)?"
    rf"(?P<act>{'|'.join(MEANING)})"
    r"(?:\s+(?:after|at)\s+(?P<time>\d+(?:\.\d+)?)\s*(?P<unit>s|m|min)?)?"
)


@dataclass(frozen=True, slots=True)
class Line:
    """This many pods (None: all that are left) do this, ``seconds`` after their start."""

    act: Act
    pods: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """Acts in the order in which pods of the new revision take them, and when a node is lost."""

    lines: tuple[Line, ...] = ()
    node_lost_at: float | None = None

    def act_of(self, number: int) -> Line:
        """Return what the ``number``-th pod of the new revision does, counting from 0.

        >>> script = parse_script(["2 crash", "pull"])
        >>> [str(script.act_of(number).act) for number in range(4)]
        ['crash', 'crash', 'pull', 'pull']
        """
        for line in self.lines:
            if line.pods is None or number < line.pods:
                return line
            number -= line.pods
        return Line(Act.FINE)


def parse_script(texts: list[str]) -> Script:
    """Return a script.

    >>> parse_script(["unready after 30 s", "node lost at 1 m"])
    Script(lines=(Line(act=<Act.UNREADY: 'unready'>, pods=None, seconds=30.0),), node_lost_at=60.0)

    Raises:
        ValueError: A line says something else; its message says which and what there is.
    """
    lines: list[Line] = []
    node_lost_at = None
    for text in (part.strip() for given in texts for part in given.split(",")):
        found = _LINE.fullmatch(text.lower())
        if found is None:
            raise ValueError(f"{text!r} is not understood; there are {', '.join(MEANING)}")
        seconds = float(found["time"]) if found["time"] else None
        if seconds is not None and found["unit"] in ("m", "min"):
            seconds *= 60
        if found["act"] == NODE_LOST:
            node_lost_at = seconds or 0.0
        else:
            pods = int(found["pods"]) if found["pods"] else None
            lines.append(Line(Act(found["act"]), pods, seconds))
    return Script(tuple(lines), node_lost_at)
