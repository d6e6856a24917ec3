"""Everything that happens in the demo's namespace, as the API server tells it: nothing is missed.

Four watches (both of our kinds, events, pods) deliver every version of every object into one
queue. Looking again and again would miss what is true for a tenth of a second only, such as a
rollback of pods that were never touched.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from tools.cluster.processes import Startable

Object = dict[str, Any]
_WATCHED = (
    "/apis/tripswitch.dev/v1alpha1/namespaces/{}/guardeddeployments?watch=1",
    "/apis/tripswitch.dev/v1alpha1/namespaces/{}/deploymentcircuitbreakers?watch=1",
    "/api/v1/namespaces/{}/events?watch=1",
    "/api/v1/namespaces/{}/pods?watch=1",
)
_AGAIN_SECONDS = 1.0


class Feed(Protocol):
    """A source of changes."""

    def next(self, seconds: float) -> Object | None:
        """Return the next change (``type``, ``object``) of a watch; None if none comes in time."""


class KubectlFeed(Startable):
    """The watches, each a ``kubectl get --raw`` that is started again when it ends."""

    def __init__(self, kubectl: Sequence[str], namespace: str) -> None:
        self._kubectl = list(kubectl)
        self._changes: queue.Queue[Object] = queue.Queue()
        self._stopped = threading.Event()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._threads = [
            threading.Thread(target=self._follow, args=(path.format(namespace),), daemon=True)
            for path in _WATCHED
        ]

    def start(self) -> None:
        """Begin to watch; what is there already is told first."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the watches."""
        self._stopped.set()
        for process in list(self._running.values()):
            process.kill()
        for thread in self._threads:
            thread.join()

    def next(self, seconds: float) -> Object | None:
        """Return the next change; None if none comes in time."""
        try:
            return self._changes.get(timeout=seconds)
        except queue.Empty:
            return None

    def _follow(self, path: str) -> None:
        while not self._stopped.is_set():
            with subprocess.Popen(
                [*self._kubectl, "get", "--raw", path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends things in order
            ) as process:
                self._running[path] = process
                if self._stopped.is_set():
                    process.kill()
                assert process.stdout is not None
                for line in process.stdout:
                    self._changes.put(json.loads(line))
            self._stopped.wait(_AGAIN_SECONDS)
