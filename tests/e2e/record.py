"""Records the objects that the Argo CD check is tested on: ``python -m tests.e2e.record``.

Real ones, from a real API server with the operator at work; only what changes from run to run and says
nothing about health is left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.e2e.namespace import Namespace, conditions, guarded
from tests.support.environment import start_environment, stop_environment

RECORDED = Path(__file__).parent / "recorded"


def save(name: str, found: dict[str, Any]) -> None:
    """Write one object."""
    for noise in ("managedFields", "annotations", "uid", "resourceVersion"):
        found["metadata"].pop(noise, None)
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{name}.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(name)


def main() -> int:
    """Bring a GuardedDeployment into each state, and write what the API server has of it."""
    environment = start_environment("kwok", Path(tempfile.mkdtemp(prefix="tripswitch-record-")))
    try:
        environment.kubectl("create", "namespace", "shop")
        world = Namespace(environment, "shop")
        _record_rollout(world)
        _record_trips(world)
        _record_losses(world)
    finally:
        stop_environment(environment)
    return 0


def _answer(world: Namespace, verb: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the API server answers to a write, before the operator has seen it."""
    said = world.kubectl(verb, "--filename=-", "--output=json", stdin=json.dumps(manifest))
    found: dict[str, Any] = json.loads(said)
    return found


def _record_rollout(world: Namespace) -> None:
    save("just-created", _answer(world, "create", guarded("unseen", paused=True)))
    world.apply(guarded(image="web:1", behaviour="slow-start"))
    world.until(lambda status: status["rollout"]["status"] == "IN_PROGRESS")
    save("in-progress", world.get())
    world.until_rollout("SUCCESSFUL")
    save("completed", world.get())
    changed = guarded(image="web:2", behaviour="slow-start")
    save("changed-and-not-seen-yet", _answer(world, "apply", changed))
    world.until(lambda status: status["rollout"]["revision"] == 2)


def _record_trips(world: Namespace) -> None:
    # No surge is left for the old pods, so that their return takes a while.
    bounds = {"minimumHealthyPercent": 0, "maximumPercent": 100}
    slow = guarded("slow", image="web:1", behaviour="slow-start", configuration=bounds)
    world.completed(slow)
    world.apply(guarded("slow", image="web:2", behaviour="crash", configuration=bounds))
    world.until_rollout("ROLLBACK_IN_PROGRESS", "slow")
    save("rolling-back", world.get("slow"))
    world.until_rollout("ROLLBACK_SUCCESSFUL", "slow")
    save("rolled-back", world.get("slow"))
    world.apply(guarded("first", behaviour="image-pull"))
    world.until_rollout("FAILED", "first")
    save("stalled", world.get("first"))
    world.apply(guarded(image="web:3", paused=True))
    world.until(lambda status: conditions(status)["Progressing"]["reason"] == "Paused")
    save("paused", world.get())


def _record_losses(world: Namespace) -> None:
    world.completed(guarded("lost", behaviour="slow-start"))
    names = [pod.metadata.name for pod in world.pods("lost")[:2]]
    world.kubectl("delete", "pod", *names, "--wait=false")
    world.until(lambda status: conditions(status)["Ready"]["status"] == "False", "lost")
    save("pods-lost", world.get("lost"))


if __name__ == "__main__":
    sys.exit(main())
