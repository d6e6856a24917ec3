"""When this process may write: while it holds the Lease, if it is to have one.

Only the workers wait for it. Everything that reads runs all the time, so that a standby knows as much as
the leader and can begin at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.errors import ApiError
from tripswitch.cluster.leader_election.lease import Lease, steady_clock
from tripswitch.cluster.leader_election.watchdog import Watchdog
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)

CATCH_UP_AGAIN = Backoff(first=0.2, most=2.0)


class Leadership:
    """The process' side of an election; without a Lease it leads from the start.

    Args:
        lease: None: there is nobody else.
        catch_up: Called once it leads, until it does not raise: it sees to it that everything that
            the leader before has written is known.
        begun: Called when it begins to lead, with the time until which another process did, None if
            that is not known: in between, nobody has looked at anything.
        watchdog: Makes what ends the process by force once the Lease is lost.
    """

    def __init__(
        self,
        lease: Lease | None,
        catch_up: Callable[[], Awaitable[None]],
        begun: Callable[[Instant | None], None],
        watchdog: Callable[[Callable[[], float], float], Watchdog] = Watchdog,
    ) -> None:
        self._make_watchdog = watchdog
        self._lease = lease
        self._begun = begun
        self._catch_up = catch_up
        self._election: asyncio.Task[None] | None = None
        self._watchdog: Watchdog | None = None

    def start(self) -> list[asyncio.Task[None]]:
        """Run for it; return the tasks that end only when it is lost."""
        if self._lease is None:
            return []
        self._election = asyncio.create_task(self._lease.run(), name="election")
        return [self._election]

    async def gain(self) -> None:
        """Wait until this process may write, and knows what it needs to know."""
        if self._lease is None:
            self._begun(None)
            return
        await self._lease.leading.wait()
        self._begun(self._lease.held_until)
        terms = self._lease.candidacy.terms
        # A quarter of the time between our stop and the earliest start of another.
        grace = (terms.duration - terms.renew_deadline) / 4
        self._watchdog = self._make_watchdog(self._lease.remaining, grace)
        self._watchdog.start()
        tries = 0
        while True:
            try:
                await self._catch_up()
            except ApiError as error:
                tries += 1
                logger.warning(
                    "this process is the leader, but cannot read the current state yet: %s", error
                )
                await asyncio.sleep(CATCH_UP_AGAIN.delay(tries))
            else:
                return

    def leads(self) -> bool:
        """Return whether this process may write right now."""
        return self._lease is None or self._lease.remaining() > 0

    @property
    def is_lost(self) -> bool:
        """Whether it has ended by itself."""
        return self._election is not None and self._election.done()

    async def give_back(self, *, finished: bool) -> None:
        """Let another process lead, once everything of ours is written.

        If not all of it was ``finished``, the server may still do what was cut off: then the Lease is
        left to expire.
        """
        if self._lease is None or self._election is None:
            return
        self._election.cancel()
        await asyncio.wait([self._election])
        if self._watchdog is not None:
            self._watchdog.stop()
        if finished:
            await self._lease.release()

    def find_stuck(self, seconds: float) -> list[str]:
        """Return what has shown no sign of life for so long."""
        found = []
        if self._lease is not None and steady_clock() - self._lease.last_turn > seconds:
            found.append("leader election makes no progress")
        if self._watchdog is not None and not self._watchdog.is_alive():
            found.append("the watchdog thread has ended")
        return found
