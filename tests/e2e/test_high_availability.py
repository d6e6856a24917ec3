"""Two replicas, one Lease: who acts when the other is killed, stopped, paused or cut off.

What happened is read from the API server's own audit log and from the Lease, not from a stop watch.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.namespace import guarded, revision, rollout
from tests.e2e.replicas import Fleet, assert_one_at_a_time, run_fleet
from tools.operator_process import OperatorProcess
from tripswitch.cluster.leader_election.rules import Terms
from tripswitch.domain.values.sight import REPORT_SECONDS

TERMS = Terms()
PROMISED = 15.0
"""Seconds within which a standby takes over when a leader dies."""
PUT_OFF = PROMISED + REPORT_SECONDS + 20
"""Time in which nobody led, and kubelets may still report, puts a time-out off (V2); in seconds, with some to spare."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A cluster of its own, without an operator yet."""
    with run_fleet(tmp_path) as fleet:
        yield fleet


@pytest.fixture
def pair(fleet: Fleet) -> tuple[OperatorProcess, OperatorProcess]:
    """One that leads and one that stands by, both ready."""
    one = fleet.start("one")
    fleet.until_leads("one")
    two = fleet.start("two")
    assert fleet.holder() == "one"
    return one, two


def instant(value: Any) -> float:
    return datetime.fromisoformat(value).timestamp()


def leads(operator: OperatorProcess) -> bool:
    return "\ntripswitch_leader 1.0\n" in operator.metrics()


def test_of_three_that_start_at_once_one_leads_and_the_others_are_ready(fleet: Fleet) -> None:
    operators = fleet.start_all(["one", "two", "three"])
    fleet.world.completed(guarded(replicas=2))
    assert [leads(operator) for operator in operators].count(True) == 1
    assert all(operator.is_ready() for operator in operators)
    assert assert_one_at_a_time(fleet) == [fleet.holder()]
    assert fleet.lease()["leaseTransitions"] == 0


def test_a_standby_takes_over_when_the_leader_is_killed_and_loses_nothing(
    fleet: Fleet, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    """F7 across a change of leader: failures counted by the first are not counted again."""
    one, two = pair
    fleet.world.completed(guarded(replicas=1))
    fleet.world.apply(guarded(replicas=1, behaviour="crash"))
    fleet.world.until(partial(_has_counted, 1))
    one.kill()
    left = fleet.lease()
    counted = fleet.world.status()["circuitBreaker"]["failureCount"]
    status = fleet.world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert revision(status, 2)["failedTasks"] == 3
    assert counted in (1, 2), "it was killed in the middle"
    taken = fleet.lease()
    assert fleet.holder() == "two"
    assert taken["leaseTransitions"] == left["leaseTransitions"] + 1
    waited = instant(taken["acquireTime"]) - instant(left["renewTime"])
    assert waited >= TERMS.duration - 0.1, "taken while the first might still have acted"
    last = max(write.at for write in fleet.writes(leases=True) if write.by == "one")
    first = min(write.at for write in fleet.writes(leases=True) if write.by == "two")
    assert first - last < PROMISED
    assert leads(two)
    assert assert_one_at_a_time(fleet) == ["one", "two"]


def test_k1_a3_a_hook_and_a_bake_go_on_where_the_leader_before_left_them(
    fleet: Fleet, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    """The first leader is killed while a hook waits, the second one in the bake that follows."""
    one, two = pair
    world = fleet.world
    world.completed(guarded(replicas=1))
    hook = {
        "targetType": "PAUSE",
        "lifecycleStages": ["POST_SCALE_UP"],
        "timeoutConfiguration": {"timeoutInMinutes": 1, "action": "CONTINUE"},
    }
    wanted = {"lifecycleHooks": [hook], "bakeTimeInMinutes": 60}
    world.apply(guarded(replicas=1, image="web:2", configuration=wanted))
    (asked,) = world.until(lambda status: "hooks" in status["rollout"])["rollout"]["hooks"]
    one.kill()
    fleet.until_leads("two")
    status = world.until(lambda status: "bakeEndsAt" in status["rollout"], seconds=180)
    (ended,) = status["rollout"]["hooks"]
    assert (ended["hookId"], ended["status"]) == (asked["hookId"], "TIMED_OUT")
    began = instant(status["rollout"]["bake"]["since"])
    assert instant(asked["expiresAt"]) <= began < instant(asked["expiresAt"]) + PUT_OFF
    fleet.start("three")
    two.kill()
    left = fleet.lease()
    status = world.until(lambda status: "heldAt" in status["rollout"].get("bake", {}))
    bake = status["rollout"]["bake"]
    assert (instant(bake["since"]), "bakeEndsAt" in status["rollout"]) == (began, False)
    assert instant(bake["heldAt"]) == pytest.approx(max(began, instant(left["renewTime"])), abs=1)
    status = world.until(lambda status: "bakeEndsAt" in status["rollout"])
    seen = instant(bake["heldAt"]) - began
    resumed = instant(status["rollout"]["bake"]["since"]) + seen
    assert resumed - instant(fleet.lease()["acquireTime"]) == pytest.approx(REPORT_SECONDS, abs=10)


def test_a_leader_that_is_told_to_stop_hands_over_at_once_and_after_its_last_write(
    fleet: Fleet, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    one, _ = pair
    for number in range(10):
        fleet.world.apply(guarded(f"web-{number}", replicas=3))
    one.stop()
    released = [write for write in fleet.writes(leases=True) if write.by == "one"][-1]
    fleet.until_leads("two")
    for number in range(10):
        fleet.world.until_rollout("SUCCESSFUL", f"web-{number}")
    taken = min(write.at for write in fleet.writes(leases=True) if write.by == "two")
    assert released.at < taken < released.at + TERMS.renew_deadline, (
        "it waited for the lease to expire"
    )
    assert max(write.at for write in fleet.writes() if write.by == "one") < released.at
    assert assert_one_at_a_time(fleet) == ["one", "two"]


def test_a_leader_that_was_paused_does_no_harm_when_it_goes_on(
    fleet: Fleet, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    """SIGSTOP in the middle of much work; another leads; SIGCONT: it ends before it writes."""
    one, _ = pair
    for number in range(12):
        fleet.world.apply(guarded(f"web-{number}", replicas=3))
    fleet.world.until_true(lambda: len(fleet.writes()) >= 6)
    one.pause()
    fleet.until_leads("two")
    for number in range(12):
        fleet.world.completed(guarded(f"web-{number}", replicas=3, image="web:2"))
    before = len(fleet.attempts())
    one.resume()
    assert one.wait(60) == 1
    late = [write for write in fleet.attempts()[before:] if write.by == "one"]
    assert all(write.code in (404, 409) for write in late), late
    assert fleet.holder() == "two"
    assert_one_at_a_time(fleet)
    for number in range(12):
        assert rollout(fleet.world.status(f"web-{number}")) == "SUCCESSFUL"


@pytest.mark.parametrize("cut", ["freeze", "close"])
def test_a_leader_that_is_cut_off_ends_before_anybody_else_may_begin(
    fleet: Fleet, pair: tuple[OperatorProcess, OperatorProcess], cut: str
) -> None:
    """A partition (nothing is answered) and a broken network (connections are refused)."""
    one, _ = pair
    fleet.world.apply(guarded(replicas=2))
    fleet.world.until_rollout("SUCCESSFUL")
    getattr(fleet.proxies["one"], cut)()
    fleet.world.apply(guarded(replicas=2, image="web:2"))
    assert one.wait(60) == 1
    assert fleet.holder() == "one", "another led before it had ended"
    fleet.until_leads("two")
    fleet.world.until(lambda status: status["desiredRevision"] == 2)
    fleet.world.until_rollout("SUCCESSFUL")
    if cut == "freeze":
        fleet.proxies["one"].thaw()
    assert assert_one_at_a_time(fleet) == ["one", "two"]


def test_a_standby_that_is_cut_off_stays_and_takes_over_when_it_is_needed(
    fleet: Fleet, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    one, two = pair
    fleet.world.completed(guarded(replicas=1))
    fleet.proxies["two"].freeze()
    one.kill()
    fleet.proxies["two"].thaw()
    fleet.until_leads("two")
    fleet.world.completed(guarded(replicas=1, image="web:2"))
    assert two.is_ready()
    assert assert_one_at_a_time(fleet) == ["one", "two"]


def _has_counted(count: int, status: dict[str, Any]) -> bool:
    return bool(status["circuitBreaker"]["failureCount"] >= count)
