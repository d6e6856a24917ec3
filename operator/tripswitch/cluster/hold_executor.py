"""Writes decisions about guarded workloads: the status, then the actions of a trip one after the other.

Their order is part of the rule (G4): an action that fails ends the row, and a newer look decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tripswitch.cluster.client import STRATEGIC_PATCH, Client
from tripswitch.cluster.errors import ConflictError, NotFoundError
from tripswitch.cluster.executor import Executor, Fenced
from tripswitch.cluster.hold_requests import build_hold_request, resource_of
from tripswitch.cluster.resources import CIRCUIT_BREAKERS
from tripswitch.cluster.store import Record
from tripswitch.cluster.workload_store import WorkloadStore
from tripswitch.domain.rules.workloads import is_held
from tripswitch.domain.values.decision import Action, DeletePod
from tripswitch.domain.values.hold_actions import HoldAction, ResizeRevision
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.time import Instant


class HoldExecutor(Executor):
    """Carries out what was decided about one DeploymentCircuitBreaker at a time."""

    def __init__(self, client: Client, store: WorkloadStore, clock: Callable[[], Instant]) -> None:
        super().__init__(client, store, clock, resource=CIRCUIT_BREAKERS)
        self._workloads = store

    async def act(self, record: Record, digest: str, actions: Iterable[Action]) -> Instant | None:
        """Carry out the actions in their order, until one of them fails.

        Raises:
            ApiError: An action failed; those after it were not tried.
        """
        actions = list(actions)
        if actions and isinstance(actions[0], ResizeRevision | DeletePod):
            await self._confirm_hold(record)  # else the workload was written just before
        return await self._act_in_turn(record, digest, actions)

    async def _confirm_hold(self, record: Record) -> None:
        """Make sure, at the API server itself, that the workload is still held by this breaker.

        Sizes and pods are fenced by their own versions only. Somebody may have resumed the workload, and its
        watch be late: then each size would be written against its own controller, again and again (G5).

        Raises:
            ConflictError: It is not held any more, or gone. The store knows its latest version now.
        """
        target = self._workloads.target_of(record)
        kind, name = WorkloadKind(target.kind), f"{target.kind} {target.name}"
        path = resource_of(kind).path(target.namespace, target.name)
        try:
            self._workloads.workloads.upsert(kind, await self._client.request("GET", path))
        except NotFoundError as error:
            raise ConflictError(f"{name} is gone", status=error.status) from error
        brief = self._workloads.workloads.find(target)
        view = None if brief is None else brief.view
        if view is None or not is_held(view, record.uid):
            raise ConflictError(f"{name} is not held any more")

    async def _write(self, record: Record, action: Fenced) -> dict[str, Any]:
        if not isinstance(action, HoldAction):
            return await super()._write(record, action)
        request = build_hold_request(action, self._clock())
        path = request.resource.path(record.key.namespace, action.name, request.subresource)
        try:
            answer = await self._client.request(
                "PATCH", path, body=request.body, content_type=STRATEGIC_PATCH
            )
        except NotFoundError as error:
            raise ConflictError(f"{action.name} is gone", status=error.status) from error
        if isinstance(action, ResizeRevision):
            self._workloads.replica_sets.upsert(answer)
        else:
            self._workloads.workloads.upsert(action.kind, answer)
        return answer
