"""``make demo``: the main job, live, on a real API server.

A good revision completes; a crashing one trips and the good one comes back, with nobody touching
anything; and a first revision that is bad stalls. Ends with 0 only if each of these happened.

Where there can be a real node (root, Linux, containerd) the containers are real ones, else kwok
plays them; it says which, and why.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import yaml

from tests.cluster.box import find_obstacle
from tests.cluster.control_plane import ControlPlane
from tests.cluster.images import IMAGES, PORT, REPOSITORY, write_archive
from tests.cluster.registry import Registry
from tests.operator_process import OperatorProcess, install, write_kubeconfig

SAMPLES = Path(__file__).parents[1] / "manifests" / "samples"
NAMESPACE = "default"
PATIENCE = 180.0


class DemoError(Exception):
    """Something that the demo shows did not happen."""


@dataclass
class Screen:
    """Prints what changed, with the seconds since the latest step."""

    began: float = field(default_factory=time.monotonic)
    last: str = ""

    def step(self, text: str) -> None:
        """Begin a step; its clock starts at 0."""
        self.began = time.monotonic()
        self.last = ""
        print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)

    def show(self, text: str) -> None:
        """Print a line at its time."""
        for line in text.splitlines():
            print(f"  {time.monotonic() - self.began:6.1f} s  {line}", flush=True)

    def show_if_new(self, text: str) -> None:
        """Print only what differs from the line before."""
        if text != self.last:
            self.last = text
            self.show(text)


class HealthyWatcher:
    """Counts Ready pods of the sample over and over, on its own, and keeps the lowest number."""

    def __init__(self, kubectl: Callable[..., str]) -> None:
        self._kubectl = kubectl
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.lowest = 10**6

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            pods = json.loads(
                self._kubectl("get", "pods", "-n", NAMESPACE, "-l", "app=web", "-o", "json")
            )["items"]
            self.lowest = min(self.lowest, sum(_is_ready(pod) for pod in pods))
            self._stop.wait(0.1)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


class Demo:
    """The three acts."""

    def __init__(self, cluster: ControlPlane) -> None:
        self.kubectl = cluster.kubectl
        self._real = cluster.node == "real"
        self.screen = Screen()
        self._events: set[str] = set()

    def run(self) -> None:
        """Play all of it; raise DemoError at the first thing that does not happen."""
        self.good()
        self.bad()
        self.first_bad()

    def good(self) -> None:
        """A good revision completes."""
        self.screen.step("1. A good revision: kubectl apply -f manifests/samples/web.yaml")
        self._apply("web.yaml")
        self._until("web", lambda status: _rollout(status) == "SUCCESSFUL")

    def bad(self) -> None:
        """A crashing revision trips, and the good one comes back."""
        self.screen.step("2. A bad image: kubectl apply -f manifests/samples/web-crashing.yaml")
        with HealthyWatcher(self.kubectl) as watcher:
            applied = time.time()
            self._apply("web-crashing.yaml")
            self._until("web", lambda status: _rollout(status) == "ROLLBACK_SUCCESSFUL")
        self._expect_running_revision()
        rollback = self._status("web")["rollout"]
        tripped, restored = _seconds(rollback["startedAt"]), _seconds(rollback["finishedAt"])
        print(f"\n  from kubectl apply to the trip: {tripped - applied:5.1f} s")
        print(f"  from the trip to restored:      {restored - tripped:5.1f} s")
        print(f"  lowest number of healthy pods on the way: {watcher.lowest} of 4")
        if watcher.lowest < 4:
            raise DemoError("healthy pods were lost on the way")

    def first_bad(self) -> None:
        """A first revision that is bad has nothing to go back to: it stalls."""
        self.screen.step("3. A first rollout that fails: kubectl apply -f first-bad.yaml")
        self._apply("first-bad.yaml")
        self._until("first", lambda status: _rollout(status) == "FAILED")
        conditions = {c["type"]: c for c in self._status("first")["conditions"]}
        stalled = conditions.get("Stalled", {})
        self.screen.show(f"Stalled={stalled.get('status')}: {stalled.get('message')}")
        if stalled.get("reason") != "NoCompletedRevision":
            raise DemoError(f"the first rollout did not stall: {stalled}")

    def _apply(self, sample: str) -> None:
        manifest = yaml.safe_load((SAMPLES / sample).read_text())
        if self._real:
            _use_local_images(manifest)
        words = ("apply", "--namespace", NAMESPACE, "--filename", "-")
        self.screen.show(self.kubectl(*words, input=json.dumps(manifest)))

    def _expect_running_revision(self) -> None:
        status = self._status("web")
        running = {r["revision"]: r for r in status["revisions"]}[status["rollout"]["revision"]]
        if running["healthy"] != 4 or status["rolloutState"] != "FAILED":
            raise DemoError(f"not back on the good revision: {running}")

    def _status(self, name: str) -> dict[str, Any]:
        found = json.loads(self.kubectl("get", "gdeploy", name, "-n", NAMESPACE, "-o", "json"))
        return dict(found.get("status", {}))

    def _until(self, name: str, reached: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.screen.show_if_new(
                self.kubectl("get", "gdeploy", name, "--namespace", NAMESPACE).rstrip()
            )
            self._show_events(name)
            if reached(self._status(name)):
                self.screen.show_if_new(
                    self.kubectl("get", "gdeploy", name, "--namespace", NAMESPACE).rstrip()
                )
                self._show_events(name)
                self.screen.show(
                    self.kubectl("get", "pods", "-n", NAMESPACE, "-l", f"app={name}").rstrip()
                )
                return
            time.sleep(0.2)
        raise DemoError(f"{name} did not get there in {PATIENCE:.0f} s: {self._status(name)}")

    def _show_events(self, name: str) -> None:
        found = json.loads(
            self.kubectl(
                "get",
                "events",
                "-n",
                NAMESPACE,
                "-o",
                "json",
                "--field-selector",
                f"involvedObject.name={name}",
            )
        )["items"]
        for event in sorted(found, key=lambda event: event["metadata"]["resourceVersion"]):
            line = f"{event['type']} {event['reason']}: {event['message']}"
            if event["metadata"]["name"] not in self._events:
                self._events.add(event["metadata"]["name"])
                self.screen.show(f"event  {line}")


def _use_local_images(manifest: dict[str, Any]) -> None:
    """The samples' nginx cannot be pulled from here: a busybox server of our own takes its place."""
    pod = manifest["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 10
    for container in pod["containers"]:
        good = not container["image"].endswith("no-such-tag")
        container["image"] = IMAGES["server"].reference if good else f"{REPOSITORY}/server:missing"
        container["readinessProbe"]["httpGet"]["port"] = PORT


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _rollout(status: dict[str, Any]) -> str:
    return str(status.get("rollout", {}).get("status", ""))


def main() -> int:
    """Start everything, play, and leave nothing behind."""
    obstacle = find_obstacle()
    with tempfile.TemporaryDirectory(prefix="tripswitch-demo-") as directory, ExitStack() as stack:
        base = Path(directory)
        cluster = ControlPlane(base / "cluster", node="kwok" if obstacle else "real")
        if obstacle:
            print(f"Simulated containers: {obstacle}.")
            print("Starting etcd, a real API server, its controllers, and two simulated nodes ...")
        else:
            print("Real containers. Starting etcd, an API server, its controllers, a kubelet ...")
        stack.enter_context(cluster)
        if obstacle:
            cluster.add_nodes(2)
        else:
            _bring_images(cluster, base, stack)
        install(cluster.kubectl)
        kubeconfig = write_kubeconfig(cluster.kubectl, base / "operator.kubeconfig")
        stack.enter_context(OperatorProcess(kubeconfig, base / "operator.log"))
        try:
            Demo(cluster).run()
        except DemoError as error:
            print(f"\nFAILED: {error}", file=sys.stderr)
            print((base / "operator.log").read_text()[-4000:], file=sys.stderr)
            return 1
    print("\nAll three happened. `make up` leaves a cluster with the operator to try by hand.")
    return 0


def _bring_images(cluster: ControlPlane, base: Path, stack: ExitStack) -> None:
    """The good image onto the node, and a registry that says of the missing one that it is."""
    cluster.load_image(write_archive(IMAGES["server"], base / "server.tar"))
    registry = stack.enter_context(Registry(base / "registry", cluster.layout.address))
    cluster.real_nodes["real-0"].trust_registry(REPOSITORY, registry.url)


if __name__ == "__main__":
    sys.exit(main())
