"""Which object the operator works on, and what is known of it in one version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.api.tolerant import field, mapping, read_text, read_version
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.cluster.selectors import selector_matches


class Key(NamedTuple):
    """Which GuardedDeployment."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return ``namespace/name``, as log lines have it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Record:
    """One version of a GuardedDeployment.

    ``document`` is the object as JSON text without its managed fields: a tenth of the memory of the
    decoded one, which is needed only to read it once and to create a ReplicaSet. ``coherent``: its
    selector matches the ReplicaSets that are made from its template.
    """

    key: Key
    uid: str
    resource_version: str
    version: int
    deleting: bool
    selector: Mapping[str, Any]
    coherent: bool
    document: str
    unobserved: bool = False
    """Its spec has changed since its status was last written."""
    kind: str = KIND
    api_version: str = API_VERSION

    def decode(self) -> dict[str, Any]:
        """Return the object."""
        decoded: dict[str, Any] = json.loads(self.document)
        return decoded

    def lets_go(self, labels: Mapping[str, Any]) -> bool:
        """Return whether a ReplicaSet with these labels is not, or no longer, its own (W5).

        Where the selector does not match what the template makes, nothing is let go: each ReplicaSet
        would be followed by another one, without end.
        """
        return self.coherent and not selector_matches(self.selector, labels)


def read_key(raw: Mapping[str, Any]) -> Key:
    """Return the name of an object as the API server sent it."""
    metadata = field(raw, "metadata")
    return Key(read_text(field(metadata, "namespace")), read_text(field(metadata, "name")))


def read_record(raw: Mapping[str, Any]) -> Record:
    """Return the record of an object as the API server sent it."""
    metadata = dict(mapping(field(raw, "metadata")))
    metadata.pop("managedFields", None)
    selector = dict(mapping(field(raw, "spec", "selector")))
    labels = mapping(field(raw, "spec", "template", "metadata", "labels"))
    return Record(
        key=read_key(raw),
        uid=read_text(metadata.get("uid")),
        resource_version=read_text(metadata.get("resourceVersion")),
        version=read_version(raw),
        deleting=bool(metadata.get("deletionTimestamp")),
        selector=selector,
        coherent=selector_matches(selector, {**labels, HASH_LABEL: ""}),
        document=json.dumps({**raw, "metadata": metadata}),
        unobserved=metadata.get("generation") != field(raw, "status", "observedGeneration"),
        kind=read_text(raw.get("kind")) or KIND,
    )
