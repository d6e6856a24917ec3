"""Rules D: settle the digests of images, tell about them, and pin ReplicaSets to them.

The digests are written to the status first; the actions follow from the status and from what the
ReplicaSets have, so that an action that was lost is decided again.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.digests import Circumstances, Revised, find_stuck, settle
from tripswitch.domain.rules.image_names import shorten_digest
from tripswitch.domain.rules.pins import find_pinning
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import DeletePod, EventReason, PinImages
from tripswitch.domain.values.images import ContainerImage, DigestNote, Pinning
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.states import RolloutKind


def settle_images(draft: Draft) -> Draft:
    """D1 to D4: fold what the pods show of their images into the revisions that the status has room for."""
    remembered = {record.revision for record in draft.remembered}
    for record, replica_set in _list_pinnable(draft):
        if record.revision not in remembered:
            continue  # it would be news at each look
        revised = settle(
            record.container_images,
            replica_set.template.containers,
            replica_set.pins,
            replica_set.pods,
            _find_circumstances(draft, record),
        )
        if revised.images != record.container_images:
            draft = draft.with_record(replace(record, container_images=revised.images))
            draft = _tell(draft, record.revision, revised)
    return draft


def pin_images(draft: Draft) -> list[PinImages]:
    """Return what makes the ReplicaSets as the settled digests are."""
    found = [
        (rs, find_pinning(record.container_images, rs.template.containers, rs.pins))
        for record, rs in _list_pinnable(draft)
    ]
    return [
        PinImages(rs.name, rs.uid, rs.resource_version, pinning)
        for rs, pinning in found
        if pinning.images
    ]


def find_first_pinning(draft: Draft, record: Revision) -> Pinning:
    """Return the images of a ReplicaSet that is made again, because it was deleted."""
    return find_pinning(record.container_images, draft.spec.template.containers, ())


def replace_stuck_pods(draft: Draft) -> list[DeletePod]:
    """D3: pods that wait for a digest which was dropped are made again, without it."""
    if draft.spec.paused:
        return []
    return [
        DeletePod(pod.name, pod.uid, pod.resource_version)
        for record, rs in _list_pinnable(draft)
        if not rs.pins
        for pod in find_stuck(rs.pods, record.container_images)
    ]


def _list_pinnable(draft: Draft) -> list[tuple[Revision, ReplicaSetView]]:
    """Return the revisions whose ReplicaSet is there and ours."""
    pairs = ((record, draft.replica_set(record.revision)) for record in draft.memory.revisions)
    return [(record, rs) for record, rs in pairs if rs is not None and rs.owned]


def _find_circumstances(draft: Draft, record: Revision) -> Circumstances:
    rollout = draft.rollout
    current = record.revision == rollout.revision
    rolling = rollout.status in rollout_states.RUNNING
    fresh = rolling and current and record.completed_at is None
    return Circumstances(
        draft.spec.consistency,
        # Pods' times are whole seconds.
        since=math.floor(rollout.started_at) if fresh else 0.0,
        completed=record.completed_at is not None,
        rolling=rolling,
        may_drop=current and rollout.kind is RolloutKind.DEPLOY,
    )


def _tell(draft: Draft, revision: int, revised: Revised) -> Draft:
    for entry, pod in revised.noted:
        draft = draft.say(*_describe(revision, entry, pod))
    return draft


def _describe(revision: int, entry: ContainerImage, pod: str) -> tuple[EventReason, str]:
    head = f"revision {revision}: container {entry.container} of pod {pod}"
    if entry.note is DigestNote.DIGESTS_DIFFER:
        kept = f"new pods run {_short(entry)}" if entry.digest else "new pods use the tag"
        words = f"runs another image of {entry.image} than other pods of the revision; {kept}"
        return EventReason.IMAGE_DIGESTS_DIFFER, f"{head} {words}"
    if entry.digest is None:
        words = (
            f"cannot pull the digest of {entry.image} that another pod runs, its registry does not have "
            "it; new pods use the tag"
        )
        return EventReason.IMAGE_DIGEST_UNUSABLE, f"{head} {words}"
    return EventReason.IMAGE_DIGEST_GONE, f"{head}: {describe_gone(revision, entry)}"


def _short(entry: ContainerImage) -> str:
    return shorten_digest(entry.digest or "")


def describe_gone_images(draft: Draft, revision: int) -> str:
    """D4: Say which images of a revision its registry no longer has; empty if none."""
    record = draft.record(revision)
    gone = [
        entry
        for entry in (() if record is None else record.container_images)
        if entry.digest is not None and entry.note is DigestNote.NOT_FOUND
    ]
    return "; ".join(describe_gone(revision, entry) for entry in gone)


def describe_gone(revision: int, entry: ContainerImage) -> str:
    """D4: Say that a digest is gone, and what to do."""
    return (
        f"the registry no longer has {entry.image} as {_short(entry)}, which revision {revision} runs; "
        "its tag is not used instead, it may mean another image: push that image again"
    )
