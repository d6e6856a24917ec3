"""Creates ReplicaSets, and finds out whose one is that has the name already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tripswitch.api.tolerant import field, mapping
from tripswitch.cluster.bodies import build_label_patch, build_replica_set
from tripswitch.cluster.client import MERGE_PATCH, Client
from tripswitch.cluster.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from tripswitch.cluster.marks import DIGEST, HASH_LABEL
from tripswitch.cluster.replicasets import find_controller, find_guard
from tripswitch.cluster.resources import REPLICA_SETS
from tripswitch.cluster.store import Record, Store
from tripswitch.domain.values.decision import CreateReplicaSet
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.time import Instant


class ReplicaSetCreator:
    """Creates the ReplicaSets of GuardedDeployments; what the API server refuses is remembered in the store."""

    def __init__(self, client: Client, store: Store, clock: Callable[[], Instant]) -> None:
        self._client = client
        self._store = store
        self._clock = clock

    async def create(self, record: Record, digest: str, action: CreateReplicaSet) -> Instant | None:
        """Create a ReplicaSet, unless it was refused a short while ago; return when to try again.

        Raises:
            ApiError: It could not be created now, and the server did not refuse it for good.
        """
        due = self._store.retry_at(record, action.name)
        if due is not None and due > self._clock():
            return due
        path = REPLICA_SETS.path(record.key.namespace)
        body = build_replica_set(record.decode(), action, digest)
        try:
            created = await self._client.request("POST", path, body=body)
        except AlreadyExistsError:
            await self._take(record, digest, action)
            return None
        except (InvalidError, ForbiddenError) as error:
            words = str(error)
            self._store.refuse(record, CreateError(digest, action.name, message=words))
            return self._store.retry_at(record, action.name)
        self._store.accept(record, created)
        return None

    async def _take(self, record: Record, digest: str, action: CreateReplicaSet) -> None:
        """Find out whose the ReplicaSet is that has the name already.

        Ours: an earlier try whose answer was lost, or one that has lost the label by which the
        operator sees it, and gets it back. An orphan of ours: the next look adopts it. One that the
        selector does not match is not ours any more (W5).
        """
        path = REPLICA_SETS.path(record.key.namespace, action.name)
        try:
            found = await self._client.request("GET", path)
        except NotFoundError as error:
            raise ConflictError(f"{action.name} has just gone", status=error.status) from error
        same = field(found, "metadata", "annotations", DIGEST) == digest
        ours = find_controller(found) is None or find_guard(found) == record.uid
        labels = mapping(field(found, "metadata", "labels"))
        if same and ours and not record.lets_go(labels):
            self._store.accept(record, await self._relabel(path, action, found))
        else:
            self._store.refuse(record, CreateError(digest, action.name, name_taken=True))

    async def _relabel(
        self, path: str, action: CreateReplicaSet, found: dict[str, Any]
    ) -> dict[str, Any]:
        """Give a ReplicaSet of ours its label back if it has none; return its latest version."""
        if HASH_LABEL in mapping(field(found, "metadata", "labels")):
            return found
        body = build_label_patch(found, action)
        return await self._client.request("PATCH", path, body=body, content_type=MERGE_PATCH)
