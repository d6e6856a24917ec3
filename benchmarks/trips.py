"""How fast a trip is: from the last failure that counts, as anybody can see it, to the scale-down."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.api import Object
from benchmarks.fleet import OURS
from benchmarks.pods import cannot_start, failures, is_ready, owner
from benchmarks.process import busy_seconds, cpu_seconds, settled_mib
from benchmarks.report import Result, Row
from benchmarks.scale import Scale
from benchmarks.testbed import Testbed

CROWD = 4
"""How many objects trip again and again beside each other in the second part: 2 cores are full then."""
BAD = ("crash", "config-error")
REPLICAS = 4
THRESHOLD = 3  # rule T1: 50 % of 4, but at least 3
TARGET_MS = 250.0


@dataclass
class _Revision:
    """One ReplicaSet, by what was seen of it and of its pods."""

    counts: dict[str, int] = field(default_factory=dict)
    reached: float | None = None
    lowered: float | None = None
    size: int = 0


@dataclass
class Recount:
    """Counts failures on its own and notes when each ReplicaSet reached the threshold."""

    revisions: defaultdict[str, _Revision] = field(default_factory=lambda: defaultdict(_Revision))
    ready: dict[str, set[str]] = field(default_factory=dict)
    fewest: dict[str, int] = field(default_factory=dict)

    def see_pod(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a pod."""
        uid, app = raw["metadata"]["uid"], raw["metadata"]["labels"]["app"]
        serving = self.ready.setdefault(app, set())
        if event != "DELETED" and is_ready(raw):
            serving.add(uid)
        else:
            serving.discard(uid)
        if app in self.fewest:
            self.fewest[app] = min(self.fewest[app], len(serving))
        revision = self.revisions[owner(raw)]
        failed = max(failures(raw), int(cannot_start(raw)))
        revision.counts[uid] = max(revision.counts.get(uid, 0), failed)
        if revision.reached is None and sum(revision.counts.values()) >= THRESHOLD:
            revision.reached = at

    def see_replica_set(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a ReplicaSet."""
        revision = self.revisions[raw["metadata"]["uid"]]
        size = raw["spec"]["replicas"]
        if size < revision.size and revision.reached is not None and revision.lowered is None:
            revision.lowered = at
        revision.size = size

    def latencies(self) -> list[float]:
        """Milliseconds of every trip, sorted. One that never was answered raises."""
        tripped = [one for one in self.revisions.values() if one.reached is not None]
        if any(one.lowered is None for one in tripped):
            raise RuntimeError("a revision reached the threshold and was never scaled down")
        return sorted(
            1000 * (one.lowered - one.reached)
            for one in tripped
            if one.lowered is not None and one.reached is not None
        )


async def measure_trips(testbed: Testbed, scale: Scale) -> Result:
    """Trips one after the other, then of a few objects beside each other; the fleet idle beside."""
    await testbed.seed(OURS, "idle", scale.idle)
    async with testbed.controller(OURS) as pid:
        alone = await measure_in(testbed, pid, "alone", 1, scale.trips)
        crowd = await measure_in(testbed, pid, "crowd", CROWD, scale.trips // 5)
    await testbed.clear(OURS)
    return _result(alone, crowd, scale)


@dataclass
class Measured:
    """What trips in a row took: ``latencies`` in milliseconds, sorted; memory in MiB; shares of one core."""

    latencies: list[float]
    lost: int
    fresh: float
    churned: float
    operator: float
    everything: float

    @property
    def half(self) -> float:
        """The median."""
        return self.latencies[len(self.latencies) // 2]

    @property
    def most(self) -> float:
        """The 99th percentile."""
        return self.latencies[min(len(self.latencies) - 1, len(self.latencies) * 99 // 100)]


async def measure_in(testbed: Testbed, pid: int, name: str, objects: int, trips: int) -> Measured:
    """Have so many objects of one new namespace trip again and again, together ``trips`` times."""
    space = await testbed.namespace(name)
    names = [f"{name}-{number}" for number in range(objects)]
    recount = Recount()
    pods = f"/api/v1/namespaces/{space}/pods"
    sets = f"/apis/apps/v1/namespaces/{space}/replicasets"
    async with (
        testbed.api.watch(pods, recount.see_pod),
        testbed.api.watch(sets, recount.see_replica_set),
    ):
        for one in names:
            await testbed.api.request("POST", OURS.path(space), OURS.body(one, REPLICAS))
        await testbed.finish(OURS, space, names, 120)
        fresh = await settled_mib(pid)
        recount.fewest = {one: len(recount.ready[one]) for one in names}
        began, cpu, machine = time.monotonic(), cpu_seconds(pid), busy_seconds()
        left = iter(range(trips))
        await asyncio.gather(*(_trip_often(testbed, space, one, left) for one in names))
        seconds = time.monotonic() - began
        operator = (cpu_seconds(pid) - cpu) / seconds
        everything = (busy_seconds() - machine) / seconds
        churned = await settled_mib(pid)
    found = recount.latencies()
    if len(found) != trips:
        raise RuntimeError(f"{len(found)} trips seen, {trips} expected")
    lost = REPLICAS - min(recount.fewest.values())
    return Measured(found, lost, fresh, churned, operator, everything)


async def _trip_often(testbed: Testbed, space: str, name: str, left: Iterator[int]) -> None:
    """Give one object a crashing template again and again, each time when it is back."""
    back = asyncio.Event()

    def look(event: str, raw: Object, at: float) -> None:
        if raw["metadata"]["name"] == name and OURS.back(raw):
            back.set()

    async with testbed.api.watch(OURS.path(space), look, fieldSelector=f"metadata.name={name}"):
        for number in left:
            back.clear()
            change = OURS.change(f"bad-{number}", BAD[number % len(BAD)])
            await testbed.api.request("PATCH", OURS.path(space, name), change)
            async with asyncio.timeout(120):
                await back.wait()


def _result(alone: Measured, crowd: Measured, scale: Scale) -> Result:
    beside = f"{scale.idle:,} x 10 pods idle beside"
    one = f"{len(alone.latencies)} trips, {beside}"
    many = f"{len(crowd.latencies)} trips of {CROWD} objects without a pause, {beside}"
    return Result(
        "An object of 4 replicas is given a bad template again and again (by turns one that "
        "crashes and one that cannot start), each time when it is back. The "
        "benchmark counts the failures itself, from a watch of the pods; the clock runs from the event "
        f"that makes them {THRESHOLD} to the event that shows the ReplicaSet scaled down. Then "
        f"{CROWD} objects do so beside each other, which keeps the whole machine busy: what is "
        "waited for there is mostly a core. Argo Rollouts "
        "and a Deployment do not look at failures: they act, or only say so, when "
        "`progressDeadlineSeconds` (600) are over; see *rollback*.",
        [
            Row(f"trip latency p50, {one}", f"{alone.half:.0f} ms", "600 s", "never"),
            Row(
                f"trip latency p99, {one}",
                f"{alone.most:.0f} ms",
                "600 s",
                "never",
                f"under {TARGET_MS:.0f} ms",
                alone.most < TARGET_MS,
            ),
            Row(f"trip latency p50, {many}", f"{crowd.half:.0f} ms", "600 s", "never"),
            Row(f"trip latency p99, {many}", f"{crowd.most:.0f} ms", "600 s", "never"),
            Row(
                "healthy pods lost in all these trips, at most",
                f"{max(alone.lost, crowd.lost)} of {REPLICAS}",
                target="0",
                met=alone.lost == crowd.lost == 0,
            ),
            Row(
                f"memory before and after {len(alone.latencies)} trips",
                f"{alone.fresh:.0f} MiB, {alone.churned:.0f} MiB",
                target="flat (under 10 % more)",
                met=alone.churned < 1.1 * alone.fresh,
            ),
        ],
        [
            f"One after the other: largest {alone.latencies[-1]:.0f} ms, {_words(alone)}.",
            f"{CROWD} objects: largest {crowd.latencies[-1]:.0f} ms, {_words(crowd)}.",
        ],
    )


def _words(measured: Measured) -> str:
    cores = os.cpu_count()
    return f"operator {measured.operator:.0%} of a core, all programs {measured.everything:.1f} of {cores} cores"
