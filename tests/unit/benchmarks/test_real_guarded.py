"""What the measurements of guarded Deployments make of their numbers; they themselves need a real node."""

from __future__ import annotations

from benchmarks.good_pods import GoodPods
from benchmarks.real_guarded import Case, cases, render


def test_the_fewest_and_the_missing_ready_pods_count_from_the_beginning_on() -> None:
    pods = GoodPods(2)
    pods.look(0)
    pods.look(2)
    pods.begin()
    assert (pods.serving, pods.fewest, pods.lost) == (2, 2, 0.0)
    pods.look(1)
    pods.look(2)
    assert (pods.serving, pods.fewest) == (2, 1)
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
