"""Everything that runs for DeploymentCircuitBreakers: a second line beside that of GuardedDeployments.

Client, event recorder, metrics, notifications, leadership and the gate are those of the process. Switched
off, nothing of this exists, and nothing of it is watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.alarms_watch import AlarmWatcher
from tripswitch.cluster.client import Client
from tripswitch.cluster.events import Recorder
from tripswitch.cluster.evidence import Collector
from tripswitch.cluster.guarded_sink import GuardedSink
from tripswitch.cluster.hold_executor import HoldExecutor
from tripswitch.cluster.leftovers import Leftovers
from tripswitch.cluster.loading import Loader
from tripswitch.cluster.notify import Notifier
from tripswitch.cluster.opt_in import OptIn
from tripswitch.cluster.reference_watch import ReferenceWatcher
from tripswitch.cluster.reflector import Collection, Reflector, Sink
from tripswitch.cluster.registry_board import RegistryBoard
from tripswitch.cluster.resources import (
    CIRCUIT_BREAKERS,
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from tripswitch.cluster.shapes import find_shape
from tripswitch.cluster.store import Key, Record
from tripswitch.cluster.verification import Verifier
from tripswitch.cluster.workload_index import KindSink
from tripswitch.cluster.workload_store import WorkloadStore
from tripswitch.cluster.workloads import POD_HASH, is_stateful
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Decision
from tripswitch.domain.values.protection import Mode, WorkloadKind
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant
from tripswitch.shell.clock import Time
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.options import Options
from tripswitch.shell.reconciler import Background, Reconciler
from tripswitch.shell.resync import Resync
from tripswitch.shell.workqueue import Pace, WorkQueue
from tripswitch.shell.write_budget import WriteBudget

STATEFUL_POD = "statefulset.kubernetes.io/pod-name"
"""Label that a StatefulSet's pods have, and no other pods."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What both lines of the process use."""

    client: Client
    recorder: Recorder
    metrics: Metrics
    time: Time
    gate: asyncio.Event
    notifier: Notifier | None
    alarms: AlarmWatcher
    references: ReferenceWatcher
    board: RegistryBoard
    budget: WriteBudget | None = None


@dataclass(frozen=True, slots=True)
class GuardKit:
    """The core and the classes of this line that the simulation replaces."""

    decide: Callable[[Snapshot, Instant], Decision] = decide
    executor: type[HoldExecutor] = HoldExecutor
    verifier: type[Verifier] = Verifier


GUARD_KIT = GuardKit()


class GuardLine:
    """Store, executor, reconciler and watches of DeploymentCircuitBreakers, put together."""

    def __init__(
        self, options: Options, shared: Shared, most: Mode, kit: GuardKit = GUARD_KIT
    ) -> None:
        client, time, clock = shared.client, shared.time, shared.time.clock
        budget = WriteBudget() if shared.budget is None else shared.budget
        namespaces: Sequence[str | None] = options.namespaces or [None]
        self.queue: WorkQueue[Key] = WorkQueue(
            self._reconcile,
            shared.gate,
            workers=options.workers,
            pace=Pace(self._is_urgent, budget.compute_rest),
            broken=self._tell_broken,
        )
        self.store = WorkloadStore(
            self.queue.mark, clock, time.reachability.standstills, most, board=shared.board
        )
        self.store.when_gone(lambda record: self.queue.forget(record.key))
        self.store.when_gone(shared.alarms.forget)
        self.store.when_gone(shared.references.forget)
        executor = kit.executor(client, self.store, clock)
        self._collector = Collector(client, self.store, clock, logs=options.log_evidence)
        self._verifier = kit.verifier(client, self.store, clock)
        self.store.left = self._tell_left
        self.store.workloads.gone = shared.recorder.forget
        self._shared, self._writes = shared, most is Mode.ENFORCE
        self._loader = Loader(client, self.store)
        self.opt_in = OptIn(client, self.store, shared.gate)
        self._leftovers = Leftovers(client, self.store, shared.gate)
        self._reconciler = Reconciler(
            self.store,
            executor,
            shared.recorder,
            shared.metrics,
            clock,
            background=Background(
                self._collector,
                self._verifier,
                shared.notifier,
                shared.alarms.of(self.store),
                shared.references.of(self.store),
            ),
        )
        self._reconciler.decide, self._reconciler.budget = kit.decide, budget
        self.resync = Resync(client, self.store, executor, namespaces, CIRCUIT_BREAKERS)
        self.reflectors = [
            Reflector(client, Collection(resource, namespace, labels, find_shape(resource)), sink)
            for namespace in namespaces
            for resource, sink, labels in self._list_watches()
        ]
        if not options.namespaces:  # a namespaced installation may not read namespaces
            self.reflectors.append(
                Reflector(client, Collection(NAMESPACES), self.opt_in.namespaces)
            )

    async def fill(self) -> None:
        """Read all DeploymentCircuitBreakers; from now on the workload of a new one is read, too.

        Raises:
            ApiError: They cannot be had, for example because the CRD is not there.
        """
        await self.resync.fill()
        self.store.load = self._loader.ask

    def list_tasks(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Return what runs for ever, with names."""
        return [
            *(("watch of workloads", watch.run()) for watch in self.reflectors),
            ("evidence of workloads", self._collector.run()),
            ("verification of workloads", self._verifier.run()),
            ("comparison of circuit breakers", self.resync.run()),
            ("loading of workloads", self._loader.run()),
            ("labels of workloads", self.opt_in.run()),
            *([("leftovers of trips", self._leftovers.run())] if self._writes else []),
        ]

    def take_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take a DeploymentCircuitBreaker from kopf."""
        self.resync.hear()
        if kind is None:
            self.resync.soon()
        if kind == "DELETED":
            self.store.remove_guarded(read_text(field(raw, "metadata", "uid")))
        else:
            self.store.upsert_guarded(raw)

    def _list_watches(self) -> list[tuple[Resource, Sink, str]]:
        """Pods of nothing but Deployments and StatefulSets are asked for."""
        store = self.store
        stateless = GuardedSink(store.pods, store.keeps, lambda pod: not is_stateful(pod))
        stateful = GuardedSink(store.pods, store.keeps, is_stateful)
        return [
            (DEPLOYMENTS, KindSink(store.workloads, WorkloadKind.DEPLOYMENT), ""),
            (STATEFUL_SETS, KindSink(store.workloads, WorkloadKind.STATEFUL_SET), ""),
            (REPLICA_SETS, GuardedSink(store.replica_sets, store.keeps), POD_HASH),
            (
                CONTROLLER_REVISIONS,
                GuardedSink(store.controller_revisions, store.keeps),
                "",
            ),
            (PODS, stateless, POD_HASH),
            (PODS, stateful, STATEFUL_POD),
        ]

    def _tell_left(self, workload: Record) -> None:
        """G9: say how to go on."""
        if self._shared.gate.is_set():
            self._shared.recorder.say(
                workload,
                "CircuitBreakerDeleted",
                "its DeploymentCircuitBreaker was deleted during a trip: the workload stays held, and its "
                "annotation tripswitch.dev/how-to-go-on says what to do",
                warning=True,
            )

    async def _reconcile(self, key: Key, marked: float) -> float | None:
        return await self._reconciler.reconcile(key, marked)

    def _is_urgent(self, key: Key) -> bool:
        return self.store.is_urgent(key)

    def _tell_broken(self, key: Key, error: Exception) -> None:
        self._reconciler.tell_broken(key, error)
