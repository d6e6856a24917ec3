"""The rows of the storms say yes and no where they have to."""

from __future__ import annotations

from benchmarks.storm import CREATED, GOOD, MIXED, Wave, build_rows


def wave(seconds: float, cpu: float, requests: int) -> Wave:
    return Wave(seconds, cpu, requests, memory=100, others={})


def test_each_goal_of_a_storm_has_a_row_of_its_own() -> None:
    ours = {
        CREATED: wave(104, 20, 1000),
        GOOD: wave(120, 40, 1200),
        MIXED: wave(181, 60, 1400),
    }
    argo = {CREATED: wave(110, 26, 1100), GOOD: wave(119, 37, 1500)}
    deployment = {CREATED: wave(100, 0, 1300), GOOD: wave(100, 0, 1400)}
    rows = build_rows(100, ours, argo, deployment)
    assert [(row.ours, row.met) for row in rows] == [
        ("104 s (20 s CPU, 1,000 requests, 100 MiB)", True),
        ("1.04", True),
        ("20 s", True),
        ("10.0", True),
        ("120 s (40 s CPU, 1,200 requests, 100 MiB)", False),
        ("1.20", False),
        ("40 s", False),
        ("12.0", False),
        ("181 s (60 s CPU, 1,400 requests, 100 MiB)", False),
        ("14.0", True),
    ]
    assert rows[-2].target == "1.5 x the good storm (180 s)"
