"""Good rollouts whose pods are not Ready yet when a fault comes (rules V): none of them may do harm.

A revision completes quickly, so the next one's pods have 60 s from their start until they count as late
(rule F4). They run, are not Ready, and become Ready later. The breaker trips at the first failure, and each
story lasts longer than those 60 s: a single verdict that is wrong ends it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.e2e.namespace import VERDICT_SECONDS, guarded, rollout
from tests.faults.catalog import scenario
from tests.faults.judge import Expected
from tests.faults.lab import PATIENCE, Lab, Trial
from tests.faults.leaders import ELECTION
from tests.faults.plan import Freeze, Rule, on
from tests.faults.stories import REPLICAS, Object, complete, count
from tools.cluster.audit import PODS, SETS
from tools.cluster.behaviours import BEHAVIOUR
from tools.cluster.nodes import place_on
from tools.operator_process import NAMESPACE
from tripswitch.cluster.verification import NODE_LEASES
from tripswitch.domain.values.sight import REPORT_SECONDS

GROUP = "A good rollout whose pods are not Ready yet"
HARMLESS = "nothing counted, no pod replaced, no trip; completes"
DEADLINE = 60.0
"""After so many seconds a pod is late (F4)."""
PAST = VERDICT_SECONDS + 2
"""By then the operator has judged, if it is going to: it has looked at the nodes' Leases three times (V3)."""
REPORT = 20.0
"""Kubelets have reported again so long after an outage; they may take 40 s (V2)."""
SHORT = 20
"""A short ``progressDeadlineSeconds``; what is away, is away for twice as long."""


def _swift(image: str = "web:1", behaviour: str | None = None, **more: Any) -> Object:
    """Return an object that trips at its first failure, whose pods are Ready at once."""
    return guarded("web", REPLICAS, behaviour, image=image, configuration=count(1), **more)


@contextmanager
def _starting(
    lab: Lab,
    name: str,
    *,
    arguments: Sequence[str] = (),
    dates: Sequence[float] = (),
    pod: Object | None = None,
) -> Iterator[Trial]:
    """Run a trial in which all pods of a second revision run and are not Ready yet."""
    with lab.trial(name, arguments=arguments, dates=dates) as trial:
        _settle(trial, _swift(pod=pod))
        trial.world.apply(_swift("web:2", "never-ready", pod=pod))
        trial.until(lambda: len(_pods(trial)) == REPLICAS and all(map(_runs, _pods(trial))))
        trial.until_quiet(1.0)
        yield trial


def _settle(trial: Trial, manifest: Object) -> None:
    """Complete a first revision, and wait until the operator's clocks run: not at once after its start (V2)."""
    began = time.monotonic()
    complete(trial, manifest)
    time.sleep(max(0.0, REPORT_SECONDS + 5 - (time.monotonic() - began)))


def _pods(trial: Trial) -> list[Object]:
    """Return the pods of the second revision."""
    sets = trial.latest(SETS).values()
    mark = "tripswitch.dev/revision"
    uids = {one["metadata"]["uid"] for one in sets if one["metadata"]["annotations"][mark] == "2"}
    pods = trial.latest(PODS).values()
    return [pod for pod in pods if pod["metadata"]["ownerReferences"][0]["uid"] in uids]


def _runs(pod: Object) -> bool:
    return any(one.get("started") for one in pod["status"].get("containerStatuses", []))


def _become_ready(trial: Trial) -> None:
    """Let the pods of the second revision be Ready, wherever the operator looks."""
    names = [pod["metadata"]["name"] for pod in _pods(trial)]
    trial.world.kubectl("annotate", "pods", *names, f"{BEHAVIOUR}-")


def _hold(trial: Trial) -> None:
    """Nothing has been counted until now."""
    status = trial.world.status()
    counted = [record["failedTasks"] for record in status["revisions"]]
    assert rollout(status) == "IN_PROGRESS", status["rollout"]
    assert not any(counted), f"{counted} failures counted"


def _complete(trial: Trial) -> str:
    """Wait until it is COMPLETED with the pods that there were."""
    before = {pod["metadata"]["uid"] for pod in _pods(trial)}
    status = trial.world.until(lambda status: rollout(status) != "IN_PROGRESS", seconds=PATIENCE)
    assert rollout(status) == "SUCCESSFUL", status["circuitBreaker"]
    trial.until_quiet()
    after = {pod["metadata"]["uid"] for pod in _pods(trial)}
    assert len(after) == REPLICAS
    assert before <= after, "pods were replaced"
    trial.check(web=Expected(rollbacks=0, failed={1: 0, 2: 0}))
    again = f"; {trial.kept.ends} restarts" if trial.kept.ends else ""
    return f"0 failures counted, no pod replaced, completed{again}"


def _silent(name: str, kinds: Sequence[str], *, ci: int = 0) -> None:
    @scenario(GROUP, name, HARMLESS, ci=ci, waits=True)
    def attempt(lab: Lab, run: int) -> str:
        with _starting(lab, name) as trial:
            trial.plan.set(Rule(Freeze(), on(["watch"], kinds), each=1))
            trial.proxy.hang_up()
            trial.until(lambda: trial.plan.rules[0].hits == trial.plan.streams(kinds))
            opened, began = trial.plan.count("watch", "pods"), time.monotonic()
            _become_ready(trial)
            trial.until(lambda: all(BEHAVIOUR not in _notes(pod) for pod in _pods(trial)))
            _hold(trial)
            time.sleep(max(0.0, DEADLINE - 2 - (time.monotonic() - began)))
            assert trial.plan.count("watch", "pods") == opened, "the watch was not silent for long"
            return _complete(trial)


def _notes(pod: Object) -> Object:
    return dict(pod["metadata"].get("annotations") or {})


_silent("the pod watch is silent (a half-open connection) until they are late", ["pods"], ci=1)
_silent("every watch is silent until they are late", ["pods", "replicasets", "guardeddeployments"])


def _outage(program: str, words: str, seconds: float, *, led: bool = False) -> None:
    """Enter a time in which nobody can report; with a Lease the operator may end meanwhile."""

    @scenario(GROUP, f"{program} away for {words}", HARMLESS, alone=True)
    def attempt(lab: Lab, run: int) -> str:
        with _starting(lab, f"{program} {words}", arguments=_lead(lab) if led else ()) as trial:
            lab.cluster.pause(program)
            try:
                time.sleep(seconds)
            finally:
                lab.cluster.resume(program)
            trial.until(lambda: _answers(lab))
            time.sleep(REPORT)
            _hold(trial)
            # The simulated kubelet gives up what was answered with an error; a real one tries again.
            lab.cluster.restart("kwok")
            _become_ready(trial)
            return _complete(trial)


def _lead(lab: Lab) -> Sequence[str]:
    """Return the arguments of an operator with a Lease, which nobody holds."""
    lab.cluster.kubectl("delete", "lease", "tripswitch", "-n", NAMESPACE, "--ignore-not-found")
    return ELECTION


def _answers(lab: Lab) -> bool:
    try:
        return bool(lab.cluster.kubectl("get", "--raw", "/readyz", seconds=5))
    except Exception:  # noqa: BLE001 - whatever the client says while nobody answers
        return False


_outage("kube-apiserver", "60 s", 60)
_outage("kube-apiserver", "5 minutes, the operator with a Lease", 300, led=True)
_outage("etcd", "60 s, the operator with a Lease", 60, led=True)


def _unseen(program: str, what: str) -> None:
    @scenario(
        GROUP,
        f"{program} away for {2 * SHORT} s, twice the progress deadline (11 minutes with the default of 10)",
        f"{what} yet, so the clock of P1 stands; {HARMLESS}",
        alone=True,
    )
    def attempt(lab: Lab, run: int) -> str:
        with lab.trial(f"{program} away") as trial:
            _settle(trial, _swift(progressDeadlineSeconds=SHORT))
            lab.cluster.pause(program)
            try:
                trial.world.apply(_swift("web:2", progressDeadlineSeconds=SHORT))
                time.sleep(2 * SHORT)
                _hold(trial)
            finally:
                lab.cluster.resume(program)
            return _complete(trial)


_unseen("kube-controller-manager", "it has made no pods")
_unseen("kube-scheduler", "it has not looked at the pods")


@scenario(
    GROUP,
    "the operator paused (SIGSTOP) until they are late, and Ready meanwhile",
    HARMLESS,
    waits=True,
)
def paused(lab: Lab, run: int) -> str:
    """It wakes up with a view that is older than the deadline."""
    with _starting(lab, "operator paused") as trial:
        trial.operator.pause()
        try:
            time.sleep(10)
            _become_ready(trial)
            time.sleep(PAST - 10)
        finally:
            trial.operator.resume()
        return _complete(trial)


@scenario(
    GROUP,
    "the operator killed with -9 and away until they are late; Ready 20 s after it is back",
    HARMLESS,
    waits=True,
)
def away(lab: Lab, run: int) -> str:
    """V2: nobody was there to see, as the Lease says; it may have been an outage."""
    with _starting(lab, "operator away", arguments=_lead(lab)) as trial:
        with trial.kept.away():
            time.sleep(PAST)
        trial.until(lambda: _leads(trial))
        time.sleep(REPORT)
        _hold(trial)
        _become_ready(trial)
        return _complete(trial)


def _leads(trial: Trial) -> bool:
    try:
        return "\ntripswitch_leader 1.0\n" in trial.operator.metrics()
    except OSError:
        return False


@scenario(GROUP, "their node dead until they are late; Ready when it is back", HARMLESS, waits=True)
def node_dead(lab: Lab, run: int) -> str:
    """V3: the node says Ready as long as nobody takes that back; its Lease tells sooner."""
    (node,) = lab.cluster.add_nodes(1, prefix=f"mortal-{run}", reserved=True)
    lease = (f"lease/{node}", f"--namespace={NODE_LEASES}")
    with _starting(lab, "node dead", pod=place_on(node)) as trial:
        # Held by somebody else, it is renewed no more by the simulated kubelet.
        spec = {"holderIdentity": "nobody", "leaseDurationSeconds": 3600}
        lab.cluster.kubectl("patch", *lease, "--type=merge", "--patch", json.dumps({"spec": spec}))
        time.sleep(PAST + 10)
        _hold(trial)
        lab.cluster.kubectl("delete", *lease)
        _become_ready(trial)
        outcome = _complete(trial)
    trial.world.kubectl("delete", "node", node)
    return outcome


def _look_often(trial: Trial) -> None:
    """Have the operator look now and then: it would not by itself, before the deadline as it was."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < DEADLINE - REPORT:
        trial.world.annotate("web", "looked-at", f"{passed:.0f}")
        time.sleep(4)


def _stepped(seconds: float) -> None:
    way = "forward" if seconds > 0 else "back"

    @scenario(
        GROUP, f"the operator's clock set {way} by {abs(seconds):.0f} s", HARMLESS, waits=True
    )
    def attempt(lab: Lab, run: int) -> str:
        with _starting(lab, f"clock {way}") as trial:
            trial.clock.set(seconds)
            _look_often(trial)
            _hold(trial)
            _become_ready(trial)
            return _complete(trial)


_stepped(60.0)
_stepped(-60.0)


def _differ(first: str, ahead: float) -> None:
    @scenario(
        GROUP,
        f"two API servers whose clocks differ by 60 s answer by turns, at the start the one {first}",
        HARMLESS,
        waits=True,
    )
    def attempt(lab: Lab, run: int) -> str:
        with _starting(lab, f"clocks differ {first}", dates=[ahead]) as trial:
            trial.proxy.set_dates([0.0, 60.0])
            _look_often(trial)
            _hold(trial)
            _become_ready(trial)
            return _complete(trial)


_differ("that is right", 0.0)
_differ("that is ahead", 60.0)
