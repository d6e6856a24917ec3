"""Looks for evidence of failures in the background: the end of a log, and a pod's Warning events.

Best effort, and never in the way: questions go through a bounded queue and two tasks, with short
time-outs; each is answered once, asked of at most three pods, and forgotten when its answer stands in the
status. Only pods of the GuardedDeployment's own namespace are looked at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto

from tripswitch.api.tolerant import objects
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ApiError, ForbiddenError, InvalidError, NotFoundError
from tripswitch.cluster.evidence_text import cut_log, select_event
from tripswitch.cluster.log_context import about as log_about
from tripswitch.cluster.per_object import PerObject
from tripswitch.cluster.resources import EVENTS, PODS
from tripswitch.cluster.store import Record, Store
from tripswitch.domain.values.inquiry import Evidence, Finding, Inquiry
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)

MAX_WAITING = 200
TASKS = 2
MAX_TRIES = 3
LOG_LINES = 40
LOG_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of a collector, in seconds."""

    request: float = 5.0
    """For one request: a kubelet that does not answer must not keep the others waiting."""
    try_again: float = 5.0
    """Between two tries of one question."""
    waiting_again: float = 50.0
    """Until a pod that is being set up is asked about again: its events may say something else."""
    event: float = 0.25
    """How much later than the status a pod's event may come."""
    late_event: float = 2.0
    """How much longer the event of a container that was killed may take."""


USUAL = Timing()


class _State(Enum):
    """Where a question stands."""

    OPEN = auto()
    """It is to be asked, for the first time or again."""
    ASKED = auto()
    """It waits in the queue, or a task looks for its answer."""
    CLOSED = auto()
    """It has an answer, or was tried often enough. A lasting one is asked again later."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What is known of one question. ``evidence`` is the latest answer."""

    state: _State = _State.OPEN
    tries: int = 0
    asked_at: Instant = 0.0
    evidence: Evidence | None = None


class Collector:
    """Answers inquiries. Run :meth:`run` as a task.

    Args:
        client: For the pods' logs and events.
        store: Where findings go; it then has the GuardedDeployment looked at again.
        clock: The time.
        logs: Whether logs may be read at all.
        timing: How long it waits for what.
        max_waiting: How many questions may wait; more are put off.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        clock: Callable[[], Instant],
        *,
        logs: bool = True,
        timing: Timing = USUAL,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._logs = logs
        self._timing = timing
        self._waiting: asyncio.Queue[tuple[Record, Inquiry]] = asyncio.Queue(max_waiting)
        self._questions: PerObject[dict[str, _Question]] = PerObject(store, dict)
        """By the topic of the inquiry."""
        self._forbidden: set[str] = set()

    def ask(
        self, about: Record, inquiries: Iterable[Inquiry], written: Collection[Finding] = ()
    ) -> None:
        """Take all that is asked about an object now.

        Never waits. What does not fit into the queue is asked again by the next look.

        Args:
            about: The object.
            inquiries: What is to be found out, by the latest decision about it.
            written: The findings that this decision had, if it is written. What is no longer asked is
                forgotten when it is among them: an answer may have come while the decision was being
                written, and then it is the next one's.
        """
        asked = {inquiry.topic: inquiry for inquiry in inquiries}
        questions = self._questions.of(about)
        for topic in questions.keys() - asked.keys():
            known = questions[topic]
            unwritten = known.evidence and Finding(topic, known.evidence) not in written
            if known.state is not _State.ASKED and not unwritten:
                del questions[topic]
        for topic, inquiry in asked.items():
            known = questions.setdefault(topic, _Question())
            if self._is_due(known, inquiry) and self._enqueue(about, inquiry):
                questions[topic] = replace(
                    known, state=_State.ASKED, tries=known.tries + 1, asked_at=self._clock()
                )
        self._share(about)

    async def run(self) -> None:
        """Look for answers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(self._work())

    async def drain(self) -> None:
        """Wait until everything that was asked has been looked into."""
        await self._waiting.join()

    def _is_due(self, known: _Question, inquiry: Inquiry) -> bool:
        passed = self._clock() - known.asked_at
        match known.state:
            case _State.OPEN:
                return known.tries == 0 or passed >= self._timing.try_again
            case _State.ASKED:
                return False
            case _State.CLOSED:
                return inquiry.lasting and passed >= self._timing.waiting_again

    def _enqueue(self, about: Record, inquiry: Inquiry) -> bool:
        try:
            self._waiting.put_nowait((about, inquiry))
        except asyncio.QueueFull:
            logger.warning(
                "evidence is collected later: the queue of questions is full",
                extra=log_about(about.key),
            )
            return False
        return True

    async def _work(self) -> None:
        while True:
            about, inquiry = await self._waiting.get()
            try:
                await self._answer(about, inquiry)
            except Exception:
                # A pod whose events bring a bug to light costs its evidence, nothing else.
                logger.exception("evidence could not be collected", extra=log_about(about.key))
            finally:
                self._waiting.task_done()

    async def _answer(self, about: Record, inquiry: Inquiry) -> None:
        questions, topic = self._questions.of(about), inquiry.topic
        earlier = questions.get(topic)
        if earlier is None:
            return  # no decision asks it any more
        evidence, complete = await self._look(about, inquiry)
        known = questions.get(topic)
        if known is None or not self._store.holds(about):
            return
        found = evidence if evidence.event or evidence.log_tail else None
        # A pod that is gone, or a kubelet that is away: perhaps the next pod of that cause.
        closed = complete or found is not None or known.tries >= MAX_TRIES
        questions[topic] = replace(
            known,
            state=_State.CLOSED if closed else _State.OPEN,
            evidence=found or known.evidence,
        )
        if found is not None and found != earlier.evidence:
            self._share(about)
            self._store.mark(about.key)

    def _share(self, about: Record) -> None:
        found = (
            Finding(topic, known.evidence)
            for topic, known in sorted(self._questions.of(about).items())
            if known.evidence is not None
        )
        self._store.find_out(about, tuple(found))

    def _lay_ready(self, about: Record, inquiry: Inquiry, tail: str) -> None:
        """Put the end of a log into the next write of the status: a trip may be a moment away."""
        questions = self._questions.of(about)
        known = questions.get(inquiry.topic)
        if tail and known is not None and known.evidence is None:
            early = Evidence(inquiry.pod, log_tail=tail)
            questions[inquiry.topic] = replace(known, evidence=early)
            self._share(about)

    async def _look(self, about: Record, inquiry: Inquiry) -> tuple[Evidence, bool]:
        """Return what one pod has to say, and whether everything could be asked.

        The log first, because it goes with the pod; events stay, and may come a moment later.
        """
        namespace, tail, event, complete = about.key.namespace, "", "", True
        if inquiry.container:
            tail, complete = await self._try_log(namespace, inquiry, inquiry.container)
            self._lay_ready(about, inquiry, tail)
            await asyncio.sleep(self._timing.event)
        try:
            event, named = await self._find_event(namespace, inquiry)
            if inquiry.killed and not event:
                await asyncio.sleep(self._timing.late_event)
                event, named = await self._find_event(namespace, inquiry)
        except (ApiError, TimeoutError) as error:
            named = None
            complete = self._explain(error, "events", namespace, inquiry.pod) and complete
        if named and not inquiry.container:
            tail, asked = await self._try_log(namespace, inquiry, named)
            complete = complete and asked
        return Evidence(pod=inquiry.pod, event=event, log_tail=tail), complete

    async def _try_log(self, namespace: str, inquiry: Inquiry, container: str) -> tuple[str, bool]:
        if not (inquiry.log and self._logs):
            return "", True
        try:
            return await self._read_log(namespace, inquiry, container), True
        except InvalidError:
            return "", True  # the kubelet has no log of it
        except ApiError as error:
            return "", self._explain(error, "pods/log", namespace, inquiry.pod)

    async def _find_event(self, namespace: str, inquiry: Inquiry) -> tuple[str, str | None]:
        """Return the words of the pod's most telling Warning event, and the container it names."""
        selector = f"involvedObject.kind=Pod,involvedObject.name={inquiry.pod},type=Warning"
        query = {"fieldSelector": selector}
        async with asyncio.timeout(self._timing.request):
            answer = await self._client.request("GET", EVENTS.path(namespace), query=query)
        return select_event(objects(answer.get("items")), inquiry)

    async def _read_log(self, namespace: str, inquiry: Inquiry, container: str) -> str:
        path = PODS.path(namespace, inquiry.pod, "log")
        query = {
            "container": container,
            "tailLines": str(LOG_LINES),
            "limitBytes": str(LOG_BYTES),
        }
        if not inquiry.ended:
            return cut_log(await self._client.read_text(path, query, seconds=self._timing.request))
        try:
            previous = {**query, "previous": "true"}
            return cut_log(
                await self._client.read_text(path, previous, seconds=self._timing.request)
            )
        except InvalidError:
            # It has not been started again: the run that ended is the only one.
            return cut_log(await self._client.read_text(path, query, seconds=self._timing.request))

    def _explain(self, error: ApiError | TimeoutError, what: str, namespace: str, pod: str) -> bool:
        """Log why there is no evidence; return whether asking again would be of no use."""
        if isinstance(error, ForbiddenError):
            if what not in self._forbidden:
                self._forbidden.add(what)
                logger.warning(
                    "no permission to read %s, so failures are reported without them: %s",
                    what,
                    error,
                )
            return True
        level = logging.DEBUG if isinstance(error, NotFoundError) else logging.INFO
        logger.log(level, "cannot read %s of pod %s/%s: %s", what, namespace, pod, error)
        return False
