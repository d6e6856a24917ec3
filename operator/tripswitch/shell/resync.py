"""What kopf's watch misses about GuardedDeployments, and the list that everything starts with.

After a re-list kopf does not say what vanished meanwhile. So some seconds after every re-list, and every
ten minutes anyway, a list of names and versions (no contents) is compared with what is known. The same
list, and one of the ReplicaSets, is read before a process begins to lead: it then knows everything
that the leader before it has written.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tripswitch.api.tolerant import field, objects, read_decimal, read_text, read_version
from tripswitch.cluster.client import METADATA_ONLY, Client
from tripswitch.cluster.errors import ApiError, NotFoundError
from tripswitch.cluster.executor import Executor
from tripswitch.cluster.log_context import about
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS, REPLICA_SETS, Resource
from tripswitch.cluster.shapes import NAMES
from tripswitch.cluster.store import Key, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """When comparisons happen, in seconds."""

    every: float = 600.0
    """Between two comparisons that nobody asked for; each time up to a fifth more or less."""
    settle: float = 3.0
    """After a re-list: it comes as a burst of events, and the comparison waits for its end."""


USUAL = Timing()


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a list of names and versions said.

    Attributes:
        version: That of the whole list.
        uids: Of all objects that it had.
        newer: Those of which a newer version was listed than was known, with that version.
    """

    version: int
    uids: set[str]
    newer: list[tuple[Key, int]]


class Resync:
    """Compares the store with the API server. Run :meth:`run` as a task."""

    def __init__(
        self,
        client: Client,
        store: Store,
        executor: Executor,
        namespaces: Sequence[str | None],
        resource: Resource = GUARDED_DEPLOYMENTS,
        *,
        timing: Timing = USUAL,
    ) -> None:
        self._timing = timing
        self._resource = resource
        self._client = client
        self._store = store
        self._executor = executor
        self._namespaces = namespaces
        self._relisted = asyncio.Event()
        self._heard = 0
        self.missed_since: float | None = None
        """The loop's time at which a comparison first found an object newer than the watch had delivered.

        None: the watch has told of something since, or nothing was found."""

    @property
    def plural(self) -> str:
        """The name of the kind of object that is compared."""
        return self._resource.plural

    def hear(self) -> None:
        """Note that the watch is alive: it has just told of something."""
        self._heard += 1
        self.missed_since = None

    def soon(self) -> None:
        """Ask for a comparison: there was a re-list."""
        self._relisted.set()

    async def fill(self) -> None:
        """Read all GuardedDeployments into the store, for the start.

        Raises:
            ApiError: They cannot be had, for example because the CRD is not there.
        """
        for namespace in self._namespaces:
            async for page in self._client.pages(self._resource.path(namespace)):
                for raw in objects(page.get("items")):
                    self._store.upsert_guarded(raw)

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._draw_interval()):
                    await self._relisted.wait()
                await asyncio.sleep(self._timing.settle)
            except TimeoutError:
                pass  # nobody asked, it is just time
            self._relisted.clear()
            for namespace in self._namespaces:
                try:
                    await self.compare(namespace)
                except ApiError as error:
                    logger.warning("comparison with the API server failed: %s", error)

    def _draw_interval(self) -> float:
        """Return when the next comparison is due: replicas of the operator spread theirs."""
        return self._timing.every * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    async def catch_up(self) -> None:
        """Make sure that everything written until now is known: somebody else has led until now.

        Raises:
            ApiError: The lists, or an object that is newer than known, could not be had.
        """
        for namespace in self._namespaces:
            await self.compare(namespace)
            if self._resource == GUARDED_DEPLOYMENTS:
                await self._compare_replica_sets(namespace)

    async def compare(self, namespace: str | None) -> None:
        """Drop what is no longer there, and fetch what is newer than known.

        Raises:
            ApiError: The list, or an object that is newer than known, could not be had.
        """
        known = {record.uid: record.version for record in self._store.records()}
        listed = await self._list_versions(self._resource, namespace, known.get)
        self._drop_vanished(namespace, listed)
        for key, version in listed.newer:
            await self._fetch(key, version)

    async def _compare_replica_sets(self, namespace: str | None) -> None:
        """Fetch every ReplicaSet that is newer than known: sizes are computed from all of them."""
        listed = await self._list_versions(
            REPLICA_SETS, namespace, self._find_set_version, {"labelSelector": HASH_LABEL}
        )
        for key, _ in listed.newer:
            try:
                raw = await self._client.request("GET", REPLICA_SETS.path(*key))
            except NotFoundError:
                continue  # gone meanwhile; the watch will say so
            self._store.replica_sets.upsert(raw)

    def _find_set_version(self, uid: str) -> int | None:
        known = self._store.replica_sets.find(uid)
        return None if known is None else read_decimal(known.view.resource_version)

    async def _list_versions(
        self,
        resource: Resource,
        namespace: str | None,
        find_version: Callable[[str], int | None],
        query: Mapping[str, str] | None = None,
    ) -> _Listed:
        """List names and versions; ``find_version`` gives the version that is known of a UID."""
        uids: set[str] = set()
        newer: list[tuple[Key, int]] = []
        listed_at = 0
        pages = self._client.pages(
            resource.path(namespace), query, accept=METADATA_ONLY, shape=NAMES
        )
        async for page in pages:
            listed_at = read_decimal(field(page, "metadata", "resourceVersion"))
            for raw in objects(page.get("items")):
                uid, place, name = (
                    read_text(field(raw, "metadata", part)) for part in ("uid", "namespace", "name")
                )
                uids.add(uid)
                known = find_version(uid)
                if known is None or known < read_version(raw):
                    newer.append((Key(place, name), read_version(raw)))
        return _Listed(listed_at, uids, newer)

    def _drop_vanished(self, namespace: str | None, listed: _Listed) -> None:
        """Drop what the list did not have, unless it is newer than the list."""
        for record in self._store.records():
            gone = record.uid not in listed.uids and namespace in (None, record.key.namespace)
            if gone and record.version <= listed.version:
                logger.info(
                    "it was deleted; the watch missed the deletion", extra=about(record.key)
                )
                self._store.remove_guarded(record.uid)

    async def _fetch(self, key: Key, version: int) -> None:
        """Read an object of which the list had a newer version, unless the watch has told of it by now.

        A watch that says nothing while the object is read, although the object is there, owes that version.
        """
        latest = self._store.find(key)
        if latest is not None and latest.version >= version:
            return
        heard = self._heard
        await self._executor.refresh(key)
        if heard == self._heard and self._store.find(key) is not None:
            self.missed_since = self.missed_since or asyncio.get_running_loop().time()
