"""The budget of status writes that nobody waits for: turns in a row, and more patience with a slow server."""

from __future__ import annotations

import pytest

from tripswitch.shell.write_budget import (
    BURST_SECONDS,
    MOST_BURST_SECONDS,
    MOST_PROGRESS_SECONDS,
    WriteBudget,
)


def test_before_the_first_answer_and_alone_nobody_waits_for_a_turn() -> None:
    budget = WriteBudget()
    assert budget.give_turn(3.0) == 3.0
    budget.take_answer(0.005)
    assert [budget.give_turn(at) for at in (4.0, 5.0)] == [4.0, 5.0]


@pytest.mark.parametrize(
    ("answer_seconds", "rate"),
    [
        pytest.param(0.004, 250, id="a fast server"),
        pytest.param(0.05, 20, id="a busy one"),
        pytest.param(0.5, 2, id="a slow one"),
    ],
)
def test_all_objects_together_have_one_write_under_way(answer_seconds: float, rate: int) -> None:
    """So many writes a second as one worker could make."""
    budget = WriteBudget()
    budget.take_answer(answer_seconds)
    turns = [budget.give_turn(10.0) for _ in range(1000)]
    assert turns == sorted(turns)
    assert sum(turn < 12.0 for turn in turns) == pytest.approx(2 * rate, abs=1)
    assert max(turns) <= 10.0 + MOST_PROGRESS_SECONDS


def test_a_turn_that_is_far_away_does_not_keep_those_that_come_after_the_storm_waiting() -> None:
    budget = WriteBudget()
    budget.take_answer(0.5)
    for _ in range(1000):
        budget.give_turn(10.0)
    assert budget.give_turn(40.0) == 40.0


def test_the_answer_time_follows_the_latest_answers() -> None:
    budget = WriteBudget()
    budget.take_answer(0.1)
    assert budget.answer_seconds == 0.1
    for _ in range(50):
        budget.take_answer(0.01)
    assert budget.answer_seconds == pytest.approx(0.01, abs=0.001)
    budget.take_answer(1.0)
    assert budget.answer_seconds == pytest.approx(0.11, abs=0.01), "one slow answer is no storm"


def test_failures_that_trip_nothing_wait_longer_for_others_where_the_server_is_slow() -> None:
    budget = WriteBudget()
    assert budget.burst == BURST_SECONDS
    budget.take_answer(0.02)
    assert budget.burst == BURST_SECONDS
    budget.take_answer(100.0)
    assert budget.burst == MOST_BURST_SECONDS
