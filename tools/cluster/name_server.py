"""A name server for real nodes: it knows the names that it is given, and answers NXDOMAIN for all others."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from tools.cluster.box import enter, run
from tools.cluster.ownership import read_state

PORT = 53
FAILS, SILENT = "fails", "silent"
"""What may be said of a name instead of its address: SERVFAIL is answered, or nothing."""

_HEADER = struct.Struct("!6H")
_ANSWERED = 0x8180
"""Flags of an answer: recursion was desired and is available."""
_SERVFAIL, _NXDOMAIN = 2, 3
_A, _IN = 1, 1
_NAME_OF_THE_QUESTION = 0xC000 | _HEADER.size
"""A pointer to where the message has that name already."""
_RESOLVER = "/etc/resolv.conf"


class NameServer:
    """Answers on UDP until it is left.

    Args:
        address: Where to listen, at port 53; needs root.
        names: The address of each name that it knows, or what goes wrong; it may change at any time.
    """

    def __init__(self, address: str, names: Mapping[str, str]) -> None:
        self._names = names
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, PORT))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._socket.settimeout(0.2)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more."""
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                query, client = self._socket.recvfrom(4096)
                told = answer(query, self._names)
                if told:
                    self._socket.sendto(told, client)


def answer(query: bytes, names: Mapping[str, str]) -> bytes:
    r"""Return the answer to a query with one question (RFC 1035); empty: there is none.

    >>> asked = b"\xab\xcd\1\0\0\1\0\0\0\0\0\0" + b"\3web\4test\0\0\1\0\1"
    >>> known = answer(asked, {"web.test": "192.0.2.1"})
    >>> known[:2], known[3] & 15, known[-4:]
    (b'\xab\xcd', 0, b'\xc0\x00\x02\x01')
    >>> answer(asked, {})[3] & 15, answer(asked, {"web.test": FAILS})[3] & 15
    (3, 2)
    """
    labels, end = [], _HEADER.size
    while length := query[end]:
        labels.append(query[end + 1 : end + 1 + length].decode("ascii").lower())
        end += 1 + length
    end += 1 + 4
    number, kind = (
        struct.unpack("!H", query[:2])[0],
        struct.unpack("!H", query[end - 4 : end - 2])[0],
    )
    known = names.get(".".join(labels))
    if known == SILENT:
        return b""
    code = _NXDOMAIN if known is None else _SERVFAIL if known == FAILS else 0
    has_address = not code and kind == _A  # a name that is known has no IPv6 address
    told = _HEADER.pack(number, _ANSWERED | code, 1, int(has_address), 0, 0)
    told += query[_HEADER.size : end]
    if known is None or not has_address:
        return told
    record = struct.pack("!3HIH", _NAME_OF_THE_QUESTION, _A, _IN, 0, 4)
    return told + record + ipaddress.IPv4Address(known).packed


def use_name_server(directory: Path, node: str, address: str) -> None:
    """Have everything on a real node of the cluster in a folder ask a name server.

    What the machine itself asks stays as it is: the node has mounts of its own.
    """
    file = directory / node / "resolv.conf"
    file.write_text(f"nameserver {address}\n")
    run(enter(_find_box(directory, node), "mount", "--bind", str(file), _RESOLVER))


def forget_name_server(directory: Path, node: str) -> None:
    """Take that back."""
    run(enter(_find_box(directory, node), "umount", _RESOLVER))


def _find_box(directory: Path, node: str) -> int:
    """Return the process 1 of a node's box."""
    pid: int = read_state(directory)["programs"][f"box {node}"]["pid"]
    return pid
