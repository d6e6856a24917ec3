"""No kind of the fleet waits longer than the others before a pod is healthy."""

from __future__ import annotations

from benchmarks.fleet import DEPLOYMENT, OURS
from tripswitch.api.codec import read_guarded


def test_the_first_pod_of_ours_is_healthy_as_soon_as_it_is_ready() -> None:
    body = OURS.body("web", 10)
    body["metadata"] |= {"namespace": "shop", "uid": "gd-1", "generation": 1}
    assert read_guarded(body).spec.min_ready_seconds == 0
    assert "minReadySeconds" not in DEPLOYMENT.body("web", 10)["spec"], "its default is 0"
