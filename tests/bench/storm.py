"""A thousand rollouts at once: how long until all are done, and what it costs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.bench.api import Object
from tests.bench.audit import count
from tests.bench.fleet import ARGO, OURS, Kind
from tests.bench.lab import Lab
from tests.bench.process import cpu_seconds, resident_mib, settled_mib
from tests.bench.report import Result, Row
from tests.bench.scale import Scale

PODS = 10
SECONDS = 1500.0


@dataclass(frozen=True)
class Storm:
    """What one storm took."""

    seconds: float
    cpu: float
    requests: int
    memory: float


async def measure_storm(lab: Lab, scale: Scale) -> Result:
    """All objects get a new template at the same moment; for ours every other one is bad."""
    ours = await _storm(lab, OURS, scale.storm, None)
    mixed = await _storm(lab, OURS, scale.storm, "crash")
    argo = await _storm(lab, ARGO, scale.storm, None)
    fleet = f"{scale.storm:,} x {PODS} pods"

    def words(storm: Storm) -> str:
        cost = f"{storm.cpu:.0f} s CPU, {storm.requests:,} requests, {storm.memory:.0f} MiB"
        return f"{storm.seconds:.0f} s ({cost})"

    return Result(
        "A finished fleet is given a new template, 16 requests at a time; the clock runs until the last "
        "object is finished (COMPLETED, Healthy; a bad one: rolled back). Everybody meets the same limits "
        "of the cluster: the ReplicaSet controller and the scheduler make 300 requests a second each, "
        "and all share two cores. Argo Rollouts with its default limits.",
        [
            Row(
                f"rollouts at once, {fleet}, all good",
                words(ours),
                words(argo),
                target="never slower than Argo",
                met=ours.seconds <= argo.seconds,
            ),
            Row(f"rollouts at once, {fleet}, every other one bad", words(mixed)),
        ],
    )


async def _storm(lab: Lab, kind: Kind, count_: int, behaviour: str | None) -> Storm:
    objects = await lab.seed(kind, "storm", count_)
    bad = {name for _, name in objects[::2]} if behaviour else set()
    open_ = {name for _, name in objects}

    def look(event: str, raw: Object, at: float) -> None:
        name = raw["metadata"]["name"]
        if raw["metadata"]["generation"] > 1 and (kind.back if name in bad else kind.done)(raw):
            open_.discard(name)

    async def change(item: tuple[str, str]) -> None:
        body = kind.change("2", behaviour if item[1] in bad else None)
        await lab.api.request("PATCH", kind.path(*item), body)

    async with (
        lab.controller(kind) as pid,
        lab.api.watch(f"/apis/{kind.group}/{kind.plural}", look) as watch,
    ):
        await settled_mib(pid, seconds=3)  # it has started: that is measured elsewhere
        lab.audit.mark()
        began, cpu = time.monotonic(), cpu_seconds(pid)
        await lab.api.each(change, objects)
        if not await watch.until(lambda: not open_, SECONDS):
            raise RuntimeError(f"{kind.name}: {len(open_)} are not finished: {sorted(open_)[:5]}")
        seconds = time.monotonic() - began
        storm = Storm(
            seconds,
            cpu_seconds(pid) - cpu,
            count(lab.audit.read(), kind.user).total(),
            resident_mib(pid),
        )
    await lab.clear(kind)
    return storm
