"""Rules K1, C4 and E1: hooks that a person answers with the plugin, and a rollout that completes early."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import OwnCluster
from tests.e2e.namespace import Namespace, Object, guarded, revision, rollout
from tripswitch.api.times import parse_instant

BOTH = {"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP", "POST_SCALE_UP"]}
BAKE_SECONDS = 60.0
LATE_SECONDS = 20.0
"""Much less than a hook would have if a restart began its minute anew."""
A_MINUTE = {"timeoutInMinutes": 1, "action": "ROLLBACK"}


def hooks(*wanted: Object) -> Object:
    return {"lifecycleHooks": list(wanted)}


def early(percent: int, cleanup: str = "BLOCKING") -> Object:
    criteria = {"healthyPercent": percent, "sourceServiceRevisionCleanup": cleanup}
    return {"minimumHealthyPercent": 50, "earlySuccessCriteria": criteria}


def waiting(status: Object) -> list[Object]:
    found = status["rollout"].get("hooks", [])
    return [hook for hook in found if hook["status"] == "AWAITING_ACTION"]


def running(status: Object) -> dict[int, int]:
    """Return how many pods run of each revision that has any."""
    return {one["revision"]: one["running"] for one in status["revisions"] if one["running"]}


def waits_at(stage: str, status: Object) -> bool:
    return [hook["lifecycleStage"] for hook in waiting(status)] == [stage]


def count_events(world: Namespace, reason: str) -> int:
    return [one for one, _ in world.events()].count(reason)


def instant(text: str) -> float:
    found = parse_instant(text)
    assert found is not None, text
    return found


def test_k1_a_person_lets_a_rollout_go_on_at_both_stages(world: Namespace, tmp_path: Path) -> None:
    """The example of the how-to, with the plugin."""
    plugin = world.plugin(tmp_path / "user")
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", configuration=hooks(BOTH)))
    status = world.until(lambda status: waits_at("PRE_SCALE_UP", status))
    (hook,) = waiting(status)
    assert status["rollout"]["lifecycleStage"] == "PRE_SCALE_UP"
    assert hook["hookId"] in world.until_event("HOOK_AWAITING_ACTION")
    assert running(status) == {1: 4}
    assert f"hook {hook['hookId']}" in plugin("tripswitch", "status", "web")
    assert "continues the rollout" in plugin("tripswitch", "continue", "web")
    status = world.until(lambda status: waits_at("POST_SCALE_UP", status))
    assert running(status) == {2: 4}
    assert status["lastCompletedRevision"] == 1
    assert "continues the rollout" in plugin("tripswitch", "continue", "web")
    status = world.until_rollout("SUCCESSFUL")
    assert status["lastCompletedRevision"] == 2
    assert [one["status"] for one in status["rollout"]["hooks"]] == ["SUCCEEDED", "SUCCEEDED"]


def test_c4_a_person_rolls_back_at_a_hook(world: Namespace, tmp_path: Path) -> None:
    plugin = world.plugin(tmp_path / "user")
    world.completed(guarded(image="web:1"))
    late = {**BOTH, "lifecycleStages": ["POST_SCALE_UP"]}
    world.apply(guarded(image="web:2", configuration=hooks(late)))
    world.until(lambda status: waits_at("POST_SCALE_UP", status))
    plugin("tripswitch", "continue", "web", "--rollback")
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert revision(status, 2)["rolloutState"] == "STOPPED"
    assert "a person answered its hook (ROLLBACK)" in revision(status, 2)["reason"]
    assert running(status) == {1: 4}
    world.until_event("HOOK_FAILED")
    world.until_event("RolloutStopped")


def test_k1_a_time_out_survives_a_restart_of_the_operator(own: OwnCluster) -> None:
    """Its time passes while no operator runs; the next one rolls back."""
    world = own.world
    world.completed(guarded(image="web:1"))
    soon = {**BOTH, "timeoutConfiguration": A_MINUTE}
    world.apply(guarded(image="web:2", configuration=hooks(soon)))
    status = world.until(lambda status: waits_at("PRE_SCALE_UP", status))
    (hook,) = waiting(status)
    own.operator.kill()
    own.operator.start()
    status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=180)
    assert "its hook was not answered in time" in revision(status, 2)["reason"]
    late = instant(revision(status, 2)["finishedAt"]) - instant(hook["expiresAt"])
    assert 0 <= late < LATE_SECONDS, "the restart did not begin its time anew"
    assert hook["hookId"] in world.until_event("HOOK_TIMED_OUT")
    assert running(status) == {1: 4}


def test_k1_a3_hooks_come_before_the_bake_and_both_survive_restarts(
    own: OwnCluster, tmp_path: Path
) -> None:
    """A restart while a hook waits, and one in the bake: neither is asked for or begun again."""
    world, plugin = own.world, own.world.plugin(tmp_path / "user")
    world.completed(guarded(image="web:1"))
    wanted = {**hooks(BOTH), "bakeTimeInMinutes": 1}
    world.apply(guarded(image="web:2", configuration=wanted))
    status = world.until(lambda status: waits_at("PRE_SCALE_UP", status))
    assert running(status) == {1: 4}
    plugin("tripswitch", "continue", "web")
    status = world.until(lambda status: waits_at("POST_SCALE_UP", status))
    assert (running(status), "bake" in status["rollout"]) == ({2: 4}, False)
    (asked,) = waiting(status)
    world.until_true(lambda: count_events(world, "HOOK_AWAITING_ACTION") == 2)
    own.operator.kill()
    own.operator.start()
    plugin("tripswitch", "continue", "web")
    status = world.until(lambda status: "bakeEndsAt" in status["rollout"])
    world.until_event("BakeStarted")
    began = instant(status["rollout"]["bake"]["since"])
    assert began >= instant(asked["startedAt"])
    assert status["rollout"]["lifecycleStage"] == "BAKE_TIME"
    assert status["lastCompletedRevision"] == 1
    own.operator.kill()
    own.operator.start()
    status = world.until_rollout("SUCCESSFUL", seconds=180)
    assert instant(status["rollout"]["finishedAt"]) - began >= BAKE_SECONDS
    assert [one["status"] for one in status["rollout"]["hooks"]] == ["SUCCEEDED", "SUCCEEDED"]
    assert status["lastCompletedRevision"] == 2
    assert count_events(world, "HOOK_AWAITING_ACTION") == 2
    assert count_events(world, "BakeStarted") == 1


def test_e1_a_rollout_completes_early_and_the_rest_follows(world: Namespace) -> None:
    """A quota lets three of four pods come; when it is lifted, the fourth follows."""
    quota: Any = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}
    world.core.create_namespaced_resource_quota(world.namespace, quota)
    status = world.completed(guarded(configuration=early(75)))
    assert status["rolloutState"] == "COMPLETED"
    assert "3 of 4 pods healthy" in status["rolloutStateReason"]
    assert "are enough (healthyPercent 75)" in world.until_event("RolloutCompleted")
    world.core.delete_namespaced_resource_quota("few", world.namespace)
    status = world.until(lambda status: status["availableReplicas"] == 4, seconds=150)
    assert rollout(status) == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (early(49), "must not be less than minimumHealthyPercent"),
        ({"earlySuccessCriteria": {"healthyPercent": 90}}, "are required"),
        (
            {**early(90), "minimumHealthyPercent": None},
            "must not be less than minimumHealthyPercent",
        ),
        (hooks({**BOTH, "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}), "supported values"),
        (hooks({**BOTH, "targetType": "AWS_LAMBDA"}), "supported values"),
        (hooks({**BOTH, "lifecycleStages": []}), "at least 1 items"),
        (hooks({**BOTH, "timeoutConfiguration": {"timeoutInMinutes": 0}}), "greater than or equal"),
        (hooks(*[BOTH] * 11), "at most 10 items"),
    ],
)
def test_what_cannot_be_done_is_refused(
    world: Namespace, configuration: Object, words: str
) -> None:
    manifest = guarded(configuration=configuration)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        world.kubectl("apply", "--filename", "-", stdin=json.dumps(manifest))
    assert words in str(refused.value.stderr)


def test_criteria_that_are_switched_off_are_not_checked(world: Namespace) -> None:
    off = {"earlySuccessCriteria": {"enable": False}}
    world.apply(guarded(configuration=off))
    assert world.completed(guarded(configuration=off))["rolloutState"] == "COMPLETED"
