"""Rule G8: labels on workloads and namespaces make DeploymentCircuitBreakers.

The label ``tripswitch.dev/circuit-breaker`` is ``enforce``, ``observe`` or ``off``; that of a workload
comes before that of its namespace. A breaker made here has default settings and is owned by its workload.
Breakers that people made are left alone, and where there is one none is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from tripswitch.api.identity import API_VERSION, BREAKER_KIND
from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.client import MERGE_PATCH, Client
from tripswitch.cluster.errors import AlreadyExistsError, ApiError, NotFoundError
from tripswitch.cluster.latest_queue import LatestQueue
from tripswitch.cluster.resources import CIRCUIT_BREAKERS
from tripswitch.cluster.store import Record
from tripswitch.cluster.workload_index import (
    LABEL,
    MADE_BY,
    OFF,
    OPT_IN,
    Brief,
    is_made_for_label,
)
from tripswitch.cluster.workload_store import WorkloadStore
from tripswitch.cluster.workloads import Target
from tripswitch.domain.values.protection import Mode

logger = logging.getLogger(__name__)

MODES = {"enforce": Mode.ENFORCE, "observe": Mode.OBSERVE}
RETRY_SECONDS = 5.0
"""After a write that failed, it is decided again after this many seconds."""


class NamespaceLabels:
    """The label of each namespace. It is the sink of a reflector."""

    def __init__(self, opt_in: OptIn) -> None:
        self._opt_in = opt_in
        self._wishes: dict[str, str] = {}

    def find(self, namespace: str) -> str:
        """Return the value of a namespace's label, empty if it has none."""
        return self._wishes.get(namespace, "")

    def upsert(self, raw: Mapping[str, Any]) -> None:
        """Take a namespace that was listed, added or modified."""
        self._set(_name(raw), read_text(field(raw, "metadata", "labels", OPT_IN)))

    def remove(self, raw: Mapping[str, Any]) -> None:
        """Drop a namespace that was deleted."""
        self._set(_name(raw), "")

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        """Do nothing: a namespace that is gone has no workloads, and one by its name is news."""

    def _set(self, name: str, wish: str) -> None:
        if self.find(name) == wish:
            return
        self._wishes.pop(name, None)
        if wish:
            self._wishes[name] = wish
        self._opt_in.mark_namespace(name)


class OptIn:
    """Makes, changes and deletes breakers as labels say. Run :meth:`run` as a task.

    Args:
        client: For the writes.
        store: Workloads and breakers; it tells which workloads have changed.
        gate: Nothing is written before it is open.
    """

    def __init__(
        self,
        client: Client,
        store: WorkloadStore,
        gate: asyncio.Event,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._client = client
        self._store = store
        self._gate = gate
        self._retry_seconds = retry_seconds
        self._waiting = LatestQueue[Target, None]()
        self.namespaces = NamespaceLabels(self)
        store.changed = self.mark

    def mark(self, target: Target) -> None:
        """Have a workload looked at."""
        self._waiting.put(target, None)

    def mark_namespace(self, namespace: str) -> None:
        """Have all workloads of a namespace looked at."""
        for brief in self._store.workloads:
            if brief.target.namespace == namespace:
                self.mark(brief.target)

    async def run(self) -> None:
        """Look until cancelled."""
        await self._gate.wait()
        while True:
            target, _ = await self._waiting.take()
            await self._try(target)

    async def _try(self, target: Target) -> None:
        try:
            await self._look(target)
        except ApiError as error:
            logger.warning(
                "cannot do what the label of %s %s/%s asks for, tried again: %s", *target, error
            )
            asyncio.get_running_loop().call_later(self._retry_seconds, self.mark, target)

    async def _look(self, target: Target) -> None:
        """Bring the breakers of one workload to what the labels say.

        Raises:
            ApiError: A write failed.
        """
        brief = self._store.workloads.find(target)
        if brief is None:
            return  # a breaker that it owned goes with it
        mode = self.find_mode(brief)
        guards = self._store.guards_of(target)
        ours = [record for record in guards if is_made_for_label(record.decode())]
        if mode is not None and not guards:
            await self._make(brief, mode)
        for record in ours:
            if mode is None:
                await self._delete(record)
            elif field(record.decode(), "spec", "mode") != mode:
                path = CIRCUIT_BREAKERS.path(*record.key)
                body = {"metadata": {"uid": record.uid}, "spec": {"mode": mode.value}}
                await self._client.request("PATCH", path, body=body, content_type=MERGE_PATCH)

    def find_mode(self, brief: Brief) -> Mode | None:
        """Return the mode that the labels ask for; None for no breaker."""
        wish = brief.wish or self.namespaces.find(brief.target.namespace)
        mode = MODES.get(wish.lower())
        if mode is None and wish.lower() not in ("", OFF):
            logger.warning(
                "the label of %s %s/%s has the value %r: write enforce, observe or off",
                *brief.target,
                wish,
            )
        return mode

    async def _make(self, brief: Brief, mode: Mode) -> None:
        body = build_breaker(brief, mode)
        try:
            await self._client.request(
                "POST", CIRCUIT_BREAKERS.path(brief.target.namespace), body=body
            )
        except AlreadyExistsError:
            name = body["metadata"]["name"]
            logger.info(
                "%s/%s exists already; its watch will report it", brief.target.namespace, name
            )

    async def _delete(self, record: Record) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": record.uid},
        }
        try:
            await self._client.request("DELETE", CIRCUIT_BREAKERS.path(*record.key), body=options)
        except NotFoundError:
            return


def build_breaker(brief: Brief, mode: Mode) -> dict[str, Any]:
    """Return the body of a breaker with default settings, owned by its workload."""
    target = brief.target
    return {
        "apiVersion": API_VERSION,
        "kind": BREAKER_KIND,
        "metadata": {
            "name": f"{target.name}-{target.kind.lower()}",
            "namespace": target.namespace,
            "annotations": {MADE_BY: LABEL},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": target.kind,
                    "name": target.name,
                    "uid": brief.uid,
                }
            ],
        },
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": target.kind, "name": target.name},
            "mode": mode.value,
        },
    }


def _name(raw: Mapping[str, Any]) -> str:
    return read_text(field(raw, "metadata", "name"))
