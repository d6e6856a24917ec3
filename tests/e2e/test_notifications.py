"""Notifications of a real rollout, trip and rollback, as a receiver on loopback gets them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.e2e.conftest import OwnCluster
from tests.e2e.namespace import guarded
from tools.operator_process import OperatorProcess

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(ThreadingHTTPServer):
    """Keeps every event whose signature is genuine; the first delivery of all is refused."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.forged = 0


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = json.loads(body)
        code = 202
        if not _is_genuine(body, dict(self.headers)):
            self.server.forged += 1
        elif not self.server.refused:
            self.server.refused.append(event["id"])
            code = 503
        else:
            self.server.events.append(event)
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _is_genuine(body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(SECRET).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Listens on loopback."""
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_receiver_is_told_of_a_rollout_a_trip_and_the_way_back_in_order_and_signed(
    empty: OwnCluster, receiver: Receiver, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{receiver.server_port}/hooks/deployments"
    with OperatorProcess(
        empty.operator.kubeconfig,
        tmp_path / "notifying.log",
        arguments=("--notify-url", url),
        variables={"TRIPSWITCH_NOTIFY_SECRET": SECRET},
    ):
        empty.world.completed(guarded(replicas=2))
        empty.world.apply(guarded(replicas=2, behaviour="crash"))
        empty.world.until_rollout("ROLLBACK_SUCCESSFUL")
        empty.world.until_true(lambda: len(receiver.events) >= 6)
    told = [(event["data"]["eventName"], event["data"]["revision"]) for event in receiver.events]
    assert told == [
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", 1),
        ("SERVICE_DEPLOYMENT_COMPLETED", 1),
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", 2),
        ("SERVICE_DEPLOYMENT_FAILED", 2),
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", 1),
        ("SERVICE_DEPLOYMENT_ROLLBACK_COMPLETED", 1),
    ]
    assert receiver.forged == 0
    assert receiver.refused == [receiver.events[0]["id"]], "tried again with the same id"
    failed = receiver.events[3]
    assert failed["specversion"] == "1.0"
    assert "container web exited" in failed["data"]["reason"]
