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
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster.box import find_obstacle
from tests.cluster.programs import PROGRAMS
from tests.e2e.real import BAD, GOOD, PATIENCE, Bad, service
from tests.e2e.world import World, rollout
from tests.environment import Environment, start_environment, stop_environment
from tests.recordings import load
from tests.recordings.story import tell
from tests.times import COLUMNS, render_times

PAGE = Path(__file__).parents[1] / "docs" / "real-node.md"
MEASURED = ("exit-2", "seed-exit-2", "missing-tag")
TARGETS = {"crash loop": (16, 4, 3), "missing image": (35, 15, 5)}
FLOORS = {"exit-2": "crash", "seed-exit-2": "start-error", "missing-tag": "image-pull"}


def main(arguments: list[str] | None = None) -> int:
    """Measure one rollout after the other on an otherwise idle node, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.real_times", description=__doc__)
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
            for bad in (found for found in BAD if found.name in MEASURED):
                for replicas in COLUMNS:
                    loads.append(os.getloadavg()[0])
                    lines.append(_measure(environment, bad, replicas))
                    print(f"round {number}: {lines[-1]}", flush=True)
        PAGE.write_text(_page(lines, options.rounds, loads))
    finally:
        stop_environment(environment)
    print(f"written: {PAGE}")
    return 0


def _measure(environment: Environment, bad: Bad, replicas: int) -> str:
    """One service, one bad version of it, from ``kubectl apply`` to trip and back."""
    namespace = f"times-{secrets.token_hex(3)}"
    environment.kubectl("create", "namespace", namespace)
    world = World(environment, namespace)
    world.completed(service(replicas, GOOD), PATIENCE)
    applied = time.monotonic()
    world.apply(bad.manifest(replicas))
    world.until(lambda status: rollout(status).startswith("ROLLBACK"), seconds=PATIENCE)
    tripped = time.monotonic()
    world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    restored = time.monotonic()
    environment.kubectl("delete", "namespace", namespace)
    times = {"trip": tripped - applied, "restored": restored - tripped}
    return json.dumps({"image": bad.name, "replicas": replicas, **times})


def _page(lines: list[str], rounds: int, loads: list[float]) -> str:
    containerd = subprocess.run(
        ["containerd", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    targets = "\n".join(
        f"| {name} | {' | '.join(f'{seconds} s' for seconds in row)} |"
        for name, row in TARGETS.items()
    )
    floors = "\n".join(f"| {image} | {_third(name)} |" for image, name in FLOORS.items())
    return f"""# Times on a real node

Written by `make bench-real`, not by hand: {datetime.now(UTC):%Y-%m-%d}, Kubernetes \
{PROGRAMS["kubelet"].version}, containerd {containerd}, {platform.machine()}, {os.cpu_count()} cores, \
the control plane on the same machine. Load average {min(loads):.1f} to {max(loads):.1f} (what else ran on \
the machine is in these times). The kubelet's back-offs, probes and periods are its defaults.

Seconds from before `kubectl apply` to the trip, and from the trip to the last completed revision being \
COMPLETED again; medians of {rounds} rounds, one rollout after the other.

{render_times(lines)}
Targets for the trip:

| | replicas 1 | replicas 4 | replicas 10 |
|---|---|---|---|
{targets}

## What the kubelet sets

With one replica there is one new pod, and three of its failures are needed. When the third one shows is \
decided by the kubelet: after a container ended twice it waits 10 s (an image: 10 s and then 20 s) before \
it tries again, and it looks only when its next sync of that pod comes whether the time has passed. \
Seconds from the making of the pod to each of its first three failures, as recorded from one pod on \
such a node (`tests/recordings`) and told by the operator's own rules:

| image | failures of one pod, seconds |
|---|---|
{floors}

With 4 or 10 replicas each new pod fails once, so what counts is how fast so many pods can be started.
"""


def _third(name: str) -> str:
    return ", ".join(f"{failure.at:.1f}" for failure in tell(load(name), probed=False)[:3])


if __name__ == "__main__":
    sys.exit(main())
