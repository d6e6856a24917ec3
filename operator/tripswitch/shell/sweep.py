"""What kopf's watch misses about GuardedDeployments, and the list that everything starts with.

After a re-list kopf does not say what vanished meanwhile. So some seconds after every re-list, and every
ten minutes anyway, a list of names and versions (no contents) is compared with what is known.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from tripswitch.cluster.client import METADATA_ONLY, Client
from tripswitch.cluster.errors import ApiError
from tripswitch.cluster.executor import Executor
from tripswitch.cluster.raw import field, number, objects, text, version
from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS
from tripswitch.cluster.store import Key, Store

logger = logging.getLogger(__name__)

EVERY_SECONDS = 600.0
SETTLE_SECONDS = 3.0
"""A re-list comes as a burst of events; the comparison waits for its end."""


class Sweep:
    """Compares the store with the API server. Run :meth:`run` as a task."""

    def __init__(
        self, client: Client, store: Store, executor: Executor, namespaces: Sequence[str | None]
    ) -> None:
        self._client = client
        self._store = store
        self._executor = executor
        self._namespaces = namespaces
        self._relisted = asyncio.Event()

    def soon(self) -> None:
        """Ask for a comparison: there was a re-list."""
        self._relisted.set()

    async def fill(self) -> None:
        """Read all GuardedDeployments into the store, for the start.

        Raises:
            ApiError: They cannot be had, for example because the CRD is not there.
        """
        for namespace in self._namespaces:
            async for page in self._client.pages(GUARDED_DEPLOYMENTS.path(namespace)):
                for raw in objects(page.get("items")):
                    self._store.upsert_guarded(raw)

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            try:
                async with asyncio.timeout(EVERY_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311
                    await self._relisted.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                pass  # nobody asked, it is just time
            self._relisted.clear()
            try:
                for namespace in self._namespaces:
                    await self.compare(namespace)
            except ApiError as error:
                logger.warning("comparison with the API server failed: %s", error)

    async def compare(self, namespace: str | None) -> None:
        """Drop what is no longer there, and fetch what is newer than known."""
        versions: dict[str, int] = {}
        behind: list[Key] = []
        listed_at = 0
        known = {record.uid: record for record in self._store.records()}
        pages = self._client.pages(GUARDED_DEPLOYMENTS.path(namespace), accept=METADATA_ONLY)
        async for page in pages:
            listed_at = number(field(page, "metadata", "resourceVersion"))
            for raw in objects(page.get("items")):
                uid = text(field(raw, "metadata", "uid"))
                versions[uid] = version(raw)
                if uid not in known or known[uid].version < versions[uid]:
                    behind.append(
                        Key(
                            text(field(raw, "metadata", "namespace")),
                            text(field(raw, "metadata", "name")),
                        )
                    )
        for record in self._store.records():
            gone = record.uid not in versions and namespace in (None, record.key.namespace)
            if gone and record.version <= listed_at:
                logger.info("%s/%s is gone; its deletion was missed", *record.key)
                self._store.remove_guarded(record.uid)
        for key in behind:
            await self._executor.refresh(key)
