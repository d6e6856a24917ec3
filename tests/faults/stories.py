"""What happens while things break: rollouts that go well and rollouts that go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.namespace import breaker, guarded, rollout
from tests.faults.judge import Expected, visible_failures
from tests.faults.lab import PATIENCE, Lab, Trial
from tools.cluster.audit import PODS, SETS
from tools.cluster.behaviours import DELAY

Object = dict[str, Any]
REPLICAS = 4
QUICK = 8
"""Each of four crashing pods fails twice within 2.5 s, and then waits for an hour: so however slow the
machine is, there are exactly so many failures to be counted."""


def count(value: int, **more: Any) -> Object:
    """Return a configuration whose breaker trips at exactly so many failures."""
    return breaker(thresholdConfiguration={"type": "COUNT", "value": value}, **more)


def patient(name: str, replicas: int, behaviour: str | None = None, **more: Any) -> Object:
    """Return an object whose pods may take ten minutes to become healthy.

    A busy machine's simulated kubelet may leave a pod running for longer than its readiness probe
    allows, and then it is late by rule F4, and counted rightly. These stories are about other failures.
    """
    return guarded(name, replicas, behaviour, **{"healthCheckGracePeriodSeconds": 600, **more})


def good(name: str = "web", image: str = "web:1", threshold: int = QUICK, **more: Any) -> Object:
    """Return an object whose pods run."""
    return patient(name, REPLICAS, image=image, configuration=count(threshold), **more)


def bad(name: str = "web", threshold: int = QUICK, **more: Any) -> Object:
    """Return the same object with an image whose containers exit with 2."""
    manifest = patient(
        name, REPLICAS, "crash", image="web:2", configuration=count(threshold), **more
    )
    manifest["spec"]["template"]["metadata"]["annotations"][DELAY] = "1h"
    return manifest


def complete(trial: Trial, manifest: Object) -> Object:
    """Apply it and wait until it is COMPLETED, as long as a fault may take."""
    world, name = trial.world, manifest["metadata"]["name"]
    world.apply(manifest)
    generation = world.get(name)["metadata"]["generation"]
    return world.until(
        lambda status: (
            rollout(status) == "SUCCESSFUL" and status["observedGeneration"] >= generation
        ),
        name,
        PATIENCE,
    )


@contextmanager
def running(lab: Lab, name: str, manifest: Object | None = None) -> Iterator[Trial]:
    """Run a trial in which a good revision of an object has completed already."""
    with lab.trial(name) as trial:
        complete(trial, manifest or good())
        yield trial


def ends(trial: Trial, state: str, rollbacks: int, name: str = "web", **more: Any) -> None:
    """Wait until a story is over, all of it, and hold everything against the rules.

    Args:
        trial: Where it happens.
        state: How it must end.
        rollbacks: How many there must have been.
        name: Of the object.
        more: What else is expected of it.
    """
    trial.world.until_rollout(state, name, PATIENCE)
    trial.until_quiet()
    trial.check(**{name: Expected(rollbacks=rollbacks, **more)})


def there_and_back(trial: Trial, name: str = "web") -> None:
    """A good revision, a bad one, the trip at exactly eight failures, and back."""
    complete(trial, good(name))
    trial.world.apply(bad(name))
    trial.world.until_rollout("ROLLBACK_SUCCESSFUL", name, PATIENCE)


def exactly(name: str = "web") -> dict[str, Expected]:
    """What must have been seen of :func:`there_and_back`."""
    return {name: Expected(rollbacks=1, failed={2: QUICK})}


def counted(trial: Trial, name: str = "web") -> int:
    """The same, with as much time as it takes: first every failure is counted, then it trips.

    A failure that was lost would keep the count below what is to be seen, for ever.
    """
    complete(trial, good(name))
    trial.world.apply(bad(name, threshold=1000))
    trial.until(lambda: _counts(trial, name) and trial.world.status(name))
    seen = recount(trial, name)
    trial.world.apply(bad(name))
    ends(trial, "ROLLBACK_SUCCESSFUL", 1, name)
    return seen


def _counts(trial: Trial, name: str) -> bool:
    seen = recount(trial, name)
    told = trial.world.status(name).get("circuitBreaker", {}).get("failureCount")
    return seen >= QUICK and told == seen == recount(trial, name)


def recount(trial: Trial, name: str, revision: int = 2) -> int:
    """Count the failures that the pods of a revision show now."""
    sets = trial.latest(SETS)
    wanted = {
        uid["metadata"]["uid"]
        for uid in sets.values()
        if uid["metadata"]["annotations"].get("tripswitch.dev/revision") == str(revision)
        and uid["metadata"]["ownerReferences"][0]["name"] == name
    }
    return sum(
        visible_failures(pod)
        for pod in trial.latest(PODS).values()
        if pod["metadata"]["ownerReferences"][0]["uid"] in wanted
    )
