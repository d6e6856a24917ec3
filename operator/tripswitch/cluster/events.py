"""Kubernetes Events about a GuardedDeployment: best effort, and never in the way of a reconcile.

They wait a second for repeats of themselves, and are posted by one task in the order in which they came: all
objects together never have more than one request under way. Where more than that come, warnings go first, and
what has no room is counted. A repeat within ten minutes raises the count of the event that is there already, and brings its words up
to date; many different messages of one reason are combined into one event, so that a thousand failing
pods do not make a thousand events.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tripswitch.api.identity import FIELD_MANAGER
from tripswitch.api.text import clean
from tripswitch.api.times import format_time
from tripswitch.cluster.client import MERGE_PATCH, Client
from tripswitch.cluster.errors import ApiError, NotFoundError
from tripswitch.cluster.log_context import about as log_about
from tripswitch.cluster.resources import EVENTS
from tripswitch.cluster.store import Record
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)

WINDOW = 600.0
"""Repeats within so many seconds are aggregated."""
MAX_MESSAGES = 10
"""The most different messages of one reason that become events of their own within the window."""
HOLD_SECONDS = 1.0
"""How long an event is held back so that repeats are merged into it, in seconds."""
MAX_WAITING = 1000
BACKLOG = 100
"""Where more events than this wait, warnings are posted before all others."""
MAX_REMEMBERED = 4096
"""Objects of which it is remembered what was posted about them; the one that was quiet longest goes."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said ``count`` times from ``first`` to ``at``, in its latest words."""

    about: Record
    reason: str
    message: str
    warning: bool
    topic: str
    at: Instant
    first: Instant
    count: int = 1


@dataclass(frozen=True, slots=True)
class _Posted:
    """An event that is there already."""

    name: str
    count: int
    last: Instant


_Topic = tuple[str, str]
"""Reason, topic (empty: the combined one)."""


class Recorder:
    """Posts events in the background. Run :meth:`run` as a task.

    Args:
        client: For the requests.
        clock: The time.
        observe: Called with the result of each event: ``posted``, ``merged`` (into one that still waited),
            ``dropped`` (too many waited) or ``failed`` (the API server did not take it).
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], Instant],
        observe: Callable[[str], None] = lambda _result: None,
    ) -> None:
        self._observe = observe
        self._client = client
        self._clock = clock
        self._waiting: dict[tuple[str, _Topic], _Said] = {}
        """Events to be posted, by the UID of their object and their topic."""
        self._some = asyncio.Event()
        self._hurry = asyncio.Event()
        self._done = asyncio.Event()
        self._done.set()
        self._posted: dict[str, dict[_Topic, _Posted]] = {}
        """The events of the last ten minutes, by the UID of their object."""
        self._gone: set[str] = set()
        """UIDs of objects that went while events wait; empty while none waits."""
        self.hold_seconds = HOLD_SECONDS

    def say(
        self, about: Record, reason: str, message: str, *, warning: bool, topic: str = ""
    ) -> None:
        """Hand over an event; it is dropped if too many are waiting, a warning only for want of others.

        Args:
            about: The GuardedDeployment.
            reason: One word.
            message: A sentence, cut to what the API takes.
            warning: Whether its type is Warning.
            topic: What its repeats have in common where their words differ.
        """
        message, now = clean(message)[:1024], self._clock()
        key = (about.uid, (reason, topic or message))
        known = self._waiting.get(key)
        if known is not None:
            again = replace(known, message=message, at=now, count=known.count + 1)
            self._waiting[key] = again
            self._observe("merged")
        else:
            self._waiting[key] = _Said(about, reason, message, warning, topic or message, now, now)
            self._make_room()
        self._done.clear()
        self._some.set()

    def forget(self, uid: str) -> None:
        """Drop what is remembered of an object that is gone; events about it that wait are still posted."""
        self._gone.add(uid)
        if self._done.is_set():
            self._drop_gone()

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self.hold_seconds)
            while self._waiting:
                said = self._take()
                try:
                    await self._post(said)
                except ApiError as error:
                    self._observe("failed")
                    context = log_about(said.about.key)
                    logger.warning("event %s lost: %s", said.reason, error, extra=context)
                else:
                    self._observe("posted")
            self._some.clear()
            self._drop_gone()
            self._done.set()

    async def drain(self, seconds: float) -> None:
        """Wait until everything that was handed over is posted, but no longer than that."""
        self._hurry.set()
        try:
            async with asyncio.timeout(seconds):
                await self._done.wait()
        except TimeoutError:
            logger.warning("%d events were not posted in time", len(self._waiting))
        self._hurry.clear()

    def _take(self) -> _Said:
        """Take the event that is posted next out of those that wait."""
        first = next(iter(self._waiting))
        if len(self._waiting) > BACKLOG:
            warnings = (key for key, said in self._waiting.items() if said.warning)
            first = next(warnings, first)
        return self._waiting.pop(first)

    def _make_room(self) -> None:
        """Drop an event if too many wait: the latest one that is no warning, or else the latest one."""
        if len(self._waiting) <= MAX_WAITING:
            return
        latest_first = list(reversed(self._waiting))
        plain = (key for key in latest_first if not self._waiting[key].warning)
        said = self._waiting.pop(next(plain, latest_first[0]))
        self._observe("dropped")
        context = log_about(said.about.key)
        logger.warning("event %s was dropped: %d wait", said.reason, MAX_WAITING, extra=context)

    async def _post(self, said: _Said) -> None:
        posted = self._posted_lately(said)
        topic, message = _find_topic(said, posted)
        known = posted.get(topic)
        if known is not None:
            again = replace(known, count=known.count + said.count, last=said.at)
            changes = {
                "count": again.count,
                "lastTimestamp": format_time(said.at),
                "message": message,
            }
            path = EVENTS.path(said.about.key.namespace, known.name)
            try:
                await self._client.request("PATCH", path, body=changes, content_type=MERGE_PATCH)
            except NotFoundError:
                pass  # it has expired: a new one is due
            else:
                posted[topic] = again
                return
        body = _build_event(said, message)
        await self._client.request("POST", EVENTS.path(said.about.key.namespace), body=body)
        posted[topic] = _Posted(body["metadata"]["name"], said.count, said.at)

    def _posted_lately(self, said: _Said) -> dict[_Topic, _Posted]:
        """Return what an object's events of the last ten minutes are, to read and to add to."""
        uid = said.about.uid
        known = self._posted.pop(uid, {})
        kept = {topic: one for topic, one in known.items() if said.at - one.last <= WINDOW}
        self._posted[uid] = kept
        if len(self._posted) > MAX_REMEMBERED:
            del self._posted[next(iter(self._posted))]
        return kept

    def _drop_gone(self) -> None:
        for uid in self._gone:
            self._posted.pop(uid, None)
        self._gone.clear()


def _find_topic(said: _Said, posted: Collection[_Topic]) -> tuple[_Topic, str]:
    """Return under which topic an event is posted, and its words: of its own, or combined."""
    topic = (said.reason, said.topic)
    others = [one for one in posted if one[0] == said.reason]
    if topic in posted or len(others) < MAX_MESSAGES:
        return topic, said.message
    return (said.reason, ""), f"(combined from similar events) {said.message}"


def _build_event(said: _Said, message: str) -> dict[str, Any]:
    namespace, name = said.about.key
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": f"{name[:230]}.{secrets.token_hex(8)}"},
        "involvedObject": {
            "apiVersion": said.about.api_version,
            "kind": said.about.kind,
            "namespace": namespace,
            "name": name,
            "uid": said.about.uid,
            "resourceVersion": said.about.resource_version,
        },
        "type": "Warning" if said.warning else "Normal",
        "reason": said.reason,
        "message": message,
        "count": said.count,
        "firstTimestamp": format_time(said.first),
        "lastTimestamp": format_time(said.at),
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
    }
