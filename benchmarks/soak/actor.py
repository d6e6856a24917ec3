"""Acts at random: rollouts, scaling, deletions, alarms, and a person's answers to hooks."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any

import aiohttp

from benchmarks.api import Object
from benchmarks.soak.alarm_rules import AlarmRules
from benchmarks.soak.gates import Hook
from benchmarks.soak.subjects import (
    OWNED,
    SHARES,
    WITH_ALARMS,
    Asked,
    Ledger,
    Role,
    Subject,
)
from benchmarks.testbed import Testbed
from tools.cluster.toolchain import say

ACTIONS = {
    "good rollout": 37,
    "bad rollout": 32,
    "scale": 14,
    "alarm": 7,
    "delete": 5,
    "create": 5,
}
STAGES = (("PRE_SCALE_UP",), ("POST_SCALE_UP",), ("PRE_SCALE_UP", "POST_SCALE_UP"))
SETTLED = ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL")
CONTINUES = 0.7
"""Share of the hooks that a person answers with CONTINUE; those of a first revision always are."""
TRIES = 10
FAILURES = (RuntimeError, aiohttp.ClientError, TimeoutError)


class Actor:
    """One hand for everything that is done to the cluster; what was asked for stands in the ledger."""

    def __init__(
        self, testbed: Testbed, ledger: Ledger, alarms: AlarmRules, seed: int, spaces: list[str]
    ) -> None:
        self._api = testbed.api
        self._ledger = ledger
        self._alarms = alarms
        self._random = Random(seed)
        self._spaces = spaces
        self._versions = 0
        self._busy: set[str] = set()
        """Those whose alarm is about to fire: their template stays as it is."""
        self._stories: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()

    async def pause(self, rate: float) -> None:
        """Wait until the next action, at so many a second."""
        await asyncio.sleep(self._random.expovariate(rate))

    async def finish(self) -> None:
        """Wait until every alarm is quiet and every hook that was seen is answered."""
        while self._stories:
            await asyncio.gather(*self._stories)

    async def create(self, name: str) -> None:
        """Create a workload of a random role."""
        role = self._random.choices(list(SHARES), list(SHARES.values()))[0]
        subject = Subject(
            name,
            self._random.choice(self._spaces),
            role,
            by_label=role not in OWNED and role not in WITH_ALARMS and self._random.random() < 0.5,
            ordered=role is Role.STATEFUL_SET and self._random.random() < 0.5,
            stages=self._random.choice(STAGES) if role is Role.OWNED_HOOKS else (),
        )
        may_be_bad = not subject.ordered and not subject.stages
        bad = self._random.random() < 0.1 and may_be_bad
        self._ask(subject, self._random.choice(subject.behaviours) if bad else None)
        body = subject.body(self._random.randint(1, 6))
        breaker = subject.breaker()
        self._ledger[name] = subject
        await self._insist("POST", subject.kind.path(subject.space), body)
        if breaker is not None:
            await self._insist("POST", subject.breaker_path.rpartition("/")[0], breaker)

    async def try_to_act(self) -> None:
        """Act; a request that the API server did not answer in time is no matter of the operator's."""
        try:
            await self._act()
        except FAILURES as error:
            say(f"an action was lost: {error}")
            self.done["lost action"] += 1

    def answer(self, hook: Hook) -> None:
        """Have a person answer a hook."""
        subject = self._ledger[hook.subject]
        asked = subject.find(hook.version)
        assert asked is not None, hook
        first = asked is subject.asked[0]
        continues = first or self._random.random() < CONTINUES
        hook.answer = "CONTINUE" if continues else "ROLLBACK"
        now = time.time()
        if continues:
            asked.continued.setdefault(hook.stage, now)
        else:
            asked.stopped = now
        self.done[f"hook: {hook.answer}"] += 1
        value = f"{hook.hook_id}/{hook.answer}"
        change = {"metadata": {"annotations": {"tripswitch.dev/continue": value}}}
        self._begin(self._insist("PATCH", subject.path, change))

    async def _act(self) -> None:
        action = self._random.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        free = [one for name, one in self._ledger.items() if one.there and name not in self._busy]
        if action == "alarm":
            free = [one for one in free if one.role in WITH_ALARMS]
        if not free:
            return
        subject = self._random.choice(free)
        match action:
            case "good rollout" | "bad rollout" | "alarm":
                if subject.ordered and not await self._is_settled(subject):
                    action = "StatefulSet left alone"
                elif action == "alarm":
                    self._busy.add(subject.name)
                    self._begin(self._sound_alarm(subject))
                else:
                    bad = action == "bad rollout"
                    behaviour = self._random.choice(subject.behaviours) if bad else None
                    await self._roll_out(subject, behaviour)
            case "scale":
                size = self._random.randint(1, 6)
                await self._api.request("PATCH", subject.path, {"spec": {"replicas": size}})
            case "delete":
                subject.there = False
                await self._insist("DELETE", subject.path)
                if subject.role not in OWNED and not subject.by_label:
                    await self._insist("DELETE", subject.breaker_path)
            case _:
                self._versions += 1
                await self.create(f"more-{self._versions}")
        self.done[action] += 1

    def _ask(self, subject: Subject, behaviour: str | None) -> Asked:
        self._versions += 1
        asked = Asked(str(self._versions), behaviour, time.time())
        subject.asked.append(asked)
        return asked

    async def _roll_out(self, subject: Subject, behaviour: str | None) -> Asked:
        asked = self._ask(subject, behaviour)
        await self._insist("PATCH", subject.path, subject.kind.change(asked.version, behaviour))
        return asked

    async def _sound_alarm(self, subject: Subject) -> None:
        """Roll a good template out, and let its alarm fire when the operator watches it."""
        try:
            asked = await self._roll_out(subject, None)
            if not await self._until(subject, _is_watched, 120):
                self.done["alarm: never watched"] += 1
                return
            await asyncio.sleep(self._random.uniform(0, 30))
            self._alarms.fire(subject, asked)
            await self._until(subject, _has_ended, 120)
            self._alarms.quiet(subject)
            await self._until(subject, lambda status: _state(status) in SETTLED, 120)
        finally:
            self._alarms.quiet(subject)
            self._busy.discard(subject.name)

    async def _until(self, subject: Subject, reached: Any, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = await self._read_status(subject)
            if status and reached(status):
                return True
            await asyncio.sleep(1)
        return False

    async def _is_settled(self, subject: Subject) -> bool:
        """Whether the workload stands with a completed revision.

        The controller of an ordered StatefulSet waits for its pods, also for bad ones when a new template
        comes (WaitingForPod): a person would have to delete them.
        """
        return _state(await self._read_status(subject)) in SETTLED

    async def _read_status(self, subject: Subject) -> Object:
        """Return the operator's status of a workload; empty if it is about an older version of it."""
        try:
            raw = await self._api.request("GET", subject.path, accept=[404])
            if subject.role in OWNED:
                status, seen = raw.get("status", {}), "observedGeneration"
            else:
                breaker = await self._api.request("GET", subject.breaker_path, accept=[404])
                status, seen = breaker.get("status", {}), "targetGeneration"
        except FAILURES:
            return {}
        if raw["kind"] == "Status" or not isinstance(status, dict):
            return {}
        fresh = status.get(seen) == raw["metadata"]["generation"]
        return dict(status) if fresh else {}

    async def _insist(self, method: str, path: str, body: Object | None = None) -> None:
        """Send a request until it is answered: what was asked for stands in the ledger already."""
        for _ in range(TRIES):
            try:
                await self._api.request(method, path, body, accept=[404, 409])
            except FAILURES as error:
                say(f"{method} {path} again: {error}")
                await asyncio.sleep(1)
            else:
                return
        raise RuntimeError(f"{method} {path} was never answered")

    def _begin(self, story: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(story)
        self._stories.add(task)
        task.add_done_callback(self._stories.discard)


def _state(status: Object) -> str:
    return str(status.get("rollout", {}).get("status", ""))


def _is_watched(status: Object) -> bool:
    watched = status.get("alarms", {}).get("watchedAlarmNames")
    return bool(watched) and _state(status) == "IN_PROGRESS"


def _has_ended(status: Object) -> bool:
    return _state(status) not in ("IN_PROGRESS", "PENDING")
