"""Which fields of pods and ReplicaSets are read: all others are skipped while JSON is decoded.

Two thirds of a pod are managed fields, volumes, tolerations and environment variables. Skipping them takes a
sixth of the time of building them. What comes out are plain dicts, as if the object had no other fields.

A shape says only where something is read; what a value means is for the tolerant readers to say. Values are
therefore ``Any``. An object that has another form than its shape is decoded as it is.
"""

from __future__ import annotations

import json
from typing import Any, Generic, TypedDict, TypeVar

import msgspec

from tripswitch.cluster.resources import PODS, REPLICA_SETS, Resource
from tripswitch.cluster.transport import WHOLE, Shape

T = TypeVar("T")

LIMIT = 500
"""How many objects a page has. An API server needs half as much CPU time for them as for pages of 100; of whole
objects such pages would need too much memory here."""


class _Owner(TypedDict, total=False):
    apiVersion: Any
    kind: Any
    name: Any
    uid: Any
    controller: Any


class _Metadata(TypedDict, total=False):
    name: Any
    namespace: Any
    uid: Any
    resourceVersion: Any
    generation: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    labels: Any
    annotations: Any
    ownerReferences: list[_Owner]


class _Probe(TypedDict, total=False):
    initialDelaySeconds: Any
    periodSeconds: Any
    timeoutSeconds: Any
    failureThreshold: Any
    successThreshold: Any


class _Container(TypedDict, total=False):
    name: Any
    image: Any
    restartPolicy: Any
    restartPolicyRules: Any
    resizePolicy: Any
    readinessProbe: _Probe
    startupProbe: _Probe


class _PodSpec(TypedDict, total=False):
    nodeName: Any
    readinessGates: Any
    containers: list[_Container]
    initContainers: list[_Container]


class _Condition(TypedDict, total=False):
    type: Any
    status: Any
    reason: Any
    message: Any
    lastTransitionTime: Any


class _ContainerStatus(TypedDict, total=False):
    name: Any
    started: Any
    restartCount: Any
    imageID: Any
    state: Any
    lastState: Any
    allocatedResourcesStatus: Any


class _PodStatus(TypedDict, total=False):
    phase: Any
    reason: Any
    message: Any
    conditions: list[_Condition]
    containerStatuses: list[_ContainerStatus]
    initContainerStatuses: list[_ContainerStatus]


class _Pod(TypedDict, total=False):
    metadata: _Metadata
    spec: _PodSpec
    status: _PodStatus


class _ReplicaSetSpec(TypedDict, total=False):
    replicas: Any
    template: Any


class _ReplicaSetStatus(TypedDict, total=False):
    observedGeneration: Any
    replicas: Any
    conditions: list[_Condition]


class _ReplicaSet(TypedDict, total=False):
    metadata: _Metadata
    spec: _ReplicaSetSpec
    status: _ReplicaSetStatus


class _Named(TypedDict, total=False):
    metadata: _Metadata


class _Event(TypedDict, Generic[T], total=False):
    type: Any
    object: T


class _Page(TypedDict, Generic[T], total=False):
    metadata: Any
    items: list[T]


def make_shape(kind: Any) -> Shape:
    """Return how lists and watches are decoded whose objects are of a kind, a ``TypedDict``."""
    events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Event[kind])
    pages: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Page[kind])

    def read_event(line: bytes) -> object:
        decoded = _decode(events, line)
        is_error = isinstance(decoded, dict) and decoded.get("type") == "ERROR"
        return json.loads(line) if is_error else decoded  # its object is a Status

    return Shape(page=lambda text: _decode(pages, text), event=read_event, limit=LIMIT)


def _decode(decoder: msgspec.json.Decoder[Any], text: bytes) -> object:
    try:
        return decoder.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


NAMES = make_shape(_Named)
"""Names, UIDs and versions: for lists of metadata only."""

_SHAPES = {PODS: make_shape(_Pod), REPLICA_SETS: make_shape(_ReplicaSet)}


def find_shape(resource: Resource) -> Shape:
    """Return the shape of a resource's objects; of others than pods and ReplicaSets all fields are decoded."""
    return _SHAPES.get(resource, WHOLE)
