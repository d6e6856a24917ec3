"""Watches every look, every write and every step, and stops the world at the first wrong one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.sim.alarm_story import find_short_bake, find_wrong_trip
from tests.sim.api import ApiServer
from tests.sim.image_laws import ImageLaws
from tests.sim.images import Images
from tests.sim.laws import check_laws
from tests.sim.objects import RawPod, RawSet
from tests.sim.operator import Decide, Look
from tests.sim.prometheus import Answer
from tests.sim.recount import Recount, is_over, settling_seconds
from tests.sim.reference_laws import ReferenceLaws
from tests.sim.storms import Storms
from tests.support.invariants import check_decision, compute_kept_healthy
from tripswitch.domain.rules.bounds import compute_bounds
from tripswitch.domain.rules.rollout_states import OPEN, SUCCEEDED
from tripswitch.domain.values.decision import (
    Decision,
    DeletePod,
    Event,
    EventReason,
    ScaleReplicaSet,
)
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.states import RolloutKind, RolloutState, RolloutStatus
from tripswitch.domain.values.time import Instant


class CounterexampleError(AssertionError):
    """A rule was broken. ``look`` is the one that broke it, if it was one."""

    def __init__(self, message: str, look: Look | None = None) -> None:
        super().__init__(message)
        self.look = look


@dataclass(frozen=True, slots=True)
class Lowered:
    """A ReplicaSet that was lowered from ``version``, and the ``floor`` that the knowledge of it allows.

    ``unready`` pods were to go first. One that became Ready before it was taken stands in for another.
    """

    uid: str
    version: int
    floor: int
    unready: frozenset[str]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A ReplicaSet that was lowered from ``version`` while it had fewer pods than its size.

    Its controller may have made up to ``room`` pods meanwhile, which are not among the ``known``: as when each pod is
    rejected and replaced.
    """

    version: int
    known: frozenset[str]
    room: int


SAMPLE = 11
"""Each look of this number is asked of the laws, too; they cost a dozen decisions."""


def count_decision(seen: Counter[str], look: Look) -> None:
    """Count a decision, its actions by name, and whether it asks for a reading anew (V1)."""
    seen["decisions"] += 1
    seen["checks"] += look.decision.check is not None
    seen.update({type(action).__name__ for action in look.decision.actions})


class Referee:
    """``calm``: nothing in this world takes a healthy pod away, or touches a size, except us."""

    def __init__(
        self, api: ApiServer, decide: Decide, *, calm: bool = False, good: bool = False
    ) -> None:
        self.seen: Counter[str] = Counter()
        self._api = api
        self._decide = decide
        self._calm = calm
        self._good = good
        self._recount: Recount | None = None
        self._safe = False
        self._lowered: list[Lowered] = []
        self._replaced: dict[str, Replaced] = {}
        self._version = 0
        self._healthy = 0
        self._floor: int | None = None
        self._too_many = False
        self._frozen = False
        """The last scaling up could not be followed, so the sizes are those from before it."""
        self.answers: list[Answer] = []
        """What Prometheus has answered."""
        self.clocks_are_right: Callable[[], bool] = lambda: True
        """Whether no clock has been set: what Prometheus answered is known by the true time."""
        self._images: ImageLaws | None = None
        self._references: ReferenceLaws | None = None
        self.written: Callable[[Event], None] = lambda _: None
        """Called with each event of a decision that was written."""

    def judge_images(self, images: Images) -> None:
        """Judge what becomes of digests, too (rules D)."""
        laws = self._images = ImageLaws(images)
        self._api.watchers.append(lambda change: refuse(laws.check_set(change)))

    def judge_references(self, laws: ReferenceLaws) -> None:
        """Judge what the status says a rollback would miss, too (B9)."""
        self._references = laws

    def judge_storms(self, storms: Storms) -> None:
        """Judge how many pods are rejected, too (R8)."""
        self._api.watchers.append(lambda change: refuse(storms.check(change)))

    def looked(self, look: Look) -> None:
        """Check a decision, whatever becomes of it."""
        count_decision(self.seen, look)
        found = check_decision(look.snapshot, look.decision, look.now)
        if self.seen["decisions"] % SAMPLE == 0:
            self.seen["decisions asked again (laws)"] += 1
            found += check_laws(self._decide, look.snapshot, look.decision, look.now)
        if self._good:
            found += find_harm(look.decision)
        if found:
            raise CounterexampleError("; ".join(found), look)

    def accepted(self, look: Look) -> None:
        """Check a decision that is written now against the re-count."""
        before, after = look.snapshot.guarded.status.memory, look.decision.status.memory
        assert after.rollout is not None
        for event in look.decision.events:
            self.seen[event.reason] += 1
            self.written(event)
        self._judge_surroundings(look)
        open_before = before.rollout is not None and before.rollout.status in OPEN
        if open_before and before.rollout is not None:
            self._judge(look, before.rollout)
        if is_over(before, after.rollout):
            self._recount = None
            if after.rollout.status in OPEN:
                self._recount = Recount(look, after.rollout)
        self._safe = self._safe or after.last_completed_revision is not None
        if self._calm:
            self._note_lowered(look)

    def _judge_surroundings(self, look: Look) -> None:
        """Rules A and D: against what Prometheus answered, and what pods ran."""
        found = find_wrong_trip(look, self.answers) if self.clocks_are_right() else []
        before, after = look.snapshot.guarded.status.memory, look.decision.status.memory
        was_open = before.rollout is not None and before.rollout.status in OPEN
        rollout = after.rollout
        completes = was_open and rollout is not None and rollout.status is RolloutStatus.SUCCESSFUL
        if completes and rollout is not None and self.clocks_are_right():
            found += find_short_bake(look, rollout, self.answers)
        if self._images is not None:
            found += self._images.check_look(look)
        if self._references is not None:
            found += self._references.check_look(look)
            missing = look.decision.status.memory.missing_references
            self.seen["looks at which something is missing"] += missing is not None
        if found:
            raise CounterexampleError("; ".join(found), look)

    def check_world(self, now: Instant) -> None:
        """Check the whole cluster after a step."""
        guarded = self._api.guarded
        if not self._calm or guarded is None or self._api.version == self._version:
            return
        self._version = self._api.version
        bounds = compute_bounds(guarded.spec.strategy, guarded.spec.replicas)
        planned = healthy = 0
        for rs in self._api.sets.values():
            live = [pod for pod in self._api.pods_of(rs.uid) if pod.live]
            planned += max(rs.size, len(live) - self._count_replaced(rs, live))
            # Nodes write whole seconds, so a new leader may take a pod for one second older.
            since = now + 1.0 - settling_seconds(guarded.spec, rs.template)
            healthy += sum(
                pod.ready_really is not None and pod.ready_really <= since for pod in live
            )
        self.seen["moments with the bounds checked in the cluster"] += 1
        self._healthy = healthy
        self._too_many = self._too_many and planned > bounds.upper
        if planned > bounds.upper and not self._too_many:
            raise CounterexampleError(f"{planned} pods planned, at most {bounds.upper} (R3)")
        if healthy >= bounds.lower:
            self._lowered = [one for one in self._lowered if self._is_pending(one)]
        if healthy >= bounds.lower:
            self._floor = None
        asked = bounds.lower if self._floor is None else min(self._floor, bounds.lower)
        lower = min([asked, *(one.floor for one in self._lowered)]) - self._count_young(now)
        if self._safe and healthy < lower:
            raise CounterexampleError(f"{healthy} pods healthy, at least {lower} (R3)")

    def scaled(self) -> None:
        """``replicas`` have changed: as many pods as are healthy now have to stay, if L asks for them.

        There may be more than U in all, until it has been followed once.
        """
        self._floor, self._too_many = self._healthy, True

    def sizes(self) -> dict[str, int]:
        """Return the sizes of our ReplicaSets, without those that are being deleted."""
        assert self._api.guarded is not None
        uid = self._api.guarded.uid
        return {
            rs.name: rs.size
            for rs in self._api.sets.values()
            if rs.guard == uid and rs.matches and not rs.deleting
        }

    def has_followed(self, before: int) -> bool:
        """Return whether all sizes are those that a scaling from ``before`` asks for (R4, R7).

        The rollout has ended. If it stalled, the revisions that completed before make up what is
        missing; if there is none, the status has to say that the size is frozen.
        """
        guarded, sizes = self._api.guarded, self.sizes()
        assert guarded is not None
        status, wanted = guarded.status, guarded.spec.replicas
        rollout, total = status.memory.rollout, sum(sizes.values())
        assert rollout is not None
        target = next(
            (
                one.replica_set
                for one in status.memory.revisions
                if one.revision == rollout.revision
            ),
            "",
        )
        if rollout.kind is RolloutKind.ROLLBACK and target not in sizes:
            return True  # its ReplicaSet was deleted by hand, and its template with it
        if rollout.status in SUCCEEDED:
            largest, *others = sorted(sizes.values(), reverse=True) or [0]
            # A revision that came back late keeps what R3 asks for while pods of the other one fail.
            lower = compute_bounds(guarded.spec.strategy, wanted).lower
            if guarded.spec.early_success is not None:  # E1: what is left to do may be stuck
                return largest == wanted and sum(others) <= lower
            return largest == wanted and (
                not sum(others) or sum(others) <= status.report.available_replicas < lower
            )
        upper = compute_bounds(guarded.spec.strategy, wanted).upper
        if wanted < before:
            return total <= (upper if self._frozen else wanted)
        proven = [
            record
            for record in status.memory.revisions
            if record.completed_at is not None
            and record.rollout_state is not RolloutState.FAILED
            and record.revision != rollout.revision
            and (
                sizes.get(record.replica_set)
                or record.revision == status.memory.last_completed_revision
            )
        ]
        if total < wanted and not proven:
            self.seen["sizes frozen"] += 1
            self._frozen = f"stays at {total} of {wanted}" in status.report.rollout_state_reason
            return self._frozen
        return wanted <= total <= upper

    def _note_lowered(self, look: Look) -> None:
        """Remember what a lowering could not know, because no event had told it yet.

        R3 takes pods that are not Ready first, also while fewer than L are healthy; one of them may have
        become Ready since, and another one goes in its place: for good, if it is Ready for a moment only. And a pod that is relied on may have been
        taken already, by a size that is no longer asked for. The rest has to stay.
        """
        spec, sets, now = look.snapshot.guarded.spec, look.snapshot.replica_sets, look.now
        known = gone = 0
        for rs in sets:
            there = tuple(pod for pod in rs.pods if self._is_there(pod.uid))
            kept = compute_kept_healthy(rs, rs.size, spec, now)
            known += kept
            gone += kept - compute_kept_healthy(replace(rs, pods=there), rs.size, spec, now)
        lower = compute_bounds(spec.strategy, spec.replicas).lower
        floor = min(lower, known) - gone
        sizes = {rs.uid: rs.size for rs in sets}
        for action in look.decision.actions:
            if not isinstance(action, ScaleReplicaSet) or action.size >= sizes[action.uid]:
                continue
            rs = next(rs for rs in sets if rs.uid == action.uid)
            self._note_replaced(rs, int(action.resource_version))
            unready = frozenset(pod.uid for pod in rs.pods if pod.live and pod.ready_since is None)
            self.seen["lowered with old knowledge"] += floor < lower
            # Also if nothing is unknown: ``replicas``, and L with it, may rise before the pods go.
            self._lowered.append(Lowered(action.uid, int(action.resource_version), floor, unready))

    def _note_replaced(self, rs: ReplicaSetView, version: int) -> None:
        room = rs.size - sum(pod.live for pod in rs.pods)
        if room > 0:
            self._replaced[rs.uid] = Replaced(version, frozenset(pod.uid for pod in rs.pods), room)

    def _count_replaced(self, rs: RawSet, live: Sequence[RawPod]) -> int:
        """Count the pods beyond its size of which nobody could know when it was lowered."""
        replaced = self._replaced.get(rs.uid)
        if replaced is None or len(live) <= rs.size:
            if replaced is not None and rs.version != replaced.version:
                del self._replaced[rs.uid]
            return 0
        return min(replaced.room, sum(pod.uid not in replaced.known for pod in live))

    def _count_young(self, now: Instant) -> int:
        """Count the pods that became Ready after they were to go, and are not healthy yet."""
        guarded = self._api.guarded
        assert guarded is not None
        young = 0
        for uid in frozenset[str]().union(*(one.unready for one in self._lowered)):
            pod = self._api.pods.get(uid)
            if pod is None or not pod.live or pod.ready_really is None or pod.owner is None:
                continue
            settling = settling_seconds(guarded.spec, self._api.sets[pod.owner].template)
            young += pod.ready_really > now + 1.0 - settling
        return young

    def _is_there(self, uid: str) -> bool:
        pod = self._api.pods.get(uid)
        return pod is not None and pod.live

    def _is_pending(self, lowered: Lowered) -> bool:
        """Whether it may still be written, or its ReplicaSet has not taken the pods yet."""
        rs = self._api.sets.get(lowered.uid)
        if rs is None:
            return False
        live = sum(pod.live for pod in self._api.pods_of(rs.uid))
        return rs.version == lowered.version or live > rs.size

    def _is_asked_for(self, look: Look) -> bool:
        """Whether people ask for another rollout (C1, C2, C3)."""
        return _is_asked_for(look)

    def _judge(self, look: Look, rollout: Rollout) -> None:
        recount = self._recount
        assert recount is not None, "a rollout began without the referee"
        assert not is_over(look.snapshot.guarded.status.memory, recount.rollout)
        now = look.decision.status.memory.rollout
        assert now is not None
        same = not is_over(look.decision.status.memory, rollout)
        if _is_interrupted(look, rollout):
            _expect(self._is_asked_for(look), "stopped though nobody asked for it", look)
            return
        recount.feed(look)
        if same:
            count = look.decision.status.memory.circuit_breaker.failure_count
            words = f"{count} failures counted, {recount.count} by the re-count (F7)"
            _expect(count == recount.count, words, look)
        tripped = not same or now.status in (RolloutStatus.FAILED, RolloutStatus.ROLLBACK_FAILED)
        completed = same and now.status in SUCCEEDED
        self._judge_end(look, recount, tripped=tripped, completed=completed)

    def _judge_end(self, look: Look, recount: Recount, *, tripped: bool, completed: bool) -> None:
        spec = look.snapshot.guarded.spec
        watching = spec.breaker.enable and not spec.paused
        late = watching and recount.late and not completed
        lost = recount.rollout.kind is RolloutKind.ROLLBACK and _is_lost(look, recount.rollout)
        self.seen["progress deadlines"] += late and not (recount.trips and watching)
        if watching and (recount.trips or late):
            _expect(
                tripped, f"no trip; re-count {recount.count}, late {recount.late} (T5, P1)", look
            )
        elif recount.alarms.fires and not spec.paused:
            _expect(tripped, "no trip, and an alarm fires (A1)", look)
        elif tripped:
            _expect(lost, f"a trip at {recount.count} failures of the re-count (T5)", look)


def find_harm(decision: Decision) -> list[str]:
    """Return what a decision does to a good revision: it counts, replaces a pod, or fails it."""
    rollout = decision.status.memory.rollout
    assert rollout is not None
    told = [f"a failure of a good revision is counted: {one}" for one in decision.failures]
    deleted = [one for one in decision.actions if isinstance(one, DeletePod)]
    told += [f"a pod of a good revision is replaced: {one.name} (F4)" for one in deleted]
    if rollout.status not in (*OPEN, *SUCCEEDED, RolloutStatus.STOPPED) or (
        rollout.kind is RolloutKind.ROLLBACK
    ):
        told.append(f"a good rollout fails: {rollout.message}")
    return told


def refuse(found: list[str]) -> None:
    """Take what was found for a counterexample.

    Raises:
        CounterexampleError: Something was.
    """
    if found:
        raise CounterexampleError("; ".join(found))


def _is_interrupted(look: Look, rollout: Rollout) -> bool:
    """Whether a person ended the rollout in this look (C2, C3) before it was watched."""
    now = look.decision.status.memory.rollout
    assert now is not None
    if not is_over(look.decision.status.memory, rollout):
        return now.status is RolloutStatus.STOPPED
    return now.kind is RolloutKind.DEPLOY or any(
        event.reason is EventReason.ROLLOUT_STOPPED for event in look.decision.events
    )


def _is_asked_for(look: Look) -> bool:
    """Whether a person ended the rollout (C2, C3, C4), or said what ends it (K1)."""
    snapshot = look.snapshot
    guarded, status = snapshot.guarded, snapshot.guarded.status
    desired = next(
        (r for r in status.memory.revisions if r.revision == status.memory.desired_revision), None
    )
    return (
        desired is None
        or desired.digest != guarded.spec.template.digest
        or guarded.stop != status.memory.observed_stop
        or guarded.retry not in (None, status.memory.observed_retry)
        or _ends_at_hook(look)
    )


def _ends_at_hook(look: Look) -> bool:
    guarded = look.snapshot.guarded
    assert guarded.status.memory.rollout is not None
    return any(
        hook.status == "AWAITING_ACTION"
        and (
            f"{hook.hook_id}/ROLLBACK" in (guarded.answers or "")
            or (hook.timeout_action == "ROLLBACK" and hook.expires_at <= look.now)
        )
        for hook in guarded.status.memory.rollout.hooks
    )


def _is_lost(look: Look, rollout: Rollout) -> bool:
    """B8: the ReplicaSet that was to be rolled back to is gone, and cannot be made again."""
    snapshot = look.snapshot
    record = next(
        (r for r in snapshot.guarded.status.memory.revisions if r.revision == rollout.revision),
        None,
    )
    assert record is not None
    there = any(rs.name == record.replica_set and not rs.deleting for rs in snapshot.replica_sets)
    return not there and record.digest != snapshot.guarded.spec.template.digest


def _expect(holds: bool, words: str, look: Look) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise CounterexampleError(words, look)
