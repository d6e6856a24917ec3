"""The network between one operator process and the simulated API server: a transport in virtual time.

Requests take time both ways, arrive or do not, and lose their answers; watch events come late, twice, or
not at all until the stream is found to have ended. What the client makes of it is the client's own code.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from random import Random

from tests.sim.api import ApiServer
from tests.sim.faults import Faults
from tests.sim.gate import Later
from tests.sim.loop import VirtualLoop
from tests.sim.objects import Change, Raw, RawPod, RawSet
from tests.sim.rest import KINDS, Rest, Target, is_selected, read_path
from tripswitch.cluster.errors import UnreachableError
from tripswitch.cluster.transport import Answer, Call, Stream
from tripswitch.domain.values.time import Instant

STALE = (404, 409, 500)
"""Statuses of a write after which the operator has to decide again. A refused creation waits for a change."""
BOOKMARK_SECONDS = 60.0
"""The API server shows on a stream about once a minute that it is there."""
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


@dataclass(slots=True)
class Net:
    """What every process' network has in common."""

    api: ApiServer
    rest: Rest
    later: Later
    rng: Random
    server_time: Callable[[], Instant]
    faults: Faults
    count: Callable[[str], None]
    quietly: Later
    """As ``later``, for what is no step of the world: renewals of the Lease, bookmarks."""


class _Broken(Exception):  # noqa: N818 - it is an item of a stream
    """A stream ends with an error."""


class Watch:
    """One open stream: events on their way to a process."""

    def __init__(
        self, net: Net, loop: VirtualLoop, kind: type[Raw], stall_seconds: float, selector: str = ""
    ) -> None:
        self.kind = kind
        self._selector = selector
        self.is_open = True
        self._net = net
        self._loop = loop
        self._stall = stall_seconds
        self._items: deque[object] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._at: Instant = 0.0
        self._held: list[object] | None = None
        self._seen: set[str] = set()
        self._turn = 0

    def take(self, change: Change) -> None:
        """Have a change delivered later, in order; or lose it, and everything else until a list."""
        net, rng, faults = self._net, self._net.rng, self._net.faults
        selected = not self._selector or self._selects(change)
        if not self.is_open or not selected:
            return
        if rng.random() < faults.lost:
            net.count("watch events lost")
            self.is_open = False
            net.rest.compact(self.kind)
            net.later(rng.uniform(5, 85), lambda: self._put(_Broken("connection reset")))
            return
        event = self._build(change)
        lag = rng.uniform(0.0, 2 * faults.lag)
        if rng.random() < faults.stall:
            lag += rng.uniform(1, 60)
        self._deliver(event, lag)
        if rng.random() < faults.repeated:
            net.count("watch events repeated")
            net.later(lag + rng.uniform(0, 5), lambda: self._put(event))

    def _selects(self, change: Change) -> bool:
        return is_selected(self._net.rest.show_version(change.raw), self._selector)

    @property
    def is_hushed(self) -> bool:
        """Whether what it tells is held up."""
        return self._held is not None

    def bookmark(self) -> None:
        """Show that the stream is alive, and up to which version it has told everything."""
        if self.is_open and self._held is None:
            metadata = {"resourceVersion": str(self._net.api.version)}
            self._deliver({"type": "BOOKMARK", "object": {"metadata": metadata}}, 0.001)
        if self.is_open:
            self._net.quietly(BOOKMARK_SECONDS, self.bookmark)

    def fail(self, words: str) -> None:
        """Break the stream."""
        self.is_open = False
        self._put(_Broken(words))

    def expire(self) -> None:
        """Tell that the version is too old to go on from."""
        if self.is_open:
            self.is_open = False
            self._put({"type": "ERROR", "object": GONE})

    def end(self) -> None:
        """The server closes it, as it does after some minutes; nobody hears of it while it is hushed."""
        if self.is_open and self._held is None:
            self.is_open = False
            self._put(None)

    def hush(self) -> None:
        """Nothing arrives from now on; a client that waits no longer takes the stream for dead."""
        if self._held is None:
            self._held = []
            turn = self._turn
            self._net.later(self._stall, lambda: self._find_dead(turn))

    def hear_again(self, *, lose: bool) -> None:
        """What was held up arrives, or is lost, so that everything has to be listed."""
        held, self._held = self._held, None
        if lose and self.is_open:
            self.expire()
            return
        for item in held or ():
            self._put(item)

    def _find_dead(self, turn: int) -> None:
        if self._held is not None and turn == self._turn:
            self._held = None
            self.fail("nothing was heard for too long")

    def _build(self, change: Change) -> dict[str, object]:
        shown = self._net.rest.show_version(change.raw)
        if change.gone:
            return {"type": "DELETED", "object": shown}
        kind = "MODIFIED" if change.raw.uid in self._seen else "ADDED"
        self._seen.add(change.raw.uid)
        return {"type": kind, "object": shown}

    def _deliver(self, item: object, lag: float) -> None:
        now = self._loop.time()
        self._at = max(self._at, now + lag)
        later = self._net.quietly if lag == 0.001 else self._net.later
        later(self._at - now, lambda: self._put(item))

    def _put(self, item: object) -> None:
        if self._held is not None and not isinstance(item, _Broken):
            self._held.append(item)
            return
        self._turn += 1
        self._items.append(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
            self._loop.run_ready()

    async def events(self) -> AsyncGenerator[object, None]:
        """Yield what arrives."""
        try:
            while True:
                while not self._items:
                    self._waiter = self._loop.create_future()
                    await self._waiter
                item = self._items.popleft()
                if item is None:
                    return
                if isinstance(item, _Broken):
                    raise UnreachableError(str(item))
                yield item
        finally:
            self.is_open = False


@dataclass(slots=True)
class _Flight:
    """A request on its way to the server."""

    call: Call
    target: Target
    answer: asyncio.Future[Answer]
    seconds: float
    later: Later
    written: Callable[[Answer], None]
    spare: float = 0.0
    """Seconds from the server's reading to the arrival of its answer."""


class SimulatedTransport:
    """One process' connections.

    Args:
        net: What is between it and the server.
        loop: The process' loop.
        failed: Called when a write failed, or its answer was lost.
        killed: Asked before and after each write whether the process ends at this very moment.
        sending: Called with each request; what it returns is called with the answer, at the moment in
            which the server does it.
    """

    def __init__(
        self,
        net: Net,
        loop: VirtualLoop,
        killed: Callable[[], bool],
        sending: Callable[[Call], Callable[[Answer], None]],
        failed: Callable[[Call], None],
    ) -> None:
        self._failed = failed
        self._net = net
        self._loop = loop
        self._killed = killed
        self._sending = sending
        self._flights: list[_Flight] = []
        self.watches: list[Watch] = []
        self.is_dead = False
        self.is_cut = False

    async def close(self) -> None:
        """Nothing has to be closed."""

    def cut(self, seconds: float) -> None:
        """Have nothing arrive on either side for a while."""
        self.is_cut = True
        self._net.quietly(seconds, self._mend)
        for watch in self.watches:
            watch.hush()

    def _mend(self) -> None:
        self.is_cut = False
        for watch in self.watches:
            if watch.kind not in self._net.rest.hushed:
                watch.hear_again(lose=False)

    def die(self) -> None:
        """The process ends. A write that is on its way may arrive much later."""
        self.is_dead = True
        for watch in self.watches:
            watch.is_open = False
        rng, flights, self._flights = self._net.rng, self._flights, []
        for flight in flights:
            if flight.call.method != "GET" and rng.random() < self._net.faults.zombie:
                self._net.count("writes of a process that has ended")
                self._net.later(rng.uniform(0.5, 15), partial(self._arrive_late, flight))

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way."""
        return any(flight.call.method != "GET" for flight in self._flights)

    async def request(self, call: Call, *, seconds: float) -> Answer:
        """Send a request and wait for its answer."""
        if self.is_dead:
            raise UnreachableError("the process has ended")
        target = read_path(call.path)
        writes = call.method != "GET" and target.plural in KINDS
        if writes and self._killed():
            await self._loop.create_future()
        later = self._net.quietly if target.plural == "leases" else self._net.later
        flight = _Flight(
            call, target, self._loop.create_future(), seconds, later, self._sending(call)
        )
        if self.is_cut:
            self._flights.append(flight)
            later(seconds, lambda: self._break(flight))
        elif self._net.api.away:
            later(min(seconds, self._net.rng.uniform(0.01, 0.1)), lambda: self._break(flight))
        else:
            self._send(flight)
        answer = await flight.answer
        if writes and self._killed():
            await self._loop.create_future()
        return answer

    async def read_text(self, call: Call, *, seconds: float) -> Answer:
        """Read a log."""
        return await self.request(call, seconds=seconds)

    async def stream(self, call: Call, *, open_seconds: float, stall_seconds: float) -> Stream:
        """Open a watch."""
        rng, kind = self._net.rng, KINDS[read_path(call.path).plural]
        await asyncio.sleep(rng.uniform(0.002, 0.03))
        if self.is_cut:
            await asyncio.sleep(open_seconds)
        if self.is_dead or self.is_cut or self._net.api.away:
            raise UnreachableError("connection refused")
        version = int(call.query["resourceVersion"])
        date = formatdate(self._net.server_time(), usegmt=True)
        selector = call.query.get("labelSelector", "")
        watch = Watch(self._net, self._loop, kind, stall_seconds, selector)
        self.watches = [one for one in self.watches if one.is_open or one.is_hushed]
        self.watches.append(watch)
        if kind in self._net.rest.hushed:
            watch.hush()
        if version < self._net.rest.compacted.get(kind, 0):
            watch.expire()
        else:
            for change in self._net.rest.log[kind]:
                if change.raw.version > version:
                    watch.take(change)
            seconds = float(call.query.get("timeoutSeconds", rng.uniform(240, 480)))
            self._net.quietly(seconds, watch.end)
            self._net.quietly(BOOKMARK_SECONDS, watch.bookmark)
        return Stream(Answer(200, None, date), watch.events())

    def _send(self, flight: _Flight) -> None:
        """Let a request arrive after the time it takes, or have it go wrong."""
        rng, faults = self._net.rng, self._net.faults
        self._flights.append(flight)
        roll = rng.random() * (4 if flight.target.plural == "leases" else 1)
        seconds, flight.spare = rng.uniform(0.002, 0.03), rng.uniform(0.001, 0.015)
        if "=" in flight.call.query.get("labelSelector", ""):
            whole = rng.uniform(0.002, faults.slow_checks)
            seconds = whole * rng.random()
            flight.spare = whole - seconds
        if flight.target.plural in KINDS:
            self._net.count("writes" if flight.call.method != "GET" else "reads")
        if roll < faults.unreachable:
            self._net.count("requests lost")
            flight.later(flight.seconds, lambda: self._break(flight))
            return
        lost = roll - faults.unreachable < faults.timeout
        flight.later(seconds, lambda: self._arrive(flight, lost=lost))

    def _arrive(self, flight: _Flight, *, lost: bool) -> None:
        if self.is_dead:
            return
        if self._net.api.away:
            self._break(flight)
            return
        if flight.call.method != "GET" and self._net.rng.random() < self._net.faults.conflict:
            self._touch(flight.target)
        answer = self._do(flight)
        if lost:
            self._net.count("answers lost")
            flight.later(flight.seconds, lambda: self._break(flight))
        else:
            flight.later(flight.spare, lambda: self._finish(flight, answer))

    def _arrive_late(self, flight: _Flight) -> None:
        if not self._net.api.away:
            self._do(flight)

    def _do(self, flight: _Flight) -> Answer:
        answer = self._net.rest.answer(flight.call)
        if answer.status == 409:
            self._net.count("conflicts")
        if answer.status == 403 and flight.target.plural == "replicasets":
            self._net.count("creations refused")
        flight.written(answer)
        return answer

    def _finish(self, flight: _Flight, answer: Answer) -> None:
        if flight in self._flights:
            self._flights.remove(flight)
        if answer.status in STALE and flight.call.method != "POST":
            self._note_failure(flight)
        if not flight.answer.done():
            flight.answer.set_result(answer)
            self._loop.run_ready()

    def _note_failure(self, flight: _Flight) -> None:
        if flight.call.method != "GET" and flight.target.plural in KINDS and not self.is_dead:
            self._failed(flight.call)

    def _break(self, flight: _Flight) -> None:
        self._note_failure(flight)
        if flight in self._flights:
            self._flights.remove(flight)
        if not flight.answer.done():
            flight.answer.set_exception(UnreachableError("TimeoutError()"))
            self._loop.run_ready()

    def _touch(self, target: Target) -> None:
        """Somebody else writes the object at this very moment."""
        api, found = self._net.api, self._net.rest.find_raw(target)
        if not api.writable or found is None:
            return
        if isinstance(found, RawPod):
            api.put_pod(found)
        elif isinstance(found, RawSet):
            api.patch_set(found.uid, seen_live=found.seen_live + 1)
        else:
            api.touch(found)
