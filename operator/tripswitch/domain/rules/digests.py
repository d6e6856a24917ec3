"""Rules D: which digest stands for each container's image in one revision.

The first pod of a revision that runs settles the digests: what the node says it runs. They are written to
the status first, then into the template of the ReplicaSet, so that all later pods of the revision run the
same image even if the tag is pushed again. No registry is asked. Everything here is a pure function.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tripswitch.domain.rules.pulls import PULL_REASONS, is_not_there
from tripswitch.domain.values.images import (
    ContainerImage,
    DigestNote,
    Pin,
    Pinning,
    TemplateImage,
    VersionConsistency,
)
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodView
from tripswitch.domain.values.time import Instant

DEFAULT_REGISTRY = "docker.io"
_ALIASES = {"index.docker.io": DEFAULT_REGISTRY}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMES = ("docker-pullable://", "docker://")
"""What cri-dockerd writes before an image's name or id."""


def split_image(image: str) -> tuple[str, str, str]:
    """Return the repository as it is written, the tag and the digest of an image's name.

    >>> split_image("registry.test:5000/web:1")
    ('registry.test:5000/web', '1', '')
    >>> split_image("web@sha256:1f")
    ('web', '', 'sha256:1f')
    """
    name, _, digest = image.partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}", tag, digest


def find_registry(image: str) -> str:
    """Return the host, and port if there is one, of the registry that an image's name means.

    >>> find_registry("web:1"), find_registry("team/web"), find_registry("registry.test/web:1")
    ('docker.io', 'docker.io', 'registry.test')
    """
    host, slash, _ = image.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return _ALIASES.get(host, host)
    return DEFAULT_REGISTRY


def normalize_repository(image: str) -> str:
    """Return the full name of an image's repository, as container runtimes write it.

    >>> normalize_repository("web:1"), normalize_repository("registry.test/team/web@sha256:1f")
    ('docker.io/library/web', 'registry.test/team/web')
    """
    repository, _, _ = split_image(image)
    registry = find_registry(repository)
    host, _, path = repository.partition("/")
    if _ALIASES.get(host, host) != registry:  # the name has no host in it
        path = repository
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return f"{registry}/{path}"


def has_digest(image: str) -> bool:
    """Return whether an image's name says which digest it means."""
    return "@" in image


def pin_image(image: str, digest: str) -> str:
    """Return the name that means one digest of the image's own repository.

    The tag is left out. It would have no meaning beside a digest, and CRI-O 1.31.0 refuses both together.

    >>> pin_image("registry.test/web:1", "sha256:1f")
    'registry.test/web@sha256:1f'
    """
    repository, _, _ = split_image(image)
    return f"{repository}@{digest}"


def read_digest(image: str, image_id: str) -> str | DigestNote:
    """D2: Return the digest that a node's ``imageID`` stands for, or why it is not used."""
    for scheme in _SCHEMES:
        image_id = image_id.removeprefix(scheme)
    _, _, digest = split_image(image_id)
    if not _DIGEST.fullmatch(digest):
        return DigestNote.LOCAL_IMAGE
    if normalize_repository(image_id) != normalize_repository(image):
        return DigestNote.OTHER_REPOSITORY
    return digest


def shorten_digest(digest: str) -> str:
    """Return a digest as events and tables have it.

    >>> shorten_digest("sha256:0123456789abcdef")
    'sha256:0123456789ab'
    """
    return digest[: len("sha256:") + 12]


UNSETTLED = frozenset({DigestNote.AWAITED, DigestNote.OTHER_REPOSITORY})
"""Notes of entries that another pod may settle."""


@dataclass(frozen=True, slots=True)
class Revised:
    """The entries of a revision after a look, and what has changed, in words for events."""

    images: tuple[ContainerImage, ...]
    settled: tuple[ContainerImage, ...] = ()
    """Entries that got their digest by this look."""
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
    entries = {entry.container: entry for entry in (*recall(template, pins), *known)}
    images: list[ContainerImage] = []
    settled: list[ContainerImage] = []
    noted: list[tuple[ContainerImage, str]] = []
    live = [pod for pod in pods if pod.live]
    for one in template:
        if one.container in around.consistency.exclusions:
            continue
        before = entries.get(one.container)
        after, pod = _Shown(one, before, live).advance(around)
        if after is None:
            continue
        images.append(after)
        if after.digest is not None and (before is None or before.digest is None):
            settled.append(after)
        if pod:
            noted.append((after, pod))
    return Revised(tuple(images), tuple(settled), tuple(noted))


def recall(template: Iterable[TemplateImage], pins: Iterable[Pin]) -> tuple[ContainerImage, ...]:
    """Return the entries that follow from a ReplicaSet alone (W2)."""
    pinned = {pin.container: pin.digest for pin in pins}
    digests = ((one, split_image(one.image)[2] or pinned.get(one.container)) for one in template)
    return tuple(
        ContainerImage(one.container, one.image, digest) for one, digest in digests if digest
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """One container of a revision, and what the revision's live pods show of it."""

    template: TemplateImage
    entry: ContainerImage | None
    pods: Sequence[PodView]

    def advance(self, around: Circumstances) -> tuple[ContainerImage | None, str]:
        """Return the entry after this look, and the pod that shows why a note is new."""
        entry = self.entry
        if has_digest(self.template.image):
            return entry, ""
        if entry is None or entry.note in UNSETTLED:
            return self._settle(around)
        if entry.digest is None:
            return entry, ""
        return self._check(entry, around)

    def _settle(self, around: Circumstances) -> tuple[ContainerImage | None, str]:
        """D1: the first pod that runs; a Ready one before others.

        A node that has the same content from two repositories may name the other one: then the next pod may
        tell (D2).
        """
        running = [pod for pod in self._running() if is_of_rollout(pod, around.since)]
        if not running or not around.rolling:
            return self.entry, ""
        running.sort(key=lambda pod: (pod.ready_since is None, began(pod), pod.name))
        shown = [self._digest(pod) for pod in running]
        found = next((one for one in shown if one is not DigestNote.OTHER_REPOSITORY), shown[0])
        if isinstance(found, DigestNote):
            return self._entry(None, found), ""
        return self._compare(self._entry(found), running, drops=True)

    def _check(self, entry: ContainerImage, around: Circumstances) -> tuple[ContainerImage, str]:
        """D2 to D4: what pods show of a digest that was settled."""
        missing, proved = self._find_pinned(pin_image(entry.image, entry.digest or ""))
        if missing is not None and not proved:
            own = any(self._digest(pod) == entry.digest for pod in self._running())
            digest = None if own and around.may_drop else entry.digest
            after = replace(entry, digest=digest, note=DigestNote.NOT_FOUND)
            return after, missing.name if after != entry else ""
        if entry.note is DigestNote.NOT_FOUND and proved:
            entry = replace(entry, note=None)
        return self._compare(entry, self._running(), drops=not around.completed)

    def _compare(
        self, entry: ContainerImage, running: Sequence[PodView], *, drops: bool
    ) -> tuple[ContainerImage, str]:
        """D2: another digest in the same revision; if pods with both are Ready, neither is pinned."""
        shown = [(pod, self._digest(pod)) for pod in running]
        told = [(pod, one) for pod, one in shown if not isinstance(one, DigestNote)]
        others = [pod for pod, one in told if one != entry.digest]
        if not others or (entry.note is DigestNote.DIGESTS_DIFFER and not drops):
            return entry, ""
        both = len({one for pod, one in told if pod.ready_since is not None}) > 1
        digest = None if both and drops else entry.digest
        after = replace(entry, digest=digest, note=DigestNote.DIGESTS_DIFFER)
        return after, others[0].name if after != entry else ""

    def _entry(self, digest: str | None, note: DigestNote | None = None) -> ContainerImage:
        return ContainerImage(self.template.container, self.template.image, digest, note)

    def _running(self) -> list[PodView]:
        """The pods that run, with the container's image by its tag."""
        image, found = self.template.image, []
        for pod in self.pods:
            container = self._find(pod)
            if (
                container is not None
                and container.image == image
                and container.image_id
                and runs(pod)
            ):
                found.append(pod)
        return found

    def _find_pinned(self, image: str) -> tuple[PodView | None, bool]:
        """Return a pod that waits for a pinned image which its registry lacks, and whether any pod runs it (D3)."""
        missing, proved = None, False
        for pod in self.pods:
            container = self._find(pod)
            if container is None or container.image != image:
                continue
            if container.waiting is not None:
                missing = pod if missing is None and is_missing(container) else missing
            elif not proved:
                proved = bool(container.image_id) and runs(pod)
        return missing, proved

    def _digest(self, pod: PodView) -> str | DigestNote:
        container = self._find(pod)
        assert container is not None, "only pods with the container are looked at"
        return read_digest(self.template.image, container.image_id)

    def _find(self, pod: PodView) -> ContainerView | None:
        """Return the pod's container; a loop, because this is done for each pod at each look."""
        name = self.template.container
        for one in pod.containers:
            if one.name == name:
                return one
        return None


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


def list_pins(images: Iterable[TemplateImage]) -> tuple[Pin, ...]:
    """Return the pins that images with digests are, by name."""
    digests = ((one.container, split_image(one.image)[2]) for one in images)
    return tuple(sorted((Pin(name, digest) for name, digest in digests if digest), key=str))


def find_pinning(
    entries: Iterable[ContainerImage], template: Iterable[TemplateImage], pins: Iterable[Pin]
) -> Pinning:
    """Return what has to change in a ReplicaSet's template so that it has the digests of the entries."""
    pinned = {pin.container: pin.digest for pin in pins}
    wanted = {entry.container: entry.digest for entry in entries if entry.digest is not None}
    own = [one for one in template if not has_digest(one.image)]
    changed = [one for one in own if wanted.get(one.container) != pinned.get(one.container)]
    return Pinning(
        images=tuple(
            replace(one, image=pin_image(one.image, digest)) if digest is not None else one
            for one in changed
            for digest in (wanted.get(one.container),)
        ),
        originals=tuple(one for one in own if one.container in wanted),
    )


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
