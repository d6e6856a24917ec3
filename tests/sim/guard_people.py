"""Everybody with kubectl around a guarded workload: what they do to it and to its breaker (rules G)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tests.sim.controllers import Controllers
from tests.sim.deployment_controller import deployed
from tests.sim.guard_config import (
    OFTEN_BAD,
    GuardConfig,
    draw_guard_ways,
    draw_protection_settings,
)
from tests.sim.objects import RawBreaker, RawDeployment, RawSet, RawStateful, RawWorkload
from tests.sim.people import Deed, People
from tests.sim.stateful_set_controller import hash_revision
from tests.sim.workload_api import WorkloadServer
from tripswitch.cluster.workload_index import OPT_IN
from tripswitch.domain.rules.rollout_states import SUCCEEDED
from tripswitch.domain.values.circuit_breaker import CircuitBreaker
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.protection import HOLD_PARTITION, Mode
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template

KUBECTL, ARGO = "kubectl", "argocd-controller"


class GuardPeople(People):
    """Each method is one thing that somebody does; ``act`` draws one of them.

    ``paused_by_person`` and ``partition_by_person`` are what people asked for last, and nobody else may
    undo.
    """

    def __init__(
        self,
        api: WorkloadServer,
        controllers: Controllers,
        config: GuardConfig,
        rng: Random,
        clock: Callable[[], Instant],
    ) -> None:
        self._server = api
        self._clock = clock
        self.git: Template = config.workload.template
        """The template that the repository has."""
        self.switched_at: Instant = 0.0
        """When the mode was changed last, or the breaker made again."""
        self._guard_config = config
        super().__init__(api, controllers, config, rng)

    def _draw_menu(self, wishes: dict[Deed, int], deeds: dict[Deed, int]) -> dict[Deed, int]:
        config = self._guard_config
        menu: dict[Deed, int] = {self.apply: 12, self.scale: 4}
        if config.good:
            return menu
        menu |= {
            self.put_back: 3,
            self.pause: 1,
            self.resume: 3,
            self.retry: 2,
            self.stop: 2,
            self.change_breaker: 2,
            self.change_fate: 2,
        }
        if not config.stateful:
            menu |= {self.undo: 2}
        if config.switches:
            menu |= {self.switch: 2}
        if config.labelled:
            menu |= {self.relabel: 3}
        if config.rivals:
            menu |= {self.make_rival: 3, self.drop_breaker: 1}
        if config.on_delete and config.stateful:
            menu |= {self.change_strategy: 2}
        if config.by_hand:
            menu |= {
                self.delete_pod: 3,
                self.scale_set: 1,
                self.delete_set: 1,
                self.set_quota: 1,
                self.refuse: 1,
                self.make_breaker_again: 1,
                self.make_workload_again: 1,
            }
        return menu

    @property
    def can_act(self) -> bool:
        """Whether there is something to act on."""
        return not self._server.is_empty and self._server.writable

    def calm_down(self) -> None:
        """Lift everything that holds a rollout up from outside."""
        self._controllers.pace.quota = None
        self._api.refusal = ""
        one = self._server.workload
        if isinstance(one, RawStateful) and one.on_delete:
            self._server.change_workload(on_delete=False)
        if one is not None and self._guard_config.labelled:
            self._label("enforce")
        if one is not None and not self.is_marked:
            self._release()

    def begin(self, workload: RawWorkload) -> None:
        """Create the workload and its breaker."""
        kind = "dep" if isinstance(workload, RawDeployment) else "sts"
        self._server.set_workload(replace(workload, uid=self._api.make_uid(kind)))
        if self._guard_config.labelled:
            self._label("enforce")
        else:
            self._make_breaker()

    @property
    def is_marked(self) -> bool:
        """Whether the workload carries a mark of a trip."""
        return any("tripswitch.dev" in key for key, _ in self._workload.notes)

    # The workload ------------------------------------------------------------------------------

    def apply(self) -> None:
        """Another template, or an old one; the last plan is for the end."""
        self.git = self._rng.choice(self._config.plans[:-1]).template
        self._server.change_workload(template=self.git)

    def break_it(self) -> str:
        """Apply a template that is sure to fail, unless one that has failed is still there."""
        status = self.breaker.wish.status.memory
        well = status.rollout is not None and status.rollout.status in SUCCEEDED
        bad = [plan for plan in self._config.plans[:-1] if plan.ways[0] in OFTEN_BAD]
        if not bad or not well or status.hold is not None:
            return "nothing"
        self.git = self._rng.choice(bad).template
        self._server.change_workload(template=self.git)
        return "bad template applied"

    def put_back(self) -> None:
        """The template of the revision that completed last."""
        completed = [
            record
            for record in self.breaker.wish.status.memory.revisions
            if record.completed_at is not None
        ]
        found = [
            plan.template
            for plan in self._config.plans
            for record in completed[-1:]
            if is_of(record, plan.template)
        ]
        self.git = found[0] if found else self._guard_config.workload.template
        self._server.change_workload(template=self.git)

    def undo(self) -> None:
        """``kubectl rollout undo``: an older ReplicaSet's template, and its annotations, too."""
        one = self._workload
        if not isinstance(one, RawDeployment) or one.paused:
            return
        sets = sorted(self._sets(), key=lambda rs: rs.revision)
        if len(sets) < 2:
            return
        rs = self._rng.choice(sets[:-1])
        self.git = rs.template
        self._server.change_workload(template=rs.template, notes=deployed(rs).notes)

    def scale(self) -> None:
        """``kubectl scale``."""
        least = 1 if self._guard_config.good else 0
        self._server.change_workload(replicas=max(least, self._rng.choice((0, 1, 2, 3, 4, 6))))

    def autoscale(self) -> None:
        """A HorizontalPodAutoscaler takes one step."""
        step = self._rng.choice((-1, 1, 2))
        self._server.change_workload(replicas=min(6, max(1, self._workload.replicas + step)))

    def pause(self) -> None:
        """Pause it, or set a partition, as people do."""
        one = self._workload
        if isinstance(one, RawDeployment):
            if not one.paused:
                self._server.change_workload(paused=True, holder=KUBECTL)
        elif one.partition != HOLD_PARTITION:
            partition = self._rng.choice((0, 1, one.replicas))
            self._server.change_workload(partition=partition, holder=KUBECTL)

    def resume(self) -> None:
        """``kubectl rollout resume``, also during a trip."""
        self._release(KUBECTL)

    def _release(self, who: str = KUBECTL) -> None:
        one = self._workload
        if isinstance(one, RawDeployment):
            if one.paused:
                self._server.change_workload(paused=False, holder=who)
        elif one.partition:
            self._server.change_workload(partition=0, holder=who)

    def reapply(self) -> None:
        """A tool applies the manifest again; what the manifest does not name stays as it is."""
        self._server.change_workload(template=self.git)
        if self._guard_config.forces:
            self._release(ARGO)

    def make_workload_again(self) -> None:
        """Delete the workload, with all it owns, and create it anew."""
        old = self._workload
        self._server.drop_workload()
        kind = "dep" if isinstance(old, RawDeployment) else "sts"
        fresh = self._guard_config.workload
        uid = self._api.make_uid(kind)
        self._server.set_workload(
            replace(fresh, uid=uid, template=self.git, replicas=old.replicas, labels=old.labels)
        )
        for breaker in list(self._server.breakers.values()):
            if breaker.made_for == old.uid:  # the garbage collector's part
                self._server.drop_breaker(breaker.uid)

    def help_on(self) -> int:
        """Do what the status asks a person to do; return how many pods were deleted for it.

        A Deployment without a progress deadline waits for ever for a pod that no node has room for: it
        gets one. With OrderedReady a StatefulSet's controller makes no pod of the next revision while one of
        an older revision is not Ready. No breaker may delete that one, because it is not of a revision that
        failed.
        """
        one = self._workload
        if isinstance(one, RawDeployment) and one.deadline is None:
            self._server.change_workload(deadline=600)
        if not isinstance(one, RawStateful) or self.is_marked:
            return 0
        wanted = one.status.update_revision
        stuck = [
            pod
            for pod in self._api.pods.values()
            if not pod.deleting and not pod.ready and pod.mark != wanted
        ]
        for pod in stuck:
            self._api.delete_pod(pod.uid)
        return len(stuck)

    # The breaker -------------------------------------------------------------------------------

    @property
    def breaker(self) -> RawBreaker:
        """The breaker; one that nobody has stored while there is none."""
        nothing = CircuitBreaker("nothing", "", 1, self._guard_config.protection)
        return next(iter(self._server.breakers.values()), RawBreaker(nothing))

    def change_breaker(self) -> None:
        """Another configuration."""
        breaker = draw_protection_settings(self._rng)
        self._ask(protection=replace(self.breaker.wish.protection, breaker=breaker))

    def change_fate(self) -> None:
        """What a template's pods need comes back, or goes."""
        self._rng.choice(self._config.plans[:-1]).ways = draw_guard_ways(self._rng)

    def switch(self) -> None:
        """Between Observe and Enforce."""
        asked = self.breaker.wish.protection
        mode = Mode.OBSERVE if asked.mode is Mode.ENFORCE else Mode.ENFORCE
        self.switched_at = self._clock()
        self._ask(protection=replace(asked, mode=mode))

    def retry(self) -> None:
        """``kubectl tripswitch retry``."""
        self._told += 1
        self._ask(retry=f"retry-{self._told}")

    def stop(self) -> None:
        """``kubectl tripswitch stop``."""
        rollout = self.breaker.wish.status.memory.rollout
        number = rollout.revision if rollout is not None else 1
        self._ask(stop=f"{number}/{self._rng.choice(('ROLLBACK', 'ABORT'))}")

    def make_breaker_again(self) -> None:
        """Delete the breaker, also during a trip (G9), and create another one."""
        self.switched_at = self._clock()
        name = self.breaker.name
        self._server.drop_breaker(self.breaker.uid)
        if not self._guard_config.labelled:
            self._make_breaker(name)

    def make_rival(self) -> None:
        """Create another breaker for the same workload, or delete it again (G1)."""
        breakers = list(self._server.breakers.values())
        if len(breakers) == 1:
            self._make_breaker("web-2" if breakers[0].name == "web" else "web")
        else:
            self._server.drop_breaker(breakers[-1].uid)

    def drop_breaker(self) -> None:
        """Delete the older one of two breakers: the other one acts from now on (G1)."""
        if len(self._server.breakers) > 1:
            self.switched_at = self._clock()
            self._server.drop_breaker(self.breaker.uid)

    def relabel(self) -> None:
        """Another value of the label, or none (G8)."""
        self._label(self._rng.choice(("enforce", "enforce", "observe", "off", "")))

    def _label(self, value: str) -> None:
        self.switched_at = self._clock()
        others = tuple(one for one in self._workload.labels if one[0] != OPT_IN)
        self._server.change_workload(labels=(*others, (OPT_IN, value)) if value else others)

    def change_strategy(self) -> None:
        """Between RollingUpdate and OnDelete."""
        one = self._workload
        if isinstance(one, RawStateful) and one.partition != HOLD_PARTITION:
            self.switched_at = self._clock()
            self._server.change_workload(on_delete=not one.on_delete, partition=0)

    def _make_breaker(self, name: str = "web") -> None:
        uid = self._api.make_uid("dcb")
        wish = CircuitBreaker(name, uid, 1, self._guard_config.protection)
        self._server.put_breaker(RawBreaker(wish, float(int(self._clock()))))

    def _ask(self, **changes: Any) -> None:
        self._server.wish(self.breaker.uid, **changes)

    # -------------------------------------------------------------------------------------------

    @property
    def _workload(self) -> RawWorkload:
        assert self._server.workload is not None
        return self._server.workload

    def _sets(self) -> list[RawSet]:
        return [rs for rs in self._api.sets.values() if rs.guard == self._workload.uid]


def is_of(record: Revision, template: Template) -> bool:
    """Return whether a revision has a template; a StatefulSet's is known by its name."""
    ending = hash_revision(template.digest)
    return record.digest == template.digest or record.replica_set.endswith(f"-{ending}")
