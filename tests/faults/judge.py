"""What must have been true at every moment of a story, worked out from raw objects alone.

What is there at a moment comes from a watch; what was counted, how often it tripped and went back comes
from the API server's audit log, which has every write, also those between two watches.

Nothing here uses the operator's own reading of pods: failures are counted again from the container
statuses, and the bounds are computed again from the spec. Only the status itself is also held
against the core's own invariants.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.support.invariants import check_status
from tools.cluster.audit import GUARDED, PODS, SETS, Object, Version
from tripswitch.api.codec import read_status

STALLED = ("FAILED", "ROLLBACK_FAILED")
OWN_FAULT = ("ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "InvalidImageName")


@dataclass
class Expected:
    """What a scenario expects of one GuardedDeployment.

    ``rollbacks`` in all. ``failed``: for each revision the exact number of failures that must have
    been counted against it. ``disturbed``: somebody else took pods away, so the lower bound is not
    ours to keep. ``tampered``: somebody else wrote the status, so it is not ours to answer for.
    """

    rollbacks: int | None = None
    failed: dict[int, int] = field(default_factory=dict)
    disturbed: bool = False
    tampered: bool = False


@dataclass
class _Moment:
    """Everything as it is after one version."""

    guarded: dict[str, Object] = field(default_factory=dict)
    sets: dict[str, Object] = field(default_factory=dict)
    """Also those that are gone: what they showed stays."""
    sets_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    pods_of: dict[str, dict[str, Object]] = field(default_factory=lambda: defaultdict(dict))
    """By the UID of the ReplicaSet, by UID."""
    failures: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """By the UID of the ReplicaSet: the most failures that each of its pods has shown."""
    by_time: set[str] = field(default_factory=set)
    """UIDs of ReplicaSets of which a pod could not start: some of their failures are counted by the
    clock (F2), and not to be read off."""
    proved: set[str] = field(default_factory=set)
    """UIDs of those that had all their pods healthy once."""
    rollbacks: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """By UID: the start of each rollback, and the revision that failed."""


def judge(
    story: Iterable[Version],
    written: Iterable[Version],
    expected: dict[str, Expected] | None = None,
) -> list[str]:
    """Return everything that is wrong with what happened in one namespace.

    Args:
        story: What was seen of it, by a watch.
        written: What the audit log has of it.
        expected: For each name of a GuardedDeployment.
    """
    wanted, found = expected or {}, []
    now = _Moment()
    for version in story:
        _apply(now, version)
        found += [f"{_where(version)}: {problem}" for problem in _look(now, version, wanted)]
    now = _Moment()
    for version in written:
        _apply(now, version)
        found += [f"{_where(version)}: {problem}" for problem in _count(now, version, wanted)]
    for raw in now.guarded.values():
        found += _conclude(now, raw, wanted.get(raw["metadata"]["name"], Expected()))
    return list(dict.fromkeys(found))


def _where(version: Version) -> str:
    return f"at {version.at}, {version.kind} {version.name}"


def visible_failures(pod: Object) -> int:
    """Count the failures that a pod's status shows (F1, and the first of F2)."""
    total = 0
    for status in pod.get("status", {}).get("containerStatuses", []):
        state, last = status.get("state", {}), status.get("lastState", {})
        waiting = state.get("waiting")
        ended = "terminated" in state or (waiting is not None and "terminated" in last)
        total += int(status.get("restartCount", 0)) + ended
        if waiting is not None and not ended and waiting.get("reason") in OWN_FAULT:
            total += 1
    return total


def _apply(now: _Moment, version: Version) -> None:
    owner = _owner(version.raw)
    match version.kind:
        case "guardeddeployments" if version.gone:
            now.guarded.pop(version.uid, None)
        case "guardeddeployments":
            now.guarded[version.uid] = version.raw
        case "replicasets":
            now.sets[version.uid] = version.raw
            if owner:
                now.sets_of[owner].add(version.uid)
        case _ if version.gone:
            now.pods_of[owner].pop(version.uid, None)
        case _:
            now.pods_of[owner][version.uid] = version.raw
            if owner and not version.raw["metadata"].get("deletionTimestamp"):
                before = now.failures[owner].get(version.uid, 0)
                now.failures[owner][version.uid] = max(before, visible_failures(version.raw))
                if _cannot_start(version.raw):
                    now.by_time.add(owner)


def _look(now: _Moment, version: Version, wanted: dict[str, Expected]) -> Iterator[str]:
    if version.kind == GUARDED:
        if _tells(version, wanted):
            for problem in check_status(read_status(version.raw["status"])):
                yield f"status: {problem}"
        return
    owner = _owner(version.raw)
    if version.kind == PODS:
        owner = _owner(now.sets[owner]) if owner in now.sets else ""
    raw = now.guarded.get(owner)
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        return
    if raw.get("status", {}).get("rollout"):
        yield from _look_at_pods(now, raw, wanted.get(raw["metadata"]["name"], Expected()))
        if version.kind == SETS:
            yield from _look_at_sizes(raw, version)


def _tells(version: Version, wanted: dict[str, Expected]) -> bool:
    """Whether a GuardedDeployment has a status that is the operator's.

    Generation -1 is the CRD's own default: nobody has looked at the object yet.
    """
    status = version.raw.get("status") or {}
    looked_at = status.get("observedGeneration", -1) != -1
    return looked_at and not version.gone and not wanted.get(version.name, Expected()).tampered


def _count(now: _Moment, version: Version, wanted: dict[str, Expected]) -> Iterator[str]:
    """Hold what a status counts against what the pods had shown when it was written."""
    if version.kind != GUARDED or not _tells(version, wanted):
        return
    uid, status = version.uid, version.raw["status"]
    rollout = status.get("rollout") or {}
    if rollout.get("kind") == "ROLLBACK":
        now.rollbacks[uid][rollout["startedAt"]] = rollout.get("failedRevision", 0)
    for record in status.get("revisions", []):
        sets = _sets_named(now, uid, record["replicaSet"])
        seen = sum(sum(now.failures[one].values()) for one in sets)
        if record["failedTasks"] > seen and not now.by_time.intersection(sets):
            yield f"revision {record['revision']}: {record['failedTasks']} counted, {seen} to be seen"


def _look_at_pods(now: _Moment, raw: Object, expected: Expected) -> Iterator[str]:
    uid = raw["metadata"]["uid"]
    pods = (pod for one in now.sets_of[uid] for pod in now.pods_of[one].values())
    alive = [pod for pod in pods if _is_alive(pod)]
    healthy = sum(map(_is_ready, alive))
    lower, upper = bounds(raw["spec"])
    if len(alive) > upper and not expected.disturbed:
        yield f"{len(alive)} pods, at most {upper} allowed"
    if healthy >= raw["spec"]["replicas"]:
        now.proved.add(uid)
    if uid in now.proved and healthy < lower and not expected.disturbed:
        yield f"{healthy} healthy pods, at least {lower} needed"


def _look_at_sizes(raw: Object, version: Version) -> Iterator[str]:
    """B3: after a stall was written, no ReplicaSet is larger than when it was."""
    rollout = raw["status"]["rollout"]
    if rollout["status"] not in STALLED or _owner(version.raw) != raw["metadata"]["uid"]:
        return
    failed = next(r for r in raw["status"]["revisions"] if r["revision"] == rollout["revision"])
    if failed["replicaSet"] == version.name and version.raw["spec"]["replicas"] > failed["desired"]:
        yield f"raised to {version.raw['spec']['replicas']} pods while stalled"


def _conclude(now: _Moment, raw: Object, expected: Expected) -> Iterator[str]:
    name, uid = raw["metadata"]["name"], raw["metadata"]["uid"]
    rollbacks = now.rollbacks[uid]
    if expected.rollbacks is not None and len(rollbacks) != expected.rollbacks:
        yield f"{name}: {expected.rollbacks} rollbacks expected, there were {len(rollbacks)}"
    if len(set(rollbacks.values())) < len(rollbacks):
        yield f"{name}: two rollbacks from one revision: {rollbacks}"
    counted = {r["revision"]: r["failedTasks"] for r in raw.get("status", {}).get("revisions", [])}
    for revision, failures in expected.failed.items():
        if counted.get(revision) != failures:
            yield f"{name}: {counted.get(revision)} failures of revision {revision}, not {failures}"


def bounds(spec: Object) -> tuple[int, int]:
    """Compute rule R1's bounds again (percentages only)."""
    configuration, replicas = spec.get("deploymentConfiguration", {}), spec["replicas"]
    lower = math.ceil(replicas * configuration.get("minimumHealthyPercent", 100) / 100)
    upper = math.floor(replicas * configuration.get("maximumPercent", 200) / 100)
    return lower, replicas + 1 if lower == upper == replicas else upper


def _sets_named(now: _Moment, guard: str, name: str) -> list[str]:
    """Also one that was deleted and made again under the same name."""
    return [uid for uid in now.sets_of[guard] if now.sets[uid]["metadata"]["name"] == name]


def _cannot_start(pod: Object) -> bool:
    waiting = (
        status.get("state", {}).get("waiting", {}).get("reason")
        for status in pod.get("status", {}).get("containerStatuses", [])
    )
    return any(reason in OWN_FAULT for reason in waiting)


def _owner(raw: Object) -> str:
    for reference in raw["metadata"].get("ownerReferences", []):
        if reference.get("controller"):
            return str(reference["uid"])
    return ""


def _is_alive(pod: Object) -> bool:
    phase = pod.get("status", {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in ("Failed", "Succeeded")


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
