"""The Ready pods of one image, followed by a watch: how few there were, and how much was missing for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.following import follow_pods
from tests.e2e.namespace import Namespace, is_ready


class GoodPods:
    """Follows the Ready pods of the good image: how few there were, and how much was missing for how long."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._ready = 0
        self._since = time.monotonic()
        self.fewest = wanted
        self.lost = 0.0
        """Pods times seconds."""

    def look(self, ready: int) -> None:
        """Take how many are Ready now."""
        self.settle()
        self._ready = ready
        self.fewest = min(self.fewest, ready)

    def begin(self) -> None:
        """Count from here."""
        self.fewest, self.lost = self._ready, 0.0
        self._since = time.monotonic()

    def settle(self) -> None:
        """Count until now."""
        now = time.monotonic()
        self.lost += max(0, self._wanted - self._ready) * (now - self._since)
        self._since = now

    @property
    def serving(self) -> int:
        """How many there are."""
        return self._ready


@contextmanager
def following(world: Namespace, image: str, wanted: int) -> Iterator[GoodPods]:
    """Follow the Ready pods of an image in a namespace."""
    pods, ended = GoodPods(wanted), threading.Event()

    def follow() -> None:
        for found in follow_pods(world.environment.kubeconfig, world.namespace, ended):
            pods.look(sum(_serves(pod, image) for pod in found.values()))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield pods
    finally:
        ended.set()
        thread.join(30)


def _serves(pod: Any, image: str) -> bool:
    """Whether a pod of the image is Ready and not on its way out."""
    ours = pod.spec.containers[0].image == image
    return ours and is_ready(pod) and pod.metadata.deletion_timestamp is None
