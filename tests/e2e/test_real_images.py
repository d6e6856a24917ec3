"""Every image, on a real kubelet: trips or not, with the right words, and nobody notices."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest

from tests.e2e.namespace import VERDICT_SECONDS, Namespace, conditions, revision, rollout
from tests.e2e.prober import Prober
from tests.e2e.real import BAD, GOOD, NEXT, PATIENCE, STARTUP, Bad, service, threshold
from tools.cluster.images import IMAGES

REPLICAS = pytest.mark.parametrize("replicas", [1, 4, 10])


@REPLICAS
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_image_trips_and_the_last_completed_revision_serves_on(
    world: Namespace, bad: Bad, replicas: int, tmp_path: Path
) -> None:
    """The seed's section 6: not one request fails with minimumHealthyPercent 100.

    And a person is told why: in the status, in an event, and in what the plugin shows.
    """
    verdicts = math.ceil(threshold(replicas) / replicas) if bad.reason == "NotReadyInTime" else 0
    patience = PATIENCE + verdicts * VERDICT_SECONDS
    world.completed(service(replicas), PATIENCE)
    with Prober(world, GOOD) as prober:
        applied = time.monotonic()
        world.apply(bad.manifest(replicas))
        status = world.until(lambda s: rollout(s).startswith("ROLLBACK"), seconds=patience)
        tripped = time.monotonic()
        status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
        restored = time.monotonic()
    _note_times(world, bad.name, replicas, tripped - applied, restored - tripped)
    prober.assert_everybody_was_served(at_least=replicas)
    failed = revision(status, 2)
    shown = [f for f in status["circuitBreaker"]["failures"] if f["revision"] == 2]
    assert (bad.kind, bad.reason, bad.container) in {
        (f["kind"], f["reason"], f.get("container")) for f in shown
    }
    # More than the threshold only by what came in the last look: one for each new pod at most.
    assert threshold(replicas) <= failed["failedTasks"] < threshold(replicas) + replicas
    assert failed["failedTasks"] == sum(f["count"] for f in shown)
    assert failed["rolloutState"] == "FAILED"
    assert status["rollout"]["revision"] == status["lastCompletedRevision"] == 1
    assert status["rolloutState"] == "FAILED"
    assert conditions(status)["Available"]["status"] == "True"
    assert world.until_event("CircuitBreakerTriggered")
    world.until_true(lambda: {p.spec.containers[0].image for p in world.pods()} == {GOOD})
    if replicas == 4:
        _assert_the_cause_is_told(world, bad, tmp_path)


def _assert_the_cause_is_told(world: Namespace, bad: Bad, directory: Path) -> None:
    """Evidence is looked for in the background: each place says it sooner or later."""
    told = lambda text: all(word in text for word in bad.words)  # noqa: E731
    world.until(lambda status: told(status["rolloutStateReason"]))
    world.until(lambda status: told(json.dumps(conditions(status)["Stalled"])))
    failed = ("PodLaunchFailed", "PodHealthCheckFailed")
    world.until_true(
        lambda: any(told(words) for reason, words in world.events() if reason in failed)
    )
    shown = world.plugin(directory)("tripswitch", "status", "web")
    assert told(shown), shown


@REPLICAS
@pytest.mark.parametrize("image", ["server-next", "slow-starter"])
def test_a_good_image_completes_and_nothing_counts(
    world: Namespace, image: str, replicas: int
) -> None:
    """Slow starters have a startup probe, within which they may take their time."""
    world.completed(service(replicas), PATIENCE)
    wanted = IMAGES[image].reference
    new = service(
        replicas, wanted, **({"startupProbe": STARTUP} if image == "slow-starter" else {})
    )
    with Prober(world, GOOD, wanted) as prober:
        applied = time.monotonic()
        status = world.completed(new, PATIENCE)
        completed = time.monotonic()
    _note_times(world, image, replicas, None, completed - applied)
    prober.assert_everybody_was_served(at_least=replicas)
    assert status["circuitBreaker"]["failureCount"] == 0
    assert revision(status, 2)["failedTasks"] == 0
    assert status["lastCompletedRevision"] == 2


def test_a_good_image_after_a_trip_completes(world: Namespace) -> None:
    """The seed's developer corrects the mistake."""
    world.completed(service(2), PATIENCE)
    world.apply(next(bad for bad in BAD if bad.name == "seed-exit-2").manifest(2))
    world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    status = world.completed(service(2, NEXT), PATIENCE)
    assert status["lastCompletedRevision"] == 3
    assert conditions(status)["Ready"]["status"] == "True"


def test_a_first_image_that_is_bad_stalls(world: Namespace) -> None:
    """B3: there is nothing to go back to, and nothing more is launched."""
    world.apply(BAD[0].manifest(4))
    status = world.until_rollout("FAILED", seconds=PATIENCE)
    assert conditions(status)["Stalled"]["reason"] == "NoCompletedRevision"
    world.until_true(lambda: not world.pods())


def _note_times(
    world: Namespace, name: str, replicas: int, trip: float | None, restored: float
) -> None:
    """Keep what was measured; the end of the run shows it as a table."""
    line = {"image": name, "replicas": replicas, "trip": trip, "restored": restored}
    with world.environment.times.open("a") as times:
        times.write(json.dumps(line) + "\n")
