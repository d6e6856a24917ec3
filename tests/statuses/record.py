"""Records statuses from a real control plane: ``python -m tests.statuses.record tests/statuses/vX.Y.Z``.

Run once for each release that changes the shape of the status, and never again for that release: what a
version has written is what users have in their clusters.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.namespace import Namespace, breaker, conditions, guarded, rollout
from tests.support.environment import Environment
from tools.cluster.control_plane import ControlPlane
from tools.operator_process import OperatorProcess, install, write_kubeconfig

COUNT_1000 = {"thresholdConfiguration": {"type": "COUNT", "value": 1000}}
NO_SURGE = {"minimumHealthyPercent": 0, "maximumPercent": 100}
LOST_VOLUME = [{"name": "nowhere", "mountPath": "/data"}]

Story = Callable[[Namespace, str], object]


def rolled_back(world: Namespace, name: str) -> None:
    """A bad second revision, and the first one back."""
    world.completed(guarded(name))
    world.apply(guarded(name, behaviour="crash"))
    world.until_rollout("ROLLBACK_SUCCESSFUL", name)


def stalled(world: Namespace, name: str) -> None:
    """A bad first revision."""
    world.apply(guarded(name, behaviour="image-pull"))
    world.until_rollout("FAILED", name)
    world.until_true(lambda: not world.pods(name))


def not_rolled_back(world: Namespace, name: str) -> None:
    """A bad second revision, and no rollback wanted."""
    off = breaker(rollback=False)
    world.completed(guarded(name, configuration=off))
    world.apply(guarded(name, configuration=off, behaviour="crash"))
    world.until_rollout("FAILED", name)
    world.until(lambda status: status["revisions"][0]["desired"] == 0, name)


def aborted(world: Namespace, name: str) -> None:
    """A rollout that a person has stopped."""
    world.completed(guarded(name))
    world.apply(guarded(name, behaviour="never-ready", configuration=breaker(**COUNT_1000)))
    world.until(lambda status: status["desiredRevision"] == 2, name)
    world.annotate(name, "stop", "2/ABORT")
    world.until_rollout("STOPPED", name)
    world.until_true(lambda: len(world.pods(name)) == 4)


def refused(world: Namespace, name: str) -> None:
    """A template that the API server does not accept."""
    world.completed(guarded(name))
    bad = guarded(name, image="web:2")
    bad["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = LOST_VOLUME
    world.apply(bad)
    world.until(
        lambda status: conditions(status)["Progressing"]["reason"] == "ReplicaSetCreateError", name
    )


def corrected(world: Namespace, name: str) -> None:
    """A third revision after a rollback."""
    rolled_back(world, name)
    world.completed(guarded(name, image="web:3"))


def paused(world: Namespace, name: str) -> None:
    """A second revision that waits for its user."""
    world.completed(guarded(name))
    world.apply(guarded(name, image="web:2", paused=True))
    world.until(lambda status: status["observedGeneration"] == 2, name)


def counting(world: Namespace, name: str) -> None:
    """A crash loop that is far from its threshold."""
    many = breaker(**COUNT_1000)
    world.completed(guarded(name, configuration=many))
    world.apply(guarded(name, configuration=many, behaviour="crash"))
    world.until(lambda status: status["circuitBreaker"]["failureCount"] >= 6, name)


def unhealthy(world: Namespace, name: str) -> None:
    """Pods that run and never are Ready."""
    many = breaker(**COUNT_1000)
    world.apply(guarded(name, configuration=many, behaviour="never-ready"))
    world.until(lambda status: status["circuitBreaker"]["failureCount"] >= 2, name)


def rolling_back(world: Namespace, name: str) -> None:
    """A rollback whose pods are slow to start."""
    world.completed(guarded(name, behaviour="slow-start", configuration=NO_SURGE))
    world.apply(guarded(name, behaviour="crash", image="web:2", configuration=NO_SURGE))
    world.until_rollout("ROLLBACK_IN_PROGRESS", name)


def waiting(world: Namespace, name: str) -> None:
    """Pods that fit on no node."""
    world.apply(guarded(name, pod={"nodeSelector": {"no": "such-node"}}))
    world.until(lambda status: status["replicas"] == 4, name)


SETTLED: dict[str, Story] = {
    "completed": lambda world, name: world.completed(guarded(name)),
    "zero": lambda world, name: world.completed(guarded(name, replicas=0)),
    "disabled": lambda world, name: world.completed(
        guarded(name, configuration=breaker(enable=False))
    ),
    "rolled-back": rolled_back,
    "stalled": stalled,
    "not-rolled-back": not_rolled_back,
    "aborted": aborted,
    "corrected": corrected,
    "paused": paused,
}
"""Stories at whose end nothing more is to be done."""

UNDER_WAY: dict[str, Story] = {
    "refused": refused,  # a new process asks again
    "waiting": waiting,
    "counting": counting,
    "unhealthy": unhealthy,
    "rolling-back": rolling_back,
}
"""Stories that are cut short in the middle: the operator is stopped there."""


def record(directory: Path) -> None:
    """Play every story, stop the operator, and write what the API server holds then."""
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        with ControlPlane(here / "cluster") as cluster:
            cluster.add_nodes(2)
            install(cluster.kubectl)
            rights = write_kubeconfig(cluster.kubectl, here / "operator.kubeconfig")
            paths = (str(cluster.kubeconfig), str(cluster.kubectl_path), str(here))
            world = Namespace(Environment("kwok", *paths), "default")
            with OperatorProcess(rights, here / "operator.log"):
                for name, story in (SETTLED | UNDER_WAY).items():
                    story(world, name)
                    print(name, rollout(world.status(name)))
            now = round(time.time(), 3)
            directory.mkdir(parents=True, exist_ok=True)
            for name in SETTLED | UNDER_WAY:
                recorded = {"recordedAt": now, "settled": name in SETTLED, **_read(world, name)}
                text = json.dumps(recorded, indent=1, sort_keys=True)
                (directory / f"{name}.json").write_text(text + "\n")


def _read(world: Namespace, name: str) -> dict[str, Any]:
    def of(kind: str) -> list[Any]:
        found = world.kubectl("get", kind, f"--selector=app={name}", "--output=json")
        return [_strip(item) for item in json.loads(found)["items"]]

    return {"guarded": _strip(world.get(name)), "replicaSets": of("rs"), "pods": of("pods")}


def _strip(raw: dict[str, Any]) -> dict[str, Any]:
    raw["metadata"].pop("managedFields", None)
    annotations = raw["metadata"].get("annotations", {})
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return raw


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.statuses.record")
    parser.add_argument("directory", type=Path)
    record(parser.parse_args().directory)
