"""The Ready pods of one image, followed by a watch: how few there were, and how much was missing for how long."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config, watch

from benchmarks.pods import is_ready
from tests.e2e.namespace import Namespace, Object


class GoodPods:
    """Follows the Ready pods of the good image: how few there were, and how much was missing for how long."""

    def __init__(self, image: str, wanted: int) -> None:
        self._image, self._wanted = image, wanted
        self._ready: set[str] = set()
        self._since = time.monotonic()
        self.fewest = wanted
        self.lost = 0.0
        """Pods times seconds."""

    def look(self, event: str, raw: Object) -> None:
        """Take a version of a pod."""
        self.settle()
        good = raw["spec"]["containers"][0]["image"] == self._image
        if event != "DELETED" and good and is_ready(raw):
            self._ready.add(raw["metadata"]["uid"])
        else:
            self._ready.discard(raw["metadata"]["uid"])
        self.fewest = min(self.fewest, len(self._ready))

    def begin(self) -> None:
        """Count from here."""
        self.fewest, self.lost = len(self._ready), 0.0
        self._since = time.monotonic()

    def settle(self) -> None:
        """Count until now."""
        now = time.monotonic()
        self.lost += max(0, self._wanted - len(self._ready)) * (now - self._since)
        self._since = now

    @property
    def serving(self) -> int:
        """How many there are."""
        return len(self._ready)


@contextmanager
def following(world: Namespace, image: str, wanted: int) -> Iterator[GoodPods]:
    """Follow the pods of a namespace from a list on."""
    api: Any = client.CoreV1Api(config.new_client_from_config(world.environment.kubeconfig))
    pods, ended = GoodPods(image, wanted), threading.Event()
    listed = json.loads(world.kubectl("get", "pods", "--output=json"))
    for raw in listed["items"]:
        pods.look("ADDED", raw)
    stream = watch.Watch()
    stream.resource_version = listed["metadata"]["resourceVersion"] or "0"

    def follow() -> None:
        while not ended.is_set():
            for event in stream.stream(
                api.list_namespaced_pod,
                world.namespace,
                resource_version=stream.resource_version,
                timeout_seconds=1,
            ):
                pods.look(event["type"], event["raw_object"])

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield pods
    finally:
        ended.set()
        thread.join(30)
