"""Pod templates of revisions, as a person wrote them. Pure.

A ReplicaSet holds its template with the API server's defaults filled in and with our hash label. Put
back into ``spec`` like that it would be another template, with another digest: a whole new rollout.
So the defaults are taken out again. Which ones they are is learned from the template that ``spec``
holds now and from what its ReplicaSet made of it; whether the result is right is known, because the
ReplicaSet carries the digest of what was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tripswitch.api.template import template_digest
from tripswitch.api.tolerant import field, mapping, read_text
from tripswitch.cluster.marks import DIGEST, HASH_LABEL
from tripswitch.cluster.pins import unpin_template

POD_HASH = "pod-template-hash"
"""Label that the Deployment controller adds to a ReplicaSet's template."""

Raw = Mapping[str, Any]
Path = tuple[str, ...]


def read_template(replica_set: Raw, *, digests: bool = False) -> dict[str, Any]:
    """Return the template of a ReplicaSet without the hash label that its controller added.

    It has the images that were written; with ``digests`` those that are pinned have their digest, too.
    """
    template = unpin_template(replica_set, digests=digests)
    labels = dict(mapping(field(template, "metadata", "labels")))
    for added in (HASH_LABEL, POD_HASH):
        labels.pop(added, None)
    metadata = {**mapping(template.get("metadata")), "labels": labels}
    metadata.pop("creationTimestamp", None)
    template["metadata"] = metadata
    return template


def find_written(replica_set: Raw, written_now: Raw, held_now: Raw | None) -> Raw | None:
    """Return a revision's template as it was written; None if it cannot be told any more.

    Args:
        replica_set: The revision's ReplicaSet.
        written_now: ``spec.template`` of the GuardedDeployment.
        held_now: The ReplicaSet made from that, if there is one.
    """
    digest = read_text(field(replica_set, "metadata", "annotations", DIGEST))
    held = read_template(replica_set)
    learned = {} if held_now is None else _learn(written_now, read_template(held_now))
    # The very defaults that were learned; then any values in their places, because a default may
    # follow from another field (imagePullPolicy follows from the tag).
    candidates = (held, _without(held, learned, same=True), _without(held, learned, same=False))
    return next(
        (
            written
            for one in candidates
            for written in (one, _with_empty_annotations(one))
            if template_digest(written) == digest
        ),
        None,
    )


def _with_empty_annotations(template: Any) -> dict[str, Any]:
    """Return the template with what the API server drops: annotations that are there but empty."""
    return {**template, "metadata": {"annotations": {}, **mapping(template.get("metadata"))}}


def _learn(written: Any, held: Any) -> dict[Path, Any]:
    """Return what the server added, by its place; places in lists are all alike."""
    theirs = dict(_leaves(written))
    return {path: value for path, value in _leaves(held) if path not in theirs}


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and value:
        for name, one in value.items():
            yield from _leaves(one, (*path, name))
    elif isinstance(value, list) and value:
        for one in value:
            yield from _leaves(one, (*path, "*"))
    else:
        yield path, value


def _without(value: Any, learned: Mapping[Path, Any], path: Path = (), *, same: bool) -> Any:
    """Return a template without what was learned; objects that are empty then go as well."""
    if isinstance(value, Mapping):
        kept = {}
        for name, one in value.items():
            here = (*path, name)
            if here in learned and (not same or learned[here] == one):
                continue
            rest = _without(one, learned, here, same=same)
            if rest != {} or one == {}:
                kept[name] = rest
        return kept
    if isinstance(value, list):
        return [_without(one, learned, (*path, "*"), same=same) for one in value]
    return value
