"""Looks up whether what completed revisions name is still there: one list for each namespace and kind (B9).

A decision asks (:class:`ReferenceQuestion`) as long as there is a revision to go back to that names something, and
stops by asking for nothing. A namespace in which nobody asks is not listed, and neither is a kind. Lists are repeated
rather than watched (ADR 22); only names are read, and only what is missing is kept.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from tripswitch.api.tolerant import field as at
from tripswitch.api.tolerant import objects, read_text
from tripswitch.cluster.client import METADATA_ONLY, Client
from tripswitch.cluster.errors import ApiError, ForbiddenError, UnreachableError
from tripswitch.cluster.record import Key, Record
from tripswitch.cluster.resources import CONFIG_MAPS, SERVICE_ACCOUNTS, Resource
from tripswitch.cluster.tracked import Tracked
from tripswitch.domain.rules.references import find_missing
from tripswitch.domain.values.references import (
    NO_REFERENCES,
    ReferenceQuestion,
    ReferenceReading,
)

logger = logging.getLogger(__name__)


SOONEST_SECONDS = 0.001
"""What is due within this time is due: a timer may be that much early."""


class ReferenceStore(Protocol):
    """What is used of a store of objects."""

    def holds(self, record: Record) -> bool:
        """Return whether the object still exists."""

    def track(self, record: Record) -> Tracked:
        """Return what is known of an object, to read and to write."""

    def mark(self, key: Key) -> None:
        """Have an object looked at."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a namespace is listed, in seconds."""

    settle: float = 1.0
    """After a new question: others of the same namespace come with it."""
    least: float = 10.0
    """The shortest time between two lists of a namespace."""
    urgent: float = 30.0
    """Between two lists while a rollout goes on in the namespace, something is missing, or no list came."""
    idle: float = 600.0
    """Between two lists otherwise, and after a refusal. Each time up to a fifth more or less."""


USUAL = Timing()


@dataclass(slots=True)
class _Asker:
    store: ReferenceStore
    record: Record
    question: ReferenceQuestion

    def take(self, reading: ReferenceReading) -> None:
        """Keep a reading, and have the object looked at if it is news."""
        known = self.store.track(self.record)
        before, known.references = known.references, reading
        if before is not None and before.asked == reading.asked:
            news = before.missing != reading.missing
        else:
            news = self.question.told or reading.missing != NO_REFERENCES
        if news:
            self.store.mark(self.record.key)

    def drop(self) -> None:
        """Forget the reading: the same question, asked again later, must not find an old one."""
        if self.store.holds(self.record):
            self.store.track(self.record).references = None


@dataclass(slots=True)
class _Place:
    """One namespace in which somebody asks. Times are the loop's."""

    askers: dict[str, _Asker] = field(default_factory=dict)
    """By the UID of the object."""
    listed_at: float = -math.inf
    due: float = math.inf
    hurries: bool = False
    """Something is missing, or a list failed that another one may replace soon."""


class ReferenceWatcher:
    """Lists and tells. Run :meth:`run` as a task.

    Args:
        client: For the lists; None: nothing is looked up, and nothing is known to be missing.
        timing: When a namespace is listed.
    """

    def __init__(self, client: Client | None, timing: Timing = USUAL) -> None:
        self._client = client
        self._timing = timing
        self._places: dict[str, _Place] = {}
        self._changed = asyncio.Event()
        self._unread: set[tuple[str, str]] = set()
        """Namespaces and resources of which the latest list failed."""

    def __len__(self) -> int:
        """Return how many objects ask."""
        return sum(len(place.askers) for place in self._places.values())

    def ask(
        self, store: ReferenceStore, record: Record, question: ReferenceQuestion | None
    ) -> None:
        """Take what a decision wants to know. Never waits."""
        if question is None or not store.holds(record):
            self.forget(record)
            return
        asker = _Asker(store, record, question)
        if self._client is None:
            if question.told:
                asker.take(ReferenceReading(question.references))
            return
        place = self._places.setdefault(record.key.namespace, _Place())
        before = place.askers.get(record.uid)
        place.askers[record.uid] = asker
        same = before is not None and before.question.references == question.references
        if before is not None and not same:
            before.drop()
        hurries = question.urgent and (before is None or not before.question.urgent)
        if not same or hurries:
            self._list_soon(place)

    def forget(self, record: Record) -> None:
        """Drop the question of an object."""
        place = self._places.get(record.key.namespace)
        asked = None if place is None else place.askers.pop(record.uid, None)
        if place is None or asked is None:
            return
        asked.drop()
        if not place.askers:
            self._drop(record.key.namespace)

    def of(self, store: ReferenceStore) -> Callable[[Record, ReferenceQuestion | None], None]:
        """Return :meth:`ask` for the objects of one store."""
        return partial(self.ask, store)

    async def run(self) -> None:
        """List until cancelled: one namespace after the other, so that a start is no burst."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            due, namespace = self._find_next()
            wait = due - loop.time()
            if wait > SOONEST_SECONDS:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if math.isinf(wait) else wait):
                        await self._changed.wait()
                continue
            await self._look_up(namespace)

    def _list_soon(self, place: _Place) -> None:
        now, timing = asyncio.get_running_loop().time(), self._timing
        place.due = min(place.due, max(now + timing.settle, place.listed_at + timing.least))
        self._changed.set()

    def _find_next(self) -> tuple[float, str]:
        dues = ((place.due, namespace) for namespace, place in self._places.items())
        return min(dues, default=(math.inf, ""))

    def _drop(self, namespace: str) -> None:
        del self._places[namespace]
        self._unread = {one for one in self._unread if one[0] != namespace}

    async def _look_up(self, namespace: str) -> None:
        """List what is asked for in a namespace, and answer those who asked before that."""
        place = self._places[namespace]
        askers = list(place.askers.values())
        wanted = [asker.question.references for asker in askers]
        place.listed_at, place.due = asyncio.get_running_loop().time(), math.inf
        place.hurries = False
        config_maps = service_accounts = None
        if any(one.config_maps for one in wanted):
            config_maps = await self._list(CONFIG_MAPS, namespace)
        if any(one.service_accounts for one in wanted):
            service_accounts = await self._list(SERVICE_ACCOUNTS, namespace)
        for asker in askers:
            asked = asker.question.references
            reading = find_missing(asked, config_maps, service_accounts)
            latest = place.askers.get(asker.record.uid)
            if latest is not None and latest.question.references == asked:
                latest.take(reading)
                place.hurries = place.hurries or reading.missing != NO_REFERENCES
        place.due = min(place.due, place.listed_at + self._draw_interval(place))

    def _draw_interval(self, place: _Place) -> float:
        """Return when the namespace is listed again: namespaces and replicas spread theirs."""
        urgent = place.hurries or any(one.question.urgent for one in place.askers.values())
        seconds = self._timing.urgent if urgent else self._timing.idle
        return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    async def _list(self, resource: Resource, namespace: str) -> set[str] | None:
        """Return the names of all objects of a kind; None: they are not known."""
        assert self._client is not None, "a list without a client"
        names: set[str] = set()
        try:
            pages = self._client.pages(resource.path(namespace), accept=METADATA_ONLY)
            async for page in pages:
                if page.get("kind") != "PartialObjectMetadataList":
                    raise UnreachableError(f"{resource.plural}: the answer is no list of metadata")
                names.update(
                    read_text(at(raw, "metadata", "name")) for raw in objects(page.get("items"))
                )
        except ApiError as error:
            self._note(resource, namespace, error)
            return None
        self._unread.discard((namespace, resource.plural))
        return names

    def _note(self, resource: Resource, namespace: str, error: ApiError) -> None:
        """Say once that a list failed, until one succeeds."""
        one, place = (namespace, resource.plural), self._places.get(namespace)
        if place is None:
            return  # nobody asks any more
        place.hurries = place.hurries or not isinstance(error, ForbiddenError)
        if one not in self._unread:
            self._unread.add(one)
            logger.warning(
                "the %s of namespace %s cannot be listed, so it is not known whether a rollback there "
                "would find those that it needs: %s",
                resource.plural,
                namespace,
                error,
            )
