"""What a fault is, and which request it befalls. Values only: the proxy carries them out."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of the operator. ``number`` counts from 1; ``write`` is how many writes so far."""

    number: int
    write: int
    verb: str
    resource: str
    at: float
    path: str
    query: str = ""

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.verb in ("create", "update", "patch", "delete")

    @property
    def stream(self) -> tuple[str, str]:
        """Which of the operator's watches it opens: pods, for example, are watched with several selectors."""
        return self.path, parse_qs(self.query).get("labelSelector", [""])[0]


@dataclass(frozen=True, slots=True)
class Delay:
    """It reaches the server later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """It does not reach the server; this is the answer."""

    status: int
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks. ``after`` the server has done it: the answer is lost."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Halve:
    """Half of the answer arrives; ``clean``: as if that were all, else the connection breaks."""

    clean: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Something is done before the request, or after the server did it; then the connection breaks."""

    what: Callable[[], None]
    after: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """A watch ends after so many events."""

    events: int = 0


@dataclass(frozen=True, slots=True)
class Freeze:
    """A watch goes silent after so many events, and stays open."""

    events: int = 0


@dataclass(frozen=True, slots=True)
class Replay:
    """Every event of a watch comes again, after each of the ones that follow it."""

    keep: int = 3


@dataclass(frozen=True, slots=True)
class Fail:
    """A watch ends with an ERROR event after so many events: 410 Gone, or any other code."""

    code: int
    events: int = 0


@dataclass(frozen=True, slots=True)
class Bookmarks:
    """A watch brings so many bookmarks, and ends."""

    count: int = 5


@dataclass(frozen=True, slots=True)
class Garble:
    """A watch ends in the middle of a line; so many events come before."""

    events: int = 0


Fault = Delay | Refuse | Reset | Halve | Call
Watched = Cut | Freeze | Replay | Fail | Bookmarks | Garble


@dataclass(slots=True)
class Rule:
    """A fault befalls the requests that ``when`` holds for, at a rate, and at most so many times.

    Args:
        times: How many requests it befalls at most, None for any number.
        each: How many requests of each of the operator's watches it befalls at most.
    """

    fault: Fault | Watched
    when: Callable[[Asked], bool] = lambda _: True
    rate: float = 1.0
    times: int | None = None
    each: int | None = None
    hits: int = 0
    hit_streams: Counter[tuple[str, str]] = field(default_factory=Counter)

    def is_spent(self, asked: Asked) -> bool:
        """Return whether it befalls this request no more."""
        if self.each is not None and self.hit_streams[asked.stream] >= self.each:
            return True
        return self.times is not None and self.hits >= self.times

    def hit(self, asked: Asked) -> None:
        """Note that it befalls this request."""
        self.hits += 1
        self.hit_streams[asked.stream] += 1


@dataclass
class FaultPlan:
    """The rules in force; the first that hits decides. The same seed gives the same chances."""

    seed: int = 1
    rules: list[Rule] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    _writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def set(self, *rules: Rule) -> None:
        """Put these rules in force, instead of all before."""
        with self._lock:
            self.rules = list(rules)

    def note(self, verb: str, resource: str, path: str, query: str) -> Asked:
        """Take down one request."""
        with self._lock:
            self._writes += verb in ("create", "update", "patch", "delete")
            number, at = len(self.asked) + 1, time.monotonic()
            asked = Asked(number, self._writes, verb, resource, at, path, query)
            self.asked.append(asked)
            return asked

    def choose(self, asked: Asked) -> Fault | Watched | None:
        """Return what befalls a request."""
        with self._lock:
            for rule in self.rules:
                fits = isinstance(rule.fault, Watched) is (asked.verb == "watch") or isinstance(
                    rule.fault, Delay | Refuse | Reset
                )
                if rule.is_spent(asked) or not fits or not rule.when(asked):
                    continue
                if rule.rate >= 1.0 or self._chance.random() < rule.rate:
                    rule.hit(asked)
                    return rule.fault
            return None

    def streams(self, resources: Iterable[str] = ()) -> int:
        """Return how many different watches there were, of these resources or of all."""
        wanted = frozenset(resources)
        with self._lock:
            watches = [one for one in self.asked if one.verb == "watch"]
            return len({one.stream for one in watches if not wanted or one.resource in wanted})

    def count(self, verb: str, resource: str) -> int:
        """Return how many such requests there were."""
        with self._lock:
            return sum((one.verb, one.resource) == (verb, resource) for one in self.asked)


def on(verbs: Iterable[str] = (), resources: Iterable[str] = ()) -> Callable[[Asked], bool]:
    """Return a condition on verb and resource; nothing named means any."""
    wanted, kinds = frozenset(verbs), frozenset(resources)

    def holds(asked: Asked) -> bool:
        return (not wanted or asked.verb in wanted) and (not kinds or asked.resource in kinds)

    return holds


def writes(asked: Asked) -> bool:
    """Hold for every write."""
    return asked.writes
