"""Reads pods, their events and their nodes anew when a verdict by time is due (rules V1 and V3).

One consistent list serves all pods of a rollout. Its answer goes the same way as watch events do, and what
it proves (how current the view is, which nodes are alive) is a :class:`Sight` of the GuardedDeployment.
While the API server does not answer, there is no verdict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import field, objects, read_decimal, read_int, read_text
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ApiError, ForbiddenError, NotFoundError
from tripswitch.cluster.evidence_text import CONTAINER_PATH
from tripswitch.cluster.log_context import about as log_about
from tripswitch.cluster.per_object import PerObject
from tripswitch.cluster.resources import EVENTS, LEASES, NODES, PODS
from tripswitch.cluster.store import Record, Store
from tripswitch.domain.rules.node_life import follow_lease, trust_condition
from tripswitch.domain.values.node_life import Life, Renewal
from tripswitch.domain.values.sight import AttemptEvent, Check, Sight
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)

TASKS = 4
RETRY_SECONDS = 2.0
"""After a reading that failed, the object is looked at again after this many seconds."""
NODE_LEASES = "kube-node-lease"
LEASE_DURATION_SECONDS = 40
"""``leaseDurationSeconds`` of a node's Lease, by default."""
RENEWALS_PER_DURATION = 4
"""How often a kubelet renews its Lease in that time."""
LIFE_KEPT_SECONDS = 600.0
"""What was seen of a node is forgotten when nobody has looked at it again for so long."""
MAX_EVENTS = 2000
"""No more events than this are read for one check."""


@dataclass(slots=True)
class _Asked:
    """What is known of the checks of one object."""

    busy: bool = False
    """A check waits or is being done."""


class Verifier:
    """Does checks in the background. Run :meth:`run` as a task.

    Args:
        client: For the lists.
        store: Where pods and sights go; it then has the GuardedDeployment looked at again.
        clock: The time.
    """

    def __init__(self, client: Client, store: Store, clock: Callable[[], Instant]) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[Record, Check]] = asyncio.Queue()
        self._asked = PerObject(store, _Asked)
        self._forbidden: set[str] = set()

    def ask(self, about: Record, check: Check | None) -> None:
        """Take what a decision wants to know. Never waits; one check at a time for each object."""
        asked = self._asked.of(about)
        if check is not None and not asked.busy:
            asked.busy = True
            self._waiting.put_nowait((about, check))

    async def run(self) -> None:
        """Do checks until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(self._work())

    async def drain(self) -> None:
        """Wait until everything that was asked has been done."""
        await self._waiting.join()

    async def _work(self) -> None:
        while True:
            about, check = await self._waiting.get()
            try:
                sight = await self._verify(about, check)
            except Exception as error:
                # There is no verdict without an answer, so any error leads to another check.
                bug = None if isinstance(error, ApiError) else error
                context = log_about(about.key)
                logger.warning(
                    "pods could not be read before a verdict, tried again: %s",
                    error,
                    exc_info=bug,
                    extra=context,
                )
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._store.mark, about.key)
            else:
                self._store.see(about, sight)
            finally:
                self._asked.of(about).busy = False
                self._waiting.task_done()

    async def _verify(self, about: Record, check: Check) -> Sight:
        """Return what is known after reading everything anew.

        Raises:
            ApiError: Something could not be read.
        """
        namespace, began = about.key.namespace, self._clock()
        before = self._store.find_sight(about)
        lives = {
            node: life
            for node, life in (before.lives or {}).items()
            if began - life.seen_at <= LIFE_KEPT_SECONDS
        }
        nodes = sorted(check.nodes)
        looks = (self._look_at(node, lives.get(node), began) for node in nodes)
        lives |= zip(nodes, await asyncio.gather(*looks), strict=True)
        if not check.pods:
            return replace(before, lives=lives)
        pods = await self._read_pods(about, check)
        events = await self._read_events(namespace, pods) if check.events else None
        return Sight(began, lives, events)

    async def _read_pods(self, about: Record, check: Check) -> set[str]:
        """Take all pods of the ReplicaSet as they are now; return their UIDs."""
        query = {"labelSelector": self._store.pod_labels(about, check)}
        uids: set[str] = set()
        listed_at = 0
        async for page in self._client.pages(PODS.path(about.key.namespace), query):
            listed_at = read_decimal(field(page, "metadata", "resourceVersion"))
            for raw in objects(page.get("items")):
                uids.add(read_text(field(raw, "metadata", "uid")))
                self._store.pods.upsert(raw)
        self._store.pods.retain_owned(check.uid, uids, listed_at)
        return uids

    async def _read_events(self, namespace: str, pods: set[str]) -> tuple[AttemptEvent, ...] | None:
        """Return the events about failed attempts to start these pods' containers (F2)."""
        selector = "involvedObject.kind=Pod,reason=Failed,type=Warning"
        found: list[AttemptEvent] = []
        read = 0
        try:
            async for page in self._client.pages(
                EVENTS.path(namespace), {"fieldSelector": selector}
            ):
                items = objects(page.get("items"))
                found += read_attempts(items, pods)
                read += len(items)
                if read >= MAX_EVENTS:
                    break
        except ForbiddenError as error:
            self._explain_refusal("events", error)
            return None
        return tuple(found)

    async def _look_at(self, node: str, before: Life | None, began: Instant) -> Life:
        """Return what is known of a node after one more look at its Lease (V3).

        The node itself is read only when its Lease has proved something new.
        """
        try:
            # A Lease that was there and is gone proves nothing, as one that is not renewed.
            known = None if before is None else before.renewal
            renewal = await self._read_renewal(node) or known
            if renewal is None:
                life = trust_condition(began)
            else:
                life = follow_lease(before, renewal, began)
                if before is None or life.alive_at == before.alive_at:
                    return life
            return replace(life, lost=not await self._is_ready(node))
        except ForbiddenError as error:
            self._explain_refusal("nodes", error)
            return trust_condition(began)

    async def _read_renewal(self, node: str) -> Renewal | None:
        """Return what a node's Lease says; None if it has none."""
        try:
            return read_renewal(await self._client.request("GET", LEASES.path(NODE_LEASES, node)))
        except NotFoundError:
            return None

    async def _is_ready(self, node: str) -> bool:
        """Return whether a node is there and Ready."""
        try:
            return is_node_ready(await self._client.request("GET", NODES.path(name=node)))
        except NotFoundError:
            return False

    def _explain_refusal(self, what: str, error: ForbiddenError) -> None:
        if what not in self._forbidden:
            self._forbidden.add(what)
            logger.warning(
                "no permission to read %s, so late pods are judged without them (rules V1, V3): %s",
                what,
                error,
            )


def read_attempts(events: Iterable[Mapping[str, Any]], pods: set[str]) -> Iterable[AttemptEvent]:
    """Yield what events say about attempts to start containers of some pods, given by UID."""
    for event in events:
        pod = read_text(field(event, "involvedObject", "uid"))
        if pod in pods:
            found = CONTAINER_PATH.fullmatch(read_text(field(event, "involvedObject", "fieldPath")))
            times = read_int(event.get("count")) or read_int(field(event, "series", "count"))
            container = found["name"] if found else ""
            yield AttemptEvent(pod, container, read_text(event.get("message")), max(1, times))


def is_node_ready(raw: Mapping[str, Any]) -> bool:
    """Return whether a node says that it is Ready, and the control plane believes it."""
    conditions = objects(field(raw, "status", "conditions"))
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def read_renewal(lease: Mapping[str, Any]) -> Renewal | None:
    """Return what a node's Lease says of its latest renewal; None if it was never renewed."""
    renewed = parse_instant(field(lease, "spec", "renewTime"))
    told = read_int(field(lease, "spec", "leaseDurationSeconds"))
    duration = told if told > 0 else LEASE_DURATION_SECONDS
    return None if renewed is None else Renewal(renewed, duration / RENEWALS_PER_DURATION)
