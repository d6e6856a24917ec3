"""Pods of an API server in memory: what a ReplicaSet controller, a scheduler and kubelets would write of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from tripswitch.api.times import format_time

Object = dict[str, Any]


def render_time(at: float) -> str:
    """Return a time as the API server writes it: whole seconds."""
    return format_time(float(int(at))).replace(".000Z", "Z")


class Pods:
    """Makes and deletes the pods of ReplicaSets.

    Args:
        deliver: Called with each version of a pod; ``gone`` with the last one.
        now: The time.
        rng: For the times that pods take.
    """

    def __init__(self, deliver: Callable[..., None], now: Callable[[], float], rng: Random) -> None:
        self.crashing = False
        """Whether pods of revisions after the first one crash."""
        self._deliver = deliver
        self._now = now
        self._rng = rng
        self._pods: dict[str, dict[str, Object]] = {}
        """By the UID of their ReplicaSet, then by name."""
        self._made = 0

    def follow(self, replica_set: Object) -> None:
        """Make and delete pods until a ReplicaSet has as many as it asks for."""
        owned = self._pods.setdefault(replica_set["metadata"]["uid"], {})
        wanted = replica_set["spec"]["replicas"]
        for _ in range(wanted - len(owned)):
            self._made += 1
            raw = make_pod(replica_set, f"{self._made:05}", self._now())
            owned[raw["metadata"]["name"]] = raw
            first = replica_set["metadata"]["annotations"]["tripswitch.dev/revision"] == "1"
            self._live(owned, raw, crashes=self.crashing and not first)
        for name in sorted(owned, key=lambda name: is_ready(owned[name]))[: len(owned) - wanted]:
            self._end(owned.pop(name))

    def _live(self, owned: dict[str, Object], raw: Object, *, crashes: bool) -> None:
        name, rng = raw["metadata"]["name"], self._rng
        steps: list[Object] = [
            {},
            {"scheduled": True},
            {"waiting": "ContainerCreating"},
            {"started": True},
        ]
        steps += [{"ended": 1}, {"backed_off": 1}] if crashes else [{"ready": True}]
        at = 0.0
        for step in steps:
            at += rng.uniform(0.02, 0.5)
            asyncio.get_running_loop().call_later(at, self._step, owned, name, step)

    def _step(self, owned: dict[str, Object], name: str, step: Object) -> None:
        if name in owned:
            owned[name] = change_pod(owned[name], self._now(), **step)
            self._deliver(owned[name])

    def _end(self, raw: Object) -> None:
        stamp = {"deletionTimestamp": render_time(self._now() + 30)}
        ending = {**raw, "metadata": {**raw["metadata"], **stamp}}
        loop, seconds = asyncio.get_running_loop(), self._rng.uniform(0.3, 1.0)
        loop.call_later(0.02, self._deliver, ending)
        ended = change_pod(ending, self._now(), ended=143)
        loop.call_later(seconds, self._deliver, ended)
        loop.call_later(seconds + 0.05, lambda: self._deliver(ended, gone=True))


def is_ready(raw: Object) -> bool:
    """Return whether a pod says that it is Ready."""
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in raw["status"]["conditions"]
    )


def make_pod(replica_set: Object, number: str, now: float) -> Object:
    """Return a pod as its ReplicaSet creates it, with what admission and field managers add: about 5 KB."""
    metadata, template = replica_set["metadata"], replica_set["spec"]["template"]
    (container,) = template["spec"]["containers"]
    token = {
        "name": "kube-api-access-x2x9k",
        "readOnly": True,
        "mountPath": "/var/run/secrets/kubernetes.io",
    }
    managed = {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "v1",
        "time": render_time(now),
        "fieldsType": "FieldsV1",
        "fieldsV1": {f"f:field-{n}": {".": {}, f"k:part-{n}": {}} for n in range(40)},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{number}",
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "uid": f"pod-{number}",
            "generation": 1,
            "creationTimestamp": render_time(now),
            "labels": template["metadata"]["labels"],
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": [managed, {**managed, "manager": "kubelet", "subresource": "status"}],
        },
        "spec": {
            "volumes": [
                {"name": token["name"], "projected": {"sources": [{"a": n} for n in range(3)]}}
            ],
            "containers": [
                {**container, "volumeMounts": [token], "imagePullPolicy": "IfNotPresent"}
            ],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
                for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
            ],
        },
        "status": {
            "phase": "Pending",
            "qosClass": "Burstable",
            "conditions": [],
            "containerStatuses": [],
        },
    }


def change_pod(
    raw: Object,
    now: float,
    *,
    scheduled: bool = False,
    waiting: str = "",
    started: bool = False,
    ready: bool = False,
    ended: int = 0,
    backed_off: int = 0,
) -> Object:
    """Return a pod after one step of its life."""
    at, status = render_time(now), dict(raw["status"])
    known = {one["type"]: one for one in status["conditions"]}
    if scheduled:
        known["PodScheduled"] = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at}
        raw = {**raw, "spec": {**raw["spec"], "nodeName": "node-1"}}
    state: Object = {}
    if waiting:
        state = {"state": {"waiting": {"reason": waiting}}}
    if started or ready:
        state = {"state": {"running": {"startedAt": at}}, "started": True}
    run = {"exitCode": ended or backed_off, "reason": "Error", "startedAt": at, "finishedAt": at}
    if ended:
        state = {"state": {"terminated": run}}
    if backed_off:
        reason = {
            "reason": "CrashLoopBackOff",
            "message": "back-off 10s restarting failed container",
        }
        state = {"state": {"waiting": reason}, "lastState": {"terminated": run}}
    if state:
        (played,) = raw["spec"]["containers"]
        container = {
            "name": "web",
            "image": played["image"],
            "imageID": "" if waiting else f"registry.example/web@sha256:{'0' * 64}",
            "ready": ready,
            "started": False,
        }
        status["containerStatuses"] = [{**container, "restartCount": 0, "lastState": {}, **state}]
        status["phase"] = "Pending" if waiting else "Running"
        for kind in ("Initialized", "ContainersReady", "Ready"):
            told = "True" if ready or kind == "Initialized" else "False"
            known[kind] = {"type": kind, "status": told, "lastTransitionTime": at}
    status["conditions"] = list(known.values())
    return {**raw, "status": status}
