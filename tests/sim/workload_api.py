"""The API server's part for guarded workloads: one Deployment or StatefulSet, its revisions, breakers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from tests.sim import consistency
from tests.sim.api import AlreadyExistsError, ApiServer, ConflictError, NotFoundError
from tests.sim.objects import (
    Change,
    Raw,
    RawBreaker,
    RawDeployment,
    RawRevision,
    RawStateful,
    RawWorkload,
)
from tripswitch.domain.values.status import Status

NOT_SPEC = ("notes", "revision", "labels", "status", "holder", "version", "generation")
"""Fields whose change is no new generation."""
T = TypeVar("T", RawRevision, RawBreaker)


class WorkloadServer(ApiServer):
    """Holds one workload at most, and its breakers."""

    def __init__(self) -> None:
        super().__init__()
        self.workload: RawWorkload | None = None
        self.revisions: dict[str, RawRevision] = {}
        self.breakers: dict[str, RawBreaker] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to guard."""
        return self.workload is None or not self.breakers

    def list_raw(self, kind: type[Raw]) -> list[Raw]:
        """Return all objects of a kind."""
        if kind is RawRevision:
            return list(self.revisions.values())
        if kind is RawBreaker:
            return list(self.breakers.values())
        if kind in (RawDeployment, RawStateful):
            return [self.workload] if isinstance(self.workload, kind) else []
        return super().list_raw(kind)

    def touch(self, raw: Raw) -> None:
        """Store an object once more, as somebody else's write of something that does not matter."""
        if isinstance(raw, RawDeployment | RawStateful):
            self._put_workload(raw)
        elif isinstance(raw, RawBreaker):
            self.put_breaker(raw)

    # The workload ------------------------------------------------------------------------------

    def set_workload(self, one: RawWorkload) -> RawWorkload:
        """Create it."""
        return self._put_workload(one)

    def change_workload(self, version: int | None = None, **changes: Any) -> RawWorkload:
        """Change it, if it is the version that was meant; no change is no new version."""
        one = self.workload
        if one is None:
            raise NotFoundError("no workload")
        if version is not None and one.version != version:
            raise ConflictError(one.name)
        changed = replace(one, **changes)
        if changed == one:
            return one
        before, after = (_spec_of(each) for each in (one, changed))
        return self._put_workload(
            changed if before == after else replace(changed, generation=one.generation + 1)
        )

    def drop_workload(self) -> None:
        """Delete it; the garbage collector takes what it owned."""
        assert self.workload is not None
        gone, self.workload = self.workload, None
        self._tell(Change(replace(gone, version=self.next_version()), gone=True))

    def _put_workload(self, one: RawWorkload) -> RawWorkload:
        stored: RawWorkload = replace(one, version=self.next_version())
        self.workload = stored
        self._tell(Change(stored))
        return stored

    # Its revisions -----------------------------------------------------------------------------

    def put_revision(self, one: RawRevision) -> RawRevision:
        """Create or renumber a ControllerRevision."""
        if any(rev.name == one.name and rev.uid != one.uid for rev in self.revisions.values()):
            raise AlreadyExistsError(one.name)
        stored = self.revisions[one.uid] = self._store(one)
        self._tell(Change(stored))
        return stored

    def drop_revision(self, uid: str) -> None:
        """Delete a ControllerRevision."""
        if uid not in self.revisions:
            raise NotFoundError(uid)
        gone = self.revisions.pop(uid)
        self._tell(Change(replace(gone, version=self.next_version()), gone=True))

    # Breakers ----------------------------------------------------------------------------------

    def put_breaker(self, one: RawBreaker) -> RawBreaker:
        """Store a version of a breaker."""
        stored = self.breakers[one.uid] = self._store(one)
        self._tell(Change(stored))
        return stored

    def wish(self, uid: str, **changes: Any) -> RawBreaker:
        """Change settings or commands of a breaker, as a person does."""
        one = self.breakers[uid]
        wish = replace(one.wish, **changes)
        if wish == one.wish:
            return one
        raised = int(wish.protection != one.wish.protection)
        return self.put_breaker(
            replace(one, wish=replace(wish, generation=wish.generation + raised))
        )

    def write_breaker_status(self, uid: str, version: int, status: Status) -> RawBreaker:
        """Replace the status of the very version that was looked at."""
        one = self.breakers.get(uid)
        if one is None:
            raise NotFoundError(uid)
        if one.version != version:
            raise ConflictError(uid)
        consistency.check_status_change(one.wish.status, status)
        return self.put_breaker(replace(one, wish=replace(one.wish, status=status)))

    def drop_breaker(self, uid: str) -> None:
        """Delete a breaker."""
        gone = self.breakers.pop(uid)
        self._tell(Change(replace(gone, version=self.next_version()), gone=True))

    def _store(self, raw: T) -> T:
        return replace(raw, version=self.next_version())


def _spec_of(one: RawWorkload) -> dict[str, Any]:
    return {name: getattr(one, name) for name in type(one).__slots__ if name not in NOT_SPEC}
