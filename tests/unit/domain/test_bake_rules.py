"""Rule A3: the clock of a bake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.domain.rules.alarms import FRESH_SECONDS, fail
from tripswitch.domain.rules.bake import find_blindness, hold_bake, is_baking, run_bake
from tripswitch.domain.values.alarms import NO_READING, AlarmReading
from tripswitch.domain.values.bake import Bake
from tripswitch.domain.values.sight import NEVER, Standstill

START = 1000.0


def test_a3_a_bake_lasts_for_its_time() -> None:
    bake = run_bake(None, 300, START, None)
    assert bake == Bake(START, ends_at=START + 300)
    assert is_baking(bake, START + 299.999)
    assert not is_baking(bake, START + 300)
    assert run_bake(bake, 300, START + 100, None) == bake, "nothing to write"


def test_a3_a_bake_that_begins_blind_stands_still_from_its_beginning() -> None:
    bake = run_bake(None, 300, START, START - 50)
    assert bake == Bake(START, held_at=START)
    assert is_baking(bake, START + 10_000)
    assert run_bake(bake, 300, START + 40, None) == Bake(START + 40, ends_at=START + 340)


def test_a3_the_earliest_blindness_counts_once() -> None:
    bake = run_bake(Bake(START, ends_at=START + 300), 300, START + 50, START + 40)
    bake = run_bake(bake, 300, START + 60, START + 55)
    assert bake == Bake(START, held_at=START + 40)


def test_a3_another_bake_time_counts_at_once() -> None:
    bake = run_bake(None, 300, START, None)
    assert run_bake(bake, 60, START + 10, None).ends_at == START + 60


def test_a3_a_clock_that_was_set_back_adds_nothing() -> None:
    assert run_bake(Bake(START, held_at=START + 50), 300, START + 40, None).since == START


def test_a3_a_pause_stops_the_clock() -> None:
    bake = hold_bake(Bake(START, ends_at=START + 300), START + 100)
    assert bake == Bake(START, held_at=START + 100)
    assert hold_bake(bake, START + 150) == bake
    assert run_bake(bake, 300, START + 200, None) == Bake(START + 100, ends_at=START + 400)
    assert hold_bake(None, START) is None
    assert not is_baking(None, START)


@pytest.mark.parametrize(
    ("standstills", "reading", "since"),
    [
        pytest.param((), None, None, id="without alarms"),
        pytest.param((), AlarmReading(START + 95), None, id="a good reading"),
        pytest.param((), AlarmReading(START + 69), START + 69, id="an old one"),
        pytest.param((), NO_READING, START + 100, id="none yet"),
        pytest.param((), AlarmReading(START - 1), START + 100, id="one from before"),
        pytest.param(
            (), fail("", START + 99, AlarmReading(START + 95)), START + 95, id="a failed one"
        ),
        pytest.param((Standstill(START + 50, START + 101),), None, START + 50, id="an outage"),
        pytest.param((Standstill(START + 50, NEVER),), None, START + 50, id="that lasts"),
        pytest.param((Standstill(START + 50, START + 100),), None, None, id="an outage before"),
        pytest.param(
            (Standstill(0.0, START + 101),),
            fail("", START + 99, AlarmReading(START + 95)),
            0.0,
            id="a new process",
        ),
    ],
)
def test_a3_blind_since(
    standstills: tuple[Standstill, ...], reading: AlarmReading | None, since: float | None
) -> None:
    assert FRESH_SECONDS == 30
    assert find_blindness(standstills, reading, START, START + 100) == since


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=30))
def test_a3_only_time_in_which_somebody_could_see_counts(steps: list[tuple[int, bool]]) -> None:
    """The referee adds up the intervals in which the clock ran."""
    bake, now, seen, blind = run_bake(None, 100, START, None), START, 0.0, False
    for seconds, goes_blind in steps:
        if not is_baking(bake, now):
            break
        if not blind:
            seen += seconds
        now += seconds
        blind = goes_blind
        bake = run_bake(bake, 100, now, now if blind else None)
        if not blind:
            assert bake.ends_at == now + 100 - seen
