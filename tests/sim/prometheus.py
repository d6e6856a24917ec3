"""A simulated Prometheus: alerting rules of which some fire, and answers that fail or say only a part (rules A).

It draws from a stream of its own, so that a world without alarms is the same as before there were any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from tests.sim.encode import NAMESPACE
from tests.sim.gate import Later
from tripswitch.cluster.alarms_client import AlarmsUnreadError, Source
from tripswitch.domain.values.alarms import AlarmSpec, Alert, RuleReading
from tripswitch.domain.values.time import Instant

ADDRESS = Source("https://prometheus.test")
LABELS = {"app": "web"}
"""What the alarms of half of the worlds ask for besides the namespace."""
PENDING_SECONDS = 20.0
"""For so long an alert is pending before it fires, if it ever is."""


@dataclass(slots=True)
class AlarmPlan:
    """What Prometheus is like.

    Attributes:
        names: The alarms that the workload asks for.
        every: Mean seconds between two changes; 0: nothing changes.
        harmless: No alarm begins to fire; what fires, has done so from the beginning.
    """

    names: tuple[str, ...]
    every: float
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class Activation:
    """An alert, with the truth about it: since when there is one, and since when it fires."""

    alert: Alert
    began: Instant
    fires_at: Instant


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that was given: when, and what it says; None: nothing, it failed."""

    at: Instant
    reading: RuleReading | None


@dataclass(slots=True)
class _Rule:
    active: list[Activation] = field(default_factory=list)
    missing: bool = False
    broken: bool = False
    """It cannot be evaluated."""


class Prometheus:
    """One Prometheus. ``clock`` is the true time."""

    def __init__(
        self, plan: AlarmPlan, later: Later, rng: Random, clock: Callable[[], Instant]
    ) -> None:
        self._plan = plan
        self._later = later
        self._rng = rng
        self._clock = clock
        self._rules = {name: _Rule() for name in plan.names}
        self._activations = 0
        self._away = self._partial = False
        self._calm = False
        self.answers: list[Answer] = []
        self.count: Callable[[str], None] = lambda _: None

    def begin(self) -> None:
        """Let some alarms be on from the beginning, and things change from now on."""
        for name in self._rules:
            if self._rng.random() < 0.2:
                self._activate(name, pending=0.0, ours=True)
        if self._plan.every:
            self._later(self._rng.expovariate(1 / self._plan.every), self._go_on)

    def calm_down(self) -> None:
        """Nothing fires any more, and everything can be read."""
        self._calm, self._away, self._partial = True, False, False
        self._rules = {name: _Rule() for name in self._plan.names}

    def connect(self, source: Source) -> Reader:
        """Return what one process reads with."""
        return Reader(self, source, self._rng)

    def answer(self, names: Collection[str]) -> RuleReading:
        """Return what there is to read at this moment.

        Raises:
            AlarmsUnreadError: Nothing is.
        """
        now = self._clock()
        if self._away:
            self.answers.append(Answer(now, None))
            raise AlarmsUnreadError("connection refused")
        rules = {name: rule for name, rule in self._rules.items() if name in names}
        known = frozenset(name for name, rule in rules.items() if not rule.missing)
        broken = {name: "too many samples" for name, rule in rules.items() if rule.broken}
        alerts = tuple(self._show(one, now) for name in known for one in rules[name].active)
        reading = RuleReading(known, alerts, broken, complete=not self._partial)
        self.answers.append(Answer(now, reading))
        return reading

    # What changes --------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._calm:
            return
        self._later(self._rng.expovariate(1 / self._plan.every), self._go_on)
        deeds: list[tuple[Callable[[str], None], int]] = [
            (self._fire_elsewhere, 1),
            (self._go_away, 2),
            (self._break, 1),
            (self._lose, 1),
            (self._answer_in_part, 1),
        ]
        if not self._plan.harmless:
            deeds += [(self._fire, 3), (self._clear, 4)]
        (deed,) = self._rng.choices([one for one, _ in deeds], [weight for _, weight in deeds])
        deed(self._rng.choice(self._plan.names))
        self.count(f"alarms: {deed.__name__.strip('_')}")

    def _fire(self, name: str) -> None:
        self._activate(name, pending=self._rng.choice((0.0, PENDING_SECONDS)), ours=True)

    def _fire_elsewhere(self, name: str) -> None:
        """Of another workload."""
        self._activate(name, pending=0.0, ours=False)

    def _clear(self, name: str) -> None:
        self._rules[name].active.clear()

    def _go_away(self, _name: str) -> None:
        self._away = True
        self._later(self._rng.uniform(5, 150), self._come_back)

    def _come_back(self) -> None:
        self._away = False

    def _break(self, name: str) -> None:
        self._rules[name].broken = True
        self._later(self._rng.uniform(5, 120), lambda: self._mend(name))

    def _lose(self, name: str) -> None:
        """Somebody takes the rule away, and its alerts with it."""
        self._rules[name] = _Rule(self._rules[name].active, missing=True)
        self._later(self._rng.uniform(20, 400), lambda: self._mend(name))

    def _mend(self, name: str) -> None:
        self._rules[name].missing = self._rules[name].broken = False

    def _answer_in_part(self, name: str) -> None:
        self._partial = self._rules[name].missing = True
        self._later(self._rng.uniform(5, 60), lambda: self._complete(name))

    def _complete(self, name: str) -> None:
        self._partial = False
        self._mend(name)

    def _activate(self, name: str, *, pending: float, ours: bool) -> None:
        self._activations += 1
        now = self._clock()
        elsewhere = self._rng.choice(({"namespace": "elsewhere"}, {"app": "other"}))
        if self._plan.harmless:  # another app of the namespace is asked for where no labels are
            elsewhere = {"namespace": "elsewhere"}
        labels = {"alertname": name, "namespace": NAMESPACE, **LABELS}
        alert = Alert(
            name,
            labels if ours else {**labels, **elsewhere},
            f"activation {self._activations}",
            f"at {now:.3f}, {self._activations}",
        )
        active = Activation(alert, now, now + pending)
        self._rules[name].active.append(active)

    def _show(self, one: Activation, now: Instant) -> Alert:
        return replace(one.alert, firing=one.fires_at <= now)


class Reader:
    """One process' client."""

    def __init__(self, prometheus: Prometheus, source: Source, rng: Random) -> None:
        self.source = source
        self._prometheus = prometheus
        self._rng = rng

    async def read(self, names: Collection[str]) -> RuleReading:
        """Return what is known of the alerting rules with these names.

        Raises:
            AlarmsUnreadError: They could not be read.
        """
        await asyncio.sleep(self._rng.uniform(0.001, 0.1))
        reading = self._prometheus.answer(names)
        await asyncio.sleep(self._rng.uniform(0.001, 0.1))
        return reading


def is_asked_for(alert: Alert, asked: AlarmSpec) -> bool:
    """Return whether an alert is one of an alarm that a workload asks for (A1)."""
    wanted = {"namespace": NAMESPACE, **asked.match_labels}
    return alert.name in asked.names and wanted.items() <= alert.labels.items()


def list_firing(answer: Answer, asked: AlarmSpec) -> Iterator[Alert]:
    """Return the alerts of an answer that fire."""
    for alert in () if answer.reading is None else answer.reading.alerts:
        if alert.firing and is_asked_for(alert, asked):
            yield alert


def is_good(answer: Answer, asked: AlarmSpec) -> bool:
    """Return whether an answer says something of every alarm that is asked for (A2)."""
    if answer.reading is None:
        return False
    missing = set(asked.names) - answer.reading.known
    return not set(asked.names) & set(answer.reading.unread) and (
        not missing or answer.reading.complete
    )
