"""What one rollout costs in requests, and what a bad one costs in capacity and time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from statistics import median

from benchmarks.api import Object
from benchmarks.audit import count
from benchmarks.fleet import ARGO, DEPLOYMENT, OURS, Kind
from benchmarks.helm_release import HelmRelease
from benchmarks.pods import is_ready
from benchmarks.report import BASELINE, Result, Row
from benchmarks.scale import Scale
from benchmarks.testbed import Testbed

DEADLINE = 30
"""progressDeadlineSeconds of the peers here; their default is 600, and nobody wants to wait."""
MOST_REQUESTS = 13
Cost = Counter[str]


async def measure_cost(testbed: Testbed, scale: Scale) -> Result:
    """Requests of one good rollout of 10 pods, and of one that fails."""
    good: dict[str, list[Cost]] = {}
    bad: dict[str, list[Cost]] = {}
    for kind in (OURS, ARGO, DEPLOYMENT):
        space = await testbed.namespace(f"cost-{kind.plural}")
        async with testbed.controller(kind):
            spec: Object = {} if kind is OURS else {"progressDeadlineSeconds": DEADLINE}
            await testbed.api.request("POST", kind.path(space), kind.body("web", 10, spec=spec))
            await testbed.finish(kind, space, ["web"], 120)
            good[kind.name] = [
                await _cost_of(testbed, kind, space, f"good-{number}", None)
                for number in range(scale.rounds)
            ]
            rounds = scale.rounds if kind is OURS else 1
            bad[kind.name] = [
                await _cost_of(testbed, kind, space, f"bad-{number}", "crash")
                for number in range(rounds)
            ]
        await testbed.clear(kind)
    ours, failed = _middle(good[OURS.name]), _middle(bad[OURS.name])
    return Result(
        "The audit log's requests of the controller's own user, from the change of the template of one "
        f"object until 5 s after it is finished; median of {scale.rounds}. Lists, watches and lease "
        "renewals are left out; Events are in. A failed rollout ends with the old revision restored "
        f"(ours, Argo: after a progressDeadlineSeconds of {DEADLINE}), for a Deployment with its word that "
        "the deadline is exceeded.",
        [
            Row(
                "requests for a good rollout of 10 pods",
                f"{ours:.0f}",
                f"{_middle(good[ARGO.name]):.0f}",
                f"{_middle(good[DEPLOYMENT.name]):.0f}",
                f"{MOST_REQUESTS} or fewer",
                ours <= MOST_REQUESTS,
                "three of them settle and pin the digests of the images (rules D): see *cost*",
            ),
            Row(
                "requests for a failed rollout of 10 pods",
                f"{failed:.0f}",
                f"{_middle(bad[ARGO.name]):.0f}",
                f"{_middle(bad[DEPLOYMENT.name]):.0f}",
                f"{MOST_REQUESTS} or fewer",
                failed <= MOST_REQUESTS,
                "a trip and the way back are told by events, and the log of a failed pod is read: see *cost*",
            ),
        ],
        [
            f"{title}: {_words(costs[OURS.name])} (Argo Rollouts: {_words(costs[ARGO.name])})."
            for title, costs in (("Good", good), ("Failed", bad))
        ],
    )


async def _cost_of(
    testbed: Testbed, kind: Kind, space: str, version: str, behaviour: str | None
) -> Cost:
    ended: list[float] = []
    reached = kind.back if behaviour else kind.done
    path = kind.path(space, "web")
    generation = (await testbed.api.request("GET", path))["metadata"]["generation"]

    def look(event: str, raw: Object, at: float) -> None:
        if raw["metadata"]["generation"] > generation and reached(raw):
            ended.append(at)

    testbed.audit.mark()
    async with testbed.api.watch(kind.path(space), look) as watch:
        await testbed.api.request("PATCH", path, kind.change(version, behaviour))
        if not await watch.until(lambda: bool(ended), 180):
            raise RuntimeError(f"{kind.name} did not finish {version}")
    await asyncio.sleep(5)
    return count(testbed.audit.read(), kind.user)


def _middle(costs: list[Cost]) -> float:
    return median(cost.total() for cost in costs)


def _words(costs: list[Cost]) -> str:
    """The request kinds of the cheapest of them."""
    cheapest = min(costs, key=lambda cost: cost.total())
    return ", ".join(f"{number} {words}" for words, number in cheapest.most_common())


class Capacity:
    """The lowest number of serving pods seen since ``armed``."""

    def __init__(self) -> None:
        self._ready: set[str] = set()
        self.fewest: int | None = None

    @property
    def serving(self) -> int:
        """How many serve now."""
        return len(self._ready)

    def arm(self) -> None:
        """Count from here."""
        self.fewest = len(self._ready)

    def look(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a pod."""
        uid = raw["metadata"]["uid"]
        if event != "DELETED" and is_ready(raw):
            self._ready.add(uid)
        else:
            self._ready.discard(uid)
        if self.fewest is not None:
            self.fewest = min(self.fewest, len(self._ready))


async def measure_rollback(testbed: Testbed, scale: Scale) -> Result:
    """A crashing revision of 10 replicas: how long until it is gone, how much capacity it costs."""
    rows: dict[str, tuple[float, int]] = {}
    default: Object = {"progressDeadlineSeconds": DEADLINE}
    for label, kind, spec in (
        ("ours", OURS, {}),
        ("argo", ARGO, {**default, "strategy": {"canary": {}}}),
        ("deployment", DEPLOYMENT, {**default, "strategy": {"type": "RollingUpdate"}}),
    ):
        space = await testbed.namespace(f"back-{kind.plural}")
        async with testbed.controller(kind):
            await testbed.api.request("POST", kind.path(space), kind.body("web", 10, spec=spec))
            await testbed.finish(kind, space, ["web"], 120)
            rows[label] = await _go_bad(testbed, kind, space)
        await testbed.clear(kind)
    helm = await _helm_goes_bad(testbed, default)
    await testbed.clear(DEPLOYMENT)
    ours, argo, deployment = rows["ours"], rows["argo"], rows["deployment"]
    return Result(
        "One object of 10 replicas with the default settings of each (default bounds of the rolling "
        f"update; the peers with a progressDeadlineSeconds of {DEADLINE} in place of their 600, and Helm "
        f"with a timeout of {DEADLINE} s in place of its 300), given a "
        "crashing template, from the request until the old revision alone is left; the fewest Ready "
        "pods that a watch of our own saw meanwhile. The same with real containers is in the rows of "
        "the real node.",
        [
            Row(
                "crash loop to rollback, simulated kubelet, 10 replicas",
                f"{ours[0]:.1f} s",
                f"{argo[0] - DEADLINE:.0f} s after the deadline (default 600 s)",
                f"never; says so {deployment[0] - DEADLINE:.0f} s after the deadline",
                "3 s",
                ours[0] < 3,
            ),
            Row(
                "healthy capacity lost by a bad revision",
                f"{10 - ours[1]} of 10",
                f"{10 - argo[1]} of 10",
                f"{10 - deployment[1]} of 10",
                "0",
                ours[1] == 10,
            ),
            Row(
                "the same two by Helm 4 (`upgrade --rollback-on-failure`) with a Deployment",
                BASELINE,
                deployment=f"{helm[0] - DEADLINE:.0f} s after its timeout (default 300 s), "
                f"{10 - helm[1]} of 10",
            ),
        ],
    )


async def _helm_goes_bad(testbed: Testbed, spec: Object) -> tuple[float, int]:
    space, capacity = await testbed.namespace("back-helm"), Capacity()
    release = HelmRelease(testbed.directory / "helm", testbed.cluster.kubeconfig, space, DEADLINE)
    good = {**spec, "strategy": {"type": "RollingUpdate"}}
    await release.install(DEPLOYMENT.body("web", 10, spec=good))
    async with testbed.api.watch(f"/api/v1/namespaces/{space}/pods", capacity.look) as watch:
        await watch.until(lambda: capacity.serving == 10, 30)
        capacity.arm()
        bad = DEPLOYMENT.body("web", 10, version="bad", behaviour="crash", spec=good)
        seconds = await release.upgrade_badly(bad)
    assert capacity.fewest is not None
    return seconds, capacity.fewest


async def _go_bad(testbed: Testbed, kind: Kind, space: str) -> tuple[float, int]:
    capacity = Capacity()
    ended: list[float] = []

    def look(event: str, raw: Object, at: float) -> None:
        if kind.back(raw):
            ended.append(at)

    async with (
        testbed.api.watch(f"/api/v1/namespaces/{space}/pods", capacity.look),
        testbed.api.watch(kind.path(space), look) as watch,
    ):
        capacity.arm()
        began = time.monotonic()
        await testbed.api.request("PATCH", kind.path(space, "web"), kind.change("bad", "crash"))
        if not await watch.until(lambda: bool(ended), 180):
            raise RuntimeError(f"{kind.name} did not give it up")
        await asyncio.sleep(1)
    assert capacity.fewest is not None
    return ended[0] - began, capacity.fewest
