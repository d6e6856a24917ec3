"""The process from start to end: what is built, in which order it starts, and how it stops.

Start: one list of GuardedDeployments, the health port, the watches; when all lists are complete
it is ready, starts kopf, and waits for the Lease if it is to have one (a standby's caches are as warm as the
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
from collections.abc import Sequence
from typing import Any

import kopf

from tripswitch.cluster.client import Client
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import ApiError, NotFoundError
from tripswitch.cluster.events import Recorder
from tripswitch.cluster.http_transport import HttpTransport
from tripswitch.cluster.leader_election.lease import Lease, LeaseLostError
from tripswitch.cluster.notify import Notifier
from tripswitch.shell.clock import Time
from tripswitch.shell.guard_line import GuardLine, Shared
from tripswitch.shell.health import HealthPortError, HealthServer
from tripswitch.shell.kopf_adapter import build_registry, build_settings
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.options import Options
from tripswitch.shell.wiring import Wiring, Wishes

logger = logging.getLogger(__name__)

STUCK_SECONDS = 240.0
"""A watch without any sign of life for so long is stuck: longer than all its time-outs together."""
FINISH_SECONDS = 10.0
"""Time for the writes that are under way when the process is told to stop."""
CANCEL_SECONDS = 2.0
"""How long tasks have to end that were cancelled; they only leave what they wait for."""
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
        logger.critical(
            "cannot start: the API server knows no GuardedDeployments; is the CRD applied?"
        )
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
        self._options = options
        self._credentials = credentials
        self._stopping = asyncio.Event()
        self._stop_kopf = asyncio.Event()
        self._kopf_is_up = asyncio.Event()
        self._notifier = (
            Notifier(options.notify, time.clock, metrics.count_notification)
            if options.notify
            else None
        )
        wishes = Wishes(
            options.namespaces,
            options.workers,
            options.log_evidence,
            options.alarms,
            options.check_references,
        )
        parts = self._parts = Wiring(
            client, metrics, time, lease=lease, notifier=self._notifier, wishes=wishes
        )
        metrics.watch_depth(lambda: parts.queue.depth)
        metrics.watch_leader(parts.leadership.leads)
        parts.guards = (
            GuardLine(
                options,
                Shared(
                    client,
                    parts.recorder,
                    metrics,
                    time,
                    parts.gate,
                    self._notifier,
                    parts.alarms,
                    parts.references,
                    parts.store.board,
                    parts.budget,
                ),
                options.guard_workloads,
            )
            if options.guard_workloads is not None
            else None
        )
        self._health = HealthServer(self._find_stuck, self._find_unready, metrics.render)

    async def run(self) -> int:
        """Run until a signal comes (0) or something ends that should not (1).

        Raises:
            ApiError: The API server is not there, or does not know GuardedDeployments.
            HealthPortError: The port for probes and metrics is in use.
        """
        await self._parts.fill()
        await self._health.start(self._options.health_port)
        # Before kopf starts: when it ends it cancels every task that is younger than itself.
        forever = [*self._parts.start(), *self._start_notifier()]
        workers = self._parts.workers
        once = [
            asyncio.create_task(self._parts.open_gate(freeze_what_is_there), name="start"),
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
            await cancel_all([*forever, *once, stopping])

    def _start_notifier(self) -> list[asyncio.Task[None]]:
        if self._notifier is None:
            return []
        return [asyncio.create_task(self._notifier.run(), name="notifications")]

    async def _listen_to_signals(self) -> None:
        """Take the signals before kopf starts, and from kopf, so that the workers stop before it does."""
        self._take_signals()
        await self._kopf_is_up.wait()
        self._take_signals()

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)

    async def _run_kopf(self) -> None:
        # Its first list brings what has been read already, half a millisecond for each object.
        await self._parts.filled.wait()
        await kopf.operator(
            registry=build_registry(
                self._parts.take_event,
                self._credentials.connection,
                None if self._parts.guards is None else self._parts.guards.take_event,
            ),
            settings=build_settings(),
            clusterwide=not self._options.namespaces,
            namespaces=self._options.namespaces,
            ready_flag=self._kopf_is_up,
            stop_flag=self._stop_kopf,
        )

    async def _stop(self, kopf_task: asyncio.Task[None]) -> None:
        logger.info("stopping")
        lost = self._parts.leadership.is_lost
        seconds = 0.0 if lost else FINISH_SECONDS
        stops = (queue.stop(seconds) for queue in self._parts.queues)
        finished = all(await asyncio.gather(*stops))
        if not lost:
            await asyncio.gather(*(side.drain(2.0) for side in self._tellers()))
            await self._parts.leadership.give_back(finished=finished)
        if self._notifier is not None:
            await self._notifier.close()
        await self._health.stop()
        self._stop_kopf.set()
        if not self._parts.filled.is_set():
            kopf_task.cancel()  # it has not begun
        done, _ = await asyncio.wait([kopf_task], timeout=FINISH_SECONDS)
        for task in done:
            _find_error(task)  # told already if it is why we stop, and of no use otherwise

    def _tellers(self) -> list[Recorder | Notifier]:
        return [self._parts.recorder, *([] if self._notifier is None else [self._notifier])]

    def _find_stuck(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        found = [
            f"watch of {watch.path} is stuck"
            for watch in self._parts.reflectors
            if now - watch.last_turn > STUCK_SECONDS
        ]
        found += [
            f"watch of {resync.plural} delivers no events"
            for resync in self._parts.resyncs
            if resync.missed_since is not None and now - resync.missed_since > STUCK_SECONDS
        ]
        found += self._parts.leadership.find_stuck(STUCK_SECONDS)
        return found

    def _find_unready(self) -> list[str]:
        return (
            [] if self._parts.filled.is_set() else ["the first lists of objects are not complete"]
        )


def freeze_what_is_there() -> None:
    """Take what is there now out of every later garbage collection; these are as usual from now on.

    The views of 10,000 pods are 140,000 objects without cycles; going through them all would stop the
    loop each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*USUAL_COLLECTIONS)


async def cancel_all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended: the connections that they use are closed next."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=CANCEL_SECONDS)


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
