"""How the end-to-end tests follow pods, against an API server that forgets versions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.e2e.following import follow_pods


def pod(uid: str) -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "name": uid, "resourceVersion": "7"},
        "spec": {"containers": []},
    }


EXPIRED = {
    "kind": "Status",
    "code": 410,
    "reason": "Expired",
    "message": "too old resource version",
}


class ForgetfulServer(BaseHTTPRequestHandler):
    """Lists one pod more each time, and has forgotten the version when it is watched from there."""

    lists = 0

    def do_GET(self) -> None:
        """Answer a list, or a watch whose version is too old."""
        if "watch" in parse_qs(urlsplit(self.path).query):
            answer: dict[str, Any] = {"type": "ERROR", "object": EXPIRED}
        else:
            type(self).lists += 1
            items = [pod(f"web-{number}") for number in range(self.lists)]
            answer = {"metadata": {"resourceVersion": "5"}, "items": items}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode() + b"\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[str]:
    """A server on loopback, and how to reach it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), ForgetfulServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster = {"name": "one", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "one", "context": {"cluster": "one", "user": "one"}}
    content = {"clusters": [cluster], "contexts": [context], "current-context": "one"}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({**content, "users": [{"name": "one", "user": {}}]}))
    yield str(path)
    server.shutdown()
    server.server_close()


def test_pods_are_listed_again_where_the_watched_version_is_forgotten(kubeconfig: str) -> None:
    done = threading.Event()
    seen = []
    for pods in follow_pods(kubeconfig, "default", done):
        seen.append(sorted(pods))
        if len(seen) == 3:
            done.set()
    assert seen == [["web-0"], ["web-0", "web-1"], ["web-0", "web-1", "web-2"]]
