"""Memory that grows is found, and a short life says nothing."""

from __future__ import annotations

import pytest

from benchmarks.soak.lives import Life, judge_memory


def life(seconds: float, last: float) -> Life:
    """A process that has 100 MiB for most of its life."""
    moments = [seconds * n / 20 for n in range(21)]
    return Life([(at, 100.0 if at < 0.7 * seconds else last) for at in moments])


@pytest.mark.parametrize(
    ("seconds", "last", "faults"),
    [
        pytest.param(900, 105, [], id="flat"),
        pytest.param(900, 120, ["memory grew from 100 to 120 MiB"], id="grows"),
        pytest.param(60, 120, [], id="short"),
    ],
)
def test_memory_of_a_life_is_judged(seconds: float, last: float, faults: list[str]) -> None:
    assert judge_memory([life(seconds, last)])[1] == faults
