"""Raw pods become views: every signal of rule F5, the clocks, and anything else without raising."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cluster.raws import (
    T0,
    at,
    condition,
    ended,
    pod,
    ready_pod,
    running,
    unready_pod,
    waiting,
)
from tripswitch.cluster.pods import SeenPod, see_pod
from tripswitch.domain.rules.failures import count_failures
from tripswitch.domain.rules.health import Expectations
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Counted
from tripswitch.domain.values.pods import ContainerRole, Ended, PodPhase, PodView
from tripswitch.domain.values.sight import CURRENT
from tripswitch.domain.values.workload import Readiness

NOW = T0 + 1000.0
EXPECTED = Expectations(Readiness(), sight=CURRENT)
LATER = NOW + 10_000.0


def view_of(raw: object, before: SeenPod | None = None, now: float = NOW) -> PodView:
    return see_pod(raw, before, now).view


def crashed(exit_code: int, reason: str, **more: Any) -> dict[str, Any]:
    """A container in CrashLoopBackOff after one run."""
    return waiting(
        "CrashLoopBackOff",
        "back-off 10s restarting failed container",
        lastState={"terminated": ended(exit_code, reason)},
        **more,
    )


def device(health: str) -> list[dict[str, Any]]:
    """What a node says of the devices that a container was given (KEP-4680).

    By the kubelet's source (``UpdateAllocatedResourcesStatus`` of 1.36.3); it could not be recorded.
    """
    fine = {"name": "claim:net", "resources": [{"resourceID": "nic-0"}]}
    gpus = [{"resourceID": "gpu-0", "health": "Healthy"}, {"resourceID": "gpu-1", "health": health}]
    return [fine, {"name": "example.com/gpu", "resources": gpus}]


BROKEN, WELL = device("Unhealthy"), device("Healthy")
DISRUPTED = [condition("DisruptionTarget", "True", reason="EvictionByEvictionAPI")]
UNSCHEDULABLE = [
    condition("PodScheduled", "False", reason="Unschedulable", message="0/3 nodes are available")
]

F5 = [
    # launch failures by ended runs (F1)
    ("exit 2", pod(crashed(2, "Error")), [("Error", Verdict.COUNT)]),
    ("exit 0", pod(crashed(0, "Completed")), [("Completed", Verdict.COUNT)]),
    ("out of memory", pod(crashed(137, "OOMKilled")), [("OOMKilled", Verdict.COUNT)]),
    (
        "no such command",
        pod(
            waiting(
                "RunContainerError",
                'exec: "EXIT": executable file not found',
                lastState={"terminated": ended(128, "StartError")},
            )
        ),
        [("StartError", Verdict.COUNT)],
    ),
    (
        "cannot run",
        pod(crashed(127, "ContainerCannotRun")),
        [("ContainerCannotRun", Verdict.COUNT)],
    ),
    (
        "killed by a probe",
        pod(running(restartCount=1, lastState={"terminated": ended(137, "Error", signal=9)})),
        [("Error", Verdict.COUNT)],
    ),
    (
        "failed init container",
        pod(
            waiting("PodInitializing"),
            phase="Pending",
            initContainerStatuses=[crashed(1, "Error", name="setup")],
        ),
        [("Error", Verdict.COUNT)],
    ),
    # launch failures by waiting (F2)
    *(
        (reason, pod(waiting(reason, "words"), phase="Pending"), [(reason, Verdict.COUNT)])
        for reason in (
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "ErrImageNeverPull",
            "SignatureValidationFailed",
            "CreateContainerConfigError",
            "CreateContainerError",
        )
    ),
    (
        "a cache that is late",
        pod(
            waiting(
                "CreateContainerConfigError",
                "failed to sync configmap cache: timed out waiting for the condition",
            )
        ),
        [],
    ),
    # whole pods (F3)
    (
        "own storage limit",
        pod(phase="Failed", reason="Evicted", message="Pod ephemeral local storage usage exceeds"),
        [("Evicted", Verdict.COUNT)],
    ),
    (
        "deadline",
        pod(phase="Failed", reason="DeadlineExceeded"),
        [("DeadlineExceeded", Verdict.COUNT)],
    ),
    # nobody's fault
    ("drained", pod(crashed(143, "Error"), conditions=DISRUPTED), []),
    (
        "being deleted",
        pod(crashed(143, "Error"), metadata={"deletionTimestamp": at(5)}),
        [],
    ),
    (
        "preempted",
        pod(phase="Failed", reason="Preempting", conditions=DISRUPTED),
        [],
    ),
    *(
        (reason, pod(phase="Failed", reason=reason, message="words"), [(shown, Verdict.IGNORE)])
        for reason, shown in (
            ("NodeLost", "NodeLost"),
            ("Terminated", "Terminated"),
            ("OutOfcpu", "OutOfcpu"),
            ("OutOfmemory", "OutOfmemory"),
            ("OutOfpods", "OutOfpods"),
            ("OutOfexample.com/gpu", "OutOfResource"),
            ("NodeAffinity", "NodeAffinity"),
            ("UnexpectedAdmissionError", "UnexpectedAdmissionError"),
            ("TaintToleration", "TaintToleration"),
            ("NodePorts", "NodePorts"),
            ("NodeName", "NodeName"),
            ("InvalidNodeInfo", "InvalidNodeInfo"),
            ("UnknownReason", "UnknownReason"),
            ("UnexpectedPredicateFailureType", "UnexpectedPredicateFailureType"),
            ("SMTAlignmentError", "SMTAlignmentError"),
            ("PredicateOfTomorrow", "PodRejected"),
        )
    ),
    (
        "evicted for the node's sake",
        pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
        [("Evicted", Verdict.IGNORE)],
    ),
    *(
        (reason, pod(phase="Failed", reason=reason, message="words"), [(reason, Verdict.COUNT)])
        for reason in ("SysctlForbidden", "AppArmor", "PodOSNotSupported")
    ),
    (
        "the kubelet's own limit of pulls",
        pod(waiting("ErrImagePull", "pull QPS exceeded"), phase="Pending"),
        [],
    ),
    ("a broken device", pod(crashed(139, "Error", allocatedResourcesStatus=BROKEN)), []),
    (
        "a device that is well again",
        pod(crashed(139, "Error", allocatedResourcesStatus=WELL)),
        [("Error", Verdict.COUNT)],
    ),
    ("unschedulable", pod(phase="Pending", conditions=UNSCHEDULABLE), []),
    ("volumes", pod(waiting("ContainerCreating"), phase="Pending"), []),
    ("a reason of tomorrow", pod(waiting("QuantumDecoherence"), phase="Pending"), []),
]


def test_f8_a_back_off_of_an_older_kubelet_keeps_why_the_pull_failed() -> None:
    """Before Kubernetes 1.32 only ErrImagePull says it: a registry in trouble would count from the second look on."""

    def pulls(reason: str, message: str) -> dict[str, Any]:
        return pod(waiting(reason, message), phase="Pending")

    def wait_for(*looks: tuple[str, str]) -> str:
        seen: SeenPod | None = None
        for one in looks:
            seen = see_pod(pulls(*one), seen, NOW)
        assert seen is not None
        return seen.view.containers[0].message

    bare, why = 'Back-off pulling image "web:2"', "429 Too Many Requests"
    back_off, told = ("ImagePullBackOff", bare), f"{bare}: ErrImagePull: {why}"
    assert wait_for(("ErrImagePull", why), back_off) == told
    assert wait_for(("ErrImagePull", why), back_off, back_off) == told
    other = ("ErrImagePull", "web:2: not found")
    last = f"{bare}: ErrImagePull: web:2: not found"
    assert wait_for(("ErrImagePull", why), back_off, other, back_off) == last
    unavailable = f"{bare}: RegistryUnavailable: away"
    assert wait_for(("RegistryUnavailable", "away"), back_off) == unavailable
    assert wait_for(back_off) == bare
    assert wait_for(("ContainerCreating", ""), back_off) == bare
    new = ("ImagePullBackOff", told)
    assert wait_for(other, new) == told


@pytest.mark.parametrize(("raw", "expected"), [row[1:] for row in F5], ids=[r[0] for r in F5])
def test_every_signal_of_rule_f5_is_told_apart(
    raw: dict[str, Any], expected: list[tuple[str, Verdict]]
) -> None:
    view = view_of(raw, now=T0 + 3)
    observed = count_failures(view, Counted(view.uid), EXPECTED, T0 + 3)
    assert [(failure.cause.reason, failure.verdict) for failure in observed.failures] == expected


def test_a_running_pod_that_is_never_ready_fails_at_its_deadline() -> None:
    view = view_of(unready_pod())
    observed = count_failures(view, Counted(view.uid), EXPECTED, LATER)
    assert [failure.cause.reason for failure in observed.failures] == ["NotReadyInTime"]


def test_probes_of_the_pods_own_containers_are_seen() -> None:
    """Also those of containers that an admission policy has put in (H1)."""
    raw = pod(running(), running("log"))
    probe = {"httpGet": {"path": "/", "port": 80}, "successThreshold": 5}
    raw["spec"] |= {
        "containers": [{"name": "web", "readinessProbe": probe}, {"name": "log"}],
        "initContainers": [
            {"name": "mesh", "restartPolicy": "Always", "readinessProbe": {}},
            {"name": "setup"},
        ],
    }
    budgets = {one.name: one.readiness_budget for one in view_of(raw).containers}
    assert budgets == {"web": 71.0, "log": None, "mesh": 31.0, "setup": None}


@pytest.mark.parametrize(("gates", "gated"), [([{"conditionType": "lb"}], True), ([], False)])
def test_readiness_gates_of_the_pod_are_seen(gates: list[dict[str, str]], *, gated: bool) -> None:
    raw = unready_pod()
    raw["spec"]["readinessGates"] = gates
    assert view_of(raw).gated is gated


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ({"startedAt": at(1), "finishedAt": at(7)}, 6.0),
        ({"startedAt": at(7), "finishedAt": at(1)}, 0.0),
        ({"startedAt": None, "finishedAt": at(7)}, 0.0),
        ({"startedAt": at(1), "finishedAt": "soon"}, 0.0),
    ],
    ids=["as it was", "upside down", "no start", "no end"],
)
def test_how_long_a_run_lasted(written: dict[str, Any], seconds: float) -> None:
    """A node that lost sight of a run does not know it."""
    raw = pod(running(restartCount=1, lastState={"terminated": ended(2, "Error", **written)}))
    [one] = view_of(raw).containers
    assert one.last_ended == Ended(2, "Error", seconds=seconds)


def test_a_pod_whose_node_stopped_reporting_has_no_deadline() -> None:
    raw = ready_pod()
    raw["status"]["conditions"][2]["status"] = "False"
    view = view_of(raw)
    assert view.unready_by_node
    observed = count_failures(view, Counted(view.uid), EXPECTED, LATER)
    assert observed.failures == ()


def test_a_closed_readiness_gate_is_not_the_nodes_doing() -> None:
    raw = ready_pod()
    raw["status"]["conditions"][2] |= {"status": "False", "reason": "ReadinessGatesNotReady"}
    assert not view_of(raw).unready_by_node


def test_identity_phase_and_words_are_taken_over() -> None:
    raw = pod(phase="Failed", reason="Evicted", message="why", version=123)
    view = view_of(raw)
    assert (view.name, view.uid, view.resource_version) == ("web-6f8c-x2x9k", "pod-1", "123")
    assert (view.phase, view.reason, view.message) == (PodPhase.FAILED, "Evicted", "why")
    assert view.node == "node-1"


def test_a_phase_nobody_knows_reads_as_unknown() -> None:
    assert view_of(pod(phase="Hibernating")).phase is PodPhase.UNKNOWN


def test_long_messages_are_cut() -> None:
    raw = pod(waiting("ErrImagePull", "x" * 5000))
    assert len(view_of(raw).containers[0].message) == 1024


def test_roles_come_from_the_spec_and_ephemeral_containers_are_left_out() -> None:
    raw = pod(
        running("web"),
        initContainerStatuses=[running("proxy"), waiting("PodInitializing", name="setup")],
        ephemeralContainerStatuses=[running("debugger")],
    )
    raw["spec"]["initContainers"] = [
        {"name": "proxy", "restartPolicy": "Always"},
        {"name": "setup"},
    ]
    roles = {container.name: container.role for container in view_of(raw).containers}
    assert roles == {
        "proxy": ContainerRole.SIDECAR,
        "setup": ContainerRole.INIT,
        "web": ContainerRole.APP,
    }


def test_a_container_without_a_status_is_there_and_not_running() -> None:
    raw = pod(running("web"))
    raw["spec"]["containers"].append({"name": "late"})
    late = view_of(raw).containers[1]
    assert (late.name, late.running_since, late.waiting, late.ended) == ("late", None, None, None)


@pytest.mark.parametrize(("started", "expected"), [(True, True), (False, False), (None, True)])
def test_started_is_believed_and_taken_for_granted_where_the_server_does_not_say(
    *, started: bool | None, expected: bool
) -> None:
    status = running()
    status["started"] = started
    assert view_of(pod(status)).containers[0].started is expected


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (pod(phase="Pending", conditions=UNSCHEDULABLE), "Unschedulable: 0/3 nodes are available"),
        (
            pod(waiting("ContainerCreating"), phase="Pending"),
            "ContainerCreating: its image, volumes or network are not ready yet",
        ),
        (pod(waiting("ErrImagePull", "no such image")), ""),
        (ready_pod(), ""),
    ],
    ids=["unschedulable", "creating", "explained by its container", "ready"],
)
def test_what_a_pod_waits_for_is_told_only_where_no_container_explains_it(
    raw: dict[str, Any], words: str
) -> None:
    assert view_of(raw).waiting_for == words


@pytest.mark.parametrize(
    ("raw", "being_set_up"),
    [
        (pod(waiting("ContainerCreating"), phase="Pending"), True),
        (pod(waiting("PodInitializing"), phase="Pending"), False),
        (pod(waiting("ContainerCreating"), phase="Pending", conditions=UNSCHEDULABLE), False),
        (pod(waiting("ErrImagePull", "no such image")), False),
        (ready_pod(), False),
    ],
    ids=["creating", "its init containers", "no node", "a fault of its container", "ready"],
)
def test_a_pod_is_being_set_up_while_its_node_prepares_it(
    raw: dict[str, Any], *, being_set_up: bool
) -> None:
    assert view_of(raw).being_set_up is being_set_up


def exits(name: str, exit_code: int, **more: Any) -> dict[str, Any]:
    reason = "Error" if exit_code else "Completed"
    return waiting("", name=name, **more) | {
        "state": {"terminated": ended(exit_code, reason)},
    }


def restart_all(*codes: int, operator: str = "In", action: str = "RestartAllContainers") -> Any:
    return {"action": action, "exitCodes": {"operator": operator, "values": list(codes)}}


RESTARTING = [condition("AllContainersRestarting", "True")]


def with_specs(raw: dict[str, Any], **specs: dict[str, Any]) -> dict[str, Any]:
    """Add to the specs of the named containers."""
    for one in raw["spec"]["containers"]:
        one.update(specs.get(one["name"], {}))
    return raw


def count(raw: dict[str, Any]) -> dict[str | None, int]:
    view = view_of(raw, now=T0 + 3)
    found = count_failures(view, Counted(view.uid), EXPECTED, T0 + 3).failures
    return {failure.cause.container: failure.count for failure in found}


class TestEnds:
    @pytest.mark.parametrize(
        ("policy", "expected"),
        [({}, 1), ({"restartPolicy": "Always"}, 1)]
        + [({"restartPolicy": policy}, 0) for policy in ("OnFailure", "Never")],
    )
    @pytest.mark.parametrize("exit_code", [0, 3])
    def test_the_policy_of_the_container_says_whether_exit_0_is_a_failure(
        self, policy: dict[str, Any], expected: int, exit_code: int
    ) -> None:
        raw = with_specs(pod(running(), exits("warm-up", exit_code)), **{"warm-up": policy})
        assert count(raw).get("warm-up", 0) == (1 if exit_code else expected)

    @pytest.mark.parametrize(
        ("rules", "cause"),
        [
            ([restart_all(88)], True),
            ([restart_all(1, 88)], True),
            ([restart_all(1, operator="NotIn")], True),
            ([restart_all(1)], False),
            ([restart_all(88, operator="NotIn")], False),
            ([restart_all(88, action="Restart"), restart_all(88)], False),
            ([{"action": "RestartAllContainers"}], False),
            ([], False),
        ],
    )
    def test_while_all_are_restarted_only_an_end_that_asked_for_it_counts(
        self, rules: list[Any], *, cause: bool
    ) -> None:
        raw = pod(exits("web", 88), exits("log", 137), conditions=RESTARTING)
        raw = with_specs(raw, web={"restartPolicyRules": rules})
        assert count(raw) == ({"web": 1} if cause else {})
        raw["status"]["conditions"] = []
        assert count(raw) == {"web": 1, "log": 1}

    @pytest.mark.parametrize(
        ("rules", "expected"),
        [
            ({"web": [restart_all(88)]}, {"web": 1}),
            ({"web": [restart_all(88)], "log": [restart_all(1, action="Restart")]}, {"web": 1}),
            ({"web": [restart_all(88)], "log": [restart_all(88)]}, {}),
        ],
        ids=["one", "one, and one that restarts itself", "two"],
    )
    def test_of_ends_that_nobody_saw_the_only_container_that_restarts_all_is_the_cause(
        self, rules: dict[str, Any], expected: dict[str, int]
    ) -> None:
        last = {"terminated": ended(137, "RestartingAllContainers")}
        raw = pod(*(running(name, restartCount=1, lastState=last) for name in ("web", "log")))
        specs = {name: {"restartPolicyRules": rule} for name, rule in rules.items()}
        assert count(with_specs(raw, **specs)) == expected

    @pytest.mark.parametrize(
        ("policies", "expected"),
        [
            ([("cpu", "NotRequired"), ("memory", "RestartContainer")], {}),
            ([("cpu", "NotRequired"), ("memory", "NotRequired")], {"web": 1}),
            ([], {"web": 1}),
        ],
    )
    def test_a_resize_is_known_by_the_pods_generation_and_the_containers_policy(
        self, policies: list[tuple[str, str]], expected: dict[str, int]
    ) -> None:
        killed = running(restartCount=1, lastState={"terminated": ended(137, "Error")})
        listed = [{"resourceName": name, "restartPolicy": policy} for name, policy in policies]
        for generation in (1, 2):
            raw = pod(killed, metadata={"generation": generation})
            raw = with_specs(raw, web={"resizePolicy": listed})
            assert count(raw) == (expected if generation == 2 else {"web": 1})


class TestTimes:
    def test_at_first_sight_the_pods_own_times_are_taken(self) -> None:
        view = view_of(ready_pod(since=20))
        assert view.ready_since == T0 + 20
        assert view.containers[0].running_since == T0 + 1

    def test_at_first_sight_no_time_is_later_than_now(self) -> None:
        view = view_of(ready_pod(since=20), now=T0 + 5)
        assert view.ready_since == T0 + 5

    def test_at_first_sight_no_time_is_earlier_than_the_pods_creation(self) -> None:
        """The clock of its node is five minutes behind."""
        view = view_of(pod(running(started_at=-300)))
        assert view.containers[0].running_since == T0

    def test_what_changes_before_our_eyes_changed_now(self) -> None:
        before = see_pod(pod(waiting("ContainerCreating")), None, T0 + 1)
        view = see_pod(ready_pod(since=-300), before, T0 + 7).view
        assert view.ready_since == T0 + 7
        assert view.containers[0].running_since == T0 + 7

    def test_what_does_not_change_keeps_its_time(self) -> None:
        first = see_pod(ready_pod(), None, NOW)
        assert see_pod(ready_pod(), first, NOW + 60).view == first.view

    def test_a_restart_nobody_saw_is_a_new_run(self) -> None:
        first = see_pod(ready_pod(), None, NOW)
        again = pod(running(restartCount=1))
        assert see_pod(again, first, NOW + 60).view.containers[0].running_since == NOW + 60

    def test_a_startup_probe_that_succeeds_begins_the_time_to_become_ready(self) -> None:
        """Between that and the first answer of the readiness probe the pod is started, not Ready."""
        starting = pod(running(started=False, ready=False))
        first = see_pod(starting, None, T0 + 2)
        assert first.view.containers[0].started_since is None
        up = see_pod(pod(running(ready=False)), first, T0 + 300)
        assert up.view.containers[0].running_since == T0 + 1
        assert up.view.containers[0].started_since == T0 + 300
        later = see_pod(pod(running(ready=False)), up, T0 + 301)
        assert later.view == up.view

    def test_at_first_sight_a_slow_starter_has_its_time_to_become_ready_before_it(self) -> None:
        """Nobody wrote down when its startup probe succeeded; without one it was at the start."""
        raw = pod(running(ready=False))
        assert see_pod(raw, None, T0 + 300).view.containers[0].started_since == T0 + 1
        raw["spec"]["containers"][0]["startupProbe"] = {"periodSeconds": 1}
        assert see_pod(raw, None, T0 + 300).view.containers[0].started_since == T0 + 300

    def test_ready_lost_and_found_while_nobody_looked_begins_anew(self) -> None:
        first = see_pod(ready_pod(since=2), None, NOW)
        assert see_pod(ready_pod(since=500), first, NOW + 60).view.ready_since == NOW + 60

    @pytest.mark.parametrize("behind", [0, 300])
    def test_f4_how_long_a_pod_took_to_become_ready_is_known_though_nobody_looked(
        self, behind: int
    ) -> None:
        """In an outage it started and became Ready: by our clock in no time. Its node's clock may be off."""
        before = see_pod(pod(waiting("ContainerCreating")), None, T0 + 1)
        conditions = ready_pod(since=100 - behind)["status"]["conditions"]
        raw = pod(running(started_at=3 - behind), conditions=conditions)
        view = see_pod(raw, before, T0 + 200).view
        assert view.ready_since == view.containers[0].running_since == T0 + 200
        assert view.ready_after == 97
        assert view_of(raw).ready_after == 97, "the same at first sight"

    def test_f4_how_long_it_took_stays_while_it_is_ready(self) -> None:
        first = see_pod(ready_pod(since=90), None, NOW)
        restarted = running(restartCount=1, started_at=80)
        again = pod(restarted, conditions=ready_pod(since=90)["status"]["conditions"])
        assert see_pod(again, first, NOW + 60).view.ready_after == 89
        assert see_pod(unready_pod(since=95), first, NOW + 60).view.ready_after == 0
        back = see_pod(ready_pod(since=200), first, NOW + 60)
        assert back.view.ready_after == 199

    def test_f4_the_time_of_a_startup_probe_counts_only_where_nobody_saw_its_end(self) -> None:
        def slow(raw: Any) -> Any:
            raw["spec"]["containers"][0]["startupProbe"] = {"periodSeconds": 1}
            return raw

        ready = slow(ready_pod(since=302))
        starting = see_pod(slow(pod(running(started=False, ready=False))), None, T0 + 2)
        assert see_pod(ready, starting, T0 + 500).view.ready_after == 301
        up = see_pod(slow(pod(running(ready=False))), starting, T0 + 300)
        assert see_pod(ready, up, T0 + 302).view.ready_after == 0
        assert see_pod(ready, None, T0 + 500).view.ready_after == 301

    def test_losing_ready_before_our_eyes_is_timed_and_kept(self) -> None:
        ready = see_pod(ready_pod(), None, NOW)
        lost = see_pod(unready_pod(since=900), ready, NOW + 60)
        assert lost.view.ready_since is None
        assert lost.view.unready_since == NOW + 60
        assert see_pod(unready_pod(since=900), lost, NOW + 90).view.unready_since == NOW + 60

    def test_never_ready_is_not_lost(self) -> None:
        first = see_pod(unready_pod(), None, NOW)
        assert first.view.unready_since is None
        assert see_pod(unready_pod(), first, NOW + 60).view.unready_since is None

    def test_at_first_sight_a_change_after_the_start_of_all_containers_was_a_loss(self) -> None:
        assert view_of(unready_pod(since=500, started_at=1)).unready_since == T0 + 500

    def test_at_first_sight_a_container_that_started_after_the_change_is_judged_from_there(
        self,
    ) -> None:
        assert view_of(unready_pod(since=500, started_at=510)).unready_since is None

    def test_when_a_lost_node_reports_again_the_budget_begins_anew(self) -> None:
        ready = see_pod(ready_pod(), None, NOW)
        taken = ready_pod()
        taken["status"]["conditions"][2]["status"] = "False"
        away = see_pod(taken, ready, NOW + 60)
        assert (away.view.unready_since, away.view.unready_by_node) == (NOW + 60, True)
        back = see_pod(unready_pod(since=60), away, NOW + 900)
        assert (back.view.unready_since, back.view.unready_by_node) == (NOW + 900, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def mutated(raw: Any, spots: Any) -> Any:
    """Replace some of the values of an object by anything."""
    if spots.draw(st.integers(0, 9)) == 0:
        return spots.draw(JSON)
    if isinstance(raw, dict):
        return {key: mutated(value, spots) for key, value in raw.items()}
    if isinstance(raw, list):
        return [mutated(value, spots) for value in raw]
    return raw


@given(JSON)
def test_nothing_raises_on_arbitrary_json(raw: object) -> None:
    first = see_pod(raw, None, NOW)
    assert see_pod(raw, first, NOW + 1).view == first.view


@given(st.sampled_from([row[1] for row in F5]), st.data())
def test_nothing_raises_on_a_pod_with_anything_in_any_place(raw: Any, spots: Any) -> None:
    broken = mutated(json.loads(json.dumps(raw)), spots)
    before = see_pod(raw, None, NOW)
    for seen in (see_pod(broken, None, NOW), see_pod(broken, before, NOW)):
        for time in (seen.view.ready_since, seen.view.unready_since):
            assert time is None or time <= NOW
        see_pod(raw, seen, NOW + 1)
