"""How fast a trip is: from the last failure that counts, as anybody can see it, to the scale-down."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench.api import Object
from tests.bench.fleet import OURS
from tests.bench.lab import Lab
from tests.bench.pods import cannot_start, failures, is_ready, owner
from tests.bench.process import cpu_seconds, settled_mib
from tests.bench.report import Result, Row
from tests.bench.scale import Scale

AT_ONCE = 4
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


async def measure_trips(lab: Lab, scale: Scale) -> Result:
    """Trips one after the other on a few objects, with the whole fleet idle beside them."""
    await lab.seed(OURS, "idle", scale.idle)
    space = await lab.namespace("trips")
    names = [f"trip-{number}" for number in range(AT_ONCE)]
    recount = Recount()
    pods = f"/api/v1/namespaces/{space}/pods"
    sets = f"/apis/apps/v1/namespaces/{space}/replicasets"
    async with (
        lab.controller(OURS) as pid,
        lab.api.watch(pods, recount.see_pod),
        lab.api.watch(sets, recount.see_replica_set),
    ):
        for name in names:
            await lab.api.request("POST", OURS.path(space), OURS.body(name, REPLICAS))
        await lab.finish(OURS, space, names, 120)
        fresh = await settled_mib(pid)
        recount.fewest = {name: len(recount.ready[name]) for name in names}
        began, cpu = time.monotonic(), cpu_seconds(pid)
        left = iter(range(scale.trips))
        await asyncio.gather(*(_trip_often(lab, space, name, left) for name in names))
        seconds, used = time.monotonic() - began, cpu_seconds(pid) - cpu
        churned = await settled_mib(pid)
    await lab.clear(OURS)
    return _result(recount, scale, (fresh, churned), f"{used / seconds:.0%}")


async def _trip_often(lab: Lab, space: str, name: str, left: Iterator[int]) -> None:
    """Give one object a crashing template again and again, each time when it is back."""
    back = asyncio.Event()

    def look(event: str, raw: Object, at: float) -> None:
        if raw["metadata"]["name"] == name and OURS.back(raw):
            back.set()

    async with lab.api.watch(OURS.path(space), look, fieldSelector=f"metadata.name={name}"):
        for number in left:
            back.clear()
            change = OURS.change(f"bad-{number}", BAD[number % len(BAD)])
            await lab.api.request("PATCH", OURS.path(space, name), change)
            async with asyncio.timeout(120):
                await back.wait()


def _result(recount: Recount, scale: Scale, memory: tuple[float, float], cpu: str) -> Result:
    found = recount.latencies()
    if len(found) != scale.trips:
        raise RuntimeError(f"{len(found)} trips seen, {scale.trips} expected")
    half, most = found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)]
    lost = REPLICAS - min(recount.fewest.values())
    beside = f"{scale.trips} trips, {scale.idle:,} x 10 pods idle beside"
    fresh, churned = memory
    return Result(
        f"{AT_ONCE} objects of {REPLICAS} replicas are given a bad template again and again (by turns one that "
        "crashes and one that cannot start). The "
        "benchmark counts the failures itself, from a watch of the pods; the clock runs from the event "
        f"that makes them {THRESHOLD} to the event that shows the ReplicaSet scaled down. Argo Rollouts "
        "and a Deployment do not look at failures: they act, or only say so, when "
        "`progressDeadlineSeconds` (600) are over; see *rollback*.",
        [
            Row(f"trip latency p50, {beside}", f"{half:.0f} ms", "600 s", "never"),
            Row(
                f"trip latency p99, {beside}",
                f"{most:.0f} ms",
                "600 s",
                "never",
                f"under {TARGET_MS:.0f} ms",
                most < TARGET_MS,
            ),
            Row(
                "healthy pods lost in all these trips, at most",
                f"{lost} of {REPLICAS}",
                target="0",
                met=lost == 0,
            ),
            Row(
                f"memory before and after {scale.trips} trips",
                f"{fresh:.0f} MiB, {churned:.0f} MiB",
                target="flat (under 10 % more)",
                met=churned < 1.1 * fresh,
            ),
        ],
        [f"Largest: {found[-1]:.0f} ms. CPU of the operator meanwhile: {cpu} of a core."],
    )
