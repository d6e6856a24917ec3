"""Leader election: one Lease, changed only from the very version that was seen (compare and swap).

The client's own election was measured unsafe (it goes on leading when the API server is away or hangs),
so this is ours. The rules are in :mod:`tripswitch.cluster.leader_election.rules`; here are the requests. A Lease
fences nothing by itself: every writer asks :meth:`Lease.remaining` right before its write, and
every write carries its own precondition besides (rule W1).
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tripswitch.api import tolerant
from tripswitch.api.times import format_micro_time, parse_instant
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from tripswitch.cluster.leader_election.rules import (
    Claim,
    Seconds,
    Sighting,
    Step,
    Terms,
    choose_step,
    next_claim,
    next_look,
    released,
    sight,
)
from tripswitch.cluster.resources import LEASES
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """This process leads no more, and must not write again."""


def steady_clock() -> Seconds:
    """Return a time that nobody can set, and that goes on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Candidacy:
    """Which Lease, who I am (no other process may ever have the same name), and how long is what."""

    namespace: str
    name: str
    identity: str
    terms: Terms = field(default_factory=Terms)


class Lease:
    """One process' side of an election. Run :meth:`run` as a task.

    Args:
        client: One of its own, so that no other request can be in its way, and none takes longer
            than ``candidacy.terms.request_timeout``.
        candidacy: What it runs for.
        wall: Gives the time that is written for people to read.
        clock: Measures time.
    """

    def __init__(
        self,
        client: Client,
        candidacy: Candidacy,
        wall: Callable[[], Instant],
        clock: Callable[[], Seconds] = steady_clock,
    ) -> None:
        self.leading = asyncio.Event()
        """Set once it leads; it is never unset, because a process that has led and lost ends."""
        self.candidacy = candidacy
        self.last_turn = clock()
        """When it last did something: the sign of life of a candidate."""
        self.held_until: Instant | None = None
        """When the holder before this one last renewed it, by that holder's word; None: there was none."""
        self._client = client
        self._wall = wall
        self._clock = clock
        self._raw: dict[str, Any] = {}
        self._seen: Sighting | None = None
        self._fresh = False
        """Whether the latest version is known, as it is after a write of ours."""
        self._valid_until = -math.inf
        self._complaint = ""

    def remaining(self) -> Seconds:
        """Return for how long from now this process leads for certain; 0 or less: it does not.

        May be called from any thread.
        """
        return self._valid_until - self._clock()

    async def run(self) -> None:
        """Take the Lease as soon as that is allowed, and hold it.

        Raises:
            LeaseLostError: It was held, and could not be renewed in time or is another's now.
        """
        while True:
            began = self.last_turn = self._clock()
            await self._turn()
            if self.leading.is_set():
                if self.remaining() <= 0:
                    raise LeaseLostError(self._complaint or "another process holds the Lease")
            elif self.remaining() > 0:
                logger.info("%s leads", self.candidacy.identity)
                self.leading.set()
            await asyncio.sleep(self._pause(began))

    async def release(self) -> None:
        """Give the Lease back, so that another process may begin at once.

        To be called after the last write, when :meth:`run` does not run any more.
        """
        if self.remaining() <= 0:
            return
        self._valid_until = -math.inf  # before all else: nothing may be written from here on
        try:
            claim = await self._look()
            if claim is not None and claim.holder == self.candidacy.identity:
                await self._put(released(claim, self._now()))
                logger.info("lease released")
        except ApiError as error:
            logger.info("could not release the Lease, which will expire: %s", error)

    async def _turn(self) -> None:
        """Do the next step. A write that succeeded lets this process lead from when it was sent."""
        try:
            sent = await self._step()
        except (ConflictError, AlreadyExistsError, NotFoundError):
            return  # it has changed since it was seen: look again next time
        except ApiError as error:
            self._complain(str(error))
            return
        if sent is not None:
            self._fresh = True
            self._complaint = ""
            self._valid_until = sent + self.candidacy.terms.renew_deadline

    async def _step(self) -> Seconds | None:
        """Look at the Lease, unless its latest version is known, and write what the rules say.

        Returns:
            When the write was sent; None if nothing was to be written.

        Raises:
            ApiError: The Lease could not be read or written.
        """
        terms, me = self.candidacy.terms, self.candidacy.identity
        claim = self._seen.claim if self._fresh and self._seen else await self._look()
        seen = self._seen = sight(self._seen, claim, terms, self._clock())
        self._fresh = False
        if self.leading.is_set() and claim is not None and claim.holder != me:
            self._valid_until = -math.inf  # for good: what is known here may be outdated
            return None
        sent = self._clock()
        step = choose_step(seen, me, terms, sent, leading=self.remaining() > 0)
        if step is Step.WAIT:
            return None
        if step is Step.TAKE and claim is not None and claim.holder != me:
            self.held_until = parse_instant(claim.renewed)
        mine = next_claim(claim, me, terms, self._now())
        write = self._post if step is Step.CREATE else self._put
        self._seen = Sighting(await write(mine), self._clock())
        return sent

    def _pause(self, began: Seconds) -> Seconds:
        now, terms = self._clock(), self.candidacy.terms
        if self.leading.is_set():
            due = min(began + terms.retry_period, self._valid_until)
        else:
            jitter = random.uniform(-1, 1)  # noqa: S311 - not a secret
            due = next_look(self._seen, terms, now, jitter)
        return max(0.01, due - now)

    async def _look(self) -> Claim | None:
        """Return what the Lease says now, None if there is none."""
        try:
            self._raw = await self._client.request("GET", self._path)
        except NotFoundError:
            self._raw = {}
            return None
        return _read(self._raw)

    async def _post(self, claim: Claim) -> Claim:
        place = {"namespace": self.candidacy.namespace, "name": self.candidacy.name}
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": place,
            "spec": _spec(claim),
        }
        path = LEASES.path(self.candidacy.namespace)
        self._raw = await self._client.request("POST", path, body=body)
        return _read(self._raw)

    async def _put(self, claim: Claim) -> Claim:
        """Change the version that was seen and no other; what others have put there stays."""
        spec = {**tolerant.mapping(self._raw.get("spec")), **_spec(claim)}
        body = {**self._raw, "spec": spec}
        self._raw = await self._client.request("PUT", self._path, body=body)
        return _read(self._raw)

    @property
    def _path(self) -> str:
        return LEASES.path(self.candidacy.namespace, self.candidacy.name)

    def _now(self) -> str:
        return format_micro_time(self._wall())

    def _complain(self, words: str) -> None:
        """Say each trouble once, not at every try."""
        if words != self._complaint:
            logger.warning("could not acquire the Lease: %s", words)
        self._complaint = words


def _read(lease: Mapping[str, Any]) -> Claim:
    spec = tolerant.field(lease, "spec")
    return Claim(
        holder=tolerant.read_text(tolerant.field(spec, "holderIdentity")),
        duration=tolerant.read_int(tolerant.field(spec, "leaseDurationSeconds")),
        transitions=tolerant.read_int(tolerant.field(spec, "leaseTransitions")),
        acquired=tolerant.read_text(tolerant.field(spec, "acquireTime")),
        renewed=tolerant.read_text(tolerant.field(spec, "renewTime")),
    )


def _spec(claim: Claim) -> dict[str, Any]:
    return {
        "holderIdentity": claim.holder,
        "leaseDurationSeconds": math.ceil(claim.duration),
        "leaseTransitions": claim.transitions,
        "acquireTime": claim.acquired or claim.renewed,
        "renewTime": claim.renewed,
    }
