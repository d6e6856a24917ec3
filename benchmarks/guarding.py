"""Deployments guarded in place: requests, standing still, and pods of others that come and go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.api import Object
from benchmarks.audit import count
from benchmarks.fleet import DEPLOYMENT, OURS
from benchmarks.other_pods import EVENTS, churn, lay_out, prepare
from benchmarks.process import cpu_seconds, rest, settled_mib
from benchmarks.report import Result, Row
from benchmarks.scale import Scale
from benchmarks.testbed import PER_NAMESPACE, Testbed

BREAKERS = "/apis/tripswitch.dev/v1alpha1/deploymentcircuitbreakers"
LABEL = "tripswitch.dev/circuit-breaker"
REPLICAS = 4
MOST_MIB, MOST_SHARE = 120.0, 0.10
MOST_REQUESTS = 13
MOST_REQUESTS_OF_A_TRIP = MOST_REQUESTS + 7
"""A guarded Deployment is paused and gets three events of its own, beside those of its breaker; its conditions are
tried up to three times, because its controller writes its status just then."""


@dataclass
class Standing:
    """What the operator costs in one situation: memory in MiB, CPU as a share of a core, requests."""

    mib: float
    share: float
    requests: Counter[str]
    events: float = 0.0
    """Pod events per second of the others."""


async def measure_guarding(testbed: Testbed, scale: Scale) -> Result:
    """Requests per rollout; memory and CPU without other pods, beside them, and while they churn."""
    await prepare(testbed)
    space = await testbed.namespace("measured")
    async with testbed.controller(OURS):
        await _guard_all(testbed, scale.guarded, space)
        await asyncio.sleep(5)  # the last events about what was made
        costs = {
            what: await _cost_of(testbed, space, what, behaviour, reached)
            for what, behaviour, reached in (
                ("good", None, _is_completed),
                ("failed", "crash", _is_restored),
                ("corrected", None, _is_completed),
            )
        }
    alone = await _stand(testbed, scale)
    await lay_out(testbed, scale.others)
    beside = await _stand(testbed, scale)
    churning = await _stand(testbed, scale, busy=True)
    return Result(
        f"{scale.guarded} Deployments of {REPLICAS} pods, guarded by the label of their namespaces. *Requests*: those "
        "of the operator in the namespace of one Deployment of 10 pods, by the audit log, from the change of its "
        "template until 5 s after its rollout has completed or was rolled back; lists, watches and lease renewals are "
        "left out. Then "
        f"the operator is started anew, alone and beside {scale.others:,} running pods of other Deployments. *Memory* is "
        f"the resident set once it has been idle for 5 s; *standing still* is the {scale.idle_seconds} s after that. At "
        "last pods of others are deleted and made anew; how many events these make is counted by a watch of the "
        "benchmark's own, and CPU time is the kernel's.",
        [*_request_rows(costs), *_standing_rows(scale, alone, beside, churning)],
        [f"Requests, {what}: {_words(cost)}." for what, cost in costs.items()],
    )


def _request_rows(costs: dict[str, Counter[str]]) -> list[Row]:
    words = {
        "good": ("a good rollout of a guarded Deployment of 10 pods", MOST_REQUESTS),
        "failed": ("a failed one, until it is rolled back", MOST_REQUESTS_OF_A_TRIP),
        "corrected": ("the corrected one after it", MOST_REQUESTS),
    }
    return [
        Row(
            f"requests for {one}",
            str(costs[what].total()),
            target=f"{most} or fewer",
            met=costs[what].total() <= most,
            reason="its controller writes its status at the same time, and what is refused as stale is tried again",
        )
        for what, (one, most) in words.items()
    ]


def _standing_rows(
    scale: Scale, alone: Standing, beside: Standing, churning: Standing
) -> list[Row]:
    guarded, others = f"{scale.guarded} guarded Deployments", f"{scale.others:,} other pods"
    # As if there had been exactly so many: the machine may not have made all of them.
    share = churning.share * max(1.0, EVENTS / churning.events)
    return [
        Row(f"memory, {guarded} alone", f"{alone.mib:.0f} MiB"),
        Row(
            f"memory, {guarded} beside {others}",
            f"{beside.mib:.0f} MiB",
            target=f"under {MOST_MIB:.0f} MiB",
            met=beside.mib < MOST_MIB,
        ),
        Row(
            "the same after pods of others came and went",
            f"{churning.mib:.0f} MiB",
            target=f"under {MOST_MIB:.0f} MiB",
            met=churning.mib < MOST_MIB,
        ),
        *(
            Row(
                f"{guarded} standing still for {scale.idle_seconds} s{where}",
                f"{one.requests.total()} requests, {one.share:.2%} of a core",
                target="0 requests, under 1 % of a core",
                met=one.requests.total() == 0 and one.share < 0.01,
            )
            for where, one in (("", alone), (f" beside {others}", beside))
        ),
        Row(
            f"CPU beside {others} of which some come and go",
            f"{churning.share:.1%} of a core at {churning.events:.0f} pod events a second, "
            f"{churning.requests.total()} requests",
            target=f"under {MOST_SHARE:.0%} of a core at {EVENTS:.0f} a second",
            met=share < MOST_SHARE,
            reason="each event is decoded before it is known that nothing guards the pod",
        ),
    ]


def _words(cost: Counter[str]) -> str:
    return ", ".join(f"{number} {words}" for words, number in cost.most_common()) or "none"


async def _guard_all(testbed: Testbed, size: int, measured: str) -> None:
    """Make the Deployments and wait until the breakers of all say SUCCESSFUL."""
    names = [f"guarded-{number:03}" for number in range(size)]
    parts = [names[at : at + PER_NAMESPACE] for at in range(0, size, PER_NAMESPACE)]
    spaces = [f"guarded-{number:02}" for number in range(len(parts))]
    await testbed.api.each(testbed.namespace, spaces)
    for space in (measured, *spaces):
        label = {"metadata": {"labels": {LABEL: "enforce"}}}
        await testbed.api.request("PATCH", f"/api/v1/namespaces/{space}", label)

    async def make(where: tuple[str, str, int]) -> None:
        space, name, replicas = where
        body = DEPLOYMENT.body(name, replicas)
        await testbed.api.request("POST", DEPLOYMENT.path(space), body)

    wanted = [
        (space, name, REPLICAS) for space, part in zip(spaces, parts, strict=True) for name in part
    ]
    await testbed.api.each(make, [*wanted, (measured, "web", 10)])
    await _until_breakers(testbed, size + 1, _is_completed, 300)


def _is_completed(raw: Object) -> bool:
    """Whether the latest revision of a guarded Deployment has completed."""
    status = raw.get("status") or {}
    rollout = status.get("rollout") or {}
    completed = rollout.get("revision") == status.get("lastCompletedRevision")
    return completed and rollout.get("status") == "SUCCESSFUL"


def _is_restored(raw: Object) -> bool:
    rollout = (raw.get("status") or {}).get("rollout") or {}
    return str(rollout.get("status")) == "ROLLBACK_SUCCESSFUL"


async def _until_breakers(
    testbed: Testbed, size: int, reached: Callable[[Object], bool], seconds: float
) -> None:
    done: set[str] = set()

    def look(event: str, raw: Object, at: float) -> None:
        if reached(raw):
            done.add(raw["metadata"]["uid"])

    async with testbed.api.watch(BREAKERS, look) as watch:
        if not await watch.until(lambda: len(done) >= size, seconds):
            raise RuntimeError(f"{len(done)} of {size} guarded Deployments got there")


async def _cost_of(
    testbed: Testbed,
    space: str,
    version: str,
    behaviour: str | None,
    reached: Callable[[Object], bool],
) -> Counter[str]:
    """Return the operator's requests for one rollout."""
    path = f"/apis/tripswitch.dev/v1alpha1/namespaces/{space}/deploymentcircuitbreakers"
    before = (await testbed.api.items(path))[0]["status"]["desiredRevision"]
    ended: list[float] = []

    def look(event: str, raw: Object, at: float) -> None:
        if raw["status"]["desiredRevision"] != before and reached(raw):
            ended.append(at)

    testbed.audit.mark()
    async with testbed.api.watch(path, look) as watch:
        change = DEPLOYMENT.change(version, behaviour)
        await testbed.api.request("PATCH", DEPLOYMENT.path(space, "web"), change)
        if not await watch.until(lambda: bool(ended), 180):
            raise RuntimeError(f"the {version} rollout of a guarded Deployment did not end")
    await asyncio.sleep(5)
    return count((one for one in testbed.audit.read() if one.namespace == space), OURS.user)


async def _stand(testbed: Testbed, scale: Scale, *, busy: bool = False) -> Standing:
    """Start the operator anew and let it stand still, or beside pods that come and go."""
    await rest()
    async with testbed.controller(OURS) as pid:
        await asyncio.sleep(10)  # its lists
        mib = await settled_mib(pid)
        before, events = 0.0, 0

        def begin() -> None:
            nonlocal before
            testbed.audit.mark()
            before = cpu_seconds(pid)

        if busy:
            events = await churn(testbed, scale.idle_seconds, begin)
        else:
            begin()
            await asyncio.sleep(scale.idle_seconds)
        share = (cpu_seconds(pid) - before) / scale.idle_seconds
        requests = count(testbed.audit.read(), OURS.user)
        if busy:
            mib = await settled_mib(pid)
        return Standing(mib, share, requests, events / scale.idle_seconds)
