"""Which time it is: the API server's, whatever the clock here says."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from tripswitch.shell.clock import ServerClock

HERE = 1_764_000_000.0


def date(ahead: float) -> str:
    """Return the time of a server whose clock is so many seconds ahead of ours."""
    return formatdate(HERE + ahead, usegmt=True)


def clock_after(*dates: tuple[str | None, float]) -> float:
    clock = ServerClock(lambda: HERE)
    for told, seconds in dates:
        clock.take(told, seconds)
    return clock() - HERE


@pytest.mark.parametrize("ahead", [300.0, -300.0, 5.0])
def test_a_difference_of_minutes_is_taken_away(ahead: float) -> None:
    assert clock_after((date(ahead), 0.01)) == pytest.approx(ahead, abs=1.0)


@pytest.mark.parametrize("ahead", [0.0, 1.0, -1.0])
def test_a_difference_that_is_none_is_left_alone(ahead: float) -> None:
    assert clock_after((date(ahead), 0.01)) == 0.0


def test_a_clock_that_is_set_right_is_used_as_it_is_again() -> None:
    assert clock_after((date(300.0), 0.01), (date(0.0), 0.01)) == 0.0


def test_an_answer_that_makes_no_sense_says_nothing() -> None:
    assert clock_after(("yesterday", 0.01), (None, 0.01)) == 0.0


def test_an_answer_that_was_old_when_it_came_is_no_difference() -> None:
    """A process that was stopped for minutes finds one in its socket."""
    assert clock_after((date(-290.0), 300.0)) == 0.0
    assert clock_after((date(-590.0), 300.0)) == pytest.approx(-590.0, abs=1.0)


def test_small_changes_do_not_move_it_to_and_fro() -> None:
    clock = ServerClock(lambda: HERE)
    clock.take(date(300.0), 0.01)
    first = clock()
    clock.take(date(301.0), 0.01)
    assert clock() == first


def test_it_has_milliseconds() -> None:
    clock = ServerClock(lambda: 1.23456)
    assert clock() == 1.235
