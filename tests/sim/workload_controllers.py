"""kube-controller-manager's Deployment and StatefulSet controllers, each with a view that may be old.

Events reach the view in order, after a while and now and then a long while. A look is made from the view;
a write that was decided on an old version is refused, and the controller looks again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from tests.sim import deployment_controller, stateful_set_controller
from tests.sim.api import AlreadyExistsError, ApiError, ConflictError, RefusedError
from tests.sim.consistency import OVER
from tests.sim.controllers import Controllers
from tests.sim.gate import Later
from tests.sim.objects import (
    Change,
    Raw,
    RawBreaker,
    RawDeployment,
    RawPod,
    RawRevision,
    RawSet,
    RawStateful,
    StatefulStatus,
)
from tests.sim.stateful_set_controller import Member
from tests.sim.workload_api import WorkloadServer
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.time import Instant


@dataclass(slots=True)
class Lag:
    """How old the view is, in seconds."""

    usual: float = 0.1
    stall: float = 0.0
    """Probability of an event that it, and all that follow, are up to 20 s late."""


class WorkloadControllers:
    """Both controllers; they share the gate of the others."""

    def __init__(
        self,
        api: WorkloadServer,
        others: Controllers,
        later: Later,
        rng: Random,
        clock: Callable[[], Instant],
    ) -> None:
        self.lag = Lag()
        self.looks = 0
        self.refused = 0
        """Looks that ended with a write that was refused."""
        self._api = api
        self._others = others
        self._later = later
        self._rng = rng
        self._clock = clock
        self._view: dict[str, Raw] = {}
        self._coming: deque[Change] = deque()
        self._due = False
        api.watchers.append(self._notice)

    # The view ------------------------------------------------------------------------------------

    def _notice(self, change: Change) -> None:
        if isinstance(change.raw, RawDeployment | RawStateful | RawRevision | RawSet | RawPod):
            self._coming.append(change)
            lag = self._rng.uniform(0.0, 2 * self.lag.usual)
            if self._rng.random() < self.lag.stall:
                lag += self._rng.uniform(1, 20)
            self._later(lag, self._deliver)
        if change.gone and isinstance(change.raw, RawDeployment | RawStateful):
            uid = change.raw.uid
            self._later(1.0, lambda: self._others.gate.run(lambda: self._collect(uid)))
        if (
            isinstance(change.raw, RawBreaker)
            and not change.gone
            and self._is_ownerless(change.raw)
        ):
            breaker = change.raw.uid
            self._later(1.0, lambda: self._others.gate.run(lambda: self._collect_breaker(breaker)))

    def _is_ownerless(self, breaker: RawBreaker) -> bool:
        """Whether it is owned by a workload that is gone, also if another one has its name."""
        workload = self._api.workload
        return bool(breaker.made_for) and (workload is None or workload.uid != breaker.made_for)

    def _collect_breaker(self, uid: str) -> None:
        """The garbage collector takes a breaker that was made for a workload which was gone by then."""
        breaker = self._api.breakers.get(uid)
        if breaker is not None and self._is_ownerless(breaker):
            self._api.drop_breaker(uid)

    def _deliver(self) -> None:
        change = self._coming.popleft()
        if change.gone:
            self._view.pop(change.raw.uid, None)
        else:
            self._view[change.raw.uid] = change.raw
        self._touch(self._rng.uniform(0.001, 0.05))

    def _touch(self, seconds: float) -> None:
        if not self._due:
            self._due = True
            self._later(seconds, lambda: self._others.gate.run(self._look))

    def _look(self) -> None:
        self._due = False
        one = next(
            (raw for raw in self._view.values() if isinstance(raw, RawDeployment | RawStateful)),
            None,
        )
        if one is None:
            return
        self.looks += 1
        try:
            again = (
                self._look_at_deployment(one)
                if isinstance(one, RawDeployment)
                else self._look_at_stateful_set(one)
            )
        except ApiError:
            self.refused += 1
            again = self._rng.uniform(0.01, 0.5)
        if again is not None:
            self._later(again, lambda: self._touch(0.001))

    def _look_at_deployment(self, one: RawDeployment) -> float | None:
        sets = [
            raw for raw in self._view.values() if isinstance(raw, RawSet) and raw.guard == one.uid
        ]
        pods = [
            deployment_controller.Pod(raw.owner, raw.phase in OVER)
            for raw in self._view.values()
            if isinstance(raw, RawPod) and raw.owner is not None
        ]
        return deployment_controller.sync(self, one, sets, pods, self._clock())

    def _look_at_stateful_set(self, one: RawStateful) -> float | None:
        revisions = [
            raw
            for raw in self._view.values()
            if isinstance(raw, RawRevision) and raw.owner == one.uid
        ]
        pods = [raw for raw in self._view.values() if isinstance(raw, RawPod)]
        members = [
            Member(
                int(pod.name.rpartition("-")[2]),
                pod.mark,
                str(pod.phase),
                pod.ready_written if pod.ready else None,
                pod.deleting,
                pod.name,
            )
            for pod in pods
            if pod.owner == one.uid
        ]
        now = self._clock()
        return stateful_set_controller.sync(
            _Stateful(self._api, self, one), one, revisions, members, now
        )

    # What the Deployment controller writes -------------------------------------------------------

    def write_status(self, one: RawDeployment) -> None:
        """Write status and revision of the version that was looked at."""
        self._api.change_workload(one.version, status=one.status, revision=one.revision)

    def create_set(self, rs: RawSet) -> RawSet:
        """Create a ReplicaSet."""
        made = replace(rs, uid=self._api.make_uid("rs"), created=float(math.floor(self._clock())))
        return self._api.create_set(made)

    def write_set(self, rs: RawSet) -> RawSet:
        """Write size, number and annotations of the version that was looked at."""
        return self._api.patch_set(
            rs.uid, rs.version, size=rs.size, revision=rs.revision, deployed=rs.deployed
        )

    def remove_set(self, rs: RawSet) -> None:
        """Delete a ReplicaSet."""
        self._api.delete_set(rs.uid)

    def find_set(self, name: str) -> RawSet | None:
        """Return a ReplicaSet as the view has it."""
        sets = (raw for raw in self._view.values() if isinstance(raw, RawSet))
        return next((rs for rs in sets if rs.name == name), None)

    # What the StatefulSet controller writes ------------------------------------------------------

    def make_member(self, one: RawStateful, ordinal: int, revision: str) -> None:
        """Create a pod; its name may still be taken by one that the view does not have any more."""
        name = f"{one.name}-{ordinal}"
        if any(pod.name == name for pod in self._api.pods.values()):
            raise AlreadyExistsError(name)
        made_of = next(rev for rev in self._api.revisions.values() if rev.name == revision)
        if refusal := self._others.refuses(made_of.template):
            raise RefusedError(refusal)
        containers = self._others.shapes[made_of.template.digest]
        pod = RawPod(
            name=name,
            uid=self._api.make_uid("pod"),
            owner=one.uid,
            mark=revision,
            created=float(int(self._clock())),
            containers=containers,
            ledger=(0,) * len(containers),
            attempts=(0,) * len(containers),
            template=made_of.template,
            kind=WorkloadKind.STATEFUL_SET,
        )
        self._others.made(self._api.put_pod(pod))

    def _collect(self, uid: str) -> None:
        """The garbage collector takes what a deleted workload owned."""
        if self._api.workload is not None and self._api.workload.uid == uid:
            return
        for rs in [rs for rs in self._api.sets.values() if rs.guard == uid]:
            self._api.delete_set(rs.uid)
        for rev in [rev for rev in self._api.revisions.values() if rev.owner == uid]:
            self._api.drop_revision(rev.uid)
        for pod in [pod for pod in self._api.pods.values() if pod.owner == uid]:
            self._api.delete_pod(pod.uid)


class _Stateful:
    """What the StatefulSet controller writes with."""

    def __init__(
        self, api: WorkloadServer, controllers: WorkloadControllers, one: RawStateful
    ) -> None:
        self._api = api
        self._controllers = controllers
        self._one = one

    def create_revision(self, one: RawRevision) -> RawRevision:
        return self._api.put_revision(replace(one, uid=self._api.make_uid("cr")))

    def renumber_revision(self, one: RawRevision, number: int) -> RawRevision:
        known = self._api.revisions.get(one.uid)
        if known is None or known.version != one.version:
            raise ConflictError(one.name)
        return self._api.put_revision(replace(one, number=number))

    def remove_revision(self, one: RawRevision) -> None:
        self._api.drop_revision(one.uid)

    def create_member(self, ordinal: int, revision: str) -> None:
        self._controllers.make_member(self._one, ordinal, revision)

    def delete_member(self, member: Member) -> None:
        """By name, without a precondition, as the real one does."""
        for pod in list(self._api.pods.values()):
            if pod.name == member.name:
                self._api.delete_pod(pod.uid)

    def write_stateful_status(self, one: RawStateful, status: StatefulStatus) -> None:
        self._api.change_workload(one.version, status=status)
