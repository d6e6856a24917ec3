"""Whose Lease is it: the table, and a world in which candidates are slow, cut off and wrong about time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripswitch.cluster.leader_election.rules import (
    Claim,
    Sighting,
    Step,
    Terms,
    choose_step,
    free_at,
    next_claim,
    next_look,
    released,
    sight,
)

TERMS = Terms()
HELD = Claim("other", 10, 3, "10:00", "10:07")
MINE = replace(HELD, holder="me")
FREE = released(HELD, "10:08")


@pytest.mark.parametrize(
    ("claim", "age", "leading", "step"),
    [
        pytest.param(None, 0, False, Step.CREATE, id="none, and nobody was seen to hold it"),
        pytest.param(None, 0, True, Step.CREATE, id="mine was deleted"),
        pytest.param(FREE, 0, False, Step.TAKE, id="released"),
        pytest.param(FREE, 0, True, Step.WAIT, id="released although I lead: somebody's hand"),
        pytest.param(HELD, 0, False, Step.WAIT, id="another's, just changed"),
        pytest.param(HELD, 9.99, False, Step.WAIT, id="another's, not old enough"),
        pytest.param(HELD, 10, False, Step.TAKE, id="another's, old enough"),
        pytest.param(HELD, 100, True, Step.WAIT, id="another's although I lead: I have lost"),
        pytest.param(MINE, 0, True, Step.RENEW, id="mine"),
        pytest.param(MINE, 0, False, Step.TAKE, id="mine: the answer to my write was lost"),
    ],
)
def test_each_state_of_the_lease_has_one_next_step(
    claim: Claim | None, age: float, step: Step, *, leading: bool
) -> None:
    seen = Sighting(claim, since=100.0)
    assert choose_step(seen, "me", TERMS, 100.0 + age, leading=leading) is step


def test_a_lease_that_changes_is_new_and_one_that_does_not_grows_old() -> None:
    first = sight(None, HELD, TERMS, 100.0)
    assert sight(first, replace(HELD), TERMS, 107.0).since == 100.0
    assert sight(first, replace(HELD, renewed="10:09"), TERMS, 107.0).since == 107.0


def test_a_deleted_lease_is_waited_for_as_long_as_its_holder_might_not_know() -> None:
    held = sight(None, HELD, TERMS, 100.0)
    gone = sight(held, None, TERMS, 104.0)
    assert choose_step(gone, "me", TERMS, 113.9, leading=False) is Step.WAIT
    assert choose_step(gone, "me", TERMS, 114.0, leading=False) is Step.CREATE
    assert free_at(sight(sight(None, FREE, TERMS, 1.0), None, TERMS, 2.0), TERMS) == 2.0


def test_the_longer_of_two_durations_counts() -> None:
    assert free_at(Sighting(replace(HELD, duration=60), 0.0), TERMS) == 60
    assert free_at(Sighting(replace(HELD, duration=1), 0.0), TERMS) == 10
    assert free_at(Sighting(replace(HELD, duration=0), 0.0), TERMS) == 10


def test_transitions_count_changes_of_holder_only() -> None:
    first = next_claim(None, "me", TERMS, "10:00")
    assert first == Claim("me", 10, 0, "10:00", "10:00")
    again = next_claim(first, "me", TERMS, "10:02")
    assert again == Claim("me", 10, 0, "10:00", "10:02")
    assert next_claim(again, "other", TERMS, "10:30") == Claim("other", 10, 1, "10:30", "10:30")
    assert next_claim(FREE, "me", TERMS, "10:30").transitions == 4


@pytest.mark.parametrize(
    "terms", [(15, 10, 6), (15, 13, 2), (15, 10, 0), (0.9, 0.5, 0.1), (10, 15, 2)]
)
def test_terms_that_are_not_safe_are_refused(terms: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        Terms(*terms)


@settings(max_examples=200)
@given(random=st.randoms(use_true_random=False))
def test_a_holder_that_dies_is_followed_within_15_s_if_the_server_answers_within_one(
    random: Random,
) -> None:
    """The last renewal takes effect at 0 and the holder dies with it. The clock is virtual.

    Of each request is drawn when the server does it, and when its answer is back.
    """
    slowest = random.choice([0.01, 0.3, 1.0])
    now, seen = -random.uniform(0, 1), None
    for _ in range(100):
        done, back = sorted(random.uniform(0, slowest) for _ in range(2))
        shown = HELD if now + done >= 0 else replace(HELD, renewed="10:05")
        now += back
        seen = sight(seen, shown, TERMS, now)
        if choose_step(seen, "me", TERMS, now, leading=False) is Step.TAKE:
            taken = now + random.uniform(0, slowest)
            assert TERMS.duration <= taken <= TERMS.longest_gap(slowest) < 15
            return
        now = next_look(seen, TERMS, now, random.uniform(-1, 1))
    pytest.fail("it was never taken")


def test_a_candidate_looks_every_half_second_and_at_the_moment_it_may_take_the_lease() -> None:
    seen = Sighting(HELD, since=100.0)
    assert [next_look(seen, TERMS, 105.0, jitter) for jitter in (-1, 0, 1)] == [105.4, 105.5, 105.6]
    assert next_look(seen, TERMS, 109.7, 0) == 110.0
    assert next_look(seen, TERMS, 110.0, 0) == 110.5, "it was refused: somebody else was faster"
    assert next_look(None, TERMS, 110.0, 0) == 110.5, "the server is away"


@dataclass
class Candidate:
    """One side, with a clock of its own."""

    name: str
    speed: float
    offset: float
    seen: Sighting | None = None
    valid_until: float = float("-inf")

    def clock(self, now: float) -> float:
        return self.offset + now * self.speed

    def leads(self, now: float) -> bool:
        return self.clock(now) < self.valid_until


TICK = 0.5
MOVES = st.lists(
    st.tuples(
        st.integers(0, 1),  # who
        st.sampled_from([0, 1, 8, 16, 31]),  # ticks until it moves
        st.sampled_from([0, 0, 0, 4, 16]),  # ticks between its look and its write
        st.sampled_from([0, 0, 2, 31]),  # ticks until its write is answered
        st.sampled_from(["answered", "answered", "answered", "lost", "refused", "deleted"]),
    ),
    min_size=5,
    max_size=25,
)
SPEEDS = st.tuples(*[st.sampled_from([0.85, 1.0, 1.15])] * 2)


@settings(max_examples=200)
@given(moves=MOVES, speeds=SPEEDS)
def test_two_never_lead_at_once_however_slow_lost_or_wrong_about_time(
    moves: list[tuple[int, int, int, int, str]], speeds: tuple[float, ...]
) -> None:
    """The server swaps only the version that was seen; everything else may go wrong."""
    everybody = [Candidate(f"c{n}", speed, n * 1000.0) for n, speed in enumerate(speeds)]
    stored: Claim | None = None
    version, now = 0, 0.0
    for who, idle, thinking, waiting, fate in moves:
        now = _pass_time(everybody, now, idle)
        one = everybody[who]
        looked_at = version
        one.seen = sight(one.seen, stored, TERMS, one.clock(now))
        sent = one.clock(now)
        step = choose_step(one.seen, one.name, TERMS, sent, leading=one.leads(now))
        claim = next_claim(stored, one.name, TERMS, f"{version}")
        now = _pass_time(everybody, now, thinking)
        if step is Step.WAIT or fate == "refused" or looked_at != version:
            continue
        stored, version = claim, version + 1
        if fate == "lost":
            continue
        now = _pass_time(everybody, now, waiting)
        one.valid_until = sent + TERMS.renew_deadline
        one.seen = sight(one.seen, claim, TERMS, one.clock(now))
        if fate == "deleted" and stored == claim:
            for other in everybody:  # a deletion right after everybody has seen it held
                other.seen = sight(other.seen, stored, TERMS, other.clock(now))
            stored, version = None, version + 1


def _pass_time(everybody: list[Candidate], now: float, ticks: int) -> float:
    for tick in range(ticks + 1):
        leaders = [one.name for one in everybody if one.leads(now + tick * TICK)]
        assert len(leaders) <= 1, f"at {now + tick * TICK}: {leaders}"
    return now + ticks * TICK
