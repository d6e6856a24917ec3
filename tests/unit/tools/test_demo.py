"""The demo shows the trip and its cause, however fast the rollback is and however late events come."""

from __future__ import annotations

from typing import Any

import pytest

from tools.demo.acts import Demo, DemoError, Place
from tools.demo.current import CRASH, Context, use_image
from tools.demo.feed import Object

PLACE = Place(lambda *_, **__: "", [], "demo", lambda _: None)
CAUSE = "3 failures (threshold 3): container web exited 2 (x3)"


class ScriptedFeed:
    """A feed of changes that are known beforehand."""

    def __init__(self, changes: list[Object]) -> None:
        self._changes = iter(changes)

    def next(self, seconds: float) -> Object | None:
        """Return the next one; None at the end."""
        return next(self._changes, None)


def rollout(
    state: str, revision: int, generation: int = 2, observed: int | None = None, **more: Any
) -> Object:
    status = {
        "observedGeneration": observed or generation,
        "rollout": {"status": state, "revision": revision, "message": CAUSE},
        "circuitBreaker": {"stage": "LAUNCH", "summary": "0/3"},
        "revisions": [{"revision": 1, "healthy": 4}],
        "rolloutState": "FAILED",
        **more,
    }
    metadata = {"name": "web", "generation": generation}
    return changed({"kind": "GuardedDeployment", "metadata": metadata, "status": status})


def event(reason: str, message: str = "") -> Object:
    return changed(
        {
            "kind": "Event",
            "type": "Warning",
            "metadata": {"name": reason},
            "involvedObject": {"name": "web"},
            "reason": reason,
            "message": message,
        }
    )


def pod(number: int, *, ready: bool = True) -> Object:
    metadata = {"name": f"web-{number}", "labels": {"app": "web"}}
    condition = {"type": "Ready", "status": str(ready)}
    return changed({"kind": "Pod", "metadata": metadata, "status": {"conditions": [condition]}})


def changed(found: Object) -> Object:
    return {"type": "MODIFIED", "object": found}


PODS = [pod(number) for number in range(4)]
GOOD = [*PODS, rollout("SUCCESSFUL", 1, 1), event("RolloutCompleted")]
TURN = [
    rollout("IN_PROGRESS", 2),
    rollout("ROLLBACK_IN_PROGRESS", 1),
    rollout("ROLLBACK_SUCCESSFUL", 1),
]
TOLD = [
    event("CircuitBreakerTriggered", CAUSE),
    event("RollbackStarted"),
    event("RollbackCompleted"),
]


def play(changes: list[Object]) -> None:
    demo = Demo(PLACE, ScriptedFeed(changes))
    demo.good()
    demo.bad()


@pytest.mark.parametrize("changes", [TURN + TOLD, TOLD + TURN], ids=["late events", "early events"])
def test_the_trip_and_its_cause_are_always_shown(
    changes: list[Object], capsys: pytest.CaptureFixture[str]
) -> None:
    play(GOOD + changes)
    printed = capsys.readouterr().out
    assert "ROLLBACK_IN_PROGRESS 1" in printed
    assert f"Warning CircuitBreakerTriggered: {CAUSE}" in printed
    assert f"cause, as status has it:        {CAUSE}" in printed


def test_an_act_shows_nothing_of_the_object_of_another_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status and events of an earlier act may come when the next one has begun."""
    late = rollout("FAILED", 1), event("RolloutStalled", "of the first one")
    for change in late:
        found = change["object"]
        found.get("involvedObject", found["metadata"])["name"] = "first"
    play([*late, *GOOD, *TURN, *TOLD])
    printed = capsys.readouterr().out
    assert "SUCCESSFUL           1" in printed
    assert "FAILED  " not in printed
    assert "of the first one" not in printed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (TURN, "events.*CircuitBreakerTriggered"),
        (TOLD + TURN[:-1], "web did not become ROLLBACK_SUCCESSFUL"),
        ([*TURN, pod(0, ready=False), pod(0), *TOLD], "healthy pods were lost"),
        (
            [*TURN[:-1], rollout("ROLLBACK_SUCCESSFUL", 1, rolloutState="COMPLETED"), *TOLD],
            "not back",
        ),
        ([rollout("ROLLBACK_SUCCESSFUL", 1, observed=1), *TOLD], "did not become"),
    ],
    ids=["no events", "no rollback", "a lost pod", "a success", "of an earlier template"],
)
def test_what_does_not_happen_fails_the_demo(changes: list[Object], words: str) -> None:
    with pytest.raises(DemoError, match=words):
        play(GOOD + changes)


@pytest.mark.parametrize(
    ("name", "server", "local"),
    [
        ("any", "https://127.0.0.1:6443", True),
        ("any", "https://[::1]:6443", True),
        ("any", "https://0.0.0.0:6443", True),
        ("docker-desktop", "https://kubernetes.docker.internal:6443", True),
        ("minikube", "https://192.168.49.2:8443", True),
        ("prod", "https://192.168.49.2:8443", False),
        ("prod", "https://prod.example.com", False),
        ("kind-prod", "https://prod.example.com", False),
        ("minikube", "https://52.95.110.1:8443", False),
    ],
)
def test_only_clusters_of_this_machine_are_used_without_a_question(
    name: str, server: str, *, local: bool
) -> None:
    assert Context(name, server).is_local is local


def test_the_images_name_is_the_only_thing_that_a_sample_needs() -> None:
    """The crash stays a crash, and what cannot start does not ask a registry."""
    container: Object = {"image": "nginx:1", "command": ["sh"], "readinessProbe": {}, "ports": []}
    template = {"metadata": {"annotations": {}}, "spec": {"containers": [container]}}
    use_image({"spec": {"template": template}}, "own:2")
    assert (container["image"], container["command"]) == ("own:2", ["sh", "-c", CRASH])
    container |= {"image": "nginx:no-such-tag"}
    del container["command"]
    use_image({"spec": {"template": template}}, "own:2")
    assert container["image"] == "own:2"
    assert container["envFrom"] == [{"configMapRef": {"name": "no-such-config"}}]
