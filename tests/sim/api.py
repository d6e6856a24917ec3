"""The API server: versions, preconditions, watch events, and nothing that a real one would refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.sim import consistency
from tests.sim.objects import Change, Raw, RawGuarded, RawPod, RawSet
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant


class ApiError(Exception):
    """The API server did not do it."""


class ConflictError(ApiError):
    """409: another version, or another object of that name."""


class NotFoundError(ApiError):
    """404."""


class AlreadyExistsError(ApiError):
    """409 on create."""


class RefusedError(ApiError):
    """403 or 422: the same request fails again."""


class UnreachableError(ApiError):
    """No answer: what became of a write is not known."""


class ApiServer:
    """Holds every object in its latest version; ``watchers`` are told of every change, in order."""

    def __init__(self) -> None:
        self.version = 100
        self.guarded: RawGuarded | None = None
        self.sets: dict[str, RawSet] = {}
        self.pods: dict[str, RawPod] = {}
        self.watchers: list[Callable[[Change], None]] = []
        self.away = False
        """Nobody reaches it."""
        self.storage_away = False
        """It answers reads from its cache and nothing else."""
        self.node_leases: dict[str, Instant] = {}
        """When nodes last renewed their Leases, by its own clock."""
        self.unready_nodes: set[str] = set()
        self.hides_nodes = False
        """The operator has no right to read nodes and their Leases."""
        self.led_until: Instant | None = None
        """When the operator's Lease was last renewed."""
        self.refusal = ""
        """While set, no ReplicaSet can be created (admission, an invalid template)."""
        self._uids = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to guard."""
        return self.guarded is None

    @property
    def writable(self) -> bool:
        """Whether writes and consistent reads are answered."""
        return not self.away and not self.storage_away

    def list_raw(self, kind: type[Raw]) -> list[Raw]:
        """Return all objects of a kind."""
        if kind is RawPod:
            return list(self.pods.values())
        if kind is RawSet:
            return list(self.sets.values())
        return [] if kind is not RawGuarded or self.guarded is None else [self.guarded]

    def make_uid(self, kind: str) -> str:
        """Return a UID that nothing had before; they sort by age within a kind."""
        self._uids += 1
        return f"{kind}{self._uids:06d}"

    # Pods ------------------------------------------------------------------------------------

    def put_pod(self, pod: RawPod) -> RawPod:
        """Store a new version of a pod."""
        pod = replace(pod, version=self.next_version())
        consistency.check_pod_change(self.pods.get(pod.uid), pod)
        self.pods[pod.uid] = pod
        self._tell(Change(pod))
        return pod

    def drop_pod(self, uid: str) -> None:
        """Take a pod away for good."""
        self._tell(Change(replace(self.pods.pop(uid), version=self.next_version()), gone=True))

    def delete_pod(self, uid: str, version: int | None = None) -> RawPod:
        """Begin to delete a pod; the kubelet finishes it."""
        pod = self.pods.get(uid)
        if pod is None:
            raise NotFoundError(uid)
        if version is not None and pod.version != version:
            raise ConflictError(uid)
        return pod if pod.deleting else self.put_pod(replace(pod, deleting=True))

    def pods_of(self, owner: str) -> list[RawPod]:
        """Return the pods of a ReplicaSet."""
        return [pod for pod in self.pods.values() if pod.owner == owner]

    # ReplicaSets -----------------------------------------------------------------------------

    def find_set(self, name: str) -> RawSet | None:
        """Return the ReplicaSet of a name."""
        return next((rs for rs in self.sets.values() if rs.name == name), None)

    def create_set(self, rs: RawSet) -> RawSet:
        """Create a ReplicaSet."""
        if self.find_set(rs.name) is not None:
            raise AlreadyExistsError(rs.name)
        if self.refusal:
            raise RefusedError(self.refusal)
        return self._put_set(rs)

    def patch_set(self, uid: str, version: int | None = None, **changes: Any) -> RawSet:
        """Change a ReplicaSet, if it is the version that was meant; no change is no new version."""
        rs = self._expect_set(uid, version)
        changed = replace(rs, **changes)
        if changed == rs:
            return rs
        if changed.size != rs.size:
            changed = replace(changed, generation=rs.generation + 1)
        told = changed.deployed
        if told is not None and changed.size != rs.size:
            changed = replace(changed, deployed=replace(told, generation=told.generation + 1))
        return self._put_set(changed)

    def delete_set(self, uid: str, version: int | None = None, *, foreground: bool = False) -> None:
        """Delete a ReplicaSet: at once, or once the garbage collector has taken its pods."""
        rs = self._expect_set(uid, version)
        if foreground:
            self.patch_set(uid, deleting=True)
            return
        del self.sets[uid]
        self._tell(Change(replace(rs, version=self.next_version()), gone=True))

    # The GuardedDeployment -------------------------------------------------------------------

    def put_guarded(self, **changes: Any) -> RawGuarded:
        """Change spec or annotations, as a person does."""
        assert self.guarded is not None
        bumped = "spec" in changes and changes["spec"] != self.guarded.spec
        changed = replace(self.guarded, **changes, generation=self.guarded.generation + int(bumped))
        if changed == self.guarded:
            return self.guarded
        return self.set_guarded(changed)

    def write_status(self, uid: str, version: int, status: Status) -> RawGuarded:
        """Replace the status of the very version that was looked at."""
        if self.guarded is None:
            raise NotFoundError(uid)
        if (self.guarded.uid, self.guarded.version) != (uid, version):
            raise ConflictError(uid)
        consistency.check_status_change(self.guarded.status, status)
        return self.set_guarded(replace(self.guarded, status=status))

    def set_guarded(self, guarded: RawGuarded) -> RawGuarded:
        """Store a new version of the GuardedDeployment."""
        self.guarded = replace(guarded, version=self.next_version())
        self._tell(Change(self.guarded))
        return self.guarded

    def touch(self, raw: Raw) -> None:
        """Store an object once more, as somebody else's write of something that does not matter."""
        if raw is self.guarded and self.guarded is not None:
            self.set_guarded(self.guarded)

    def drop_guarded(self) -> None:
        """Take the GuardedDeployment away."""
        assert self.guarded is not None
        gone, self.guarded = self.guarded, None
        self._tell(Change(replace(gone, version=self.next_version()), gone=True))

    def _expect_set(self, uid: str, version: int | None) -> RawSet:
        rs = self.sets.get(uid)
        if rs is None:
            raise NotFoundError(uid)
        if version is not None and rs.version != version:
            raise ConflictError(rs.name)
        return rs

    def _put_set(self, rs: RawSet) -> RawSet:
        rs = replace(rs, version=self.next_version())
        consistency.check_set_change(self.sets.get(rs.uid), rs)
        self.sets[rs.uid] = rs
        self._tell(Change(rs))
        return rs

    def next_version(self) -> int:
        """Return the version of the next write."""
        if not self.writable:
            raise UnreachableError
        self.version += 1
        return self.version

    def _tell(self, change: Change) -> None:
        for watcher in self.watchers:
            watcher(change)
