"""Idle fleets of growing size: memory, start, and what standing still costs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.api import Object
from benchmarks.audit import count
from benchmarks.fleet import ARGO, OURS, Kind
from benchmarks.process import cpu_seconds, settled_mib
from benchmarks.report import BASELINE, Result, Row
from benchmarks.scale import Scale
from benchmarks.testbed import Testbed
from benchmarks.trips import TARGET_MS, Measured, measure_in

CHURNED = 25
"""How many objects of each fleet are rolled out, twice."""
START_SECONDS = 120.0
MOST_MIB = 400.0
MOST_START_SECONDS, MOST_START_SECONDS_OF_LARGEST = 1.5, 15.0


@dataclass
class Standing:
    """What one fleet cost one competitor."""

    start: float
    fresh: float
    churned: float
    requests: Counter[str]
    cpu: float
    trips: Measured | None = None


async def measure_fleets(testbed: Testbed, scale: Scale) -> Result:
    """Memory at three sizes; of the middle one idle seconds, of the largest trips, too."""
    found: dict[tuple[str, int], Standing] = {}
    for kind in (OURS, ARGO):
        # The peer at the largest size would take minutes, and its memory is compared at the others.
        for size in scale.sizes if kind is OURS else scale.sizes[:-1]:
            seconds = scale.idle_seconds if size == scale.idle else 0
            trips = scale.trips // 6 if kind is OURS and size == scale.sizes[-1] else 0
            found[kind.name, size] = await _stand(testbed, kind, size, seconds, trips)
            await testbed.clear(kind)
    return Result(
        "Finished objects of 10 pods each are laid into etcd, then the controller is started with one "
        "object changed while it was down: *start* is the time from exec until its ReplicaSet is "
        "scaled. *Memory* is the resident set once the process has been idle for 5 s. *Standing still* is the "
        f"{scale.idle_seconds} s after that: requests in the audit log without lists, watches and lease "
        f"renewals, and CPU time by the kernel. Then {CHURNED} of the objects are given two new templates, "
        "one after the other; beside the largest fleet one more object trips again and again, as in *trips*.",
        [*_memory_rows(found, scale), *_idle_rows(found, scale), *_largest_rows(found, scale)],
    )


async def _stand(testbed: Testbed, kind: Kind, size: int, seconds: int, trips: int) -> Standing:
    objects = await testbed.seed(kind, "idle", size)
    namespace, name = objects[-1]
    poke = {"spec": {"replicas": 11}}
    await testbed.api.request("PATCH", kind.path(namespace, name), poke)
    scaled: list[float] = []

    def look(event: str, raw: Object, at: float) -> None:
        if raw["metadata"]["name"].startswith(f"{name}-") and raw["spec"]["replicas"] == 11:
            scaled.append(at)

    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    async with testbed.api.watch(path, look) as watch:
        began = time.monotonic()
        async with testbed.controller(kind) as pid:
            if not await watch.until(lambda: bool(scaled), START_SECONDS):
                raise RuntimeError(f"{kind.name} did nothing in {START_SECONDS:.0f} s")
            await testbed.finish(kind, namespace, [name], 120)
            fresh = await settled_mib(pid)
            testbed.audit.mark()
            cpu = cpu_seconds(pid)
            await asyncio.sleep(seconds)
            used = cpu_seconds(pid) - cpu
            requests = count(testbed.audit.read(), kind.user)
            churned = await _churn(testbed, kind, objects[:CHURNED], pid)
            tripped = await measure_in(testbed, pid, "trip", 1, trips) if trips else None
            return Standing(scaled[0] - began, fresh, churned, requests, used, tripped)


async def _churn(testbed: Testbed, kind: Kind, objects: list[tuple[str, str]], pid: int) -> float:
    """Roll some objects out twice; return the memory afterwards."""
    for version in ("2", "3"):

        async def change(item: tuple[str, str], version: str = version) -> None:
            await testbed.api.request("PATCH", kind.path(*item), kind.change(version, None))

        await testbed.api.each(change, objects)
        for namespace in sorted({space for space, _ in objects}):
            names = [name for space, name in objects if space == namespace]
            await testbed.finish(kind, namespace, names, 300)
    return await settled_mib(pid)


def _memory_rows(found: dict[tuple[str, int], Standing], scale: Scale) -> list[Row]:
    rows = []
    for size in scale.sizes:
        ours, argo = found[OURS.name, size], found.get((ARGO.name, size))
        after = f"after {2 * min(size, CHURNED)} rollouts"
        for when, mine, theirs in (
            ("fresh", ours.fresh, None if argo is None else argo.fresh),
            (after, ours.churned, None if argo is None else argo.churned),
        ):
            rows.append(
                Row(
                    f"memory, {size:,} x 10 pods, {when}",
                    f"{mine:.0f} MiB",
                    BASELINE if theirs is None else f"{theirs:.0f} MiB",
                    target=f"under {MOST_MIB:.0f} MiB" if theirs is None else "not above Argo",
                    met=mine < MOST_MIB if theirs is None else mine <= theirs,
                )
            )
    return rows


def _idle_rows(found: dict[tuple[str, int], Standing], scale: Scale) -> list[Row]:
    ours, argo = found[OURS.name, scale.idle], found[ARGO.name, scale.idle]
    fleet = f"{scale.idle:,} x 10 pods"

    def share(standing: Standing) -> str:
        return f"{standing.cpu / scale.idle_seconds:.2%} of a core"

    return [
        Row(
            f"start with {fleet}",
            f"{ours.start:.1f} s",
            f"{argo.start:.1f} s",
            target=f"under {MOST_START_SECONDS} s",
            met=ours.start < MOST_START_SECONDS,
            reason="1.9 s of CPU time in one thread, of which loading Python's modules is 0.65 s: "
            "[start](explanation/performance.md#start-and-fail-over)",
        ),
        Row(
            f"requests in {scale.idle_seconds} s of standing still, {fleet}",
            str(ours.requests.total()),
            str(argo.requests.total()),
            target="0",
            met=ours.requests.total() == 0,
        ),
        Row(
            f"CPU of standing still, {fleet}",
            share(ours),
            share(argo),
            target="under 1 % of a core",
            met=ours.cpu / scale.idle_seconds < 0.01,
        ),
    ]


def _largest_rows(found: dict[tuple[str, int], Standing], scale: Scale) -> list[Row]:
    size = scale.sizes[-1]
    ours = found[OURS.name, size]
    fleet = f"{size:,} x 10 pods"
    assert ours.trips is not None
    trips = ours.trips
    return [
        Row(
            f"start with {fleet}",
            f"{ours.start:.1f} s",
            target=f"under {MOST_START_SECONDS_OF_LARGEST:.0f} s",
            met=ours.start < MOST_START_SECONDS_OF_LARGEST,
            reason="all 100,000 pods are listed and read first, page by page: "
            "[start](explanation/performance.md#start-and-fail-over)",
        ),
        Row(
            f"trip latency p99, {len(trips.latencies)} trips, {fleet} idle beside",
            f"{trips.most:.0f} ms (p50 {trips.half:.0f} ms)",
            "600 s",
            "never",
            f"under {TARGET_MS:.0f} ms",
            trips.most < TARGET_MS,
        ),
    ]
