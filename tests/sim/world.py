"""The world: one clock, one agenda, one seed. Each step is the next thing that happens anywhere."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from tests.sim.api import ApiServer
from tests.sim.config import Config, Plan
from tests.sim.consistency import OVER
from tests.sim.controllers import Controllers
from tests.sim.disruptions import Disruptions
from tests.sim.faults import Faults
from tests.sim.gate import Gate
from tests.sim.image_laws import find_unpinned
from tests.sim.images import Images
from tests.sim.kubelet import Handle
from tests.sim.nodes import Nodes
from tests.sim.objects import Change, RawGuarded, RawPod
from tests.sim.operator import MakeGuards, Process, Services
from tests.sim.people import People
from tests.sim.prometheus import ADDRESS, Prometheus
from tests.sim.receiver import Receiver
from tests.sim.referee import CounterexampleError, Referee
from tests.sim.reference_laws import Names, ReferenceLaws, find_candidate, list_names
from tests.sim.references import NamedObjects
from tests.sim.rest import Rest
from tests.sim.scripts import SCRIPTS, Steps
from tests.sim.storms import Storms
from tests.sim.transport import Net
from tests.sim.troubles import Troubles
from tripswitch.cluster.leader_election.lease import Lease
from tripswitch.domain.rules.rollout_states import OPEN, SUCCEEDED
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Spec
from tripswitch.shell.clock import ServerClock, Time
from tripswitch.shell.reconciler import BROKEN
from tripswitch.shell.wiring import KIT, Kit

EPOCH = 1_700_000_000.0
FAILED_PODS = 8
"""kube-controller-manager's --terminated-pod-gc-threshold."""
MANY_FAILED_PODS = 50
"""The same in worlds in which many pods are rejected; by default it is 12,500."""


LISTED_WITHIN = 900.0
"""Seconds in which it is known that an object is gone that a rollback needs: 12 minutes, and what a look takes."""
CURRENT_WITHIN = 180
"""Seconds; a stream that lost something is found to be dead within 90."""
PARTED_EVERY = 120.0
"""Mean seconds between two times in which the leading process has no network."""


class SimulatedTime(Time):
    """What a process has for a clock: the real one, on the simulated monotonic clock."""

    def __init__(
        self,
        steady: Callable[[], float],
        wall: Callable[[], float],
        clock: type[ServerClock] = ServerClock,
    ) -> None:
        super().__init__(clock(steady, wall, self.take_step))


MakeTime = Callable[[Callable[[], float], Callable[[], float]], Time]


def close_last_world() -> None:
    """End the operator of the world that was made last."""
    if World.last is not None:
        for process in World.last.processes:
            process.close()
        World.last = None


class World:
    """A cluster, the operator, and everybody else.

    There is one at a time: a new one ends the operator of the one before.
    """

    last: World | None = None

    def __init__(
        self,
        config: Config,
        seed: int,
        *,
        kit: Kit = KIT,
        make_time: MakeTime = SimulatedTime,
        lease: type[Lease] = Lease,
    ) -> None:
        close_last_world()
        World.last = self
        self.now: Instant = EPOCH
        self.steps = 0
        self.config = config
        self.rng = Random(seed)
        random.seed(seed)  # jitter of the operator's own
        self.api = self._make_api()
        self.api.hides_nodes = not config.sees_nodes
        self.referee = self._make_referee(kit)
        self._agenda: list[tuple[Instant, int, Callable[[], None], bool]] = []
        self._order = 0
        self._handles: dict[str, Handle] = {}
        self._dying: set[str] = set()
        self.is_quiet = False
        self._failure: BaseException | None = None
        self.offsets: tuple[float, ...] = (0.0,)
        """How many seconds the clock of each API server is fast."""
        self._absent = 0
        self.writers = Gate(self.later, self.rng)
        self.scheduler = Gate(self.later, self.rng)
        self.nodes = Nodes(self.api, self.later, self.rng, self.clock, self._handles)
        self.controllers = Controllers(self.api, self.later, self.rng, self.server_time)
        self.controllers.made = self._make_pod
        self.controllers.pace.slow = config.slow
        self.controllers.pace.adversary = config.adversary
        self.controllers.shapes = {p.template.digest: p.shape for p in config.plans}
        self._surround(seed)
        self.people = self._make_people()
        self.disruptions = Disruptions(self.api, self.later, self.rng, self._handles.__getitem__)
        self.api.watchers.append(self._notice)
        self.rest = self._make_rest()
        self.rest.told, self.rest.named = self._hear, self.named
        self._begin()
        net = Net(
            self.api,
            self.rest,
            self.later,
            self.rng,
            self.server_time,
            config.faults,
            self._count,
            self.quietly,
        )
        self.services = Services(
            net,
            self.rng,
            self._steady,
            lambda: make_time(self._steady, self._wall),
            config.faults,
            leased=config.leased,
            kit=kit if self.prometheus is None else replace(kit, alarms=self.prometheus.connect),
            lease=lease,
            looked=self.referee.looked,
            accepted=self.referee.accepted,
            fail=self.fail,
            stop=self._stop_process,
            ended=self._operator_ended,
            guards=self._make_guards(),
            alarms=None if self.prometheus is None else ADDRESS,
            named=self.named,
            notifier=None if self.receiver is None else self.receiver.connect,
        )
        self._begin_surroundings()
        self.api.watchers.append(self._forward)
        self.process = Process(self.services)
        self.standby = Process(self.services) if config.standby and config.leased else None
        if self.standby is not None:
            self._every(PARTED_EVERY, self._part)
        self.troubles = Troubles(self)
        if config.troubles:
            self.nodes.begin()
        self._every(config.trouble_every, self._make_trouble)
        self._every(config.people_every, self._meddle)
        self._every(config.disruption_every, lambda: self._count(self.disruptions.strike()))
        self._every(config.restart_every, self.restart)

    # What is in it ---------------------------------------------------------------------------

    def _make_api(self) -> ApiServer:
        return ApiServer()

    def _make_referee(self, kit: Kit) -> Referee:
        return Referee(self.api, kit.decide, calm=self.config.calm, good=self.config.good)

    def _surround(self, seed: int) -> None:
        """Make what there is besides the cluster, each with chance of its own."""
        config, later = self.config, self.later
        self.prometheus: Prometheus | None = None
        self.images: Images | None = None
        self.storms: Storms | None = None
        self.receiver: Receiver | None = None
        self.named: NamedObjects | None = None
        if config.alarms is not None:
            rng = Random(f"{seed}-prometheus")
            self.prometheus = Prometheus(config.alarms, later, rng, self.clock)
            self.referee.answers = self.prometheus.answers
            self.referee.clocks_are_right = lambda: self.offsets == (0.0,)
        templates = [plan.template for plan in config.plans]
        if config.references is not None:
            rng = Random(f"{seed}-named objects")
            self.named = NamedObjects(config.references, templates, later, rng, self._steady)
            self.controllers.refuses = self.named.refuses
            self.reference_laws = ReferenceLaws(templates)
            self.referee.judge_references(self.reference_laws)
        if config.images is not None:
            self.images = Images(config.images, templates, later, Random(f"{seed}-registry"))
            self.referee.judge_images(self.images)
        if config.storms is not None:
            rng = Random(f"{seed}-rejections")
            self.storms = Storms(config.storms, later, rng, self.clock)
            self.referee.judge_storms(self.storms)

        if config.receiver is not None:
            self.receiver = Receiver(config.receiver, Random(f"{seed}-receiver"))
            self.receiver.count = self._count
            self.receiver.fail = lambda words: self.fail(CounterexampleError(words))
            self.referee.written = self.receiver.note

    def _begin_surroundings(self) -> None:
        for one in (self.prometheus, self.images, self.storms, self.named):
            if one is not None:
                one.count = self._count
                one.begin()
        if self.images is not None:
            self.images.changed = self._tell_neighbours
            self.services.neighbours = lambda: self.images.neighbours  # type: ignore[union-attr]

    def _tell_neighbours(self) -> None:
        for process in self.processes:
            process.hear_neighbours()

    def _make_people(self) -> People:
        return People(self.api, self.controllers, self.config, self.rng)

    def _make_rest(self) -> Rest:
        return Rest(self.api, self.server_time)

    def _make_guards(self) -> MakeGuards | None:
        """Return what makes the operator's part for guarded workloads; None: it is switched off."""
        return None

    def _begin(self) -> None:
        """Create what there is at the beginning."""
        self.api.set_guarded(RawGuarded("web", self.api.make_uid("guard"), self.config.spec))

    @property
    def seen(self) -> Counter[str]:
        """What this world has covered."""
        return self.referee.seen

    def clock(self) -> Instant:
        """Return the moment, in whole milliseconds."""
        return self.now

    def server_time(self) -> Instant:
        """Return the time as the API server that happens to answer has it."""
        offsets = self.offsets
        return self.now + (self.rng.choice(offsets) if len(offsets) > 1 else offsets[0])

    def _wall(self) -> float:
        """Return the time by the wall clock of the operator's machine."""
        return self.now + self.offsets[0]

    def _steady(self) -> float:
        """Return the true time, as a clock that nobody can set."""
        return self.now - EPOCH

    def later(self, seconds: float, deed: Callable[[], None]) -> None:
        """Put something on the agenda; nothing happens twice in the same millisecond by chance."""
        self._plan(seconds, deed, counts=True)

    def quietly(self, seconds: float, deed: Callable[[], None]) -> None:
        """Put something on the agenda that is no step: timers, bookmarks, renewals of the Lease."""
        self._plan(seconds, deed, counts=False)

    def _plan(self, seconds: float, deed: Callable[[], None], *, counts: bool) -> None:
        self._order += 1
        at = round(self.now + max(0.001, seconds), 3)
        heapq.heappush(self._agenda, (at, self._order, deed, counts))

    def step(self) -> bool:
        """Let things happen until one was a step; return whether there was one.

        Raises:
            CounterexampleError: A rule was broken.
        """
        while self._agenda:
            if self._go_on():
                return True
        return False

    def _go_on(self) -> bool:
        """Let the next thing happen; return whether it was a step."""
        self.now, _, deed, counts = heapq.heappop(self._agenda)
        deed()
        if self._failure is not None:
            raise self._failure
        if counts:
            self.steps += 1
            self.referee.check_world(self.now)
        return counts

    def fail(self, error: BaseException) -> None:
        """Have the world stopped by an error that the operator itself would handle."""
        if not isinstance(error, CounterexampleError):
            error = CounterexampleError(f"{type(error).__name__}: {error}")
        self._failure = self._failure or error

    def _hear(self, event: Mapping[str, Any]) -> None:
        """The operator tells of a bug of its own by an event."""
        if event["reason"] == BROKEN:
            self.fail(CounterexampleError(f"the operator is broken: {event['message']}"))

    def _forward(self, change: Change) -> None:
        """Have the watches of the operator take a change."""
        for process in self.processes:
            process.take(change)

    @property
    def processes(self) -> list[Process]:
        """The operator's processes, the one that leads or will lead first."""
        return [self.process, *([] if self.standby is None else [self.standby])]

    def _part(self) -> None:
        """The process that leads loses its network for a while, and the standby does not."""
        self._count("processes without network")
        self.process.lose_network(self.rng.uniform(5, 60))

    def run(self, steps: int) -> None:
        """Make that many steps, or as many as there are."""
        for _ in range(steps):
            if not self.step():
                return

    def run_until(self, at: Instant) -> None:
        """Let everything happen that is due until a moment."""
        while self._agenda and self._agenda[0][0] <= at:
            self._go_on()
        self.now = max(self.now, at)

    def restart(self) -> None:
        """The operator ends, and another one begins with nothing but what the API server has."""
        for process in self.processes if self._absent else [self.process]:
            self._stop_process(process)

    def _stop_process(self, process: Process) -> None:
        """One process ends at this very moment."""
        if not process.has_ended:
            self._count("restarts")
            process.end()
            self.later(self.rng.uniform(0.1, 2.0), self._begin_operator)

    def send_operator_away(self) -> None:
        """It ends, and none begins until it is brought back."""
        self._absent += 1
        self.restart()

    def bring_operator_back(self) -> None:
        """It begins again."""
        self._absent -= 1
        self._begin_operator()

    def _operator_ended(self) -> None:
        """It has ended by itself; its container is started again."""
        self._count("restarts")
        self.later(self.rng.uniform(1, 10), self._begin_operator)

    def _begin_operator(self) -> None:
        if self._absent:
            return
        if self.standby is not None and self.process.has_ended and not self.standby.has_ended:
            self.process, self.standby = self.standby, self.process
        if self.process.has_ended:
            self.process = Process(self.services)
        if self.standby is not None and self.standby.has_ended:
            self.standby = Process(self.services)

    def calm_down(self) -> None:
        """From here on nobody meddles, nothing breaks but the pods themselves."""
        self.is_quiet = True
        self.run_until(self.troubles.free_at)
        self.people.calm_down()
        for one in (self.prometheus, self.images, self.storms, self.receiver, self.named):
            if one is not None:
                one.calm_down()
        lasting = Faults(lag=0.05)
        for name in Faults.__slots__:
            setattr(self.config.faults, name, getattr(lasting, name))

    def settle(self, most: int = 20_000) -> None:
        """Run the clock far ahead: every rollout that is watched has to end (P1).

        Raises:
            CounterexampleError: It did not.
        """
        self.calm_down()
        guarded = self.api.guarded
        assert guarded is not None
        spec = guarded.spec
        if not spec.breaker.enable or spec.progress_deadline == 0:
            return
        # Each healthy pod more starts the clock again, for the rollout and for its rollback.
        end = self._latest_end(spec)
        for _ in range(most):
            if self.now > end or (self._has_ended() and self.process.idle) or not self.step():
                break
        if self.now > end and not self._has_ended():
            raise CounterexampleError(f"the rollout never ends: {self.api.guarded}")
        self._count("worlds settled" if self._has_ended() else "worlds cut short")
        if self._has_ended() and self.config.good:
            self._expect_success()
        if self._has_ended():
            for replicas in (spec.replicas + 5, 2):
                self._scale(replicas, most)
            self._expect_current()
            self._expect_pins()
            self._expect_no_pod_kept()
            self._expect_risk()

    def _scale(self, replicas: int, most: int) -> None:
        """Scale once more: the sizes have to follow, in whatever state the last rollout ended (R7).

        Raises:
            CounterexampleError: They did not.
        """
        guarded = self.api.guarded
        assert guarded is not None
        before = guarded.spec.replicas
        spec = replace(guarded.spec, replicas=replicas)
        self.api.put_guarded(spec=spec)
        self.referee.scaled()
        end = self._latest_end(spec)
        for _ in range(most):
            if self._has_ended() and self.referee.has_followed(before):
                self._count("scaled afterwards")
                return
            if self.now > end or not self.step():
                break
        if self.now > end or not self._agenda:
            raise CounterexampleError(
                f"scaled from {before} to {replicas}, and not followed: {self.referee.sizes()}, "
                f"{self.api.guarded} (R7)"
            )

    def _expect_current(self) -> None:
        """With nothing in its way, the operator knows everything as it is (W4).

        Raises:
            CounterexampleError: It does not, for a minute.
        """
        stale: list[str] = []
        for _ in range(CURRENT_WITHIN):
            self.run_until(self.now + 1.0)
            stale = self.process.find_stale()
            if not stale:
                self._count("views compared with the cluster")
                return
        raise CounterexampleError(f"the operator does not know the latest version of {stale} (W4)")

    def _expect_pins(self) -> None:
        """Each ReplicaSet has the digests that the status tells of (D1).

        Raises:
            CounterexampleError: One has not, for a minute.
        """
        if self.images is None:
            return
        found: list[str] = []
        for _ in range(CURRENT_WITHIN):
            guarded = self.api.guarded
            assert guarded is not None
            records = {one.replica_set: one for one in guarded.status.memory.revisions}
            found = [
                words
                for rs in self.api.sets.values()
                if rs.name in records and rs.guard == guarded.uid
                if rs.matches and not rs.deleting
                for words in find_unpinned(records[rs.name], rs)
            ]
            if not found:
                self._count("pins compared with the status")
                return
            self.run_until(self.now + 1.0)
        raise CounterexampleError("; ".join(found))

    def _expect_no_pod_kept(self) -> None:
        """What was set aside is deleted when its time is up (failedPodRetention).

        Raises:
            CounterexampleError: It is still there a minute later.
        """
        kept = [pod for pod in self.api.pods.values() if pod.aside is not None]
        if not kept:
            return
        last = max(pod.aside.until for pod in kept if pod.aside is not None)
        self.run_until(max(self.now, last) + 2 * CURRENT_WITHIN)
        left = [pod.name for pod in kept if pod.uid in self.api.pods]
        if left:
            raise CounterexampleError(f"pods {left} are kept for longer than asked for")
        self._count("pods that were set aside and deleted in time")

    @property
    def memory(self) -> Memory:
        """What the operator remembers of what it guards."""
        assert self.api.guarded is not None
        return self.api.guarded.status.memory

    def _list_sets(self) -> set[str]:
        """Return the names of what holds the templates of the revisions."""
        guarded, sets = self.api.guarded, self.api.sets.values()
        assert guarded is not None
        ours = (rs for rs in sets if rs.guard == guarded.uid and rs.matches and not rs.deleting)
        return {rs.name for rs in ours}

    def _expect_risk(self) -> None:
        """What the revision for a rollback needs is deleted: it is told, until it is made again (B9).

        Raises:
            CounterexampleError: It is not.
        """
        candidate, named = find_candidate(self.memory), self.named
        if named is None or candidate is None or candidate.replica_set not in self._list_sets():
            return
        wanted = self.reference_laws.find_named(candidate)
        named.delete(wanted)
        self._wait_for_risk()
        named.restore()
        self._wait_for_risk()
        self._count("looks for what a rollback needs, at the end")

    def _wait_for_risk(self) -> None:
        named, end = self.named, self.now + LISTED_WITHIN
        assert named is not None
        missing: Names = frozenset()
        told: Names = frozenset()
        while self.now < end:
            self.run_until(self.now + 5.0)
            wanted = self.reference_laws.find_named(find_candidate(self.memory))
            missing = list_names(named.find_missing(wanted))
            told = list_names(self.memory.missing_references)
            if told == (frozenset() if named.is_forbidden else missing):
                return
        raise CounterexampleError(f"missing is {missing}, and the status says {told} (B9)")

    def _latest_end(self, spec: Spec) -> Instant:
        patience = (spec.progress_deadline or 600) + 120
        return self.now + 2 * (spec.replicas + 2) * patience + 2 * spec.bake_seconds

    def _expect_success(self) -> None:
        """In a good world every rollout completes in the end.

        Raises:
            CounterexampleError: It did not.
        """
        assert self.api.guarded is not None
        rollout = self.api.guarded.status.memory.rollout
        assert rollout is not None
        if rollout.status not in SUCCEEDED:
            raise CounterexampleError(f"a good rollout does not complete: {rollout}")
        self._count("good rollouts completed")

    def _has_ended(self) -> bool:
        assert self.api.guarded is not None, "somebody deleted it for good"
        status = self.api.guarded.status
        seen = status.memory.observed_generation == self.api.guarded.generation
        return (
            seen and status.memory.rollout is not None and status.memory.rollout.status not in OPEN
        )

    def _every(self, mean: float, deed: Callable[[], None]) -> None:
        if not mean:
            return

        def again() -> None:
            if not self.is_quiet:
                deed()
                self.later(self.rng.expovariate(1 / mean), again)

        self.later(self.rng.expovariate(1 / mean), again)

    def _meddle(self) -> None:
        if self.people.can_act:
            self._count(self.people.act())

    def _make_trouble(self) -> None:
        """Something is applied, and trouble comes while its pods are not Ready yet."""
        if self.api.writable:
            self.people.apply()
        self.later(self.rng.uniform(0, 40), lambda: self._count(self.troubles.strike()))

    def _count(self, what: str) -> None:
        self.referee.seen[what] += 1

    # Nodes -------------------------------------------------------------------------------------

    def _make_pod(self, pod: RawPod) -> None:
        plan = next(p for p in self.config.plans if p.template.digest == pod.template.digest)
        skew = self.rng.uniform(-self.config.skew, self.config.skew)
        handle = self._handles[pod.uid] = Handle(self.api, pod.uid, self.clock, skew, self.nodes)
        name = self.rng.choice(self._find_ways(pod, plan))
        if self.storms is not None and self.storms.rejects:
            name = "rejected"
        handle.pulls = name != "rejected"
        script = SCRIPTS[name](handle, self.rng)
        self.later(0.001, lambda: self._play(handle, script))

    def _find_ways(self, pod: RawPod, plan: Plan) -> tuple[str, ...]:
        """Return how the pods of a template behave, or those of the image that was pushed later."""
        if self.images is None:
            return plan.ways
        self._handles[pod.uid].identify = self.images.identify
        return self.images.ways_of(pod) or plan.ways

    def _play(self, handle: Handle, script: Steps) -> None:
        if not handle.alive:
            return
        if handle.pod.by_node:
            self.later(5.0, lambda: self._play(handle, script))
            return
        if not handle.pod.node:
            self.scheduler.run(lambda: self._play_on(handle, script))
        else:
            self._play_on(handle, script)

    def _play_on(self, handle: Handle, script: Steps) -> None:
        if not handle.alive:
            return
        again = lambda: self._play(handle, script)  # noqa: E731
        if any(one.holds_up(handle, again) for one in (self.images, self.named) if one is not None):
            return
        delay = next(script, None)
        if delay is not None:
            self.later(delay, lambda: self._play(handle, script))

    def _notice(self, change: Change) -> None:
        pod = change.raw
        if not isinstance(pod, RawPod):
            return
        if change.gone:
            self._handles.pop(pod.uid, None)
        elif pod.deleting and pod.uid not in self._dying:
            self._dying.add(pod.uid)
            # Without a node there is no kubelet to wait for; a lost node says nothing for long.
            silent = pod.by_node or not self.nodes.is_alive(pod.node)
            grace = 0.01 if not pod.node else 120.0 if silent else self.rng.uniform(0.05, 30.0)
            self.later(grace, lambda: self._terminate(pod.uid))
        elif pod.phase in OVER:
            self.later(1.0, lambda: self.writers.run(self._collect_failed))

    def _terminate(self, uid: str) -> None:
        pod = self.api.pods.get(uid)
        if pod is None:
            return
        if pod.node and pod.phase not in OVER and self.nodes.is_alive(pod.node):
            self._handles[uid].terminate()
        self.later(0.05, lambda: self.writers.run(lambda: self._drop(uid)))

    def _drop(self, uid: str) -> None:
        if uid in self.api.pods:
            self.api.drop_pod(uid)

    def _collect_failed(self) -> None:
        over = [pod for pod in self.api.pods.values() if pod.phase in OVER and not pod.deleting]
        kept = FAILED_PODS if self.storms is None else MANY_FAILED_PODS
        for pod in over[: max(0, len(over) - kept)]:
            self.api.delete_pod(pod.uid)
