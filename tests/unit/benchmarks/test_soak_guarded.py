"""The soak's second opinion on workloads that are guarded in place, hooks and alarms finds what it is there to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.fleet import VERSION
from benchmarks.soak.endings import SETTLED_SECONDS, Endings
from benchmarks.soak.gates import Gates
from benchmarks.soak.guarded_recount import GuardedRecount, find_traces
from benchmarks.soak.subjects import MARK, Asked, Ledger, Role, Subject
from tests.unit.cluster.raws import ended, pod, ready_pod, waiting
from tools.cluster.behaviours import BEHAVIOUR

Object = dict[str, Any]
LATE = 10 * SETTLED_SECONDS


def ledger(role: Role = Role.DEPLOYMENT, behaviour: str | None = "crash", **more: Any) -> Ledger:
    """A workload that was given a good template, then another one."""
    asked = [Asked("1", None, 0), Asked("2", behaviour, LATE)]
    return {"web": Subject("web", "shop", role, asked=asked, **more)}


def workload(version: str, **more: Any) -> Object:
    annotations = {VERSION: version}
    template = {"metadata": {"annotations": annotations}}
    metadata = {"name": "web", "generation": int(version), "annotations": {}}
    return {"metadata": metadata, "spec": {"replicas": 2, "template": template, **more}}


def marked(version: str, behaviour: str = "") -> Object:
    annotations = {VERSION: version, **({BEHAVIOUR: behaviour} if behaviour else {})}
    labels = {"app": "web", "pod-template-hash": version, MARK: "deployment"}
    return {"labels": labels, "annotations": annotations}


def good(name: str, version: str = "1") -> Object:
    raw = ready_pod(name=name, uid=name)
    raw["metadata"] |= marked(version)
    return raw


def crashed(name: str, times: int = 1) -> Object:
    last = {"terminated": ended(2, "Error")}
    raw = pod(waiting("CrashLoopBackOff", lastState=last), name=name, uid=name)
    raw["status"]["containerStatuses"][0]["restartCount"] = times - 1
    raw["metadata"] |= marked("2", "crash")
    return raw


def breaker(rollout: str, counted: int, hold: str = "", **states: str) -> Object:
    revisions = [
        {"replicaSet": f"web-{name[1:]}", "rolloutState": state, "failedTasks": counted}
        for name, state in states.items()
    ]
    status: Object = {"targetGeneration": 2, "rollout": {"status": rollout}, "revisions": revisions}
    if hold:
        status["hold"] = {"failed": hold}
    return {"spec": {"targetRef": {"name": "web"}}, "status": status}


def tripped(known: Ledger, counted: int = 3) -> GuardedRecount:
    """Two good pods, then two of a bad revision that fail three times, and the trip."""
    recount = GuardedRecount(known)
    recount.see_workload("ADDED", workload("1"), 0)
    for name in ("a", "b"):
        recount.see_pod("ADDED", good(name), 0)
    recount.see_breaker("ADDED", breaker("SUCCESSFUL", 0, r1="COMPLETED"), 1)
    recount.see_workload("MODIFIED", workload("2", paused=True), LATE)
    recount.see_pod("ADDED", crashed("c", 2), LATE + 1)
    recount.see_pod("ADDED", crashed("d"), LATE + 2)
    recount.see_breaker("MODIFIED", breaker("ROLLBACK_SUCCESSFUL", counted, r2="FAILED"), LATE + 3)
    return recount


def test_a_trip_of_a_guarded_deployment_as_it_should_be_has_no_faults() -> None:
    assert tripped(ledger()).find_faults(60) == []


def complete_bad(recount: GuardedRecount) -> None:
    recount.see_breaker("MODIFIED", breaker("SUCCESSFUL", 3, r2="COMPLETED"), LATE + 4)


def fail_good(recount: GuardedRecount) -> None:
    recount.see_breaker("MODIFIED", breaker("FAILED", 0, r1="FAILED"), LATE + 4)


def hold_good(recount: GuardedRecount) -> None:
    recount.see_breaker("MODIFIED", breaker("FAILED", 0, hold="web-1", r1="COMPLETED"), LATE + 4)


def count_good(recount: GuardedRecount) -> None:
    recount.see_breaker("MODIFIED", breaker("IN_PROGRESS", 1, r1="COMPLETED"), LATE + 4)


def count_twice(recount: GuardedRecount) -> None:
    recount.see_breaker("MODIFIED", breaker("ROLLBACK_SUCCESSFUL", 4, r2="FAILED"), LATE + 4)


def forget_trip(recount: GuardedRecount) -> None:
    recount.workloads["web"].states["web-2"].clear()


def trip_late(recount: GuardedRecount) -> None:
    recount.workloads["web"].revisions["web-2"].failed = LATE + 63


def leave_paused(recount: GuardedRecount) -> None:
    recount.see_breaker("MODIFIED", breaker("SUCCESSFUL", 3, r2="FAILED"), LATE + 4)


@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        (complete_bad, "web: revision web-2 (crash) was COMPLETED"),
        (fail_good, "web: revision web-1 (good) was FAILED"),
        (hold_good, "web: revision web-1 (good) was FAILED"),
        (count_good, "web: revision web-1 (good) has 1 failures and none of its pods failed"),
        (count_twice, "web: revision web-2 (crash) was counted 4 times and failed 3 times"),
        (forget_trip, "web: revision web-2 (crash) reached the threshold and never tripped"),
        (trip_late, "web: revision web-2 (crash) reached the threshold and tripped too late"),
        (leave_paused, "web was not given back: paused"),
    ],
)
def test_faults_of_a_guard_are_found(lie: Callable[[GuardedRecount], None], fault: str) -> None:
    recount = tripped(ledger())
    lie(recount)
    assert fault in recount.find_faults(60)


def test_a_trip_before_the_threshold_is_found() -> None:
    recount = GuardedRecount(ledger())
    recount.see_workload("ADDED", workload("2"), 0)
    recount.see_pod("ADDED", crashed("c", 2), 1)
    recount.see_breaker("MODIFIED", breaker("FAILED", 2, r2="FAILED"), 2)
    assert recount.find_faults(60) == [
        "web: revision web-2 (crash) was FAILED before the threshold"
    ]


def test_traces_of_a_trip_are_named() -> None:
    raw = workload("1", updateStrategy={"rollingUpdate": {"partition": 1_000_000}})
    raw["metadata"]["annotations"] = {"tripswitch.dev/tripped": "2", "a": "b"}
    raw["status"] = {"conditions": [{"type": "Stalled"}]}
    assert find_traces(raw) == ["tripswitch.dev/tripped", "partition 1000000", "Stalled"]


def ended_with(known: Ledger, *pods: Object) -> Endings:
    """The first version was whole for long; then the second was asked for, and these pods are left."""
    endings = Endings(known)
    endings.see_workload("ADDED", workload("1"), 0)
    for name in ("a", "b"):
        endings.see_pod("ADDED", good(name), 1)
    endings.see_workload("MODIFIED", workload("2"), LATE)
    for name in ("a", "b"):
        endings.see_pod("DELETED", good(name), LATE + 1)
    for one in pods:
        endings.see_pod("ADDED", one, LATE + 2)
    return endings


BACK = [good("c", "1"), good("d", "1")]
ON = [good("c", "2"), good("d", "2")]


@pytest.mark.parametrize(
    ("behaviour", "pods", "status", "faults"),
    [
        pytest.param("crash", BACK, "ROLLBACK_SUCCESSFUL", [], id="back"),
        pytest.param(None, ON, "SUCCESSFUL", [], id="on"),
        pytest.param(
            "crash",
            BACK,
            "FAILED",
            ["web ended as FAILED after template 2 (crash)"],
            id="a completed revision and no way back",
        ),
        pytest.param(
            None,
            BACK,
            "ROLLBACK_SUCCESSFUL",
            ["web ended as ROLLBACK_SUCCESSFUL after template 2 (good)"],
            id="a good one is rolled back",
        ),
        pytest.param(
            None,
            BACK,
            "SUCCESSFUL",
            ["web ended with version 1 in place of 2"],
            id="SUCCESSFUL with the old pods",
        ),
        pytest.param(
            "crash",
            [good("c", "1"), crashed("d")],
            "ROLLBACK_SUCCESSFUL",
            ["web of 2 replicas ended with pods ['1', '2!']"],
            id="a pod is left",
        ),
        pytest.param(
            "crash", [], "", ["web ended as not looked at after template 2 (crash)"], id="nothing"
        ),
    ],
)
def test_the_end_of_each_workload_is_known_from_its_pods(
    behaviour: str | None, pods: list[Object], status: str, faults: list[str]
) -> None:
    endings = ended_with(ledger(behaviour=behaviour), *pods)
    assert endings.find_faults({"web": status}) == faults


def test_what_a_restart_may_have_interrupted_is_not_certain() -> None:
    known = ledger()
    endings = Endings(known)
    endings.see_workload("ADDED", workload("1"), 0)
    for name in ("a", "b"):
        endings.see_pod("ADDED", good(name), 1)
    endings.launched = LATE - 10
    endings.see_workload("MODIFIED", workload("2"), LATE)
    assert endings.find_faults({"web": "FAILED"}) == []


def test_a_lie_of_the_driver_about_one_action_is_found() -> None:
    """What breaks the whole soak when it is tried: a good template that the ledger calls bad."""
    endings = ended_with(ledger(behaviour=None), *ON)
    assert endings.find_faults({"web": "SUCCESSFUL"}) == []
    endings = ended_with(ledger(behaviour="crash"), *ON)
    assert endings.find_faults({"web": "SUCCESSFUL"}) != []


def guarded_by_hooks(answer: str = "CONTINUE") -> tuple[Gates, Asked]:
    """A hook before the first pod of version 2 waits."""
    known = ledger(Role.OWNED_HOOKS, None, stages=("PRE_SCALE_UP",))
    known["web"].asked[0].continued["PRE_SCALE_UP"] = 0
    gates = Gates(known)
    gates.see_replica_set(replica_set())
    raw = workload("2")
    hook = {"hookId": "h", "lifecycleStage": "PRE_SCALE_UP", "status": "AWAITING_ACTION"}
    raw["status"] = {"observedGeneration": 2, "rollout": {"hooks": [hook]}}
    (fresh,) = gates.see_hooks(raw)
    assert (fresh.version, fresh.stage) == ("2", "PRE_SCALE_UP")
    assert gates.see_hooks(raw) == []
    fresh.answer = answer
    return gates, known["web"].asked[1]


def replica_set() -> Object:
    owners = [{"uid": "gd", "name": "web", "controller": True}]
    metadata = {"name": "web-2", "ownerReferences": owners}
    return {"metadata": metadata, "spec": {"template": {"metadata": marked("2")}}}


def completed(gates: Gates, at: float) -> None:
    revisions = [{"replicaSet": "web-2", "rolloutState": "COMPLETED", "revision": 2}]
    gates.see_status("web", {"revisions": revisions}, at)


def test_a_pod_before_the_answer_and_a_completion_without_it_are_found() -> None:
    gates, asked = guarded_by_hooks()
    gates.see_pod(good("c", "2"))
    completed(gates, LATE)
    assert gates.find_faults() == [
        "web: template 2 had pods before its hook was answered",
        "web: template 2 was COMPLETED before its hooks were answered",
    ]
    asked.continued["PRE_SCALE_UP"] = 0
    assert gates.find_faults() == []


def test_a_completion_after_the_answer_rollback_is_found() -> None:
    gates, asked = guarded_by_hooks("ROLLBACK")
    asked.continued["PRE_SCALE_UP"], asked.stopped = 0, LATE
    completed(gates, LATE + 1)
    assert gates.find_faults() == [
        "web: template 2 was COMPLETED and its hook was answered ROLLBACK"
    ]


def test_a_hook_with_the_effect_of_the_other_answer_is_found() -> None:
    gates, _ = guarded_by_hooks("CONTINUE")
    gates.hooks["h"].ends.add("FAILED")
    assert gates.find_faults() == [
        "web: hook h at PRE_SCALE_UP is FAILED and was answered CONTINUE"
    ]


def test_a_completion_although_the_alarm_had_fired_is_found() -> None:
    known = ledger(Role.OWNED_ALARMS, None)
    gates = Gates(known)
    gates.see_replica_set(replica_set())
    completed(gates, LATE)
    assert gates.find_faults() == []
    known["web"].asked[1].fired.append(LATE - 10)
    assert gates.find_faults() == ["web: template 2 was COMPLETED although its alarm had fired"]
