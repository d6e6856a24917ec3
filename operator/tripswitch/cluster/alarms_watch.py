"""Keeps the alarms of running rollouts read: one request for the whole fleet, only while somebody needs it (A1).

A decision asks (:class:`AlarmQuestion`) as long as its rollout is watched, and stops by asking for nothing. A reading goes
into what the store knows of the object, which is looked at again where that may change a decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tripswitch.cluster.alarms_client import AlarmsUnreadError, Source
from tripswitch.cluster.record import Key, Record
from tripswitch.cluster.tracked import Tracked
from tripswitch.domain.rules.alarms import POLL_SECONDS, answer, fail, is_news
from tripswitch.domain.values.alarms import NO_READING, AlarmQuestion, AlarmReading, RuleReading
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)

NOT_SET_UP = "the operator was started without --alarms-url"

Outcome = Callable[[str], None]
"""Called with ``ok`` or ``failed`` after each request."""


class RuleReader(Protocol):
    """What is used of an :class:`tripswitch.cluster.alarms_client.AlarmsClient`."""

    @property
    def source(self) -> Source:
        """Where it reads."""

    async def read(self, names: Collection[str]) -> RuleReading:
        """Return what is known of the alerting rules with these names."""


class AlarmStore(Protocol):
    """What is used of a store of objects."""

    def holds(self, record: Record) -> bool:
        """Return whether the object still exists."""

    def track(self, record: Record) -> Tracked:
        """Return what is known of an object, to read and to write."""

    def hurry(self, key: Key) -> None:
        """Have an object looked at before others that wait."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of the watcher, in seconds."""

    poll: float = POLL_SECONDS
    """Between two requests."""
    soon: float = 1.0
    """The same where something is waited for, such as the base line of a rollout that has just begun."""


USUAL = Timing()


@dataclass(slots=True)
class _Asker:
    store: AlarmStore
    record: Record
    question: AlarmQuestion

    @property
    def reading(self) -> AlarmReading:
        return self.store.track(self.record).alarms

    def take(self, reading: AlarmReading) -> None:
        """Keep a reading, and have the object looked at if it is news."""
        tracked = self.store.track(self.record)
        before, tracked.alarms = tracked.alarms, reading
        if is_news(before, reading, self.question):
            self.store.hurry(self.record.key)


class AlarmWatcher:
    """Reads alarms in the background. Run :meth:`run` as a task.

    Args:
        client: For the requests; None: alarms are not set up, which is the answer to every question.
        clock: The time.
        observe: Called with the outcome of each request.
        timing: How long it waits for what.
    """

    def __init__(
        self,
        client: RuleReader | None,
        clock: Callable[[], Instant],
        observe: Outcome = lambda _outcome: None,
        *,
        timing: Timing = USUAL,
    ) -> None:
        self._client = client
        self._clock = clock
        self._observe = observe
        self._timing = timing
        self._askers: dict[str, _Asker] = {}
        """By UID."""
        self._changed = asyncio.Event()
        self._tried_at: Instant | None = None
        self._failing = False

    def ask(self, store: AlarmStore, record: Record, question: AlarmQuestion | None) -> None:
        """Take what a decision wants to know; None: nothing any more. Never waits."""
        before = self._askers.pop(record.uid, None)
        if question is None or not store.holds(record):
            if before is not None:
                store.track(record).alarms = NO_READING
            return
        if before is None or _subject(before.question) != _subject(question):
            store.track(record).alarms = NO_READING
        asker = self._askers[record.uid] = _Asker(store, record, question)
        if self._client is None:
            asker.take(fail(NOT_SET_UP, self._clock(), asker.reading))
        elif before is None or before.question != question:
            self._changed.set()

    def forget(self, record: Record) -> None:
        """Drop the question of an object that is gone."""
        self._askers.pop(record.uid, None)

    def of(self, store: AlarmStore) -> Callable[[Record, AlarmQuestion | None], None]:
        """Return :meth:`ask` for the objects of one store."""
        return partial(self.ask, store)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            self._changed.clear()
            due = self._find_due()
            wait = None if due is None else max(0.0, due - self._clock())
            if wait is None or wait > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                continue
            await self.poll()

    async def poll(self) -> None:
        """Read once, for everybody who asks."""
        askers = list(self._askers.values())
        if self._client is None or not askers:
            return
        names = {name for asker in askers for name in asker.question.names}
        began = self._tried_at = self._clock()
        try:
            reading = await self._client.read(names)
        except AlarmsUnreadError as error:
            self._note(str(error))
            for asker in self._still(askers):
                asker.take(fail(str(error), began, asker.reading))
        else:
            self._note("")
            for asker in self._still(askers):
                asker.take(self._answer(asker, reading, began))

    def _answer(self, asker: _Asker, reading: RuleReading, began: Instant) -> AlarmReading:
        assert self._client is not None, "an answer without a client"
        namespace = {self._client.source.namespace_label: asker.record.key.namespace}
        return answer(asker.question, namespace, reading, began, asker.reading)

    def _still(self, askers: list[_Asker]) -> list[_Asker]:
        """Return the latest form of those whose question was not taken back or changed meanwhile."""
        found = []
        for asker in askers:
            now = self._askers.get(asker.record.uid)
            if now is not None and _subject(now.question) == _subject(asker.question):
                found.append(now)
        return found

    def _find_due(self) -> Instant | None:
        """Return when the next request is due; None while nobody asks."""
        if self._client is None or not self._askers:
            return None
        tried = self._tried_at
        if tried is None:
            return self._clock()
        waits = [tried + self._timing.poll]
        for asker in self._askers.values():
            reading, after = asker.reading, asker.question.after
            if reading.unread_since is None and reading.read_at < after:
                waits.append(max(after, tried + self._timing.soon))
        return min(waits)

    def _note(self, problem: str) -> None:
        self._observe("failed" if problem else "ok")
        if bool(problem) != self._failing:
            self._failing = bool(problem)
            words = f"alarms cannot be read: {problem}" if problem else "alarms can be read again"
            logger.warning("%s", words)


def _subject(question: AlarmQuestion) -> tuple[tuple[str, ...], dict[str, str]]:
    return question.names, dict(question.match_labels)
