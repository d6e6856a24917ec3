"""The API server's REST side: one call in, one answer out, on the objects of :mod:`tests.sim.api`.

It knows the calls that the operator makes and refuses all others: an operator that begins to make another
one is noticed here.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from tests.sim import api as server
from tests.sim.api import ApiServer
from tests.sim.encode import JsonObject, decode_set, encode, read_pins
from tests.sim.objects import (
    Aside,
    Change,
    Raw,
    RawBreaker,
    RawDeployment,
    RawGuarded,
    RawPod,
    RawRevision,
    RawSet,
    RawStateful,
)
from tests.sim.references import PLURALS, NamedObjects
from tests.sim.templates import find_template
from tripswitch.api.codec import read_status
from tripswitch.api.times import format_time, parse_time
from tripswitch.cluster.client import METADATA_ONLY, STRATEGIC_PATCH
from tripswitch.cluster.marks import (
    ASIDE,
    DIGEST,
    HASH_LABEL,
    RETAINED_FOR,
    RETAINED_UNTIL,
    REVISION,
    SIZED_FOR,
    hash_of,
)
from tripswitch.cluster.transport import Answer, Call
from tripswitch.domain.values.time import Instant

KINDS: dict[str, type[Raw]] = {
    "guardeddeployments": RawGuarded,
    "replicasets": RawSet,
    "pods": RawPod,
    "deployments": RawDeployment,
    "statefulsets": RawStateful,
    "controllerrevisions": RawRevision,
    "deploymentcircuitbreakers": RawBreaker,
}
WISHES = ("guardeddeployments", "deploymentcircuitbreakers")
"""What the operator keeps its memory in."""
NODE_LEASES = "kube-node-lease"
_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (server.AlreadyExistsError, 409, "AlreadyExists"),
    (server.ConflictError, 409, "Conflict"),
    (server.NotFoundError, 404, "NotFound"),
    (server.RefusedError, 403, "Forbidden"),
)


class UnexpectedCallError(AssertionError):
    """A call that the operator is not known to make."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    namespace: str
    plural: str
    name: str
    part: str


def read_path(path: str) -> Target:
    """Return what a path names.

    >>> read_path("/api/v1/namespaces/shop/pods/web-1/log")
    Target(namespace='shop', plural='pods', name='web-1', part='log')
    """
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, part = [*parts, "", ""][:3]
    return Target(namespace, plural, name, part)


class Rest:
    """Answers calls, and remembers every change for watches that go on from a version."""

    def __init__(self, api: ApiServer, server_time: Callable[[], Instant]) -> None:
        self._api = api
        self._time = server_time
        self._shown: dict[str, tuple[int, JsonObject]] = {}
        self.leases: dict[str, JsonObject] = {}
        self.events: dict[str, JsonObject] = {}
        """What the operator has told, by name."""
        self.node_readings: list[tuple[str, Instant | None, bool]] = []
        """What was read of nodes: name, when its Lease was renewed, and whether it is not Ready."""
        self.named: NamedObjects | None = None
        """The ConfigMaps and ServiceAccounts; None: the operator is not to ask for them."""
        self.told: Callable[[Mapping[str, Any]], None] = lambda _: None
        """Called with each event that the operator posts."""
        self.log: dict[type[Raw], list[Change]] = defaultdict(list)
        self.pods: dict[tuple[str, str], RawPod] = {}
        """Every version of every pod, by UID and version, as the referee needs it."""
        self.compacted: dict[type[Raw], int] = {}
        """The version of each kind from which on a watch can go on; 410 from an older one."""
        self.hushed: set[type[Raw]] = set()
        """Kinds whose watches tell nothing."""
        api.watchers.append(self._note)

    def compact(self, kind: type[Raw]) -> None:
        """Forget the changes of a kind until now."""
        self.compacted[kind] = self._api.version
        self.log[kind].clear()

    def show_version(self, raw: Raw) -> JsonObject:
        """Return this version of an object as JSON, which may not be the latest any more."""
        known = self._shown.get(raw.uid)
        return known[1] if known is not None and known[0] == raw.version else encode(raw)

    def show(self, raw: Raw) -> JsonObject:
        """Return an object as JSON. It must not be changed: others hold the same one."""
        known = self._shown.get(raw.uid)
        if known is None or known[0] != raw.version:
            known = self._shown[raw.uid] = (raw.version, encode(raw))
        return known[1]

    def list_raw(self, kind: type[Raw]) -> list[Raw]:
        """Return all objects of a kind."""
        return self._api.list_raw(kind)

    def answer(self, call: Call) -> Answer:
        """Do what a call asks for, at this moment."""
        date = formatdate(self._time(), usegmt=True)
        if not self._api.writable:
            return Answer(500, _refusal(500, "", "etcdserver: request timed out"), date)
        try:
            body = self._do(call, read_path(call.path))
        except server.ApiError as error:
            for kind, status, reason in _STATUS:
                if isinstance(error, kind):
                    return Answer(status, _refusal(status, reason, str(error)), date)
            raise
        return Answer(200, body, date)

    def find_raw(self, target: Target) -> Raw | None:
        """Return the object that a path names, if there is one."""
        kind = KINDS.get(target.plural)
        if kind is None or not target.name:
            return None
        return next((raw for raw in self.list_raw(kind) if raw.name == target.name), None)

    def _note(self, change: Change) -> None:
        self.log[type(change.raw)].append(change)
        if isinstance(change.raw, RawPod):
            self.pods[change.raw.uid, str(change.raw.version)] = change.raw

    def _do(self, call: Call, target: Target) -> object:
        if target.plural == "leases":
            return self._lease(call, target)
        if target.plural == "events":
            return self._event(call, target)
        if call.method == "GET":
            return self._read(call, target)
        if target.plural == "guardeddeployments" and target.part == "status":
            return self._write_status(call.body or {})
        if target.plural in ("replicasets", "pods") and not target.part:
            return self._write_child(call, target)
        raise UnexpectedCallError(f"{call}")

    # Reading -----------------------------------------------------------------------------------

    def _read(self, call: Call, target: Target) -> object:
        if target.plural == "nodes":
            if self._api.hides_nodes:
                raise server.RefusedError("nodes is forbidden")
            ready = "False" if target.name in self._api.unready_nodes else "True"
            return {"status": {"conditions": [{"type": "Ready", "status": ready}]}}
        if target.part == "log":
            return self._read_log(call, target)
        if target.plural in PLURALS and self.named is not None:
            return self._list_named(call, self.named.list_names(target.plural))
        if target.name:
            found = self.find_raw(target)
            if found is None:
                raise server.NotFoundError(f'{target.plural} "{target.name}" not found')
            return self.show(found)
        selector = call.query.get("labelSelector", "")
        items = [self.show(raw) for raw in self.list_raw(KINDS[target.plural])]
        items = [one for one in items if is_selected(one, selector)]
        if call.accept == METADATA_ONLY:
            items = [{"metadata": one["metadata"]} for one in items]
        return self._listing(items)

    def _list_named(self, call: Call, names: list[str]) -> JsonObject:
        if call.accept != METADATA_ONLY:
            raise UnexpectedCallError(f"{call} reads more than names")
        items: list[JsonObject] = [{"metadata": {"name": name}} for name in names]
        return {"kind": "PartialObjectMetadataList", **self._listing(items)}

    def _listing(self, items: list[JsonObject]) -> JsonObject:
        return {"metadata": {"resourceVersion": str(self._api.version)}, "items": items}

    def _read_log(self, call: Call, target: Target) -> str:
        found = self.find_raw(target)
        if not isinstance(found, RawPod) or not found.node:
            raise server.NotFoundError(f'pods "{target.name}" not found')
        return f"the last words of {call.query['container']}\n"

    # Events and Leases -------------------------------------------------------------------------

    def _event(self, call: Call, target: Target) -> object:
        if call.method == "GET":
            return self._listing(list(self._failed_attempts(call.query["fieldSelector"])))
        body = dict(call.body or {})
        if call.method == "POST":
            self.told(body)
            self.events[body["metadata"]["name"]] = body
            return body
        if target.name not in self.events:
            raise server.NotFoundError(target.name)
        self.events[target.name].update(body)
        return self.events[target.name]

    def _failed_attempts(self, selector: str) -> Iterable[JsonObject]:
        """The kubelets' events about attempts to start a container, by the pods' own counters."""
        asked = dict(one.split("=") for one in selector.split(","))
        for pod in self._api.pods.values():
            if asked.get("involvedObject.name", pod.name) != pod.name:
                continue
            for one, count in zip(pod.containers, pod.attempts, strict=True):
                if count:
                    about = {"uid": pod.uid, "fieldPath": f"spec.containers{{{one.name}}}"}
                    yield {
                        "involvedObject": about,
                        "reason": "Failed",
                        "message": "Error: it cannot be started",
                        "count": count,
                    }

    def _lease(self, call: Call, target: Target) -> object:
        if target.namespace == NODE_LEASES:
            return self._node_lease(target.name)
        given = dict(call.body or {})
        body: JsonObject = {**given, "metadata": dict(given.get("metadata", {}))}
        name = target.name or body["metadata"]["name"]
        known = self.leases.get(name)
        if call.method == "POST" and known is not None:
            raise server.AlreadyExistsError(name)
        if call.method != "POST" and known is None:
            raise server.NotFoundError(f'leases "{name}" not found')
        if call.method == "GET":
            return known
        version = body["metadata"].get("resourceVersion")
        if known is not None and version != known["metadata"]["resourceVersion"]:
            raise server.ConflictError(name)
        body["metadata"]["resourceVersion"] = str(self._api.next_version())
        self.leases[name] = body
        return body

    def _node_lease(self, node: str) -> JsonObject:
        if self._api.hides_nodes:
            raise server.RefusedError("leases is forbidden")
        renewed = self._api.node_leases.get(node)
        self.node_readings.append((node, renewed, node in self._api.unready_nodes))
        if renewed is None:
            raise server.NotFoundError(f'leases "{node}" not found')
        return {"spec": {"renewTime": format_time(renewed), "leaseDurationSeconds": 40}}

    # Writing -----------------------------------------------------------------------------------

    def _write_status(self, body: Mapping[str, Any]) -> JsonObject:
        metadata = body["metadata"]
        status, version = read_status(body["status"]), int(metadata["resourceVersion"])
        return self.show(self._api.write_status(metadata["uid"], version, status))

    def _write_child(self, call: Call, target: Target) -> JsonObject:
        body = call.body or {}
        if call.method == "POST":
            return self.show(self._create(body))
        found = self.find_raw(target)
        if found is None:
            raise server.NotFoundError(f'{target.plural} "{target.name}" not found')
        conditions = body["preconditions" if call.method == "DELETE" else "metadata"]
        if (found.uid, str(found.version)) != (conditions["uid"], conditions["resourceVersion"]):
            raise server.ConflictError(f"{target.name} is another version")
        if call.method == "DELETE":
            return self._delete(found)
        if isinstance(found, RawPod):
            return self.show(self._api.put_pod(set_aside(found, body)))
        assert isinstance(found, RawSet)
        return self._patch(found, call)

    def _create(self, body: Mapping[str, Any]) -> RawSet:
        metadata = body["metadata"]
        annotations = metadata["annotations"]
        return self._api.create_set(
            RawSet(
                metadata["name"],
                self._api.make_uid("rs"),
                metadata["ownerReferences"][0]["uid"],
                int(annotations[REVISION]),
                find_template(annotations[DIGEST]),
                body["spec"]["replicas"],
                float(int(self._time())),
                sized_for=int(annotations[SIZED_FOR]),
                pins=read_pins(body, find_template(annotations[DIGEST])),
            )
        )

    def _patch(self, found: RawSet, call: Call) -> JsonObject:
        shown, patch = self.show(found), copy.deepcopy(dict(call.body or {}))
        metadata = {key: copy.copy(value) for key, value in shown["metadata"].items()}
        body = {**shown, "metadata": metadata, "spec": dict(shown["spec"])}
        if call.content_type == STRATEGIC_PATCH:
            _patch_owners(body["metadata"], patch["metadata"])
            _patch_images(body["spec"], patch.get("spec", {}))
        merge(body, patch)
        assert body["metadata"]["labels"][HASH_LABEL] == hash_of(found.name)
        after, before = _fields(decode_set(body, found)), _fields(found)
        changes = {name: value for name, value in after.items() if value != before[name]}
        return self.show(self._api.patch_set(found.uid, found.version, **changes))

    def _delete(self, found: Raw) -> JsonObject:
        if isinstance(found, RawPod):
            return self.show(self._api.delete_pod(found.uid, found.version))
        self._api.delete_set(found.uid, found.version)
        return {"kind": "Status", "status": "Success"}


def set_aside(pod: RawPod, body: Mapping[str, Any]) -> RawPod:
    """Return a pod as the operator leaves it that keeps it for a look (failedPodRetention).

    Raises:
        UnexpectedCallError: It stays with its ReplicaSet or with Services, or it is well.
    """
    metadata = body["metadata"]
    labels, notes = metadata["labels"], metadata["annotations"]
    replaced, owner = metadata["ownerReferences"]
    leaves = replaced == {"$patch": "replace"} and labels[HASH_LABEL] == ASIDE
    if not leaves or labels["app"] is not None or not labels[RETAINED_FOR]:
        raise UnexpectedCallError(f"{pod.name} is not set aside: {body}")
    if pod.ready or not pod.live:
        raise UnexpectedCallError(f"{pod.name} is set aside, and is not failing")
    until = parse_time(notes[RETAINED_UNTIL])
    aside = Aside(owner["uid"], pod.owner, int(notes[REVISION]), until)
    return replace(pod, owner=None, mark="", aside=aside)


def is_selected(shown: JsonObject, selector: str) -> bool:
    """Return whether an object has the labels that a selector asks for.

    >>> is_selected({"metadata": {"labels": {"app": "web"}}}, "app,app=web")
    True
    """
    labels = shown["metadata"].get("labels", {})
    for term in filter(None, selector.split(",")):
        name, equals, value = term.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return True


def merge(target: JsonObject, patch: Mapping[str, Any]) -> None:
    """Apply a JSON merge patch (RFC 7386).

    >>> body = {"a": 1, "b": {"c": 2}}
    >>> merge(body, {"a": None, "b": {"d": 3}})
    >>> body
    {'b': {'c': 2, 'd': 3}}
    """
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(target.get(name), dict):
            merge(target[name], value)
        else:
            target[name] = value


def _patch_owners(metadata: JsonObject, patch: JsonObject) -> None:
    """Apply the part of a strategic merge patch that changes the list of owners, by UID."""
    owners = {one["uid"]: one for one in metadata.get("ownerReferences", [])}
    for one in patch.pop("ownerReferences", []):
        if one.get("$patch") == "delete":
            owners.pop(one["uid"], None)
        else:
            owners[one["uid"]] = one
    metadata["ownerReferences"] = list(owners.values())


def _patch_images(spec: JsonObject, patch: JsonObject) -> None:
    """Apply the part of a strategic merge patch that changes images of a template, by container."""
    changes = patch.pop("template", {}).get("spec", {})
    if not changes:
        return
    spec["template"] = copy.deepcopy(spec["template"])
    for listed, containers in changes.items():
        images = {one["name"]: one["image"] for one in containers}
        for one in spec["template"]["spec"][listed]:
            one["image"] = images.pop(one["name"], one["image"])
        assert not images, f"images of containers that are not there: {images}"


def _fields(rs: RawSet) -> dict[str, Any]:
    return {name: getattr(rs, name) for name in RawSet.__slots__}


def _refusal(status: int, reason: str, message: str) -> JsonObject:
    return {"kind": "Status", "code": status, "reason": reason, "message": message}
