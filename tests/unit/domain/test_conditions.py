"""The conditions, as kstatus, Helm, Flux and Argo CD read them; and rule B7."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import START, rollout
from tripswitch.domain.rules.conditions import Facts, compute_conditions, is_ready
from tripswitch.domain.values.report import Condition
from tripswitch.domain.values.states import Reason, RolloutState, RolloutStatus

S, D = RolloutStatus, RolloutState
LATER = START + 60

DONE = Facts(
    rollout=rollout(status=S.SUCCESSFUL, reason=Reason.ROLLOUT_COMPLETED),
    desired_state=D.COMPLETED,
    healthy=4,
    replicas=4,
    needed=4,
    explanation="revision 1 completed",
)
GOING = replace(
    DONE,
    rollout=rollout(status=S.IN_PROGRESS),
    desired_state=D.IN_PROGRESS,
    explanation="rolling out",
)
BACK = replace(
    DONE,
    rollout=rollout(status=S.ROLLBACK_IN_PROGRESS, reason=Reason.ROLLBACK_IN_PROGRESS),
    desired_state=D.FAILED,
    explanation="rolling back",
)
ROLLED_BACK = replace(
    DONE,
    rollout=rollout(status=S.ROLLBACK_SUCCESSFUL, reason=Reason.ROLLBACK_COMPLETED),
    desired_state=D.FAILED,
    explanation="rolled back",
)
FAILED = replace(
    DONE,
    rollout=rollout(status=S.FAILED, reason=Reason.NO_COMPLETED_REVISION),
    desired_state=D.FAILED,
    explanation="stalled",
)


def look(facts: Facts, *before: Condition) -> dict[str, Condition]:
    states = tuple(condition.state for condition in before)
    return {c.type: c for c in compute_conditions(facts, states, LATER)}


def shown(facts: Facts) -> dict[str, bool]:
    return {kind: condition.status for kind, condition in look(facts).items()}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(
            DONE, {"Available": True, "Progressing": True, "Ready": True}, id="after success"
        ),
        pytest.param(
            GOING,
            {"Available": True, "Progressing": True, "Ready": False, "Reconciling": True},
            id="a rollout goes on",
        ),
        pytest.param(
            replace(GOING, healthy=3),
            {"Available": False, "Progressing": True, "Ready": False, "Reconciling": True},
            id="a rollout goes on with too few healthy pods",
        ),
        pytest.param(
            replace(GOING, rollout=rollout(status=S.PENDING), paused=True),
            {"Available": True, "Progressing": False, "Ready": False, "Reconciling": True},
            id="R7 it waits for the end of a pause",
        ),
        pytest.param(
            BACK,
            {
                "Available": True,
                "Progressing": True,
                "Ready": False,
                "Stalled": True,
            },
            id="B7 a rollback in progress already is a failure",
        ),
        pytest.param(
            ROLLED_BACK,
            {"Available": True, "Progressing": True, "Ready": False, "Stalled": True},
            id="B7 a finished rollback is no success, and Available",
        ),
        pytest.param(
            FAILED,
            {"Available": True, "Progressing": False, "Ready": False, "Stalled": True},
            id="B3 stalled",
        ),
        pytest.param(
            replace(FAILED, rollout=rollout(status=S.STOPPED), desired_state=D.STOPPED),
            {"Available": True, "Progressing": False, "Ready": False, "Stalled": True},
            id="C2 stopped by a person",
        ),
        pytest.param(
            replace(FAILED, rollout=rollout(status=S.ROLLBACK_FAILED)),
            {"Available": True, "Progressing": False, "Ready": False, "Stalled": True},
            id="B5 the rollback failed",
        ),
        pytest.param(
            replace(FAILED, rollout=rollout(status=S.ROLLBACK_FAILED), desired_state=D.COMPLETED),
            {"Available": True, "Progressing": False, "Ready": True, "Stalled": True},
            id="whatever is wanted, a stalled rollout shows",
        ),
        pytest.param(
            replace(ROLLED_BACK, desired_state=D.COMPLETED),
            {"Available": True, "Progressing": True, "Ready": True},
            id="B6 the old template was put back",
        ),
        pytest.param(
            replace(DONE, healthy=3),
            {"Available": False, "Progressing": True, "Ready": False},
            id="a completed revision loses a pod",
        ),
    ],
)
def test_which_conditions_are_shown(facts: Facts, expected: dict[str, bool]) -> None:
    assert shown(facts) == expected
    assert list(shown(facts)) == list(expected)


@pytest.mark.parametrize("facts", [DONE, GOING, BACK, ROLLED_BACK, FAILED])
@pytest.mark.parametrize("refused", ["", "invalid"])
@pytest.mark.parametrize("paused", [False, True])
def test_stalled_and_reconciling_are_never_both_true(
    facts: Facts, refused: str, *, paused: bool
) -> None:
    """kstatus reads the first as a failure and the second as "wait": only one can be meant."""
    found = shown(replace(facts, refused=refused, paused=paused))
    assert not {"Stalled", "Reconciling"} <= found.keys()


@pytest.mark.parametrize(
    ("facts", "reason", "message"),
    [
        pytest.param(
            replace(GOING, refused="no", paused=True, blocked="b", late="l"),
            Reason.REPLICA_SET_CREATE_ERROR,
            "no",
            id="the ReplicaSet is refused, paused or not",
        ),
        pytest.param(
            replace(GOING, paused=True, blocked="b", late="l"),
            Reason.PAUSED,
            "the rollout is paused",
            id="R7 paused",
        ),
        pytest.param(
            replace(GOING, blocked="exceeded quota", late="l"),
            Reason.REPLICA_SET_CREATE_ERROR,
            "exceeded quota",
            id="F5 the ReplicaSet cannot create pods",
        ),
        pytest.param(
            replace(GOING, late="0 of 4 pods healthy"),
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            "0 of 4 pods healthy",
            id="P1 late with the breaker disabled",
        ),
    ],
)
def test_what_holds_up_an_open_rollout(facts: Facts, reason: Reason, message: str) -> None:
    found = look(facts)
    open_as = "Stalled" if facts.refused else "Reconciling"
    for kind in ("Progressing", "Ready", open_as):
        assert (found[kind].reason, found[kind].message) == (reason, message)
    assert found["Progressing"].status is False
    assert not found["Ready"].status
    assert found[open_as].status


def test_a_refused_replica_set_stalls_because_nothing_will_change_by_itself() -> None:
    found = look(replace(GOING, refused="invalid"))
    assert found["Stalled"] == Condition(
        "Stalled", True, Reason.REPLICA_SET_CREATE_ERROR, "invalid", LATER
    )
    assert "Stalled" not in look(replace(GOING, blocked="exceeded quota"))


def test_what_was_in_the_way_is_of_no_interest_once_the_rollout_is_over() -> None:
    hindered = replace(DONE, refused="r", paused=True, blocked="b", late="l")
    assert look(hindered) == look(DONE)


def test_the_sentences_are_those_of_the_rollout() -> None:
    found = look(FAILED)
    for kind in ("Progressing", "Ready", "Stalled"):
        assert found[kind].reason is Reason.NO_COMPLETED_REVISION
        assert found[kind].message == "stalled"
    done = look(DONE)
    for kind in ("Progressing", "Ready"):
        assert done[kind].reason is Reason.ROLLOUT_COMPLETED
        assert done[kind].message == "revision 1 completed"


@pytest.mark.parametrize(
    ("healthy", "status", "reason"),
    [
        pytest.param(5, True, Reason.MINIMUM_HEALTHY, id="more than L"),
        pytest.param(4, True, Reason.MINIMUM_HEALTHY, id="L"),
        pytest.param(3, False, Reason.BELOW_MINIMUM_HEALTHY, id="fewer than L"),
    ],
)
def test_available_means_at_least_l_healthy_pods(
    *, healthy: int, status: bool, reason: Reason
) -> None:
    found = look(replace(DONE, healthy=healthy, replicas=6))["Available"]
    assert (found.status, found.reason) == (status, reason)
    assert found.message == f"{healthy} of 6 pods are healthy, at least 4 needed"


def test_a_completed_revision_without_enough_pods_is_not_ready_for_that_reason() -> None:
    found = look(replace(DONE, healthy=3))
    assert found["Ready"] == replace(found["Available"], type="Ready")


@pytest.mark.parametrize(
    ("facts", "ready"),
    [
        pytest.param(DONE, True, id="completed and available"),
        pytest.param(replace(DONE, healthy=3), False, id="completed, not available"),
        pytest.param(GOING, False, id="in progress"),
        pytest.param(ROLLED_BACK, False, id="B7 rolled back"),
    ],
)
def test_ready_means_completed_and_available(*, facts: Facts, ready: bool) -> None:
    assert is_ready(facts) is ready


# --- transition times -----------------------------------------------------------------------------


def test_a_transition_time_changes_only_with_the_status() -> None:
    before = compute_conditions(replace(GOING, healthy=3), (), START)
    assert {c.last_transition_time for c in before} == {START}
    after = look(replace(GOING, explanation="other words"), *before)
    assert after["Available"].last_transition_time == LATER  # False -> True
    assert after["Progressing"].last_transition_time == START
    assert after["Progressing"].message == "other words"
    assert after["Ready"].last_transition_time == START


def test_a_condition_that_appears_begins_now() -> None:
    before = compute_conditions(DONE, (), START)
    after = look(FAILED, *before)
    assert after["Stalled"].last_transition_time == LATER
    assert after["Ready"].last_transition_time == LATER
    assert after["Available"].last_transition_time == START


def test_w3_the_same_facts_later_give_the_same_conditions() -> None:
    for facts in (DONE, GOING, BACK, ROLLED_BACK, FAILED):
        before = compute_conditions(facts, (), START)
        assert compute_conditions(facts, tuple(c.state for c in before), LATER) == before
