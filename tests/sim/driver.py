"""One process of the operator: the shell's way around ``decide``, played call by call.

Snapshot, decide, write the status, then the actions, each with its preconditions (rule W1). Between any
two calls it can be stopped for good; a process that was replaced may still get some calls through, as one
that has lost its lease without knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from email.utils import formatdate
from random import Random
from typing import Any, TypeVar

from tests.sim.api import (
    AlreadyExistsError,
    ApiError,
    ApiServer,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from tests.sim.cache import KINDS, Answer, Cache, read
from tests.sim.gate import Later
from tests.sim.objects import Change, Raw, RawGuarded, RawPod, RawSet
from tripswitch.cluster.verification import RETRY_SECONDS
from tripswitch.domain.values.decision import (
    Action,
    AdoptReplicaSet,
    CreateReplicaSet,
    Decision,
    DeletePod,
    DeleteReplicaSet,
    DropPod,
    MarkCompleted,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetAsidePod,
)
from tripswitch.domain.values.hold_actions import HoldAction
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.sight import Check
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant
from tripswitch.shell.clock import Time

T = TypeVar("T")
Calls = Generator[float, None, T]
"""Something done in several calls; it yields the seconds until the next one."""

Decide = Callable[[Snapshot, Instant], Decision]


@dataclass(frozen=True, slots=True)
class Look:
    """What one decision was made from, and what it was.

    ``raws``: the pods as they were delivered; ``answers``: what was read about their nodes.
    """

    snapshot: Snapshot
    decision: Decision
    now: Instant
    raws: dict[str, RawPod]
    answers: tuple[Answer, ...] = ()


@dataclass(slots=True)
class Faults:
    """What can go wrong, as probabilities of each call or event, and times in seconds."""

    lag: float = 0.05
    stall: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    conflict: float = 0.0
    unreachable: float = 0.0
    timeout: float = 0.0
    """The answer is lost after the write was done."""
    stop: float = 0.0
    """The process ends between two calls."""
    stop_after: int | None = None
    """It ends before the call of this number from now, once."""
    zombie: float = 0.0
    """It does not know that it was replaced."""
    slow_checks: float = 0.06
    """Seconds that a consistent read takes at most."""
    settle: bool = True
    """What became of a write without an answer is asked before the next look."""


@dataclass(slots=True)
class Services:
    """What a process is given."""

    api: ApiServer
    later: Later
    rng: Random
    clock: Callable[[], Instant]
    """The true time, which only the agenda knows."""
    server_time: Callable[[], Instant]
    """The time of the API server that answers this request."""
    make_time: Callable[[], Time]
    """What a process has for a clock, and to remember outages."""
    decide: Decide
    faults: Faults
    leased: bool = True
    """Whether the operator has to hold a Lease."""
    looked: Callable[[Look], None] = field(default=lambda _: None)
    accepted: Callable[[Look], None] = field(default=lambda _: None)
    count: Callable[[str], None] = field(default=lambda _: None)
    stop: Callable[[], None] = field(default=lambda: None)


PULSE_SECONDS = 5.0
"""How often a process shows, in a world with troubles, whether it reaches the API server."""
LEASE_LOST_SECONDS = 10.0
"""A process that could not renew its Lease for so long ends."""


class Process:
    """One process. ``calls_left`` is None while it is the leader."""

    def __init__(self, services: Services) -> None:
        self._s = services
        self.cache = Cache()
        self._time = services.make_time()
        self._renewed_at = services.clock()
        self._led_until = services.api.led_until if services.leased else None
        self._hushed: dict[type[Raw], list[Change]] = {}
        self._away = False
        self.calls_left: int | None = None
        self._listed: set[type[Raw]] = set()
        self._stream_at: dict[type[Raw], Instant] = {}
        self._error: CreateError | None = None
        self._retry_at: Instant | None = None
        self._refusals = 0
        self._unsure: set[str] = set()
        self._checking = False
        self._work: Calls[Instant | None] | None = None
        self._dirty = False
        self._scheduled = False
        self._timer = 0
        self._fails = 0
        self._s.api.watchers.append(self._notice)
        for kind in KINDS:
            self._s.later(services.rng.uniform(0.01, 0.2), lambda kind=kind: self._list(kind))  # type: ignore[misc]

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do but wait."""
        return self._work is None and not self._dirty

    def end(self) -> None:
        """Stop the process; it may get some calls through that it had begun with."""
        self._s.api.watchers.remove(self._notice)
        self._beat()
        lingers = self._work is not None and self._s.rng.random() < self._s.faults.zombie
        self.calls_left = self._s.rng.randint(1, 4) if lingers else 0

    # What arrives ------------------------------------------------------------------------------

    def _notice(self, change: Change) -> None:
        """Have a change delivered later, in the order of its kind; or lose it until a list."""
        kind, rng, faults, now = type(change.raw), self._s.rng, self._s.faults, self._s.clock()
        if kind not in self._listed:
            return
        if kind in self._hushed:
            self._hushed[kind].append(change)
            return
        if rng.random() < faults.lost:
            self._s.count("watch events lost")
            self._s.later(rng.uniform(5, 120), lambda: self._list(kind))
            return
        lag = rng.uniform(0.0, 2 * faults.lag)
        if rng.random() < faults.stall:
            lag += rng.uniform(1, 60)
        at = self._stream_at[kind] = max(self._stream_at.get(kind, 0.0), now + lag)
        self._s.later(at - now, lambda: self._take(change))
        if rng.random() < faults.repeated:
            self._s.count("watch events repeated")
            self._s.later(at - now + rng.uniform(0, 5), lambda: self._take(change))

    def _take(self, change: Change) -> None:
        if self.calls_left is None and self.cache.take(change, self._time.clock()):
            self.mark()

    def _list(self, kind: type[Raw]) -> None:
        if self.calls_left is not None:
            return
        answered = self._s.api.writable
        self._hear(stored=True, answered=answered)
        if not answered:
            self._s.later(self._s.rng.uniform(0.5, 10), lambda: self._list(kind))
            return
        begins = kind not in self._listed and len(self._listed) == len(KINDS) - 1
        self._listed.add(kind)
        self._hushed.pop(kind, None)
        if begins:
            self._time.take_over(self._led_until)
        if self.cache.relist(self._s.api, kind, self._time.clock()) or begins:
            self.mark()

    def hush(self, kind: type[Raw]) -> None:
        """The watch of a kind tells nothing from now on."""
        self._hushed.setdefault(kind, [])

    def hear_again(self, kind: type[Raw], *, relist: bool) -> None:
        """The watch goes on: with everything that it held up, or with a new list."""
        if relist:
            self._list(kind)
            return
        for change in self._hushed.pop(kind, []):
            self._take(change)

    # Whether the API server is there -----------------------------------------------------------

    def pulse(self) -> None:
        """Show now and then whether the API server is reached, as watches and the Lease do."""
        if self.calls_left is not None:
            return
        api, now = self._s.api, self._s.clock()
        self._s.later(PULSE_SECONDS, self.pulse)
        self._beat()
        if api.away and not self._away:
            for kind in KINDS:
                self.hush(kind)
        elif self._away and not api.away:
            for kind in KINDS:
                self._s.later(self._s.rng.uniform(0.1, 10), lambda kind=kind: self._list(kind))  # type: ignore[misc]
        self._away = api.away
        if api.writable:
            self._renewed_at = now
        elif self._s.leased and now - self._renewed_at > LEASE_LOST_SECONDS:
            self._s.stop()

    def _beat(self) -> None:
        """A watch goes on, and the Lease is renewed, or something small is read where there is none."""
        api = self._s.api
        self._hear(stored=False, answered=not api.away)
        self._hear(stored=True, answered=api.writable)
        if self._s.leased and api.writable:
            api.led_until = self._s.server_time()

    def _hear(self, *, stored: bool, answered: bool, seconds: float = 0.01) -> None:
        """Do what the real client does at the end of every request."""
        date = formatdate(self._s.server_time(), usegmt=True) if answered else None
        self._time.hear(stored=stored, answered=answered, seconds=seconds, date=date)

    # The queue ---------------------------------------------------------------------------------

    def mark(self) -> None:
        """Have it look again soon."""
        self._dirty = True
        if self._work is None and not self._scheduled and len(self._listed) == len(KINDS):
            self._scheduled = True
            self._s.later(self._s.rng.uniform(0.001, 0.03), self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        if self.calls_left is not None:
            return
        self._dirty = False
        self._timer += 1
        self._work = self._reconcile()
        self._go_on()

    def _go_on(self) -> None:
        if self._work is None or self.calls_left == 0:
            return
        if self.calls_left is not None:
            self.calls_left -= 1
        elif self._ends_here():
            self._s.stop()
            self._go_on()  # as a zombie, or not at all
            return
        try:
            delay = next(self._work)
        except StopIteration as done:
            self._rest(done.value)
        except ApiError:
            self._fails += 1
            self._rest(self._time.clock() + min(60.0, 0.05 * 2**self._fails))
        else:
            self._s.later(delay, self._go_on)

    def _ends_here(self) -> bool:
        faults = self._s.faults
        if faults.stop_after is not None:
            faults.stop_after -= 1
            if faults.stop_after < 0:
                faults.stop_after = None
                return True
        return self._s.rng.random() < faults.stop

    def _rest(self, wake_at: Instant | None) -> None:
        self._work = None
        if self._dirty:
            self.mark()
        if wake_at is None:
            return
        timer = self._timer
        self._s.later(max(0.001, wake_at - self._time.clock()), lambda: self._ring(timer))

    def _ring(self, timer: int) -> None:
        if timer == self._timer and self.calls_left is None:
            self.mark()

    # One look ----------------------------------------------------------------------------------

    def _reconcile(self) -> Calls[Instant | None]:
        while self._unsure:
            yield from self._settle(min(self._unsure))
        guarded = self.cache.guarded
        if guarded is None:
            return None
        now = self._time.clock()
        if self._error is not None and self._error.digest != guarded.spec.template.digest:
            self._error = self._retry_at = None
        snapshot = self.cache.snapshot(self._error, self._time.reachability.standstills())
        raws = {uid: seen.raw for uid, seen in self.cache.pods.items()}
        decision = self._s.decide(snapshot, now)
        look = Look(snapshot, decision, now, raws, self.cache.answers)
        self._s.looked(look)
        self._ask(decision.check)
        if decision.status != guarded.status:
            yield from self._write_status(guarded, look)
        else:
            self._s.accepted(look)
        yield from self._act(guarded, decision)
        self._fails = 0
        return min((at for at in (decision.wake_at, self._retry_at) if at), default=None)

    def _ask(self, check: Check | None) -> None:
        """Have something read anew in the background, unless that is being done."""
        if check is None or self._checking:
            return
        self._checking = True
        rng, faults = self._s.rng, self._s.faults
        self._s.count("checks")
        if rng.random() < faults.unreachable + faults.timeout:
            self._s.later(20.0, lambda: self._lose_check(20.0))
        elif not self._s.api.writable:
            self._s.later(rng.uniform(0.01, 0.1), lambda: self._lose_check(0.1))
        else:
            began, takes = self._time.clock(), rng.uniform(0.002, faults.slow_checks)
            self._s.later(takes * rng.random(), lambda: self._read(check, began, takes))

    def _read(self, check: Check, began: Instant, takes: float) -> None:
        """The server reads what it will answer: all that was written before the check began."""
        now = self._time.clock()
        ended = round(began + takes, 3)
        answer = read(self._s.api, check, began)
        self._s.later(max(0.001, ended - now), lambda: self._end_check(answer))

    def _lose_check(self, seconds: float) -> None:
        self._s.count("checks lost")
        self._hear(stored=True, answered=False, seconds=seconds)
        self._s.later(RETRY_SECONDS, lambda: self._end_check(None))

    def _end_check(self, answer: Answer | None) -> None:
        self._checking = False
        if self.calls_left is not None:
            return
        if answer is not None:
            self._hear(stored=True, answered=True)
            self.cache.verify(answer, self._time.clock())
        self.mark()

    def _write_status(self, guarded: RawGuarded, look: Look) -> Calls[None]:
        def write() -> RawGuarded:
            written = self._s.api.write_status(guarded.uid, guarded.version, look.decision.status)
            self._s.accepted(look)
            return written

        try:
            answer = yield from self._call(write, self._s.api.guarded)
        except (ConflictError, NotFoundError):
            self._s.count("conflicts")
            self.cache.relist(self._s.api, RawGuarded, self._time.clock())
            raise
        self.cache.upsert(answer, self._time.clock())

    def _act(self, guarded: RawGuarded, decision: Decision) -> Calls[None]:
        """Those on one object in order; the others in any. One that fails stops no other object's."""
        groups: dict[str, list[Action]] = {}
        for action in decision.actions:
            groups.setdefault(action.name, []).append(action)
        order = list(groups.values())
        self._s.rng.shuffle(order)
        failed: ApiError | None = None
        for group in order:
            try:
                yield from self._act_in_turn(guarded, group)
            except ApiError as error:
                failed = error
        if failed is not None:
            raise failed

    def _act_in_turn(self, guarded: RawGuarded, group: list[Action]) -> Calls[None]:
        version: int | None = None
        for action in group:
            self._s.count(type(action).__name__)
            if isinstance(action, CreateReplicaSet):
                yield from self._create(guarded, action)
            elif isinstance(action, DeletePod | DeleteReplicaSet):
                yield from self._delete(action)
            elif isinstance(action, SetAsidePod | DropPod | HoldAction):
                raise NotImplementedError(f"nobody asks for that here: {action}")
            else:
                version = yield from self._patch(action, version or int(action.resource_version))

    def _patch(
        self,
        action: AdoptReplicaSet | ReleaseReplicaSet | ScaleReplicaSet | MarkCompleted,
        version: int,
    ) -> Calls[int]:
        changes: dict[str, Any] = {}
        match action:
            case ScaleReplicaSet():
                changes = {"size": action.size, "sized_for": action.sized_for}
            case MarkCompleted():
                changes = {"completed_at": action.completed_at}
            case AdoptReplicaSet():
                assert self.cache.guarded is not None
                changes = {"guard": self.cache.guarded.uid}
            case ReleaseReplicaSet():
                changes = {"guard": None}
        api = self._s.api
        try:
            answer: RawSet = yield from self._call(
                lambda: api.patch_set(action.uid, version, **changes), api.sets.get(action.uid)
            )
        except NotFoundError:
            self.cache.forget(action.uid, version)
            raise
        except ConflictError:
            self._s.count("conflicts")
            raise
        except UnreachableError:
            self._unsure.add(action.name)
            raise
        if self.cache.upsert(answer, self._time.clock()) and isinstance(action, AdoptReplicaSet):
            self.mark()  # it may be scaled now, and no event may follow
        return answer.version

    def _delete(self, action: DeletePod | DeleteReplicaSet) -> Calls[None]:
        api, version = self._s.api, int(action.resource_version)
        try:
            if isinstance(action, DeletePod):
                found = api.pods.get(action.uid)
                pod = yield from self._call(lambda: api.delete_pod(action.uid, version), found)
                self.cache.upsert(pod, self._time.clock())
            else:
                rs = api.sets.get(action.uid)
                yield from self._call(lambda: api.delete_set(action.uid, version), rs)
                self.cache.forget(action.uid, version)
        except NotFoundError:
            self.cache.forget(action.uid, version)
            raise

    def _create(self, guarded: RawGuarded, action: CreateReplicaSet) -> Calls[None]:
        api, now = self._s.api, self._time.clock()
        if self._retry_at is not None and self._retry_at > now:
            return
        template = guarded.spec.template

        def create() -> RawSet:
            uid = api.make_uid("rs")
            return api.create_set(
                RawSet(
                    action.name,
                    uid,
                    guarded.uid,
                    action.revision,
                    template,
                    action.size,
                    float(int(self._s.server_time())),
                    sized_for=action.sized_for,
                )
            )

        try:
            answer = yield from self._call(create, None)
        except AlreadyExistsError:
            self._take_existing(guarded, action)
            return
        except RefusedError as error:
            self._refusals += 1
            self._error = CreateError(template.digest, action.name, message=str(error))
            self._retry_at = round(now + min(60.0, 2.0**self._refusals), 3)
            self._s.count("creations refused")
            self.mark()
            return
        except UnreachableError:
            self._unsure.add(action.name)
            raise
        self._accept(answer)

    def _take_existing(self, guarded: RawGuarded, action: CreateReplicaSet) -> None:
        """Whose is the ReplicaSet that has the name? Ours, an orphan of ours, or a stranger's."""
        found = self._s.api.find_set(action.name)
        digest = guarded.spec.template.digest
        if found is None:
            raise ConflictError(action.name)
        ours = found.matches and found.guard in (None, guarded.uid)
        if found.template.digest == digest and ours:
            self._accept(found)
        else:
            self._error = CreateError(digest, action.name, name_taken=True)
            self._s.count("names taken")
            self.mark()

    def _accept(self, rs: RawSet) -> None:
        self._error = self._retry_at = None
        self._refusals = 0
        if self.cache.upsert(rs, self._time.clock()):
            self.mark()  # its event will be no news

    def _settle(self, name: str) -> Calls[None]:
        """Ask what became of a write whose answer was lost."""
        yield self._s.rng.uniform(0.002, 0.03)
        if self._s.api.away:
            raise UnreachableError
        if self._s.faults.settle:
            found = self._s.api.find_set(name)
            if found is not None:
                self.cache.upsert(found, self._time.clock())
        self._unsure.discard(name)

    # One call ----------------------------------------------------------------------------------

    def _call(self, request: Callable[[], T], found: Raw | None) -> Calls[T]:
        """Do one request after the time it takes to get there, or have it go wrong."""
        self._s.count("calls")
        rng, faults = self._s.rng, self._s.faults
        yield rng.uniform(0.002, 0.03)
        roll = rng.random() - faults.conflict
        if not self._s.api.writable:
            self._hear(stored=True, answered=False)
            raise UnreachableError
        self._beat()
        if roll < 0 and found is not None:
            self._touch(found)
        elif 0 <= roll < faults.unreachable:
            self._s.count("requests lost")
            yield from self._wait_in_vain()
        answer = request()
        if 0 <= roll - faults.unreachable < faults.timeout:
            self._s.count("answers lost")
            yield from self._wait_in_vain()
        return answer

    def _wait_in_vain(self) -> Calls[None]:
        """No answer comes; the Lease is renewed all the while."""
        yield 20.0
        self._hear(stored=True, answered=False, seconds=20.0)
        self._s.later(self._s.rng.uniform(0.1, 2.0), self._beat)
        raise UnreachableError

    def _touch(self, found: Raw) -> None:
        """Somebody else writes the object at this very moment."""
        api = self._s.api
        if isinstance(found, RawPod) and found.uid in api.pods:
            api.put_pod(api.pods[found.uid])
        elif isinstance(found, RawSet) and found.uid in api.sets:
            rs = api.sets[found.uid]
            api.patch_set(rs.uid, seen_live=rs.seen_live + 1)
        elif api.guarded is not None:
            api.set_guarded(api.guarded)
