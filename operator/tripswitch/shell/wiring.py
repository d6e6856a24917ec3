"""The operator without its process: every part that reads, decides and writes, and how they are connected.

The process (:mod:`tripswitch.shell.process`) adds kopf, the health port and signals. The simulation of
``tests/sim`` runs the same parts on an event loop of its own, with the classes of a :class:`Kit` replaced
where it breaks one on purpose.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.alarms_client import AlarmsClient, Source
from tripswitch.cluster.alarms_watch import AlarmWatcher, RuleReader
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ForbiddenError, NotFoundError
from tripswitch.cluster.events import Recorder
from tripswitch.cluster.evidence import Collector
from tripswitch.cluster.executor import NOT_SET_ASIDE, Executor
from tripswitch.cluster.leader_election.leadership import Leadership
from tripswitch.cluster.leader_election.lease import Lease
from tripswitch.cluster.leader_election.watchdog import Watchdog
from tripswitch.cluster.log_context import about
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.cluster.notify import Notifier
from tripswitch.cluster.reference_watch import ReferenceWatcher
from tripswitch.cluster.reflector import Collection, Reflector
from tripswitch.cluster.resources import PODS, REPLICA_SETS
from tripswitch.cluster.shapes import find_shape
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.cluster.verification import Verifier
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Decision
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant
from tripswitch.shell.clock import Time
from tripswitch.shell.guard_line import GuardLine
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.pulse import Pulse
from tripswitch.shell.reconciler import Background, Reconciler
from tripswitch.shell.resync import Resync
from tripswitch.shell.workqueue import Pace, WorkQueue
from tripswitch.shell.write_budget import WriteBudget

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kit:
    """The classes that the parts are made of, and the core."""

    decide: Callable[[Snapshot, Instant], Decision] = decide
    store: type[Store] = Store
    executor: type[Executor] = Executor
    collector: type[Collector] = Collector
    verifier: type[Verifier] = Verifier
    alarms: Callable[[Source], RuleReader] = AlarmsClient
    references: type[ReferenceWatcher] = ReferenceWatcher
    reconciler: type[Reconciler] = Reconciler
    reflector: type[Reflector] = Reflector
    watchdog: Callable[[Callable[[], float], float], Watchdog] = Watchdog


KIT = Kit()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says about the parts, and what they are made of.

    No ``namespaces`` means all. ``alarms``: where they are read from; None: nowhere. ``check_references``:
    whether it is looked up what a rollback needs (B9).
    """

    namespaces: Sequence[str] = ()
    workers: int = 8
    log_evidence: bool = True
    alarms: Source | None = None
    check_references: bool = False
    kit: Kit = KIT


def _make_alarm_watcher(
    wishes: Wishes, clock: Callable[[], Instant], metrics: Metrics
) -> AlarmWatcher:
    reader = None if wishes.alarms is None else wishes.kit.alarms(wishes.alarms)
    return AlarmWatcher(reader, clock, metrics.count_alarm_reading)


def _make_reflectors(
    client: Client, store: Store, namespaces: Sequence[str | None], kit: Kit
) -> list[Reflector]:
    """Return the watches of ReplicaSets and pods; those of GuardedDeployments are kopf's."""
    return [
        kit.reflector(
            client, Collection(resource, namespace, HASH_LABEL, find_shape(resource)), sink
        )
        for namespace in namespaces
        for resource, sink in ((REPLICA_SETS, store.replica_sets), (PODS, store.pods))
    ]


class Wiring:
    """All parts of one operator.

    Args:
        client: For all requests but those about the Lease.
        metrics: Where they are counted.
        time: The clock, and the times in which nobody could report.
        lease: None: there is only this process.
        notifier: None: nobody outside is told.
        wishes: What the command line says.
    """

    def __init__(
        self,
        client: Client,
        metrics: Metrics,
        time: Time,
        *,
        lease: Lease | None = None,
        notifier: Notifier | None = None,
        wishes: Wishes,
    ) -> None:
        clock, kit = time.clock, wishes.kit
        namespaces: Sequence[str | None] = wishes.namespaces or [None]
        self.filled = asyncio.Event()
        """Set once everything is there that decisions are made from."""
        self.gate = asyncio.Event()
        """Set once the workers may begin."""
        self.guards: GuardLine | None = None
        """The parts for guarded Deployments and StatefulSets; to be set before :meth:`fill`."""
        self.budget = WriteBudget()
        """Shared by all reconcilers of the process."""
        self.queue: WorkQueue[Key] = WorkQueue(
            self._reconcile,
            self.gate,
            workers=wishes.workers,
            pace=Pace(self._is_urgent, self.budget.compute_rest),
            broken=self._tell_broken,
        )
        self.store = kit.store(self.queue.mark, clock, time.reachability.standstills)
        self.store.when_gone(lambda record: self.queue.forget(record.key))
        self.recorder = Recorder(client, clock, metrics.count_event)
        executor = kit.executor(client, self.store, clock, self._tell_retention)
        self.collector = kit.collector(client, self.store, clock, logs=wishes.log_evidence)
        self.verifier = kit.verifier(client, self.store, clock)
        self.alarms = _make_alarm_watcher(wishes, clock, metrics)
        self.store.when_gone(self.alarms.forget)
        self.references = kit.references(client if wishes.check_references else None)
        self.store.when_gone(self.references.forget)
        background = Background(
            self.collector,
            self.verifier,
            notifier,
            self.alarms.of(self.store),
            self.references.of(self.store),
        )
        self.reconciler = kit.reconciler(
            self.store, executor, self.recorder, metrics, clock, background=background
        )
        self.reconciler.decide, self.reconciler.budget = kit.decide, self.budget
        self.resync = Resync(client, self.store, executor, namespaces)
        self.leadership = Leadership(lease, self._catch_up, time.take_over, kit.watchdog)
        self._own_reflectors = _make_reflectors(client, self.store, namespaces, kit)
        # With a Lease, it is renewed more often than that.
        self._pulse = None if lease is not None else Pulse(client, namespaces[0])

    @property
    def queues(self) -> list[WorkQueue[Key]]:
        """The queues of both lines of work."""
        return [self.queue] if self.guards is None else [self.queue, self.guards.queue]

    @property
    def resyncs(self) -> list[Resync]:
        """What compares each line's store with the API server."""
        return [self.resync] if self.guards is None else [self.resync, self.guards.resync]

    @property
    def reflectors(self) -> list[Reflector]:
        """All watches but kopf's."""
        guards = [] if self.guards is None else self.guards.reflectors
        return [*self._own_reflectors, *guards]

    @property
    def workers(self) -> list[asyncio.Task[None]]:
        """The tasks of all workers."""
        return [task for queue in self.queues for task in queue.tasks]

    async def fill(self) -> None:
        """Read what there is to guard, for the start.

        Without the CRD of DeploymentCircuitBreakers, or the right to read them, no workload is guarded in
        place.

        Raises:
            ApiError: GuardedDeployments cannot be had, for example because the CRD is not there.
        """
        await self.resync.fill()
        if self.guards is None:
            return
        try:
            await self.guards.fill()
        except (NotFoundError, ForbiddenError) as error:
            self.guards = None
            logger.warning(
                "existing workloads are not guarded, because DeploymentCircuitBreakers cannot be read; "
                "apply the CRD and the rights, and start again: %s",
                error,
            )

    def start(self) -> list[asyncio.Task[None]]:
        """Start what runs for ever and the workers; return the tasks of the former."""
        guards = [] if self.guards is None else self.guards.list_tasks()
        forever = [
            *(asyncio.create_task(watch.run(), name="watch") for watch in self._own_reflectors),
            *(asyncio.create_task(run, name=name) for name, run in guards),
            asyncio.create_task(self.recorder.run(), name="event recorder"),
            asyncio.create_task(self.collector.run(), name="evidence"),
            asyncio.create_task(self.verifier.run(), name="verification"),
            asyncio.create_task(self.alarms.run(), name="alarms"),
            asyncio.create_task(self.references.run(), name="references"),
            asyncio.create_task(self.resync.run(), name="comparison"),
            *self.leadership.start(),
        ]
        if self._pulse is not None:
            forever.append(asyncio.create_task(self._pulse.run(), name="pulse"))
        for queue in self.queues:
            queue.start()
        return forever

    async def open_gate(self, ready: Callable[[], None] = lambda: None) -> None:
        """Let the workers begin once everything that they decide from is there.

        Args:
            ready: Called once all lists are complete.
        """
        for reflector in self.reflectors:
            await reflector.synced.wait()
        self.filled.set()
        ready()
        logger.info(
            "ready: %d guarded deployments, %d replica sets, %d pods",
            len(self.store.records()),
            len(self.store.replica_sets),
            len(self.store.pods),
        )
        await self.leadership.gain()
        # What changed while nobody led comes before all that may be at rest.
        for record in self.store.records():
            if record.unobserved:
                self.store.hurry(record.key)
        self.gate.set()

    def take_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take what kopf saw of a GuardedDeployment; ``kind`` is None of one that was listed."""
        self.resync.hear()
        if kind is None:
            self.resync.soon()
        if kind == "DELETED":
            self.store.remove_guarded(read_text(field(raw, "metadata", "uid")))
        else:
            self.store.upsert_guarded(raw)

    async def _catch_up(self) -> None:
        for resync in self.resyncs:
            await resync.catch_up()

    async def _reconcile(self, key: Key, marked: float) -> float | None:
        return await self.reconciler.reconcile(key, marked)

    def _is_urgent(self, key: Key) -> bool:
        return self.store.is_urgent(key)

    def _tell_broken(self, key: Key, error: Exception) -> None:
        self.reconciler.tell_broken(key, error)

    def _tell_retention(self, record: Record, reason: str, message: str) -> None:
        logger.info("%s: %s", reason, message, extra=about(record.key))
        self.recorder.say(record, reason, message, warning=reason == NOT_SET_ASIDE)
