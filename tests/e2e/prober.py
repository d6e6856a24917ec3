"""Users: ask every pod that takes traffic for an answer, over and over, and note who got none."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Self

from kubernetes import client

from tests.e2e.following import follow_pods
from tests.e2e.namespace import Namespace, is_ready
from tools.cluster.images import GREETING, PORT

# A slow answer of a loaded machine is an answer; a refused or broken connection is none.
_TIMEOUT = 30.0
# The server answers for 5 s after it was told to end. Who has not heard of it by then is us.
_NOTICE = 4.0
_PAUSE = 0.05


@dataclass(frozen=True)
class Endpoint:
    """A pod that is Ready and not being deleted, as a load balancer would see it."""

    pod: str
    address: str


class Prober:
    """Sends real HTTP requests to the pods of the given images for as long as it is entered.

    ``failures`` says which requests got no right answer, ``requests`` how many there were, and
    ``fewest`` how many pods took traffic at the worst moment.
    """

    def __init__(self, world: Namespace, *images: str, name: str = "web") -> None:
        self._world = world
        self._images = images
        self._selector = f"app={name}"
        self._endpoints: dict[str, Endpoint] = {}
        self._done = threading.Event()
        self._began = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._follow, self._ask_all)
        ]
        self.failures: list[str] = []
        self.requests = 0
        self.fewest = 10**9

    def __enter__(self) -> Self:
        self._threads[0].start()
        assert self._began.wait(60), "the watch did not begin"
        self._threads[1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a prober did not end"

    def assert_everybody_was_served(self, at_least: int) -> None:
        """Not one failed request, and never fewer pods than that to ask."""
        assert not self.failures, self.failures[:5]
        assert self.fewest >= at_least
        assert self.requests > at_least, "nothing was asked"

    def _ask_all(self) -> None:
        ask = self._ask_directly if self._world.environment.reaches_pods else self._ask_by_proxy
        while not self._done.is_set():
            for endpoint in list(self._endpoints.values()):
                asked = time.time()
                try:
                    answer = ask(endpoint)
                except (OSError, urllib.error.URLError, client.ApiException) as error:
                    answer = repr(error)
                self.requests += 1
                if answer != GREETING and not self._was_told_to_end(endpoint, asked):
                    took = time.time() - asked
                    self.failures.append(f"{endpoint.pod} said {answer!r} after {took:.1f} s")
            self._done.wait(_PAUSE)

    def _was_told_to_end(self, endpoint: Endpoint, asked: float) -> bool:
        """Whether the pod had been told to end so long before that nobody should have asked it."""
        try:
            pod = self._world.core.read_namespaced_pod(endpoint.pod, self._world.namespace)
        except client.ApiException as error:
            return bool(error.status == 404)  # it is gone: it was told to long ago
        ends = pod.metadata.deletion_timestamp
        grace = pod.metadata.deletion_grace_period_seconds or 0
        return ends is not None and asked > ends.timestamp() - grace + _NOTICE

    @staticmethod
    def _ask_directly(endpoint: Endpoint) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{endpoint.address}:{PORT}/", timeout=_TIMEOUT) as answer:
            return str(answer.read().decode())

    def _ask_by_proxy(self, endpoint: Endpoint) -> str:
        """Where pods have addresses of their own world: through the API server."""
        return str(
            self._world.core.connect_get_namespaced_pod_proxy_with_path(
                f"{endpoint.pod}:{PORT}",
                self._world.namespace,
                path="/",
                _request_timeout=_TIMEOUT,
            )
        )

    def _follow(self) -> None:
        kubeconfig, namespace = self._world.environment.kubeconfig, self._world.namespace
        for pods in follow_pods(kubeconfig, namespace, self._done, self._selector):
            self._endpoints = {
                uid: Endpoint(pod.metadata.name, pod.status.pod_ip)
                for uid, pod in pods.items()
                if self._serves(pod)
            }
            self.fewest = min(self.fewest, len(self._endpoints))
            self._began.set()

    def _serves(self, pod: Any) -> bool:
        ours = pod.spec.containers[0].image in self._images
        return ours and is_ready(pod) and not pod.metadata.deletion_timestamp
