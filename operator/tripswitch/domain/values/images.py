"""Images of containers and their digests (rules D): frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class TemplateImage:
    """One container of a pod template and its image, as the template has it."""

    container: str
    image: str
    init: bool = False
    """It is one of ``initContainers``."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One container of a ReplicaSet whose image was replaced by ``repository@digest`` (D1)."""

    container: str
    digest: str


@dataclass(frozen=True, slots=True)
class Pinning:
    """A change of images in a ReplicaSet's template.

    ``images``: the containers that change, each with its new image. ``originals``: the containers that are
    pinned afterwards, each with the image that the template of the revision has.
    """

    images: tuple[TemplateImage, ...] = ()
    originals: tuple[TemplateImage, ...] = ()


NO_PINNING = Pinning()


class DigestNote(StrEnum):
    """What is special about a container's digest; a closed set."""

    LOCAL_IMAGE = "LocalImage"
    """The node does not say which repository the image came from: there is no digest to pull."""
    OTHER_REPOSITORY = "OtherRepository"
    """The node names another repository than the template."""
    DIGESTS_DIFFER = "ImageDigestsDiffer"
    """Pods of the revision run different digests."""
    NOT_FOUND = "ImageDigestNotFound"
    """The registry does not have the digest; with a digest, the revision stays pinned to it (D4)."""
    AWAITED = "ImageDigestAwaited"
    """A retry dropped the digest (D4): the next pod that runs settles it anew."""


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """One entry of ``status.revisions[].containerImages`` (D5).

    ``image`` is the template's. Without a ``digest`` new pods use the tag, and ``note`` says why.
    """

    container: str
    image: str
    digest: str | None = None
    note: DigestNote | None = None


@dataclass(frozen=True, slots=True)
class VersionConsistency:
    """``spec.versionConsistency`` and its list of containers to leave out (D5)."""

    enabled: bool = True
    exclusions: frozenset[str] = frozenset()


CONSISTENT = VersionConsistency()
"""The default."""
