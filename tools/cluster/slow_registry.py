"""A registry that throttles: it refuses the first pulls with 429, and then sends slowly."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_PIECES = 40
_PASSED_ON = ("Content-Type", "Docker-Content-Digest", "Content-Length", "Etag")


class SlowRegistry:
    """Stands before a registry, at another port of the same address.

    Args:
        upstream: URL of the registry.
        address: Where to listen.
        refusals: How many requests for manifests are answered with 429 before one is not.
        seconds: How long each blob takes.
    """

    def __init__(self, upstream: str, address: str, *, refusals: int, seconds: float) -> None:
        self.refused = 0
        self.pulled = 0
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.answer(self, upstream, refusals, seconds)

            def do_HEAD(self) -> None:
                registry.answer(self, upstream, refusals, 0.0)

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers, over plain HTTP."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(
        self, request: BaseHTTPRequestHandler, upstream: str, refusals: int, seconds: float
    ) -> None:
        """Refuse, or pass on what the registry says; the data of a blob slowly."""
        if "/manifests/" in request.path and self._refuses(refusals):
            request.send_response(429)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        asked = urllib.request.Request(f"{upstream}{request.path}", method=request.command)
        if accept := request.headers.get("Accept"):
            asked.add_header("Accept", accept)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(asked, timeout=30) as answer:
                status, headers, body = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, error.headers, error.read()
        request.send_response(status)
        for name in _PASSED_ON:
            if name in headers:
                request.send_header(name, headers[name])
        request.end_headers()
        self._send(request, body, seconds if "/blobs/" in request.path else 0.0)

    def _refuses(self, refusals: int) -> bool:
        with self._lock:
            refused = self.refused < refusals
            self.refused += refused
            return refused

    def _send(self, request: BaseHTTPRequestHandler, body: bytes, seconds: float) -> None:
        size = max(1, -(-len(body) // _PIECES)) if seconds else max(1, len(body))
        try:
            for start in range(0, len(body), size):
                time.sleep(seconds / _PIECES)
                request.wfile.write(body[start : start + size])
        except ConnectionError:
            return  # the client has gone
        with self._lock:
            self.pulled += bool(seconds)
