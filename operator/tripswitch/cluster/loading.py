"""Reads what belongs to a workload that is guarded from now on (rules G1, G8).

The watches have seen its ReplicaSets and pods before, and dropped them because they were not guarded then.
Nothing is decided about a DeploymentCircuitBreaker until its workload has been read.
"""

from __future__ import annotations

import asyncio
import logging

from tripswitch.api.tolerant import field, mapping, objects
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ApiError, NotFoundError
from tripswitch.cluster.guarded_sink import GuardedSink
from tripswitch.cluster.hold_requests import resource_of
from tripswitch.cluster.resources import CONTROLLER_REVISIONS, PODS, REPLICA_SETS, Resource
from tripswitch.cluster.store import Record
from tripswitch.cluster.workload_store import WorkloadStore
from tripswitch.domain.values.protection import WorkloadKind

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""After a reading that failed, it is tried again after this many seconds."""


class Loader:
    """Reads workloads in the background, one after the other. Run :meth:`run` as a task."""

    def __init__(
        self, client: Client, store: WorkloadStore, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._client = client
        self._store = store
        self._retry_seconds = retry_seconds
        self._waiting: asyncio.Queue[Record] = asyncio.Queue()

    def ask(self, record: Record) -> None:
        """Have the workload of a DeploymentCircuitBreaker read. Never waits."""
        self._waiting.put_nowait(record)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            record = await self._waiting.get()
            try:
                if self._store.holds(record):
                    await self._load(record)
            except ApiError as error:
                logger.warning("the workload of %s/%s cannot be read: %s", *record.key, error)
                loop = asyncio.get_running_loop()
                loop.call_later(self._retry_seconds, self._waiting.put_nowait, record)
            finally:
                self._waiting.task_done()

    async def drain(self) -> None:
        """Wait until everything that was asked has been read."""
        await self._waiting.join()

    async def _load(self, record: Record) -> None:
        """Read a workload, its revisions and its pods.

        Raises:
            ApiError: Something could not be read.
        """
        target, store = self._store.target_of(record), self._store
        kind = WorkloadKind(target.kind)
        path = resource_of(kind).path(target.namespace, target.name)
        try:
            workload = await self._client.request("GET", path)
        except NotFoundError:
            store.finish_loading(record)
            return
        store.workloads.upsert(kind, workload)
        labels = mapping(field(workload, "spec", "selector", "matchLabels"))
        query = {"labelSelector": ",".join(f"{k}={v}" for k, v in sorted(labels.items()))}
        if kind is WorkloadKind.DEPLOYMENT:
            revisions, table = REPLICA_SETS, store.replica_sets
        else:
            revisions, table = CONTROLLER_REVISIONS, store.controller_revisions
        await self._read(revisions, target.namespace, query, GuardedSink(table, store.keeps))
        await self._read(PODS, target.namespace, query, GuardedSink(store.pods, store.keeps))
        store.finish_loading(record)

    async def _read(
        self, resource: Resource, namespace: str, query: dict[str, str], sink: GuardedSink
    ) -> None:
        wanted = query if query["labelSelector"] else {}
        async for page in self._client.pages(resource.path(namespace), wanted):
            for raw in objects(page.get("items")):
                sink.upsert(raw)
