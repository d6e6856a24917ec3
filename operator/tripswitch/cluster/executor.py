"""Writes decisions: the status first and fenced, then the actions (rule W1).

Every write carries the version it was decided on, so a stale look loses the race before it touches a
pod. Every answer goes into the store at once: a watch that lags never makes the next decision repeat
this one. A failed write is decided again from a newer look; only a change of a ReplicaSet is sent once more, if the
conflict was caused by the ReplicaSet's status alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from tripswitch.api.identity import API_VERSION
from tripswitch.api.times import format_time
from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.bodies import (
    build_deletion,
    build_joint_patch,
    build_patch,
    build_set_aside,
)
from tripswitch.cluster.child_index import Table
from tripswitch.cluster.client import MERGE_PATCH, STRATEGIC_PATCH, Client
from tripswitch.cluster.creation import ReplicaSetCreator
from tripswitch.cluster.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from tripswitch.cluster.store import Key, Record, Store
from tripswitch.cluster.worst_error import pick_worst
from tripswitch.domain.values.decision import (
    Action,
    AdoptReplicaSet,
    CreateReplicaSet,
    DeletePod,
    DeleteReplicaSet,
    DropPod,
    MarkCompleted,
    PinImages,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetAsidePod,
)
from tripswitch.domain.values.hold_actions import HoldAction
from tripswitch.domain.values.time import Instant

_Deletion = DeletePod | DeleteReplicaSet | DropPod
_Patch = (
    AdoptReplicaSet | ReleaseReplicaSet | ScaleReplicaSet | MarkCompleted | PinImages | SetAsidePod
)
_STRATEGIC = AdoptReplicaSet | ReleaseReplicaSet | PinImages | SetAsidePod
"""Patches that change single entries of lists; a merge patch would replace the lists."""
_FromPods = ScaleReplicaSet | MarkCompleted | PinImages
"""Changes of a ReplicaSet that are decided from its pods: of the ReplicaSet, all but its status has to be known."""
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class _Joint:
    """Several changes of one ReplicaSet, which are one request."""

    name: str
    uid: str
    resource_version: str
    changes: tuple[_FromPods, ...]


Fenced = _Patch | _Deletion | HoldAction | _Joint

Tell = Callable[[Record, str, str], None]
"""Called with what was done to a pod that was to be set aside: reason and message of an event."""

SET_ASIDE = "PodSetAside"
NOT_SET_ASIDE = "PodNotSetAside"


class Executor:
    """Carries out what was decided about one GuardedDeployment at a time."""

    def __init__(
        self,
        client: Client,
        store: Store,
        clock: Callable[[], Instant],
        tell: Tell = lambda _record, _reason, _message: None,
        resource: Resource = GUARDED_DEPLOYMENTS,
    ) -> None:
        self._resource = resource
        self._tell = tell
        self._client = client
        self._store = store
        self._clock = clock
        self._creator = ReplicaSetCreator(client, store, clock)

    async def write_status(self, record: Record, status: Mapping[str, Any]) -> None:
        """Replace the status of the very version that was looked at.

        Only the parts that the status subresource reads are sent: the rest of the object stays as
        it is on the server, and a field that is not in ``status`` is gone afterwards.

        Raises:
            ConflictError: The object has moved on. The store knows its latest version now.
            ApiError: Something else; after an ``UnreachableError`` it may have been written.
        """
        namespace, name = record.key
        body = {
            "apiVersion": API_VERSION,
            "kind": record.kind,
            "metadata": {
                "namespace": namespace,
                "name": name,
                "uid": record.uid,
                "resourceVersion": record.resource_version,
            },
            "status": status,
        }
        path = self._resource.path(namespace, name, "status")
        try:
            self._store.upsert_guarded(await self._client.request("PUT", path, body=body))
        except (ConflictError, NotFoundError):
            await self.refresh(record.key)
            raise

    async def refresh(self, key: Key) -> None:
        """Ask the API server for the latest version of a GuardedDeployment."""
        try:
            answer = await self._client.request("GET", self._resource.path(*key))
        except NotFoundError:
            known = self._store.find(key)
            if known is not None:
                self._store.remove_guarded(known.uid)
        else:
            self._store.upsert_guarded(answer)

    async def act(self, record: Record, digest: str, actions: Iterable[Action]) -> Instant | None:
        """Carry out the actions: those on one object in order, all others at the same time.

        Args:
            record: The version of the GuardedDeployment that was decided on.
            digest: Of its template.
            actions: What was decided.

        Returns:
            When a refused creation is to be tried again.

        Raises:
            ApiError: At least one action failed; all others have been tried. The worst error is raised
                (:func:`pick_worst`), with a note of each of the others, which are logged.
        """
        groups: dict[str, list[Action]] = {}
        for action in actions:
            groups.setdefault(target_of(action), []).append(action)
        results = await asyncio.gather(
            *(self._act_in_turn(record, digest, group) for group in groups.values()),
            return_exceptions=True,
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise pick_worst(errors, record)
        return min((at for at in results if isinstance(at, float)), default=None)

    async def _act_in_turn(
        self, record: Record, digest: str, group: Iterable[Action]
    ) -> Instant | None:
        versions: dict[str, str] = {}
        retry_at = None
        for action in _join(group):
            if isinstance(action, CreateReplicaSet):
                retry_at = await self._creator.create(record, digest, action)
                continue
            # The action before has made a newer version of the same object.
            version = versions.get(action.uid)
            fenced = replace(action, resource_version=version) if version else action
            if isinstance(fenced, SetAsidePod):
                await self._set_aside(record, fenced)
                continue
            answer = await self._write_newest(record, fenced)
            versions[action.uid] = read_text(field(answer, "metadata", "resourceVersion"))
        return retry_at

    async def _write_newest(self, record: Record, action: Fenced) -> dict[str, Any]:
        """Write on the newest version that a decision cannot tell from the one looked at (W1).

        A ReplicaSet's controller writes its status with every change of a pod, often before a watch has told
        of it. After a conflict the ReplicaSet is read once; if nothing but its status differs, that version
        is the newest one.
        """
        if not isinstance(action, _FromPods | _Joint):
            return await self._write(record, action)
        known = self._renew(action)
        try:
            return await self._write(record, known)
        except ConflictError as error:
            if error.status != CONFLICT:
                raise  # it is gone
            await self._read_replica_set(record, action)
            newest = self._renew(action)
            if newest == known:
                raise
        return await self._write(record, newest)

    def _renew(self, action: _FromPods | _Joint) -> _FromPods | _Joint:
        looked_at = action.resource_version
        newest = self._store.replica_sets.find_latest_like(action.uid, looked_at)
        return replace(action, resource_version=newest)

    async def _read_replica_set(self, record: Record, action: _FromPods | _Joint) -> None:
        path = REPLICA_SETS.path(record.key.namespace, action.name)
        with suppress(NotFoundError):
            self._store.replica_sets.upsert(await self._client.request("GET", path))

    async def _confirm(self, record: Record) -> None:
        """Make sure, at the API server itself, that the GuardedDeployment is not on its way out.

        When one is deleted with ``--cascade=orphan`` its ReplicaSets lose their owner first. Adopted
        again by a look that does not know yet, they and their pods would be deleted with it.
        """
        await self.refresh(record.key)
        latest = self._store.find(record.key)
        if latest is None or latest.uid != record.uid or latest.deleting:
            raise ConflictError(
                f"{record.key.name} is being deleted, so its ReplicaSets are not adopted"
            )

    async def _set_aside(self, record: Record, action: SetAsidePod) -> None:
        """Set a pod aside; where that is not allowed, say so and let it be scaled away."""
        try:
            await self._write(record, action)
        except (ForbiddenError, InvalidError) as error:
            if self._store.refuse_retention(record):
                self._tell(
                    record,
                    NOT_SET_ASIDE,
                    f"failedPodRetention keeps nothing: pod {action.name} cannot be set aside: {error}",
                )
            return
        self._tell(
            record,
            SET_ASIDE,
            f"pod {action.name} of revision {action.revision} is set aside until "
            f"{format_time(self._clock() + action.ttl)}: kubectl logs --previous {action.name}",
        )

    async def _write(self, record: Record, action: Fenced) -> dict[str, Any]:
        assert not isinstance(action, HoldAction), "only guarded workloads are held"
        pod = isinstance(action, DeletePod | DropPod | SetAsidePod)
        table: Table[Any] = self._store.pods if pod else self._store.replica_sets
        path = (PODS if pod else REPLICA_SETS).path(record.key.namespace, action.name)
        if isinstance(action, AdoptReplicaSet):
            await self._confirm(record)
        try:
            if isinstance(action, _Deletion):
                answer = await self._client.request("DELETE", path, body=build_deletion(action))
            else:
                answer = await self._client.request(
                    "PATCH",
                    path,
                    body=self._build_body(record, action),
                    content_type=_find_content_type(action),
                )
        except NotFoundError as error:
            table.forget(action.uid, action.resource_version)
            raise ConflictError(f"{action.name} is gone", status=error.status) from error
        if answer.get("kind") == "Status":  # deleted at once, nothing is left of it
            table.forget(action.uid, action.resource_version)
        else:
            table.upsert(answer)
        return answer

    def _build_body(
        self,
        record: Record,
        action: _Patch | _Joint,
    ) -> dict[str, Any]:
        if isinstance(action, _Joint):
            return build_joint_patch(action.resource_version, action.changes)
        if isinstance(action, SetAsidePod):
            return build_set_aside(record.decode(), action, self._clock() + action.ttl)
        return build_patch(record.decode(), action)


def _join(actions: Iterable[Action]) -> Iterator[Action | _Joint]:
    """Return the actions on one object, with changes of a ReplicaSet that follow each other as one."""
    for from_pods, found in groupby(actions, lambda action: isinstance(action, _FromPods)):
        group = list(found)
        if not from_pods or len(group) == 1:
            yield from group
            continue
        changes = tuple(one for one in group if isinstance(one, _FromPods))
        first = changes[0]
        yield _Joint(first.name, first.uid, first.resource_version, changes)


def _find_content_type(action: _Patch | _Joint) -> str:
    parts = action.changes if isinstance(action, _Joint) else (action,)
    strategic = any(isinstance(one, _STRATEGIC) for one in parts)
    return STRATEGIC_PATCH if strategic else MERGE_PATCH


def target_of(action: Action) -> str:
    """Return what an action is about: actions on one target go one after the other.

    A pod is set aside before its ReplicaSet is lowered, so they are about the same.
    """
    if isinstance(action, SetAsidePod):
        return action.replica_set_uid
    return action.name if isinstance(action, CreateReplicaSet) else action.uid
