"""Rules F1 to F7 for one pod: how many failures it shows, and whose fault they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.builders import (
    START,
    container,
    crash_looping,
    crashing_pod,
    ended,
    failed_pod,
    pending_pod,
    pod,
    ready_pod,
    replica_set,
    restarted,
    running,
    spec,
    stuck_pod,
    template,
    terminating,
    unready_pod,
    waiting,
)
from tripswitch.domain.rules.ended_runs import compute_ended_runs
from tripswitch.domain.rules.failed_pods import NODE_EVICTIONS, NODE_FAULTS, TEMPLATE_FAULTS
from tripswitch.domain.rules.failure_policy import judge
from tripswitch.domain.rules.failure_reasons import (
    CANNOT_START,
    FAILURE_REASONS,
    NOT_READY_IN_TIME,
    shows_failure,
)
from tripswitch.domain.rules.failures import Observed, count_failures
from tripswitch.domain.rules.health import LEAST_PATIENCE, Experience, expect
from tripswitch.domain.rules.start_attempts import ATTEMPT_SECONDS, UNKNOWN_BASE, count_attempts
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.memory import Counted, Tally
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase, PodView
from tripswitch.domain.values.sight import CURRENT, AttemptEvent, Need, Sight
from tripswitch.domain.values.states import BestState
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import PolicyRule, Spec, Template

LAUNCH, HEALTH = FailureKind.LAUNCH, FailureKind.HEALTH
INIT, SIDECAR = ContainerRole.INIT, ContainerRole.SIDECAR
NEVER_SEEN = Counted("uid-a")
EXPERIENCE = Experience(revision=1, seconds=2)
"""The pods of revision 1 were Ready after 2 s, so those of the next one have 60 s (F4)."""
PULL = 'Failed to pull image "web:2": not found'


def look(
    of: PodView,
    before: Counted = NEVER_SEEN,
    now: Instant = START,
    wish: Spec | None = None,
    made_of: Template | None = None,
    sight: Sight = CURRENT,
) -> Observed:
    made = replica_set(1, of, of=made_of)
    wanted = spec() if wish is None else wish
    return count_failures(of, before, expect(made, wanted, now, EXPERIENCE, sight), now)


def read(seconds: float, attempts: int, message: str = PULL, container: str = "web") -> Sight:
    """Return what is known after a reading of a pod's events at a moment."""
    events = (AttemptEvent("uid-a", container, message, attempts),) if attempts else ()
    return Sight(START + seconds, None, events=events)


def watch(*looks: tuple[float, PodView] | tuple[float, PodView, Sight]) -> list[int]:
    """Return how many failures each look found, each look remembering the one before."""
    before, found = NEVER_SEEN, []
    for seconds, of, *known in looks:
        observed = look(of, before, START + seconds, sight=known[0] if known else CURRENT)
        before = observed.after
        found.append(sum(failure.count for failure in observed.failures))
    return found


# --- F1 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "runs"),
    [
        pytest.param(container(), 0, id="not begun"),
        pytest.param(running(), 0, id="up for the first time"),
        pytest.param(waiting("ContainerCreating"), 0, id="being created"),
        pytest.param(ended(1), 1, id="terminated now"),
        pytest.param(ended(0), 1, id="exit 0 counts: it should not have ended"),
        pytest.param(ended(1, restarts=4), 5, id="terminated now, after restarts"),
        pytest.param(restarted(3), 3, id="up again: the last end is in restartCount"),
        pytest.param(crash_looping(1), 1, id="first back-off: restartCount still 0"),
        pytest.param(crash_looping(4), 4, id="later back-off"),
        pytest.param(crash_looping(2, exit_code=0), 2, id="back-off after exit 0"),
        pytest.param(waiting("X", restarts=2), 2, id="waits, and nobody knows how it ended"),
        pytest.param(running(restarts=2), 2, id="runs, and nobody knows how it ended"),
        pytest.param(ended(1, role=INIT, name="setup"), 1, id="a failed init container"),
        pytest.param(ended(0, role=INIT, name="setup"), 0, id="an init container that is done"),
        pytest.param(
            ended(0, role=INIT, name="setup", restarts=2), 2, id="done in its third attempt"
        ),
        pytest.param(
            container(ended=Ended(0, "Error", signal=9), role=INIT, name="setup"),
            1,
            id="an init container killed by a signal",
        ),
        pytest.param(
            crash_looping(2, role=INIT, name="setup"), 2, id="an init container in back-off"
        ),
        pytest.param(
            waiting("PodInitializing", role=INIT, name="setup", last_ended=Ended(0, "Completed")),
            0,
            id="an init container that is done, run again by the node",
        ),
        pytest.param(ended(0, role=SIDECAR, name="mesh"), 1, id="a restartable init container"),
        pytest.param(crash_looping(3, role=SIDECAR, name="mesh"), 3, id="the same in back-off"),
    ],
)
def test_f1_ended_runs_are_read_from_the_status(of: ContainerView, runs: int) -> None:
    assert compute_ended_runs(of) == runs


def test_f1_every_ended_run_counts_once_whenever_one_looks() -> None:
    assert watch(
        (0, pod("a", running())),
        (2, pod("a", ended(1))),
        (3, crashing_pod(runs=1)),
        (13, pod("a", restarted(1))),
        (15, pod("a", ended(1, restarts=1))),
        (16, crashing_pod(runs=2)),
        (90, crashing_pod(runs=5)),
    ) == [0, 1, 0, 0, 1, 0, 3]


def test_f1_each_container_counts_its_own_runs() -> None:
    both = pod("a", crash_looping(2), running(name="log"), crash_looping(3, name="mesh"))
    found = look(both)
    assert [(f.cause.container, f.count) for f in found.failures] == [("web", 2), ("mesh", 3)]
    assert found.after.containers == (Tally("mesh", runs=3), Tally("web", runs=2))


def test_f1_an_init_container_that_succeeds_is_no_failure() -> None:
    assert watch(
        (0, pod("a", running(name="setup", role=INIT), waiting("PodInitializing"))),
        (5, pod("a", ended(0, name="setup", role=INIT), waiting("PodInitializing"))),
        (6, pod("a", ended(0, name="setup", role=INIT), running(START + 6))),
    ) == [0, 0, 0]


def test_f1_an_init_container_that_succeeds_after_failures_counts_only_those() -> None:
    assert watch(
        (0, pod("a", crash_looping(2, name="setup", role=INIT))),
        (20, pod("a", restarted(2, START + 20, name="setup", role=INIT))),
        (25, pod("a", ended(0, name="setup", role=INIT, restarts=2), running(START + 25))),
    ) == [2, 0, 0]


def test_f1_an_init_container_that_is_run_again_and_succeeds_is_no_failure() -> None:
    # The node restarted: restartCount rises, though nothing failed.
    again = ended(0, name="setup", role=INIT, restarts=1)
    assert watch((0, pod("a", ended(0, name="setup", role=INIT))), (9, pod("a", again))) == [0, 0]


def test_f1_an_init_container_that_failed_unseen_before_it_succeeded_counts_those_runs() -> None:
    done = ended(0, name="setup", role=INIT, restarts=2, last_ended=Ended(3, "Error"))
    [failure] = look(pod("a", done)).failures
    assert (failure.count, failure.cause.reason, failure.cause.exit_code) == (2, "Error", 3)


@pytest.mark.parametrize("runs", [1, 3])
def test_f1_an_init_container_whose_end_before_was_lost_by_the_node_is_no_failure(
    runs: int,
) -> None:
    done = ended(0, name="setup", role=INIT, restarts=runs, last_ended=Ended(255, "Unknown"))
    assert look(pod("a", done)).failures == ()


def test_f1_the_latest_end_tells_how_an_app_container_failed() -> None:
    again = ended(4, restarts=1, last_ended=Ended(3, "OOMKilled"))
    [failure] = look(pod("a", again)).failures
    assert (failure.count, failure.cause.reason, failure.cause.exit_code) == (2, "Error", 4)


def test_f1_a_failure_says_which_container_failed_how_and_where() -> None:
    crashed = Ended(137, "OOMKilled", signal=9, message="out of memory")
    found = look(pod("a", container(ended=crashed, restarts=2), node="node-7"))
    assert found.failures == (
        Failure(
            cause=FailureCause(LAUNCH, "OOMKilled", "web", exit_code=137, signal=9),
            pod="a",
            count=3,
            node="node-7",
            message="out of memory",
        ),
    )


@pytest.mark.parametrize(
    ("of", "reason", "exit_code", "message"),
    [
        pytest.param(ended(2), "Error", 2, "", id="Error"),
        pytest.param(ended(0), "Completed", 0, "", id="Completed"),
        pytest.param(ended(128, "StartError"), "StartError", 128, "", id="a known reason"),
        pytest.param(ended(3, "Novelty"), "Error", 3, "", id="a reason nobody knows"),
        pytest.param(ended(0, "Novelty"), "Completed", 0, "", id="the same with exit 0"),
        pytest.param(
            container(ended=Ended(0, "Novelty", signal=9)), "Error", 0, "", id="the same, killed"
        ),
        pytest.param(running(restarts=1), "Error", None, "", id="nobody knows how it ended"),
        pytest.param(
            crash_looping(1, message="back-off 10s"),
            "Error",
            1,
            "back-off 10s",
            id="waiting's words",
        ),
        pytest.param(
            waiting(
                "CrashLoopBackOff", last_ended=Ended(1, "Error", message="boom"), message="back-off"
            ),
            "Error",
            1,
            "boom",
            id="the end's own words come first",
        ),
        pytest.param(
            container(
                ended=Ended(159, "seccomp killed", message="Used forbidden syscalls: swapoff (3x)")
            ),
            "SeccompKilled",
            159,
            "Used forbidden syscalls: swapoff (3x)",
            id="ended by CRI-O for a forbidden system call",
        ),
        pytest.param(
            waiting("PostStartHookError", last_ended=Ended(137, "Error")),
            "PostStartHookError",
            137,
            "",
            id="a failed postStart hook is named",
        ),
        pytest.param(
            waiting("PostStartHookError", restarts=1, message="hook: no such file"),
            "PostStartHookError",
            None,
            "hook: no such file",
            id="also when its end is not known",
        ),
    ],
)
def test_f1_the_reason_of_an_ended_run(
    of: ContainerView, reason: str, exit_code: int | None, message: str
) -> None:
    [failure] = look(pod("a", of)).failures
    assert (failure.cause.reason, failure.cause.exit_code, failure.message) == (
        reason,
        exit_code,
        message,
    )
    assert failure.cause.signal in (None, 9)
    assert failure.cause.reason in FAILURE_REASONS


def test_f1_no_signal_is_not_signal_0() -> None:
    [failure] = look(pod("a", ended(1))).failures
    assert failure.cause.signal is None


@pytest.mark.parametrize(
    ("of", "failures", "exit_code"),
    [
        pytest.param(restarted(4, last_ended=Ended(255, "Unknown")), 3, None, id="then a reboot"),
        pytest.param(
            container(ended=Ended(255, "Unknown"), restarts=3), 3, None, id="a reboot just now"
        ),
        pytest.param(
            container(ended=Ended(255, "Unknown"), restarts=3, last_ended=Ended(2, "Error")),
            3,
            2,
            id="a reboot just now, and the last crash",
        ),
        pytest.param(restarted(4, exit_code=2), 4, 2, id="reboots or crashes, then a crash"),
        pytest.param(
            ended(2, restarts=3, last_ended=Ended(255, "Unknown")),
            3,
            2,
            id="a reboot among them is seen",
        ),
    ],
)
def test_f1_of_several_ends_in_one_look_those_that_cannot_be_seen_count(
    of: ContainerView, failures: int, exit_code: int | None
) -> None:
    [failure] = look(pod("a", of)).failures
    assert (failure.cause.reason, failure.count, failure.cause.exit_code) == (
        "Error",
        failures,
        exit_code,
    )


SETUP: dict[str, Any] = {"name": "setup", "role": INIT}
DONE = Ended(0, "Completed")


@pytest.mark.parametrize("last", [None, DONE, Ended(255, "Unknown")])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_f1_an_init_container_that_runs_again_in_a_new_sandbox_never_counts(
    last: Ended | None, lost: int
) -> None:
    """The kubelet removes the run before; ``lost`` of the looks were missed."""
    story = [
        pod("a", ended(0, **SETUP), running()),
        pod("a", running(START + 60, restarts=1, last_ended=last, **SETUP), waiting("PodInit")),
        pod("a", ended(0, restarts=1, last_ended=last, **SETUP), running(START + 65)),
    ]
    assert sum(watch(*enumerate(story[lost:]))) == 0


@pytest.mark.parametrize("end", [DONE, Ended(143, "Error"), Ended(137, "Error", signal=9)])
@pytest.mark.parametrize("role", [ContainerRole.APP, SIDECAR])
@pytest.mark.parametrize("last", [None, DONE])
@pytest.mark.parametrize("lost", [0, 1])
def test_f1_a_container_that_the_kubelet_ended_for_a_new_sandbox_never_counts(
    end: Ended, role: ContainerRole, last: Ended | None, lost: int
) -> None:
    """Recorded from a kubelet: the init container runs again, and the others show how they were ended."""
    again = running(START + 9, restarts=1, last_ended=last, **SETUP)
    done = ended(0, restarts=1, last_ended=last, **SETUP)
    story = [
        pod("a", again, container(role=role, ended=end)),
        pod("a", done, running(START + 10, role=role, restarts=1, last_ended=end)),
    ]
    before = pod("a", ended(0, **SETUP), running(role=role))
    crash = pod("a", done, ended(2, role=role, restarts=1, last_ended=end))
    looks = [before, *story[lost:], crash]
    assert watch(*enumerate(looks))[-1] == sum(watch(*enumerate(looks))) == 1


@pytest.mark.parametrize(
    ("setup", "web", "failures"),
    [
        pytest.param(
            ended(0, restarts=1, **SETUP),
            ended(2, restarts=1, last_ended=Ended(143, "Error")),
            1,
            id="a crash in the new sandbox",
        ),
        pytest.param(
            ended(0, restarts=2, last_ended=DONE, **SETUP),
            restarted(2, last_ended=Ended(143, "Error")),
            0,
            id="two new sandboxes",
        ),
        pytest.param(
            ended(0, restarts=2, last_ended=DONE, **SETUP),
            restarted(3, last_ended=Ended(143, "Error")),
            1,
            id="a crash, and two new sandboxes",
        ),
        pytest.param(
            ended(0, restarts=1, **SETUP),
            restarted(4, last_ended=Ended(255, "Unknown")),
            3,
            id="crashes, then a reboot",
        ),
        pytest.param(
            ended(0, restarts=1, last_ended=Ended(1, "Error"), **SETUP),
            restarted(1, exit_code=2),
            2,
            id="the init container failed at first: the same sandbox",
        ),
        pytest.param(
            ended(0, restarts=1, last_ended=Ended(137, "RestartingAllContainers"), **SETUP),
            restarted(1, exit_code=2),
            1,
            id="all containers were restarted: the same sandbox",
        ),
        pytest.param(ended(0, **SETUP), restarted(1, exit_code=2), 1, id="it did not run again"),
    ],
)
def test_f1_of_each_new_sandbox_one_end_is_the_kubelets_doing(
    setup: ContainerView, web: ContainerView, failures: int
) -> None:
    assert watch((20, pod("a", setup, web))) == [failures]


@pytest.mark.parametrize("last", [None, DONE])
def test_f1_an_init_container_that_fails_in_a_new_sandbox_counts_that_run(
    last: Ended | None,
) -> None:
    before = pod("a", ended(0, **SETUP), running())
    again = pod("a", running(START + 60, restarts=1, last_ended=last, **SETUP))
    fails = pod("a", ended(1, restarts=1, last_ended=last, **SETUP))
    assert watch((0, before), (60, again), (61, fails)) == [0, 0, 1]
    assert watch((0, before), (61, fails)) == [0, 1]


def test_f1_an_init_container_in_a_crash_loop_counts_the_runs_that_nobody_looked_at() -> None:
    assert watch((300, pod("a", crash_looping(5, **SETUP)))) == [5]


@pytest.mark.parametrize("exit_code", [0, 1])
@pytest.mark.parametrize("policy", [True, False])
def test_f1_exit_0_is_no_failure_where_the_containers_own_policy_says_so(
    exit_code: int, *, policy: bool
) -> None:
    of = replace(ended(exit_code), may_complete=policy)
    assert watch((3, pod("a", of))) == [0 if policy and exit_code == 0 else 1]


def test_f1_a_container_that_may_complete_counts_what_failed_before_it_did() -> None:
    warm_up = ended(0, restarts=2, last_ended=Ended(3, "Error"), may_complete=True)
    [failure] = look(pod("a", warm_up)).failures
    assert (failure.count, failure.cause.exit_code) == (2, 3)


def test_f1_a_container_that_is_started_again_after_a_success_has_not_failed() -> None:
    """``restartPolicyRules`` can ask for that."""
    again = [restarted(n, exit_code=0, may_complete=True) for n in range(1, 4)]
    assert watch(*((n, pod("a", of)) for n, of in enumerate(again))) == [0, 0, 0]
    assert watch((9, pod("a", again[2]))) == [0]


def test_f1_an_init_container_that_ends_the_pod_counts_once() -> None:
    """Its own ``restartPolicy`` is ``Never``: the pod fails, and no other run follows."""
    dead = pod("a", ended(1, **SETUP), waiting("PodInitializing"), phase=PodPhase.FAILED)
    assert watch((2, dead), (3, dead)) == [1, 0]
    assert [(f.cause.container, f.cause.exit_code) for f in look(dead).failures] == [("setup", 1)]


RESTARTED = Ended(137, "RestartingAllContainers")


def restarting_pod(runs: int, cause: ContainerView, shown: str) -> PodView:
    """Return a pod whose containers were restarted together, ``runs`` times, because of ``cause``."""
    ways: dict[str, dict[str, Any]] = {
        "waiting": {"waiting": "RestartingAllContainers"},
        "running": {"running_since": START},
    }
    others = [
        container(name, role=role, restarts=runs, last_ended=RESTARTED, **ways[shown])
        for name, role in (("setup", INIT), ("mesh", SIDECAR), ("log", ContainerRole.APP))
    ]
    return pod("a", *others, cause)


@pytest.mark.parametrize("shown", ["waiting", "running"])
@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("runs", [1, 3])
def test_f1_only_the_container_that_restarts_all_of_them_counts(
    shown: str, runs: int, *, seen: bool
) -> None:
    """One failure for each restart, whether its own end is seen or only that all were restarted."""
    before = pod("a", running(name="log"), replace(ended(88), restarts_pod=True))
    cause = container(restarts=runs, last_ended=RESTARTED, restarts_pod=True, running_since=START)
    after = restarting_pod(runs, cause, shown)
    looks = [(6, before), (7, after), (8, after)] if seen else [(7, after), (8, after)]
    assert sum(watch(*looks)) == runs
    assert {f.cause.container for f in look(after).failures} == {"web"}


def test_f1_where_several_containers_may_restart_all_only_an_end_that_is_seen_counts() -> None:
    one = pod("a", ended(88), running(name="log"))
    both = [container(n, restarts=1, last_ended=RESTARTED) for n in ("web", "log")]
    assert watch((6, one), (7, pod("a", *both))) == [1, 0]
    assert watch((7, pod("a", *both))) == [0]


def test_f1_after_all_were_restarted_each_crash_counts_for_its_own_container() -> None:
    after = pod("a", running(restarts=1, last_ended=RESTARTED))
    crash = pod("a", ended(2, restarts=1, last_ended=RESTARTED))
    assert watch((7, after), (30, crash)) == [0, 1]
    assert watch((30, crash)) == [1]


def test_f1_a_container_that_is_being_ended_for_all_to_restart_is_no_new_end() -> None:
    """BestState before it is removed: ``restartCount`` rises only later."""
    killed = pod("a", container(ended=RESTARTED))
    assert watch((6, killed), (7, pod("a", restarted(1, last_ended=RESTARTED)))) == [0, 0]


def resized(runs: int, generation: int, end: Ended = DONE, **fields: Any) -> PodView:
    of = restarted(runs, last_ended=end, **{"resize_restarts": True, **fields})
    return pod("a", of, generation=generation)


@pytest.mark.parametrize("end", [Ended(137, "Error"), Ended(143, "Error"), DONE])
def test_f1_one_end_for_each_resize_in_place_is_no_failure(end: Ended) -> None:
    first, second = resized(1, 2, end), resized(2, 3, end)
    assert watch((0, resized(0, 1)), (9, first), (19, first), (29, second)) == [0, 0, 0, 0]
    assert watch((0, resized(0, 1)), (29, second)) == [0, 0]


def test_f1_a_container_that_ends_more_often_than_it_was_resized_counts_the_rest() -> None:
    crash = Ended(2, "Error")
    assert watch((0, resized(1, 2)), (9, resized(2, 2, crash)), (29, resized(4, 3, crash))) == [
        0,
        1,
        1,
    ]


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(resized(1, 1, Ended(137, "Error")), id="the pod as it was made"),
        pytest.param(resized(1, 0, Ended(137, "Error")), id="the server tells no generation"),
        pytest.param(
            resized(1, 2, Ended(137, "Error"), resize_restarts=False),
            id="a container that a resize does not restart",
        ),
        pytest.param(resized(1, 2, Ended(137, "OOMKilled")), id="out of memory"),
        pytest.param(resized(1, 2, Ended(128, "StartError")), id="cannot be started"),
        pytest.param(resized(1, 2, Ended(127, "ContainerCannotRun")), id="cannot be run"),
    ],
)
def test_f1_an_end_that_no_resize_explains_counts(of: PodView) -> None:
    assert watch((9, of)) == [1]


def test_f1_what_a_resize_explained_is_remembered() -> None:
    assert look(resized(1, 2)).after.containers == (Tally("web", runs=1, generation=2),)


@pytest.mark.parametrize(
    "of",
    [ended(139), crash_looping(3), restarted(2), ended(1, **SETUP), ended(1, role=SIDECAR)],
    ids=["ended", "crash loop", "up again", "init container", "sidecar"],
)
def test_f5_a_crash_with_a_broken_device_never_counts_and_one_without_does(
    of: ContainerView,
) -> None:
    broken = replace(of, device_unhealthy=True)
    assert watch((0, pod("a", broken)), (9, pod("a", of))) == [0, 0]
    assert watch((0, pod("a", of))) != [0]


# --- F2 -------------------------------------------------------------------------------------------


def test_f2_each_further_attempt_of_the_kubelet_counts_once_its_events_tell_of_it() -> None:
    stuck = stuck_pod()
    assert watch(
        (0, stuck),
        (6, stuck, read(5, 1)),
        (28, stuck, read(27, 2)),
        (29, stuck, read(27, 2)),
        (120, stuck, read(119, 4)),
    ) == [1, 0, 1, 0, 2]


def test_f2_time_alone_adds_no_failure() -> None:
    """A report that did not come is none: the pull may be in progress, or its node dead."""
    stuck = stuck_pod()
    silent = read(9_000, 1)
    assert watch((0, stuck), (30, stuck), (9_000, stuck), (9_001, stuck, silent)) == [1, 0, 0, 0]


def test_f2_a_slow_pull_after_one_failed_attempt_counts_once() -> None:
    """The kubelet goes on saying ImagePullBackOff until the pull in progress has ended."""
    back_off = stuck_pod(reason="ImagePullBackOff")
    assert watch(
        (0, stuck_pod(reason="ErrImagePull")),
        *((second, back_off, read(second - 1, 1)) for second in range(10, 130, 10)),
        (130, pod("a", running(START + 130))),
    ) == [1, *[0] * 13]


def test_f2_without_a_reading_of_events_only_what_the_pod_shows_counts() -> None:
    known = Sight(START + 60, None)
    assert watch((0, stuck_pod()), (60, stuck_pod(), known)) == [1, 0]


@pytest.mark.parametrize(
    ("message", "attempts"),
    [
        pytest.param(PULL, 3, id="a pull"),
        pytest.param('Error: configmap "web" not found', 3, id="a configuration"),
        pytest.param("Error: InvalidImageName", 3, id="a name"),
        pytest.param("Error: ErrImagePull", 0, id="the echo of a pull"),
        pytest.param("Error: ImagePullBackOff", 0, id="waiting is no attempt"),
        pytest.param("Error: failed to sync configmap cache: timed out", 0, id="a late cache"),
        pytest.param('Failed to pull image "web": pull QPS exceeded', 0, id="the node's limit"),
        pytest.param("Readiness probe failed", 0, id="something else"),
    ],
)
def test_f2_which_events_tell_of_an_attempt(message: str, attempts: int) -> None:
    told = [AttemptEvent("uid-a", "web", message, 3)]
    assert count_attempts(told, stuck_pod(), "web") == attempts


def test_f2_events_of_other_containers_and_pods_tell_nothing() -> None:
    told = [
        AttemptEvent("uid-a", "log", PULL, 5),
        AttemptEvent("uid-b", "web", PULL, 7),
        AttemptEvent("uid-a", "", PULL, 1),
        AttemptEvent("uid-a", "web", PULL, 2),
    ]
    assert count_attempts(told, stuck_pod(), "web") == 3


def test_f2_attempts_from_before_the_count_began_are_none_of_it() -> None:
    before = Counted(
        "uid-a", (Tally("web", waits=1, since=START, base=UNKNOWN_BASE),), existed_before=True
    )
    first = look(stuck_pod(), before, START + 6, sight=read(5, 9))
    assert first.failures == ()
    assert first.after.containers == (Tally("web", waits=1, since=START, base=8),)
    later = look(stuck_pod(), first.after, START + 30, sight=read(29, 10))
    assert sum(failure.count for failure in later.failures) == 1


def test_f2_a_reading_from_before_the_wait_is_no_reading() -> None:
    before = Counted("uid-a", (Tally("web", waits=1, since=START + 5),))
    assert look(stuck_pod(), before, START + 6, sight=read(5, 9)).failures == ()


def test_f2_events_that_expired_take_nothing_away() -> None:
    stuck = stuck_pod()
    assert watch((0, stuck), (9, stuck, read(8, 3)), (9_000, stuck, read(8_999, 0))) == [1, 2, 0]


@pytest.mark.parametrize("reason", sorted(CANNOT_START))
def test_f2_every_reason_that_is_the_revisions_own_fault_counts_at_once(reason: str) -> None:
    found = look(stuck_pod(reason=reason))
    assert found.after.containers == (Tally("web", waits=1, since=START),)
    assert found.wake_at == START + ATTEMPT_SECONDS
    [failure] = found.failures
    assert failure == Failure(FailureCause(LAUNCH, reason, "web"), "a", node="node-1")


def test_f2_the_failure_carries_the_kubelets_words() -> None:
    found = look(pod("a", waiting("ErrImagePull", message="manifest unknown")))
    assert found.failures[0].message == "manifest unknown"


@pytest.mark.parametrize(
    ("now", "sight", "wake_at", "need"),
    [
        pytest.param(0.0, CURRENT, 5.0, None, id="at first"),
        pytest.param(4.999, CURRENT, 5.0, None, id="just before"),
        pytest.param(5.0, CURRENT, None, Need(events=True), id="at the very moment"),
        pytest.param(60.0, Sight(START + 59, None), None, Need(events=True), id="never read"),
        pytest.param(60.0, read(59, 1), 64.0, None, id="read a moment ago"),
        pytest.param(64.0, read(59, 1), None, Need(events=True), id="read a while ago"),
    ],
)
def test_f2_the_events_are_read_from_time_to_time(
    now: float, sight: Sight, wake_at: float | None, need: Need | None
) -> None:
    first = look(stuck_pod()).after
    found = look(stuck_pod(), first, START + now, sight=sight)
    assert found.wake_at == (None if wake_at is None else START + wake_at)
    assert found.need == need


def test_f2_reasons_that_alternate_are_one_wait() -> None:
    pull, back_off = stuck_pod(reason="ErrImagePull"), stuck_pod(reason="ImagePullBackOff")
    assert watch((0, pull), (1, back_off), (10, pull), (11, back_off)) == [1, 0, 0, 0]


def test_f2_a_wait_that_was_interrupted_counts_on_with_the_next_attempt() -> None:
    creating = pending_pod()
    assert watch(
        (0, stuck_pod()),
        (10, stuck_pod(), read(9, 2)),
        (15, creating),
        (600, stuck_pod()),
        (606, stuck_pod(), read(605, 2)),
        (620, stuck_pod(), read(619, 3)),
    ) == [1, 1, 0, 0, 0, 1]


def test_f2_nothing_is_read_while_a_wait_is_interrupted() -> None:
    stuck = look(stuck_pod()).after
    between = look(pending_pod(), stuck, START + 3)
    assert between.wake_at is None
    assert between.after.containers == (Tally("web", waits=1),)


def test_f2_a_container_that_ran_before_is_counted_by_its_ended_runs() -> None:
    again = waiting("CreateContainerError", restarts=1, last_ended=Ended(1, "Error"))
    found = look(pod("a", again))
    assert found.after.containers == (Tally("web", runs=2),)
    assert [f.cause.reason for f in found.failures] == ["Error"]
    assert found.wake_at is None


@pytest.mark.parametrize(
    ("message", "failures"),
    [
        pytest.param('configmap "web" not found', 1, id="its own fault"),
        pytest.param("failed to sync configmap cache: timed out", 0, id="the kubelet's cache"),
        pytest.param("failed to sync secret cache: timed out", 0, id="the same for a secret"),
        pytest.param("failed to sync everything", 1, id="no cache"),
        pytest.param("the cache is a lie", 1, id="no sync"),
    ],
)
def test_f2_a_configuration_error_is_no_failure_while_the_kubelet_is_behind(
    message: str, failures: int
) -> None:
    stuck = pod("a", waiting("CreateContainerConfigError", message=message))
    assert watch((0, stuck)) == [failures]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        pytest.param("ErrImagePull", "pull QPS exceeded", id="at once"),
        pytest.param(
            "ImagePullBackOff",
            'Back-off pulling image "web:2": ErrImagePull: pull QPS exceeded',
            id="in its back-off",
        ),
    ],
)
def test_f2_a_pull_that_the_kubelets_own_limit_held_back_is_no_attempt(
    reason: str, message: str
) -> None:
    held = pod("a", waiting(reason, message=message))
    assert watch((0, held), (900, held)) == [0, 0]
    assert watch((0, stuck_pod(reason=reason)), (1, held), (900, held)) == [1, 0, 0]


def test_f2_waits_and_ended_runs_of_one_container_add_up() -> None:
    assert watch(
        (0, stuck_pod()),
        (10, stuck_pod(), read(9, 2)),
        (12, pod("a", running())),
        (13, pod("a", ended(1))),
    ) == [1, 1, 0, 1]


def test_f2_an_init_container_that_cannot_start_counts_too() -> None:
    stuck = pod("a", waiting("ErrImagePull", "setup", role=INIT), waiting("PodInitializing"))
    assert [f.cause.container for f in look(stuck).failures] == ["setup"]


# --- F3 -------------------------------------------------------------------------------------------


def test_f3_a_failed_pod_that_no_container_rule_counted_is_one_failure() -> None:
    found = look(failed_pod(reason="DeadlineExceeded", message="was active for too long"))
    assert found.after == Counted("uid-a", failed=True)
    assert found.failures == (
        Failure(
            FailureCause(LAUNCH, "DeadlineExceeded"),
            "a",
            node="node-1",
            message="was active for too long",
        ),
    )


def test_f3_a_failed_pod_counts_once() -> None:
    gone = failed_pod(reason="DeadlineExceeded")
    assert watch((0, gone), (1, gone), (900, gone)) == [1, 0, 0]


def test_f3_without_a_reason_the_containers_speak_first() -> None:
    dead = pod("a", ended(1), phase=PodPhase.FAILED)
    found = look(dead)
    assert [(f.cause.reason, f.cause.container) for f in found.failures] == [("Error", "web")]
    assert not found.after.failed


def test_f3_without_a_reason_and_without_an_ended_container_it_is_pod_failed() -> None:
    [failure] = look(failed_pod()).failures
    assert (failure.cause.reason, failure.message) == ("PodFailed", "")


def test_f3_a_reason_nobody_knows_is_pod_failed_and_kept_as_its_words() -> None:
    dead = pod("a", ended(137), phase=PodPhase.FAILED, reason="Novelty")
    [failure] = look(dead).failures
    assert (failure.cause.reason, failure.message, failure.verdict) == (
        "PodFailed",
        "Novelty",
        Verdict.COUNT,
    )


def test_f3_in_a_pod_that_failed_as_a_whole_ended_containers_are_the_consequence() -> None:
    dead = pod("a", ended(137), phase=PodPhase.FAILED, reason="Evicted", message="Pod ephemeral")
    found = look(dead)
    assert [f.cause.reason for f in found.failures] == ["Evicted"]
    assert found.after == Counted("uid-a", (Tally("web", runs=1),), failed=True)


def test_f3_what_the_containers_counted_before_is_not_counted_again() -> None:
    evicted = replace(crashing_pod(runs=3), phase=PodPhase.FAILED, reason="Evicted")
    assert watch((0, crashing_pod(runs=2)), (60, evicted), (61, evicted)) == [2, 1, 0]


def test_f3_a_container_that_waited_was_counted_too() -> None:
    given_up = failed_pod()
    assert watch((0, stuck_pod()), (5, given_up)) == [1, 0]


# --- F4 -------------------------------------------------------------------------------------------


def test_f4_a_running_pod_that_is_not_ready_in_time_is_one_health_failure() -> None:
    late = START + LEAST_PATIENCE
    before = look(unready_pod(), now=late - 0.001)
    assert before.failures == ()
    assert before.wake_at == late
    found = look(unready_pod(), before.after, late)
    assert found.after.unhealthy
    assert found.wake_at is None
    assert found.failures == (
        Failure(
            FailureCause(HEALTH, NOT_READY_IN_TIME),
            "a",
            node="node-1",
            message="not Ready 60 s after its containers started (revision 1 took 2 s); if this is "
            "expected, set healthCheckGracePeriodSeconds or a startupProbe",
        ),
    )


def test_f4_it_counts_once_per_pod() -> None:
    assert watch((60, unready_pod()), (61, unready_pod()), (900, unready_pod())) == [1, 0, 0]


def test_f4_a_pod_that_was_counted_is_looked_at_again_when_it_is_late_again() -> None:
    counted = look(unready_pod(), now=START + LEAST_PATIENCE).after
    again = look(unready_pod(unready_since=START + 100), counted, START + 101)
    assert again.wake_at == START + 100 + LEAST_PATIENCE
    assert again.failures == ()


def test_f4_a_ready_pod_is_never_late() -> None:
    assert watch((900, ready_pod())) == [0]


def test_f4_a_pod_that_lost_its_readiness_has_the_budget_again() -> None:
    lost = unready_pod(unready_since=START + 100)
    assert watch((0, ready_pod()), (101, lost), (159, lost), (160, lost)) == [0, 0, 0, 1]


def test_f4_the_words_say_that_it_was_ready_before() -> None:
    found = look(unready_pod(unready_since=START + 100), now=START + 170)
    assert found.failures[0].message == (
        "became unready and has not been Ready again for 70 s; if this is expected, raise "
        "failureThreshold of the readinessProbe"
    )


def test_f4_a_restart_after_the_loss_is_a_start() -> None:
    again = unready_pod(since=START + 110, unready_since=START + 100)
    found = look(again, now=START + 170)
    assert found.failures[0].message.startswith("not Ready 60 s after its containers started")


def test_f4_the_words_say_that_there_is_no_experience() -> None:
    found = count_failures(
        unready_pod(), NEVER_SEEN, expect(replica_set(1), spec(), START, sight=CURRENT), START + 300
    )
    assert found.failures[0].message == (
        "not Ready 300 s after its containers started (no completed revision shows how long "
        "it takes); if this is expected, set healthCheckGracePeriodSeconds or a startupProbe"
    )


def test_f4_the_grace_period_is_waited_for() -> None:
    patient = spec(health_check_grace_period=60)
    assert look(unready_pod(), now=START + 119, wish=patient).failures == ()
    assert look(unready_pod(), now=START + 120, wish=patient).failures != ()


# --- F5 -------------------------------------------------------------------------------------------

STORAGE = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."

BLAMED = [
    pytest.param(pod("a", ended(1)), "Error", id="exit != 0"),
    pytest.param(pod("a", ended(0)), "Completed", id="exit 0"),
    pytest.param(pod("a", ended(137, "OOMKilled")), "OOMKilled", id="OOMKilled"),
    pytest.param(pod("a", ended(128, "StartError")), "StartError", id="StartError"),
    pytest.param(
        pod("a", ended(127, "ContainerCannotRun")), "ContainerCannotRun", id="ContainerCannotRun"
    ),
    pytest.param(
        pod("a", waiting("RunContainerError", last_ended=Ended(128, "StartError"))),
        "StartError",
        id="RunContainerError after a run",
    ),
    pytest.param(crashing_pod(), "Error", id="CrashLoopBackOff"),
    pytest.param(
        pod("a", crash_looping(name="setup", role=INIT), waiting("PodInitializing")),
        "Error",
        id="failed init container",
    ),
    pytest.param(
        pod("a", waiting("PostStartHookError", last_ended=Ended(137, "Error"))),
        "PostStartHookError",
        id="PostStartHookError",
    ),
    pytest.param(
        pod("a", restarted(1, START + 1, exit_code=137)), "Error", id="liveness probe kill"
    ),
    pytest.param(
        pod("a", restarted(1, START + 1, exit_code=0, started=False)),
        "Completed",
        id="startup probe kill that was obeyed",
    ),
]


@pytest.mark.parametrize(("of", "reason"), BLAMED)
@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        pytest.param(BestState.NONE, LAUNCH, id="never Ready"),
        pytest.param(BestState.READY, HEALTH, id="was Ready"),
        pytest.param(BestState.HEALTHY, HEALTH, id="was healthy"),
    ],
)
def test_f5_an_ended_run_is_a_launch_failure_unless_the_pod_was_ready(
    of: PodView, reason: str, seen: BestState, kind: FailureKind
) -> None:
    [failure] = look(of, replace(NEVER_SEEN, best_state=seen)).failures
    assert (failure.cause.kind, failure.cause.reason, failure.count) == (kind, reason, 1)
    assert failure.verdict is Verdict.COUNT


@pytest.mark.parametrize(
    ("seconds", "seen", "counted", "fields", "kind"),
    [
        pytest.param(3.0, BestState.READY, 0, {}, LAUNCH, id="its first run was too short"),
        pytest.param(3.0, BestState.READY, 0, {"role": ContainerRole.SIDECAR}, LAUNCH, id="a sidecar's"),
        pytest.param(5.0, BestState.READY, 0, {}, HEALTH, id="it ran for 5 s"),
        pytest.param(3.0, BestState.READY, 1, {"restarts": 2}, HEALTH, id="it has run before"),
        pytest.param(3.0, BestState.READY, 0, {"restarts": 2}, HEALTH, id="or in between"),
        pytest.param(3.0, BestState.HEALTHY, 0, {}, HEALTH, id="the pod was healthy"),
        pytest.param(0.0, BestState.READY, 0, {}, HEALTH, id="nobody knows how long it ran"),
        pytest.param(3.0, BestState.READY, 0, {"role": ContainerRole.INIT}, HEALTH, id="an init container"),
    ],
)  # fmt: skip
def test_f5_a_pod_that_only_looked_as_if_it_were_running_was_not(
    seconds: float, seen: BestState, counted: int, fields: dict[str, Any], kind: FailureKind
) -> None:
    """That it ran for 5 s was concluded before the end of its first run was told."""
    again = restarted(1, START + 6, **fields)
    last = Ended(1, "Error", seconds=seconds)
    of = pod("a", replace(again, last_ended=last), running(name="app"))
    tallies = (Tally("web", runs=counted),) if counted else ()
    [failure] = look(of, replace(NEVER_SEEN, best_state=seen, containers=tallies)).failures
    assert failure.cause.kind is kind


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "SignatureValidationFailed",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    ],
)
@pytest.mark.parametrize("seen", BestState)
def test_f5_what_cannot_start_is_a_launch_failure(reason: str, seen: BestState) -> None:
    [failure] = look(stuck_pod(reason=reason), replace(NEVER_SEEN, best_state=seen)).failures
    assert (failure.cause.kind, failure.cause.reason, failure.verdict) == (
        LAUNCH,
        reason,
        Verdict.COUNT,
    )


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(
            failed_pod(reason="Evicted", message=STORAGE), id="over its own storage limit"
        ),
        pytest.param(failed_pod(reason="Evicted"), id="Evicted without words"),
        pytest.param(failed_pod(reason="DeadlineExceeded"), id="DeadlineExceeded"),
    ],
)
def test_f5_a_pod_that_failed_by_its_own_doing_is_a_launch_failure(of: PodView) -> None:
    [failure] = look(of).failures
    assert (failure.cause.kind, failure.cause.reason, failure.count) == (LAUNCH, of.reason, 1)
    assert failure.verdict is Verdict.COUNT


def test_f5_running_but_not_ready_in_time_is_a_health_failure() -> None:
    [failure] = look(unready_pod(), now=START + 900).failures
    assert (failure.cause.kind, failure.cause.reason, failure.count) == (
        HEALTH,
        "NotReadyInTime",
        1,
    )
    assert failure.verdict is Verdict.COUNT


TAKEN_AWAY = [
    pytest.param(terminating(crashing_pod(runs=2)), id="deletionTimestamp set"),
    pytest.param(replace(crashing_pod(runs=2), disrupted=True), id="DisruptionTarget=True"),
    pytest.param(
        pod("a", ended(159, reason="seccomp killed"), deleting=True), id="SeccompKilled, deleted"
    ),
    pytest.param(
        failed_pod(reason="Evicted", message=STORAGE, disrupted=True), id="Evicted and disrupted"
    ),
    pytest.param(replace(stuck_pod(), disrupted=True), id="disrupted while it cannot start"),
    pytest.param(replace(unready_pod(since=START - 900), disrupted=True), id="disrupted and late"),
]


@pytest.mark.parametrize("of", TAKEN_AWAY)
def test_f5_a_pod_that_is_taken_away_never_counts(of: PodView) -> None:
    assert look(of).failures == ()


@pytest.mark.parametrize("of", TAKEN_AWAY)
def test_f5_a_pod_that_was_taken_away_is_not_counted_later_either(of: PodView) -> None:
    spared = replace(of, deleting=False, disrupted=False)
    assert watch((0, of), (1, spared)) == [0, 0]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        *((reason, reason) for reason in sorted(NODE_FAULTS)),
        ("OutOfephemeral-storage", "OutOfResource"),
        ("OutOfexample.com/gpu", "OutOfResource"),
    ],
)
def test_f5_what_the_node_or_the_scheduler_did_never_counts(reason: str, shown: str) -> None:
    found = look(failed_pod(reason=reason))
    assert [(f.cause.reason, f.verdict) for f in found.failures] == [(shown, Verdict.IGNORE)]
    assert found.after.failed


@pytest.mark.parametrize("reason", ["NovelPredicate", "SomebodysAdmitHandler"])
def test_f5_a_pod_that_no_container_ever_ran_in_was_rejected_and_never_counts(reason: str) -> None:
    words = f"Pod was rejected: {reason}"
    for dead in (
        failed_pod(reason=reason, message=words),
        failed_pod(reason=reason, message="other words"),
        pod("a", waiting("ContainerCreating"), phase=PodPhase.FAILED, reason=reason),
        # Its kubelet was started anew and looks at everything again.
        pod("a", ended(137), phase=PodPhase.FAILED, reason=reason, message=words),
    ):
        [failure] = look(dead).failures
        assert (failure.cause.reason, failure.verdict) == ("PodRejected", Verdict.IGNORE)


@pytest.mark.parametrize(
    "of",
    [
        running(),
        ended(1),
        waiting("CrashLoopBackOff", last_ended=Ended(1, "Error")),
        waiting("", restarts=1),
    ],
    ids=["runs", "ended", "ended before", "was restarted"],
)
def test_f5_a_pod_in_which_a_container_ran_was_not_rejected(of: ContainerView) -> None:
    dead = pod("a", waiting(""), of, phase=PodPhase.FAILED, reason="Novelty")
    assert [(f.cause.reason, f.verdict) for f in look(dead).failures] == [
        ("PodFailed", Verdict.COUNT)
    ]


@pytest.mark.parametrize("reason", sorted(TEMPLATE_FAULTS))
def test_f5_a_pod_that_is_rejected_for_what_its_template_asks_for_counts(reason: str) -> None:
    [failure] = look(failed_pod(reason=reason, message="Pod was rejected: words")).failures
    assert (failure.cause.reason, failure.verdict) == (reason, Verdict.COUNT)


@pytest.mark.parametrize("begin", NODE_EVICTIONS)
def test_f5_an_eviction_by_the_node_never_counts(begin: str) -> None:
    [failure] = look(failed_pod(reason="Evicted", message=f"{begin}: memory")).failures
    assert (failure.cause.reason, failure.verdict) == ("Evicted", Verdict.IGNORE)


@pytest.mark.parametrize("reason", ["NodeShutdown", "DeadlineExceeded"])
def test_f5_only_an_eviction_is_judged_by_its_words(reason: str) -> None:
    [failure] = look(failed_pod(reason=reason, message=NODE_EVICTIONS[0])).failures
    expected = Verdict.IGNORE if reason == "NodeShutdown" else Verdict.COUNT
    assert failure.verdict is expected


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(container(ended=Ended(255, "Unknown")), id="a reboot, shown as the end"),
        pytest.param(
            waiting("PodInitializing", last_ended=Ended(255, "Unknown")), id="as the end before"
        ),
        pytest.param(restarted(1, last_ended=Ended(255, "Unknown")), id="up again"),
        pytest.param(
            container(ended=Ended(137, "ContainerStatusUnknown"), restarts=1),
            id="a container that is gone: restartCount rises with it",
        ),
        pytest.param(
            waiting(
                "ContainerCreating", restarts=1, last_ended=Ended(137, "ContainerStatusUnknown")
            ),
            id="gone, as the end before",
        ),
        pytest.param(
            crash_looping(2, last_ended=Ended(137, "ContainerStatusUnknown")),
            id="gone, waiting for its back-off",
        ),
    ],
)
def test_f5_a_run_whose_end_the_node_lost_sight_of_never_counts_nor_uses_up_the_next_one(
    of: ContainerView,
) -> None:
    crash = ended(2, restarts=1, last_ended=of.ended or of.last_ended)
    assert watch((0, pod("a", of)), (9, pod("a", crash)), (9, pod("a", crash))) == [0, 1, 0]


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", ""])
def test_f5_a_lost_run_that_leaves_no_trace_of_its_own_is_no_new_end(reason: str) -> None:
    """A container that crashed before is gone, or is made anew: what is shown is its crash of then."""
    up = pod("a", restarted(1, exit_code=2))
    gone = pod("a", waiting(reason, restarts=1, last_ended=Ended(2, "Error")))
    assert watch((0, up), (9, gone), (12, pod("a", ended(3, restarts=1)))) == [1, 0, 1]


def test_f5_after_a_lost_run_a_real_one_counts_once() -> None:
    lost = pod("a", container(last_ended=Ended(255, "Unknown"), restarts=1, running_since=START))
    assert watch((0, lost), (9, pod("a", ended(1, restarts=1)))) == [0, 1]


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(pod("a", waiting_for="Unschedulable: 0/3 nodes"), id="Unschedulable"),
        pytest.param(pending_pod(), id="ContainerCreating"),
        pytest.param(pod("a", waiting("PodInitializing")), id="PodInitializing"),
        pytest.param(pod("a", waiting("Novelty")), id="a reason of a newer kubelet"),
        pytest.param(pod("a", waiting("")), id="no reason at all"),
        pytest.param(pod("a", container()), id="no status yet"),
        pytest.param(pod("a"), id="no containers yet"),
        pytest.param(unready_pod(unready_by_node=True), id="its node stopped reporting"),
    ],
)
def test_f5_what_only_the_progress_deadline_covers_never_counts(of: PodView) -> None:
    assert watch((0, of), (900, of)) == [0, 0]
    assert look(of).wake_at is None


def test_f5_every_reason_is_one_of_a_closed_set() -> None:
    for reason in ("Error", "OOMKilled", "ErrImagePull", "Evicted", "NodeLost", "PodFailed"):
        assert reason in FAILURE_REASONS
    assert {"NotReadyInTime", "OutOfResource", "DeadlineExceeded"} <= FAILURE_REASONS
    assert "CrashLoopBackOff" not in FAILURE_REASONS


# --- F6 -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Of:
    """A failure to be judged."""

    reason: str = "Error"
    exit_code: int | None = 2
    container: str | None = "web"
    verdict: Verdict = Verdict.COUNT

    def judged_by(self, *rules: PolicyRule) -> Verdict:
        failure = Failure(
            FailureCause(LAUNCH, self.reason, self.container, exit_code=self.exit_code),
            "a",
            verdict=self.verdict,
        )
        judged = judge(failure, rules)
        assert replace(judged, verdict=failure.verdict) == failure
        return judged.verdict


IGNORE, FAIL_NOW, COUNT = Verdict.IGNORE, Verdict.FAIL_NOW, Verdict.COUNT
ONE_OR_TWO = frozenset({1, 2})


def rule(action: Verdict = IGNORE, *reasons: str, **criteria: object) -> PolicyRule:
    return PolicyRule(action, frozenset(reasons), **criteria)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("of", "rules", "verdict"),
    [
        pytest.param(Of(), [], COUNT, id="no rules"),
        pytest.param(Of(), [rule()], IGNORE, id="a rule without criteria matches all"),
        pytest.param(Of(), [rule(IGNORE, "Error")], IGNORE, id="the reason"),
        pytest.param(Of(), [rule(IGNORE, "OOMKilled", "Error")], IGNORE, id="one of the reasons"),
        pytest.param(Of(), [rule(IGNORE, "OOMKilled")], COUNT, id="another reason"),
        pytest.param(Of(), [rule(exit_codes=ONE_OR_TWO)], IGNORE, id="exit code In"),
        pytest.param(Of(exit_code=3), [rule(exit_codes=ONE_OR_TWO)], COUNT, id="not In"),
        pytest.param(
            Of(exit_code=3),
            [rule(exit_codes=ONE_OR_TWO, exit_codes_negated=True)],
            IGNORE,
            id="exit code NotIn",
        ),
        pytest.param(
            Of(),
            [rule(exit_codes=ONE_OR_TWO, exit_codes_negated=True)],
            COUNT,
            id="not NotIn",
        ),
        pytest.param(
            Of(exit_code=None), [rule(exit_codes=ONE_OR_TWO)], COUNT, id="In without an exit code"
        ),
        pytest.param(
            Of(exit_code=None),
            [rule(exit_codes=ONE_OR_TWO, exit_codes_negated=True)],
            COUNT,
            id="NotIn without an exit code",
        ),
        pytest.param(
            Of(exit_code=0), [rule(exit_codes=frozenset({0}))], IGNORE, id="exit code 0 is one"
        ),
        pytest.param(Of(), [rule(container="web")], IGNORE, id="the container"),
        pytest.param(Of(), [rule(container="log")], COUNT, id="another container"),
        pytest.param(
            Of(container=None), [rule(container="web")], COUNT, id="a pod has no container name"
        ),
        pytest.param(
            Of(),
            [rule(IGNORE, "Error", container="web", exit_codes=ONE_OR_TWO)],
            IGNORE,
            id="all criteria hold",
        ),
        pytest.param(
            Of(exit_code=3),
            [rule(IGNORE, "Error", container="web", exit_codes=ONE_OR_TWO)],
            COUNT,
            id="one criterion does not hold",
        ),
        pytest.param(Of(), [rule(FAIL_NOW)], FAIL_NOW, id="FailNow"),
        pytest.param(
            Of(verdict=IGNORE), [rule(COUNT, "Error")], COUNT, id="Count what else is ignored"
        ),
        pytest.param(
            Of(), [rule(FAIL_NOW, "Error"), rule(IGNORE, "Error")], FAIL_NOW, id="first match wins"
        ),
        pytest.param(
            Of(), [rule(COUNT), rule(FAIL_NOW)], COUNT, id="also when the first says Count"
        ),
        pytest.param(
            Of(), [rule(IGNORE, "OOMKilled"), rule(FAIL_NOW)], FAIL_NOW, id="the others are asked"
        ),
    ],
)
def test_f6_the_first_rule_that_matches_decides(
    of: Of, rules: list[PolicyRule], verdict: Verdict
) -> None:
    assert of.judged_by(*rules) is verdict


# --- F7 -------------------------------------------------------------------------------------------


def test_f7_a_count_that_goes_down_in_the_status_is_ignored() -> None:
    assert watch(
        (0, crashing_pod(runs=3)),
        (1, pod("a", running())),
        (2, crashing_pod(runs=2)),
        (3, crashing_pod(runs=4)),
    ) == [3, 0, 0, 1]


def test_f7_the_same_look_twice_counts_nothing() -> None:
    messy = pod("a", crash_looping(2), waiting("ErrImagePull", "log"))
    assert watch((0, messy), (0, messy), (5, messy)) == [3, 0, 0]


def test_f7_a_container_that_vanishes_from_the_status_keeps_its_marks() -> None:
    assert watch((0, crashing_pod(runs=2)), (1, pod("a")), (2, crashing_pod(runs=3))) == [2, 0, 1]


def test_f7_a_container_that_never_failed_leaves_no_mark() -> None:
    assert look(pod("a", running(), running(name="log"))).after == NEVER_SEEN


def test_f7_marks_are_in_a_fixed_order() -> None:
    one = pod("a", crash_looping(name="x"), crash_looping(name="b"))
    other = pod("a", crash_looping(name="b"), crash_looping(name="x"))
    assert look(one).after == look(other).after


# --- what a pod has been --------------------------------------------------------------------------

BARE = template(probed=False)
FRESH = pod("a", running(), ready_since=START)


@pytest.mark.parametrize(
    ("of", "now", "before", "seen", "wake_at"),
    [
        pytest.param(pending_pod(), 0, BestState.NONE, BestState.NONE, None, id="not up"),
        pytest.param(FRESH, 0, BestState.NONE, BestState.NONE, 5, id="Ready, not yet RUNNING"),
        pytest.param(FRESH, 4.999, BestState.NONE, BestState.NONE, 5, id="just before"),
        pytest.param(ready_pod(), 5, BestState.NONE, BestState.READY, 40, id="Ready and RUNNING"),
        pytest.param(
            ready_pod(), 39.999, BestState.READY, BestState.READY, 40, id="just before healthy"
        ),
        pytest.param(ready_pod(), 40, BestState.READY, BestState.HEALTHY, None, id="healthy"),
        pytest.param(
            ready_pod(), 40, BestState.NONE, BestState.HEALTHY, None, id="healthy at first sight"
        ),
        pytest.param(pending_pod(), 0, BestState.READY, BestState.READY, None, id="was Ready"),
        pytest.param(
            pending_pod(), 0, BestState.HEALTHY, BestState.HEALTHY, None, id="was healthy"
        ),
        pytest.param(
            ready_pod(), 0, BestState.HEALTHY, BestState.HEALTHY, None, id="nothing better"
        ),
        pytest.param(
            pod("a", running(started=False), ready_since=START),
            6,
            BestState.NONE,
            BestState.NONE,
            40,
            id="Ready and not started",
        ),
        pytest.param(
            terminating(ready_pod()), 40, BestState.READY, BestState.READY, None, id="being deleted"
        ),
    ],
)
def test_the_best_a_pod_has_been_never_gets_worse(
    of: PodView, now: float, before: BestState, seen: BestState, wake_at: float | None
) -> None:
    found = look(of, replace(NEVER_SEEN, best_state=before), START + now, made_of=BARE)
    assert found.after.best_state is seen
    assert found.wake_at == (None if wake_at is None else START + wake_at)


def test_f5_a_pod_that_is_ready_for_a_moment_between_crashes_was_never_ready() -> None:
    flash = pod("a", restarted(1, START), ready_since=START)
    first = look(flash, now=START + 1, made_of=BARE)
    again = look(crashing_pod(runs=2), first.after, START + 2, made_of=BARE)
    assert [f.cause.kind for f in again.failures] == [LAUNCH]


def test_the_next_moment_of_several_is_woken_for() -> None:
    both = pod("a", waiting("ErrImagePull"), waiting("ErrImagePull", "log"))
    before = replace(
        NEVER_SEEN,
        containers=(Tally("log", waits=2, since=START - 12), Tally("web", waits=1, since=START)),
    )
    assert look(both, before).wake_at == START + 5
    assert look(both, before).need == Need(events=True), "of the one that waits for longer"


# --- which pods are looked at first ---------------------------------------------------------------

BEGUN = ContainerView("setup", ContainerRole.INIT, ended=Ended(0, "Completed"))


@pytest.mark.parametrize(
    ("one", "shown"),
    [
        pytest.param(ready_pod("a"), False, id="Ready"),
        pytest.param(pending_pod("a"), False, id="Pending"),
        pytest.param(unready_pod("a"), False, id="not Ready"),
        pytest.param(pod("a", BEGUN, waiting("PodInitializing")), False, id="init done"),
        pytest.param(pod("a", ended()), True, id="ended"),
        pytest.param(crashing_pod("a"), True, id="crash loop"),
        pytest.param(replace(crashing_pod("a"), deleting=True), False, id="ended by its deletion"),
        pytest.param(stuck_pod("a"), True, id="cannot start"),
        pytest.param(failed_pod("a", "Evicted"), True, id="failed as a whole"),
        pytest.param(pod("a", restarted(1)), True, id="restarted"),
    ],
)
def test_a_pod_in_which_something_went_wrong_is_looked_at_first(
    one: PodView, *, shown: bool
) -> None:
    assert shows_failure(one) is shown
