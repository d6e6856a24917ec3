"""The referee's own count of failures, written from the rules alone.

It is naive on purpose: it never forgets a pod, keeps everything it has seen in plain dictionaries, and
takes the number of ended runs from the simulated kubelet's ledger, which knows what really happened,
instead of reading it off a status. It uses nothing of ``failures``, ``breaker`` or ``threshold``. It is
fed each look whose result was written (or had nothing to write), because only those have happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.sim.alarm_story import AlarmStory
from tests.sim.images import IN_TROUBLE, REGISTRY, find_error
from tests.sim.objects import RawPod
from tests.sim.operator import Look
from tripswitch.domain.values.memory import Memory, Rollout
from tripswitch.domain.values.pods import ContainerView, PodView
from tripswitch.domain.values.registries import PullError, PullTrouble
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import CURRENT
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import BreakerSpec, PolicyRule, Readiness, Spec, Template

OWN_FAULT = {
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
    "SignatureValidationFailed", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError", "PostStartHookError",
}  # fmt: skip
PULLS = {
    "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError",
    "SignatureValidationFailed", "RegistryUnavailable",
}  # fmt: skip
BLAMELESS_POD = {"Terminated", "NodeShutdown", "NodeLost", "Preempting", "OutOfcpu", "OutOfmemory",
                 "OutOfpods", "NodeAffinity", "UnexpectedAdmissionError"}  # fmt: skip
NOT_ITS_OWN = ("ContainerStatusUnknown", "Unknown", "RestartingAllContainers")
"""How the simulated kubelet ends containers of its own accord; it also does so with 143."""


@dataclass
class PodStory:
    """Everything seen of one pod in one rollout."""

    before: bool
    ended: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    """How many ends of each container could be seen at the look before."""
    waits: dict[str, int] = field(default_factory=dict)
    waiting_since: dict[str, Instant] = field(default_factory=dict)
    tried_before: dict[str, int | None] = field(default_factory=dict)
    """Attempts that do not count; None until they were read."""
    failed: bool = False
    late: bool = False
    healthy: bool = False


@dataclass(frozen=True)
class Mishap:
    """Failures that one look found, and what a policy may ask about them."""

    number: int
    reason: str
    container: str | None = None
    exit_code: int | None = None
    ignored: bool = False


class Recount:
    """The count of one rollout, and the clock of its progress."""

    def __init__(self, look: Look, rollout: Rollout) -> None:
        self.rollout = rollout
        self.count = 0
        self.trips = False
        self.late = False
        self.alarms = AlarmStory(rollout)
        self._stories: dict[str, PodStory] = {}
        self._paused_at: Instant | None = None
        self._held_at: Instant | None = None
        self._off = not look.snapshot.guarded.spec.breaker.enable
        self._mark = self._count_healthy(look)
        self._progressed_at = look.now
        self._before_launch = _waits_to_launch(look.decision.status.memory.rollout)
        if look.snapshot.guarded.spec.paused:
            self._paused_at = look.now
        elif not self._before_launch:
            self._run_clock(look)
            self.alarms.feed(look)
        if not self._is_all_new(look):
            self._take_as_seen(look, before=True)
        elif not self._off and self._paused_at is None:
            self._add(look)

    def feed(self, look: Look) -> None:
        """Take one more look of the same rollout."""
        spec = look.snapshot.guarded.spec
        self.alarms.fires = False
        if spec.paused:
            if self._paused_at is None and self._held_at is not None:
                self._progressed_at += max(0.0, look.now - max(self._held_at, self._progressed_at))
                self._held_at = None
            self._paused_at = look.now if self._paused_at is None else self._paused_at
            return
        if self._paused_at is not None:
            self._progressed_at += max(0.0, look.now - self._paused_at)
            self._paused_at = None
            self._take_as_seen(look, before=False)
        if self._before_launch and self._is_before_launch(look):
            return
        self.alarms.feed(look)
        if not spec.breaker.enable:
            self._off = True
        elif self._off:
            self._off = False
            self._stories.clear()
            self._take_as_seen(look, before=True)
        healthy = self._count_healthy(look)
        if healthy > self._mark:
            self._mark, self._progressed_at = healthy, max(look.now, self._progressed_at)
        self._run_clock(look)
        if not self._off:
            self._add(look)
        deadline = patience_in_all(spec, self._readiness(look))
        self.late = bool(deadline) and self._held_at is None
        self.late = self.late and has_run(self._find_start(look), look.now, look) >= deadline
        if self.late and (awaited := self._awaited(look)):
            self.late = any(pod.ready_since is None for pod in awaited)  # the others need no more
        if self.late and not self._off:
            self._prove_lateness(look, deadline)

    def _is_all_new(self, look: Look) -> bool:
        """F, G: whether the controller of a known workload has made all of these pods since the look before."""
        rs, known = find_set(look, self.rollout.revision), look.snapshot.guarded.status.memory
        protected = look.snapshot.protected
        if protected is None or protected.made_anew or known.rollout is None or rs is None:
            return False
        seen = any(record.replica_set == rs.name for record in known.revisions)
        return not seen and not self._mark

    def _is_before_launch(self, look: Look) -> bool:
        """K1: nothing is counted before PRE_SCALE_UP has been passed; then the clock begins anew."""
        now = look.decision.status.memory.rollout
        same = not is_over(look.decision.status.memory, self.rollout)
        self._before_launch = same and _waits_to_launch(now)
        if same and not self._before_launch and now is not None and now.hooks:
            self._progressed_at, self._held_at = max(look.now, self._progressed_at), None
            self._take_as_seen(look, before=True)
        return self._before_launch

    def _waits_at_hook(self, look: Look) -> bool:
        now = look.decision.status.memory.rollout
        same = not is_over(look.decision.status.memory, self.rollout)
        return same and now is not None and any(h.status == "AWAITING_ACTION" for h in now.hooks)

    def _bakes(self, look: Look) -> bool:
        """A3: whether the rollout is in its bake, in which the clock of P1 stands still."""
        now = look.decision.status.memory.rollout
        if now is None or now.bake is None or is_over(look.decision.status.memory, self.rollout):
            return False
        return now.bake.ends_at is None or look.now < now.bake.ends_at

    def _run_clock(self, look: Look) -> None:
        """P1: only while pods could become healthy and are not."""
        rs = find_set(look, self.rollout.revision)
        live = [] if rs is None else [pod for pod in rs.pods if pod.live]
        held = self._waits_at_hook(look) or self._bakes(look)
        if not held and self._is_awaited(look):
            if self._held_at is not None:
                self._progressed_at += max(0.0, look.now - max(self._held_at, self._progressed_at))
            self._held_at = None
        elif self._held_at is None:
            self._held_at = look.now
            whole = live and self._count_healthy(look) == len(live)
            if whole and not self._lacks_pods(look):
                self._progressed_at = max(look.now, self._progressed_at)

    def _is_awaited(self, look: Look) -> bool:
        rs, error, spec = (
            find_set(look, self.rollout.revision),
            look.snapshot.create_error,
            look.snapshot.guarded.spec,
        )
        if rs is None:
            return (
                error is not None and error.digest == spec.template.digest and not error.name_taken
            )
        unnoticed = rs.counted is not None and rs.counted > sum(pod.live for pod in rs.pods)
        replaced = rs.observed and not unnoticed and self._lacks_pods(look)
        return replaced or bool(rs.create_error or self._awaited(look))

    def _lacks_pods(self, look: Look) -> bool:
        """Whether there are pods that failed as a whole, and none in their place."""
        rs = find_set(look, self.rollout.revision)
        if rs is None:
            return False
        live = sum(pod.live for pod in rs.pods)
        braked = {one.replica_set: one.size for one in self._memory(look).storms}
        size = live if rs.deleting else braked.get(rs.name, rs.size)  # R8
        return live < size and any(pod.phase in ("Failed", "Succeeded") for pod in rs.pods)

    def _awaited(self, look: Look) -> list[PodView]:
        spec = look.snapshot.guarded.spec
        rs = find_set(look, self.rollout.revision)
        pods = () if rs is None else rs.pods
        return [
            pod
            for pod in pods
            if rs is not None
            and pod.live
            and pod.scheduled
            and not is_healthy(pod, rs, spec, look.now)
        ]

    def _find_start(self, look: Look) -> Instant:
        """P1, F5: of a revision that never failed, pods in the place of ones that were taken away have all of it."""
        rs = find_set(look, self.rollout.revision)
        records = look.decision.status.memory.revisions
        failed = any(r.failed_tasks for r in records if r.revision == self.rollout.revision)
        if rs is None or failed or any(pod.phase in ("Failed", "Succeeded") for pod in rs.pods):
            return self._progressed_at
        created = [pod.created_at for pod in self._awaited(look)]
        return max(self._progressed_at, min(created, default=0.0))

    def _prove_lateness(self, look: Look, deadline: int) -> None:
        """V1, V3: not without a fresh view, and not because of dead nodes alone."""
        if find_set(look, self.rollout.revision) is None:
            return
        since = self._find_start(look)
        nodes = [pod.node for pod in self._awaited(look)] or [""]
        if any(is_telling(look, node, since, deadline) for node in nodes):
            return
        self.late = False
        stories = [NodeStory(look, node) for node in nodes if node]
        lost = [one.dead and has_run(since, one.looked_at, look) >= deadline for one in stories]
        if stories and all(lost):
            self._progressed_at = max(look.now, self._progressed_at)

    def _add(self, look: Look) -> None:
        spec = look.snapshot.guarded.spec
        new, at_once, reset = 0, False, False
        for raw, view in self._pods(look):
            story = self._stories.setdefault(raw.uid, PodStory(before=False))
            was_healthy, found = story.healthy, 0
            for mishap in self._see(story, raw, view, look):
                verdict = judge(mishap, spec.breaker.policy)
                if mishap.reason in PULLS and self._excuses(look, mishap):
                    continue  # F10, D3
                if raw.deleting or raw.disrupted or verdict == "Ignore":
                    continue
                found += mishap.number
                at_once = at_once or verdict == "FailNow"
            becomes_healthy = story.healthy and not was_healthy and not story.before
            resets = becomes_healthy and spec.breaker.reset_on_healthy_task
            reset = reset or resets
            new += 0 if resets else found  # its own failures came before
        if reset:
            self.count = 0
        self.count += new
        self.trips = at_once or self.count >= threshold(spec.breaker, spec.replicas)

    def _excuses(self, look: Look, mishap: Mishap) -> bool:
        """F10, and D3: a digest that was dropped because the registry does not have it."""
        records = look.decision.status.memory.revisions
        record = next((r for r in records if r.revision == self.rollout.revision), None)
        dropped = record is not None and any(
            one.container == mishap.container and one.digest is None
            for one in record.container_images
            if one.note == "ImageDigestNotFound"
        )
        return self.rollout.kind == "ROLLBACK" or dropped

    def _take_as_seen(self, look: Look, *, before: bool) -> None:
        """What there is now is nothing new later: deadlines that have passed, attempts until now."""
        snapshot = replace(look.snapshot, sight=CURRENT)
        seen = replace(look, snapshot=snapshot)
        for raw, view in self._pods(look):
            story = self._stories.setdefault(raw.uid, PodStory(before=before))
            self._see(story, raw, view, seen)
            for name in story.waiting_since:
                story.waiting_since[name] = look.now
                story.tried_before[name] = None

    def _pods(self, look: Look) -> list[tuple[RawPod, PodView]]:
        rs = find_set(look, self.rollout.revision)
        return [] if rs is None else [(look.raws[view.uid], view) for view in rs.pods]

    def _readiness(self, look: Look) -> Readiness:
        rs = find_set(look, self.rollout.revision)
        wanted = look.snapshot.guarded.spec.template
        return (wanted if rs is None else rs.template).readiness

    def _memory(self, look: Look) -> Memory:
        """What was written when the pods of this rollout were looked at."""
        before = look.snapshot.guarded.status.memory
        return look.decision.status.memory if is_over(before, self.rollout) else before

    def _count_healthy(self, look: Look) -> int:
        rs = find_set(look, self.rollout.revision)
        if rs is None:
            return 0
        spec = look.snapshot.guarded.spec
        return count_healthy(rs, spec, look.now)

    def _see(self, story: PodStory, raw: RawPod, view: PodView, look: Look) -> list[Mishap]:
        """Bring a pod's story up to date; return what is new in it."""
        new = []
        evicted = raw.phase == "Failed" and bool(raw.reason)
        for one, ended in zip(raw.containers, raw.ledger, strict=True):
            new += [] if evicted else _ended_runs(story, raw, one, ended, look)
            new += [] if evicted else _cannot_start(story, raw, one, ended, look)
            story.ended[one.name] = max(ended, story.ended.get(one.name, 0))
        any_counted = any(story.ended.values()) or any(story.waits.values())
        if raw.phase == "Failed" and not story.failed and (evicted or not any_counted):
            mishap = _pod_failed(raw)
            policy = look.snapshot.guarded.spec.breaker.policy
            spared = raw.deleting or raw.disrupted or judge(mishap, policy) == "Ignore"
            # What is ignored leaves no mark (F7): another policy would judge it anew.
            story.failed = not (evicted and spared)
            new.append(mishap)
        rs = find_set(look, self.rollout.revision)
        assert rs is not None
        spec = look.snapshot.guarded.spec
        experience = _recall(self._memory(look), self.rollout.revision)
        patience = _find_patience(view, rs, spec, experience)
        if not story.late and patience is not None and _is_proved(look, view, *patience):
            story.late = True
            new.append(Mishap(1, "NotReadyInTime"))
        story.healthy = story.healthy or is_healthy(view, rs, spec, look.now)
        return new


def _waits_to_launch(rollout: Rollout | None) -> bool:
    """K1: whether a hook holds a rollout before its first pod, or a pause before its hooks."""
    return rollout is not None and rollout.lifecycle_stage == "PRE_SCALE_UP"


def has_run(since: Instant, until: Instant, look: Look) -> float:
    """V2: for how many seconds a clock has run, that stands still in an outage."""
    stood = sum(
        max(0.0, min(until, one.ended) - max(since, one.began))
        for one in look.snapshot.sight.standstills
    )
    return round(until - since - stood, 3)


def is_silent(look: Look) -> bool:
    """V2: whether the pods were read in a time in which kubelets had not reported again."""
    sight = look.snapshot.sight
    return any(one.began <= sight.as_of < one.ended for one in sight.standstills)


def find_set(look: Look, revision: int) -> ReplicaSetView | None:
    """Return the ReplicaSet of a revision of the written status."""
    record = next(
        (r for r in look.decision.status.memory.revisions if r.revision == revision), None
    )
    return next(
        (
            rs
            for rs in look.snapshot.replica_sets
            if record is not None and rs.name == record.replica_set and not rs.deleting
        ),
        None,
    )


def threshold(breaker: BreakerSpec, replicas: int) -> int:
    """T1 to T3."""
    if breaker.threshold_type == "COUNT":
        return breaker.threshold_value
    share = (breaker.threshold_value * replicas + 99) // 100
    if breaker.threshold_type == "UNBOUNDED_PERCENT":
        return max(1, share)
    return sorted((3, share, 200))[1]


def judge(mishap: Mishap, rules: tuple[PolicyRule, ...]) -> str:
    """F6 on top of F5."""
    for rule in rules:
        fits = not rule.reasons or mishap.reason in rule.reasons
        fits = fits and rule.container in (None, mishap.container)
        if rule.exit_codes:
            listed = mishap.exit_code in rule.exit_codes
            fits = fits and mishap.exit_code is not None and listed != rule.exit_codes_negated
        if fits:
            return str(rule.action)
    return "Ignore" if mishap.ignored else "Count"


def count_healthy(rs: ReplicaSetView, spec: Spec, now: Instant) -> int:
    """H1: how many pods are healthy."""
    return sum(is_healthy(view, rs, spec, now) for view in rs.pods)


def is_healthy(view: PodView, rs: ReplicaSetView, spec: Spec, now: Instant) -> bool:
    """H1: Ready for long enough, in no crash loop, and one pod of the revision ran for 10 s."""
    if not _seems_healthy(view, rs, spec, now):
        return False
    proved = any(_seems_healthy(one, rs, spec, now) and _ran_for(one, 10, now) for one in rs.pods)
    return proved or spec.min_ready_seconds is not None


def _seems_healthy(view: PodView, rs: ReplicaSetView, spec: Spec, now: Instant) -> bool:
    since = view.ready_since
    if not view.live or since is None or now < since + settling_seconds(spec, rs.template):
        return False
    for one in view.containers:
        last = one.last_ended
        if one.role == "init" or one.running_since is None or last is None or last.seconds >= 600:
            continue
        if _ended_for_others(view, one, last.reason):
            continue
        if now < one.running_since + last.seconds + 1:
            return False
    return True


def _ended_for_others(view: PodView, one: ContainerView, reason: str) -> bool:
    """Each end of a container may be the doing of a new sandbox, a reboot or a resize."""
    if one.restarts == 0:
        return False
    inits = [
        init.restarts
        for init in view.containers
        if init.role == "init" and (init.last_ended is None or init.last_ended.exit_code == 0)
    ]
    resizes = view.generation - 1 if one.resize_restarts and reason in ("Error", "Completed") else 0
    lost = reason in ("ContainerStatusUnknown", "Unknown")
    return one.restarts <= max([0, *inits, 1 if lost else resizes])


def _ran_for(view: PodView, seconds: int, now: Instant) -> bool:
    since = [one.running_since for one in view.containers if one.role != "init"]
    return all(one is None or now >= one + seconds for one in since)


def patience_in_all(spec: Spec, readiness: Readiness) -> int:
    """P1 and P2: the progress deadline; 0 for none. No startup probe here takes more than 600 s."""
    deadline = 600 if spec.progress_deadline is None else spec.progress_deadline
    given, probed = spec.min_ready_seconds, readiness.all_probed
    settling = given if given is not None else 10 if probed else 40
    return deadline + settling if 0 < deadline <= settling else deadline


def settling_seconds(spec: Spec, template: Template) -> int:
    """H1: for how long a pod has to be Ready."""
    if spec.min_ready_seconds is not None:
        return spec.min_ready_seconds
    return 0 if template.readiness.all_probed else 40


def _ended_runs(
    story: PodStory, raw: RawPod, one: ContainerView, ended: int, look: Look
) -> list[Mishap]:
    """F1: every end that the ledger has and the story has not."""
    new = ended - story.ended.get(one.name, 0)
    there = one.restarts + (one.ended is not None)
    unseen = there - story.shown.get(one.name, 0) - 1
    story.shown[one.name] = max(there, story.shown.get(one.name, 0))
    if unseen > 0:
        # Of ends that are seen together only the last can be judged: the earlier ones count (F1), also those
        # that were the node's doing, which nothing but the ledger knows. Where an init container has run again and
        # succeeded, all of them may have been (a new sandbox), and none counts.
        told = sum(
            one_of_them.count
            for one_of_them in look.decision.failures
            if one_of_them.pod == raw.name and one_of_them.cause.container == one.name
        )
        most = max(0, new) + unseen
        again = any(other.role == "init" and other.restarts for other in raw.containers)
        new = told if (0 if again else new) <= told <= most else new
    if new <= 0:
        return []
    last = one.ended or one.last_ended
    assert last is not None
    if one.role == "init" and one.ended is not None and one.ended.exit_code == 0:
        last = one.last_ended or last  # it succeeded in the end; what counts came before
    if last.reason in NOT_ITS_OWN or last.exit_code == 143:
        return [Mishap(new, "Error", one.name)]  # what counts came before, and cannot be seen
    return [Mishap(new, last.reason, one.name, last.exit_code)]


def _cannot_start(
    story: PodStory, raw: RawPod, one: ContainerView, ended: int, look: Look
) -> list[Mishap]:
    """F2: once at once, then for each attempt that the events tell of."""
    known = story.waits.get(one.name, 0)
    late_cache = "failed to sync" in one.message and "cache" in one.message
    if one.waiting not in OWN_FAULT or ended or one.last_ended is not None or late_cache:
        story.waiting_since.pop(one.name, None)
        return []
    number, sight = max(1, known), look.snapshot.sight
    since = story.waiting_since.get(one.name)
    if since is not None and sight.events is not None and sight.as_of > since:
        told = [e.count for e in sight.events if (e.pod, e.container) == (raw.uid, one.name)]
        tried = sum(told)
        before = story.tried_before.get(one.name, 0)
        if before is None or before < 0:
            before = story.tried_before[one.name] = tried - number
        number = max(number, tried - before)
    story.waiting_since.setdefault(one.name, look.now)
    story.waits[one.name] = number
    if number <= known:
        return []
    error = find_error(one.message)
    if error in IN_TROUBLE:  # F8
        return [Mishap(number - known, "RegistryUnavailable", one.name, ignored=True)]
    excused = error is not None and is_shared(error, look)
    return [Mishap(number - known, one.waiting, one.name, ignored=excused)]


def is_shared(error: PullError, look: Look) -> bool:
    """F9, F8: whether pods of a completed revision suffer, too, or one has proved that the host exists."""
    records = look.snapshot.guarded.status.memory.revisions
    after = look.decision.status.memory.revisions
    if error is PullError.NO_SUCH_HOST and any(r.completed_at is not None for r in after):
        return True
    completed = {r.replica_set for r in records if r.completed_at is not None}
    own = any(
        find_error(one.message) is error and one.waiting in ("ErrImagePull", "ImagePullBackOff")
        for rs in look.snapshot.replica_sets
        if rs.name in completed
        for view in rs.pods
        if view.live
        for one in look.raws[view.uid].containers
    )
    return own or PullTrouble(REGISTRY, error) in look.neighbours


def _pod_failed(raw: RawPod) -> Mishap:
    """F3 and F5: the whole pod."""
    by_node = raw.reason == "Evicted" and "node was low" in raw.message
    blameless = raw.reason in BLAMELESS_POD or by_node or raw.reason.startswith("OutOf")
    reason = "OutOfResource" if "/" in raw.reason else raw.reason
    return Mishap(1, reason, ignored=blameless)


def _recall(memory: Memory, target: int) -> int | None:
    """F4: how long the pods of the last completed revision took, or those of the target before."""
    known = [
        record.ready_seconds
        for record in memory.revisions
        if record.completed_at is not None
        and record.ready_seconds is not None
        and record.revision in (target, memory.last_completed_revision)
    ]
    return max(known, default=None)


def _find_patience(
    view: PodView, rs: ReplicaSetView, spec: Spec, experience: int | None
) -> tuple[Instant, float] | None:
    """F4: since when, and for how long, a pod that is RUNNING may go on not to be Ready."""
    lasting = [one for one in view.containers if one.role != "init"]
    if view.phase != "Running" or not view.live or view.ready_since is not None:
        return None
    if view.unready_by_node or not all(one.started for one in lasting):
        return None
    began = max(one.started_since or 0.0 for one in lasting)
    grace, budget = spec.health_check_grace_period, rs.template.readiness.budget
    if view.unready_since is not None and view.unready_since >= began:
        lost = view.unready_since
        return lost, max(budget, 60, began + grace - lost)
    shown = 300 if experience is None else 3 * experience
    return began, grace + max(60, budget, shown)


class NodeStory:
    """V3: everything that was read about one node, told anew from the beginning."""

    def __init__(self, look: Look, node: str) -> None:
        self.looked_at = self.shown_at = self.alive_at = -1.0
        """When it was looked at last, what it said then was new, and it surely lived."""
        self.dead = False
        renewed: Instant | None = None
        for one in look.answers:
            if node not in one.leases:
                continue
            read, gap = one.leases[node], one.as_of - self.looked_at
            if read is None:
                self.shown_at = self.alive_at = one.as_of
                self.dead = node in one.unready
            elif renewed is None:
                self.shown_at = one.as_of
                self.dead = node in one.unready
            elif read != renewed:
                if 0 < read - renewed <= max(10, gap) + 5:
                    self.alive_at = self.looked_at
                self.shown_at = one.as_of
                self.dead = node in one.unready
            elif one.as_of - self.shown_at > 20:
                self.dead = True
            self.looked_at, renewed = one.as_of, read


def is_telling(look: Look, node: str, since: Instant, seconds: float) -> bool:
    """V1 to V3: whether silence means something, about a deadline that passed."""
    sight = look.snapshot.sight
    if is_silent(look) or has_run(since, min(look.now, sight.as_of), look) < round(seconds, 3):
        return False
    if not node or sight.lives is None:
        return True
    story = NodeStory(look, node)
    lived = has_run(since, story.alive_at, look) >= round(seconds, 3)
    return lived and not story.dead and sight.as_of >= story.shown_at


def _is_proved(look: Look, view: PodView, since: Instant, patience: float) -> bool:
    """F4: the deadline has passed, and the pod was really silent by then."""
    return is_telling(look, view.node, since, patience)


def is_over(before: Memory, rollout: Rollout) -> bool:
    """Whether another rollout has taken the place of this one."""
    now = before.rollout
    return now is None or (now.revision, now.started_at) != (rollout.revision, rollout.started_at)
