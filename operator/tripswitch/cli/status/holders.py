"""The objects whose pods are one revision: ReplicaSets, and a StatefulSet's ControllerRevisions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tripswitch.api.tolerant import field as at
from tripswitch.api.tolerant import objects, read_int, read_text
from tripswitch.cli.status.pod_lines import PodLine, Tone, describe_pod
from tripswitch.cluster.pods import see_pod
from tripswitch.cluster.replicasets import find_controller, find_guard
from tripswitch.domain.values.time import Instant

Raw = Mapping[str, Any]

REVISION_HASH = "controller-revision-hash"
"""Label of a StatefulSet's pod: the name of its ControllerRevision."""

_ORDER = (Tone.BAD, Tone.WAITING, Tone.GOOD, Tone.GONE)


@dataclass(frozen=True, slots=True)
class ReplicaSetLine:
    """The holder of a revision with its pods, the failing ones first.

    ``desired`` None: it has no size of its own, as a ControllerRevision.
    """

    name: str
    desired: int | None
    pods: tuple[PodLine, ...] = ()
    problem: str = ""
    kind: str = "ReplicaSet"

    @property
    def ready(self) -> int:
        """How many of its pods are Ready."""
        return sum(pod.tone is Tone.GOOD for pod in self.pods)


def read_replica_sets(
    guarded: Raw,
    workload: Raw | None,
    replica_sets: Iterable[Raw],
    pods: Iterable[Raw],
    now: Instant,
) -> dict[str, ReplicaSetLine]:
    """Return the ReplicaSets of a GuardedDeployment or a Deployment by name; strangers are left out."""
    by_owner = _group(pods, lambda raw: read_text(at(find_controller(raw), "uid")), now)
    owner = read_text(at(guarded if workload is None else workload, "metadata", "uid"))
    found = {}
    for raw in replica_sets:
        theirs = find_guard(raw) if workload is None else at(find_controller(raw), "uid")
        if not owner or theirs != owner:
            continue
        name, uid = read_text(at(raw, "metadata", "name")), read_text(at(raw, "metadata", "uid"))
        desired = read_int(at(raw, "spec", "replicas"))
        found[name] = ReplicaSetLine(name, desired, by_owner.get(uid, ()), _find_failure(raw))
    return found


def read_controller_revisions(
    stateful_set: Raw, pods: Iterable[Raw], now: Instant
) -> dict[str, ReplicaSetLine]:
    """Return the pods of a StatefulSet by the name of their ControllerRevision."""
    owner = read_text(at(stateful_set, "metadata", "uid"))
    ours = [raw for raw in pods if owner and at(find_controller(raw), "uid") == owner]
    by_revision = _group(
        ours, lambda raw: read_text(at(raw, "metadata", "labels", REVISION_HASH)), now
    )
    return {
        name: ReplicaSetLine(name, None, lines, kind="ControllerRevision")
        for name, lines in by_revision.items()
    }


def _group(
    pods: Iterable[Raw], key: Callable[[Raw], str], now: Instant
) -> dict[str, tuple[PodLine, ...]]:
    found: dict[str, list[PodLine]] = {}
    for raw in pods:
        found.setdefault(key(raw), []).append(describe_pod(see_pod(raw, None, now).view, now))
    return {
        name: tuple(sorted(lines, key=lambda pod: (_ORDER.index(pod.tone), pod.name)))
        for name, lines in found.items()
    }


def _find_failure(replica_set: Raw) -> str:
    return next(
        (
            read_text(one.get("message"))
            for one in objects(at(replica_set, "status", "conditions"))
            if one.get("type") == "ReplicaFailure" and one.get("status") == "True"
        ),
        "",
    )
