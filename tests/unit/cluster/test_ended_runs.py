"""Rule F1 over the life of one pod, as a kubelet writes it: through the decoder and the core."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster.raws import T0, at, condition, ended, pod, running, waiting
from tripswitch.cluster.pods import see_pod
from tripswitch.domain.rules.failures import count_failures
from tripswitch.domain.rules.health import Expectations
from tripswitch.domain.values.memory import Counted
from tripswitch.domain.values.workload import Readiness

PATIENT = Expectations(Readiness(all_probed=True, budget=10_000.0))
Raw = dict[str, Any]
Life = list[tuple[float, Raw]]


def count(*life: tuple[float, Raw]) -> list[tuple[str | None, str, int | None, int]]:
    """Return container, reason, exit code and number of the failures of one pod, in order."""
    seen, marks, found = None, Counted("pod-1"), []
    for seconds, raw in life:
        seen = see_pod(raw, seen, T0 + seconds)
        look = count_failures(seen.view, marks, PATIENT, T0 + seconds)
        marks = look.after
        found += [
            (f.cause.container, f.cause.reason, f.cause.exit_code, f.count) for f in look.failures
        ]
    return found


def terminated(exit_code: int, reason: str = "Error") -> Raw:
    return {"terminated": ended(exit_code, reason)}


def over(name: str, exit_code: int, reason: str = "Error", **more: Any) -> Raw:
    """A container that is terminated now."""
    return waiting("", name=name, **more) | {"state": terminated(exit_code, reason)}


def restarted(name: str, runs: int, last: Raw) -> Raw:
    return running(name, started_at=50, restartCount=runs, lastState=last)


def with_specs(raw: Raw, *containers: Raw) -> Raw:
    raw["spec"]["containers"] = list(containers)
    return raw


# --- init containers ------------------------------------------------------------------------------


def with_setup(setup: Raw, web: Raw) -> Raw:
    raw = pod(web, initContainerStatuses=[setup])
    raw["spec"]["initContainers"] = [{"name": "setup"}]
    return raw


LOST = terminated(255, "Unknown")


@pytest.mark.parametrize(
    "last", [{}, terminated(0, "Completed")], ids=["purged", "as kubelets since 1.36 show it"]
)
def test_an_init_container_that_runs_again_after_a_reboot_is_no_failure(last: Raw) -> None:
    again = running("setup", started_at=500, restartCount=1, lastState=last)
    life = [
        (5.0, with_setup(over("setup", 0, "Completed"), running())),
        (505.0, with_setup(again, waiting("PodInitializing", lastState=LOST))),
        (
            520.0,
            with_setup(
                over("setup", 0, "Completed", restartCount=1, lastState=last),
                restarted("web", 1, LOST),
            ),
        ),
    ]
    assert count(*life) == []
    assert count(life[0], life[2]) == []


# --- RestartAllContainers -------------------------------------------------------------------------

RESTARTED = terminated(137, "RestartingAllContainers")
RULE = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}


def restarting(*statuses: Raw, now: bool = False) -> Raw:
    status = "True" if now else "False"
    raw = pod(*statuses, conditions=[condition("AllContainersRestarting", status)])
    web, *others = raw["spec"]["containers"]
    web |= {"restartPolicy": "Never", "restartPolicyRules": [RULE]}
    return with_specs(raw, web, *others)


OTHERS = ("proxy", "log")


def test_one_restart_of_all_containers_is_one_failure_of_the_one_that_asked_for_it() -> None:
    everything = ("web", *OTHERS)
    waits = [
        waiting("RestartingAllContainers", name=name, restartCount=1, lastState=RESTARTED)
        for name in everything
    ]
    life = [
        (3.0, restarting(*map(running, everything))),
        (60.0, restarting(over("web", 42), *map(running, OTHERS), now=True)),
        (61.0, restarting(over("web", 42), *(over(name, 137) for name in OTHERS), now=True)),
        (62.0, restarting(*waits)),
        (65.0, restarting(*(restarted(name, 1, RESTARTED) for name in everything))),
    ]
    assert count(*life) == [("web", "Error", 42, 1)]
    for missed in (1, 2, 3):
        assert [failure[0::3] for failure in count(life[0], *life[missed:])] == [("web", 1)]
    assert count(life[0], life[4]) == [("web", "Error", None, 1)]


def test_each_restart_of_all_containers_counts_once() -> None:
    life: Life = []
    for run in range(3):
        last = RESTARTED if run else {}
        others = [restarted(name, run, last) for name in OTHERS]
        web = over("web", 42, restartCount=run, lastState=last)
        life += [
            (10.0 * run, restarting(restarted("web", run, last), *others)),
            (10.0 * run + 6, restarting(web, *others, now=True)),
        ]
    assert count(*life) == [("web", "Error", 42, 1)] * 3
    assert [failure[0::3] for failure in count(life[-1])] == [("web", 3)]


# --- in-place resize, own restart policies --------------------------------------------------------


@pytest.mark.parametrize(("generation", "failures"), [(1, 1), (2, 0)])
def test_a_restart_by_a_resize_in_place_is_no_failure(generation: int, failures: int) -> None:
    """By the kubelet's source (``computePodResizeAction`` of 1.36.3); it could not be recorded."""
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    killed = pod(
        restarted("web", 1, terminated(137)),
        conditions=[condition("PodResizeInProgress", "True")],
        metadata={"generation": generation},
    )
    raw = with_specs(killed, {"name": "web", "resizePolicy": policy})
    before = with_specs(pod(running(), metadata={"generation": 1}), *raw["spec"]["containers"])
    assert len(count((3, before), (60, raw), (61, raw))) == failures


@pytest.mark.parametrize("policy", ["OnFailure", "Never"])
def test_a_container_that_completes_by_its_own_policy_has_not_failed(policy: str) -> None:
    raw = pod(running(), over("warm-up", 0, "Completed"))
    raw["spec"]["containers"][1]["restartPolicy"] = policy
    assert count((3, raw)) == []
    raw["spec"]["containers"][1].pop("restartPolicy")
    assert count((3, raw)) == [("warm-up", "Completed", 0, 1)]


def test_an_init_container_that_never_restarts_and_fails_counts_once() -> None:
    raw = with_setup(over("setup", 1), waiting("PodInitializing"))
    raw["spec"]["initContainers"][0]["restartPolicy"] = "Never"
    dead = {**raw, "status": {**raw["status"], "phase": "Failed"}}
    assert count((3, raw), (4, dead), (5, dead)) == [("setup", "Error", 1, 1)]


# --- ends that nobody saw -------------------------------------------------------------------------


def test_a_crash_after_the_node_lost_sight_of_the_container_counts() -> None:
    gone = terminated(137, "ContainerStatusUnknown")
    life = [
        (3.0, pod(running())),
        (60.0, pod(waiting("ContainerCreating", restartCount=1, lastState=gone))),
        (65.0, pod(running(started_at=64, restartCount=1, lastState=gone))),
        (90.0, pod(over("web", 2, restartCount=1))),
    ]
    assert count(*life) == [("web", "Error", 2, 1)]


@pytest.mark.parametrize(
    ("raw", "failures"),
    [
        (pod(restarted("web", 4, LOST)), [("web", "Error", None, 3)]),
        (pod(restarted("web", 4, terminated(2))), [("web", "Error", 2, 4)]),
    ],
    ids=["three crashes and then a reboot", "reboots and then a crash"],
)
def test_what_happened_while_the_operator_was_away_counts(
    raw: Raw, failures: list[tuple[str, str, int | None, int]]
) -> None:
    assert count((3, pod(running())), (301, raw)) == failures


def test_a_count_that_goes_back_and_a_status_that_is_missing_change_nothing() -> None:
    crash = waiting("CrashLoopBackOff", restartCount=2, lastState=terminated(1))
    life = [
        (0.0, pod(crash)),
        (1.0, pod()),
        (2.0, pod({"name": "web", "restartCount": 1})),
        (3.0, pod(running(restartCount=3, started=None, lastState=terminated(1)))),
    ]
    assert count(*life) == [("web", "Error", 1, 3)]


def test_an_ephemeral_container_never_counts() -> None:
    debug = {"name": "debug", "restartCount": 0, "state": terminated(1)}
    assert count((3, pod(running(), ephemeralContainerStatuses=[debug]))) == []


@pytest.mark.parametrize(
    ("reason", "message", "counts"),
    [
        ("CreateContainerConfigError", "failed to sync configmap cache: timed out", False),
        ("ErrImagePull", "pull QPS exceeded", False),
        ("RegistryUnavailable", "", False),
        ("ImageInspectError", "", True),
        ("CreateContainerError", "context deadline exceeded", True),
    ],
)
def test_a_container_that_waits_counts_if_the_revision_can_be_the_reason(
    reason: str, message: str, *, counts: bool
) -> None:
    raw = pod(waiting(reason, message), phase="Pending", startTime=at(0))
    assert bool(count((3, raw))) is counts
