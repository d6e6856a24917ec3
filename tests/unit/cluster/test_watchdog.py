"""A process that cannot stop itself is stopped."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

from tripswitch.cluster.leader_election.watchdog import Watchdog

BLOCKED = """
import asyncio, threading
from tripswitch.cluster.leader_election.watchdog import Watchdog

async def main():
    Watchdog(lambda: -1.0, 0.0).start()
    threading.Event().wait()  # a loop that is blocked for ever

asyncio.run(main())
"""


class Clock:
    """A clock that goes on only where the watchdog waits.

    Args:
        after: Called after each wait with how many there were.
    """

    def __init__(self, after: Callable[[int], None] = lambda _: None) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.after = after

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.now += seconds
        self.waits.append(seconds)
        self.after(len(self.waits))
        return event.is_set()


def run(dog: Watchdog) -> None:
    """Start the watchdog and wait until it looks no more."""
    dog.start()
    dog.join(30)
    assert not dog.is_alive()


def test_a_blocked_process_ends_when_its_lease_is_over() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "ended by force" in done.stderr


def test_nothing_is_ended_while_the_lease_is_renewed_or_after_it_was_called_off() -> None:
    ended: list[int] = []
    until = [10.0]

    def after(times: int) -> None:
        if times < 5:
            until[0] = clock.now + 10.0
        else:
            dog.stop()  # and it is not renewed any more

    clock = Clock(after)
    dog = Watchdog(lambda: until[0] - clock.now, 2.0, ended.append, clock.wait)
    run(dog)
    assert clock.waits == [12.0] * 5
    assert ended == []


def test_it_leaves_some_time_to_end_in_order() -> None:
    ended: list[tuple[int, float]] = []
    clock = Clock()
    dog = Watchdog(
        lambda: 10.0 - clock.now, 3.0, lambda code: ended.append((code, clock.now)), clock.wait
    )
    run(dog)
    assert ended == [(1, 13.0)]
