"""A thousand rollouts at once: how long until all are done, and what it costs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.api import Object, Watch
from benchmarks.audit import count
from benchmarks.fleet import ARGO, DEPLOYMENT, OURS, VERSION, Kind
from benchmarks.process import cpu_seconds, resident_mib, settled_mib
from benchmarks.report import Result, Row
from benchmarks.scale import Scale
from benchmarks.testbed import PER_NAMESPACE, Testbed

PODS = 10
SECONDS = 1500.0
CREATED, GOOD, MIXED = "created", "good", "mixed"
MOST_OF_DEPLOYMENT = 1.05
MOST_OF_GOOD = 1.5
MOST_REQUESTS, MOST_REQUESTS_MIXED = 11, 14
WHY = (
    "both cores are busy all the time, so what counts is the CPU time of all programs together: "
    "[a storm on two cores](explanation/performance.md#a-storm-on-two-cores)"
)
Item = tuple[str, str]
"""Namespace and name of an object."""
Beside = Callable[[str, int], AbstractAsyncContextManager[None]]
"""Called with a wave and the process number of the controller."""


@dataclass(frozen=True)
class Wave:
    """What it took until the last object was finished; the memory at that moment.

    ``others``: CPU seconds of the cluster's own programs, by name.
    """

    seconds: float
    cpu: float
    requests: int
    memory: float
    others: dict[str, float]


async def measure_storm(testbed: Testbed, scale: Scale) -> Result:
    """All objects are created at the same moment, then all get a new template, then every other a bad one."""
    ours = await storm(testbed, OURS, scale.storm, [CREATED, GOOD, MIXED])
    argo = await storm(testbed, ARGO, scale.storm, [CREATED, GOOD])
    deployment = await storm(testbed, DEPLOYMENT, scale.storm, [CREATED, GOOD])
    return Result(
        "A fleet is created, 16 requests at a time, and when it stands each object is given a new "
        "template; the clock runs until the last object is finished (COMPLETED, Healthy, all replicas "
        "updated and available; a bad one: rolled back). Everybody meets the same limits "
        "of the cluster: the ReplicaSet controller and the scheduler make 300 requests a second each, "
        "and all share two cores. They come one after the other, Tripswitch first, each with a scheduler "
        "that was started anew. Argo Rollouts with its default limits; the Deployment controller is a part "
        "of the controller manager, which has no CPU time or memory of its own to show. Requests of one "
        "object are those of its controller in the audit log, Events included, without lists, watches and Leases.",
        build_rows(scale.storm, ours, argo, deployment),
        [
            f"CPU seconds of the cluster's programs meanwhile, {wave}: {_shares(found[wave])} "
            f"({kind.name})."
            for wave in (CREATED, GOOD)
            for kind, found in ((OURS, ours), (ARGO, argo), (DEPLOYMENT, deployment))
        ]
        + [f"The same, every other one bad: {_shares(ours[MIXED])} (Tripswitch)."],
    )


def build_rows(
    size: int, ours: dict[str, Wave], argo: dict[str, Wave], deployment: dict[str, Wave]
) -> list[Row]:
    """Return the rows of three storms with so many objects."""
    fleet = f"{size:,} x {PODS} pods"
    rows = []
    for wave, what in ((CREATED, "created"), (GOOD, "all given a good template")):
        mine, theirs, plain = ours[wave], argo[wave], deployment[wave]
        storm = f"rollouts at once, {fleet}, {what}"
        ratio, requests = mine.seconds / plain.seconds, mine.requests / size
        rows += [
            Row(
                storm,
                _words(mine),
                _words(theirs),
                f"{plain.seconds:.0f} s ({plain.requests:,} requests)",
                "never slower than Argo",
                mine.seconds <= theirs.seconds,
                WHY,
            ),
            Row(
                f"{storm}: time, in times of the Deployment controller's",
                f"{ratio:.2f}",
                f"{theirs.seconds / plain.seconds:.2f}",
                "1",
                f"at most {MOST_OF_DEPLOYMENT}",
                ratio <= MOST_OF_DEPLOYMENT,
                WHY,
            ),
            Row(
                f"{storm}: CPU time of the operator",
                f"{mine.cpu:.0f} s",
                f"{theirs.cpu:.0f} s",
                target="below Argo",
                met=mine.cpu < theirs.cpu,
                reason="it takes in every event of every pod, in Python; Argo watches no pods: "
                "[CPU time](explanation/performance.md#cpu-time-of-the-operator)",
            ),
            Row(
                f"{storm}: requests of one object",
                f"{requests:.1f}",
                f"{theirs.requests / size:.1f}",
                f"{plain.requests / size:.1f}",
                f"{MOST_REQUESTS} or fewer",
                requests <= MOST_REQUESTS,
                "each step of a rollout is two requests (W1): [requests](explanation/performance.md#requests)",
            ),
        ]
    return [*rows, *_mixed_rows(size, ours)]


def _mixed_rows(size: int, ours: dict[str, Wave]) -> list[Row]:
    storm = f"rollouts at once, {size:,} x {PODS} pods, every other one bad"
    mixed, limit = ours[MIXED], MOST_OF_GOOD * ours[GOOD].seconds
    requests = mixed.requests / size
    return [
        Row(
            storm,
            _words(mixed),
            deployment="never",
            target=f"{MOST_OF_GOOD} x the good storm ({limit:.0f} s)",
            met=mixed.seconds <= limit,
            reason=f"a bad object is two rollouts, and its crashing pods are replaced meanwhile; {WHY}",
        ),
        Row(
            f"{storm}: requests of one object",
            f"{requests:.1f}",
            target=f"{MOST_REQUESTS_MIXED} or fewer",
            met=requests <= MOST_REQUESTS_MIXED,
            reason="half of the objects roll out twice, send five events and read evidence: "
            "[requests](explanation/performance.md#requests)",
        ),
    ]


def _shares(wave: Wave) -> str:
    return ", ".join(f"{name} {seconds:.0f}" for name, seconds in wave.others.items())


def _words(wave: Wave) -> str:
    cost = f"{wave.cpu:.0f} s CPU, {wave.requests:,} requests, {wave.memory:.0f} MiB"
    return f"{wave.seconds:.0f} s ({cost})"


@dataclass
class _Open:
    """Which objects are not finished with a version yet, and which of them go back from it."""

    kind: Kind
    version: str = ""
    names: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)

    def look(self, event: str, raw: Object, at: float) -> None:
        name = raw["metadata"]["name"]
        annotations = raw["spec"]["template"]["metadata"]["annotations"]
        if name in self.names and annotations[VERSION] == self.version:
            reached = self.kind.back if name in self.bad else self.kind.done
            if reached(raw):
                self.names.discard(name)


@asynccontextmanager
async def _nothing(_wave: str, _pid: int) -> AsyncIterator[None]:
    yield


async def storm(
    testbed: Testbed, kind: Kind, size: int, waves: list[str], beside: Beside = _nothing
) -> dict[str, Wave]:
    """Run the waves one after the other, each with what ``beside`` does meanwhile; return what they took."""
    spaces = [f"storm-{number:03}" for number in range(-(-size // PER_NAMESPACE))]
    await testbed.api.each(testbed.namespace, spaces)
    objects = [(spaces[n // PER_NAMESPACE], f"storm-{n:05}") for n in range(size)]
    open_ = _Open(kind)

    async def create(item: Item) -> None:
        space, name = item
        await testbed.api.request("POST", kind.path(space), kind.body(name, PODS, version=CREATED))

    async def change(item: Item) -> None:
        behaviour = "crash" if item[1] in open_.bad else None
        await testbed.api.request("PATCH", kind.path(*item), kind.change(open_.version, behaviour))

    found = {}
    async with (
        testbed.controller(kind) as pid,
        testbed.api.watch(f"/apis/{kind.group}/{kind.plural}", open_.look) as watch,
    ):
        for wave in waves:
            await settled_mib(pid, seconds=3)  # what went before is over
            open_.version = wave
            open_.names = {name for _, name in objects}
            open_.bad = {name for _, name in objects[::2]} if wave == MIXED else set()
            request = create if wave == CREATED else change
            async with beside(wave, pid):
                found[wave] = await _measure(testbed, pid, watch, open_, objects, request)
    await testbed.clear(kind)
    return found


async def _measure(
    testbed: Testbed,
    pid: int,
    watch: Watch,
    open_: _Open,
    objects: list[Item],
    request: Callable[[Item], Awaitable[None]],
) -> Wave:
    def others() -> dict[str, float]:
        return {name: cpu_seconds(number) for name, number in testbed.cluster.programs.items()}

    testbed.audit.mark()
    began, cpu, before = time.monotonic(), cpu_seconds(pid), others()
    await testbed.api.each(request, objects)
    if not await watch.until(lambda: not open_.names, SECONDS):
        left = sorted(open_.names)
        raise RuntimeError(f"{open_.kind.name}: {len(left)} are not finished: {left[:5]}")
    return Wave(
        time.monotonic() - began,
        cpu_seconds(pid) - cpu,
        count(testbed.audit.read(), open_.kind.user).total(),
        resident_mib(pid),
        {name: seconds - before[name] for name, seconds in others().items()},
    )
