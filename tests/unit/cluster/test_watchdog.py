"""A process that cannot stop itself is stopped."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from tripswitch.cluster.leader_election.watchdog import Watchdog

BLOCKED = """
import asyncio, time
from tripswitch.cluster.leader_election.watchdog import Watchdog

async def main():
    until = time.monotonic() + 0.2
    Watchdog(lambda: until - time.monotonic(), 0.1).start()
    time.sleep(120)  # a loop that is blocked

asyncio.run(main())
"""


def test_a_blocked_process_ends_when_its_lease_is_over() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "ended by force" in done.stderr


def test_nothing_is_ended_while_the_lease_is_renewed_or_after_it_was_called_off() -> None:
    ended: list[int] = []
    until = [time.monotonic() + 0.2]
    dog = Watchdog(lambda: until[0] - time.monotonic(), 0.2, ended.append)
    dog.start()
    for _ in range(5):
        time.sleep(0.1)
        until[0] = time.monotonic() + 0.2
    assert ended == []
    assert dog.is_alive
    dog.stop()
    until[0] = 0.0
    _join(dog)
    assert ended == []


def test_it_leaves_some_time_to_end_in_order() -> None:
    ended = threading.Event()
    began = time.monotonic()
    dog = Watchdog(lambda: began - time.monotonic(), 0.3, lambda _: ended.set())
    dog.start()
    assert ended.wait(30)
    assert time.monotonic() - began >= 0.3
    _join(dog)


def _join(dog: Watchdog) -> None:
    deadline = time.monotonic() + 30
    while dog.is_alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not dog.is_alive
