"""Two operators with half of the namespaces each, beside one that has all of them (ADR 23)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks.api import Object
from benchmarks.fleet import OURS, VERSION
from benchmarks.process import cpu_seconds, rest, settled_mib
from benchmarks.report import Result, Row
from benchmarks.scale import Scale
from benchmarks.testbed import Testbed
from tools.operator_process import OperatorProcess

SPACES = 8
ROLLED = 25
"""How many objects get a new template at the same moment, in each namespace at most."""
PODS = 10
MOST_SHARE = 0.75
"""What is in a process whatever it watches (Python, kopf, the client) is in both."""
WHY = (
    "every process loads Python and its libraries and has a set of watches for each of its namespaces, "
    "so half of a fleet costs more than half"
)
Item = tuple[str, str]


@dataclass
class Cost:
    """What the operators of one installation cost, each: start, memory in MiB, CPU seconds of the rollouts."""

    starts: list[float]
    memory: list[float]
    cpu: list[float]
    seconds: float


async def measure_halves(testbed: Testbed, scale: Scale) -> Result:
    """The same fleet under one operator, then under two."""
    size = -(-scale.halved // SPACES)
    objects = await testbed.seed(OURS, "half", scale.halved, per_namespace=size)
    spaces = sorted({space for space, _ in objects})
    middle = len(spaces) // 2
    one = await _measure(testbed, objects, "one", [[]])
    two = await _measure(testbed, objects, "two", [spaces[:middle], spaces[middle:]])
    fleet = f"{scale.halved:,} x {PODS} pods"
    return Result(
        f"{len(objects):,} finished objects in {len(spaces)} namespaces, laid into etcd; then one operator for the whole cluster, and "
        f"after it two at the same time, each with `--namespace` for half of them. *Start* is the time from exec to being ready, *memory* the "
        "resident set once the process has been idle for 5 s. Then "
        f"{min(size, ROLLED) * len(spaces)} objects get a new template at the same moment: CPU time of each operator, and the "
        "time until the last object is finished, on a machine of which most is the API server's.",
        build_rows(fleet, one, two),
    )


def build_rows(fleet: str, one: Cost, two: Cost) -> list[Row]:
    """Return the rows that compare one operator with two."""
    whole, half = one.memory[0], max(two.memory)
    used, shared = one.cpu[0], max(two.cpu)
    return [
        Row(
            f"memory, {fleet}: one operator; each of two with half of the namespaces",
            f"{whole:.0f} MiB; {_each(two.memory)} MiB",
            target="each less than one",
            met=half < whole,
            reason=WHY,
        ),
        Row(
            "start of the same",
            f"{one.starts[0]:.1f} s; {' and '.join(f'{seconds:.1f}' for seconds in two.starts)} s",
        ),
        Row(
            "CPU time of the same for rollouts at once",
            f"{used:.1f} s; {' and '.join(f'{seconds:.1f}' for seconds in two.cpu)} s",
            target=f"each less than {MOST_SHARE:.0%} of one",
            met=shared < MOST_SHARE * used,
            reason=WHY,
        ),
        Row("time of these rollouts", f"{one.seconds:.0f} s; {two.seconds:.0f} s"),
    ]


def _each(values: list[float]) -> str:
    return " and ".join(f"{value:.0f}" for value in values)


async def _measure(
    testbed: Testbed, objects: list[Item], version: str, groups: Sequence[Sequence[str]]
) -> Cost:
    await rest()
    async with _operators(testbed, groups) as operators:
        starts = await asyncio.gather(*(_start(one) for one in operators))
        pids = [one.pid for one in operators]
        memory = [await settled_mib(pid) for pid in pids]
        before = [cpu_seconds(pid) for pid in pids]
        seconds = await _roll_out(testbed, objects, version)
        cpu = [cpu_seconds(pid) - spent for pid, spent in zip(pids, before, strict=True)]
    return Cost(list(starts), memory, cpu, seconds)


@asynccontextmanager
async def _operators(
    testbed: Testbed, groups: Sequence[Sequence[str]]
) -> AsyncIterator[list[OperatorProcess]]:
    """Have an operator for each group of namespaces, not started yet; no group: the whole cluster."""
    async with AsyncExitStack() as stack:
        operators = []
        for number, group in enumerate(groups):
            log = testbed.directory / f"half-{number}.log"
            arguments = [f"--namespace={space}" for space in group]
            operator = OperatorProcess(testbed.kubeconfig(OURS), log, arguments=arguments)
            stack.push_async_callback(asyncio.to_thread, operator.stop)
            operators.append(operator)
        yield operators


async def _start(operator: OperatorProcess) -> float:
    began = time.monotonic()
    await asyncio.to_thread(operator.start)
    return time.monotonic() - began


async def _roll_out(testbed: Testbed, objects: list[Item], version: str) -> float:
    """Give some objects of each namespace a new template; return after how long all are finished."""
    chosen: list[Item] = []
    for space in sorted({space for space, _ in objects}):
        chosen += [one for one in objects if one[0] == space][:ROLLED]
    open_ = {name for _, name in chosen}

    def look(event: str, raw: Object, at: float) -> None:
        annotations = raw["spec"]["template"]["metadata"]["annotations"]
        if annotations[VERSION] == version and OURS.done(raw):
            open_.discard(raw["metadata"]["name"])

    async def change(item: Item) -> None:
        await testbed.api.request("PATCH", OURS.path(*item), OURS.change(version, None))

    path = f"/apis/{OURS.group}/{OURS.plural}"
    async with testbed.api.watch(path, look) as watch:
        began = time.monotonic()
        await testbed.api.each(change, chosen)
        if not await watch.until(lambda: not open_, 600):
            raise RuntimeError(f"{len(open_)} rollouts are not finished: {sorted(open_)[:5]}")
        return time.monotonic() - began
