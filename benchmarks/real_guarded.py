"""What a bad image does to a guarded Deployment and to a plain one: ``python -m benchmarks.real_guarded``.

It writes the last section of docs/real-node.md; ``benchmarks.real_times`` writes what stands before it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from kubernetes import watch

from benchmarks.audit import count
from benchmarks.good_pods import following
from benchmarks.guarded_section import HEADING, put_section
from benchmarks.real_times import PAGE
from tests.e2e.guards import BREAKERS, circuit_breaker, deployment, until_guard
from tests.e2e.namespace import GROUP, VERSION, Namespace, Object
from tests.e2e.real import GOOD, PATIENCE
from tests.support.environment import Environment, start_environment, stop_environment
from tests.support.times import COLUMNS
from tools.cluster.audit import AuditLog
from tools.cluster.box import find_obstacle
from tools.cluster.images import IMAGES, PORT
from tools.cluster.registry import REGISTRY
from tools.operator_process import USER

IMAGES_OF = {"exit-2": IMAGES["exit-2"].reference, "missing-tag": f"{REGISTRY}/server:missing"}
PLAIN_SECONDS = 60.0
"""How long a plain Deployment is looked at; it never goes back, and says so after 600 s."""
PROBE = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 10}
MIN_READY = {True: 0, False: 40}
"""The default ``minReadySeconds`` of a breaker, with a readiness probe and without: without one a container that
crashes is Ready for a moment (H1)."""


@dataclass
class Case:
    """One bad image on one Deployment."""

    image: str
    replicas: int
    probe: bool
    guarded: bool

    def manifest(self, image: str) -> Object:
        """Return the Deployment with an image: everything else is the default of a Deployment."""
        manifest = deployment(replicas=self.replicas)
        pod = manifest["spec"]["template"]["spec"]
        pod["containers"][0] = {"name": "web", "image": image}
        if self.probe:
            pod["containers"][0]["readinessProbe"] = PROBE
        pod["terminationGracePeriodSeconds"] = 10
        return manifest


def measure(environment: Environment, case: Case) -> Object:
    """Roll out a good image and then a bad one; return what happened as JSON values."""
    namespace = f"guarded-{secrets.token_hex(3)}"
    environment.kubectl("create", "namespace", namespace)
    world = Namespace(environment, namespace)
    world.apply(case.manifest(GOOD))
    if case.guarded:
        world.apply(circuit_breaker(minReadySeconds=MIN_READY[case.probe]))
        until_guard(world, "SUCCESSFUL", seconds=PATIENCE)
    world.kubectl("rollout", "status", "deployment/web", f"--timeout={PATIENCE:.0f}s")
    audit = AuditLog(Path(environment.audit_log))
    with following(world, GOOD, case.replicas) as pods:
        world.until_true(lambda: pods.serving == case.replicas, PATIENCE)
        audit.mark()
        pods.begin()
        began = time.monotonic()
        world.apply(case.manifest(IMAGES_OF[case.image]))
        times = _until_restored(world, began) if case.guarded else {}
        if not case.guarded:
            time.sleep(PLAIN_SECONDS)
        pods.settle()
        seen = {"fewest": pods.fewest, "lost": pods.lost, "serving": pods.serving}
    time.sleep(5 if case.guarded else 0)
    requests = _requests(audit, namespace)
    environment.kubectl("delete", "namespace", namespace)
    return {**vars(case), **times, **seen, "requests": requests.total()}


def _until_restored(world: Namespace, began: float) -> dict[str, float]:
    """Wait for the trip and for the way back; return seconds since ``began``, and since the trip."""
    tripped = _until_rollout(world, "ROLLBACK")
    restored = _until_rollout(world, "ROLLBACK_SUCCESSFUL")
    return {"trip": tripped - began, "restored": restored - tripped}


def _until_rollout(world: Namespace, wanted: str) -> float:
    """Watch the breaker until the status of its rollout begins with a word; return when that was seen."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stream = watch.Watch().stream(
            world.custom.list_namespaced_custom_object,
            *(GROUP, VERSION, world.namespace, BREAKERS),
            timeout_seconds=max(1, int(deadline - time.monotonic())),
        )
        for event in stream:
            rollout = event["object"].get("status", {}).get("rollout", {})
            if rollout.get("status", "").startswith(wanted):
                return time.monotonic()
    raise RuntimeError(f"no {wanted} in {PATIENCE:.0f} s")


def _requests(audit: AuditLog, namespace: str) -> Counter[str]:
    return count((one for one in audit.read() if one.namespace == namespace), USER)


def cases(image: str | None, replicas: int | None) -> Iterator[Case]:
    """Yield every case of a round, or those of one image or one size."""
    for name in IMAGES_OF:
        for number in COLUMNS:
            if image in (None, name) and replicas in (None, number):
                for probe in (True, False):
                    for guarded in (True, False):
                        yield Case(name, number, probe, guarded)


def main(arguments: list[str] | None = None) -> int:
    """Measure one rollout after the other, and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_guarded", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", choices=sorted(IMAGES_OF), help="one image; writes no file")
    parser.add_argument("--replicas", type=int, choices=COLUMNS, help="one size; writes no file")
    options = parser.parse_args(arguments)
    if obstacle := find_obstacle():
        print(f"no real node here: {obstacle}", file=sys.stderr)
        return 1
    environment = start_environment("real", Path(tempfile.mkdtemp(prefix="tripswitch-guarded-")))
    runs, loads = list[Object](), list[float]()
    try:
        for number in range(1, options.rounds + 1):
            found = list(cases(options.image, options.replicas))
            plain, guarded = (
                [one for one in found if one.guarded is which] for which in (False, True)
            )
            if number == 1:
                runs.extend(_measure_together(environment, plain))
            for case in guarded:
                loads.append(os.getloadavg()[0])
                runs.append(measure(environment, case))
                print(f"round {number}: {json.dumps(runs[-1])}", flush=True)
    finally:
        stop_environment(environment)
    section = render(runs, options.rounds, loads)
    print(section)
    if options.image is None and options.replicas is None:
        PAGE.write_text(put_section(PAGE.read_text(), section))
    return 0


def _measure_together(environment: Environment, plain: list[Case]) -> list[Object]:
    """Measure the Deployments without a breaker six at a time: for most of it they only wait."""
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(partial(measure, environment), plain))
    for run in runs:
        print(f"plain: {json.dumps(run)}", flush=True)
    return runs


def render(runs: list[Object], rounds: int, loads: list[float]) -> str:
    """Return the section of the page."""
    return f"""{HEADING}

Written by `python -m benchmarks.real_guarded`, not by hand: {datetime.now(UTC):%Y-%m-%d}, rounds: \
{rounds}, one rollout after the other, load average {min(loads):.1f} to {max(loads):.1f}. A Deployment with its \
defaults (maxSurge and maxUnavailable 25 %), guarded by a DeploymentCircuitBreaker with its defaults, and the same Deployment without one, once, six of these at a time. Without a readiness \
probe a container that crashes is Ready for a moment at each start, and the Deployment gives up its old pods.

*Trip* and *restored* are seconds from before `kubectl apply` to the trip, and from the trip to the last \
completed revision having all its pods healthy again. *Fewest* is the lowest number of Ready pods of the good image. \
*Lost* is what was missing of them, in pods times seconds: until restored, and without a breaker in the first \
{PLAIN_SECONDS:.0f} s, after which nothing changes any more (a plain Deployment reports the failure after 600 s and never goes \
back). *Requests* are those of the operator in the audit log until 5 s after the way back.

| image | replicas | readiness probe | trip / restored | fewest | lost | requests | plain: fewest | plain: lost |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(_rows(runs))}
"""


def _rows(runs: list[Object]) -> Iterator[str]:
    def middle(found: list[Object], key: str) -> float:
        return float(median(one[key] for one in found))

    keys = {(one["image"], one["replicas"], one["probe"]): None for one in runs}
    for image, replicas, probe in keys:
        same = [
            one
            for one in runs
            if (one["image"], one["replicas"], one["probe"]) == (image, replicas, probe)
        ]
        ours = [one for one in same if one["guarded"]]
        plain = [one for one in same if not one["guarded"]]
        yield (
            f"| {image} | {replicas} | {'yes' if probe else 'no'} "
            f"| {middle(ours, 'trip'):.1f} / {middle(ours, 'restored'):.1f} "
            f"| {middle(ours, 'fewest'):.0f} | {middle(ours, 'lost'):.1f} | {middle(ours, 'requests'):.0f} "
            f"| {middle(plain, 'fewest'):.0f} | {middle(plain, 'lost'):.0f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
