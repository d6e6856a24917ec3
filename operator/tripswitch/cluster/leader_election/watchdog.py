"""Ends the process when it has lost its Lease and does not end by itself.

A loop that is blocked cannot stop itself, and what it does first when it goes on might be a write. So a
thread of its own looks whether the Lease is still held, and ends the process the hard way if not.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

EXIT_CODE = 1


class Watchdog(threading.Thread):
    """A thread that trusts nothing but the Lease; it is started once the Lease is held.

    Args:
        remaining: For how many seconds the process leads for certain; asked from the thread.
        grace: Seconds that the process has to end by itself once it leads no more.
        end: Ends the process at once.
        wait: Waits for an event for so many seconds; returns whether it is set.
    """

    def __init__(
        self,
        remaining: Callable[[], float],
        grace: float,
        end: Callable[[int], None] = os._exit,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._remaining = remaining
        self._grace = grace
        self._end = end
        self._wait = wait
        self._called_off = threading.Event()

    def stop(self) -> None:
        """Call it off: the process has given the Lease back, and writes no more."""
        self._called_off.set()

    def run(self) -> None:
        """Look until it is called off, or end the process."""
        while not self._wait(self._called_off, max(0.05, self._remaining() + self._grace)):
            if self._remaining() <= -self._grace:
                # From another thread: the code that blocks the loop may hold the lock of the log.
                words = threading.Thread(target=_say, daemon=True)
                words.start()
                words.join(0.5)
                self._end(EXIT_CODE)
                return


def _say() -> None:
    logger.critical(
        "the Lease is lost and the process did not stop by itself: it was ended by force"
    )
