"""What stands before a Prometheus in many clusters: it asks for a bearer token; it can be slow."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class AlarmGate(ThreadingHTTPServer):
    """Forwards to one address what has the token. Set ``token`` and ``seconds`` at any time."""

    daemon_threads = True

    def __init__(self, target: str, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.token = token
        self.seconds = 0.0
        self.asked = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: AlarmGate

    def do_GET(self) -> None:
        self.server.asked += 1
        time.sleep(self.server.seconds)
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer(401, b"")
            return
        try:
            with urllib.request.urlopen(self.server.target + self.path, timeout=5) as answer:
                self._answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.read())
        except OSError:
            self._answer(502, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
