"""Rules R4 and R7 on the cluster: the same object, scaled while its rollout is held, stalled or aborted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.namespace import FAST_PROBE, Namespace, Object, conditions, guarded, rollout

CASE = Path(__file__).parents[3] / "shared" / "cases" / "frozen-size.yaml"


def read_case(name: str) -> Object:
    """Return the object of the field case; one that is alike where the file is not there."""
    if CASE.exists():
        found: Object = yaml.safe_load(CASE.read_text())
        [container] = found["spec"]["template"]["spec"]["containers"]
        container["readinessProbe"] = FAST_PROBE  # simulated pods answer on any port
    else:
        found = guarded(replicas=4)
    found["metadata"]["name"] = name
    found["spec"]["selector"]["matchLabels"] = {"app": name}
    found["spec"]["template"]["metadata"]["labels"] = {"app": name}
    return found


def change(manifest: Object, behaviour: str, **configuration: Any) -> Object:
    """Return the object with a template whose simulated pods show a behaviour."""
    annotations = {"stage.tripswitch.dev/behaviour": behaviour}
    manifest["spec"]["template"]["metadata"]["annotations"] = annotations
    manifest["spec"]["deploymentConfiguration"] = {"deploymentCircuitBreaker": configuration}
    return manifest


def pause(world: Namespace) -> None:
    world.apply(change(read_case("web"), "never-ready"))
    world.until_rollout("IN_PROGRESS")
    world.until_true(lambda: sizes(world) == [4, 4])
    world.patch("web", {"spec": {"paused": True}})
    world.until(lambda status: conditions(status)["Progressing"]["reason"] == "Paused")


def abort(world: Namespace) -> None:
    world.apply(change(read_case("web"), "never-ready"))
    world.until_rollout("IN_PROGRESS")
    world.annotate("web", "stop", "2/ABORT")
    world.until_rollout("STOPPED")


def stall(world: Namespace) -> None:
    world.apply(change(read_case("web"), "image-pull", rollback=False))
    world.until_rollout("FAILED")


def sizes(world: Namespace) -> list[int]:
    """Return the sizes of the ReplicaSets, older revision first."""
    found = world.replica_sets().values()
    ranked = sorted(found, key=lambda rs: int(rs.metadata.annotations["tripswitch.dev/revision"]))
    return [rs.spec.replicas for rs in ranked]


@pytest.mark.parametrize(
    ("hold", "large", "small"),
    [
        pytest.param(pause, [12, 12], [1, 1], id="paused"),
        pytest.param(abort, [12, 0], [1, 0], id="aborted"),
        pytest.param(stall, [12, 0], [1, 0], id="stalled"),
    ],
)
def test_a_rollout_that_does_not_go_on_is_scaled_all_the_same(
    world: Namespace, hold: Any, large: list[int], small: list[int]
) -> None:
    """R7: 4 -> 12 -> 1 -> 12, as the Deployment beside it."""
    world.completed(read_case("web"))
    hold(world)
    state = rollout(world.status())
    for replicas, wanted in ((12, large), (1, small), (12, large)):
        world.kubectl("scale", "gdeploy/web", f"--replicas={replicas}")
        world.until_true(lambda wanted=wanted: sizes(world) == wanted)  # type: ignore[misc]
        status = world.until(lambda status, n=replicas: status["availableReplicas"] == n)  # type: ignore[misc]
        assert rollout(status) == state


def test_a_first_rollout_that_stalled_says_that_its_size_is_frozen(world: Namespace) -> None:
    """R7: nothing has completed that could grow."""
    world.apply(change(read_case("web"), "image-pull"))
    world.until_rollout("FAILED")
    world.kubectl("scale", "gdeploy/web", "--replicas=12")
    status = world.until(lambda status: "stays at 0 of 12 pods" in status["rolloutStateReason"])
    assert "stays at 0 of 12 pods" in conditions(status)["Available"]["message"]
