"""Plays the same inputs to the small model and to the real core in a world driven by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tests.properties.model import OPEN, SUCCEEDED, THRESHOLD, Model
from tests.support.builders import crashing_pod, guarded, template
from tests.support.manual_cluster import ManualCluster
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.workload import BreakerSpec, PolicyRule, ThresholdType

FATAL = 78
BREAKER = BreakerSpec(
    reset_on_healthy_task=False,
    threshold_type=ThresholdType.COUNT,
    threshold_value=THRESHOLD,
    policy=(PolicyRule(Verdict.FAIL_NOW, exit_codes=frozenset({FATAL})),),
)


def begin() -> ManualCluster:
    """Return a world in which a first rollout has just begun."""
    return ManualCluster(guarded=guarded(2, template("v1"), breaker=BREAKER)).settle()


@dataclass
class Play:
    """Both sides. An input that makes no sense now is not ``possible``."""

    world: ManualCluster = field(default_factory=begin)
    model: Model = field(default_factory=Model)
    told: int = 0

    def copy(self) -> Play:
        """Return another play that begins where this one is."""
        world = self.world
        sets, events = dict(world.replica_sets), list(world.events)
        return replace(self, world=replace(world, replica_sets=sets, events=events))

    def act(self, name: str) -> None:
        """Let one thing happen on both sides, and compare."""
        assert possible(self, name), f"{name} makes no sense here"
        self.world.now += 1
        INPUTS[name](self)
        self.model = self.model.forget()
        self.world.settle()
        self.compare(name)

    def compare(self, after: str) -> None:
        """The model and the core tell the same story."""
        status, rollout = self.world.status, self.world.rollout
        versions = {record.revision: record.digest for record in status.memory.revisions}
        told = replace(
            self.model,
            status=rollout.status.value,
            target=versions[rollout.revision],
            desired=versions[status.memory.desired_revision or 0],
            last=versions.get(status.memory.last_completed_revision or 0),
            count=status.memory.circuit_breaker.failure_count
            if self._is_open()
            else self.model.count,
            states={
                record.digest: record.rollout_state.value for record in status.memory.revisions
            },
        )
        assert told == self.model, f"after {after}"

    def _is_open(self) -> bool:
        return self.model.status in OPEN

    # --- both sides of each input ---

    def fail(self, exit_code: int = 1) -> None:
        pod = find_unready(self)
        assert pod is not None
        runs = 1 + sum(c.restarts + (c.last_ended is not None) for c in pod.containers)
        self.world.become(
            self.model.target, lambda name, _: crashing_pod(name, runs, exit_code), count=1
        )
        self.model = self.model.fail() if exit_code != FATAL else self.model.fail_now()

    def heal(self) -> None:
        if self.model.status in (*OPEN, *SUCCEEDED):
            self.world.heal(self.model.target)
        if self.model.held:  # it is tried again with the first pod, and launches the rest
            self.world.heal(self.model.target).settle().heal(self.model.target)
        self.model = self.model.heal()

    def wait(self) -> None:
        self.world.now += 600
        self.model = self.model.wait()

    def lose_pods(self) -> None:
        for found in list(self.world.replica_sets.values()):
            if found.template.digest == self.model.full:
                self.world.delete_pods(found.name)
        self.model = self.model.lose_pods()

    def lose_set(self) -> None:
        assert self.model.last is not None
        self.world.forget_replica_set(self.model.last)
        self.model = self.model.lose_set()

    def apply(self, version: str) -> None:
        self.world.apply(version)
        self.model = self.model.apply(version)

    def retry(self) -> None:
        self.told += 1
        self.world.command(retry=f"try-{self.told}")
        self.model = self.model.retry()

    def stop(self, kind: str, beside: int = 0) -> None:
        self.world.command(stop=None).settle(1.0)
        self.world.now += 1
        self.world.command(stop=f"{self.world.rollout.revision + beside}/{kind}")
        if not beside:
            self.model = self.model.stop(kind)

    def pause(self) -> None:
        self.world.want(paused=True)
        self.model = self.model.pause()

    def resume(self) -> None:
        self.world.want(paused=False)
        self.model = self.model.resume()

    def scale(self, replicas: int) -> None:
        self.world.want(replicas=replicas)
        self.model = self.model.scale_up() if replicas else self.model.scale_to_zero()

    def breaker(self, **changes: bool) -> None:
        self.world.want(breaker=replace(self.world.guarded.spec.breaker, **changes))  # type: ignore[arg-type]

    def enable(self) -> None:
        self.breaker(enable=True)
        self.model = self.model.enable()

    def disable(self) -> None:
        self.breaker(enable=False)
        self.model = replace(self.model, enabled=False)

    def allow_rollback(self, *, allowed: bool) -> None:
        self.breaker(rollback=allowed)
        self.model = replace(self.model, rollback=allowed)


INPUTS: Mapping[str, Callable[[Play], None]] = MappingProxyType(
    {
        "fail": Play.fail,
        "fail now": lambda play: play.fail(FATAL),
        "heal": Play.heal,
        "wait": Play.wait,
        "lose pods": Play.lose_pods,
        "lose set": Play.lose_set,
        "apply v1": lambda play: play.apply("v1"),
        "apply v2": lambda play: play.apply("v2"),
        "apply v3": lambda play: play.apply("v3"),
        "retry": Play.retry,
        "stop ROLLBACK": lambda play: play.stop("ROLLBACK"),
        "stop ABORT": lambda play: play.stop("ABORT"),
        "stop another": lambda play: play.stop("ABORT", beside=1),
        "pause": Play.pause,
        "resume": Play.resume,
        "scale to zero": lambda play: play.scale(0),
        "scale up": lambda play: play.scale(2),
        "enable": Play.enable,
        "disable": Play.disable,
        "rollback on": lambda play: play.allow_rollback(allowed=True),
        "rollback off": lambda play: play.allow_rollback(allowed=False),
    }
)
"""Everything that can happen."""


def possible(play: Play, name: str) -> bool:
    """Return whether an input makes sense now, and the model's simple world covers it."""
    model = play.model
    match name:
        case "fail" | "fail now":
            return find_unready(play) is not None
        case "heal":
            return not (model.paused and (model.status in OPEN or model.held))
        case "lose pods":
            return model.full is not None
        case "lose set":
            stays = model.last == model.target != model.desired
            return model.last is not None and not (model.paused or model.empty or stays)
        case "scale to zero":
            return not model.paused
        case "scale up":
            return model.empty and not model.paused
        case _:
            return True


def find_unready(play: Play) -> PodView | None:
    """Return the pod of the target that fails next."""
    sets = play.world.replica_sets.values()
    pods = [p for rs in sets if rs.template.digest == play.model.target for p in rs.pods]
    return next((pod for pod in pods if pod.ready_since is None and not pod.deleting), None)
