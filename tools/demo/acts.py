"""The four acts: a good revision, a bad one and its rollback, a first one that stalls, a plain Deployment.

An act ends when everything has been seen that it shows, the events with the cause in words too; it
fails when that does not come in three minutes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tools.demo.feed import Feed, Object
from tools.demo.screen import Screen

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
PATIENCE = 180.0
REPLICAS = 4
PLAIN = "plain-deployment"
"""Name of the breaker that the label of the Deployment plain asks for, and label of its pods."""
HEADER = f"{'ROLLOUT':21}{'REVISION':10}{'STAGE':8}{'FAILURES':10}READY"


class DemoError(Exception):
    """Something that the demo shows did not happen."""


@dataclass(frozen=True)
class Place:
    """Where the demo is played.

    Args:
        kubectl: Runs kubectl with these words and returns what it prints.
        command: kubectl and the options that lead it to the cluster.
        namespace: Of the demo.
        adapt: Changes a sample so that its containers can run here.
        log: Of the operator; None if it is not ours.
    """

    kubectl: Callable[..., str]
    command: list[str]
    namespace: str
    adapt: Callable[[Object], None]
    log: Path | None = None


@dataclass
class Seen:
    """What has been seen of one GuardedDeployment and its pods."""

    status: Object = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    reached: dict[str, float] = field(default_factory=dict)
    """Status of the rollout -> when it was first seen, in seconds of the act."""
    fewest_ready: int = REPLICAS

    @property
    def rollout(self) -> str:
        """Its status."""
        return str(self.status.get("rollout", {}).get("status", ""))

    def count_ready(self) -> int:
        """Pods that are Ready and are not being deleted."""
        return sum(map(_is_ready, self.pods.values()))


class Demo:
    """Plays the acts at a place, and prints what a feed of it tells."""

    def __init__(self, place: Place, feed: Feed, patience: float = PATIENCE) -> None:
        self._place = place
        self._feed = feed
        self._patience = patience
        self._screen = Screen()
        self._seen: dict[str, Seen] = {"web": Seen(), "first": Seen(), PLAIN: Seen()}
        self._playing = ""
        """Name of the object that the act is about; nothing is printed of the others."""
        self._last_row = ""
        self._events: set[str] = set()

    def run(self) -> None:
        """Play all of it; raise DemoError at the first thing that does not happen."""
        self.good()
        self.bad()
        self.first_bad()
        self.plain()

    def good(self) -> None:
        """A good revision completes."""
        self._begin("1. A good revision", "web", "web.yaml")
        self._until("web", "SUCCESSFUL", {"RolloutCompleted"})
        self._show_pods("web")

    def bad(self) -> None:
        """A crashing revision trips, and the good one comes back."""
        seen = self._begin("2. A bad one", "web", "web-crashing.yaml")
        self._until(
            "web",
            "ROLLBACK_SUCCESSFUL",
            {"CircuitBreakerTriggered", "RollbackStarted", "RollbackCompleted"},
        )
        self._show_pods("web")
        self._expect_good_revision(seen.status)
        restored = seen.reached["ROLLBACK_SUCCESSFUL"]
        tripped = seen.reached.get("ROLLBACK_IN_PROGRESS", restored)
        self._screen.say(f"\n  cause, as status has it:        {self._cause(seen)}")
        self._screen.say(f"  from kubectl apply to the trip: {tripped:5.1f} s")
        self._screen.say(f"  from the trip to restored:      {restored - tripped:5.1f} s")
        self._screen.say(
            f"  lowest number of healthy pods on the way: {seen.fewest_ready} of {REPLICAS}"
        )
        if seen.fewest_ready < REPLICAS:
            raise DemoError("healthy pods were lost on the way")

    def first_bad(self) -> None:
        """A first revision that is bad has nothing to go back to: it stalls."""
        seen = self._begin("3. A first rollout that fails", "first", "first-bad.yaml")
        self._until("first", "FAILED", {"CircuitBreakerTriggered", "RolloutStalled"})
        conditions = {c["type"]: c for c in seen.status["conditions"]}
        stalled = conditions.get("Stalled", {})
        self._screen.show(f"Stalled={stalled.get('status')}: {stalled.get('message')}")
        if stalled.get("reason") != "NoCompletedRevision":
            raise DemoError(f"the first rollout did not stall: {stalled}")

    def plain(self) -> None:
        """A plain Deployment with one label: its bad revision is stopped, and the good one comes back."""
        self._begin("4. A plain Deployment with one label", PLAIN, "plain.yaml")
        self._until(PLAIN, "SUCCESSFUL", set())
        self._begin("   and a bad revision of it", PLAIN, "plain-crashing.yaml")
        self._until(PLAIN, "ROLLBACK_SUCCESSFUL", {"CircuitBreakerTriggered", "RollbackCompleted"})
        self._expect_good_revision(self._seen[PLAIN].status)
        where = ("--namespace", self._place.namespace)
        self._screen.show(self._place.kubectl("get", "dcb", *where))
        self._screen.show(self._place.kubectl("get", "deployment/plain", *where))

    def _begin(self, title: str, name: str, sample: str) -> Seen:
        """Start the clock, and apply a sample."""
        self._screen.step(f"{title}: manifests/samples/{sample}")
        self._playing, self._last_row = name, ""
        seen = self._seen[name]
        seen.reached, seen.events, seen.fewest_ready = {}, {}, REPLICAS
        manifest = yaml.safe_load((SAMPLES / sample).read_text())
        self._place.adapt(manifest)
        words = ("apply", "--namespace", self._place.namespace, "--filename", "-")
        self._screen.show(self._place.kubectl(*words, input=json.dumps(manifest)))
        self._screen.show(HEADER)
        return seen

    def _until(self, name: str, rollout: str, events: set[str]) -> None:
        """Print what comes until the rollout is there, its pods are, and its events have been told."""
        seen = self._seen[name]
        ready = 0 if rollout == "FAILED" else REPLICAS
        deadline = time.monotonic() + self._patience
        while not (
            seen.rollout == rollout and seen.count_ready() >= ready and events <= seen.events.keys()
        ):
            left = deadline - time.monotonic()
            change = self._feed.next(left) if left > 0 else None
            if change is None:
                missing = sorted(events - seen.events.keys())
                raise DemoError(
                    f"{name} did not become {rollout} in {self._patience:.0f} s"
                    f"{f', with the events {missing}' if missing else ''}: {seen.status}"
                )
            self._take(change)

    def _take(self, change: Object) -> None:
        match change["object"]:
            case {"kind": "GuardedDeployment" | "DeploymentCircuitBreaker"} as found:
                self._take_object(found)
            case {"kind": "Event"} as event:
                self._take_event(event)
            case {"kind": "Pod"} as pod:
                self._take_pod(pod, deleted=change["type"] == "DELETED")

    def _take_object(self, found: Object) -> None:
        seen = self._seen.get(found["metadata"]["name"])
        status = found.get("status", {})
        if seen is None or status.get("observedGeneration") != found["metadata"]["generation"]:
            return  # what an earlier template led to
        seen.status = status
        seen.reached.setdefault(seen.rollout, self._screen.seconds())
        row = _row(status)
        if found["metadata"]["name"] == self._playing and row != self._last_row:
            self._last_row = row
            self._screen.show(row)

    def _take_event(self, event: Object) -> None:
        about, name = event["involvedObject"]["name"], event["metadata"]["name"]
        seen = self._seen.get(about)
        if seen is None or name in self._events:
            return
        self._events.add(name)
        seen.events[event["reason"]] = event["message"]
        if about == self._playing:
            self._screen.show(f"event  {event['type']} {event['reason']}: {event['message']}")

    def _take_pod(self, pod: Object, *, deleted: bool) -> None:
        metadata = pod["metadata"]
        seen = self._seen.get(metadata.get("labels", {}).get("app", ""))
        if seen is None:
            return
        if deleted:
            seen.pods.pop(metadata["name"], None)
        else:
            seen.pods[metadata["name"]] = pod
        seen.fewest_ready = min(seen.fewest_ready, seen.count_ready())

    def _cause(self, seen: Seen) -> str:
        cause = str(seen.status["rollout"].get("message", ""))
        if not cause:
            raise DemoError(f"the rollout does not say why it failed: {seen.status}")
        return cause

    def _expect_good_revision(self, status: Object) -> None:
        running = {r["revision"]: r for r in status["revisions"]}[status["rollout"]["revision"]]
        if running["healthy"] != REPLICAS or status["rolloutState"] != "FAILED":
            raise DemoError(f"not back on the good revision: {running}")

    def _show_pods(self, name: str) -> None:
        where = ("--namespace", self._place.namespace, "--selector", f"app={name}")
        self._screen.show(self._place.kubectl("get", "pods", *where))


def _row(status: Object) -> str:
    rollout, breaker = status.get("rollout", {}), status.get("circuitBreaker", {})
    return (
        f"{rollout.get('status', ''):21}{rollout.get('revision', ''):<10}"
        f"{breaker.get('stage', ''):8}{breaker.get('summary', ''):10}"
        f"{status.get('readyReplicas', 0)} of {REPLICAS}"
    )


def _is_ready(pod: Any) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
