"""Rules K1 and C4: one execution of a hook, from its beginning to its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import START
from tripswitch.domain.rules.hooks import (
    answer_hooks,
    asks_for_rollback,
    begin_hooks,
    compute_timeout,
    describe_hook,
    find_waiting,
    put_off,
    read_answers,
    time_out_hooks,
)
from tripswitch.domain.values.hooks import Hook, HookAction, HookSpec, HookStatus, LifecycleStage
from tripswitch.domain.values.sight import EVER, NEVER, Standstill

PRE, POST = LifecycleStage.PRE_SCALE_UP, LifecycleStage.POST_SCALE_UP
HOUR = 3600
BOTH = HookSpec((PRE, POST), HOUR)
LATE = HookSpec((POST,), HOUR, HookAction.CONTINUE)
ROLLOUT = "uid-shop/2/1800000000.0"


def begun(*wanted: HookSpec, stage: LifecycleStage = POST) -> tuple[Hook, ...]:
    return begin_hooks(wanted, stage, ROLLOUT, START)


def test_k1_only_hooks_that_name_the_stage_begin() -> None:
    (hook,) = begun(LATE, BOTH, stage=PRE)
    assert hook.lifecycle_stage is PRE
    assert (hook.started_at, hook.expires_at) == (START, START + HOUR)
    assert hook.status is HookStatus.AWAITING_ACTION
    assert hook.timeout_action is HookAction.ROLLBACK
    assert hook.target_type == "PAUSE"


def test_k1_each_execution_has_an_id_of_its_own_that_does_not_change() -> None:
    ids = [hook.hook_id for stage in (PRE, POST) for hook in begun(BOTH, LATE, BOTH, stage=stage)]
    assert len(set(ids)) == len(ids) == 5
    assert [hook.hook_id for hook in begun(BOTH, LATE, BOTH, stage=PRE)] == ids[:2]
    other = begin_hooks([BOTH], PRE, "uid-shop/2/1800000001.0", START)
    assert other[0].hook_id not in ids


@pytest.mark.parametrize(
    ("action", "status", "stops"),
    [
        pytest.param(HookAction.CONTINUE, HookStatus.SUCCEEDED, False, id="continue"),
        pytest.param(HookAction.ROLLBACK, HookStatus.FAILED, True, id="rollback"),
    ],
)
def test_c4_an_answer_ends_the_wait_of_the_hook_it_names(
    action: HookAction, status: HookStatus, *, stops: bool
) -> None:
    first, second = begun(BOTH, LATE)
    after = answer_hooks((first, second), {second.hook_id: action})
    assert after[0] == first
    assert after[1].status is status
    assert asks_for_rollback(after[1]) is stops
    assert find_waiting(after) == (first,)


def test_c4_a_second_answer_changes_nothing() -> None:
    (hook,) = begun(BOTH)
    answered = answer_hooks([hook], {hook.hook_id: HookAction.CONTINUE})
    assert answer_hooks(answered, {hook.hook_id: HookAction.ROLLBACK}) == answered


@pytest.mark.parametrize(
    "text", [None, "", "pause-1", "pause-1/", "pause-1/continue", "/", "a/b/CONTINUE"]
)
def test_c4_what_is_no_answer_is_ignored(text: str | None) -> None:
    assert read_answers(text) == {}


def test_k1_a_hook_times_out_when_its_time_is_up_and_not_before() -> None:
    hooks = begun(BOTH, LATE)
    assert time_out_hooks(hooks, START + HOUR - 0.001, ()) == hooks
    after = time_out_hooks(hooks, START + HOUR, ())
    assert [hook.status for hook in after] == [HookStatus.TIMED_OUT] * 2
    assert [asks_for_rollback(hook) for hook in after] == [True, False]
    assert find_waiting(after) == ()


def test_k1_an_answered_hook_does_not_time_out() -> None:
    (hook,) = begun(BOTH)
    answered = answer_hooks([hook], {hook.hook_id: HookAction.CONTINUE})
    assert time_out_hooks(answered, START + 2 * HOUR, ()) == answered


def test_v2_the_time_of_a_hook_does_not_run_in_an_outage() -> None:
    (hook,) = begun(BOTH)
    over = (Standstill(START + 10, START + 110),)
    assert compute_timeout(hook, over) == START + HOUR + 100
    assert time_out_hooks([hook], START + HOUR + 99, over) == (hook,)
    lasting = (Standstill(START + 10),)
    assert compute_timeout(hook, lasting) == NEVER
    assert time_out_hooks([hook], START + 10 * HOUR, lasting) == (hook,)


def test_k1_the_time_of_a_hook_passes_where_nobody_knows_since_when_no_operator_ran() -> None:
    """Without a Lease each start would begin it anew, and a hook could wait for ever."""
    (hook,) = begun(BOTH)
    started = Standstill(EVER, START + 110)
    assert compute_timeout(hook, (started,)) == START + HOUR
    away = Standstill(START + 200, START + 300)
    assert compute_timeout(hook, (started, away)) == START + HOUR + 100


def test_r7_a_pause_puts_off_the_hooks_that_wait() -> None:
    waiting, other = begun(BOTH, LATE)
    (answered,) = answer_hooks([other], {other.hook_id: HookAction.CONTINUE})
    first, second = put_off((waiting, answered), 60.5)
    assert (first.started_at, first.expires_at) == (START + 60.5, START + HOUR + 60.5)
    assert second == answered


def test_a_hook_says_what_it_waits_for() -> None:
    first, second = begun(BOTH, LATE)
    assert describe_hook(first) == (
        f"hook {first.hook_id} waits at POST_SCALE_UP for an answer, and rolls back after 60 min "
        "without one"
    )
    assert describe_hook(second).endswith("and continues after 60 min without one")


ACTIONS = st.sampled_from(HookAction)
INPUTS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.integers(0, 2), ACTIONS),
        st.tuples(st.just("time"), st.floats(0, 5000), st.none()),
        st.tuples(st.just("pause"), st.floats(0, 5000), st.none()),
    ),
    max_size=8,
)


@given(INPUTS)
def test_a_hook_that_has_ended_never_changes_again(inputs: list[tuple[str, float, object]]) -> None:
    hooks, now = begun(BOTH, LATE, BOTH), START
    for kind, amount, action in inputs:
        before = hooks
        if kind == "answer":
            assert isinstance(action, HookAction)
            hooks = answer_hooks(hooks, {hooks[int(amount)].hook_id: action})
        elif kind == "time":
            now += amount
            hooks = time_out_hooks(hooks, now, ())
        else:
            now += amount
            hooks = put_off(hooks, amount)
        for old, new in zip(before, hooks, strict=True):
            assert old.hook_id == new.hook_id
            assert old == new or old.status is HookStatus.AWAITING_ACTION
            assert new.expires_at >= old.expires_at
        assert [h.status for h in time_out_hooks(hooks, now, ())] == [
            HookStatus.TIMED_OUT
            if h.status is HookStatus.AWAITING_ACTION and h.expires_at <= now
            else h.status
            for h in hooks
        ]
