"""Rules P1 and P2: how long a rollout may go without one more healthy pod."""

from __future__ import annotations

import pytest

from tests.support.builders import guarded, ready_pods, replica_set, spec, template
from tests.support.manual_cluster import ManualCluster, completed
from tripswitch.domain.rules.progress_deadline import compute_progress_deadline
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.workload import Readiness, Template

PROBED, BARE = Readiness(True, 31.0), Readiness()


@pytest.mark.parametrize(
    ("given", "min_ready", "readiness", "seconds"),
    [
        pytest.param(None, None, PROBED, 600, id="not given"),
        pytest.param(None, None, BARE, 600, id="not given, no probe"),
        pytest.param(None, None, Readiness(True, 31.0, startup=508.0), 600, id="a startup probe"),
        pytest.param(None, None, Readiness(True, 31.0, startup=510.0), 601, id="a longer one"),
        pytest.param(None, None, Readiness(True, 31.5, startup=1201.0), 1293, id="20 minutes"),
        pytest.param(None, None, Readiness(True, 900.0), 960, id="a readiness probe of 15 min"),
        pytest.param(600, None, Readiness(True, 31.0, startup=1201.0), 600, id="600 is 600"),
        pytest.param(0, None, PROBED, 0, id="never"),
        pytest.param(0, 900, PROBED, 0, id="never, whatever pods have to prove"),
        pytest.param(600, 599, PROBED, 600, id="less than the deadline"),
        pytest.param(600, 600, PROBED, 1200, id="as long as the deadline (P2)"),
        pytest.param(600, 900, PROBED, 1500, id="longer than the deadline (P2)"),
        pytest.param(None, 900, PROBED, 1500, id="longer than the default (P2)"),
        pytest.param(40, None, BARE, 80, id="the 40 s without a probe count, too (P2)"),
        pytest.param(41, None, BARE, 41, id="one second more than those"),
        pytest.param(40, None, PROBED, 40, id="with probes they do not"),
        pytest.param(10, None, PROBED, 20, id="the 10 s of the first pod count (P2)"),
        pytest.param(11, None, PROBED, 11, id="one second more than that"),
        pytest.param(2, 0, BARE, 2, id="pods that need not prove anything"),
    ],
)
def test_p1_p2_the_progress_deadline(
    given: int | None, min_ready: int | None, readiness: Readiness, seconds: int
) -> None:
    wish = spec(progress_deadline=given, min_ready_seconds=min_ready)
    assert compute_progress_deadline(wish, readiness) == seconds


def test_p2_a_good_revision_is_not_rolled_back_for_a_deadline_that_it_cannot_meet() -> None:
    """Stored before the CRD refused it: Ready for 597 s of 900 when 600 s have passed."""
    world = completed().settle(900.0).want(min_ready_seconds=900, progress_deadline=600)
    world.apply("v2").settle(1.0)
    world.heal("v2")
    assert world.settle(899.0).state() is RolloutStatus.IN_PROGRESS
    assert world.settle(1.0).state() is RolloutStatus.SUCCESSFUL


def test_p1_a_rollback_has_the_time_that_its_own_target_needs() -> None:
    slow = Template("v1", ("shop:v1",), Readiness(True, 31.0, startup=1201.0))
    wish = guarded(1, slow)
    world = ManualCluster(guarded=wish)
    rs = replica_set(1, *ready_pods(1), of=slow)
    world.replica_sets[rs.name] = rs
    world.settle()
    assert world.state() is RolloutStatus.SUCCESSFUL
    world.want(template=template("v2")).settle(1.0)
    world.delete_pods(rs.name)
    world.crash("v2", runs=3).settle()
    assert world.settle(1291.0).state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    assert world.settle(1.0).state() is RolloutStatus.ROLLBACK_FAILED


def test_p1_the_message_says_the_seconds() -> None:
    world = completed(2).apply("v2").settle(1.0)
    world.settle(600.0)
    assert "no progress for 600 s" in world.rollout.message
