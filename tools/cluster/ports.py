"""Ports for the listeners of tests and throwaway clusters."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections, one of which could take the port before its listener."""
_TRIES = 100


def free_port(address: str = LOOPBACK) -> int:
    """Return a port on which nothing listens now.

    Raises:
        OSError: Every port that was tried is taken, or the address is not of this machine.
    """
    for _ in range(_TRIES):
        port = random.choice(PORTS)
        with suppress(OSError), socket.create_server((address, port)):
            return port
    raise OSError(f"no port of {address} is free")
