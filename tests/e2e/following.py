"""The pods of a namespace, followed for as long as somebody wants to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from kubernetes import client, config, watch

_GONE = 410


def follow_pods(
    kubeconfig: str, namespace: str, done: threading.Event, selector: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield the pods by uid: once they are listed, and again after each event, until ``done`` is set.

    The watch goes on from the last version seen, so nothing is missed between two streams. Where the
    API server has forgotten that version, because other namespaces changed much while this one was
    quiet, the pods are listed again.
    """
    api: Any = client.CoreV1Api(config.new_client_from_config(kubeconfig))
    stream = watch.Watch()
    while not done.is_set():
        listed = api.list_namespaced_pod(namespace, label_selector=selector)
        pods = {pod.metadata.uid: pod for pod in listed.items}
        yield pods
        stream.resource_version = listed.metadata.resource_version
        try:
            while not done.is_set():
                for event in stream.stream(
                    api.list_namespaced_pod,
                    namespace,
                    label_selector=selector,
                    resource_version=stream.resource_version,
                    timeout_seconds=1,
                ):
                    pod = event["object"]
                    if event["type"] == "DELETED":
                        pods.pop(pod.metadata.uid, None)
                    else:
                        pods[pod.metadata.uid] = pod
                    yield pods
        except client.ApiException as error:
            if error.status != _GONE:
                raise
