"""What receives the operator's notifications, and refuses some; what it was told has to have been written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tripswitch.cluster.notify import Notifier, Target
from tripswitch.domain.values.decision import Event
from tripswitch.domain.values.time import Instant

ADDRESS = Target("https://receiver.test")


@dataclass(slots=True)
class ReceiverPlan:
    """How often the receiver does not take a notification: it fails, or its answer is lost."""

    fails: float
    loses: float


class Receiver:
    """Takes notifications of every process."""

    def __init__(self, plan: ReceiverPlan, rng: Random) -> None:
        self._plan = plan
        self._rng = rng
        self._written: set[tuple[str, str]] = set()
        self._bodies: dict[str, dict[str, Any]] = {}
        self.fail: Callable[[str], None] = lambda _: None
        """Called with what is wrong with a notification."""
        self.count: Callable[[str], None] = lambda _: None

    def calm_down(self) -> None:
        """It takes everything from now on."""
        self._plan = ReceiverPlan(0.0, 0.0)

    def note(self, event: Event) -> None:
        """Remember an event of a decision that was written."""
        self._written.add((event.reason.value, event.message))

    def connect(self, clock: Callable[[], Instant]) -> Notifier:
        """Return what one process sends with."""
        return Sender(self, clock)

    async def post(self, name: str, body: str) -> tuple[str, bool]:
        """Take one notification; return what went wrong, and whether it is to be sent again."""
        await asyncio.sleep(self._rng.uniform(0.01, 1.0))
        if self._rng.random() < self._plan.fails:
            return "HTTP status 503", True
        self._take(name, json.loads(body))
        if self._rng.random() < self._plan.loses:
            return "TimeoutError", True
        return "", False

    def _take(self, name: str, told: dict[str, Any]) -> None:
        before, data = self._bodies.setdefault(name, told), told["data"]
        self.count("notifications received")
        if before["data"] != data:
            self.fail(f"two notifications are {name}: a receiver drops {data['reason']!r}")
        if (name.split("/")[2], data["reason"]) not in self._written:
            self.fail(f"notification {name} tells what was not written: {data['reason']!r}")


class Sender(Notifier):
    """The operator's own, up to the connection."""

    def __init__(self, receiver: Receiver, clock: Callable[[], Instant]) -> None:
        super().__init__(ADDRESS, clock)
        self._receiver = receiver

    async def _post(self, message: Any) -> tuple[str, bool]:
        return await self._receiver.post(message.id, message.body)
