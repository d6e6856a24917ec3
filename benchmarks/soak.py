"""``make soak-cluster``: an hour of everything at random, then the question whether all is well.

One seed gives one sequence of actions; the cluster's own timing is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.fleet import OURS
from benchmarks.process import resident_mib
from benchmarks.recount import OPEN, Recount
from benchmarks.report import DOCS, machine, versions
from benchmarks.testbed import Testbed
from tools.cluster.audit import GUARDED, PODS, SETS, Trail, Version
from tools.cluster.toolchain import say

PAGE = DOCS / "soak.md"
NAMESPACES = 20
BAD = ("crash", "oom", "start-error", "image-pull", "config-error", "never-ready")
ACTIONS = {"good rollout": 40, "bad rollout": 35, "scale": 15, "delete": 5, "create": 5}
PATIENCE = 60.0
"""How long a trip may take before it counts as missed, in seconds: restarts are in it."""
HOLD = 10.0
"""How long a line of the audit log waits for those before it, in seconds."""
QUIET_SECONDS = 420.0
GROWTH = 1.10


@dataclass
class Life:
    """One run of the operator: when it began and ended, and its memory in between."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    def growth(self) -> tuple[float, float] | None:
        """Memory in the first and in the last fifth (medians), None if it was short."""
        values = [mib for _, mib in self.samples]
        part = len(values) // 5
        if part < 3:
            return None
        # The first moments do not count: caches fill.
        early = sorted(values[part : 2 * part])[part // 2]
        return early, sorted(values[-part:])[part // 2]


class Soak:
    """The driver of the actions."""

    def __init__(self, testbed: Testbed, options: argparse.Namespace) -> None:
        self._lab = testbed
        self._random = random.Random(options.seed)
        self._objects: int = options.objects
        self._rate: float = options.rate
        self._restarts: int = options.restarts
        self._names: dict[str, str] = {}
        self._versions = 0
        self.done: Counter[str] = Counter()
        self.lives: list[Life] = []
        self.recount = Recount()
        self._quiet = asyncio.Event()

    async def run(self, seconds: float) -> list[str]:
        """Do everything; return what is wrong."""
        recount, stop = self.recount, asyncio.Event()
        spaces = [await self._lab.namespace(f"soak-{number}") for number in range(NAMESPACES)]
        operator = asyncio.create_task(self._operate(stop, seconds / (self._restarts + 1)))
        reading = asyncio.create_task(self._read_on(stop))
        try:
            say(f"creating {self._objects} objects")
            numbers = range(self._objects)
            await self._lab.api.each(
                lambda n: self._create(f"web-{n}", spaces[n % NAMESPACES]), numbers
            )
            began = time.monotonic()
            say(f"{seconds / 60:.0f} minutes of everything")
            while time.monotonic() - began < seconds:
                await self._try_to_act(spaces)
                await asyncio.sleep(self._random.expovariate(self._rate))
                for one in (operator, reading):
                    if one.done():
                        one.result()
            say(f"quiet now, for at most {QUIET_SECONDS:.0f} s")
            await self._until_quiet()
            return recount.find_faults(PATIENCE)
        finally:
            stop.set()
            await operator
            await reading

    async def _until_quiet(self) -> None:
        """Wait until nothing goes on any more, and for what is still to be read of it."""
        # Twice the hold: all that was done has been read when this looks for the first time.
        await asyncio.sleep(2 * HOLD)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                await self._quiet.wait()
        await asyncio.sleep(15 + 2 * HOLD)  # the last pods go

    async def _read_on(self, stop: asyncio.Event) -> None:
        """Take what the API server writes down, as it comes."""
        trail = Trail(self._lab.audit, HOLD)
        while not stop.is_set():
            for version in trail.read(time.time()):
                self._take(version)
            (self._quiet.set if self._is_quiet() else self._quiet.clear)()
            await asyncio.sleep(1)

    def _take(self, version: Version) -> None:
        labels = version.raw["metadata"].get("labels", {})
        match version.kind:
            case kind if kind == GUARDED:
                self.recount.see_guard(version.event, version.raw, version.seen)
            case kind if kind == SETS:
                self.recount.see_replica_set(version.event, version.raw, version.seen)
            case kind if kind == PODS and labels.get("soak") == "yes":
                self.recount.see_pod(version.event, version.raw, version.seen)

    def _is_quiet(self) -> bool:
        return not any(
            guard.there and (not guard.status or guard.status in OPEN)
            for guard in self.recount.guards.values()
        )

    async def _operate(self, stop: asyncio.Event, life_seconds: float) -> None:
        """Run the operator, every other time ended by SIGKILL, until told to stop."""
        while not stop.is_set():
            life = Life()
            self.lives.append(life)
            hard = len(self.lives) % 2 == 1
            async with self._lab.controller(OURS, kill=hard) as pid:
                began = time.monotonic()
                last = len(self.lives) > self._restarts
                while not stop.is_set() and (last or time.monotonic() - began < life_seconds):
                    life.samples.append((time.monotonic(), resident_mib(pid)))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(5):
                            await stop.wait()

    async def _try_to_act(self, spaces: list[str]) -> None:
        """Act; a request that the API server did not answer in time is no matter of the operator's."""
        try:
            await self._act(spaces)
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
            say(f"an action was lost: {error}")
            self.done["lost action"] += 1

    async def _act(self, spaces: list[str]) -> None:
        action = self._random.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        name = self._random.choice(sorted(self._names))
        path = OURS.path(self._names[name], name)
        self.done[action] += 1
        match action:
            case "good rollout" | "bad rollout":
                behaviour = self._random.choice(BAD) if action == "bad rollout" else None
                change = OURS.change(self._next_version(), behaviour)
                await self._lab.api.request("PATCH", path, change)
            case "scale":
                size = self._random.randint(1, 6)
                await self._lab.api.request("PATCH", path, {"spec": {"replicas": size}})
            case "delete":
                del self._names[name]
                await self._lab.api.request("DELETE", path)
            case _:
                fresh = f"more-{self._next_version()}"
                await self._create(fresh, self._random.choice(spaces))

    async def _create(self, name: str, space: str) -> None:
        bad = self._random.random() < 0.1
        body = OURS.body(
            name,
            self._random.randint(1, 6),
            version=self._next_version(),
            behaviour=self._random.choice(BAD) if bad else None,
            spec={"revisionHistoryLimit": 3},
        )
        body["spec"]["template"]["metadata"]["labels"]["soak"] = "yes"
        await self._lab.api.request("POST", OURS.path(space), body)
        self._names[name] = space

    def _next_version(self) -> str:
        self._versions += 1
        return str(self._versions)


def judge_memory(lives: list[Life]) -> tuple[list[str], list[str]]:
    """Return lines about the memory of every life, and what is wrong with it."""
    lines, faults = [], []
    for number, life in enumerate(lives, start=1):
        grown = life.growth()
        if grown is None:
            continue
        early, late = grown
        minutes = (life.samples[-1][0] - life.samples[0][0]) / 60
        lines.append(f"run {number}, {minutes:.0f} min: {early:.0f} MiB early, {late:.0f} MiB late")
        if late > GROWTH * early:
            faults.append(f"memory grew from {early:.0f} to {late:.0f} MiB")
    return lines, faults


def render(soak: Soak, options: argparse.Namespace, memory: list[str], faults: list[str]) -> str:
    """Return the page."""
    recount = soak.recount
    late = recount.latencies()
    tripped = sum(len(guard.failed) for guard in recount.guards.values())
    reached = sum(one.reached is not None for one in recount.revisions.values())
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    actions = ", ".join(f"{number} x {action}" for action, number in soak.done.most_common())
    what = (
        f"- {when}, seed {options.seed}, {options.minutes:g} minutes, {options.objects} objects of 1 to "
        f"6 replicas; {machine()}; {versions()}."
    )
    seen = (
        f"- {len(recount.guards)} objects, {len(recount.revisions)} revisions, {tripped} of them "
        f"FAILED; {reached} reached the threshold in the recount."
    )
    lines = [
        "# Soak test: random operations on a real API server",
        "",
        "Written by `make soak-cluster`; not edited by hand. Random good and bad rollouts, scaling,",
        "deletions and restarts of the operator (by turns killed with -9 and stopped), and a recount from",
        "the API server's audit log, which has what each write made of each object",
        "(`benchmarks/recount.py`, `tools/cluster/audit.py`).",
        "",
        what,
        f"- Actions: {actions}.",
        seen,
    ]
    if late:
        half, most = late[len(late) // 2], late[len(late) * 99 // 100]
        lines.append(
            f"- From the threshold to the scale-down: p50 {1000 * half:.0f} ms, p99 {1000 * most:.0f} ms, "
            f"largest {late[-1]:.1f} s (restarts are in it)."
        )
    lines += [f"- Memory, {line}." for line in memory]
    lines += ["", "## Faults", ""]
    lines += [f"- {fault}" for fault in faults] or [
        "None: no missed trip, no false one, no stuck rollout, no leaked ReplicaSet or pod, memory flat."
    ]
    return "\n".join(lines) + "\n"


async def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--rate", type=float, default=1.0, help="actions per second")
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--no-docs", action="store_true", help="only print, write no file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tripswitch-soak-") as directory:
        async with Testbed(Path(directory), peers=False, audit_bodies=True) as testbed:
            soak = Soak(testbed, options)
            faults = await soak.run(60 * options.minutes)
    memory, grown = judge_memory(soak.lives)
    page = render(soak, options, memory, faults + grown)
    print(page)
    if not options.no_docs:
        PAGE.write_text(page)
    return 1 if faults or grown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
