"""Notifications: CloudEvents 1.0 over HTTP POST when a rollout starts, completes, fails, or is back.

Best effort and never in the way: a bounded queue, one task, one
event after the other and in order, tried again with growing delays, then given up. Each has an ``id`` of
its own that a second delivery repeats, so a receiver can drop what it has seen.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from standardwebhooks import Webhook

from tripswitch.api.identity import FIELD_MANAGER
from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.cloud_events import HOOKS, NAMES, build_cloud_event
from tripswitch.cluster.log_context import About
from tripswitch.cluster.log_context import about as log_about
from tripswitch.cluster.store import Record
from tripswitch.domain.values.decision import TRIPS, Decision, Event
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.states import RolloutKind
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)

KEY_PREFIX = "whsec_"
"""How Standard Webhooks marks the text form of a key: the prefix, then base64. It may be left out."""

KEY_BYTES = range(24, 65)
"""How long Standard Webhooks lets a key be."""

GIVEN_UP = "notification %s was given up: %s"
TRIED_AGAIN = "notification %s failed and is tried again: %s"

MAX_WAITING = 500
MAX_TRIES = 6
RETRY = Backoff(first=1.0, most=30.0)

Outcome = Callable[[str], None]
"""Called with ``sent``, ``failed`` (given up) or ``dropped`` (too many waited)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where notifications go.

    Attributes:
        url: An http or https address.
        secret: The key of the signature, as :func:`check_key` wants it; empty: no signature.
    """

    url: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class _Message:
    about: dict[str, About]
    name: str
    id: str
    body: str


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of a notifier, in seconds."""

    request: float = 10.0
    """For one try, from the connection to the end of the answer."""
    retry: Backoff = RETRY
    """Between two tries of one notification."""


USUAL = Timing()


class Notifier:
    """Sends notifications in the background. Run :meth:`run` as a task.

    Args:
        target: Where to.
        clock: The time.
        observe: Called with the outcome of each.
        timing: How long it waits for what.
        max_waiting: How many notifications may wait; more are dropped.
    """

    def __init__(
        self,
        target: Target,
        clock: Callable[[], Instant],
        observe: Outcome = lambda _outcome: None,
        *,
        timing: Timing = USUAL,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._target = target
        self._clock = clock
        self._observe = observe
        self._timing = timing
        self._waiting: asyncio.Queue[_Message] = asyncio.Queue(max_waiting)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()

    def tell(self, about: Record, decision: Decision) -> None:
        """Hand over what a written decision has to tell. Never waits."""
        for event in decision.events:
            if event.reason not in NAMES:
                continue
            revision = find_revision(event, decision.status.memory.rollout)
            cloud_event = build_cloud_event(about, decision, event, revision, self._clock())
            name = NAMES[event.reason]
            context = log_about(about.key, revision=revision)
            message = _Message(context, name, cloud_event["id"], json.dumps(cloud_event))
            try:
                self._waiting.put_nowait(message)
            except asyncio.QueueFull:
                logger.warning(
                    "notification %s was dropped: the queue of notifications is full",
                    name,
                    extra=context,
                )
                self._observe("dropped")

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            message = await self._waiting.get()
            try:
                sent = await self._deliver(message)
                self._observe("sent" if sent else "failed")
            finally:
                self._waiting.task_done()

    async def drain(self, seconds: float) -> None:
        """Wait until everything that was handed over is sent, but no longer than that."""
        try:
            async with asyncio.timeout(seconds):
                await self._waiting.join()
        except TimeoutError:
            logger.warning("notifications were not sent in time")

    async def _deliver(self, message: _Message) -> bool:
        for tries in range(1, MAX_TRIES + 1):
            problem, again = await self._post(message)
            if not problem:
                return True
            if not again or tries == MAX_TRIES:
                logger.warning(GIVEN_UP, message.name, problem, extra=message.about)
                return False
            logger.info(TRIED_AGAIN, message.name, problem, extra=message.about)
            await asyncio.sleep(self._timing.retry.delay(tries))
        return False

    async def _post(self, message: _Message) -> tuple[str, bool]:
        """Send once; return what went wrong, empty if nothing did, and whether to try again."""
        headers = {
            "Content-Type": "application/cloudevents+json; charset=UTF-8",
            "User-Agent": FIELD_MANAGER,
        }
        if self._target.secret:
            headers |= sign(self._target.secret, message.id, message.body, self._clock())
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._timing.request)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        try:
            async with self._session.post(
                self._target.url, data=message.body.encode(), headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Not the error's own words: they may contain the address, and that a secret.
            return type(error).__name__, not isinstance(error, aiohttp.InvalidURL)
        if status < 300:
            return "", False
        return f"HTTP status {status}", status >= 500 or status in (408, 425, 429)


def check_key(key: str) -> str:
    """Return the key of the signature if receivers can use it.

    Raises:
        ValueError: It is not ``whsec_`` (which may be left out) and 24 to 64 bytes in base64.
    """
    try:
        decoded = base64.b64decode(key.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"the key is not base64: {error}") from error
    if len(decoded) not in KEY_BYTES:
        raise ValueError(
            f"the key has {len(decoded)} bytes; it needs {KEY_BYTES[0]} to {KEY_BYTES[-1]}"
        )
    return key


def sign(key: str, event_id: str, body: str, now: Instant) -> dict[str, str]:
    """Return the headers of Standard Webhooks.

    ``webhook-id`` is the same each time this event is sent, ``webhook-timestamp`` is the time of this
    try, and the signature covers both and the body. A receiver that checks the time therefore refuses
    a request that somebody recorded and sends again later.

    Args:
        key: As :func:`check_key` returns it.
        event_id: The ``id`` of the CloudEvent; its dots keep it from being the ``webhook-id`` itself.
        body: The text that is sent.
        now: Seconds since the epoch; the header has whole seconds.
    """
    webhook_id = f"msg_{hashlib.sha256(event_id.encode()).hexdigest()[:32]}"
    timestamp = datetime.fromtimestamp(int(now), UTC)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": Webhook(key).sign(webhook_id, timestamp, body),
    }


def find_revision(event: Event, rollout: Rollout | None) -> int | None:
    """Return the revision that an event is about: of a trip the failed one, also during its rollback.

    The same of a hook that stops a rollout.
    """
    if rollout is None:
        return None
    if event.reason in (*TRIPS, *HOOKS) and rollout.kind is RolloutKind.ROLLBACK:
        return rollout.failed_revision
    return rollout.revision
