"""One look of the Deployment controller, as Kubernetes 1.36 does it (``pkg/controller/deployment``).

``tests/oracle`` has Kubernetes' own code answer the same questions; ``test_workload_controllers.py``
compares. The controller decides from a view that may be old. Each write carries the version that it was
decided on, so a write from an old view is refused, and the controller looks again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Protocol

from tests.sim.api import AlreadyExistsError, RefusedError
from tests.sim.objects import (
    Deployed,
    DeploymentStatus,
    Notes,
    RawCondition,
    RawDeployment,
    RawSet,
)
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Amount, RollingUpdate

PROGRESSING, AVAILABLE, FAILURE = "Progressing", "Available", "ReplicaFailure"
TIMED_OUT, PAUSED, RESUMED = "ProgressDeadlineExceeded", "DeploymentPaused", "DeploymentResumed"
FOUND, NEW, WHOLE = "FoundNewReplicaSet", "NewReplicaSetCreated", "NewReplicaSetAvailable"
NEWER, NOT_MADE = "ReplicaSetUpdated", "ReplicaSetCreateError"


class Cluster(Protocol):
    """What the controller writes with. Each method may raise an error of :mod:`tests.sim.api`."""

    def write_status(self, one: RawDeployment) -> object: ...
    def create_set(self, rs: RawSet) -> RawSet: ...
    def write_set(self, rs: RawSet) -> RawSet: ...
    def remove_set(self, rs: RawSet) -> object: ...
    def find_set(self, name: str) -> RawSet | None: ...


@dataclass(frozen=True, slots=True)
class Pod:
    """What the controller has to know of a pod: the UID of its ReplicaSet, and whether it has ended."""

    owner: str
    over: bool


def deployed(rs: RawSet) -> Deployed:
    """Return what only a Deployment's ReplicaSet has."""
    assert rs.deployed is not None
    return rs.deployed


def surge_of(one: RawDeployment) -> int:
    """Return maxSurge as pods, rounded up."""
    return _resolve(one)[0]


def unavailable_of(one: RawDeployment) -> int:
    """Return maxUnavailable as pods, rounded down; 1 if nothing could move otherwise."""
    if not isinstance(one.strategy, RollingUpdate) or not one.replicas:
        return 0
    return min(_resolve(one)[1], one.replicas)


def _resolve(one: RawDeployment) -> tuple[int, int]:
    if not isinstance(one.strategy, RollingUpdate):
        return 0, 0
    surge = _scale(one.strategy.max_surge, one.replicas, up=True)
    unavailable = _scale(one.strategy.max_unavailable, one.replicas, up=False)
    return surge, unavailable if surge or unavailable else 1


def _scale(amount: Amount, replicas: int, *, up: bool) -> int:
    if not amount.percent:
        return amount.value
    exact = amount.value * replicas / 100
    return math.ceil(exact) if up else math.floor(exact)


def find_condition(conditions: Iterable[RawCondition], kind: str) -> RawCondition | None:
    """Return the condition of a type."""
    return next((one for one in conditions if one.type == kind), None)


def _age(rs: RawSet) -> tuple[Instant, str]:
    return rs.created, rs.name


def _active(sets: Iterable[RawSet | None]) -> list[RawSet]:
    return [rs for rs in sets if rs is not None and rs.size > 0]


def sync(
    cluster: Cluster, one: RawDeployment, sets: Sequence[RawSet], pods: Sequence[Pod], now: Instant
) -> float | None:
    """Look at a Deployment once; return in how many seconds to look again, if at all.

    Raises:
        ApiError: A write was not done; it is to be looked at again soon.
    """
    return _Look(cluster, one, sets, pods, now).run()


class _Look:
    """``_one`` is the controller's own copy: what it wrote of it is in it, but not the new version."""

    def __init__(
        self,
        cluster: Cluster,
        one: RawDeployment,
        sets: Sequence[RawSet],
        pods: Sequence[Pod],
        now: Instant,
    ) -> None:
        self._cluster = cluster
        self._one = one
        self._sets = sorted(sets, key=_age)
        self._pods = pods
        self._now = float(math.floor(now))
        self._new: RawSet | None = None
        self._old: list[RawSet] = []

    def run(self) -> float | None:
        self._check_paused()
        if self._one.paused:
            return self._sync()
        self._find_revisions(create=False)
        if any(
            deployed(rs).desired not in (None, self._one.replicas)
            for rs in _active([*self._old, self._new])
        ):
            return self._sync()
        if isinstance(self._one.strategy, RollingUpdate):
            return self._roll()
        return self._recreate()

    # Revisions -----------------------------------------------------------------------------------

    def _find_revisions(self, *, create: bool) -> None:
        same = (rs for rs in self._sets if rs.template.digest == self._one.template.digest)
        found = next(same, None)
        self._old = [rs for rs in self._sets if found is None or rs.uid != found.uid]
        number = max((rs.revision for rs in self._old), default=0) + 1
        if found is not None:
            self._new = self._take(found, number)
        elif create:
            self._new = self._create(number)
        else:
            self._new = None

    def _take(self, rs: RawSet, number: int) -> RawSet:
        one = self._one
        after = self._annotate(rs, number)
        if deployed(after).min_ready != one.min_ready:
            after = _with(after, min_ready=one.min_ready)
        if after != rs:
            return self._cluster.write_set(
                after
            )  # the next search in this look begins from the old view
        changed = one.revision != str(rs.revision)
        self._one = replace(one, revision=str(rs.revision))
        if one.deadline is not None and self._progressing is None:
            self._set(PROGRESSING, "True", FOUND, f'Found new replica set "{rs.name}"')
            changed = True
        if changed:
            self._cluster.write_status(self._one)
        return rs

    def _annotate(self, rs: RawSet, number: int) -> RawSet:
        notes = _copy_notes(self._one.notes, deployed(rs).notes)
        rs = _with(rs, notes=notes)
        if not rs.revision < number:
            return rs
        if rs.revision:
            known = deployed(rs).history
            rs = _with(rs, history=",".join([*filter(None, (known,)), str(rs.revision)]))
        return replace(rs, revision=number)

    def _create(self, number: int) -> RawSet | None:
        one = self._one
        ending = hash_template(one.template.digest, one.status.collisions)
        made = RawSet(
            name=f"{one.name}-{ending}",
            uid="",
            guard=one.uid,
            revision=0,
            template=one.template,
            size=0,
            created=self._now,
            deployed=Deployed(one.name, ending, one.min_ready),
        )
        made = replace(made, size=self._count_new(made, [*self._old, made]))
        made = self._annotate(made, number)
        made = _with(made, desired=one.replicas, most=one.replicas + surge_of(one))
        exists = False
        try:
            made = self._cluster.create_set(made)
        except AlreadyExistsError:
            exists = True
            found = self._cluster.find_set(made.name)
            if found is None:
                raise
            if found.guard != one.uid or found.template.digest != one.template.digest:
                collisions = (one.status.collisions or 0) + 1
                self._one = replace(one, status=replace(one.status, collisions=collisions))
                self._cluster.write_status(self._one)
                raise
            made = found
        except RefusedError as error:
            if one.deadline is not None:
                words = f'Failed to create new replica set "{made.name}": {error}'
                self._set(PROGRESSING, "False", NOT_MADE, words)
                self._cluster.write_status(self._one)
            raise
        changed = one.revision != str(number)
        self._one = replace(one, revision=str(number))
        if not exists and one.deadline is not None:
            self._set(PROGRESSING, "True", NEW, f'Created new replica set "{made.name}"')
            changed = True
        if changed:
            self._cluster.write_status(self._one)
        return made

    # Sizes ---------------------------------------------------------------------------------------

    def _sync(self) -> float | None:
        """Only scale; what a paused Deployment gets, and one whose ``replicas`` have changed."""
        self._find_revisions(create=False)
        self._scale_all()
        if self._one.paused:
            self._clean_up()
        status = self._compute_status()
        if status != self._one.status:
            self._cluster.write_status(replace(self._one, status=status))
        return None

    def _scale_all(self) -> None:
        self._old.sort(key=_age, reverse=True)
        active, wanted = _active([*self._old, self._new]), self._one.replicas
        if len(active) < 2:
            one = next(iter([*active, *filter(None, (self._new,)), *self._old]), None)
            if one is not None and one.size != wanted:
                self._resize(one, wanted)
            return
        if self._is_saturated():
            for rs in _active(self._old):
                self._resize(rs, 0)
            return
        if isinstance(self._one.strategy, RollingUpdate):
            self._scale_in_proportion(active)

    def _is_saturated(self) -> bool:
        rs, wanted = self._new, self._one.replicas
        return (
            rs is not None and rs.size == deployed(rs).desired == deployed(rs).available == wanted
        )

    def _scale_in_proportion(self, active: list[RawSet]) -> None:
        allowed = self._one.replicas + surge_of(self._one) if self._one.replicas else 0
        to_add = allowed - sum(rs.size for rs in active)
        if to_add:
            active.sort(key=_age, reverse=to_add > 0)
            active.sort(key=lambda rs: -rs.size)
        sizes, added = {}, 0
        for rs in active:
            share = self._find_share(rs, to_add, added)
            sizes[rs.name] = rs.size + share
            added += share
        for number, rs in enumerate(active):
            if not number and to_add:
                sizes[rs.name] = max(0, sizes[rs.name] + to_add - added)
            self._resize(rs, sizes[rs.name], always=True)

    def _find_share(self, rs: RawSet, to_add: int, added: int) -> int:
        if not to_add or to_add == added:
            return 0
        share, left = self._find_fraction(rs), to_add - added
        return min(share, left) if to_add > 0 else max(share, left)

    def _find_fraction(self, rs: RawSet) -> int:
        one = self._one
        if not one.replicas:
            return -rs.size
        before = deployed(rs).most or one.status.replicas
        if not before:
            return 0
        exact = rs.size * (one.replicas + surge_of(one)) / before
        return math.floor(exact + 0.5) - rs.size

    def _resize(self, rs: RawSet, size: int, *, always: bool = False) -> RawSet:
        one = self._one
        if not always and rs.size == size:
            return rs
        after = replace(rs, size=size)
        after = _with(after, desired=one.replicas, most=one.replicas + surge_of(one))
        return rs if after == rs else self._cluster.write_set(after)

    def _roll(self) -> float | None:
        self._find_revisions(create=True)
        new = self._new
        assert new is not None
        if new.size > self._one.replicas:
            moved = self._resize(new, self._one.replicas) != new
        else:
            moved = self._resize(new, self._count_new(new, [*self._old, new])) != new
        if not moved and not self._lower_old(new) and self._is_complete(self._one.status):
            self._clean_up()
        return self._report()

    def _count_new(self, new: RawSet, everything: Sequence[RawSet]) -> int:
        one = self._one
        if not isinstance(one.strategy, RollingUpdate):
            return one.replicas
        room = one.replicas + surge_of(one) - sum(rs.size for rs in everything)
        return new.size if room <= 0 else new.size + min(room, one.replicas - new.size)

    def _lower_old(self, new: RawSet) -> bool:
        old = sorted(_active(self._old), key=_age)
        if not old:
            return False
        least = self._one.replicas - unavailable_of(self._one)
        missing = new.size - deployed(new).available
        most = sum(rs.size for rs in [*old, new]) - least - missing
        if most <= 0:
            return False
        cleaned = 0
        for number, rs in enumerate(old):
            if cleaned < most and rs.size > deployed(rs).available:
                count = min(most - cleaned, rs.size - deployed(rs).available)
                old[number] = self._resize(rs, rs.size - count)
                cleaned += count
        spare = sum(deployed(rs).available for rs in [*old, new]) - least
        lowered = 0
        for rs in old:
            if lowered < spare and rs.size:
                count = min(rs.size, spare - lowered)
                self._resize(rs, rs.size - count)
                lowered += count
        return cleaned + lowered > 0

    def _recreate(self) -> float | None:
        self._find_revisions(create=False)
        active = _active(self._old)
        for rs in active:
            self._resize(rs, 0)
        if active or self._has_old_pods():
            return self._report()
        if self._new is None:
            self._find_revisions(create=True)
        assert self._new is not None
        self._resize(self._new, self._one.replicas)
        if self._is_complete(self._one.status):
            self._clean_up()
        return self._report()

    def _has_old_pods(self) -> bool:
        new = None if self._new is None else self._new.uid
        return any(rs.seen_live > 0 for rs in self._old) or any(
            pod.owner != new and not pod.over for pod in self._pods
        )

    def _clean_up(self) -> None:
        old = sorted((rs for rs in self._old if not rs.deleting), key=lambda rs: rs.revision)
        for rs in old[: max(0, len(old) - self._one.history_limit)]:
            told = deployed(rs)
            if not rs.seen_live and not rs.size and told.generation <= told.observed:
                self._cluster.remove_set(rs)

    # Status --------------------------------------------------------------------------------------

    @property
    def _progressing(self) -> RawCondition | None:
        return find_condition(self._one.status.conditions, PROGRESSING)

    def _check_paused(self) -> None:
        one, known = self._one, self._progressing
        if one.deadline is None or (known is not None and known.reason == TIMED_OUT):
            return
        told = known is not None and known.reason == PAUSED
        if one.paused is told:
            return
        words = "paused" if one.paused else "resumed"
        reason = PAUSED if one.paused else RESUMED
        self._set(PROGRESSING, "Unknown", reason, f"Deployment is {words}")
        self._cluster.write_status(self._one)

    def _set(self, kind: str, status: str, reason: str, message: str) -> None:
        made = RawCondition(kind, status, reason, message, self._now, self._now)
        known = self._one.status
        conditions = set_condition(known.conditions, made)
        self._one = replace(self._one, status=replace(known, conditions=conditions))

    def _compute_status(self) -> DeploymentStatus:
        one = self._one
        everything = [*self._old, *([] if self._new is None else [self._new])]
        available = sum(deployed(rs).available for rs in everything)
        enough = available >= one.replicas - unavailable_of(one)
        told = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if not enough:
            told = (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        condition = RawCondition(AVAILABLE, *told, self._now, self._now)
        return DeploymentStatus(
            observed=one.generation,
            replicas=sum(rs.seen_live for rs in everything),
            updated=0 if self._new is None else self._new.seen_live,
            ready=sum(rs.seen_ready for rs in everything),
            available=available,
            unavailable=max(0, sum(rs.size for rs in everything) - available),
            collisions=one.status.collisions,
            conditions=set_condition(one.status.conditions, condition),
        )

    def _is_complete(self, status: DeploymentStatus) -> bool:
        counts = {status.updated, status.replicas, status.available}
        return counts == {self._one.replicas} and status.observed >= self._one.generation

    def _report(self) -> float | None:
        one, known = self._one, self._progressing
        status = self._compute_status()
        if one.deadline is None:
            status = _without(status, PROGRESSING)
        whole = status.replicas == status.updated and known is not None and known.reason == WHOLE
        if one.deadline is not None and not whole:
            status = self._judge_progress(status, known)
        failure = next((rs for rs in [self._new, *self._old] if rs and rs.create_error), None)
        if failure is not None:
            told = (FAILURE, "True", "FailedCreate", failure.create_error, self._now, self._now)
            conditions = set_condition(status.conditions, RawCondition(*told))
            status = replace(status, conditions=conditions)
        else:
            status = _without(status, FAILURE)
        if status != one.status:
            self._cluster.write_status(replace(one, status=status))
            return None
        if one.deadline is None or known is None or known.reason == TIMED_OUT:
            return None
        if self._is_complete(status):
            return None
        return max(1.0, known.updated + one.deadline - self._now + 1.0)

    def _judge_progress(
        self, status: DeploymentStatus, known: RawCondition | None
    ) -> DeploymentStatus:
        one, before = self._one, self._one.status
        name = f'Deployment "{one.name}"' if self._new is None else f'ReplicaSet "{self._new.name}"'
        if self._is_complete(status):
            told = ("True", WHOLE, f"{name} has successfully progressed.")
        elif (
            status.updated > before.updated
            or status.replicas - status.updated < before.replicas - before.updated
            or status.ready > before.ready
            or status.available > before.available
        ):
            told = ("True", NEWER, f"{name} is progressing.")
            made = RawCondition(PROGRESSING, *told, self._now, self._now)
            if known is not None and known.status == "True":
                made = replace(made, changed=known.changed)
            status = _without(status, PROGRESSING)
            return replace(status, conditions=set_condition(status.conditions, made))
        elif self._is_timed_out(known):
            told = ("False", TIMED_OUT, f"{name} has timed out progressing.")
        else:
            return status
        made = RawCondition(PROGRESSING, *told, self._now, self._now)
        return replace(status, conditions=set_condition(status.conditions, made))

    def _is_timed_out(self, known: RawCondition | None) -> bool:
        if known is None or known.reason == WHOLE:
            return False
        assert self._one.deadline is not None
        return known.reason == TIMED_OUT or known.updated + self._one.deadline < self._now


def set_condition(
    conditions: tuple[RawCondition, ...], made: RawCondition
) -> tuple[RawCondition, ...]:
    """Return conditions with one set; one with the same status and reason stays as it is."""
    known = find_condition(conditions, made.type)
    if known is not None and (known.status, known.reason) == (made.status, made.reason):
        return conditions
    if known is not None and known.status == made.status:
        made = replace(made, changed=known.changed)
    return (*(one for one in conditions if one.type != made.type), made)


def hash_template(digest: str, collisions: int | None) -> str:
    """Return the ``pod-template-hash`` of a template; another one after a collision.

    >>> hash_template("a", None) == hash_template("a", 1)
    False
    """
    return sha256(f"{digest} {collisions or ''}".encode()).hexdigest()[:10]


def _with(rs: RawSet, **changes: Any) -> RawSet:
    return replace(rs, deployed=replace(deployed(rs), **changes))


def _copy_notes(given: Notes, known: Notes) -> Notes:
    """A Deployment's annotations are copied, and stay on the ReplicaSet when they are gone there."""
    return tuple(sorted({**dict(known), **dict(given)}.items()))


def _without(status: DeploymentStatus, kind: str) -> DeploymentStatus:
    conditions = tuple(one for one in status.conditions if one.type != kind)
    return replace(status, conditions=conditions)
