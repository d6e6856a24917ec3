"""What a verdict by time costs: the reads that come before a pod may count as late (rules V1 and V3)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from benchmarks.api import Object
from benchmarks.fleet import OURS
from benchmarks.report import Result, Row
from benchmarks.scale import Scale
from benchmarks.testbed import Testbed
from tools.cluster.audit import Request

REPLICAS = 4
SECONDS = 240.0
"""Within which all have tripped: the health deadline is 60 s (F4), then the nodes' Leases have to be renewed."""
MOST_LISTS = 1.0
SETTLE_SECONDS = 10
NODES = ("nodes", "leases")


async def measure_verdicts(testbed: Testbed, scale: Scale) -> Result:
    """Objects at rest, then the same with pods that are never Ready, until all have tripped."""
    space = await testbed.namespace("late")
    names = [f"late-{number}" for number in range(scale.late)]
    async with testbed.controller(OURS):
        for name in names:
            await testbed.api.request("POST", OURS.path(space), OURS.body(name, REPLICAS))
        await testbed.finish(OURS, space, names, 120)
        await asyncio.sleep(SETTLE_SECONDS)
        testbed.audit.mark()
        await asyncio.sleep(scale.idle_seconds)
        resting = count_reads(testbed.audit.read())
        await _go_late(testbed, space, names)
        late = count_reads(testbed.audit.read())
    return Result(
        f"{len(names)} GuardedDeployments of {REPLICAS} pods stand still; then all are given a template whose pods run and are "
        "never Ready. No report comes, so each pod counts when its health deadline has passed (F4), after a consistent "
        "list of the pods (V1) and a look at its node and the node's Lease (V3). Counted in the audit log are the operator's "
        "requests of these three kinds, watches and the operator's own Lease left out, until the last has tripped: all pods of one "
        "object have their deadline at the same time, so one list serves them.",
        build_rows(scale, len(names), resting, late),
        [f"Reads at rest: {_words(resting)}.", f"Reads until the trips: {_words(late)}."],
    )


def count_reads(requests: Iterable[Request]) -> Counter[str]:
    """Count the operator's lists of pods, and its reads of nodes and of their Leases."""
    found: Counter[str] = Counter()
    for one in requests:
        reads = one.verb == "get" and one.resource in NODES and one.namespace != "tripswitch-system"
        if one.user == OURS.user and (reads or (one.verb, one.resource) == ("list", "pods")):
            found[one.words] += 1
    return found


def build_rows(scale: Scale, objects: int, resting: Counter[str], late: Counter[str]) -> list[Row]:
    """Return the rows: none at rest, one list for each object and deadline."""
    lists = late["list pods"] / objects
    reads = (late.total() - late["list pods"]) / objects
    return [
        Row(
            f"reads for verdicts by time, {objects} objects at rest for {scale.idle_seconds} s",
            str(resting.total()),
            target="0",
            met=resting.total() == 0,
        ),
        Row(
            "lists of pods for the verdict about one object whose pods are never Ready",
            f"{lists:.1f}",
            target=f"at most {MOST_LISTS:.0f} for each deadline",
            met=lists <= MOST_LISTS,
            reason="pods whose deadlines are apart need a list each",
        ),
        Row("reads of nodes and their Leases for the same verdict", f"{reads:.1f}"),
    ]


async def _go_late(testbed: Testbed, space: str, names: list[str]) -> None:
    open_ = set(names)

    def look(event: str, raw: Object, at: float) -> None:
        if raw["metadata"]["generation"] > 1 and OURS.back(raw):
            open_.discard(raw["metadata"]["name"])

    testbed.audit.mark()
    async with testbed.api.watch(OURS.path(space), look) as watch:
        for name in names:
            change = OURS.change("late", "never-ready")
            await testbed.api.request("PATCH", OURS.path(space, name), change)
        if not await watch.until(lambda: not open_, SECONDS):
            raise RuntimeError(f"did not trip in {SECONDS:.0f} s: {sorted(open_)}")


def _words(reads: Counter[str]) -> str:
    return ", ".join(f"{number} {words}" for words, number in reads.most_common()) or "none"
