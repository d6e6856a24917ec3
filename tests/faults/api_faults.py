"""Faults between the operator and the API server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.catalog import scenario
from tests.faults.lab import Lab, Trial
from tests.faults.plan import (
    Asked,
    Bookmarks,
    Cut,
    Delay,
    Fail,
    Fault,
    FaultPlan,
    Freeze,
    Garble,
    Halve,
    Refuse,
    Replay,
    Reset,
    Rule,
    Watched,
    on,
    writes,
)
from tests.faults.stories import bad, complete, counted, exactly, good, there_and_back
from tools.cluster.audit import PODS

GROUP = "Between the operator and the API server"
WATCHES = ("pods", "replicasets", "guardeddeployments")
EXACT = "every failure counted once, one trip, one rollback"
PER_SECOND = 3.0
"""More reconnects of one watch than this would be a hot loop."""


def _survives(name: str, *rules: tuple[Fault | Watched, float], runs: int = 1, ci: int = 0) -> None:
    """Enter a fault that is there all the time, at a rate."""

    @scenario(GROUP, name, EXACT, runs=runs, ci=ci)
    def attempt(lab: Lab, run: int) -> str:
        with _trial(lab, name, run) as trial:
            trial.plan.set(*(Rule(fault, _for(fault), rate, times=None) for fault, rate in rules))
            trial.proxy.hang_up()
            if all(isinstance(fault, Watched) for fault, _ in rules):
                # There are three watches; whenever they are opened is a chance.
                trial.until(lambda: _open_again(trial))
            seen = counted(trial)
            hits = _hit_by_now(trial)
            assert hits, "the fault never happened"
            return f"{seen} failures counted, rolled back; {hits} faults" + _restarts(trial)


def _hit_by_now(trial: Trial) -> int:
    return sum(rule.hits for rule in trial.plan.rules)


def _open_again(trial: Trial) -> int:
    """Break every watch unless one was hit already; return how many were."""
    if not _hit_by_now(trial):
        trial.proxy.hang_up()
        time.sleep(1)
    return _hit_by_now(trial)


def _for(fault: Fault | Watched) -> Callable[[Asked], bool]:
    """A conflict, and an answer that is lost, make sense for writes only."""
    lost = isinstance(fault, Reset) and fault.after
    return writes if lost or fault == Refuse(409) else on()


@contextmanager
def _trial(lab: Lab, name: str, run: int) -> Iterator[Trial]:
    with lab.trial(name) as trial:
        trial.plan = trial.proxy.plan = FaultPlan(lab.seed * 1000 + run)
        yield trial


def _restarts(trial: Trial) -> str:
    return f"; {trial.kept.ends} restarts" if trial.kept.ends else ""


_survives("answers delayed by 0.3 s, one in three", (Delay(0.3), 0.33))
_survives("slow API server: every answer takes 1 s longer", (Delay(1.0), 1.0), runs=1)
_survives("409 Conflict to one write in three", (Refuse(409), 0.33))
_survives("429 with Retry-After to one request in four", (Refuse(429, 1), 0.25))
_survives("500 to one request in four", (Refuse(500), 0.25))
_survives("503 to one request in four", (Refuse(503), 0.25))
_survives("connection reset, one request in four", (Reset(), 0.25))
_survives("answer lost after the write took effect, one in three", (Reset(after=True), 0.33), ci=1)
_survives("watch cut after every event", (Cut(1), 1.0), runs=1)
_survives("watch replays old events", (Replay(5), 1.0))
_survives("half of the watches bring only bookmarks, then end", (Bookmarks(10), 0.5))
_survives("watch ends with 410 Gone after two events", (Fail(410, 2), 0.7))
_survives(
    "everything at once, one request in ten each",
    (Delay(0.5), 0.1),
    (Refuse(409), 0.05),
    (Refuse(429, 1), 0.05),
    (Refuse(500), 0.05),
    (Refuse(503), 0.05),
    (Reset(), 0.05),
    (Reset(after=True), 0.1),
    (Cut(1), 0.1),
    (Replay(3), 0.2),
    (Fail(410, 1), 0.1),
    runs=5,
    ci=1,
)


def _hits(name: str, fault: Fault | Watched, must: str, *, times: int, runs: int = 1) -> None:
    """Enter a fault that kopf takes for the end: the process ends, and the next one goes on."""

    @scenario(GROUP, name, must, runs=runs)
    def attempt(lab: Lab, run: int) -> str:
        with _trial(lab, name, run) as trial:
            trial.plan.set(Rule(fault, on(["watch"]), times=times))
            trial.proxy.hang_up()
            seen = counted(trial)
            assert trial.plan.rules[0].hits, "the fault never happened"
            return f"{seen} failures counted, rolled back" + _restarts(trial)


ENDS = "the process may end and comes back from the status; " + EXACT
_hits("watch ends with an ERROR event of code 500", Fail(500, 2), ENDS, times=6)
_hits("watch ends in the middle of a line", Garble(1), ENDS, times=6)


@scenario(
    GROUP,
    "every watch cut at once, again and again, for 12 s",
    f"at most {PER_SECOND:.0f} reconnects a second, kopf's own watch too; then all goes on",
    runs=2,
    ci=1,
)
def cut_at_once(lab: Lab, run: int) -> str:
    """A proxy that closes every stream must not be hammered."""
    with _trial(lab, "cut at once", run) as trial:
        complete(trial, good())
        trial.plan.set(Rule(Cut()))
        trial.proxy.hang_up()
        began, before = (
            time.monotonic(),
            {kind: trial.plan.count("watch", kind) for kind in WATCHES},
        )
        time.sleep(12)
        seconds = time.monotonic() - began
        rates = {
            kind: (trial.plan.count("watch", kind) - before[kind]) / seconds for kind in WATCHES
        }
        assert max(rates.values()) <= PER_SECOND, rates
        trial.plan.set()
        seen = counted(trial, "api")
        return f"at most {max(rates.values()):.1f} a second; {seen} failures counted, rolled back"


@scenario(
    GROUP, "credentials refused (401) for 8 s", "no hot loop, no restart; then all goes on", runs=2
)
def refused(lab: Lab, run: int) -> str:
    """A token that has expired, and is good again later."""
    with _trial(lab, "refused", run) as trial:
        complete(trial, good())
        before = len(trial.plan.asked)
        trial.plan.set(Rule(Refuse(401)))
        trial.proxy.hang_up()
        trial.world.apply(bad())
        time.sleep(8)
        asked = len(trial.plan.asked) - before
        assert asked <= 8 * PER_SECOND * (len(WATCHES) + 1), f"{asked} requests in 8 s"
        trial.plan.set()
        trial.world.until_rollout("ROLLBACK_SUCCESSFUL")
        trial.until_quiet()
        trial.check()
        assert not trial.kept.ends, "the operator ended"
        return f"{asked} requests while refused, no restart; rolled back"


@scenario(GROUP, "lists cut in half", "never taken for the whole; " + EXACT, runs=2)
def halved(lab: Lab, run: int) -> str:
    """A list that is not whole must not make what it lacks vanish."""
    with _trial(lab, "halved", run) as trial:
        complete(trial, good())
        lists = on(["list"])
        trial.plan.set(
            Rule(Halve(clean=run % 2 == 1), lists, times=6),
            Rule(Fail(410), on(["watch"]), each=1),
        )
        trial.proxy.hang_up()
        trial.until(lambda: trial.plan.rules[0].hits >= 4)
        trial.plan.set()
        seen = counted(trial, "api")
        trial.check()
        return f"{seen} failures counted, rolled back" + _restarts(trial)


@scenario(GROUP, "410 Gone while objects are deleted", "no ghost stays", runs=3, ci=1)
def gone_while_deleted(lab: Lab, run: int) -> str:
    """What vanishes while nobody watches must vanish here, too."""
    with _trial(lab, "ghosts", run) as trial:
        complete(trial, good("web"))
        complete(trial, good("api"))
        trial.until(lambda: 'name="api"' in trial.operator.metrics())
        trial.plan.set(Rule(Cut()))
        trial.proxy.hang_up()
        world = trial.world
        world.kubectl("delete", "gdeploy/api", "--wait=true")
        world.kubectl("scale", "gdeploy/web", "--replicas=6")
        world.kubectl("delete", "pods", "--all", "--wait=true", "--grace-period=0")
        trial.plan.set(*(Rule(Fail(410), on(["watch"], [kind]), each=1) for kind in WATCHES))
        trial.until(lambda: 'name="api"' not in trial.operator.metrics())
        trial.until(lambda: world.status("web").get("readyReplicas") == 6)
        trial.until(lambda: _shown(trial) == len(_alive(trial)) == 6)
        complete(trial, good("api"))
        assert trial.kept.ends == 0
        return "the object and its pods were forgotten; made again, it completed"


@scenario(GROUP, "watches frozen: open, but silent", EXACT + " within two minutes")
def frozen(lab: Lab, run: int) -> str:
    """A load balancer that has forgotten the connection. 70 to 90 s until it is noticed."""
    with _trial(lab, "frozen", run) as trial:
        complete(trial, good())
        trial.plan.set(Rule(Freeze(), on(["watch"]), each=1))
        trial.proxy.hang_up()
        trial.until(lambda: trial.plan.rules[0].hits == trial.plan.streams())
        began = time.monotonic()
        trial.world.apply(bad())
        trial.world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=200)
        took = time.monotonic() - began
        assert took < 150, f"it took {took:.0f} s"
        trial.until_quiet()
        trial.check()
        return f"noticed, tripped and rolled back after {took:.0f} s"


@scenario(GROUP, "no fault at all, through the proxy", EXACT, ci=1)
def undisturbed(lab: Lab, run: int) -> str:
    """The measure of all others: exactly eight failures, at exactly the threshold."""
    with _trial(lab, "undisturbed", run) as trial:
        there_and_back(trial)
        trial.until_quiet()
        trial.check(**exactly())
        return f"8 failures counted, rolled back; {trial.writes()} writes"


def _shown(trial: Trial) -> int:
    return int(trial.world.status("web").get("replicas", 0))


def _alive(trial: Trial) -> list[str]:
    pods = trial.latest(PODS)
    return [name for name, pod in pods.items() if not pod["metadata"].get("deletionTimestamp")]
