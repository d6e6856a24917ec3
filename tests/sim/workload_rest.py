"""What the operator may write on guarded workloads, and how the API server takes it.

Every other field of a Deployment or StatefulSet in a patch is an error of the operator: its template is
never ours, for example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.sim import api as server
from tests.sim.deployment_controller import deployed
from tests.sim.encode import JsonObject, decode_conditions, split_notes
from tests.sim.objects import (
    Raw,
    RawBreaker,
    RawDeployment,
    RawPod,
    RawSet,
    RawStateful,
    RawWorkload,
)
from tests.sim.rest import Rest, Target, UnexpectedCallError, merge
from tests.sim.workload_api import WorkloadServer
from tripswitch.api.circuit_breakers import read_circuit_breaker, read_circuit_breaker_status
from tripswitch.cluster.client import STRATEGIC_PATCH
from tripswitch.cluster.transport import Call
from tripswitch.cluster.workload_index import LABEL, MADE_BY
from tripswitch.cluster.workloads import DESIRED_REPLICAS, MAX_REPLICAS
from tripswitch.domain.values.protection import Mode
from tripswitch.domain.values.time import Instant

US = "tripswitch"
"""Our field manager, as it is shown."""

Judge = Callable[[Raw, Raw | None], None]
"""Called with an object before and after a write of the operator; None: it is deleted."""


class WorkloadRest(Rest):
    """Answers calls about guarded workloads, too."""

    def __init__(self, api: WorkloadServer, server_time: Callable[[], Instant]) -> None:
        super().__init__(api, server_time)
        self._workloads = api
        self.judge: Judge = lambda _before, _after: None
        self.judge_label: Callable[[str, RawBreaker], None] = lambda _method, _breaker: None
        """Called with each breaker that is made, changed or deleted for a label."""

    def _do(self, call: Call, target: Target) -> object:
        if call.method == "GET" or target.plural in ("leases", "events"):
            return super()._do(call, target)
        if target.plural == "deploymentcircuitbreakers" and not target.part:
            return self._write_breaker(call, target)
        found = self.find_raw(target)
        if found is None:
            raise server.NotFoundError(f'{target.plural} "{target.name}" not found')
        body = call.body or {}
        self._check_version(call, found, body)
        match found:
            case RawBreaker() if target.part == "status" and call.method == "PUT":
                status = read_circuit_breaker_status(body["status"])
                return self.show(
                    self._workloads.write_breaker_status(found.uid, found.version, status)
                )
            case RawDeployment() | RawStateful() if call.content_type == STRATEGIC_PATCH:
                after = patch_workload(found, self.show(found), body, target.part)
                self.judge(found, after)
                return self.show(self._write(found, after))
            case RawSet() if call.content_type == STRATEGIC_PATCH and set(body) == SIZE:
                after_size = patch_set(found, body)
                self.judge(found, after_size)
                return self.show(
                    self._workloads.patch_set(
                        found.uid, found.version, size=after_size.size, deployed=after_size.deployed
                    )
                )
            case RawPod() if call.method == "DELETE":
                self.judge(found, None)
                return self.show(self._workloads.delete_pod(found.uid, found.version))
        raise UnexpectedCallError(f"{call}")

    def _write_breaker(self, call: Call, target: Target) -> JsonObject:
        """Make, change or delete the breaker of a label (G8)."""
        body, found = call.body or {}, self.find_raw(target)
        if call.method == "POST":
            metadata = body["metadata"]
            if any(one.name == metadata["name"] for one in self._workloads.breakers.values()):
                raise server.AlreadyExistsError(metadata["name"])
            uid = self._workloads.make_uid("dcb")
            told = {**body, "metadata": {**metadata, "uid": uid, "generation": 1}}
            if metadata["annotations"] != {MADE_BY: LABEL}:
                raise UnexpectedCallError(f"{call} makes a breaker that looks like a person's")
            (owner,) = metadata["ownerReferences"]
            made = RawBreaker(
                read_circuit_breaker(told), float(int(self._time())), made_for=owner["uid"]
            )
            self.judge_label(call.method, made)
            return self.show(self._workloads.put_breaker(made))
        if not isinstance(found, RawBreaker):
            raise server.NotFoundError(f'{target.plural} "{target.name}" not found')
        told = body["preconditions" if call.method == "DELETE" else "metadata"]
        if told["uid"] != found.uid:
            raise server.ConflictError(f"{found.name} is another one")
        self.judge_label(call.method, found)
        if call.method == "DELETE":
            self._workloads.drop_breaker(found.uid)
            return {"kind": "Status", "status": "Success"}
        if set(body["spec"]) != {"mode"}:
            raise UnexpectedCallError(f"{call} changes more than the mode")
        asked = replace(found.wish.protection, mode=Mode(body["spec"]["mode"]))
        return self.show(self._workloads.wish(found.uid, protection=asked))

    def _check_version(self, call: Call, found: Raw, body: Mapping[str, Any]) -> None:
        told = body.get("preconditions" if call.method == "DELETE" else "metadata") or {}
        if "uid" not in told or "resourceVersion" not in told:
            raise UnexpectedCallError(f"{call} names no version")
        if (found.uid, str(found.version)) != (told["uid"], told["resourceVersion"]):
            raise server.ConflictError(f"{found.name} is another version")

    def _write(self, before: RawWorkload, after: RawWorkload) -> RawWorkload:
        names = type(before).__slots__
        changes = {name: getattr(after, name) for name in names if name not in SERVER}
        return self._workloads.change_workload(before.version, **changes)


SIZE = {"metadata", "spec"}
SERVER = ("version", "generation")


def patch_set(rs: RawSet, patch: Mapping[str, Any]) -> RawSet:
    """Return a Deployment's ReplicaSet as a patch of the operator leaves it.

    Raises:
        UnexpectedCallError: It writes what is not ours.
    """
    annotations = dict(patch["metadata"].get("annotations", {}))
    told = deployed(rs)
    desired = annotations.pop(DESIRED_REPLICAS, told.desired)
    most = annotations.pop(MAX_REPLICAS, told.most)
    if annotations or set(patch["spec"]) != {"replicas"}:
        raise UnexpectedCallError(f"{rs.name}: {patch}")
    told = replace(
        told,
        desired=None if desired is None else int(desired),
        most=None if most is None else int(most),
    )
    return replace(rs, size=patch["spec"]["replicas"], deployed=told)


def patch_workload(
    one: RawWorkload, shown: JsonObject, patch: Mapping[str, Any], part: str
) -> RawWorkload:
    """Return a workload as a patch of the operator leaves it.

    Raises:
        UnexpectedCallError: It writes what is not ours.
    """
    if part == "status":
        return _patch_conditions(one, shown, patch)
    if not set(patch) <= {"metadata", "spec"}:
        raise UnexpectedCallError(f"{one.name}: {patch}")
    metadata = patch["metadata"]
    if not set(metadata) <= {"uid", "resourceVersion", "annotations"}:
        raise UnexpectedCallError(f"{one.name}: {patch}")
    annotations = dict(shown["metadata"]["annotations"])
    merge(annotations, metadata.get("annotations", {}))
    notes, _ = split_notes(annotations)
    if isinstance(one, RawDeployment):
        spec = dict(patch.get("spec", {}))
        paused = spec.pop("paused", one.paused) is True
        _refuse_rest(one, spec)
        holder = US if paused is not one.paused else one.holder
        return replace(one, notes=notes, paused=paused, holder=holder)
    spec = dict(patch.get("spec", {}))
    strategy = dict(spec.pop("updateStrategy", {}))
    rolling = dict(strategy.pop("rollingUpdate", {}))
    partition = rolling.pop("partition", one.partition)
    _refuse_rest(one, {**spec, **strategy, **rolling})
    holder = US if partition != one.partition else one.holder
    return replace(one, notes=notes, partition=partition or 0, holder=holder)


def _refuse_rest(one: RawWorkload, rest: Mapping[str, Any]) -> None:
    if rest:
        raise UnexpectedCallError(f"{one.name}: {sorted(rest)} is not ours to write")


def _patch_conditions(one: RawWorkload, shown: JsonObject, patch: Mapping[str, Any]) -> RawWorkload:
    if set(patch["status"]) != {"conditions"}:
        raise UnexpectedCallError(f"{one.name}: {patch}")
    told = {c["type"]: c for c in shown["status"]["conditions"]}
    for change in patch["status"]["conditions"]:
        if change.get("$patch") == "delete":
            told.pop(change["type"], None)
        else:
            told[change["type"]] = {**told.get(change["type"], {}), **change}
    conditions = decode_conditions(list(told.values()))
    if isinstance(one, RawDeployment):
        return replace(one, status=replace(one.status, conditions=conditions))
    return replace(one, status=replace(one.status, conditions=conditions))
