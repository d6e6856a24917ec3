"""Where the operator's CPU time goes in many rollouts at once: ``make profile``, without a cluster.

The whole operator but its watches runs on a virtual clock before an API server in memory, which delivers every
change as the line of JSON that a watch would bring. What is printed is CPU time of this process within the
named functions, per rollout; the server and the pods that it plays are not in it. Requests are counted, too.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

import looptime

from benchmarks.played_pods import Object, Pods, render_time
from tripswitch.cluster import store
from tripswitch.cluster.client import Client
from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from tripswitch.cluster.shapes import find_shape
from tripswitch.cluster.transport import Answer, Call, Stream
from tripswitch.shell import reconciler
from tripswitch.shell.clock import ServerClock, Time
from tripswitch.shell.decision_metrics import DecisionMetrics
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.wiring import Wiring, Wishes

CONFLICT = 409
OURS = "tripswitch/(domain|cluster|shell|api)"
RUNNING = {"event recorder", "evidence", "verification"}
EPOCH = 1_764_000_000.0
REPLICAS = 10


class Server:
    """An API server in memory: objects, ReplicaSets and Events.

    Args:
        answer_seconds: How long each answer takes.
        lag: How much later a watch tells of a change, in seconds.
    """

    def __init__(self, answer_seconds: float, lag: float) -> None:
        self.answer_seconds = answer_seconds
        self.lag = lag
        self.objects: dict[str, Object] = {}
        self.sets: dict[str, Object] = {}
        self.requests: Counter[str] = Counter()
        self.version = 1000
        self.parts: Wiring
        self.pods: Pods

    async def request(self, call: Call, *, seconds: float) -> Answer:
        """Answer a request."""
        text = json.dumps(call.body)
        await asyncio.sleep(self.answer_seconds)
        kind = next(part for part in call.path.split("/") if part in KINDS)
        self.requests[f"{call.method} {kind}"] += 1
        status, answer = self._answer(
            call.method, kind, call.path.rpartition("/")[2], json.loads(text)
        )
        if status == CONFLICT:
            self.requests[f"{call.method} {kind}, refused as stale"] += 1
        return Answer(status, json.loads(json.dumps(answer)))

    async def read_text(self, call: Call, *, seconds: float) -> Answer:
        """Answer with a log."""
        await asyncio.sleep(self.answer_seconds)
        self.requests["GET log"] += 1
        return Answer(200, "panic: no such table\n")

    async def stream(self, call: Call, *, open_seconds: float, stall_seconds: float) -> Stream:
        """Refuse: what watches bring is delivered by hand."""
        raise NotImplementedError

    async def close(self) -> None:
        """Do nothing."""

    def _answer(self, method: str, kind: str, name: str, body: Object | None) -> tuple[int, Object]:
        if body is None and kind == "replicasets":
            return 200, next(one for one in self.sets.values() if one["metadata"]["name"] == name)
        if body is None or kind == "events":
            return 200, {"items": []} if body is None else body
        metadata = body["metadata"]
        if method == "POST":
            uid = f"uid-of-{metadata['name']}"
            made = {"uid": uid, "creationTimestamp": render_time(self.now()), "generation": 1}
            return 201, self.put_set({**body, "metadata": {**metadata, **made}, "status": {}})
        mine = kind == "guardeddeployments"
        known = self.objects[metadata["name"]] if mine else self.sets[metadata["uid"]]
        if known["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            return CONFLICT, {"kind": "Status", "reason": "Conflict", "code": CONFLICT}
        if mine and method == "PUT":
            return 200, self.put({**known, "status": body["status"]})
        annotations = {**known["metadata"]["annotations"], **metadata.get("annotations", {})}
        spec = {**known["spec"], **body.get("spec", {})}
        if "template" in body.get("spec", {}):  # images that are pinned
            spec["template"] = pin(known["spec"]["template"], spec["template"])
        named = {**known["metadata"], "annotations": annotations}
        return 200, self.put_set({**known, "metadata": named, "spec": spec})

    def now(self) -> float:
        """Return the time of the simulated cluster."""
        return EPOCH + asyncio.get_running_loop().time()

    def put(self, raw: Object) -> Object:
        """Store a GuardedDeployment; the watch tells of it a moment later."""
        raw = self._stamp(raw)
        self.objects[raw["metadata"]["name"]] = raw
        take = self.parts.take_event
        self._tell(GUARDED_DEPLOYMENTS, lambda read: take("MODIFIED", read), raw)
        return raw

    def put_set(self, raw: Object) -> Object:
        """Store a ReplicaSet; its controller and the watch take it a moment later."""
        raw = self._stamp(raw)
        self.sets[raw["metadata"]["uid"]] = raw
        self._tell(REPLICA_SETS, self.parts.store.replica_sets.upsert, raw)
        self.pods.follow(raw)
        return raw

    def deliver_pod(self, raw: Object, *, gone: bool = False) -> None:
        """Have the watch tell of a pod, and its ReplicaSet's status follow."""
        table = self.parts.store.pods
        self._tell(PODS, table.remove if gone else table.upsert, self._stamp(raw))
        uid = raw["metadata"]["ownerReferences"][0]["uid"]
        self.sets[uid] = self._stamp(self.sets[uid])  # its controller counts the pods in its status
        self._tell(REPLICA_SETS, self.parts.store.replica_sets.upsert, self.sets[uid])

    def _stamp(self, raw: Object) -> Object:
        self.version += 1
        return {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(self.version)}}

    def _tell(self, resource: Resource, take: Callable[[Any], None], raw: Object) -> None:
        line = json.dumps({"type": "MODIFIED", "object": raw}).encode()
        asyncio.get_running_loop().call_later(self.lag, lambda: take(decode(resource, line)))


KINDS = ("guardeddeployments", "replicasets", "events", "pods", "nodes", "leases")


def pin(template: Object, patch: Object) -> Object:
    """Return a template of one container with the image of a strategic merge patch."""
    (container,), (change,) = (one["spec"]["containers"] for one in (template, patch))
    return {**template, "spec": {**template["spec"], "containers": [{**container, **change}]}}


def decode(resource: Resource, line: bytes) -> Any:
    """Return the object in a line of a watch; those of GuardedDeployments are decoded by kopf."""
    kopfs = resource is GUARDED_DEPLOYMENTS
    event: Any = json.loads(line) if kopfs else find_shape(resource).event(line)
    return event["object"]


class Meter:
    """CPU time and calls within functions that do not wait."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def watch(self, name: str, owner: Any, attribute: str) -> None:
        """Measure a function from now on."""
        function = getattr(owner, attribute)

        def measured(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - began
                self.calls[name] += 1

        setattr(owner, attribute, measured)


def watch_all(meter: Meter) -> None:
    """Measure the parts of a look and of an event."""
    this = sys.modules[__name__]
    meter.watch("decode a line of a watch", this, "decode")
    meter.watch("view of a pod", store, "see_pod")
    meter.watch("view of a ReplicaSet", store, "see_replica_set")
    meter.watch("record of a version", store, "read_record")
    meter.watch("snapshot", store.Store, "snapshot")
    meter.watch("  of it: parse spec and status", store, "read_guarded")
    meter.watch("status as JSON", reconciler, "_dump")
    meter.watch("is it mere progress", reconciler, "is_mere_progress")
    meter.watch("is it mere failure", reconciler, "is_mere_failure")
    meter.watch("metrics of a decision", DecisionMetrics, "take")


async def play(objects: int, server: Server, meter: Meter, *, bad: bool) -> str:
    """Create a fleet, give it a template, and return what the second part took."""
    loop = asyncio.get_running_loop()
    clock = Time(ServerClock(steady=loop.time, wall=lambda: EPOCH))
    client = Client(server)
    parts = server.parts = Wiring(client, Metrics(), clock, wishes=Wishes())
    server.pods = Pods(server.deliver_pod, server.now, Random(1))
    meter.watch("decide", parts.reconciler, "decide")
    parts.gate.set()
    tasks = parts.start()
    for task in tasks:
        if task.get_name() not in RUNNING:
            task.cancel()
    names = [f"web-{number:04}" for number in range(objects)]
    for name in names:
        server.put(make_object(name))
    await _until(lambda: _count(server, "SUCCESSFUL") == objects)
    await asyncio.sleep(30)
    meter.seconds.clear()
    meter.calls.clear()
    server.requests.clear()
    began, cpu = loop.time(), time.process_time()
    ends = "ROLLBACK_SUCCESSFUL" if bad else "SUCCESSFUL"
    server.pods.crashing = bad
    for name in names:
        raw = server.objects[name]
        spec = {**raw["spec"], "template": make_template(name, "v2")}
        server.put({**raw, "spec": spec, "metadata": {**raw["metadata"], "generation": 2}})
    await _until(lambda: _count(server, ends, generation=2) == objects)
    seconds, spent = loop.time() - began, time.process_time() - cpu
    await asyncio.sleep(30)
    await parts.queue.stop(1.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    what = "bad" if bad else "good"
    head = f"{objects} x {REPLICAS} pods, {what}: {seconds:.0f} virtual s, answers in {server.answer_seconds} s"
    return (
        f"{head}, {1000 * spent / objects:.1f} ms CPU a rollout with all that is played\n"
        + "\n".join([*_render_requests(server.requests, objects), *_render_meter(meter, objects)])
    )


def _count(server: Server, status: str, generation: int = 1) -> int:
    found = 0
    for raw in server.objects.values():
        told = raw.get("status", {})
        found += (told.get("rollout", {}).get("status"), told.get("observedGeneration")) == (
            status,
            generation,
        )
    return found


async def _until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - the clock is virtual
        await asyncio.sleep(1)


def _render_requests(requests: Counter[str], objects: int) -> list[str]:
    shares = ", ".join(f"{name} {number / objects:.1f}" for name, number in requests.most_common())
    return [f"requests a rollout: {requests.total() / objects:.1f} ({shares})"]


def _render_meter(meter: Meter, objects: int) -> list[str]:
    return [
        f"{name:32} {1000 * seconds / objects:7.2f} ms  {meter.calls[name] / objects:7.1f} calls  "
        f"{1e6 * seconds / meter.calls[name]:7.0f} us each"
        for name, seconds in sorted(meter.seconds.items(), key=lambda one: -one[1])
    ]


def make_object(name: str) -> Object:
    """Return a GuardedDeployment as it is created."""
    return {
        "apiVersion": "tripswitch.dev/v1alpha1",
        "kind": "GuardedDeployment",
        "metadata": {
            "name": name,
            "namespace": "storm",
            "uid": f"uid-of-{name}",
            "generation": 1,
            "creationTimestamp": render_time(EPOCH),
        },
        "spec": {
            "replicas": REPLICAS,
            "minReadySeconds": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": make_template(name, "v1"),
        },
    }


def make_template(name: str, version: str) -> Object:
    """Return a pod template of an ordinary size."""
    container = {
        "name": "web",
        "image": f"registry.example/web:{version}",
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
        "ports": [{"containerPort": 80}],
        "env": [{"name": f"SETTING_{n}", "value": f"value of setting {n}"} for n in range(5)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.work", description=__doc__)
    parser.add_argument("--objects", type=int, default=100, help="rollouts at once")
    parser.add_argument("--bad", action="store_true", help="the new template crashes")
    parser.add_argument("--answer", type=float, default=0.02, help="seconds that each answer takes")
    parser.add_argument("--lag", type=float, default=0.02, help="seconds that a watch is late")
    parser.add_argument(
        "--functions", action="store_true", help="print cProfile's hottest functions"
    )
    options = parser.parse_args()
    meter = Meter()
    if not options.functions:
        watch_all(meter)
    server = Server(options.answer, options.lag)
    playing = play(options.objects, server, meter, bad=options.bad)
    profile = cProfile.Profile()
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:  # no second passes
        told = profile.runcall(runner.run, playing) if options.functions else runner.run(playing)
    print(told)
    if options.functions:
        pstats.Stats(profile).sort_stats("cumtime").print_stats(OURS, 60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
