"""Faults of the cluster around the operator, and other people's hands in it."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from tests.e2e.namespace import GROUP as API
from tests.e2e.namespace import PLURAL, VERSION, Namespace, conditions, rollout
from tests.faults.catalog import scenario
from tests.faults.judge import Expected
from tests.faults.lab import PATIENCE, Lab, Trial
from tests.faults.stories import (
    bad,
    complete,
    count,
    counted,
    ends,
    exactly,
    good,
    patient,
    running,
    there_and_back,
)
from tools.cluster.audit import GUARDED, PODS
from tools.cluster.behaviours import BEHAVIOUR, DELAY

GROUP = "The cluster around it"
EXACT = "every failure counted once, one trip, one rollback"
HELD_BACK = 2.0
"""An event of the last second is still on its way when the namespace is gone, in seconds."""


def _restarted(program: str) -> None:
    @scenario(GROUP, f"{program} killed with -9 and started again, twice", EXACT, alone=True)
    def attempt(lab: Lab, run: int) -> str:
        with running(lab, f"{program} restarted") as trial:
            trial.world.apply(bad())
            trial.until(lambda: trial.world.status()["rollout"]["revision"] == 2)
            _restart(lab, program)
            trial.world.until_true(lambda: _state(trial.world) == "ROLLBACK_SUCCESSFUL", PATIENCE)
            _restart(lab, program)
            seen = counted(trial, "api")
            trial.check(web=Expected(rollbacks=1))
            return (
                f"{seen} failures counted, rolled back; {trial.kept.ends} restarts of the operator"
            )


def _restart(lab: Lab, program: str) -> None:
    """Start it anew, and the simulated kubelet after it.

    That one gives a pod up for good when its status is answered with 500; a real one tries again.
    """
    lab.cluster.restart(program)
    lab.cluster.restart("kwok")


def _state(world: Namespace) -> str:
    """Return the rollout's status, also while the API server comes and goes."""
    try:
        return rollout(world.status())
    except Exception:  # noqa: BLE001 - whatever the client says while nobody answers
        return ""


_restarted("kube-apiserver")
_restarted("etcd")


@scenario(
    GROUP,
    "kube-controller-manager away for a minute in the middle of a rollout",
    "nothing is counted, nothing trips; the rollout goes on",
    alone=True,
)
def no_controllers(lab: Lab, run: int) -> str:
    """Nobody makes pods from ReplicaSets meanwhile."""
    with running(lab, "no controllers") as trial:
        lab.cluster.pause("kube-controller-manager")
        try:
            trial.world.apply(good(image="web:3"))
            time.sleep(60)
            assert rollout(trial.world.status()) == "IN_PROGRESS"
            assert trial.world.status()["circuitBreaker"]["failureCount"] == 0
        finally:
            lab.cluster.resume("kube-controller-manager")
        ends(trial, "SUCCESSFUL", 0)
        return "0 failures counted; completed when it was back"


@scenario(
    GROUP,
    "deleted and made again under the same name in the middle of a rollout",
    "the new one begins anew, and the old one's failures are not its own",
    runs=3,
    ci=1,
)
def made_again(lab: Lab, run: int) -> str:
    """Same name, same template, another UID."""
    with running(lab, "made again") as trial:
        trial.world.apply(bad(threshold=1000))
        trial.until(lambda: trial.world.status()["circuitBreaker"]["failureCount"] >= 1 + run)
        trial.world.kubectl("delete", "gdeploy/web", "--wait=false")
        trial.world.kubectl("wait", "--for=delete", "gdeploy/web", "--timeout=60s")
        complete(trial, good())
        status = trial.world.status()
        assert status["rollout"]["kind"] == "DEPLOY"
        assert status["circuitBreaker"]["failureCount"] == 0
        trial.world.apply(bad())
        ends(trial, "ROLLBACK_SUCCESSFUL", 1, disturbed=True)
        return "the new one completed, then tripped by its own 8 failures"


@scenario(
    GROUP,
    "ReplicaSets edited by someone else: scaled, marks taken away, owner taken away, deleted",
    "sizes, owner and ReplicaSet come back; the object ends where it was told to",
    runs=2,
    ci=1,
)
def edited(lab: Lab, run: int) -> str:
    """Every edit that a person with rights on ReplicaSets can make."""
    with running(lab, "edited") as trial:
        world = trial.world
        (name,) = world.replica_sets()
        world.kubectl("scale", f"replicaset/{name}", "--replicas=1")
        trial.until(lambda: world.replica_sets()[name].spec.replicas == 4)
        for mark in ("template-digest", "completed-at", "revision"):
            world.kubectl("annotate", f"replicaset/{name}", f"tripswitch.dev/{mark}-")
        trial.until_quiet()
        assert world.status()["lastCompletedRevision"] == 1
        world.kubectl(
            "patch", f"replicaset/{name}", "--type=json", "--patch",
            '[{"op": "remove", "path": "/metadata/ownerReferences"}]',
        )  # fmt: skip
        trial.until(lambda: world.replica_sets()[name].metadata.owner_references)
        world.kubectl("delete", f"replicaset/{name}", "--wait=true")
        trial.until(lambda: world.status().get("availableReplicas") == 4)
        there_and_back(trial, "api")
        trial.until_quiet()
        trial.check(web=Expected(rollbacks=0, disturbed=True), **exactly("api"))
        return "undone; completed revision kept; another object beside it as ever"


@scenario(
    GROUP, "a namespace deleted in the middle of a rollout", "few writes, and the rest is served"
)
def namespace_deleted(lab: Lab, run: int) -> str:
    """Creations are refused there until everything is gone."""
    with running(lab, "namespace deleted") as trial:
        trial.world.apply(bad(threshold=1000))
        trial.until(lambda: trial.world.status()["circuitBreaker"]["failureCount"] >= 1)
        before = trial.writes()
        trial.world.kubectl("delete", "namespace", trial.world.namespace, "--wait=true")
        time.sleep(HELD_BACK)
        after = trial.writes() - before
        assert after < 60, f"{after} writes into a namespace that is being deleted"
        time.sleep(3)
        assert trial.writes() - before == after, "it still writes"
        assert 'name="web"' not in trial.operator.metrics()
        return f"{after} writes until it was gone, none afterwards"


@scenario(
    GROUP,
    "quota exhausted, and raised",
    "shown in the quota's words, nothing counted; completes when it is raised",
    ci=1,
)
def quota(lab: Lab, run: int) -> str:
    """F5: the ReplicaSet cannot create pods. Nobody's fault but the quota's."""
    with running(lab, "quota") as trial:
        world = trial.world
        world.kubectl("create", "quota", "few", "--hard=pods=5")
        trial.until(lambda: "used" in world.kubectl("get", "quota/few", "--output=yaml"))
        world.apply(good(image="web:3"))
        shown = world.until(
            lambda status: "quota" in json.dumps(conditions(status)), seconds=PATIENCE
        )
        assert shown["circuitBreaker"]["failureCount"] == 0
        world.kubectl("patch", "quota/few", "--patch", '{"spec": {"hard": {"pods": "50"}}}')
        ends(trial, "SUCCESSFUL", 0)
        return "shown, 0 failures counted, completed"


@scenario(
    GROUP,
    "100 objects tripping in the same second",
    "100 trips, 100 rollbacks, each with its own exact count",
)
def hundred(lab: Lab, run: int) -> str:
    """One operator, one moment. Two pods each: four failures within 2.5 s."""
    names = [f"web-{number}" for number in range(100)]
    with lab.trial("hundred") as trial:
        _create_all(trial.world, [_small(name) for name in names])
        trial.until(lambda: _all(trial, names, "SUCCESSFUL"))
        began = time.monotonic()
        for name in names:
            trial.world.patch(
                name, {"spec": {"template": _small(name, "crash")["spec"]["template"]}}
            )
        trial.until(lambda: _all(trial, names, "ROLLBACK_SUCCESSFUL"))
        took = time.monotonic() - began
        trial.until_quiet()
        trial.check(**{name: Expected(rollbacks=1, failed={2: 4}) for name in names})
        return f"100 tripped and rolled back within {took:.0f} s of the apply"


def _small(name: str, behaviour: str | None = None) -> dict[str, Any]:
    image = "web:2" if behaviour else "web:1"
    manifest = patient(name, 2, behaviour, image=image, configuration=count(4))
    manifest["spec"]["template"]["metadata"]["annotations"] |= {DELAY: "1h"} if behaviour else {}
    return manifest


def _create_all(world: Namespace, manifests: list[dict[str, Any]]) -> None:
    for manifest in manifests:
        world.custom.create_namespaced_custom_object(
            API, VERSION, world.namespace, PLURAL, manifest
        )


def _all(trial: Trial, names: list[str], wanted: str) -> bool:
    found = trial.latest(GUARDED)
    states = [found.get(name, {}).get("status", {}).get("rollout", {}) for name in names]
    return all(state.get("status") == wanted for state in states)


@scenario(
    GROUP,
    "a node drained during a good rollout of 100 pods, ten times in each run",
    "zero failures counted, zero trips",
    runs=5,
    alone=True,
)
def drained(lab: Lab, run: int) -> str:
    """The eviction API, as `kubectl drain` and every autoscaler use it."""
    return _drain(lab, 100, rounds=10)


@scenario(
    GROUP,
    "a node drained during a good rollout of 12 pods",
    "zero failures counted, zero trips",
    ci=1,
    alone=True,
)
def drained_small(lab: Lab, run: int) -> str:
    """The same, small enough to run before every change."""
    return _drain(lab, 12, rounds=1)


def _drain(lab: Lab, replicas: int, rounds: int) -> str:
    evicted = 0
    with running(lab, "drained", patient("web", replicas, image="web:1")) as trial:
        for number in range(rounds):
            evicted += _drain_once(trial, patient("web", replicas, image=f"web:{number + 2}"))
        status = trial.world.status()
        assert status["lastCompletedRevision"] == rounds + 1
        assert all(revision["failedTasks"] == 0 for revision in status["revisions"])
        trial.check(web=Expected(rollbacks=0, disturbed=True))
    return f"{rounds} drains, pods evicted, 0 failures, all completed" if evicted else ""


def _drain_once(trial: Trial, manifest: dict[str, Any]) -> int:
    """Apply a good revision, drain a node in the middle; return how many pods that evicted."""
    world, node = trial.world, "node-1"
    world.apply(manifest)
    generation = world.get()["metadata"]["generation"]
    trial.until(lambda: world.status()["observedGeneration"] >= generation)
    words = ("drain", node, "--ignore-daemonsets", "--force", "--timeout=120s")
    draining = threading.Thread(target=world.kubectl, args=words)
    draining.start()
    try:
        world.until(
            lambda status: (
                rollout(status) == "SUCCESSFUL" and status["observedGeneration"] >= generation
            ),
            seconds=PATIENCE,
        )
    finally:
        draining.join()
        world.kubectl("uncordon", node)
    told = {"DisruptionTarget"}
    return sum(
        one.kind == PODS
        and bool(told & {c["type"] for c in one.raw["status"].get("conditions", [])})
        for one in trial.story()
    )


@scenario(
    GROUP,
    "an image that is pushed too late, the default policy",
    "`not found` counts (F5), so it trips and goes back; `retry` completes it later",
)
def image_late(lab: Lab, run: int) -> str:
    """Documented: the breaker cannot know a late image from a wrong name. No healthy pod is lost."""
    with running(lab, "image late") as trial:
        world = trial.world
        manifest = good(image="web:3")
        manifest["spec"]["template"]["metadata"]["annotations"] = {BEHAVIOUR: "image-pull"}
        world.apply(manifest)
        ends(trial, "ROLLBACK_SUCCESSFUL", 1)
        manifest["metadata"]["annotations"] = {"tripswitch.dev/retry": "1"}
        manifest["spec"]["deploymentConfiguration"] = count(1000)
        world.apply(manifest)
        trial.until(lambda: len(_ill(world)) == 4)
        _cure(world)
        ends(trial, "SUCCESSFUL", 1)
        return "tripped and rolled back, no healthy pod lost; `retry` completed it"


def _registry_down(words: str, behaviour: str, **more: Any) -> None:
    @scenario(
        GROUP,
        f"{words} for five minutes during a good rollout",
        "nothing is counted; the rollout waits, and completes when it is back",
        waits=True,
    )
    def attempt(lab: Lab, run: int) -> str:
        """The progress deadline bounds the wait."""
        with running(lab, words) as trial:
            world = trial.world
            configuration = count(1, **more)
            manifest = patient("web", 4, behaviour, image="web:3", configuration=configuration)
            world.apply(manifest)
            trial.until(lambda: len(_ill(world)) == 4)
            time.sleep(300)
            status = world.status()
            assert rollout(status) == "IN_PROGRESS"
            assert status["circuitBreaker"]["failureCount"] == 0
            _cure(world)
            ends(trial, "SUCCESSFUL", 0)
            return "0 failures counted, completed when it was back"


_registry_down("the registry down, the default policy (F8),", "registry-down")
_registry_down(
    "the image not there, image errors set to Ignore (F6),",
    "image-pull",
    failurePolicy={
        "rules": [{"action": "Ignore", "onReasons": ["ErrImagePull", "ImagePullBackOff"]}]
    },
)


def _ill(world: Namespace) -> list[str]:
    """Name the pods that misbehave; old ones, which may go meanwhile, are not among them."""
    listed = json.loads(world.kubectl("get", "pods", "--output=json"))["items"]
    return [
        pod["metadata"]["name"]
        for pod in listed
        if BEHAVIOUR in pod["metadata"].get("annotations", {})
    ]


def _cure(world: Namespace) -> None:
    """Let the pods that misbehave be well again."""
    world.kubectl("annotate", "pods", *_ill(world), f"{BEHAVIOUR}-")


def _skewed(minutes: int) -> None:
    word = "ahead of" if minutes > 0 else "behind"

    @scenario(
        GROUP,
        f"the operator's clock {abs(minutes)} minutes {word} the nodes', and killed with -9 meanwhile",
        "no pod that is starting is taken for late; " + EXACT,
        runs=2,
        ci=int(minutes > 0),
    )
    def attempt(lab: Lab, run: int) -> str:
        with lab.trial("skewed", skew=60.0 * minutes) as trial:
            world = trial.world
            complete(trial, good(healthCheckGracePeriodSeconds=60))
            slow = good(image="web:3", healthCheckGracePeriodSeconds=60)
            slow["spec"]["template"]["metadata"]["annotations"] = {BEHAVIOUR: "never-ready"}
            world.apply(slow)
            trial.until(lambda: world.status()["updatedReplicas"] == 4)
            trial.until_quiet()
            trial.kept.kill()
            trial.until(trial.operator.is_ready)
            trial.until_quiet()
            status = world.status()
            assert rollout(status) == "IN_PROGRESS", "pods that were starting were taken for late"
            assert status["circuitBreaker"]["failureCount"] == 0, status["circuitBreaker"]
            _cure(world)
            world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
            seen = counted(trial, "api")
            trial.check(web=Expected(rollbacks=0))
            return f"slow pods given their time after the kill; then {seen} failures counted"


_skewed(5)
_skewed(-5)
