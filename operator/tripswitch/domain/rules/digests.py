"""Rules D: which digest stands for each container's image in one revision.

The first pod of a revision that runs settles the digests: what the node says it runs. They are written to
the status first, then into the template of the ReplicaSet, so that all later pods of the revision run the
same image even if the tag is pushed again. No registry is asked. Everything here is a pure function.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tripswitch.domain.rules.image_names import has_digest, pin_image, read_digest
from tripswitch.domain.rules.pins import recall
from tripswitch.domain.rules.pulls import PULL_REASONS, is_not_there
from tripswitch.domain.values.images import (
    ContainerImage,
    DigestNote,
    Pin,
    TemplateImage,
    VersionConsistency,
)
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodView
from tripswitch.domain.values.time import Instant

UNSETTLED = frozenset({DigestNote.AWAITED, DigestNote.OTHER_REPOSITORY})
"""Notes of entries that another pod may settle."""


@dataclass(frozen=True, slots=True)
class Revised:
    """The entries of a revision after a look, and what has changed, for events."""

    images: tuple[ContainerImage, ...]
    noted: tuple[tuple[ContainerImage, str], ...] = ()
    """Entries that got a note by this look which a person should know, and a pod that shows it."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a revision besides its pods.

    ``since``: pods created before it do not settle anything. ``completed``: the revision has completed
    once. ``rolling``: a rollout runs, of this revision or of another one. Only then digests are settled: an
    operator that is new to a cluster writes nothing to fleets in which nothing changes (W3), and the revision
    that a rollout may go back to is settled before anything happens to it. ``may_drop``: no rollback runs or ran last, and the revision is the one that is rolled out.
    """

    consistency: VersionConsistency
    since: Instant = 0.0
    completed: bool = False
    rolling: bool = False
    may_drop: bool = False


def settle(
    known: Sequence[ContainerImage],
    template: Sequence[TemplateImage],
    pins: Iterable[Pin],
    pods: Sequence[PodView],
    around: Circumstances,
) -> Revised:
    """D1 to D4: Return the digests of a revision after a look at its pods.

    Args:
        known: The entries so far.
        template: The containers of the revision's template.
        pins: What is pinned in its ReplicaSet; it stands in for entries that were lost.
        pods: The revision's pods.
        around: What else decides.
    """
    if not around.consistency.enabled:
        return Revised(())
    kept = [one for one in template if one.container not in around.consistency.exclusions]
    entries = {entry.container: entry for entry in (*recall(template, pins), *known)}
    open_ones = {
        one.container for one in kept if _may_change(one, entries.get(one.container), around)
    }
    sights = _find_sights(open_ones, pods)
    images: list[ContainerImage] = []
    noted: list[tuple[ContainerImage, str]] = []
    for one in kept:
        before = entries.get(one.container)
        after, pod = before, ""
        if one.container in sights:
            after, pod = _look(one, before, sights[one.container]).advance(around)
        if after is None:
            continue
        images.append(after)
        if pod:
            noted.append((after, pod))
    return Revised(tuple(images), tuple(noted))


_Sight = tuple[PodView, ContainerView]
"""A live pod, and what it shows of one container."""


def _may_change(
    template: TemplateImage, entry: ContainerImage | None, around: Circumstances
) -> bool:
    """Return whether a container's entry depends on what pods show."""
    if has_digest(template.image):
        return False
    if entry is None or entry.note in UNSETTLED:
        return around.rolling
    return entry.digest is not None


def _find_sights(
    containers: Collection[str], pods: Iterable[PodView]
) -> Mapping[str, Sequence[_Sight]]:
    """Return what live pods show of some containers, by container: one pass over all pods of a look."""
    sights: dict[str, list[_Sight]] = {name: [] for name in containers}
    if not sights:
        return sights
    for pod in pods:
        if pod.live:
            for container in pod.containers:
                if container.name in sights:
                    sights[container.name].append((pod, container))
    return sights


def _look(template: TemplateImage, entry: ContainerImage | None, sights: Sequence[_Sight]) -> _Look:
    """Part what pods show of a container by the name of its image: the template's, or the pinned one.

    Pods of a revision run few images, so each of these is read once.
    """
    tagged = [sight for sight in sights if sight[1].image == template.image and sight[1].image_id]
    ids = {container.image_id for _, container in tagged}
    digests = {image_id: read_digest(template.image, image_id) for image_id in ids}
    pinned: list[_Sight] = []
    if entry is not None and entry.digest is not None:
        name = pin_image(entry.image, entry.digest)
        pinned = [sight for sight in sights if sight[1].image == name]
    shown = [(pod, digests[container.image_id]) for pod, container in tagged]
    return _Look(template, entry, shown, pinned)


@dataclass(frozen=True, slots=True)
class _Look:
    """One container of a revision, and what the revision's live pods show of it."""

    template: TemplateImage
    entry: ContainerImage | None
    tagged: Sequence[tuple[PodView, str | DigestNote]]
    """Pods whose container has the template's image and has begun, with the digest that the node names."""
    pinned: Sequence[_Sight]
    """Pods whose container has the image that the entry's digest means."""

    def advance(self, around: Circumstances) -> tuple[ContainerImage | None, str]:
        """Return the entry after this look, and the pod that shows why a note is new."""
        if self.entry is None or self.entry.note in UNSETTLED:
            return self._settle(around.since)
        return self._check(self.entry, around)

    def _settle(self, since: Instant) -> tuple[ContainerImage | None, str]:
        """D1: the first pod that runs; a Ready one before others.

        A node that has the same content from two repositories may name the other one: then the next pod may
        tell (D2).
        """
        running = [one for one in self.tagged if runs(one[0]) and is_of_rollout(one[0], since)]
        if not running:
            return self.entry, ""
        running.sort(key=lambda one: (one[0].ready_since is None, began(one[0]), one[0].name))
        digests = [digest for _, digest in running]
        found = next((one for one in digests if one is not DigestNote.OTHER_REPOSITORY), digests[0])
        if isinstance(found, DigestNote):
            return ContainerImage(self.template.container, self.template.image, None, found), ""
        entry = ContainerImage(self.template.container, self.template.image, found)
        return _compare(entry, self.tagged, drops=True)

    def _check(self, entry: ContainerImage, around: Circumstances) -> tuple[ContainerImage, str]:
        """D2 to D4: what pods show of a digest that was settled."""
        missing, proved = self._find_pinned()
        if missing is not None and not proved:
            own = any(digest == entry.digest and runs(pod) for pod, digest in self.tagged)
            digest = None if own and around.may_drop else entry.digest
            after = replace(entry, digest=digest, note=DigestNote.NOT_FOUND)
            return after, missing.name if after != entry else ""
        if entry.note is DigestNote.NOT_FOUND and proved:
            entry = replace(entry, note=None)
        return _compare(entry, self.tagged, drops=not around.completed)

    def _find_pinned(self) -> tuple[PodView | None, bool]:
        """Return a pod that waits for a pinned image which its registry lacks, and whether any pod runs it (D3)."""
        waiting = [pod for pod, one in self.pinned if one.waiting is not None and is_missing(one)]
        proved = any(one.waiting is None and one.image_id and runs(pod) for pod, one in self.pinned)
        return min(waiting, key=lambda pod: pod.name, default=None), proved


def _compare(
    entry: ContainerImage, shown: Sequence[tuple[PodView, str | DigestNote]], *, drops: bool
) -> tuple[ContainerImage, str]:
    """D2: another digest in the same revision; if pods with both are Ready, neither is pinned."""
    others = [pod for pod, one in shown if _differs(one, entry) and runs(pod)]
    if not others or (entry.note is DigestNote.DIGESTS_DIFFER and not drops):
        return entry, ""
    ready = {one for pod, one in shown if pod.ready_since is not None and runs(pod)}
    both = len({one for one in ready if not isinstance(one, DigestNote)}) > 1
    digest = None if both and drops else entry.digest
    after = replace(entry, digest=digest, note=DigestNote.DIGESTS_DIFFER)
    return after, min(pod.name for pod in others) if after != entry else ""


def _differs(shown: str | DigestNote, entry: ContainerImage) -> bool:
    """Return whether a pod runs another digest than the entry's; one without a digest differs from nothing."""
    return shown != entry.digest and not isinstance(shown, DigestNote)


def runs(pod: PodView) -> bool:
    """Return whether all app containers and sidecars of a pod run."""
    lasting = [one for one in pod.containers if one.role is not ContainerRole.INIT]
    return bool(lasting) and all(one.running_since is not None for one in lasting)


def is_of_rollout(pod: PodView, since: Instant) -> bool:
    """Return whether what a pod runs was pulled after a moment, as far as one can tell.

    It was made since, or all of its containers were started again since and it is Ready: with the pull policy
    Always such a pod runs what its tag means now.
    """
    again = pod.ready_since is not None and _first_began(pod) >= since
    return pod.created_at >= since or again


def _first_began(pod: PodView) -> Instant:
    lasting = [one for one in pod.containers if one.role is not ContainerRole.INIT]
    return min(one.running_since or 0.0 for one in lasting)


def began(pod: PodView) -> Instant:
    """Return since when a pod that runs does so."""
    return max(one.running_since or 0.0 for one in pod.containers)


def await_anew(entries: Iterable[ContainerImage]) -> tuple[ContainerImage, ...]:
    """D4: Return the entries of a revision that is tried again and never completed."""
    return tuple(
        entry if has_digest(entry.image) else replace(entry, digest=None, note=DigestNote.AWAITED)
        for entry in entries
    )


def find_dropped(entries: Iterable[ContainerImage]) -> list[str]:
    """D3: Return the containers whose digest was dropped because no registry has it."""
    return [
        entry.container
        for entry in entries
        if entry.digest is None and entry.note is DigestNote.NOT_FOUND
    ]


def find_stuck(pods: Iterable[PodView], entries: Iterable[ContainerImage]) -> list[PodView]:
    """D3: Return the live pods that wait for a digest which was dropped because no registry has it."""
    dropped = find_dropped(entries)
    if not dropped:
        return []
    return [
        pod
        for pod in pods
        if pod.live
        and any(
            one.name in dropped and has_digest(one.image) and is_missing(one)
            for one in pod.containers
        )
    ]


def is_missing(container: ContainerView) -> bool:
    """Return whether a container waits for an image that its registry does not have."""
    return container.waiting in PULL_REASONS and is_not_there(container.message)
