"""What the measurements of guarded Deployments make of their numbers; they themselves need a real node."""

from __future__ import annotations

from typing import Any

from benchmarks.good_pods import GoodPods
from benchmarks.real_guarded import Case, cases, render


def pod(uid: str, image: str, *, ready: bool = True) -> dict[str, Any]:
    """Return as much of a pod as is looked at."""
    status = "True" if ready else "False"
    return {
        "metadata": {"uid": uid},
        "spec": {"containers": [{"image": image}]},
        "status": {"conditions": [{"type": "Ready", "status": status}]},
    }


def test_only_ready_pods_of_the_good_image_count() -> None:
    pods = GoodPods("good", 2)
    pods.look("ADDED", pod("a", "good"))
    pods.look("ADDED", pod("b", "good"))
    pods.begin()
    pods.look("ADDED", pod("c", "bad"))
    pods.look("MODIFIED", pod("a", "good", ready=False))
    assert (pods.serving, pods.fewest) == (1, 1)
    pods.look("DELETED", pod("b", "good"))
    pods.look("ADDED", pod("d", "good"))
    assert (pods.serving, pods.fewest) == (1, 0)
    assert pods.lost > 0


def test_a_row_has_the_medians_of_the_guarded_and_of_the_plain_deployment() -> None:
    ours = [
        {**vars(Case("exit-2", 4, True, True)), "trip": trip, "restored": 0.5, "fewest": 3}
        | {"lost": 1.0, "requests": 9}
        for trip in (2.0, 9.0, 3.0)
    ]
    plain = {**vars(Case("exit-2", 4, True, False)), "fewest": 3, "lost": 60.0, "requests": 0}
    page = render([*ours, plain], 3, [0.5, 1.25])
    assert "| exit-2 | 4 | yes | 3.0 / 0.5 | 3 | 1.0 | 9 | 3 | 60 |" in page.splitlines()
    assert "load average 0.5 to 1.2" in page


def test_a_look_measures_one_image_or_one_size() -> None:
    assert len(list(cases(None, None))) == 24
    assert {(one.image, one.replicas) for one in cases("exit-2", 4)} == {("exit-2", 4)}
