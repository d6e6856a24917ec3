"""Images of a ReplicaSet's template that are pinned to digests (D1), and how they are written. Pure functions.

An annotation of the ReplicaSet has the images that the template of its revision names. It tells a pin from a
digest that a person wrote, and makes the template of the revision known again without the status.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tripswitch.api.tolerant import field, mapping, objects, read_text
from tripswitch.cluster.marks import PINNED
from tripswitch.domain.rules.image_names import pin_image, split_image
from tripswitch.domain.values.images import Pin, Pinning

_LISTS = ("containers", "initContainers")


def read_originals(replica_set: object) -> dict[str, str]:
    """Return the image that the revision's template has for each pinned container."""
    written = field(replica_set, "metadata", "annotations", PINNED)
    try:
        decoded = json.loads(written) if isinstance(written, str) else {}
    except (ValueError, RecursionError):
        return {}
    return {name: image for name, image in mapping(decoded).items() if isinstance(image, str)}


def read_pins(replica_set: object) -> tuple[Pin, ...]:
    """Return the pinned containers, by name; one whose image somebody changed by hand is not pinned."""
    originals = read_originals(replica_set)
    if not originals:
        return ()
    found = []
    for container in _list_containers(field(replica_set, "spec", "template")):
        name, image = read_text(container.get("name")), read_text(container.get("image"))
        _, _, digest = split_image(image)
        if digest and name in originals and image == pin_image(originals[name], digest):
            found.append(Pin(name, digest))
    return tuple(sorted(found, key=lambda pin: pin.container))


def unpin_template(replica_set: object, *, digests: bool = False) -> dict[str, Any]:
    """Return the template of a ReplicaSet with the images that its revision has. What is in it is not to be changed.

    With ``digests`` each pinned image is followed by its digest, as ``web:1@sha256:...``, to be shown to people.
    """
    template = dict(mapping(field(replica_set, "spec", "template")))
    pinned = {pin.container: pin.digest for pin in read_pins(replica_set)}
    if not pinned:
        return template
    originals = read_originals(replica_set)
    images = {
        name: originals[name] + (f"@{digest}" if digests else "") for name, digest in pinned.items()
    }
    spec = dict(mapping(template.get("spec")))
    for listed in _LISTS:
        found = spec.get(listed)
        if isinstance(found, list):
            spec[listed] = [_with_image(one, images) for one in found]
    return {**template, "spec": spec}


def _with_image(container: Any, images: dict[str, str]) -> Any:
    """Return a container with the image that it is to have by its name, if there is one."""
    image = images.get(read_text(field(container, "name")))
    return container if image is None else {**container, "image": image}


def pin_template(template: dict[str, Any], pinning: Pinning) -> None:
    """Put the images of a pinning into a template that is to be created."""
    images = {one.container: one.image for one in pinning.images}
    for container in _list_containers(template):
        if container.get("name") in images:
            container["image"] = images[read_text(container.get("name"))]


def annotate_originals(pinning: Pinning) -> str | None:
    """Return the annotation's value; None where nothing is pinned."""
    originals = {one.container: one.image for one in pinning.originals}
    return json.dumps(originals, sort_keys=True, separators=(",", ":")) if originals else None


def build_image_patch(pinning: Pinning) -> dict[str, Any]:
    """Return the pod spec of a strategic merge patch, which merges containers by their names."""
    spec: dict[str, Any] = {}
    for listed, init in zip(_LISTS, (False, True), strict=True):
        changed = [
            {"name": one.container, "image": one.image}
            for one in pinning.images
            if one.init is init
        ]
        if changed:
            spec[listed] = changed
    return spec


def _list_containers(template: object) -> Iterator[Any]:
    """Return all containers of a template, to be read or changed in place."""
    for listed in _LISTS:
        yield from objects(field(template, "spec", listed))
