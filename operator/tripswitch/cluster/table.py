"""Small views of children, by owner. Raw objects are not kept.

Objects arrive from two sides: from the reflector, and at once as answers to our own writes (so that a
watch that lags never makes us create or scale twice). So of two versions of one object the newer one
stays, and an object that was seen gone never comes back: a UID is used once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from tripswitch.cluster.raw import field, number, text, version
from tripswitch.cluster.replicasets import SeenReplicaSet
from tripswitch.cluster.views import SeenPod

MAX_TOMBSTONES = 10_000

Seen = TypeVar("Seen", SeenPod, SeenReplicaSet)


class Tombstones:
    """UIDs that were seen gone: as many as a late answer could still speak of."""

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def add(self, uid: str) -> None:
        """Remember one more; the oldest is forgotten."""
        self._uids[uid] = None
        if len(self._uids) > MAX_TOMBSTONES:
            del self._uids[next(iter(self._uids))]

    def __contains__(self, uid: object) -> bool:
        """Return whether it is known to be gone."""
        return uid in self._uids


class Table(Generic[Seen]):
    """The views of one kind of child. A :class:`tripswitch.cluster.reflector.Sink`.

    Args:
        see: Makes a view of a raw object and of what was seen of it before.
        changed: Called with what changed in a way that a decision could depend on, and with what
            went.
    """

    def __init__(
        self,
        see: Callable[[Mapping[str, Any], Seen | None], Seen],
        changed: Callable[[Seen], None],
    ) -> None:
        self._see: Callable[[Mapping[str, Any], Seen | None], Seen] = see
        self._changed: Callable[[Seen], None] = changed
        self._seen: dict[str, Seen] = {}
        self._by_owner: defaultdict[str, set[str]] = defaultdict(set)
        self._gone = Tombstones()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._seen)

    def find(self, uid: str) -> Seen | None:
        """Return one of them."""
        return self._seen.get(uid)

    def owned_by(self, owner: str) -> list[Seen]:
        """Return those of an owner, by name."""
        found = [self._seen[uid] for uid in self._by_owner.get(owner, ())]
        return sorted(found, key=lambda seen: seen.view.name)

    def upsert(self, raw: Mapping[str, Any]) -> None:
        """Take a version of an object, unless one that is at least as new is known."""
        uid = text(field(raw, "metadata", "uid"))
        before = self._seen.get(uid)
        if not uid or uid in self._gone:
            return
        if before is not None and 0 < version(raw) <= number(before.view.resource_version):
            return
        seen = self._see(raw, before)
        if before is not None and before.owner != seen.owner:
            self._drop(uid)  # somebody else owns it now
        if not seen.owner:
            return
        self._seen[uid] = seen
        self._by_owner[seen.owner].add(uid)
        if before is None or not _is_same(before, seen):
            self._changed(seen)

    def remove(self, raw: Mapping[str, Any]) -> None:
        """Forget an object for good."""
        self.forget(text(field(raw, "metadata", "uid")))

    def forget(self, uid: str) -> None:
        """Forget an object of which the server has just said that it is gone."""
        self._gone.add(uid)
        self._drop(uid)

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        """Forget what a complete list of that version did not have, unless it is newer."""
        for uid, seen in list(self._seen.items()):
            if uid in uids or namespace not in (None, seen.namespace):
                continue
            if not listed_at or number(seen.view.resource_version) <= listed_at:
                self.forget(uid)

    def _drop(self, uid: str) -> None:
        seen = self._seen.pop(uid, None)
        if seen is None:
            return
        owned = self._by_owner[seen.owner]
        owned.discard(uid)
        if not owned:
            del self._by_owner[seen.owner]
        self._changed(seen)


def _is_same(before: Seen, seen: Seen) -> bool:
    """Whether a decision could not tell the two apart."""
    view = replace(before.view, resource_version=seen.view.resource_version)
    return replace(before, view=view) == seen
