"""Revisions: their numbers and names, which one is wanted, which may be rolled back to, which go.

A revision is one pod template: one ReplicaSet and one number, for as long as history remembers it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

from tripswitch.domain.rules.health import Experience
from tripswitch.domain.rules.pins import recall
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.pods import OVER
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.report import RevisionReport
from tripswitch.domain.values.states import RolloutState
from tripswitch.domain.values.time import Instant

HASH_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and nothing that looks alike, as Kubernetes does: no word comes out by chance."""

HASH_LENGTH = 10


def compute_replica_set_name(owner: str, digest: str, collisions: int) -> str:
    """Return the ReplicaSet's name: the same for the same template, so that a retry is harmless.

    >>> compute_replica_set_name("web", "5f1d", 0) == compute_replica_set_name("web", "5f1d", 0)
    True
    >>> compute_replica_set_name("web", "5f1d", 0) == compute_replica_set_name("web", "5f1d", 1)
    False
    """
    number = int.from_bytes(hashlib.sha256(f"{digest}/{collisions}".encode()).digest())
    letters = []
    for _ in range(HASH_LENGTH):
        number, index = divmod(number, len(HASH_ALPHABET))
        letters.append(HASH_ALPHABET[index])
    return f"{owner}-{''.join(letters)}"


def find_by_digest(revisions: Iterable[Revision], digest: str) -> Revision | None:
    """Return the revision of a template, if history remembers it."""
    return next((record for record in revisions if record.digest == digest), None)


def find_wanted(revisions: Sequence[Revision], digest: str, desired: int | None) -> Revision | None:
    """Return the revision of the wanted template; the desired one, if that is still it.

    After a hash collision an orphan of the same template may turn up late, under another name. It is
    history then, and no reason to stop a rollout.
    """
    current = find_by_number(revisions, desired)
    if current is not None and current.digest == digest:
        return current
    return find_by_digest(revisions, digest)


def find_by_number(revisions: Iterable[Revision], number: int | None) -> Revision | None:
    """Return the revision with a number."""
    return next((record for record in revisions if record.revision == number), None)


def find_replica_set(
    replica_sets: Iterable[ReplicaSetView], revision: Revision | None
) -> ReplicaSetView | None:
    """Return the ReplicaSet of a revision; one that is being deleted counts as gone (B8)."""
    if revision is None:
        return None
    return next(
        (rs for rs in replica_sets if rs.name == revision.replica_set and not rs.deleting), None
    )


def compute_next_number(
    revisions: Iterable[Revision], replica_sets: Iterable[ReplicaSetView]
) -> int:
    """Return a number that no revision had before."""
    return 1 + max([0, *(r.revision for r in revisions), *(rs.revision for rs in replica_sets)])


def restore(
    known: Sequence[Revision], replica_sets: Iterable[ReplicaSetView]
) -> tuple[Revision, ...]:
    """Return history with what only the ReplicaSets remember of it, newest first (W2)."""
    names = {record.replica_set for record in known}
    numbers = {record.revision for record in known}
    found = list(known)
    for rs in sorted(replica_sets, key=lambda rs: (rs.revision, rs.created_at, rs.name)):
        if rs.revision < 1 or rs.deleting or rs.name in names:
            continue
        number = rs.revision if rs.revision not in numbers else compute_next_number(found, ())
        numbers.add(number)
        found.append(_restore(number, rs))
    return newest_first(found)


def _restore(number: int, rs: ReplicaSetView) -> Revision:
    state = RolloutState.STOPPED if rs.completed_at is None else RolloutState.COMPLETED
    return Revision(
        revision=number,
        replica_set=rs.name,
        digest=rs.template.digest,
        created_at=rs.created_at,
        rollout_state=state,
        images=rs.template.images,
        finished_at=rs.completed_at,
        completed_at=rs.completed_at,
        container_images=recall(rs.template.containers, rs.pins),
    )


def select_last_completed(revisions: Iterable[Revision]) -> Revision | None:
    """Return the one that completed last, out of a restored history (W2)."""
    completed = [record for record in revisions if record.completed_at is not None]
    return max(completed, key=restored_at, default=None)


def find_experience(
    revisions: Sequence[Revision], last_completed: int | None, target: int
) -> Experience | None:
    """Return how long the pods of a completed revision took to become Ready (F4).

    That of the last completed revision, or the target's own if it completed before: the longer one.
    """
    found = [
        Experience(record.revision, record.ready_seconds)
        for record in revisions
        if record.ready_seconds is not None
        and record.completed_at is not None
        and record.revision in (last_completed, target)
    ]
    return max(found, key=lambda one: (one.seconds, one.revision), default=None)


def newest_first(revisions: Iterable[Revision]) -> tuple[Revision, ...]:
    """Order revisions for the status."""
    return tuple(sorted(revisions, key=lambda record: -record.revision))


def update(revisions: Iterable[Revision], changed: Revision) -> tuple[Revision, ...]:
    """Return the revisions with one of them replaced, or added."""
    others = (record for record in revisions if record.revision != changed.revision)
    return newest_first([*others, changed])


def report_pods(
    record: Revision, replica_set: ReplicaSetView | None, counts: PodCounts | None, *, primary: bool
) -> RevisionReport:
    """Return what the status tells of a revision's pods as they are now."""
    active = "ACTIVE" if counts is not None and counts.occupied > 0 else "INACTIVE"
    return RevisionReport(
        revision=record.revision,
        status="PRIMARY" if primary else active,
        desired=0 if replica_set is None else replica_set.size,
        running=0 if counts is None else counts.running,
        healthy=0 if counts is None else counts.healthy,
    )


def select_prunable(
    replica_sets: Iterable[ReplicaSetView], kept: Collection[str], limit: int
) -> tuple[ReplicaSetView, ...]:
    """Return the ReplicaSets that history has no room for, oldest first.

    Never one of ``kept`` (names of the running, the desired, the last completed revision's), and
    never one that still has pods.
    """
    old = sorted(
        (
            rs
            for rs in replica_sets
            if rs.name not in kept
            and rs.owned
            and not rs.deleting
            and rs.size == 0
            and all(pod.phase in OVER for pod in rs.pods)
        ),
        key=lambda rs: (rs.revision, rs.name),
    )
    return tuple(old[: max(0, len(old) - limit)])


def select_remembered(
    revisions: Sequence[Revision],
    replica_sets: Iterable[ReplicaSetView],
    kept: Collection[int],
    limit: int,
) -> tuple[Revision, ...]:
    """Return the records that stay in the status: the kept ones, then the newest, limit + 2 in all.

    A record whose ReplicaSet is gone is dropped, because it cannot be rolled back to; the newest one
    stays, so that its number is not given away again. Records of ReplicaSets that still have pods to
    run stay, also beyond the limit. The latest one that completed and has its ReplicaSet stays, too:
    found there again, it would pass for the history of a lost status, and be a rollback target that
    it must not be (B1, W2).
    """
    sizes = {rs.name: rs.size for rs in replica_sets}
    latest = select_last_completed(r for r in revisions if r.replica_set in sizes)
    newest = max((r.revision for r in revisions), default=None)
    must = [
        r
        for r in revisions
        if r.revision in kept
        or r.revision == newest
        or r == latest
        or sizes.get(r.replica_set, 0) > 0
    ]
    rest = [r for r in revisions if r not in must and r.replica_set in sizes]
    return newest_first([*must, *rest[: max(0, limit + 2 - len(must))]])


def restored_at(record: Revision) -> Instant:
    """Return when a restored revision completed."""
    return record.completed_at if record.completed_at is not None else record.created_at
