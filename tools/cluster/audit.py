"""What the API server wrote down: each request that it answered, and what each write made of an object.

Nobody tells it what to write: a write that took effect stands there even if its answer was lost on the
way, and nothing is missed while a watch is interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

Object = dict[str, Any]
GUARDED, SETS, PODS = "guardeddeployments", "replicasets", "pods"
DEPLOYMENTS, STATEFUL_SETS, BREAKERS = "deployments", "statefulsets", "deploymentcircuitbreakers"
KINDS = (GUARDED, SETS, PODS)
WHOLE = frozenset({"", "status", "ephemeralcontainers", "resize"})
"""Subresources whose answer is the whole object. Of an eviction and a binding it is not: what they do
stands in the next write of the pod."""


@dataclass(frozen=True)
class Request:
    """One request that the API server answered."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    raw: Object

    @property
    def writes(self) -> bool:
        """Whether something may be different afterwards."""
        return self.verb in ("create", "update", "patch", "delete", "deletecollection")

    @property
    def words(self) -> str:
        """Verb and resource, such as ``update guardeddeployments/status``."""
        return f"{self.verb} {self.resource}"


class AuditLog:
    """Reads on from where it was last; begins behind what is there already, if not ``whole``."""

    def __init__(self, path: Path, *, whole: bool = False) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() and not whole else 0

    def mark(self) -> None:
        """Begin here."""
        self._at = self._path.stat().st_size

    def read(self) -> Iterator[Request]:
        """Yield what came since the last mark or read, each request once: when its answer is complete."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # half written
                self._at += len(line)
                raw = json.loads(line)
                if raw["stage"] == "ResponseStarted":
                    continue  # a watch or a log, whose end has a line of its own
                ref = raw.get("objectRef") or {}
                sub = ref.get("subresource")
                resource = ref.get("resource", raw["requestURI"])
                yield Request(
                    user=raw["user"]["username"],
                    verb=raw["verb"],
                    resource=f"{resource}/{sub}" if sub else resource,
                    namespace=ref.get("namespace", ""),
                    name=ref.get("name", ""),
                    code=(raw.get("responseStatus") or {}).get("code", 0),
                    raw=raw,
                )


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object.

    Args:
        at: Its resourceVersion: one order for all kinds (etcd's revision).
        gone: Whether it is the last one, as it was when it went.
        seen: When, in seconds on the observer's clock.
    """

    at: int
    kind: str
    raw: Object
    gone: bool
    seen: float

    @property
    def event(self) -> str:
        """What a watch would call it; an ADDED counts as MODIFIED."""
        return "DELETED" if self.gone else "MODIFIED"

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.raw["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.raw["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Its UID."""
        return str(self.raw["metadata"]["uid"])


class Trail:
    """Every version of every object of some kinds, in the order of taking effect.

    The API server writes a line when it has answered, and answers overtake each other. So each line
    waits for ``hold`` seconds for those that belong before it. Only what is alive, and what waits, is
    kept. ``seen`` of a version is the wall clock's time of the answer.

    ``kinds``: by plural, of those whose bodies the log has: GuardedDeployments, ReplicaSets and pods by default, and
    Deployments, StatefulSets and DeploymentCircuitBreakers.
    """

    def __init__(
        self, log: AuditLog, hold: float = 10.0, *, kinds: Collection[str] = KINDS
    ) -> None:
        self._log = log
        self._hold = hold
        self._kinds = kinds
        self._waiting: list[tuple[int, int, float, Request]] = []
        self._order = count()
        self._newest = 0
        self._alive: dict[str, Object] = {}
        self._gone: set[str] = set()

    def read(self, now: float) -> Iterator[Version]:
        """Yield what was answered until ``hold`` seconds before ``now`` (wall clock).

        Raises ValueError when the log has a write of these kinds without what it made of the object.
        """
        for request in self._log.read():
            if _counts(request, self._kinds):
                self._take(request)
        # By their own time, each: one that changed nothing has an old version, and may be the newest.
        due = sorted(one for one in self._waiting if one[2] <= now - self._hold)
        self._waiting = [one for one in self._waiting if one[2] > now - self._hold]
        for at, _, seen, request in due:
            for raw, gone in list(self._objects(request)):
                known = self._alive.get(raw["metadata"]["uid"])
                if raw["metadata"]["uid"] not in self._gone and (gone or not _same(raw, known)):
                    self._keep(raw, gone=gone)
                    kind = request.resource.partition("/")[0]
                    yield Version(at, kind, raw, gone, seen)

    def _take(self, request: Request) -> None:
        answer = request.raw.get("responseObject")
        if answer is None:
            raise ValueError(f"the audit log has no bodies: {request.words} {request.name}")
        # The answer to a deletion may have no version: it came after all that is known.
        at = _number(answer)
        self._newest = max(self._newest, at)
        seen = datetime.fromisoformat(request.raw["stageTimestamp"]).timestamp()
        self._waiting.append((at or self._newest, next(self._order), seen, request))

    def _objects(self, request: Request) -> Iterator[tuple[Object, bool]]:
        """Yield what a request made of which objects, and whether they are gone."""
        answer = request.raw["responseObject"]
        if "items" in answer:
            for item in answer["items"]:
                yield from self._collected(item, request)
            return
        known = self._alive.get(_uid(answer))
        gone = _is_final(answer.get("metadata", {}), deleted=request.verb == "delete")
        match answer["kind"]:
            case "Status":
                if known is not None:
                    yield known, True
            case "Scale":
                if known is not None:
                    spec = {**known["spec"], "replicas": answer["spec"].get("replicas", 0)}
                    version = {"resourceVersion": answer["metadata"]["resourceVersion"]}
                    yield {**known, "spec": spec, "metadata": known["metadata"] | version}, False
            case "PartialObjectMetadata":  # what the garbage collector asks for
                if known is not None:
                    yield {**known, "metadata": answer["metadata"]}, gone
            case _:
                yield answer, gone

    def _collected(self, item: Object, request: Request) -> Iterator[tuple[Object, bool]]:
        """One object of a deleted collection: the answer has it as it was before.

        A pod on a node stays until its kubelet has ended it, unless no grace was given.
        """
        metadata = item["metadata"]
        wish = _wishes(request).get("gracePeriodSeconds")
        grace = "nodeName" in item["spec"] and wish != 0 if request.resource == PODS else False
        ended = item.get("status", {}).get("phase") in ("Failed", "Succeeded")
        if metadata.get("finalizers") or (grace and not ended):
            raw = self._alive.get(metadata["uid"], item)
            at = {"deletionTimestamp": request.raw["stageTimestamp"]}
            yield {**raw, "metadata": {**at, **raw["metadata"]}}, False
        else:
            yield item, True

    def _keep(self, raw: Object, *, gone: bool) -> None:
        uid = raw["metadata"]["uid"]
        if gone:
            self._alive.pop(uid, None)
            self._gone.add(uid)
        elif uid not in self._alive or _number(raw) >= _number(self._alive[uid]):
            self._alive[uid] = raw


def _wishes(request: Request) -> Object:
    """What was sent: an object or options; a JSON patch, which is a list, wishes nothing by name."""
    sent = request.raw.get("requestObject")
    return sent if isinstance(sent, dict) else {}


def _counts(request: Request, kinds: Collection[str]) -> bool:
    """Whether a request may have changed an object of these kinds: answered well, no dry run."""
    kind, _, sub = request.resource.partition("/")
    dry = "dryRun=" in request.raw["requestURI"] or _wishes(request).get("dryRun")
    return (
        kind in kinds
        and (sub in WHOLE or sub == "scale")
        and request.writes
        and 200 <= request.code < 300
        and not dry
    )


def _is_final(metadata: Object, *, deleted: bool) -> bool:
    """Whether an object that was answered is none any more: marked, nobody to wait for, no grace."""
    marked = deleted or "deletionTimestamp" in metadata
    return (
        marked and not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")
    )


def _uid(answer: Object) -> str:
    """UID of the object that an answer is about."""
    told = answer.get("details", {}) if answer["kind"] == "Status" else answer["metadata"]
    return str(told.get("uid", ""))


def _number(raw: Object) -> int:
    return int(raw.get("metadata", {}).get("resourceVersion") or 0)


def _same(raw: Object, known: Object | None) -> bool:
    """Whether nothing was written; a mark for deletion has no version of its own here."""
    return (
        known is not None
        and _number(raw) == _number(known)
        and ("deletionTimestamp" in raw["metadata"]) == ("deletionTimestamp" in known["metadata"])
    )
