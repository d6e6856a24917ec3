"""A world with one guarded Deployment or StatefulSet, its controllers, and the operator (rules G)."""

from __future__ import annotations

from typing import Any

from tests.sim.api import ApiServer
from tests.sim.encode import NAMESPACE
from tests.sim.guard_config import GuardConfig
from tests.sim.guard_people import GuardPeople, is_of
from tests.sim.guard_referee import GuardReferee, find_remains, is_stopped, marks_of
from tests.sim.objects import RawDeployment, RawWorkload
from tests.sim.operator import MakeGuards
from tests.sim.people import People
from tests.sim.referee import CounterexampleError, Referee
from tests.sim.rest import Rest
from tests.sim.workload_api import WorkloadServer
from tests.sim.workload_controllers import WorkloadControllers
from tests.sim.workload_rest import WorkloadRest
from tests.sim.world import World
from tripswitch.cluster.hold_executor import HoldExecutor
from tripswitch.domain.rules.rollout_states import OPEN
from tripswitch.domain.values.memory import Memory, Revision
from tripswitch.domain.values.protection import HoldState, Mode
from tripswitch.domain.values.states import RolloutKind, RolloutState, RolloutStatus
from tripswitch.domain.values.workload import Template
from tripswitch.shell.guard_line import GuardKit, GuardLine, Shared
from tripswitch.shell.options import Options
from tripswitch.shell.wiring import Kit

OPTIONS = Options(namespaces=(NAMESPACE,), workers=2)
QUIET_SECONDS = 300.0
"""Once everything has ended nothing is written on the workload for this long."""
STUCK_SECONDS = 900.0
"""A person looks after it when nothing has moved for so long."""


class GuardWorld(World):
    """A cluster with a guarded workload."""

    config: GuardConfig
    executor: type[HoldExecutor] = HoldExecutor

    def __init__(self, config: GuardConfig, seed: int, **given: Any) -> None:
        self.executor = given.pop("executor", HoldExecutor)
        self.server = WorkloadServer()
        super().__init__(config, seed, **given)
        if config.break_every:
            self.later(self.rng.uniform(30, 90), self._break)
        if config.apply_every:
            self.later(config.apply_every, self._reapply)
        self._every(config.autoscale_every, self._autoscale)

    def _make_api(self) -> ApiServer:
        return self.server

    def _make_referee(self, kit: Kit) -> Referee:
        self.judge = GuardReferee(self.server, kit.decide, self.clock, good=self.config.good)
        return self.judge

    def _make_people(self) -> People:
        self.users = GuardPeople(self.server, self.controllers, self.config, self.rng, self.clock)
        self.judge.people = self.users
        return self.users

    def _make_rest(self) -> Rest:
        rest = WorkloadRest(self.server, self.server_time)
        rest.judge = self._judge
        rest.judge_label = self._judge_label
        return rest

    def _judge_label(self, *write: Any) -> None:
        try:
            self.judge.judge_label(*write)
        except CounterexampleError as error:
            self.fail(error)

    def _meddle(self) -> None:
        """While a label asks for no breaker, people can only change it."""
        alone = self.server.workload is not None and not self.server.breakers
        if self.config.labelled and alone and self.server.writable:
            self.users.relabel()
            self._count("relabel")
        else:
            super()._meddle()

    def _judge(self, *write: Any) -> None:
        try:
            self.judge.judge(*write)
        except CounterexampleError as error:
            self.fail(error)

    def _make_guards(self) -> MakeGuards | None:
        def make(shared: Shared, kit: Kit) -> GuardLine:
            ours = GuardKit(kit.decide, self.executor, kit.verifier)
            return GuardLine(OPTIONS, shared, Mode.ENFORCE, ours)

        return make

    def _begin(self) -> None:
        self.workload_controllers = WorkloadControllers(
            self.server, self.controllers, self.later, self.rng, self.server_time
        )
        self.workload_controllers.lag.usual = self.config.slow
        self.workload_controllers.lag.stall = self.config.stall
        self.users.begin(self.config.workload)

    def _reapply(self) -> None:
        """The tool goes on when everybody else has calmed down."""
        if self.users.can_act:
            self.users.reapply()
        self.later(self.rng.expovariate(1 / self.config.apply_every), self._reapply)

    def _break(self) -> None:
        """A template that fails is applied to a workload that is well."""
        if self.is_quiet:
            return
        if self.users.can_act:
            self._count(self.users.break_it())
        self.later(self.rng.expovariate(1 / self.config.break_every), self._break)

    def _autoscale(self) -> None:
        if self.users.can_act:
            self.users.autoscale()

    # The end -------------------------------------------------------------------------------------

    @property
    def status(self) -> Memory:
        """What the breaker remembers."""
        return self.users.breaker.wish.status.memory

    @property
    def workload(self) -> RawWorkload:
        """The workload."""
        assert self.server.workload is not None
        return self.server.workload

    def calm_down(self) -> None:
        """From here on nobody meddles; the tool that applies the manifest goes on."""
        super().calm_down()
        self.config.stall = self.workload_controllers.lag.stall = 0.0

    def settle(self, most: int = 20_000) -> None:
        """Run far ahead: the rollout ends, what is written stays, and a good template rolls out.

        Raises:
            CounterexampleError: It does not.
        """
        self.calm_down()
        if not self._wait(self._has_ended, most):
            self._count("worlds cut short")
            return
        self._expect_quiet()
        self._check_label()
        self._check_hold()
        self._count("worlds settled")
        self._roll_out_good(most)

    def _wait(self, done: Any, most: int) -> bool:
        """Step until something is so; False if it takes too many steps.

        Raises:
            CounterexampleError: It takes too long.
        """
        help_at = self.now + STUCK_SECONDS
        end = help_at + self._longest()
        for _ in range(most):
            if done():
                return True
            if self.now > help_at:
                help_at = self.now + STUCK_SECONDS
                self._count_all("stuck pods deleted by hand", self.users.help_on())
            if self.now > end:
                raise CounterexampleError(f"it never ends: {self.status.rollout} {self.workload}")
            if not self.step():
                break
        if done():
            return True
        if not self._agenda:
            raise CounterexampleError(f"it stands still: {self.status.rollout} {self.workload}")
        return False

    def _count_all(self, what: str, number: int) -> None:
        self.seen[what] += number

    def _longest(self) -> float:
        asked = self.users.breaker.wish.protection
        deadline = asked.progress_deadline
        if deadline is None:
            own = self.workload.deadline if isinstance(self.workload, RawDeployment) else 600
            deadline = own or 0
        return 2 * (self.workload.replicas + 2) * ((deadline or 600) + 120) + 2 * asked.bake_seconds

    def _has_ended(self) -> bool:
        """Whether the rollout has ended, and what it has to do to the workload is done."""
        status, one = self.status, self.workload
        leader = next((one for one in self.processes if one.leads), self.process)
        if status.rollout is None or status.rollout.status in OPEN or not leader.idle:
            return False
        if not self._is_desired(one.template):
            return False
        if one.status.observed < one.generation:
            return False
        return status.hold is None or status.hold.state is HoldState.PLACED or self._observes

    @property
    def _observes(self) -> bool:
        return self.users.breaker.wish.protection.mode is Mode.OBSERVE

    def _expect_quiet(self) -> None:
        """What has ended causes no more writes on the workload (G5, W3)."""
        self.run_until(self.now + 60)
        before = self.seen["writes on workloads"]
        status = self.status
        self.run_until(self.now + QUIET_SECONDS)
        made = self.seen["writes on workloads"] - before
        if made and self.status.rollout == status.rollout:
            raise CounterexampleError(f"{made} writes on a workload whose rollout has ended (W3)")

    def _check_label(self) -> None:
        """G8: with the label there is one breaker, which is made for it."""
        if not self.config.labelled:
            return
        made = [(one.made_for, one.wish.protection.mode) for one in self.server.breakers.values()]
        if made != [(self.workload.uid, Mode.ENFORCE)]:
            raise CounterexampleError(f"the label says enforce, and there is {made} (G8)")
        self._count("breakers made for a label")

    def _check_hold(self) -> None:
        """G4, G5: held with the completed revision, or nothing of ours is on it."""
        status, one = self.status, self.workload
        if self._observes or self.config.switches or not self._has_ended():
            return
        if status.hold is None:
            remains = find_remains(one)
            if remains and not self._is_left(one):
                raise CounterexampleError(f"no hold, and left on the workload: {remains} (G5)")
            return
        if not (is_stopped(one) and marks_of(one)):
            raise CounterexampleError(f"held, and not on the workload: {one} (G4)")
        self._count("worlds that end held")
        rollout = status.rollout
        assert rollout is not None
        if rollout.kind is RolloutKind.ROLLBACK and rollout.status in DONE:
            self._check_sizes()

    def _is_left(self, one: RawWorkload) -> bool:
        """A breaker before this one held it (G9), or a person stopped it."""
        return self.users.breaker.uid not in marks_of(one).get("tripswitch.dev/changed", "")

    def _check_sizes(self) -> None:
        """Every pod is of the completed revision, and there are ``replicas`` of them."""
        status, one = self.status, self.workload
        assert status.rollout is not None
        number = status.rollout.revision
        good = next(r.replica_set for r in status.revisions if r.revision == number)
        if isinstance(one, RawDeployment):
            sizes = {rs.name: rs.size for rs in self.api.sets.values() if rs.guard == one.uid}
            others = sum(size for name, size in sizes.items() if name != good)
            if others or sizes.get(good) != one.replicas:
                raise CounterexampleError(
                    f"{one.replicas} of {good} are to run, and sizes are {sizes} (G4)"
                )
        else:
            marks = sorted(pod.mark for pod in self.api.pods.values() if pod.live)
            if set(marks) - {good}:
                raise CounterexampleError(f"only {good} is to run, and there is {marks} (G4)")
        self._count("rollbacks that hold to the end")

    def _roll_out_good(self, most: int) -> None:
        """A corrected template rolls out by itself, and nothing of ours is left (G5).

        Raises:
            CounterexampleError: It does not.
        """
        plan = self.config.plans[-1]
        plan.ways = ("good",)
        self.users.git = plan.template
        self.server.change_workload(template=plan.template)
        self._count("corrected at the end")
        held = bool(marks_of(self.workload)) and self._is_left(self.workload)
        if held or self._observes or self.config.switches:
            self.users.resume()  # what another breaker left is for people to end (G9)
        if not self._wait(lambda: self._is_whole(plan.template), most):
            self._count("worlds cut short")
            return
        self.run_until(self.now + 30)
        remains = find_remains(self.workload)
        if remains and not (self._observes or self.config.switches):
            raise CounterexampleError(f"left on the workload at the end: {remains} (G5)")
        self._count("worlds that end with nothing left on the workload")
        self._expect_risk()

    @property
    def memory(self) -> Memory:
        """What the breaker remembers."""
        return self.status

    def _list_sets(self) -> set[str]:
        sets = {rs.name for rs in self.server.sets.values() if not rs.deleting}
        return sets | {one.name for one in self.server.revisions.values()}

    def _find_desired(self) -> Revision | None:
        number = self.status.desired_revision
        return next((one for one in self.status.revisions if one.revision == number), None)

    def _is_desired(self, template: Template) -> bool:
        """Whether the breaker knows that the workload is to have this template."""
        return (record := self._find_desired()) is not None and is_of(record, template)

    def _is_whole(self, template: Template) -> bool:
        """The revision of this template has completed, or has to be waited for no longer."""
        if not self._has_ended():
            return False
        record = self._find_desired()
        if record is None or not self._is_desired(template):
            return False
        if record.rollout_state is RolloutState.FAILED:
            raise CounterexampleError(f"a good template fails: {record} {self.status.rollout}")
        return record.rollout_state is RolloutState.COMPLETED


DONE = (RolloutStatus.ROLLBACK_SUCCESSFUL,)
