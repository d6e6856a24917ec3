"""One look at one GuardedDeployment: snapshot, decide, write the status, act, tell.

This is the whole way through the operator; the rest is what feeds it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tripswitch.api.circuit_breakers import write_circuit_breaker_status
from tripswitch.api.codec import InvalidObjectError, write_status
from tripswitch.cluster.errors import (
    ApiError,
    ConflictError,
    NotFoundError,
    NotLeadingError,
    ThrottledError,
)
from tripswitch.cluster.events import Recorder
from tripswitch.cluster.evidence import Collector
from tripswitch.cluster.executor import Executor
from tripswitch.cluster.log_context import about
from tripswitch.cluster.notify import Notifier, find_revision
from tripswitch.cluster.per_object import PerObject
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.cluster.verification import Verifier
from tripswitch.domain.decide import decide
from tripswitch.domain.steps.write_delay import has_step, is_mere_failure, is_mere_progress
from tripswitch.domain.values.alarms import AlarmQuestion
from tripswitch.domain.values.decision import TRIPS, Decision, EventReason
from tripswitch.domain.values.inquiry import Finding
from tripswitch.domain.values.references import ReferenceQuestion
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.workqueue import HOLD_SECONDS, TryAgainError
from tripswitch.shell.write_budget import WriteBudget

logger = logging.getLogger(__name__)

INVALID = "InvalidSpec"
"""Reason of the event about an object that cannot be understood."""
BROKEN = "InternalError"
"""Reason of the event about an object that brings a bug of ours to light."""

OF_THE_WORKLOAD = frozenset(
    {
        *TRIPS,
        EventReason.ROLLBACK_STARTED,
        EventReason.ROLLBACK_COMPLETED,
        EventReason.ROLLBACK_FAILED,
        EventReason.WORKLOAD_RESUMED,
        EventReason.WORKLOAD_YIELDED,
    }
)
"""Events that a guarded Deployment or StatefulSet gets, too: what was done to it, and why (G4)."""


@dataclass(slots=True)
class _Memory:
    """What the process remembers of one object from look to look. Times are the loop's."""

    misunderstood: str = ""
    """The version of which it was told that it is not understood."""
    written: float | None = None
    """When the last status was written; before the first one, when one could have been."""
    turn: float | None = None
    """When mere progress that waits is written."""
    failing: float | None = None
    """Since when a failure waits to be written."""
    undone: bool = False
    """What was decided has been written, but not all of it could be done."""


@dataclass(frozen=True, slots=True)
class Background:
    """Tasks that follow a decision and that the reconciler never waits for. Each may be absent."""

    collector: Collector | None = None
    verifier: Verifier | None = None
    notifier: Notifier | None = None
    alarms: Callable[[Record, AlarmQuestion | None], None] | None = None
    references: Callable[[Record, ReferenceQuestion | None], None] | None = None

    def ask(self, record: Record, decision: Decision, written: Collection[Finding] = ()) -> None:
        """Start the questions of a decision: a pod that is scaled away takes its log with it.

        ``written``: the findings that the decision had; none while it is still to be written.
        """
        if self.verifier is not None:
            self.verifier.ask(record, decision.check)
        if self.collector is not None:
            self.collector.ask(record, decision.inquiries, written)
        if self.alarms is not None:
            self.alarms(record, decision.alarms)
        if self.references is not None:
            self.references(record, decision.references)

    def tell(self, record: Record, decision: Decision) -> None:
        """Send the notifications of a written decision."""
        if self.notifier is not None:
            self.notifier.tell(record, decision)


NO_BACKGROUND = Background()


class Reconciler:
    """Looks at GuardedDeployments, one at a time for each of them."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        recorder: Recorder,
        metrics: Metrics,
        now: Callable[[], Instant],
        *,
        background: Background = NO_BACKGROUND,
    ) -> None:
        self._store = store
        self._executor = executor
        self._recorder = recorder
        self._metrics = metrics
        self._now = now
        self._background = background
        self.decide: Callable[[Snapshot, Instant], Decision] = decide
        self.budget = WriteBudget()
        """To be set to that of the process, which all reconcilers share."""
        self._memories = PerObject(store, _Memory)
        store.when_gone(self._forget)

    async def reconcile(self, key: Key, marked: float) -> float | None:
        """Look at an object once.

        Args:
            key: Which one.
            marked: The loop's time since when it was to be looked at.

        Returns:
            After how many seconds time alone changes something.

        Raises:
            TryAgainError: The API server did not take it, for a reason that passes.
        """
        record = self._store.find(key)
        if record is None or record.deleting or not self._store.is_ready(record):
            return None  # its ReplicaSets go with it; or it is marked again when all of it is known
        loop = asyncio.get_running_loop()
        began = loop.time()
        known = self._store.track(record)
        was_urgent = known.urgent
        known.urgent = False  # what comes from here on is for the next look
        try:
            delay = await self._look(record, marked)
        except NotLeadingError as error:
            raise TryAgainError(str(error), HOLD_SECONDS) from error
        except ThrottledError as error:
            raise TryAgainError(str(error), error.retry_after) from error
        except (ConflictError, NotFoundError) as error:
            raise TryAgainError(str(error)) from error  # the look was stale, which is normal
        except ApiError as error:
            logger.warning("%s", error.describe(), extra=about(key))
            raise TryAgainError(str(error)) from error
        else:
            was_urgent = False
            return delay
        finally:
            known.urgent |= was_urgent or self._memories.of(record).undone
            self._metrics.time_reconcile(loop.time() - began)

    def tell_broken(self, key: Key, error: Exception) -> None:
        """Make an error visible that nobody had thought of: the object is left alone until it works."""
        self._metrics.count_error()
        record = self._store.find(key)
        if record is not None:
            words = f"{type(error).__name__}: {error}"
            self._recorder.say(record, BROKEN, words, warning=True)

    async def _look(self, record: Record, marked: float) -> float | None:
        now, loop = self._now(), asyncio.get_running_loop()
        memory = self._memories.of(record)
        try:
            snapshot = self._store.snapshot(record)
        except InvalidObjectError as error:
            self._tell_invalid(record, str(error))
            return None
        guarded = snapshot.guarded
        decision = self.decide(snapshot, now)
        if _is_rolling_back(decision):
            self._store.track(record).urgent = True
        if decision.status != guarded.status:  # W3: no write when nothing changed
            wait = self._find_hold(memory, guarded.status, decision)
            if wait > 0:
                self._background.ask(record, decision)  # a failed pod may be gone by then
                wake = decision.wake_at
                return wait if wake is None else max(0.001, min(wait, wake - now))
            began = loop.time()
            try:
                await self._executor.write_status(record, _dump(snapshot, decision.status))
            finally:
                self.budget.take_answer(loop.time() - began)
            memory.written, memory.turn, memory.failing = loop.time(), None, None
        self._background.ask(record, decision, written=snapshot.findings)
        memory.undone = True
        try:
            digest = guarded.spec.template.digest
            retry_at = await self._executor.act(record, digest, decision.actions)
            memory.undone = False
        finally:
            self._tell(record, decision, loop.time() - marked)
        wakes = [at for at in (decision.wake_at, retry_at) if at is not None]
        return max(0.001, min(wakes) - self._now()) if wakes else None

    def _find_hold(self, memory: _Memory, before: Status, decision: Decision) -> float:
        """Return for how many seconds a decision may wait to be written with others, in one go."""
        if memory.undone:
            return 0.0  # such as the scale-down of a trip, which a newer version got in the way of
        loop_now, budget = asyncio.get_running_loop().time(), self.budget
        if is_mere_progress(before, decision):
            memory.written = loop_now if memory.written is None else memory.written
            if has_step(decision):
                step = budget.step_seconds if _is_rolling_back(decision) else budget.step
                return memory.written + step - loop_now
            if memory.turn is None:
                earliest = memory.written + budget.progress_seconds
                memory.turn = budget.give_turn(max(earliest, loop_now))
            return memory.turn - loop_now
        if is_mere_failure(before, decision):
            memory.failing = loop_now if memory.failing is None else memory.failing
            burst = budget.burst_seconds if has_step(decision) else budget.burst
            return memory.failing + burst - loop_now
        return 0.0

    def _tell_invalid(self, record: Record, words: str) -> None:
        """Say once about each version that it is not understood; its pods are left alone.

        The CRD refuses such an object when it is applied; this is for one that was stored before,
        under another CRD. An event can always be written, a status of such an object cannot.
        """
        memory = self._memories.of(record)
        if memory.misunderstood == record.resource_version:
            return
        memory.misunderstood = record.resource_version
        logger.warning(
            "is not valid, so the operator changes no pod of it: %s", words, extra=about(record.key)
        )
        self._recorder.say(record, INVALID, words, warning=True)

    def _tell(self, record: Record, decision: Decision, seconds: float) -> None:
        """Tell what is written by now, also if an action failed: no later look says it again."""
        for event in decision.events:
            revision = find_revision(event, decision.status.memory.rollout)
            context = about(record.key, revision=revision)
            logger.info("%s: %s", event.reason, event.message, extra=context)
            words, topic = event.message, event.topic
            told = event.reason in OF_THE_WORKLOAD
            workload = self._store.find_workload(record) if told else None
            for one in (record, workload):
                if one is not None:
                    self._recorder.say(one, event.reason, words, warning=event.warning, topic=topic)
        self._background.tell(record, decision)
        if self._store.holds(record):
            self._metrics.take(self._store.series_of(record), decision, seconds)
        else:
            self._recorder.forget(record.uid)

    def _forget(self, record: Record) -> None:
        """Leave nothing of an object that is gone; what other classes know goes with its ``Tracked``."""
        self._metrics.forget(self._store.series_of(record))
        self._recorder.forget(record.uid)


def _is_rolling_back(decision: Decision) -> bool:
    rollout = decision.status.memory.rollout
    return rollout is not None and rollout.status is RolloutStatus.ROLLBACK_IN_PROGRESS


def _dump(snapshot: Snapshot, status: Status) -> dict[str, Any]:
    """Return a status as the object's kind has it."""
    generation, protected = snapshot.guarded.generation, snapshot.protected
    if protected is None:
        return write_status(status, generation)
    return write_circuit_breaker_status(status, generation, protected.protection)
