"""Generated worlds with a guarded Deployment or StatefulSet break no rule, and a broken operator is found out.

Each break changes one thing in the core or in what writes to a workload. It runs in generated worlds until the
referee sees it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from tests.sim.guard_config import GuardConfig, draw_guard_config
from tests.sim.guard_world import GuardWorld
from tests.sim.operator import Decide
from tests.sim.referee import CounterexampleError
from tests.sim.soak import visit_guarded
from tripswitch.cluster.client import Client
from tripswitch.cluster.hold_executor import HoldExecutor
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Action, Decision, DeletePod
from tripswitch.domain.values.hold_actions import ResizeRevision, WithdrawReport
from tripswitch.domain.values.protection import HoldState, Mode
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import ThresholdType
from tripswitch.shell.wiring import Kit

LENGTH = 500


@pytest.mark.parametrize("number", range(1, 9))
def test_no_generated_world_breaks_a_rule(number: int) -> None:
    """Rules G at every write; T5, F7 and the laws at every look; G4 and G5 at the end."""
    seen: Counter[str] = Counter()
    assert visit_guarded(number, seen, LENGTH) > 0
    assert seen["decisions"] > 15


def test_a_world_comes_again_from_its_number() -> None:
    told = [Counter[str](), Counter[str]()]
    assert visit_guarded(3, told[0], 300) == visit_guarded(3, told[1], 300)
    assert told[0] == told[1]


# --- a broken operator is found out ---------------------------------------------------------------


def with_actions(change: Callable[[Snapshot, Decision], tuple[Action, ...]]) -> Decide:
    def broken(snapshot: Snapshot, now: Instant) -> Decision:
        decision = decide(snapshot, now)
        return replace(decision, actions=change(snapshot, decision))

    return broken


def holds_without_evidence(snapshot: Snapshot, now: Instant) -> Decision:
    """Five seconds without progress are enough."""
    guarded = snapshot.guarded
    hasty = replace(guarded, spec=replace(guarded.spec, progress_deadline=5))
    return decide(replace(snapshot, guarded=hasty), now)


def restores_the_wrong_revision(snapshot: Snapshot, decision: Decision) -> tuple[Action, ...]:
    """What is to be raised is lowered, and what is to be lowered raised."""
    sets = [rs for rs in snapshot.replica_sets if rs.pods]
    others = {a.name: b for a in sets for b in sets if a.name != b.name}
    swapped: list[Action] = []
    for action in decision.actions:
        other = others.get(action.name) if isinstance(action, ResizeRevision) else None
        if other is None or not isinstance(action, ResizeRevision):
            swapped.append(action)
        else:
            told = (other.name, other.uid, other.resource_version)
            rest = (action.workload, action.replicas, action.most)
            swapped.append(ResizeRevision(*told, action.size, *rest))
    return tuple(swapped)


def writes_in_observe(snapshot: Snapshot, now: Instant) -> Decision:
    protected = snapshot.protected
    assert protected is not None
    enforced = replace(protected.protection, mode=Mode.ENFORCE)
    return decide(replace(snapshot, protected=replace(protected, protection=enforced)), now)


def fights_a_resume(snapshot: Snapshot, now: Instant) -> Decision:
    """A workload that was resumed by hand is held again, each time."""
    protected, guarded = snapshot.protected, snapshot.guarded
    hold = guarded.status.memory.hold
    if protected is None or protected.workload is None or hold is None:
        return decide(snapshot, now)
    one = protected.workload
    if one.paused or one.partition or hold.state is HoldState.RELEASING:
        return decide(snapshot, now)
    wanted = replace(hold, state=HoldState.WANTED)
    status = replace(guarded.status, memory=replace(guarded.status.memory, hold=wanted))
    unmarked = replace(protected, workload=replace(one, mark=None))
    told = replace(snapshot, guarded=replace(guarded, status=status), protected=unmarked)
    return decide(told, now)


def counts_twice_after_a_restart(snapshot: Snapshot, now: Instant) -> Decision:
    """What was counted of each pod is forgotten."""
    status = snapshot.guarded.status
    breaker = replace(status.memory.circuit_breaker, counted=())
    memory = replace(status.memory, circuit_breaker=breaker)
    guarded = replace(snapshot.guarded, status=replace(status, memory=memory))
    return decide(replace(snapshot, guarded=guarded), now)


def lowers_first(snapshot: Snapshot, decision: Decision) -> tuple[Action, ...]:
    return tuple(reversed(decision.actions))


def leaves_its_report(snapshot: Snapshot, decision: Decision) -> tuple[Action, ...]:
    return tuple(one for one in decision.actions if not isinstance(one, WithdrawReport))


def deletes_a_good_pod(snapshot: Snapshot, decision: Decision) -> tuple[Action, ...]:
    """Instead of the pod of the failed revision."""
    rollout, records = decision.status.memory.rollout, decision.status.memory.revisions
    good = next((r.replica_set for r in records if rollout and r.revision == rollout.revision), "")
    pods = [pod for rs in snapshot.replica_sets if rs.name == good for pod in rs.pods]
    if not pods or not any(isinstance(one, DeletePod) for one in decision.actions):
        return decision.actions
    return (DeletePod(pods[0].name, pods[0].uid, pods[0].resource_version),)


class WithoutMark:
    """A client whose patches lose the annotations."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def request(self, method: str, path: str, **given: Any) -> Any:
        body = given.get("body")
        if method == "PATCH" and isinstance(body, Mapping) and "annotations" in body["metadata"]:
            metadata = {k: v for k, v in body["metadata"].items() if k != "annotations"}
            given["body"] = {**body, "metadata": metadata}
        return await self._client.request(method, path, **given)


class ForgetfulExecutor(HoldExecutor):
    """Pauses a workload and writes no mark."""

    def __init__(self, client: Client, *given: Any) -> None:
        super().__init__(WithoutMark(client), *given)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Broken:
    """What is broken, how it shows, and in which worlds it is looked for."""

    decide: Decide = decide
    words: str = ""
    executor: type[HoldExecutor] = HoldExecutor
    make: Callable[[GuardConfig], None] = lambda _: None


def tripping(config: GuardConfig) -> None:
    """All but the first template crash, the first failure trips, and nothing else goes wrong."""
    enforcing(config)
    for plan in config.plans:
        plan.ways = ("crash",)
    config.plans[0].ways = ("good",)
    breaker = replace(
        config.protection.breaker,
        threshold_type=ThresholdType.COUNT,
        threshold_value=1,
        policy=(),
    )
    config.protection = replace(config.protection, breaker=breaker)
    config.workload = replace(config.workload, replicas=3, min_ready=0)
    config.disruption_every, config.by_hand = 0, False
    config.people_every, config.autoscale_every = 60, 0


def observing(config: GuardConfig) -> None:
    config.mode, config.switches = Mode.OBSERVE, False
    config.protection = replace(config.protection, mode=Mode.OBSERVE)


def enforcing(config: GuardConfig) -> None:
    config.mode, config.switches = Mode.ENFORCE, False
    breaker = replace(config.protection.breaker, rollback=True)
    config.protection = replace(config.protection, mode=Mode.ENFORCE, breaker=breaker)


def forcing(config: GuardConfig) -> None:
    """A tool that writes ``paused: false`` every few seconds."""
    tripping(config)
    config.apply_every, config.forces, config.people_every = 5, True, 300


def counting(config: GuardConfig) -> None:
    """More failures than one are needed, and the operator ends often."""
    tripping(config)
    breaker = replace(config.protection.breaker, threshold_value=4)
    config.protection = replace(config.protection, breaker=breaker)
    config.restart_every = 20


BROKEN = {
    "holds without evidence (T5, P1)": Broken(holds_without_evidence, "T5|P1"),
    "forgets its mark (G4)": Broken(words="without a mark", executor=ForgetfulExecutor, make=tripping),
    "restores the wrong revision (G4)": Broken(
        with_actions(restores_the_wrong_revision), "what completed last|completed revision", make=tripping
    ),
    "writes in Observe (G7)": Broken(writes_in_observe, "G7", make=observing),
    "fights a resume by hand (G5)": Broken(fights_a_resume, "fight|never ends", make=forcing),
    "counts twice after a restart (F7)": Broken(counts_twice_after_a_restart, "F7|count", make=counting),
    "lowers before it raises (G4)": Broken(with_actions(lowers_first), "before|W1|other", make=tripping),
    "leaves its report on the workload (G5)": Broken(
        with_actions(leaves_its_report), "left on the workload|never ends", make=tripping
    ),
    "deletes a pod of the completed revision (G4)": Broken(
        with_actions(deletes_a_good_pod), "is deleted", make=tripping
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_operator_is_found_out(name: str) -> None:
    broken = BROKEN[name]
    with pytest.raises(CounterexampleError, match=broken.words):
        run_worlds(broken)


def run_worlds(broken: Broken, numbers: range = range(1, 120)) -> None:
    for number in numbers:
        config = draw_guard_config(Random(number))
        broken.make(config)
        world = GuardWorld(config, number, kit=Kit(decide=broken.decide), executor=broken.executor)
        world.run(LENGTH)
        world.settle()
