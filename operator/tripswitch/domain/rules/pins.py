"""Rules D: the digests that a ReplicaSet's template is pinned to, and how it has to change. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tripswitch.domain.rules.image_names import has_digest, pin_image, split_image
from tripswitch.domain.values.images import ContainerImage, Pin, Pinning, TemplateImage


def list_pins(images: Iterable[TemplateImage]) -> tuple[Pin, ...]:
    """Return the pins that images with digests are, by name."""
    digests = ((one.container, split_image(one.image)[2]) for one in images)
    return tuple(sorted((Pin(name, digest) for name, digest in digests if digest), key=str))


def recall(template: Iterable[TemplateImage], pins: Iterable[Pin]) -> tuple[ContainerImage, ...]:
    """Return the entries that follow from a ReplicaSet alone (W2)."""
    pinned = {pin.container: pin.digest for pin in pins}
    digests = ((one, split_image(one.image)[2] or pinned.get(one.container)) for one in template)
    return tuple(
        ContainerImage(one.container, one.image, digest) for one, digest in digests if digest
    )


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
