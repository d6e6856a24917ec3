"""A registry that fails on purpose, in a way that the name of the repository says.

``http://address:port/v2/status-503/web/manifests/1`` is answered with 503; other names are in :data:`FAULTS`.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

STATUSES = (401, 403, 404, 429, 500, 502, 503, 504)
FAULTS = (*(f"status-{status}" for status in STATUSES), "hangs", "resets", "closes")
"""What the first part of a repository's name may be."""

_BODIES: Mapping[int, bytes] = {
    404: b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}',
    429: b'{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests"}]}',
}


class FaultyRegistry:
    """Answers at an address of this machine until it is left.

    Args:
        address: Where to listen.
        certificate: A PEM file with a key and a certificate that no node trusts; None: plain HTTP.
    """

    def __init__(self, address: str, certificate: Path | None = None) -> None:
        self._over = over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                _answer(self, over)

            def do_HEAD(self) -> None:
                _answer(self, over)

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self._scheme = "http" if certificate is None else "https"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self._server.server_address[:2]
        return f"{self._scheme}://{host!s}:{port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more, and let go of the requests that hang."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


def _answer(request: BaseHTTPRequestHandler, over: threading.Event) -> None:
    """Do what the repository's name says."""
    fault = request.path.removeprefix("/v2/").partition("/")[0]
    if fault == "hangs":
        over.wait()
    if fault == "resets":  # no FIN but a RST: nothing is sent any more after a close
        linger = struct.pack("ii", 1, 0)
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    if not fault.startswith("status-"):
        request.close_connection = True
        request.connection.close()
        return
    status = int(fault.removeprefix("status-"))
    body = _BODIES.get(status, b"")
    request.send_response(status)
    request.send_header("Content-Length", str(len(body)))
    request.send_header("Content-Type", "application/json")
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)
