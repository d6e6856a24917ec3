"""Writes decisions about guarded workloads: the status, then the actions of a trip one after the other.

Their order is part of the rule (G4): an action that fails ends the row, and a newer look decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ConflictError, NotFoundError
from tripswitch.cluster.executor import CONFLICT, Executor, Fenced
from tripswitch.cluster.hold_requests import build_hold_request, resource_of
from tripswitch.cluster.resources import CIRCUIT_BREAKERS
from tripswitch.cluster.store import Record
from tripswitch.cluster.workload_store import WorkloadStore
from tripswitch.domain.rules.workloads import is_held
from tripswitch.domain.values.decision import Action, DeletePod
from tripswitch.domain.values.hold_actions import (
    HoldAction,
    HoldWorkload,
    ReportTrip,
    ResizeRevision,
)
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.time import Instant

MOST_TRIES = 3
"""How often a write on a workload is sent while its controller writes status after status."""

_OnWorkload = HoldWorkload | ReportTrip
"""Writes of a trip that depend on nothing in the status of the workload."""


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
        await self._read_workload(record)
        target = self._workloads.target_of(record)
        brief = self._workloads.workloads.find(target)
        view = None if brief is None else brief.view
        if view is None or not is_held(view, record.uid):
            raise ConflictError(f"{target.kind} {target.name} is not held any more")

    async def _write_newest(self, record: Record, action: Fenced) -> dict[str, Any]:
        """Write on the newest version of a workload that differs from the one looked at in its status only.

        The controller answers a pause with a status, and so it does each change of a pod. After a conflict the
        workload is read.
        """
        if not isinstance(action, _OnWorkload):
            return await super()._write_newest(record, action)
        for _ in range(MOST_TRIES - 1):
            known = self._renew_on_workload(record, action)
            try:
                return await self._write(record, known)
            except ConflictError as error:
                if error.status != CONFLICT:
                    raise  # it is gone
                await self._read_workload(record)
                if self._renew_on_workload(record, action) == known:
                    raise
        return await self._write(record, self._renew_on_workload(record, action))

    def _renew_on_workload(self, record: Record, action: _OnWorkload) -> _OnWorkload:
        target, looked_at = self._workloads.target_of(record), action.resource_version
        newest = self._workloads.workloads.find_latest_like(target, action.uid, looked_at)
        return replace(action, resource_version=newest)

    async def _read_workload(self, record: Record) -> None:
        target = self._workloads.target_of(record)
        kind = WorkloadKind(target.kind)
        path = resource_of(kind).path(target.namespace, target.name)
        try:
            self._workloads.workloads.upsert(kind, await self._client.request("GET", path))
        except NotFoundError as error:
            words = f"{target.kind} {target.name} is gone"
            raise ConflictError(words, status=error.status) from error

    async def _write(self, record: Record, action: Fenced) -> dict[str, Any]:
        if not isinstance(action, HoldAction):
            return await super()._write(record, action)
        request = build_hold_request(action, self._clock())
        path = request.resource.path(record.key.namespace, action.name, request.subresource)
        try:
            answer = await self._client.request(
                "PATCH", path, body=request.body, content_type=request.content_type
            )
        except NotFoundError as error:
            raise ConflictError(f"{action.name} is gone", status=error.status) from error
        if isinstance(action, ResizeRevision):
            self._workloads.replica_sets.upsert(answer)
        else:
            self._workloads.workloads.upsert(action.kind, answer)
        return answer
