"""Rule F10 as stories: a rollback whose cause is outside of its pods is not given up for good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import breaker_spec, crashing_pod, pod, running, stuck_pod, waiting
from tests.support.manual_cluster import ManualCluster, completed
from tripswitch.domain.rules.failure_reasons import PULLS
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.pods import ContainerRole
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.workload import Percentages, PolicyRule

S = RolloutStatus
HALF_IN_PLACE = Percentages(50, 100)
SIDECAR = ContainerRole.SIDECAR
CONFIG = "CreateContainerConfigError"


def going_back(**fields: Any) -> ManualCluster:
    """Revision 2 tripped; revision 1 is on its way back, and two of its four pods are new."""
    world = completed(**{"strategy": HALF_IN_PLACE, **fields}).apply("v2").settle(1.0)
    world.crash("v2", runs=2).settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    return world


def failed_for_config() -> ManualCluster:
    """The new pods of revision 1 lack a key of a ConfigMap, until the rollback has failed."""
    world = going_back()
    world.become("v1", lambda name, _: stuck_pod(name, CONFIG)).settle(1.0).settle(600.0)
    assert world.state() is S.ROLLBACK_FAILED
    return world


@pytest.mark.parametrize("reason", sorted(PULLS))
def test_f10_pulls_never_count_in_a_rollback(reason: str) -> None:
    world = going_back()
    world.become("v1", lambda name, _: stuck_pod(name, reason)).settle(1.0)
    world.settle(300.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.breaker().failure_count == 0
    world.settle(300.0)
    assert world.state() is S.ROLLBACK_FAILED
    assert reason in world.rollout.message


def test_f10_not_even_where_the_policy_says_so() -> None:
    now = PolicyRule(Verdict.FAIL_NOW, reasons=frozenset({"ErrImagePull"}))
    world = going_back(breaker=breaker_spec(policy=(now,)))
    world.become("v1", lambda name, _: stuck_pod(name, "ErrImagePull")).settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_f10_in_a_deploy_they_count() -> None:
    world = completed().apply("v2").settle(1.0)
    world.become("v2", lambda name, _: stuck_pod(name, "ErrImagePull")).settle()
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_f10_a_failed_rollback_keeps_pods_that_wait_for_something_outside_of_them() -> None:
    world = failed_for_config()
    assert world.settle(3600.0).sizes() == {"v1": 4}
    assert world.state() is S.ROLLBACK_FAILED
    stalled = world.condition("Stalled")
    assert stalled is not None
    assert stalled.status


def test_f10_it_is_whole_once_the_config_map_is_back() -> None:
    world = failed_for_config().settle(600.0)
    told = len(world.events)
    world.heal("v1").settle()
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.events[told:] == ["RollbackCompleted"]
    assert world.status.memory.last_completed_revision == 1
    assert world.rollout.message == world.record(2).message
    assert "container web exited 1" in world.status.report.rollout_state_reason
    available = world.condition("Available")
    assert available is not None
    assert available.status


def test_f10_a_pod_that_has_got_what_it_waited_for_is_not_taken_away_while_it_starts() -> None:
    """It runs some seconds before it is Ready: recorded on a real kubelet."""
    world = failed_for_config().settle(600.0)
    stuck = [p.name for p in world.replica_set("v1").pods if p.ready_since is None]
    world.become("v1", lambda name, now: pod(name, running(now))).look(1.0)
    assert world.sizes() == {"v1": 4}
    assert stuck == [p.name for p in world.replica_set("v1").pods if p.ready_since is None]
    world.heal("v1").settle()
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_f10_it_is_tried_again_when_one_more_pod_is_healthy() -> None:
    world = failed_for_config().settle(600.0)
    told = len(world.events)
    world.heal("v1", count=1).settle()
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.events[told:] == ["RollbackStarted"]
    assert world.rollout.failed_revision == 2
    world.heal("v1").settle(5.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.sizes() == {"v1": 4}


def test_f10_each_pod_tries_it_again_once() -> None:
    """What fails again, fails; no pod that comes and goes makes it try for ever."""
    world = failed_for_config()
    world.heal("v1", count=1).settle()
    world.settle(600.0)
    assert world.state() is S.ROLLBACK_FAILED
    found = world.replica_set("v1")
    ready = [p for p in found.pods if p.ready_since is not None]
    lost = tuple(
        replace(p, ready_since=None, unready_since=world.now) if p == ready[0] else p
        for p in found.pods
    )
    world.replica_sets[found.name] = replace(found, pods=lost)
    world.settle(1.0)
    world.replica_sets[found.name] = found
    assert world.settle(1.0).state() is S.ROLLBACK_FAILED


def test_f10_pods_that_crash_are_kept() -> None:
    """A database was away: every pod of the revision that has proved itself crashed, and none would come back."""
    world = going_back()
    found = world.replica_set("v1")
    pods = tuple(crashing_pod(one.name, 3) for one in found.pods)
    world.put(replace(found, pods=pods)).settle(1.0)
    assert world.state() is S.ROLLBACK_FAILED
    assert world.settle(3600.0).sizes() == {"v1": 4}
    world.heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.status.memory.last_completed_revision == 1


def test_f10_one_pod_that_crashed_is_kept_beside_those_that_serve() -> None:
    world = going_back()
    world.crash("v1", runs=2).settle(1.0)
    assert world.state() is S.ROLLBACK_FAILED
    assert world.sizes() == {"v1": 4}


def test_f10_a_pod_whose_sidecar_runs_waits_all_the_same() -> None:
    world = going_back()
    world.become(
        "v1", lambda name, now: pod(name, waiting(CONFIG), running(now, "mesh", role=SIDECAR))
    ).settle(600.0)
    assert world.state() is S.ROLLBACK_FAILED
    assert world.sizes() == {"v1": 4}


def test_f10_what_its_replica_set_could_not_make_is_still_asked_for() -> None:
    """A quota is raised: the ReplicaSet goes on by itself."""
    world = going_back()
    found = world.replica_set("v1")
    made = tuple(p for p in found.pods if p.ready_since is not None)
    world.replica_sets[found.name] = replace(found, pods=made, create_error="exceeded quota")
    world.look(600.0)
    assert world.state() is S.ROLLBACK_FAILED
    assert world.replica_set("v1").size == 4


def test_f10_a_rollback_that_was_aborted_stays_so() -> None:
    world = going_back().command(stop="1/ABORT").settle(1.0)
    assert world.state() is S.STOPPED
    world.heal("v1").settle(1.0)
    assert world.state() is S.STOPPED


def test_f10_nothing_happens_while_it_is_paused_or_scaled_to_zero() -> None:
    world = failed_for_config().want(paused=True).heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_FAILED
    assert world.want(paused=False).settle().state() is S.ROLLBACK_SUCCESSFUL
    assert failed_for_config().want(replicas=0).settle(1.0).state() is S.ROLLBACK_FAILED


def test_f10_a_replica_set_that_was_deleted_cannot_be_tried_again() -> None:
    world = failed_for_config().forget_replica_set("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_FAILED
