"""What one event of a pod costs: from the line of the watch to the view in the store, without a cluster."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import Any

from benchmarks.played_pods import Object, change_pod, make_pod, render_time
from benchmarks.report import Row
from benchmarks.work import make_object, make_template
from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.cluster.marks import DIGEST, HASH_LABEL, REVISION
from tripswitch.cluster.resources import PODS
from tripswitch.cluster.shapes import find_shape
from tripswitch.cluster.store import Store

TARGET_US = 40.0
CREATED = 1_764_000_000.0
STEPS: tuple[dict[str, Any], ...] = (
    {},
    {"scheduled": True},
    {"waiting": "ContainerCreating"},
    {"started": True},
    {"ready": True},
)
"""The events of a pod that starts well."""


def measure_pod_events(times: int = 15, pods: int = 200) -> Row:
    """Time the five events of each pod that starts: decoding, the view, its place in the store."""
    replica_set = make_replica_set()
    lines = list_lines(replica_set, pods)
    spent = median(_time(lines, replica_set) for _ in range(times))
    size = sum(len(line) for line in lines) / len(lines) / 1000
    return Row(
        f"CPU of an event of a pod of {size:.1f} KB",
        f"{spent:.0f} us",
        target=f"under {TARGET_US:.0f} us",
        met=spent < TARGET_US,
        reason="a view is compared with the one before, which is built anew",
    )


def make_replica_set() -> Object:
    """Return a ReplicaSet of the GuardedDeployment ``web``."""
    template = make_template("web", "v1")
    labels = {**template["metadata"]["labels"], HASH_LABEL: "6f8c"}
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": "web", "uid": "uid-of-web"}
    return {
        "metadata": {
            "name": "web-6f8c",
            "namespace": "storm",
            "uid": "uid-of-web-6f8c",
            "resourceVersion": "900",
            "creationTimestamp": render_time(CREATED),
            "labels": labels,
            "annotations": {REVISION: "1", DIGEST: "digest-1"},
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {
            "replicas": 10,
            "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
        },
    }


def list_lines(replica_set: Object, pods: int) -> list[bytes]:
    """Return the lines of a watch in which pods start."""
    lines: list[bytes] = []
    for number in range(pods):
        raw = make_pod(replica_set, f"{number:05}", CREATED)
        for second, step in enumerate(STEPS):
            raw = change_pod(raw, CREATED + second, **step)
            metadata = {**raw["metadata"], "resourceVersion": str(1000 + len(lines))}
            event = {"type": "MODIFIED", "object": {**raw, "metadata": metadata}}
            lines.append(json.dumps(event, separators=(",", ":")).encode())
    return lines


def _time(lines: list[bytes], replica_set: Object) -> float:
    """Return the CPU time of one line in microseconds."""
    marked: list[object] = []
    store = Store(marked.append, lambda: CREATED + 100)
    guarded = make_object("web")
    store.upsert_guarded({**guarded, "metadata": {**guarded["metadata"], "resourceVersion": "800"}})
    store.replica_sets.upsert(replica_set)
    decode, take = find_shape(PODS).event, store.pods.upsert
    began = time.process_time()
    for line in lines:
        event: Any = decode(line)
        take(event["object"])
    spent = time.process_time() - began
    assert len(store.pods) * len(STEPS) == len(lines)
    assert len(marked) > len(lines)  # each event has its object looked at
    return 1e6 * spent / len(lines)
