"""Everybody with kubectl, and a HorizontalPodAutoscaler: what they do to a GuardedDeployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.sim.api import ApiServer
from tests.sim.config import Config, draw_breaker, draw_spec, draw_strategy, draw_ways
from tests.sim.controllers import Controllers
from tests.sim.objects import RawGuarded, RawSet
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Spec

Deed = Callable[[], None]


class People:
    """Each method is one thing that somebody does; ``act`` draws one of them."""

    def __init__(
        self, api: ApiServer, controllers: Controllers, config: Config, rng: Random
    ) -> None:
        self._api = api
        self._controllers = controllers
        self._config = config
        self._rng = rng
        self._told = 0
        wishes: dict[Deed, int] = {
            self.apply: 9,
            self.scale: 4,
            self.pause: 2,
            self.resume: 4,
            self.retry: 3,
            self.stop: 3,
            self.answer: 6,
            self.change_breaker: 2,
            self.change_settings: 2,
            self.change_fate: 2,
        }
        deeds: dict[Deed, int] = {
            self.delete_pod: 3,
            self.scale_set: 3,
            self.delete_set: 2,
            self.disown_set: 1,
            self.relabel_set: 2,
            self.take_name: 1,
            self.set_quota: 1,
            self.refuse: 1,
            self.make_again: 1,
        }
        self._menu = self._draw_menu(wishes, deeds)

    def _draw_menu(self, wishes: dict[Deed, int], deeds: dict[Deed, int]) -> dict[Deed, int]:
        config = self._config
        good = {self.apply, self.scale}
        calm = {
            *(self.apply, self.pause, self.resume, self.retry, self.stop),
            *(self.answer, self.change_breaker),
        }
        return {
            deed: weight
            for deed, weight in {**wishes, **(deeds if config.by_hand else {})}.items()
            if (not config.calm or deed in calm) and (not config.good or deed in good)
        }

    @property
    def can_act(self) -> bool:
        """Whether there is something to act on."""
        return self._api.guarded is not None and self._api.writable

    def act(self) -> str:
        """Do one thing and return its name."""
        (deed,) = self._rng.choices(list(self._menu), list(self._menu.values()))
        deed()
        return str(getattr(deed, "__name__", ""))

    def calm_down(self) -> None:
        """Lift everything that holds a rollout up from outside: pauses, hooks, quotas, refusals."""
        self._wish(paused=False, hooks=())
        rollout = self._guarded.status.memory.rollout
        hooks = () if rollout is None else rollout.hooks
        self._command(answers=",".join(f"{hook.hook_id}/CONTINUE" for hook in hooks))
        self._controllers.pace.quota = None
        self._api.refusal = ""

    # The wish ----------------------------------------------------------------------------------

    def apply(self) -> None:
        """Another template, or an old one put back."""
        self._wish(template=self._rng.choice(self._config.plans).template)

    def scale(self) -> None:
        """``kubectl scale``, or a HorizontalPodAutoscaler."""
        self._wish(replicas=self._rng.choice((0, 1, 2, 3, 4, 6, 8)))

    def pause(self) -> None:
        """Hold everything."""
        self._wish(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._wish(paused=False)

    def change_breaker(self) -> None:
        """Another configuration of the breaker."""
        self._wish(breaker=draw_breaker(self._rng))

    def change_settings(self) -> None:
        """Other times, another strategy."""
        drawn = draw_spec(self._rng, self._spec.template)
        self._wish(
            strategy=draw_strategy(self._rng),
            min_ready_seconds=drawn.min_ready_seconds,
            progress_deadline=drawn.progress_deadline,
            revision_history_limit=drawn.revision_history_limit,
            early_success=drawn.early_success,
            hooks=drawn.hooks,
        )

    def change_fate(self) -> None:
        """What a template's pods need comes back, or goes: new pods behave in another way."""
        plan = self._rng.choice(self._config.plans)
        plan.ways = draw_ways(self._rng, good=0.5)

    # Commands ----------------------------------------------------------------------------------

    def retry(self) -> None:
        """``kubectl tripswitch retry``."""
        self._told += 1
        self._command(retry=f"retry-{self._told}")

    def stop(self) -> None:
        """``kubectl tripswitch stop``; sometimes of a revision that is not rolled out."""
        rollout = self._guarded.status.memory.rollout
        number = rollout.revision if rollout is not None and self._rng.random() < 0.8 else 1
        self._command(stop=f"{number}/{self._rng.choice(('ROLLBACK', 'ABORT', 'NOTHING'))}")

    def answer(self) -> None:
        """``kubectl tripswitch continue``; sometimes of a hook that does not wait."""
        rollout = self._guarded.status.memory.rollout
        hooks = () if rollout is None else rollout.hooks
        ids = [hook.hook_id for hook in hooks] or ["pause-0"]
        action = self._rng.choice(("CONTINUE", "CONTINUE", "ROLLBACK", "PERHAPS"))
        self._command(answers=f"{self._rng.choice(ids)}/{action}")

    def make_again(self) -> None:
        """Delete the object and restore it without its status; ReplicaSets stay as orphans (W2)."""
        old = self._guarded
        for rs in list(self._api.sets.values()):
            if rs.guard == old.uid and self._rng.random() < 0.9:
                self._api.patch_set(rs.uid, guard=None)
            elif rs.guard == old.uid:
                self._api.delete_set(rs.uid)
        for pod in list(self._api.pods.values()):
            if pod.aside is not None:
                self._api.delete_pod(pod.uid)
        self._api.drop_guarded()
        uid = self._api.make_uid("guard")
        self._api.set_guarded(replace(old, uid=uid, status=Status(), generation=1))

    # By hand -----------------------------------------------------------------------------------

    def delete_pod(self) -> None:
        """``kubectl delete pod``."""
        if self._api.pods:
            self._api.delete_pod(self._rng.choice(list(self._api.pods)))

    def scale_set(self) -> None:
        """``kubectl scale replicaset``."""
        rs = self._some_set()
        if rs is not None:
            self._api.patch_set(rs.uid, size=self._rng.choice((0, 1, 2, 4, 6)))

    def delete_set(self) -> None:
        """``kubectl delete replicaset``, with each way for its pods to go, or stay."""
        rs = self._some_set()
        if rs is None or rs.deleting:
            return
        cascade = self._rng.choice(("background", "foreground", "orphan"))
        if cascade == "orphan":
            for pod in self._api.pods_of(rs.uid):
                self._api.put_pod(replace(pod, owner=None))
        self._api.delete_set(rs.uid, foreground=cascade == "foreground")

    def disown_set(self) -> None:
        """Take the owner reference away."""
        rs = self._some_set()
        if rs is not None and not rs.deleting:
            self._api.patch_set(rs.uid, guard=None)

    def relabel_set(self) -> None:
        """Take the labels away that the selector asks for, or give them back (W5)."""
        rs = self._some_set()
        if rs is not None:
            self._api.patch_set(rs.uid, matches=not rs.matches)

    def take_name(self) -> None:
        """Somebody else's ReplicaSet takes the name of one that was deleted by hand."""
        rs = self._some_set()
        if rs is None or rs.deleting or rs.size or self._api.refusal:
            return
        self._api.delete_set(rs.uid)
        strange = replace(rs.template, digest="stranger")
        uid = self._api.make_uid("rs")
        self._api.create_set(
            replace(rs, uid=uid, guard="someone", template=strange, size=0, pins=())
        )

    def set_quota(self) -> None:
        """A quota comes or goes."""
        pace = self._controllers.pace
        pace.quota = None if pace.quota is not None else self._rng.randint(1, 8)

    def refuse(self) -> None:
        """An admission controller begins to refuse ReplicaSets, or ends."""
        self._api.refusal = "" if self._api.refusal else "admission webhook denied the request"

    # -------------------------------------------------------------------------------------------

    @property
    def _guarded(self) -> RawGuarded:
        assert self._api.guarded is not None
        return self._api.guarded

    @property
    def _spec(self) -> Spec:
        return self._guarded.spec

    def _wish(self, **changes: object) -> None:
        self._api.put_guarded(spec=replace(self._spec, **changes))  # type: ignore[arg-type]

    def _command(self, **changes: str) -> None:
        self._api.put_guarded(**changes)

    def _some_set(self) -> RawSet | None:
        sets = [rs for rs in self._api.sets.values() if rs.template.digest != "stranger"]
        return self._rng.choice(sets) if sets else None
