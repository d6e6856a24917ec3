"""What a write of ours costs the API server, kind by kind: ``make profile-requests``.

Each kind of request is sent again and again to an API server that nobody else uses. CPU time is the kernel's;
allocations are the API server's own count, which comes again in every run also on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from copy import deepcopy
from pathlib import Path

from benchmarks.api import Object
from benchmarks.fleet import OURS
from benchmarks.process import cpu_seconds, rest
from benchmarks.testbed import Testbed

Send = Callable[[int], Awaitable[None]]
ALLOCATED = "go_memstats_alloc_bytes_total"
SETS = "/apis/apps/v1/namespaces/{}/replicasets"


class Requests:
    """The requests of a rollout, on a GuardedDeployment of two revisions that no operator looks at any more."""

    def __init__(self, testbed: Testbed, space: str, guarded: Object, replica_set: Object) -> None:
        self._api = testbed.api
        self._space = space
        self._status = f"{OURS.path(space, guarded['metadata']['name'])}/status"
        self._latest = guarded
        self._set = f"{SETS.format(space)}/{replica_set['metadata']['name']}"

    async def read(self, _number: int) -> None:
        """Read the object."""
        await self._api.request("GET", self._status)

    async def put_status(self, number: int) -> None:
        """Write the status as a whole, as the operator does."""
        body = deepcopy(self._latest)
        body["status"]["rollout"]["message"] = f"number {number}"
        self._latest = await self._api.request("PUT", self._status, body)

    async def patch_status(self, number: int) -> None:
        """Write the one field of the status that has changed."""
        version = self._latest["metadata"]["resourceVersion"]
        changed = {"rollout": {"message": f"patch {number}"}}
        body = {"metadata": {"resourceVersion": version}, "status": changed}
        self._latest = await self._api.request("PATCH", self._status, body)

    async def patch_replica_set(self, number: int) -> None:
        """Change an annotation of a ReplicaSet."""
        body = {"metadata": {"annotations": {"number": str(number)}}}
        await self._api.request("PATCH", self._set, body)

    async def create_event(self, number: int) -> None:
        """Tell something."""
        about = {"kind": OURS.kind, "name": "web", "namespace": self._space}
        body = {
            "metadata": {"name": f"web.{number}"},
            "involvedObject": {**about, "apiVersion": OURS.group},
            "reason": "RolloutCompleted",
            "message": "revision 2 completed",
            "type": "Normal",
        }
        await self._api.request("POST", f"/api/v1/namespaces/{self._space}/events", body)


async def prepare(testbed: Testbed) -> Requests:
    """Have an object with a good rollout behind it."""
    space = await testbed.namespace("measured")
    async with testbed.controller(OURS):
        await testbed.api.request("POST", OURS.path(space), OURS.body("web", 10))
        await testbed.finish(OURS, space, ["web"], 120)
        await testbed.api.request("PATCH", OURS.path(space, "web"), OURS.change("2", None))
        await testbed.finish(OURS, space, ["web"], 120)
        await rest()  # the last marks and events
    guarded = await testbed.api.request("GET", OURS.path(space, "web"))
    replica_set = (await testbed.api.items(SETS.format(space)))[0]
    return Requests(testbed, space, guarded, replica_set)


async def measure(testbed: Testbed, send: Send, times: int) -> tuple[float, float]:
    """Return CPU time in ms and allocations in KiB of one request."""
    pid = testbed.cluster.programs["kube-apiserver"]
    allocated, cpu = await _allocated(testbed), cpu_seconds(pid)
    for number in range(times):
        await send(number)
    took = cpu_seconds(pid) - cpu
    return 1000 * took / times, (await _allocated(testbed) - allocated) / times / 1024


async def _allocated(testbed: Testbed) -> float:
    """Return how many bytes the API server has allocated since it began."""
    text = await asyncio.to_thread(testbed.cluster.kubectl, "get", "--raw", "/metrics")
    line = next(line for line in text.splitlines() if line.startswith(f"{ALLOCATED} "))
    return float(line.split()[1])


async def run(times: int) -> None:
    """Measure each kind of request and print it."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-bench-") as directory:
        async with Testbed(Path(directory), peers=False) as testbed:
            requests = await prepare(testbed)
            kinds: tuple[tuple[str, Send], ...] = (
                ("read a GuardedDeployment", requests.read),
                ("write its status (PUT)", requests.put_status),
                ("write one field of it (PATCH)", requests.patch_status),
                ("patch a ReplicaSet", requests.patch_replica_set),
                ("create an Event", requests.create_event),
            )
            for name, send in kinds:
                await rest(most=20)
                milliseconds, kib = await measure(testbed, send, times)
                print(f"{name:30} {milliseconds:5.1f} ms CPU {kib:6.0f} KiB", flush=True)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.request_cost", description=__doc__)
    parser.add_argument("--times", type=int, default=500, help="how often each is sent (500)")
    asyncio.run(run(parser.parse_args().times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
