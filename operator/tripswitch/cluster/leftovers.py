"""Rule G9: what is left of a trip whose breaker was deleted goes once a person has resumed the workload.

The breaker that is deleted during a trip leaves its workload as it is. With the workload running again the mark
and the condition Stalled say nothing that is true, and kstatus would call it failed for good.
"""

from __future__ import annotations

import asyncio
import logging

from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ApiError, ConflictError, NotFoundError
from tripswitch.cluster.hold_requests import build_hold_request
from tripswitch.cluster.latest_queue import LatestQueue
from tripswitch.cluster.workload_store import WorkloadStore
from tripswitch.cluster.workloads import Target
from tripswitch.domain.steps.plan_hold import release
from tripswitch.domain.values.protection import Workload

logger = logging.getLogger(__name__)


class Leftovers:
    """Takes marks off workloads that nothing guards and nothing holds. Run :meth:`run` as a task.

    Args:
        client: For the writes.
        store: It tells which workloads without a breaker have a mark.
        gate: Nothing is written before it is open.
    """

    def __init__(self, client: Client, store: WorkloadStore, gate: asyncio.Event) -> None:
        self._client = client
        self._store = store
        self._gate = gate
        self._waiting = LatestQueue[Target, Workload]()
        store.workloads.marked = self._waiting.put

    async def run(self) -> None:
        """Clean until cancelled."""
        await self._gate.wait()
        while True:
            target, workload = await self._waiting.take()
            if not self._store.is_guarded(target):
                await self._clean(target, workload)

    async def _clean(self, target: Target, workload: Workload) -> None:
        """Send what is to be done first; the answer brings the rest.

        The mark goes last: it is the note that there is something left. A write that fails is tried again with
        the next version of the workload.
        """
        actions = release(workload, resume=False)
        if not actions:
            return
        request = build_hold_request(actions[-1], 0.0)  # no time stands in what is taken away
        path = request.resource.path(target.namespace, target.name, request.subresource)
        try:
            answer = await self._client.request(
                "PATCH", path, body=request.body, content_type=request.content_type
            )
        except (ConflictError, NotFoundError):
            return  # its next version comes
        except ApiError as error:
            logger.warning("what a trip left on %s %s/%s: %s", *target, error)
        else:
            self._store.workloads.upsert(workload.kind, answer)
