"""Rules B and C: the states of a rollout; every status meets every cause."""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.builders import START, rollout
from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.rollout_states import IllegalTransitionError, Transition, begin, move
from tripswitch.domain.values.hooks import LifecycleStage
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutState, RolloutStatus

S = RolloutStatus
EVERYTHING = list(product(RolloutStatus, Transition))


@pytest.mark.parametrize(
    ("status", "cause"), EVERYTHING, ids=[f"{status}-{cause}" for status, cause in EVERYTHING]
)
def test_a_rollout_moves_by_the_table_and_in_no_other_way(
    status: RolloutStatus, cause: Transition
) -> None:
    before = rollout(status=status)
    if (status, cause) not in rollout_states.TABLE:
        with pytest.raises(IllegalTransitionError) as refused:
            move(before, cause, Reason.PAUSED, "no", START + 9)
        assert str(refused.value) == f"a rollout that is {status} cannot be {cause}"
        assert refused.value.__suppress_context__
        assert before == rollout(status=status)
        return
    after = move(before, cause, Reason.PAUSED, "why", START + 9)
    end = rollout_states.TABLE[status, cause]
    assert (after.status, after.reason, after.message) == (end, Reason.PAUSED, "why")
    assert after.finished_at == (None if end is S.IN_PROGRESS else START + 9)
    assert (after.revision, after.kind, after.started_at) == (1, RolloutKind.DEPLOY, START)


MOVES = [
    pytest.param(S.PENDING, Transition.LAUNCHED, S.IN_PROGRESS, id="R7 a pause ends"),
    pytest.param(S.PENDING, Transition.STOPPED, S.STOPPED, id="C3 another template while paused"),
    pytest.param(S.IN_PROGRESS, Transition.COMPLETED, S.SUCCESSFUL, id="R5"),
    pytest.param(S.IN_PROGRESS, Transition.TRIPPED, S.FAILED, id="B1"),
    pytest.param(S.IN_PROGRESS, Transition.STOPPED, S.STOPPED, id="C2 and C3"),
    pytest.param(S.ROLLBACK_IN_PROGRESS, Transition.COMPLETED, S.ROLLBACK_SUCCESSFUL, id="B1 back"),
    pytest.param(S.ROLLBACK_IN_PROGRESS, Transition.TRIPPED, S.ROLLBACK_FAILED, id="B5"),
    pytest.param(S.ROLLBACK_IN_PROGRESS, Transition.STOPPED, S.STOPPED, id="C3 during a rollback"),
    pytest.param(S.ROLLBACK_FAILED, Transition.COMPLETED, S.ROLLBACK_SUCCESSFUL, id="F10"),
]


@pytest.mark.parametrize(("start", "cause", "end"), MOVES)
def test_the_table_is_that_of_the_rules(
    start: RolloutStatus, cause: Transition, end: RolloutStatus
) -> None:
    assert rollout_states.TABLE[start, cause] is end
    assert len(rollout_states.TABLE) == len(MOVES)


def test_t5_the_table_has_no_cycle_so_nothing_happens_twice() -> None:
    def walk(status: RolloutStatus, passed: tuple[RolloutStatus, ...]) -> None:
        assert status not in passed, f"a cycle: {passed} {status}"
        for (start, _), end in rollout_states.TABLE.items():
            if start is status:
                walk(end, (*passed, status))

    for status in RolloutStatus:
        walk(status, ())


def test_a_finished_rollout_never_moves_again_but_a_failed_rollback() -> None:
    assert {start for start, _ in rollout_states.TABLE} == rollout_states.OPEN | {S.ROLLBACK_FAILED}


def test_b5_a_rollback_never_becomes_a_deploy_nor_the_other_way_round() -> None:
    for (start, _), end in rollout_states.TABLE.items():
        if end is not S.STOPPED:
            assert ("ROLLBACK" in start) is ("ROLLBACK" in end)


def test_every_status_is_open_succeeded_or_stalled() -> None:
    groups = (rollout_states.OPEN, rollout_states.SUCCEEDED, rollout_states.STALLED)
    for status in RolloutStatus:
        assert sum(status in group for group in groups) == 1
    assert {S.IN_PROGRESS, S.ROLLBACK_IN_PROGRESS} == rollout_states.RUNNING
    assert {S.PENDING} == rollout_states.OPEN - rollout_states.RUNNING


def test_every_status_gives_its_revision_a_state() -> None:
    assert set(rollout_states.STATE) == set(RolloutStatus)
    for status, state in rollout_states.STATE.items():
        assert (status in rollout_states.OPEN) is (state is RolloutState.IN_PROGRESS)
        assert (status in rollout_states.SUCCEEDED) is (state is RolloutState.COMPLETED)
        assert (status in {S.FAILED, S.ROLLBACK_FAILED}) is (state is RolloutState.FAILED)
        assert (status is S.STOPPED) is (state is RolloutState.STOPPED)


@pytest.mark.parametrize(
    ("kind", "pending", "status", "reason"),
    [
        pytest.param(
            RolloutKind.DEPLOY, False, S.IN_PROGRESS, Reason.ROLLOUT_IN_PROGRESS, id="a deploy"
        ),
        pytest.param(
            RolloutKind.ROLLBACK,
            False,
            S.ROLLBACK_IN_PROGRESS,
            Reason.ROLLBACK_IN_PROGRESS,
            id="a rollback",
        ),
        pytest.param(
            RolloutKind.DEPLOY, True, S.PENDING, Reason.ROLLOUT_IN_PROGRESS, id="R7 while paused"
        ),
    ],
)
def test_how_a_rollout_begins(
    *,
    kind: RolloutKind,
    pending: bool,
    status: RolloutStatus,
    reason: Reason,
) -> None:
    begun = begin(3, kind, START, pending=pending, failed_revision=4, healthy=2)
    stage = {
        RolloutKind.DEPLOY: LifecycleStage.PRE_SCALE_UP,
        RolloutKind.ROLLBACK: LifecycleStage.SCALE_UP,
    }
    assert begun == rollout(
        3,
        status,
        kind,
        failed_revision=4,
        reason=reason,
        healthy_high_water=2,
        paused_at=START if pending else None,
        lifecycle_stage=stage[kind],
    )


def test_a_rollout_begins_with_nothing_failed_and_nothing_healthy() -> None:
    begun = begin(1, RolloutKind.DEPLOY, START)
    assert begun == rollout(1, lifecycle_stage=LifecycleStage.PRE_SCALE_UP)
    assert (begun.failed_revision, begun.healthy_high_water, begun.finished_at) == (None, 0, None)
