"""Every state x every input, and random walks, against the small model (rules B, C, P, R5 to R7, S3)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.play import INPUTS, Play, possible
from tripswitch.domain.values.states import RolloutStatus

FAIL = ("fail",) * 3
COMPLETED = ("heal",)
SECOND = (*COMPLETED, "apply v2")
ROLLING_BACK = (*SECOND, "lose pods", *FAIL)
STATES = {
    "first rollout": (),
    "first rollout, one failure": ("fail",),
    "first rollout, one failure short": ("fail", "fail"),
    "completed": COMPLETED,
    "second rollout": SECOND,
    "second rollout, one failure short": (*SECOND, "fail", "fail"),
    "second rollout, the old pods lost": (*SECOND, "lose pods"),
    "second rollout, the old set lost": (*SECOND, "lose set"),
    "second completed": (*SECOND, "heal"),
    "stalled, nothing to go back to": FAIL,
    "stalled, too late": ("wait",),
    "stalled, no rollback wanted": (*COMPLETED, "rollback off", "apply v2", *FAIL),
    "stalled, the old set lost": (*SECOND, "lose set", *FAIL),
    "aborted": (*SECOND, "stop ABORT"),
    "rolling back": ROLLING_BACK,
    "rolling back, one failure short": (*ROLLING_BACK, "fail", "fail"),
    "rolling back, asked for by a person": (*SECOND, "lose pods", "stop ROLLBACK"),
    "rolling back to what is wanted again": (*ROLLING_BACK, "apply v1"),
    "rolling back, disabled": (*ROLLING_BACK, "disable"),
    "rolled back": (*SECOND, *FAIL),
    "rolled back, the old template put back": (*SECOND, *FAIL, "apply v1"),
    "rolled back, retried": (*SECOND, *FAIL, "retry"),
    "rolled back and scaled to zero": (*SECOND, *FAIL, "scale to zero"),
    "rollback failed": (*ROLLING_BACK, *FAIL),
    "rollback too late": (*ROLLING_BACK, "wait"),
    "rollback aborted": (*ROLLING_BACK, "stop ABORT"),
    "D3 in the middle of a rollback (B3)": (*ROLLING_BACK, "apply v3"),
    "D3 stalled (B3)": (*ROLLING_BACK, "apply v3", *FAIL),
    "waiting for the end of a pause": (*COMPLETED, "pause", "apply v2"),
    "paused": (*SECOND, "fail", "pause"),
    "paused in a rollback": (*ROLLING_BACK, "pause"),
    "completed and paused": (*COMPLETED, "pause"),
    "zero, nothing proved": ("scale to zero",),
    "zero, completed before": (*COMPLETED, "scale to zero"),
    "zero, the second not proved": (*SECOND, "scale to zero"),
    "disabled": (*SECOND, "fail", "disable"),
    "disabled and late": (*SECOND, "disable", "wait"),
    "late, enabled and paused": (*SECOND, "disable", "wait", "pause", "enable"),
    "two revisions back and forth": (*SECOND, "heal", "apply v1", "heal", "apply v2"),
}  # fmt: skip


def play(inputs: tuple[str, ...]) -> Play:
    return _played(inputs).copy()


@cache
def _played(inputs: tuple[str, ...]) -> Play:
    if not inputs:
        return Play()
    played = play(inputs[:-1])
    played.act(inputs[-1])
    return played


def test_the_states_are_all_there_are() -> None:
    reached = {play(inputs).model.status for inputs in STATES.values()}
    assert reached == {status.value for status in RolloutStatus}


@pytest.mark.parametrize("state", STATES)
def test_every_input_does_in_this_state_what_the_model_says(state: str) -> None:
    played = 0
    for name in INPUTS:
        prepared = play(STATES[state])
        if possible(prepared, name):
            prepared.act(name)
            played += 1
    assert played >= 14


@given(st.lists(st.sampled_from(sorted(INPUTS)), max_size=30))
def test_whatever_happens_the_core_and_the_model_tell_the_same_story(inputs: list[str]) -> None:
    played = play(())
    for name in inputs:
        if possible(played, name):
            played.act(name)


def test_the_model_would_notice_a_trip_that_comes_too_late() -> None:
    prepared = play((*SECOND, "fail", "fail"))
    prepared.model = replace(prepared.model, count=1)
    with pytest.raises(AssertionError, match="after fail"):
        prepared.act("fail")
