"""What must hold of image digests (rules D), judged by what pods really ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.sim.images import NOT_THERE, Images
from tests.sim.objects import Change, RawPod, RawSet
from tests.sim.operator import Look
from tripswitch.domain.values.images import ContainerImage
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.pods import ContainerRole, ContainerView
from tripswitch.domain.values.states import RolloutKind

PULLING = ("ErrImagePull", "ImagePullBackOff")


class ImageLaws:
    """Judges pins of ReplicaSets, and what the status says of digests."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._pins: dict[str, tuple[tuple[str, str], ...]] = {}
        self.pinned = 0
        """How often a ReplicaSet was pinned."""

    def check_set(self, change: Change) -> list[str]:
        """D1, D2: a pin names a digest of the template's own repository that a pod of the revision ran."""
        rs = change.raw
        if not isinstance(rs, RawSet) or change.gone or rs.deployed is not None:
            return []
        before, self._pins[rs.uid] = self._pins.get(rs.uid, ()), rs.pins
        new = [pin for pin in rs.pins if pin not in before]
        self.pinned += bool(new)
        return [words for name, image in new for words in self._judge_pin(rs, name, image)]

    def _judge_pin(self, rs: RawSet, name: str, image: str) -> Iterator[str]:
        wanted = next(one.image for one in rs.template.containers if one.container == name)
        repository, _, digest = image.partition("@")
        if "@" in wanted or repository != wanted.rpartition(":")[0]:
            yield f"{rs.name}: {wanted} is pinned to {image}, of another repository (D2)"
        if digest not in self._images.ran[rs.template.digest, name]:
            yield f"{rs.name}: {wanted} is pinned to {image}, which no pod of it ran (D1)"

    def check_look(self, look: Look) -> list[str]:
        """D1 to D4: a digest is settled by a pod, and is not given up for no reason."""
        before = {
            (record.revision, record.digest): record
            for record in look.snapshot.guarded.status.memory.revisions
        }
        found: list[str] = []
        for record in look.decision.status.memory.revisions:
            known = before.get((record.revision, record.digest))
            found += self._judge_record(look, known, record)
        return found

    def _judge_record(self, look: Look, before: Revision | None, after: Revision) -> Iterator[str]:
        known = {} if before is None else {one.container: one for one in before.container_images}
        told = {one.container: one for one in after.container_images}
        for name in sorted({*known, *told}):
            old, new = _digest(known.get(name)), _digest(told.get(name))
            if old == new:
                continue
            if new is not None and new not in self._images.ran[after.digest, name]:
                yield f"revision {after.revision}: {name} is settled to {new}, and no pod ran it (D1)"
            if before is not None and old is not None and not _may_drop(look, before, name, old):
                yield f"revision {after.revision}: {name} gives {old} up for no reason (D2 to D4)"


def find_unpinned(record: Revision, rs: RawSet) -> list[str]:
    """Return what a ReplicaSet lacks, or has too much, beside the digests that the status tells of (D1)."""
    settled = {one.container: one.digest for one in record.container_images if one.digest}
    pinned = {name: image.partition("@")[2] for name, image in rs.pins}
    if settled == pinned:
        return []
    return [f"{rs.name} is pinned to {pinned}, and the status says {settled} (D1)"]


def is_missing(pod: RawPod, name: str, digest: str) -> bool:
    """Return whether a pod waits for a pinned image that its registry does not have."""
    one = next(one for one in pod.containers if one.name == name)
    return one.waiting in PULLING and digest in one.image and NOT_THERE in one.message


def _digest(entry: ContainerImage | None) -> str | None:
    return None if entry is None else entry.digest


def _may_drop(look: Look, record: Revision, name: str, digest: str) -> bool:
    guarded, rollout = look.snapshot.guarded, look.decision.status.memory.rollout
    pods = list(_pods(look, record))
    completed = record.completed_at is not None
    retried = guarded.retry not in (None, guarded.status.memory.observed_retry)
    if not guarded.spec.consistency.enabled or (retried and not completed):
        return True
    assert rollout is not None
    current = rollout.revision == record.revision and rollout.kind is RolloutKind.DEPLOY
    missing = any(is_missing(pod, name, digest) for pod in pods)
    runs_pinned = any(digest in _find(pod, name).image and _runs(pod) for pod in pods)
    if current and missing and not runs_pinned:
        return True
    ready = {_find(pod, name).image_id.partition("@")[2] for pod in pods if pod.ready}
    return not completed and len(ready - {""}) > 1


def _pods(look: Look, record: Revision) -> Iterable[RawPod]:
    for rs in look.snapshot.replica_sets:
        if rs.name == record.replica_set:
            yield from (look.raws[pod.uid] for pod in rs.pods if pod.live)


def _find(pod: RawPod, name: str) -> ContainerView:
    return next(one for one in pod.containers if one.name == name)


def _runs(pod: RawPod) -> bool:
    lasting = [one for one in pod.containers if one.role is not ContainerRole.INIT]
    return all(one.running_since is not None for one in lasting)
