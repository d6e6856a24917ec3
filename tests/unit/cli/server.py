"""A scripted API server for commands that run to their end: real HTTP on loopback, in a thread."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tripswitch.cli.app import PROGRAM, app

BASE = "/apis/tripswitch.dev/v1alpha1/namespaces/shop/guardeddeployments"


@dataclass
class Server:
    """Answers by method and path; keeps what it was sent."""

    kubeconfig: Path
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    sent: list[tuple[str, str, Any]] = field(default_factory=list)

    def has(self, path: str, body: Any, status: int = 200, method: str = "GET") -> None:
        self.answers[f"{method} {path}"] = (status, body)

    def lists(self, path: str, *items: Any) -> None:
        self.has(path, {"metadata": {"resourceVersion": "1"}, "items": list(items)})

    def refuses(self, path: str, status: int, message: str, reason: str = "") -> None:
        self.has(
            path, {"kind": "Status", "code": status, "message": message, "reason": reason}, status
        )

    def run(self, *words: str) -> Result:
        """Run a command against it, as the program does."""
        where = ["--kubeconfig", str(self.kubeconfig)]
        return CliRunner().invoke(app, [*words, *where], prog_name=PROGRAM)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.sent.append((method, path, body))
        missing = {
            "kind": "Status",
            "code": 404,
            "message": f'guardeddeployments "{path}" not found',
        }
        return self.answers.get(f"{method} {path.partition('?')[0]}", (404, missing))


class _Patient(ThreadingHTTPServer):
    """A client that has seen enough goes in the middle of an answer: that is no error of anybody's."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve(directory: Path) -> Iterator[Server]:
    """Run one, with a kubeconfig whose context names the namespace shop."""
    scripted = Server(directory / "kubeconfig")

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = scripted.answer(self.command, self.path, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_PUT = do_POST = do_DELETE = _do  # noqa: N815 - the base class calls them so

        def log_message(self, *_: Any) -> None:
            pass

    server = _Patient(("127.0.0.1", 0), Handler)
    write_kubeconfig(scripted.kubeconfig, server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_kubeconfig(path: Path, port: int) -> None:
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [
                    {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                    {"name": "bare", "context": {"cluster": "c", "user": "u"}},
                ],
            }
        )
    )
