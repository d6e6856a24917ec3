"""Taking CRDs away again, and seeing that they are gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from tools.cluster.control_plane import ClusterError


def delete_crds(
    kubectl: Callable[..., str], *names: str, seconds: float = 120.0, every: float = 5.0
) -> None:
    """Delete CRDs and wait until they are gone.

    The API server's own finalizer may lose two conflicts in a row with its other controllers. It then looks again after
    five minutes, or when anything else of the CRD changes, so an annotation is written until it is gone.

    Args:
        kubectl: Runs kubectl with these words and returns what it prints.
        names: The CRDs; one that is not there is as good as deleted.
        seconds: How long to wait.
        every: How many seconds apart the annotation is written.

    Raises:
        ClusterError: One of them is still there after that time.
    """
    kubectl("delete", "crd", *names, "--ignore-not-found", "--wait=false")
    began = asked = time.monotonic()
    while left := kubectl("get", "crd", *names, "--ignore-not-found", "--output=name").split():
        now = time.monotonic()
        if now > began + seconds:
            raise ClusterError(f"still there {seconds:g} s after its deletion: {left}")
        if now > asked + every:
            asked = now
            _ask_again(kubectl, left, str(now))
        time.sleep(0.1)


def _ask_again(kubectl: Callable[..., str], left: list[str], mark: str) -> None:
    for one in left:
        try:
            kubectl("annotate", one, f"tripswitch.dev/deletion-asked={mark}", "--overwrite")
        except ClusterError as error:
            if "not found" not in str(error).lower():
                raise
