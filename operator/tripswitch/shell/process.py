"""The process from start to end: what is built, in which order it starts, and how it stops.

Start: one list of GuardedDeployments, the health port, the watches, kopf; when all lists are complete
it is ready, and waits for the Lease if it is to have one (a standby's caches are as warm as the
leader's). Then it catches up with what the leader before it has written, the gate opens and the workers
begin. Stop, on a signal: the workers finish what they are writing, then events, then the Lease is given
back, then kopf. If anything that should run for ever ends by itself, or the Lease is lost, all of it
ends, with exit code 1: the next process takes up from the status.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import kopf

from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.client import Client
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import ApiError, ForbiddenError, NotFoundError
from tripswitch.cluster.events import Recorder
from tripswitch.cluster.evidence import Collector
from tripswitch.cluster.executor import NOT_SET_ASIDE, Executor
from tripswitch.cluster.http_transport import HttpTransport
from tripswitch.cluster.leader_election.leadership import Leadership
from tripswitch.cluster.leader_election.lease import Lease, LeaseLostError
from tripswitch.cluster.log_context import about
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.cluster.notify import Notifier
from tripswitch.cluster.reflector import Reflector
from tripswitch.cluster.resources import PODS, REPLICA_SETS
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.cluster.verification import Verifier
from tripswitch.shell.clock import Time
from tripswitch.shell.guard_line import GuardLine, Shared
from tripswitch.shell.health import HealthPortError, HealthServer
from tripswitch.shell.kopf_adapter import build_registry, build_settings
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.options import Options
from tripswitch.shell.pulse import Pulse
from tripswitch.shell.reconciler import Background, Reconciler
from tripswitch.shell.resync import Resync
from tripswitch.shell.workqueue import WorkQueue

logger = logging.getLogger(__name__)

STUCK_SECONDS = 240.0
"""A watch without any sign of life for so long is stuck: longer than all its time-outs together."""
FINISH_SECONDS = 10.0
"""Time for the writes that are under way when the process is told to stop."""
USUAL_COLLECTIONS = gc.get_threshold()
RARE_COLLECTIONS = 50_000
"""How many new objects start a garbage collection while the lists are read. Decoding a page of pods makes
thousands that are all freed a moment later, and with Python's own threshold (700 to 2,000) what was kept
of the pages before is gone through again and again (*start* in ``docs/benchmarks.md``)."""


async def run(options: Options) -> int:
    """Run the operator until it is told to stop; return the exit code."""
    gc.freeze()  # all the code
    gc.set_threshold(RARE_COLLECTIONS)
    metrics = Metrics()
    credentials = Credentials(options.kubeconfig)
    try:
        await credentials.load()
        return await _run_elected(options, credentials, metrics)
    except NotFoundError:
        logger.critical("cannot start: no GuardedDeployments on this server; is the CRD applied?")
    except (ApiError, HealthPortError) as error:
        logger.critical("cannot start: %s", error)
    return 1


async def _run_elected(options: Options, credentials: Credentials, metrics: Metrics) -> int:
    """Run with a Lease if there is to be one; its requests have a client and connections apart."""
    who, count, time = options.candidacy, metrics.count_request, Time()
    if who is None:
        async with Client(HttpTransport(credentials), count, heard=time.hear) as client:
            return await Process(options, credentials, client, metrics, time).run()
    agent, seconds = who.identity, who.terms.request_timeout
    quick = Client(HttpTransport(credentials, agent=agent), count, seconds=seconds, heard=time.hear)
    lease = Lease(quick, who, time.clock)
    permit = lease.remaining
    main = Client(HttpTransport(credentials, agent=agent), count, permit=permit, heard=time.hear)
    async with quick, main as client:
        return await Process(options, credentials, client, metrics, time, lease).run()


class Process:
    """Everything that runs, put together."""

    def __init__(
        self,
        options: Options,
        credentials: Credentials,
        client: Client,
        metrics: Metrics,
        time: Time,
        lease: Lease | None = None,
    ) -> None:
        clock = time.clock
        self._options = options
        self._credentials = credentials
        self._client = client
        self._filled = asyncio.Event()
        self._gate = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stop_kopf = asyncio.Event()
        self._kopf_is_up = asyncio.Event()
        self._queue: WorkQueue[Key] = WorkQueue(
            self._reconcile,
            self._gate,
            workers=options.workers,
            broken=self._tell_broken,
        )
        metrics.watch_depth(lambda: self._queue.depth)
        self._store = Store(self._queue.mark, clock, time.reachability.standstills)
        self._store.when_gone(lambda record: self._queue.forget(record.key))
        self._recorder = Recorder(client, clock)
        executor = Executor(client, self._store, clock, self._tell_retention)
        self._collector = Collector(client, self._store, clock, logs=options.log_evidence)
        self._verifier = Verifier(client, self._store, clock)
        self._notifier = (
            Notifier(options.notify, clock, metrics.count_notification) if options.notify else None
        )
        self._reconciler = Reconciler(
            self._store,
            executor,
            self._recorder,
            metrics,
            clock,
            background=Background(self._collector, self._verifier, self._notifier),
        )
        self._guards = (
            GuardLine(
                options,
                Shared(client, self._recorder, metrics, time, self._gate, self._notifier),
                options.guard_workloads,
            )
            if options.guard_workloads is not None
            else None
        )
        namespaces: Sequence[str | None] = options.namespaces or [None]
        self._sweep = Resync(client, self._store, executor, namespaces)
        self._leadership = Leadership(lease, self._catch_up, time.take_over)
        metrics.watch_leader(self._leadership.leads)
        self._own_reflectors = [
            Reflector(client, resource, sink, namespace=namespace, labels=HASH_LABEL)
            for namespace in namespaces
            for resource, sink in (
                (REPLICA_SETS, self._store.replica_sets),
                (PODS, self._store.pods),
            )
        ]
        self._health = HealthServer(self._find_stuck, self._find_unready, metrics.render)

    async def run(self) -> int:
        """Run until a signal comes (0) or something ends that should not (1).

        Raises:
            ApiError: The API server is not there, or does not know GuardedDeployments.
            HealthPortError: The port for probes and metrics is in use.
        """
        await self._sweep.fill()
        await self._fill_guards()
        await self._health.start(self._options.health_port)
        # Before kopf starts: when it ends it cancels every task that is younger than itself.
        forever = [
            *(asyncio.create_task(watch.run(), name="watch") for watch in self._own_reflectors),
            *self._start_guards(),
            asyncio.create_task(self._recorder.run(), name="event recorder"),
            asyncio.create_task(self._collector.run(), name="evidence"),
            asyncio.create_task(self._verifier.run(), name="verification"),
            asyncio.create_task(self._sweep.run(), name="comparison"),
            *self._start_notifier(),
            *self._start_pulse(),
            *self._leadership.start(),
        ]
        self._queue.start()
        workers = [*self._queue.tasks]
        if self._guards is not None:
            self._guards.queue.start()
            workers += self._guards.queue.tasks
        once = [
            asyncio.create_task(self._open_gate(), name="start"),
            asyncio.create_task(self._listen_to_signals(), name="signals"),
        ]
        kopf_task = asyncio.create_task(self._run_kopf(), name="kopf")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            ended = await _wait_for_any([stopping, kopf_task, *forever, *workers], once)
            # kopf ends well only on a signal that came before ours were listened to.
            return 0 if ended in (stopping, kopf_task) and _find_error(ended) is None else 1
        finally:
            await self._stop(kopf_task)
            for task in (*forever, *once, stopping):
                task.cancel()

    def _start_notifier(self) -> list[asyncio.Task[None]]:
        if self._notifier is None:
            return []
        return [asyncio.create_task(self._notifier.run(), name="notifications")]

    @property
    def _reflectors(self) -> list[Reflector]:
        guards = [] if self._guards is None else self._guards.reflectors
        return [*self._own_reflectors, *guards]

    async def _fill_guards(self) -> None:
        """Read the DeploymentCircuitBreakers; without their CRD or the right no workload is guarded."""
        if self._guards is None:
            return
        try:
            await self._guards.fill()
        except (NotFoundError, ForbiddenError) as error:
            self._guards = None
            logger.warning(
                "existing workloads are not guarded, because DeploymentCircuitBreakers cannot be read; "
                "apply the CRD and the rights, and start again: %s",
                error,
            )

    def _start_guards(self) -> list[asyncio.Task[None]]:
        if self._guards is None:
            return []
        return [asyncio.create_task(run, name=name) for name, run in self._guards.list_tasks()]

    async def _catch_up(self) -> None:
        await self._sweep.catch_up()
        if self._guards is not None:
            await self._guards.sweep.catch_up()

    def _start_pulse(self) -> list[asyncio.Task[None]]:
        if self._options.candidacy is not None:
            return []  # the Lease is renewed more often than that
        pulse = Pulse(self._client, next(iter(self._options.namespaces), None))
        return [asyncio.create_task(pulse.run(), name="pulse")]

    async def _reconcile(self, key: Key, marked: float) -> float | None:
        return await self._reconciler.reconcile(key, marked)

    def _tell_retention(self, record: Record, reason: str, message: str) -> None:
        logger.info("%s: %s", reason, message, extra=about(record.key))
        self._recorder.say(record, reason, message, warning=reason == NOT_SET_ASIDE)

    def _tell_broken(self, key: Key, error: Exception) -> None:
        self._reconciler.tell_broken(key, error)

    async def _open_gate(self) -> None:
        """Let the workers begin once everything that they decide from is there."""
        for reflector in self._reflectors:
            await reflector.synced.wait()
        self._filled.set()
        freeze_what_is_there()
        logger.info(
            "ready: %d guarded deployments, %d replica sets, %d pods",
            len(self._store.records()),
            len(self._store.replica_sets),
            len(self._store.pods),
        )
        await self._leadership.gain()
        self._gate.set()

    async def _listen_to_signals(self) -> None:
        """Take the signals from kopf, so that the workers stop before it does."""
        await self._kopf_is_up.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)

    async def _run_kopf(self) -> None:
        await kopf.operator(
            registry=build_registry(
                self._take_event,
                self._credentials.connection,
                None if self._guards is None else self._guards.take_event,
            ),
            settings=build_settings(),
            clusterwide=not self._options.namespaces,
            namespaces=self._options.namespaces,
            ready_flag=self._kopf_is_up,
            stop_flag=self._stop_kopf,
        )

    def _take_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        self._sweep.hear()
        if kind is None:
            self._sweep.soon()
        if kind == "DELETED":
            self._store.remove_guarded(read_text(field(raw, "metadata", "uid")))
        else:
            self._store.upsert_guarded(raw)

    async def _stop(self, kopf_task: asyncio.Task[None]) -> None:
        logger.info("stopping")
        lost = self._leadership.is_lost
        queues = [self._queue] if self._guards is None else [self._queue, self._guards.queue]
        seconds = 0.0 if lost else FINISH_SECONDS
        finished = all(await asyncio.gather(*(queue.stop(seconds) for queue in queues)))
        if not lost:
            await asyncio.gather(*(side.drain(2.0) for side in self._tellers()))
            await self._leadership.give_back(finished=finished)
        if self._notifier is not None:
            await self._notifier.close()
        await self._health.stop()
        self._stop_kopf.set()
        done, _ = await asyncio.wait([kopf_task], timeout=FINISH_SECONDS)
        for task in done:
            _find_error(task)  # told already if it is why we stop, and of no use otherwise

    def _tellers(self) -> list[Recorder | Notifier]:
        return [self._recorder, *([] if self._notifier is None else [self._notifier])]

    def _find_stuck(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        found = [
            f"watch of {watch.path} is stuck"
            for watch in self._reflectors
            if now - watch.last_turn > STUCK_SECONDS
        ]
        sweeps = [self._sweep] if self._guards is None else [self._sweep, self._guards.sweep]
        found += [
            f"watch of {sweep.plural} tells nothing"
            for sweep in sweeps
            if sweep.missed_since is not None and now - sweep.missed_since > STUCK_SECONDS
        ]
        found += self._leadership.find_stuck(STUCK_SECONDS)
        return found

    def _find_unready(self) -> list[str]:
        return [] if self._filled.is_set() else ["the first lists are not complete"]


def freeze_what_is_there() -> None:
    """Take what is there now out of every later garbage collection; these are as usual from now on.

    The views of 10,000 pods are 140,000 objects without cycles; going through them all would stop the
    loop each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*USUAL_COLLECTIONS)


async def _wait_for_any(
    tasks: Sequence[asyncio.Task[Any]], once: Sequence[asyncio.Task[None]]
) -> asyncio.Task[Any]:
    """Wait until one of the tasks ends, or one that may end ends badly; say why, and return it."""
    waiting = {*tasks, *once}
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = _find_error(task)
            if error is not None:
                # kopf's own words are enough; anything else is a bug and needs to be traced.
                told = task.get_name() == "kopf" or isinstance(error, LeaseLostError)
                trace = None if told else error
                words = (task.get_name(), type(error).__name__, error)
                logger.critical("%s ended: %s: %s; the operator ends", *words, exc_info=trace)
            if error is not None or task not in once:
                return task


def _find_error(task: asyncio.Task[Any]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()
