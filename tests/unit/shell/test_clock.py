"""Which time it is: the API server's, and never one that jumps (V4)."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from tripswitch.domain.values.sight import EVER
from tripswitch.shell.clock import AGREE_SECONDS, ServerClock, Time

HERE = 1_764_000_000.0


class ClockBench:
    """A clock, what it is made of, and the steps that it was set by."""

    def __init__(self) -> None:
        self.passed = 5_000.0
        self.wall = HERE
        self.steps: list[float] = []
        self.clock = ServerClock(
            lambda: self.passed,
            lambda: self.wall,
            lambda before, after: self.steps.append(round(after - before)),
        )

    def take(self, ahead: float, *, later: float = 0.0, seconds: float = 0.01) -> None:
        """Take an answer of a server whose clock is so many seconds ahead of ours."""
        self.passed += later
        there = HERE + self.passed - 5_000.0 + ahead
        self.clock.take(formatdate(there, usegmt=True), seconds)

    @property
    def ahead(self) -> float:
        """How far the clock is ahead of one that began with this machine's and was never set."""
        return self.clock() - (HERE + self.passed - 5_000.0)


@pytest.mark.parametrize("ahead", [300.0, -300.0, 5.0])
def test_the_first_answer_sets_the_clock(ahead: float) -> None:
    bench = ClockBench()
    bench.take(ahead)
    assert bench.ahead == pytest.approx(ahead, abs=1.0)
    assert bench.steps == [], "nothing has been judged before"


@pytest.mark.parametrize("ahead", [0.0, 1.0, -1.0])
def test_a_difference_that_is_none_is_left_alone(ahead: float) -> None:
    bench = ClockBench()
    bench.take(ahead)
    assert bench.ahead == 0.0


@pytest.mark.parametrize("step", [60.0, -60.0, 86_400.0])
def test_v4_a_step_of_the_wall_clock_changes_nothing(step: float) -> None:
    bench = ClockBench()
    bench.take(0.0)
    bench.wall += step
    assert bench.ahead == 0.0
    bench.take(0.0, later=1.0)
    assert bench.ahead == 0.0


def test_v4_api_servers_whose_clocks_differ_do_not_move_it_to_and_fro() -> None:
    bench = ClockBench()
    for ahead in (0.0, 60.0) * 200:
        bench.take(ahead, later=1.0)
        assert bench.ahead == 0.0


def test_v4_one_answer_or_a_few_in_a_short_time_do_not_set_it() -> None:
    bench = ClockBench()
    bench.take(0.0)
    for _ in range(10):
        bench.take(60.0, later=1.0)
    assert bench.ahead == 0.0


@pytest.mark.parametrize("ahead", [60.0, -60.0])
def test_it_follows_answers_that_agree_for_a_minute_and_says_so(ahead: float) -> None:
    bench = ClockBench()
    bench.take(0.0)
    for _ in range(3):
        bench.take(ahead, later=AGREE_SECONDS / 2)
    assert bench.ahead == pytest.approx(ahead, abs=1.0)
    assert bench.steps == [pytest.approx(ahead, abs=1.0)]


def test_two_answers_are_too_few_to_agree() -> None:
    bench = ClockBench()
    bench.take(0.0)
    bench.take(60.0, later=1.0)
    bench.take(60.0, later=AGREE_SECONDS)
    assert bench.ahead == 0.0


def test_answers_that_disagree_with_each_other_set_nothing() -> None:
    bench = ClockBench()
    bench.take(0.0)
    for number in range(60):
        bench.take(60.0 + 10 * number, later=AGREE_SECONDS)
    assert bench.ahead == 0.0


def test_an_answer_that_makes_no_sense_says_nothing() -> None:
    bench = ClockBench()
    bench.clock.take("yesterday", 0.01)
    bench.clock.take(None, 0.01)
    assert bench.ahead == 0.0


def test_an_answer_that_was_old_when_it_came_is_no_difference() -> None:
    """A process that was stopped for minutes finds one in its socket."""
    bench = ClockBench()
    bench.take(-290.0, seconds=300.0)
    assert bench.ahead == 0.0


def test_it_has_milliseconds() -> None:
    assert ServerClock(lambda: 1.00056, lambda: 1.23456)() == 1.235


def test_v4_what_the_clock_is_set_forward_by_has_not_passed_for_any_rollout() -> None:
    time = Time(ClockBench().clock)
    time.take_step(HERE, HERE + 60)
    assert [(one.began, one.ended) for one in time.reachability.standstills()] == [
        (HERE, HERE + 100)
    ]


def test_v2_until_a_process_leads_nobody_has_looked() -> None:
    time = Time(ClockBench().clock)
    time.take_over(HERE - 660)
    assert [(one.began, one.ended) for one in time.reachability.standstills()] == [
        (HERE - 660, HERE + 40)
    ]


@pytest.mark.parametrize(("led_until", "since"), [(None, EVER), (HERE + 9_000, HERE)])
def test_v2_a_process_that_does_not_know_since_when_begins_every_clock_anew(
    led_until: float | None, since: float
) -> None:
    """Without a Lease; and a holder whose clock was fast renewed it now at the latest."""
    time = Time(ClockBench().clock)
    time.take_over(led_until)
    assert [(one.began, one.ended) for one in time.reachability.standstills()] == [
        (since, HERE + 40)
    ]
