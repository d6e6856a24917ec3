"""Rule V2: from the ends of requests to the times in which nobody could report."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tripswitch.cluster.reachability import KEPT_SECONDS, Reachability
from tripswitch.domain.values.sight import NEVER

T0 = 1_764_000_000.0


@dataclass
class ReachabilityBench:
    now: float = T0
    reachability: Reachability = field(init=False)

    def __post_init__(self) -> None:
        self.reachability = Reachability(lambda: self.now)

    def note(self, after: float, *, answered: bool, stored: bool = True, took: float = 0.0) -> None:
        self.now = T0 + after
        self.reachability.note(stored=stored, answered=answered, seconds=took)

    @property
    def found(self) -> list[tuple[float, float]]:
        return [(one.began - T0, one.ended - T0) for one in self.reachability.standstills()]


def test_a_server_that_answers_holds_no_clock() -> None:
    bench = ReachabilityBench()
    for second in range(60):
        bench.note(second, answered=True)
    assert bench.found == []


def test_an_outage_begins_with_the_last_answer_and_lasts() -> None:
    bench = ReachabilityBench()
    bench.note(10, answered=True)
    bench.note(12, answered=False)
    assert bench.found == []
    bench.note(17, answered=False)
    assert bench.found == [(10, NEVER)]


def test_an_outage_that_is_over_holds_the_clocks_until_kubelets_have_reported() -> None:
    bench = ReachabilityBench()
    bench.note(10, answered=True)
    bench.note(12, answered=False)
    bench.note(70, answered=True)
    assert bench.found == [(10, 110)]


def test_a_request_that_fails_for_a_moment_is_no_outage() -> None:
    """Also when nothing was asked for a while before."""
    bench = ReachabilityBench()
    bench.note(0, answered=True)
    bench.note(50, answered=False)
    bench.note(51, answered=True)
    assert bench.found == []


def test_a_request_that_timed_out_had_begun_earlier() -> None:
    bench = ReachabilityBench()
    bench.note(0, answered=True)
    bench.note(30, answered=False, took=20)
    assert bench.found == [(0, NEVER)]


def test_a_server_without_its_storage_serves_watches_and_takes_no_report() -> None:
    bench = ReachabilityBench()
    bench.note(0, answered=True)
    for second in range(1, 30):
        bench.note(second, answered=True, stored=False)
        bench.note(second, answered=False)
    assert bench.found == [(0, NEVER)]


def test_v2_an_answer_that_came_after_a_long_silence_was_held_up_by_an_outage() -> None:
    """The request was sent in the outage, and answered when it was over: it never failed."""
    bench = ReachabilityBench()
    bench.note(10, answered=True)
    bench.note(30, answered=True, took=12)
    assert bench.found == [(10, 70)]


def test_an_answer_that_is_slow_while_others_come_is_no_outage() -> None:
    bench = ReachabilityBench()
    bench.note(10, answered=True)
    bench.note(25, answered=True)
    bench.note(30, answered=True, took=12)
    assert bench.found == []


def test_an_answer_that_takes_a_moment_after_a_long_silence_is_no_outage() -> None:
    bench = ReachabilityBench()
    bench.note(10, answered=True)
    bench.note(300, answered=True, took=4)
    assert bench.found == []


def test_an_outage_of_watches_alone_holds_the_clocks_too() -> None:
    bench = ReachabilityBench()
    bench.note(3, answered=True, stored=False)
    bench.note(4, answered=False, stored=False)
    bench.note(40, answered=True, stored=False)
    assert bench.found == [(3, 80)]


def test_outages_one_after_the_other_are_one_standstill() -> None:
    bench = ReachabilityBench()
    for start in (0, 60):
        bench.note(start, answered=True)
        bench.note(start + 1, answered=False)
        bench.note(start + 30, answered=True)
    assert bench.found == [(0, 130)]


@pytest.mark.parametrize(("later", "kept"), [(0.0, 2), (60.0, 1)])
def test_what_is_long_over_is_forgotten(later: float, kept: int) -> None:
    bench = ReachabilityBench()
    bench.reachability.add(T0, T0 + 10)
    moment = T0 + 50 + KEPT_SECONDS - 1 + later
    bench.reachability.add(moment, moment)
    assert len(bench.found) == kept
