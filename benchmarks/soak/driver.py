"""Runs the soak: the operator's processes, the actions, and the reading of the audit log."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time

from benchmarks.api import Object
from benchmarks.fleet import OURS
from benchmarks.process import resident_mib
from benchmarks.soak.actor import FAILURES, Actor
from benchmarks.soak.alarm_rules import AlarmRules
from benchmarks.soak.endings import Endings
from benchmarks.soak.gates import Gates
from benchmarks.soak.guarded_recount import GuardedRecount, is_guarded
from benchmarks.soak.lives import Life
from benchmarks.soak.recount import Recount
from benchmarks.soak.subjects import MARK, WITH_HOOKS, Ledger
from benchmarks.testbed import Testbed
from tools.cluster.audit import (
    BREAKERS,
    DEPLOYMENTS,
    GUARDED,
    KINDS,
    PODS,
    SETS,
    STATEFUL_SETS,
    Trail,
    Version,
)
from tools.cluster.toolchain import say

NAMESPACES = 20
PATIENCE = 60.0
"""How long a trip may take before it counts as missed, in seconds: restarts are in it."""
HOLD = 10.0
"""How long a line of the audit log waits for those before it, in seconds."""
QUIET_SECONDS = 420.0
PATHS = {
    GUARDED: f"/apis/{OURS.group}/{GUARDED}",
    DEPLOYMENTS: f"/apis/apps/v1/{DEPLOYMENTS}",
    STATEFUL_SETS: f"/apis/apps/v1/{STATEFUL_SETS}",
    BREAKERS: f"/apis/{OURS.group}/{BREAKERS}",
    SETS: f"/apis/apps/v1/{SETS}",
    PODS: f"/api/v1/{PODS}",
}
WORKLOADS = (GUARDED, DEPLOYMENTS, STATEFUL_SETS)
FOLLOWED = (*KINDS, DEPLOYMENTS, STATEFUL_SETS, BREAKERS)


class Soak:
    """One run of it."""

    def __init__(self, testbed: Testbed, options: argparse.Namespace) -> None:
        self._lab = testbed
        self._options = options
        self.ledger: Ledger = {}
        self.lives: list[Life] = []
        self.recount = Recount(self.ledger)
        self.guarded = GuardedRecount(self.ledger)
        self.endings = Endings(self.ledger)
        self.gates = Gates(self.ledger)
        self.alarms = AlarmRules()
        self.actor: Actor
        self._quiet = asyncio.Event()

    async def run(self, seconds: float) -> list[str]:
        """Do everything; return what is wrong."""
        async with self.alarms:
            stop = asyncio.Event()
            spaces = [await self._lab.namespace(f"soak-{number}") for number in range(NAMESPACES)]
            seed: int = self._options.seed
            self.actor = Actor(self._lab, self.ledger, self.alarms, seed, spaces)
            life_seconds = seconds / (self._options.restarts + 1)
            operator = asyncio.create_task(self._operate(stop, life_seconds))
            reading = asyncio.create_task(self._read_on(stop))
            person = asyncio.create_task(self._answer_on(stop))
            try:
                await self._act(seconds, (operator, reading, person))
                say(f"quiet now, for at most {QUIET_SECONDS:.0f} s")
                await self._until_quiet()
                return self.find_faults()
            finally:
                stop.set()
                for task in (operator, reading, person):
                    await task

    def find_faults(self) -> list[str]:
        """Return what every second opinion has to say."""
        statuses = self.recount.statuses() | self.guarded.statuses()
        return [
            *self.recount.find_faults(PATIENCE),
            *self.guarded.find_faults(PATIENCE),
            *self.gates.find_faults(),
            *self.endings.find_faults(statuses),
        ]

    async def _act(self, seconds: float, tasks: tuple[asyncio.Task[None], ...]) -> None:
        say(f"creating {self._options.objects} workloads")
        names = [f"web-{number}" for number in range(self._options.objects)]
        await self._lab.api.each(self.actor.create, names)
        began = time.monotonic()
        say(f"{seconds / 60:.0f} minutes of everything")
        while time.monotonic() - began < seconds:
            await self.actor.try_to_act()
            await self.actor.pause(self._options.rate)
            for one in tasks:
                if one.done():
                    one.result()
        await self.actor.finish()

    async def _until_quiet(self) -> None:
        """Wait until nothing goes on any more, and for what is still to be read of it."""
        # Twice the hold: all that was done has been read when this looks for the first time.
        await asyncio.sleep(2 * HOLD)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                while not self._quiet.is_set():
                    await self._catch_up()
                    await asyncio.sleep(HOLD)
        await self.actor.finish()
        await asyncio.sleep(15 + 2 * HOLD)  # the last pods go
        await self._catch_up()

    async def _catch_up(self) -> None:
        """Take everything as it is now.

        A write that took effect and was answered with a time-out (504) stands in the audit log without
        what it made of the object.
        """
        for kind, path in PATHS.items():
            for raw in await self._lab.api.items(path):
                if raw["metadata"]["name"] in self.ledger or kind not in WORKLOADS:
                    version = Version(0, kind, raw, gone=False, seen=time.time())
                    self._take(version)

    async def _answer_on(self, stop: asyncio.Event) -> None:
        """Look for hooks that wait, as a person does, and have them answered."""
        while not stop.is_set():
            with contextlib.suppress(*FAILURES):
                for raw in await self._lab.api.items(PATHS[GUARDED], labelSelector=WITH_HOOKS):
                    self._answer(raw)
            await asyncio.sleep(HOLD)

    def _answer(self, raw: Object) -> None:
        for hook in self.gates.see_hooks(raw):
            self.actor.answer(hook)

    async def _read_on(self, stop: asyncio.Event) -> None:
        """Take what the API server writes down, as it comes."""
        trail = Trail(self._lab.audit, HOLD, kinds=FOLLOWED)
        while not stop.is_set():
            for version in trail.read(time.time()):
                self._take(version)
            is_open = self.recount.is_open() or self.guarded.is_open()
            (self._quiet.clear if is_open else self._quiet.set)()
            await asyncio.sleep(1)

    def _take(self, version: Version) -> None:
        known = (version.event, version.raw, version.seen)
        raw = version.raw
        match version.kind:
            case kind if kind == GUARDED:
                self.recount.see_guard(*known)
                self.endings.see_workload(*known)
                self.gates.see_status(version.name, raw.get("status", {}), version.seen)
                self._answer(raw)
            case kind if kind in (DEPLOYMENTS, STATEFUL_SETS):
                self.guarded.see_workload(*known)
                self.endings.see_workload(*known)
            case kind if kind == BREAKERS:
                self.guarded.see_breaker(*known)
                target = raw["spec"]["targetRef"]["name"]
                self.gates.see_status(target, raw.get("status", {}), version.seen)
            case kind if kind == SETS:
                self.gates.see_replica_set(raw)
                if not _is_of_deployment(raw):
                    self.recount.see_replica_set(*known)
            case kind if kind == PODS and MARK in raw["metadata"].get("labels", {}):
                self.endings.see_pod(*known)
                self.gates.see_pod(raw)
                see = self.guarded.see_pod if is_guarded(raw) else self.recount.see_pod
                see(*known)

    async def _operate(self, stop: asyncio.Event, life_seconds: float) -> None:
        """Run the operator, every other time ended by SIGKILL, until told to stop."""
        while not stop.is_set():
            life = Life()
            self.lives.append(life)
            hard = len(self.lives) % 2 == 1
            arguments = [f"--alarms-url={self.alarms.url}"]
            async with self._lab.controller(OURS, kill=hard, arguments=arguments) as pid:
                began, self.endings.launched = time.monotonic(), time.time()
                last = len(self.lives) > self._options.restarts
                while not stop.is_set() and (last or time.monotonic() - began < life_seconds):
                    life.samples.append((time.monotonic(), resident_mib(pid)))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(5):
                            await stop.wait()


def _is_of_deployment(raw: dict[str, object]) -> bool:
    """Whether a ReplicaSet belongs to a Deployment, which is not ours to clean up."""
    metadata = raw["metadata"]
    assert isinstance(metadata, dict)
    return any(one["kind"] == "Deployment" for one in metadata.get("ownerReferences", []))
