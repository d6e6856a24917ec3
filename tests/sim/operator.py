"""One process of the operator: the real parts on a virtual loop, and kopf's part of the work beside them.

The parts are those of :class:`tripswitch.shell.wiring.Wiring`. A process can end at any moment for good, by
itself too, as when its Lease is lost; another one is then started.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.sim.encode import NAMESPACE
from tests.sim.faults import Faults
from tests.sim.loop import VirtualLoop
from tests.sim.objects import Change, Raw, RawDeployment, RawPod, RawSet, RawStateful
from tests.sim.references import Lookup, NamedObjects
from tests.sim.rest import KINDS, WISHES, read_path
from tests.sim.transport import Net, SimulatedTransport
from tripswitch.cluster.alarms_client import Source
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ApiError, UnreachableError
from tripswitch.cluster.leader_election.lease import Candidacy, Lease
from tripswitch.cluster.leader_election.watchdog import Watchdog
from tripswitch.cluster.notify import Notifier
from tripswitch.cluster.reference_watch import ReferenceStore, ReferenceWatcher
from tripswitch.cluster.replicasets import orphan_owner
from tripswitch.cluster.resources import CIRCUIT_BREAKERS, GUARDED_DEPLOYMENTS, Resource
from tripswitch.cluster.store import Record
from tripswitch.cluster.transport import Answer, Call
from tripswitch.cluster.verification import Verifier
from tripswitch.domain.values.decision import Decision
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.references import ReferenceQuestion, References
from tripswitch.domain.values.registries import NO_TROUBLES, PullTrouble, Troubles
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import Check, Sight
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant
from tripswitch.shell.clock import Time
from tripswitch.shell.guard_line import GuardLine, Shared
from tripswitch.shell.metrics import Metrics
from tripswitch.shell.wiring import KIT, Kit, Wiring, Wishes

WORKLOADS: tuple[type[Raw], ...] = (RawDeployment, RawStateful)
LEASE_NAME = "tripswitch"
AGAIN_WITHIN = 200.0
"""Seconds: more than the longest back-off and the time-outs of what is under way."""

Decide = Callable[[Snapshot, Instant], Decision]
MakeGuards = Callable[[Shared, Kit], GuardLine]
Take = Callable[[str | None, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What one check read about nodes, as the server answered.

    Attributes:
        as_of: When the check began, by the process' clock.
        leases: When the nodes renewed their Leases, by their own clocks; None where none can be read.
        unready: Those of the nodes that were not Ready.
    """

    as_of: Instant
    leases: dict[str, Instant | None]
    unready: frozenset[str]


@dataclass(frozen=True, slots=True)
class Look:
    """What one decision was made from, and what it was.

    ``raws``: the pods as they were delivered; ``answers``: what was read about their nodes.
    """

    snapshot: Snapshot
    decision: Decision
    now: Instant
    raws: dict[str, RawPod]
    answers: tuple[NodeAnswer, ...] = ()
    neighbours: frozenset[PullTrouble] = frozenset()
    """What pods of completed revisions of other workloads waited for (F9)."""
    lookup: Lookup | None = None
    """The latest lists for what was asked for last (B9)."""


class NoWatchdog(Watchdog):
    """Ends no process, and has no thread: a process here ends when its world ends it."""

    def start(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Services:
    """What a process is given."""

    net: Net
    rng: Random
    steady: Callable[[], float]
    """The true time, on a clock that only goes forward."""
    make_time: Callable[[], Time]
    """What a process has for a clock, and to remember outages."""
    faults: Faults
    leased: bool = True
    """Whether the operator has to hold a Lease."""
    kit: Kit = KIT
    lease: type[Lease] = Lease
    looked: Callable[[Look], None] = field(default=lambda _: None)
    accepted: Callable[[Look], None] = field(default=lambda _: None)
    fail: Callable[[BaseException], None] = field(default=lambda _: None)
    """Called with an error that must not be lost in the operator's own handling of errors."""
    stop: Callable[[Process], None] = field(default=lambda _: None)
    """Ends a process at this very moment."""
    ended: Callable[[], None] = field(default=lambda: None)
    """Called when the process has ended by itself."""
    guards: MakeGuards | None = None
    """Makes the part for guarded workloads; None: it is switched off."""
    alarms: Source | None = None
    """Where alarms are read from."""
    named: NamedObjects | None = None
    """The ConfigMaps and ServiceAccounts; None: nothing is looked up."""
    notifier: Callable[[Callable[[], Instant]], Notifier] | None = None
    """Makes what sends notifications; None: nobody is to be told."""
    neighbours: Callable[[], Troubles] = field(default=lambda: NO_TROUBLES)
    """What the pods of other workloads wait for."""
    started: int = 0


class Process:
    """One process."""

    def __init__(self, services: Services) -> None:
        self._s = services
        services.started += 1
        self._identity = f"operator-{services.started}"
        self.has_ended = False
        self._look: Look | None = None
        """The latest look at what acts."""
        self._latest: dict[str, Look] = {}
        """The latest look at each object, by UID."""
        self._accepted: Look | None = None
        """The latest look whose status is written, or had nothing to write."""
        self._looks = 0
        self._written: Counter[str] = Counter()
        """How many writes to each path have succeeded."""
        self._answers: tuple[NodeAnswer, ...] = ()
        self._lookups: dict[str, Lookup] = {}
        """The latest lists since an object began to ask for what it asks for, by UID."""
        self._parts: Wiring | None = None
        self._loop = VirtualLoop(  # type: ignore[abstract]  # it has no I/O
            services.steady, services.net.quietly, self._fail
        )
        self._transport = SimulatedTransport(
            services.net, self._loop, self._is_killed, self._sending, self._write_failed
        )
        self._loop.create_task(self._run(), name="process")
        services.net.later(0.001, self._loop.run_ready)

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do but wait."""
        if self._parts is None or self._transport.is_writing:
            return False
        return not any(queue.depth for queue in self._parts.queues)

    @property
    def leads(self) -> bool:
        """Whether the Lease says that it leads."""
        lease = self._s.net.rest.leases.get(LEASE_NAME)
        return lease is not None and bool(lease["spec"]["holderIdentity"] == self._identity)

    def end(self) -> None:
        """End it for good; a write that it has sent may still arrive."""
        self.has_ended = True
        self._transport.die()
        self._s.net.quietly(0.001, self._loop.stop)

    def close(self) -> None:
        """End it with its world."""
        self.has_ended = True
        self._transport.die()
        self._loop.stop()

    # What the network does to it -----------------------------------------------------------------

    def take(self, change: Change) -> None:
        """Have every watch of the kind take a change."""
        for watch in list(self._transport.watches):
            if watch.kind is type(change.raw):
                watch.take(change)

    def lose_connections(self) -> None:
        """All its streams break."""
        for watch in self._transport.watches:
            if watch.is_open:
                watch.fail("connection reset by peer")

    def lose_network(self, seconds: float) -> None:
        """Nothing that it sends arrives for a while, and it hears nothing."""
        self._transport.cut(seconds)

    def hear_neighbours(self) -> None:
        """Other workloads wait for a registry now, or do not any more."""
        self._loop.call_soon(self._note_neighbours)
        self._s.net.quietly(0.001, self._loop.run_ready)

    def _note_neighbours(self) -> None:
        if self._parts is not None and not self.has_ended:
            troubles = self._s.neighbours()
            self._parts.store.board.note("neighbours", troubles, lambda: None)

    def hush(self, kind: type[Raw]) -> None:
        """The watch of a kind delivers no events from now on."""
        for watch in self._transport.watches:
            if watch.kind is kind:
                watch.hush()

    def hear_again(self, kind: type[Raw], *, relist: bool) -> None:
        """The watch goes on: with everything that it held up, or with a new list."""
        for watch in self._transport.watches:
            if watch.kind is kind:
                watch.hear_again(lose=relist)

    # The process ---------------------------------------------------------------------------------

    async def _run(self) -> None:
        services = self._s
        time, lease = services.make_time(), None
        client = Client(self._transport, heard=time.hear)
        if services.leased:
            who = Candidacy("tripswitch-system", LEASE_NAME, self._identity)
            quick = Client(self._transport, seconds=who.terms.request_timeout, heard=time.hear)
            lease = services.lease(quick, who, time.clock, services.steady)
            client = Client(self._transport, permit=lease.remaining, heard=time.hear)
        kit = replace(
            services.kit,
            decide=self._decide,
            watchdog=NoWatchdog,
            verifier=self._witness(services.kit.verifier),
            references=self._witness_lists(services.kit.references),
        )
        notifier = None if services.notifier is None else services.notifier(time.clock)
        parts = self._parts = Wiring(
            client,
            Metrics(),
            time,
            lease=lease,
            notifier=notifier,
            wishes=Wishes(
                workers=2,
                alarms=services.alarms,
                check_references=services.named is not None,
                kit=kit,
            ),
        )
        self._note_neighbours()
        if services.guards is not None:
            rest = (parts.alarms, parts.references, parts.store.board)
            shared = Shared(client, parts.recorder, Metrics(), time, parts.gate, notifier, *rest)
            parts.guards = services.guards(shared, kit)
        try:
            await parts.fill()
        except ApiError:
            self._end_by_itself()
            return
        tasks = [*parts.start(), *parts.workers]
        if notifier is not None:
            tasks.append(asyncio.create_task(notifier.run(), name="notifications"))
        kopf = [self._follow(GUARDED_DEPLOYMENTS, parts.take_event)]
        if parts.guards is not None:
            kopf.append(self._follow(CIRCUIT_BREAKERS, parts.guards.take_event))
        tasks += [asyncio.create_task(each, name="kopf") for each in kopf]
        opening = asyncio.create_task(parts.open_gate(), name="start")
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        self._end_by_itself()

    async def _follow(self, resource: Resource, take: Take) -> None:
        """List and watch a kind of object as kopf does, and hand each of them on."""
        path = resource.path()
        while True:
            try:
                listed = await self._transport.request(Call("GET", path, {}), seconds=20.0)
                if listed.status == 200:
                    await self._hand_on(take, path, listed)
            except UnreachableError:
                pass
            await asyncio.sleep(self._s.rng.uniform(0.1, 5.0))

    async def _hand_on(self, take: Take, path: str, listed: Answer) -> None:
        body = _copy(listed.body)
        for raw in body["items"]:
            take(None, raw)
        version = body["metadata"]["resourceVersion"]
        while True:
            query = {"watch": "1", "resourceVersion": version}
            call = Call("GET", path, query)
            stream = await self._transport.stream(call, open_seconds=20.0, stall_seconds=300.0)
            async with aclosing(stream.events) as events:
                async for event in events:
                    told = _copy(event)
                    if told["type"] == "ERROR":
                        return
                    if told["type"] != "BOOKMARK":
                        take(told["type"], told["object"])
                    version = told["object"]["metadata"]["resourceVersion"]
            await asyncio.sleep(0.1)

    def _end_by_itself(self) -> None:
        if not self.has_ended:
            self.end()
            self._s.ended()

    def _is_killed(self) -> bool:
        """Whether the process ends at this moment, around a write."""
        faults = self._s.faults
        ends = self._s.rng.random() < faults.stop / 2
        if faults.stop_after is not None:
            faults.stop_after -= 1
            if faults.stop_after < 0:
                faults.stop_after, ends = None, True
        if ends and not self.has_ended:
            self._s.stop(self)
        return self.has_ended

    # Who watches it ------------------------------------------------------------------------------

    def _decide(self, snapshot: Snapshot, now: Instant) -> Decision:
        decision = self._s.kit.decide(snapshot, now)
        if self.has_ended:
            return decision
        rest = self._s.net.rest
        pods = [pod for rs in snapshot.replica_sets for pod in rs.pods]
        raws = {pod.uid: rest.pods[pod.uid, pod.resource_version] for pod in pods}
        self._looks += 1
        neighbours = frozenset(self._s.neighbours().proved)
        uid = snapshot.guarded.uid
        lookup = self._lookups.get(uid)
        look = Look(snapshot, decision, now, raws, self._answers, neighbours, lookup)
        self._latest[uid] = look
        if snapshot.protected is None or not snapshot.protected.rival:
            self._look = look  # a second breaker does not act (G1)
        try:
            self._s.looked(look)
            if decision.status == snapshot.guarded.status:
                self._accept(look)
        except AssertionError as error:
            self._s.fail(error)
        return decision

    def _accept(self, look: Look) -> None:
        self._s.accepted(look)
        if look is self._look:
            self._accepted = look

    def _witness(self, verifier: type[Verifier]) -> type[Verifier]:
        """Return a verifier of which it is noted what the server told it about nodes."""
        process, readings = self, self._s.net.rest.node_readings

        class Witnessed(verifier):  # type: ignore[misc, valid-type]
            async def _verify(self, about: Record, check: Check) -> Sight:
                began, known = self._clock(), len(readings)
                sight: Sight = await super()._verify(about, check)
                read = {node: (renewed, unready) for node, renewed, unready in readings[known:]}
                leases = {node: read.get(node, (None, False))[0] for node in check.nodes}
                unready = frozenset(node for node, (_, unready) in read.items() if unready)
                if leases:
                    process._answers += (NodeAnswer(began, leases, unready),)
                return sight

        return Witnessed

    def _witness_lists(self, watcher: type[ReferenceWatcher]) -> type[ReferenceWatcher]:
        """Return a watcher of which it is noted what it asked for and what the lists had (B9)."""
        process, named, clock = self, self._s.named, self._s.steady
        questions: dict[str, References] = {}

        class Witnessed(watcher):  # type: ignore[misc, valid-type]
            def __init__(self, client: Client | None) -> None:
                super().__init__(client)
                self._listed: dict[str, frozenset[str] | None] = {}

            def ask(
                self, store: ReferenceStore, record: Record, question: ReferenceQuestion | None
            ) -> None:
                super().ask(store, record, question)
                if question is None:
                    return
                if questions.get(record.uid) != question.references:
                    process._lookups.pop(record.uid, None)
                    questions[record.uid] = question.references

            def forget(self, record: Record) -> None:
                super().forget(record)
                questions.pop(record.uid, None)
                process._lookups.pop(record.uid, None)

            async def _look_up(self, namespace: str) -> None:
                asked, self._listed = dict(questions), {}
                await super()._look_up(namespace)
                for uid, references in asked.items():
                    if questions.get(uid) == references:
                        process._lookups[uid] = Lookup(references, self._listed)

            async def _list(self, resource: Resource, namespace: str) -> set[str] | None:
                began = clock()
                names: set[str] | None = await super()._list(resource, namespace)
                self._listed[resource.plural] = None if names is None else frozenset(names)
                assert named is not None
                if names is not None and not named.was_so(resource.plural, names, began):
                    process._fail(f"{resource.plural} never were {sorted(names)} (B9)", None)
                return names

        return Witnessed

    def _sending(self, call: Call) -> Callable[[Answer], None]:
        self._judge_write(call)
        target, look = read_path(call.path), None
        if target.plural in WISHES and target.part == "status":
            look = self._latest[(call.body or {})["metadata"]["uid"]]

        def written(answer: Answer) -> None:
            if answer.status == 200:
                self._written[call.path] += call.method != "GET"
                if look is not None:
                    self._accept(look)

        return written

    def find_stale(self) -> list[str]:
        """Return the names of objects of which it does not know the latest version."""
        if self._parts is None or self.has_ended:
            return ["everything"]
        if self._parts.guards is not None:
            return self._find_stale_guards(self._parts.guards)
        store, api = self._parts.store, self._s.net.api
        guards = [] if api.guarded is None else [api.guarded.uid]
        owners = (*guards, orphan_owner(NAMESPACE))
        sets = [seen for owner in owners for seen in store.replica_sets.owned_by(owner)]
        pods = [pod for rs in api.sets for pod in store.pods.owned_by(rs)]
        known: dict[str, ReplicaSetView | PodView] = {one.view.uid: one.view for one in sets}
        known |= {one.view.uid: one.view for one in pods}
        told: dict[str, RawPod | RawSet] = {
            uid: pod for uid, pod in api.pods.items() if pod.owner in api.sets
        }
        told |= {rs.uid: rs for rs in api.sets.values() if rs.guard in (*guards, None)}
        stale = [view.name for uid, view in known.items() if uid not in {**api.pods, **api.sets}]
        for uid, raw in told.items():
            if uid not in known or known[uid].resource_version != str(raw.version):
                stale.append(raw.name)
        return stale

    def _find_stale_guards(self, guards: GuardLine) -> list[str]:
        """The same of guarded workloads; only what is theirs is known."""
        store, api = guards.store, self._s.net.api
        told: dict[str, RawPod | RawSet] = {**api.pods, **api.sets}
        owner = next((one.uid for kind in WORKLOADS for one in api.list_raw(kind)), "")
        sets = store.replica_sets.owned_by(owner)
        revisions = store.controller_revisions.owned_by(owner)
        seen = [one for rs in (*sets, *revisions) for one in store.pods.owned_by(rs.view.uid)]
        known: dict[str, ReplicaSetView | PodView] = {one.view.uid: one.view for one in sets}
        known |= {one.view.uid: one.view for one in seen}
        stale = [view.name for uid, view in known.items() if uid not in told]
        stale += [one.name for one in told.values() if _is_stale(one, known.get(one.uid))]
        return stale

    def _judge_write(self, call: Call) -> None:
        """Look at a write at the moment at which it is sent.

        No process writes to what it works on while another one holds the Lease, and no ReplicaSet or pod is
        written before the status that was decided with it (W1).
        """
        plural = read_path(call.path).plural
        if call.method == "GET" or plural not in KINDS:
            return
        lease = self._s.net.rest.leases.get(LEASE_NAME)
        holder = None if lease is None else lease["spec"]["holderIdentity"]
        if self._s.leased and holder != self._identity:
            self._fail(f"{self._identity} writes while {holder} leads: {call}", None)
        if plural not in WISHES and self._accepted is not self._look:
            self._fail(f"it acts before its status is written: {call} (W1)", None)

    def _write_failed(self, call: Call) -> None:
        """What was to be written and was not is written or decided again soon.

        Not where the object was deleted meanwhile, also if one of its name was made again.
        """
        looks, written = self._looks, self._written[call.path]
        before = self._find_uid(call)
        if not before and read_path(call.path).name:
            return

        def check() -> None:
            gone = self._s.net.api.is_empty or self._transport.is_cut
            gone = gone or self._find_uid(call) != before
            again = looks != self._looks or written != self._written[call.path]
            if not self.has_ended and not again and not gone:
                self._fail("a write failed, and nothing was decided again", None)

        self._s.net.quietly(AGAIN_WITHIN, check)

    def _find_uid(self, call: Call) -> str:
        """Return the UID of what a call names; empty: it names nothing, or it does not exist."""
        target = read_path(call.path)
        kind = KINDS.get(target.plural)
        known = [] if kind is None else self._s.net.api.list_raw(kind)
        return next((one.uid for one in known if one.name == target.name), "")

    def _fail(self, words: str, error: BaseException | None) -> None:
        if not self.has_ended:
            self._s.fail(error or AssertionError(words))


def _is_stale(one: RawPod | RawSet, view: ReplicaSetView | PodView | None) -> bool:
    return view is None or view.resource_version != str(one.version)


def _copy(body: object) -> dict[str, Any]:
    """Return an object of one's own, as kopf gives it to each handler."""
    copied: dict[str, Any] = json.loads(json.dumps(body))
    return copied
