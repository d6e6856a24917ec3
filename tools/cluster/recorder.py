"""Records what the API server shows of pods, for tests that say what must be seen in which order."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tools.cluster.control_plane import ControlPlane
from tools.cluster.processes import Startable

Pod = dict[str, Any]


class Recorder(Startable):
    """Watches the pods of a namespace; ``pods[name]`` is every version that was shown.

    ``times[name]`` is when each of them was seen, in seconds since the Unix epoch.
    """

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.pods: dict[str, list[Pod]] = defaultdict(list)
        self.times: dict[str, list[float]] = defaultdict(list)
        self._news = threading.Condition()
        trust = ssl.create_default_context(cafile=str(cluster.certificate_authority))
        self._connection = http.client.HTTPSConnection(
            urlsplit(cluster.server).netloc, context=trust
        )
        self._connection.request(
            "GET",
            f"/api/v1/namespaces/{namespace}/pods?watch=1",
            headers={"Authorization": f"Bearer {cluster.token}"},
        )
        self._stream = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, name=f"record {namespace}")

    def start(self) -> None:
        """Record from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Record no more."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the reader
        self._thread.join()
        self._connection.close()

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition on what was recorded holds; False when it never did."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not condition():
                if not self._news.wait(deadline - time.monotonic()):
                    return condition()
        return True

    def _read(self) -> None:
        try:
            for line in self._stream:
                pod = json.loads(line)["object"]
                with self._news:
                    self.pods[pod["metadata"]["name"]].append(pod)
                    self.times[pod["metadata"]["name"]].append(time.time())
                    self._news.notify_all()
        except (OSError, http.client.HTTPException):
            pass  # the end, from stop() or from the server
