"""How long a bad image lives on a real kubelet: ``make bench-real`` writes docs/real-node.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from kubernetes import client, config, watch
from urllib3.exceptions import ProtocolError

from benchmarks.guarded_section import find_guarded
from benchmarks.pods import cannot_start, failures, is_ready, is_started
from tests.e2e.namespace import Namespace, rollout
from tests.e2e.real import BAD, GOOD, PATIENCE, Bad, service, threshold
from tests.support.environment import Environment, start_environment, stop_environment
from tests.support.times import COLUMNS, render_times
from tools.cluster.box import find_obstacle
from tools.cluster.images import PORT
from tools.cluster.programs import PROGRAMS
from tools.recordings import load
from tools.recordings.story import tell
from tripswitch.domain.rules.health import LEAST_PATIENCE

PAGE = Path(__file__).parents[1] / "docs" / "real-node.md"
LATE = "never-ready"
MEASURED = ("exit-2", "seed-exit-2", "missing-tag", LATE)
TARGETS = {"crash loop": (16, 4, 3), "missing image": (35, 15, 5)}
FLOORS = {"exit-2": "crash", "seed-exit-2": "start-error", "missing-tag": "image-pull"}


DEFAULT_PROBE = {"httpGet": {"path": "/", "port": PORT}}
"""A readiness probe that says only what it must."""

READY_SECONDS = LEAST_PATIENCE
"""How long a pod may take here to become Ready (F4): the revision before it was Ready at once, and its own
probe's budget is less."""


def main(arguments: list[str] | None = None) -> int:
    """Measure one rollout after the other on an otherwise idle node, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_times", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if obstacle := find_obstacle():
        print(f"no real node here: {obstacle}", file=sys.stderr)
        return 1
    directory = Path(tempfile.mkdtemp(prefix="tripswitch-times-"))
    environment = start_environment("real", directory)
    loads, lines = [], list[str]()
    try:
        for number in range(1, options.rounds + 1):
            for bad in _measured(number):
                for replicas in COLUMNS:
                    loads.append(os.getloadavg()[0])
                    lines.append(_measure(environment, bad, replicas))
                    print(f"round {number}: {lines[-1]}", flush=True)
        PAGE.write_text(_page(lines, options.rounds, loads) + find_guarded(PAGE.read_text()))
    finally:
        stop_environment(environment)
    print(f"written: {PAGE}")
    return 0


def _measured(number: int) -> Iterator[Bad]:
    """Choose what a round measures: minutes of mere waiting, which rule F4 sets, in the first one only."""
    for bad in BAD:
        if bad.name == LATE:
            if number == 1:
                yield replace(bad, extra={"readinessProbe": DEFAULT_PROBE})
        elif bad.name in MEASURED:
            yield bad


def _measure(environment: Environment, bad: Bad, replicas: int) -> str:
    """One service, one bad version of it, from ``kubectl apply`` to trip and back."""
    namespace = f"times-{secrets.token_hex(3)}"
    environment.kubectl("create", "namespace", namespace)
    world = Namespace(environment, namespace)
    world.completed(service(replicas, GOOD), PATIENCE)
    with _watching(world, lasting=bad.name == LATE) as failed:
        applied = time.monotonic()
        world.apply(bad.manifest(replicas))
        world.until(lambda status: rollout(status).startswith("ROLLBACK"), seconds=PATIENCE)
        tripped = time.monotonic()
    world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    restored = time.monotonic()
    environment.kubectl("delete", "namespace", namespace)
    first, last = failed[0], failed[threshold(replicas) - 1]
    times = {"trip": tripped - applied, "restored": restored - tripped}
    parts = {"first": first - applied, "last": last - applied, "own": tripped - last}
    return json.dumps({"image": bad.name, "replicas": replicas, **times, **parts})


@contextmanager
def _watching(world: Namespace, *, lasting: bool) -> Iterator[list[float]]:
    """Collect when each failure of a pod here got visible on a watch of our own, in order.

    ``lasting``: these pods run and never get Ready, so each fails once, when its time for that is over.
    """
    seen, stuck, late = dict[str, int](), set[str](), set[str]()
    at: list[float] = []
    api = config.new_client_from_config(world.environment.kubeconfig)
    core: Any = client.CoreV1Api(api)
    pods, events = core.list_namespaced_pod, core.list_namespaced_event
    since = pods(world.namespace).metadata.resource_version
    stream, told = watch.Watch(), watch.Watch()

    def follow_pulls() -> None:
        """A pull that failed again is one more of the same event (F2); the first one the status shows."""
        with suppress(ProtocolError):
            for event in told.stream(events, world.namespace, resource_version=since):
                if event is None:
                    return
                raw, now = event["raw_object"], time.monotonic()
                if raw["message"].startswith("Failed to pull image"):
                    uid, number = raw["metadata"]["uid"], raw.get("count") or 1
                    at.extend([now] * (number - seen.get(uid, 1)))
                    seen[uid] = number

    def follow() -> None:
        # Closing a watch that waits is an error to the client.
        with suppress(ProtocolError):
            for event in stream.stream(pods, world.namespace, resource_version=since):
                if event is None:
                    return  # closed
                pod = event["raw_object"]
                uid, now = pod["metadata"]["uid"], time.monotonic()
                if cannot_start(pod) and uid not in stuck:
                    stuck.add(uid)
                    at.append(now)
                if lasting:
                    if is_started(pod) and not is_ready(pod) and uid not in late:
                        late.add(uid)
                        at.append(now + READY_SECONDS)
                    continue
                number = failures(pod)
                at.extend([now] * (number - seen.get(uid, 0)))
                seen[uid] = number

    for work in (follow, follow_pulls):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield at
        at.sort()
    finally:
        stream.stop()
        told.stop()


def _page(lines: list[str], rounds: int, loads: list[float]) -> str:
    containerd = subprocess.run(
        ["containerd", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    targets = "\n".join(
        f"| {name} | {' | '.join(f'{seconds} s' for seconds in row)} |"
        for name, row in TARGETS.items()
    )
    parts = "\n".join(_parts(lines))
    floors = "\n".join(f"| {image} | {_third(name)} |" for image, name in FLOORS.items())
    return f"""# Time to trip and to roll back with real containers

Written by `make bench-real`, not by hand: {datetime.now(UTC):%Y-%m-%d}, Kubernetes \
{PROGRAMS["kubelet"].version}, containerd {containerd}, {platform.machine()}, {os.cpu_count()} cores, \
the control plane on the same machine. Load average {min(loads):.1f} to {max(loads):.1f} (what else ran on \
the machine is in these times). The kubelet's back-offs, probes and periods are its defaults.

Seconds from before `kubectl apply` to the trip, and from the trip to the last completed revision being \
COMPLETED again; medians of {rounds} rounds, one rollout after the other (`never-ready`: one round).

{render_times(lines)}
Targets for the trip:

| | replicas 1 | replicas 4 | replicas 10 |
|---|---|---|---|
{targets}

## What the kubelet sets

With one replica there is one new pod, and three of its failures are needed. When the third one shows is \
decided by the kubelet: after a container ended twice it waits 10 s (an image: 10 s and then 20 s) before \
it tries again, and it looks only when its next sync of that pod comes whether the time has passed. Only attempts \
that were made count (rule F2). \
Seconds from the making of the pod to each of its first three failures, as recorded from one pod on \
such a node (`tests/recordings`) and told by the operator's own rules:

| image | failures of one pod, seconds |
|---|---|
{floors}

With 4 or 10 replicas each new pod fails once, so what counts is how fast so many pods can be started. And the \
kubelet looks at its containers once a second and tells what it then sees: failures of many pods come in steps \
of a second. With 10 pods on two cores the fifth is told in the first step or, a second later, in the next; \
which of them it was shows below, in how far the first failure and the one that reached the threshold are apart.

`never-ready` runs and never answers. Its readiness probe has the kubelet's defaults, a budget of 31 s. By rule F4 a \
pod has {READY_SECONDS:.0f} s from the moment at which its container is seen to have started, because the revision \
before it was Ready within seconds; before its pod counts as late the pod's node has to renew its Lease, which takes \
10 s and now and then 20 s (V3), and the operator reads the pods anew (V1). A pod that is late is replaced, so with one replica three of them are waited for one after the other. That is what patience with \
slow starters costs: with the probe's own budget alone, as before, these trips came after 95, 32 and 33 s. A first \
rollout has no experience to go by; each of its pods has 300 s.

## Whose time it is

The same rollouts, medians, seen by a watch of the test's own on the pods: seconds from before `kubectl apply` \
until the first failure was visible (for `never-ready`: until a pod's time was over) and until the one that \
reached the threshold was, and from there milliseconds to the trip being visible in the status. The last is \
the operator's (for `never-ready` it waits in it for the node's Lease; further attempts at a missing image are \
told by the pod's events, which it reads every 5 s); what is before it is kubectl's, the scheduler's, the kubelet's and the container runtime's.

| image | replicas | first failure | threshold reached | then the trip |
|---|---|---|---|---|
{parts}
"""


def _parts(lines: list[str]) -> Iterator[str]:
    runs = [json.loads(line) for line in lines]
    for image in MEASURED:
        for replicas in COLUMNS:
            mine = [run for run in runs if (run["image"], run["replicas"]) == (image, replicas)]
            first, last, own = (
                median(run[key] for run in mine) for key in ("first", "last", "own")
            )
            yield f"| {image} | {replicas} | {first:.1f} s | {last:.1f} s | {1000 * own:.0f} ms |"


def _third(name: str) -> str:
    return ", ".join(f"{failure.at:.1f}" for failure in tell(load(name), probed=False)[:3])


if __name__ == "__main__":
    sys.exit(main())
