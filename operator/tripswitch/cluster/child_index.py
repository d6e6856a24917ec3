"""Small views of children, by owner. Raw objects are not kept.

Objects arrive from two sides: from the reflector, and at once as answers to our own writes (so that a
watch that lags never makes us create or scale twice). Of two versions of one object the newer one stays.
A watch with a label selector sends DELETED for two things: the object was deleted, or it lost the label.
One that lost it may get it back under the same UID. An object is therefore gone up to a version: that
version and older ones are not taken again, a newer one is (W4).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from tripswitch.api.tolerant import field, mapping, read_decimal, read_text, read_version
from tripswitch.cluster.alike_versions import AlikeVersions
from tripswitch.cluster.marks import HASH_LABEL
from tripswitch.cluster.pods import SeenPod
from tripswitch.cluster.replicasets import SeenReplicaSet

MAX_TOMBSTONES = 10_000

Seen = TypeVar("Seen", SeenPod, SeenReplicaSet)


class Tombstones:
    """UIDs that were seen gone, each with the version up to which it is gone.

    Only the latest are kept: as many as a late answer could still speak of.
    """

    def __init__(self) -> None:
        self._gone: dict[str, float] = {}

    def add(self, uid: str, version: float = math.inf) -> None:
        """Remember that a UID is gone up to a version, or for good; the oldest entry is forgotten."""
        self._gone[uid] = max(version, self._gone.pop(uid, 0))
        if len(self._gone) > MAX_TOMBSTONES:
            del self._gone[next(iter(self._gone))]

    def covers(self, uid: str, version: int) -> bool:
        """Return whether this version of an object is known to be gone; 0 is an unknown version."""
        return version <= self._gone.get(uid, -1)


class Table(Generic[Seen]):
    """The views of one kind of child, each in its newest version (W4).

    It is a :class:`tripswitch.cluster.reflector.Sink`.

    Args:
        see: Makes a view of a raw object and of what was seen of it before.
        changed: Called with what changed in a way that a decision could depend on, and with what
            went.
        label: The label that the selector of the watch asks for; empty: it has none.
    """

    def __init__(
        self,
        see: Callable[[Mapping[str, Any], Seen | None], Seen],
        changed: Callable[[Seen], None],
        label: str = HASH_LABEL,
    ) -> None:
        self._label = label
        self._see: Callable[[Mapping[str, Any], Seen | None], Seen] = see
        self._changed: Callable[[Seen], None] = changed
        self._seen: dict[str, Seen] = {}
        self._by_owner: defaultdict[str, set[str]] = defaultdict(set)
        self._alike = AlikeVersions()
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
        """Take a version of an object, unless one that is at least as new is known.

        An answer that shows the object without the label of the watch's selector removes it: no
        event about it would follow.
        """
        uid = read_text(field(raw, "metadata", "uid"))
        before, version = self._seen.get(uid), read_version(raw)
        if not uid or self._gone.covers(uid, version):
            return
        if before is not None and 0 < version <= read_decimal(before.view.resource_version):
            return
        if self._label and self._label not in mapping(field(raw, "metadata", "labels")):
            self.remove(raw)
            return
        seen = self._see(raw, before)
        if before is not None and before.owner != seen.owner:
            self._drop(uid)  # somebody else owns it now
        if not seen.owner:
            return
        self._seen[uid] = seen
        self._by_owner[seen.owner].add(uid)
        if before is not None and before == seen:
            self._alike.add(uid, read_decimal(before.view.resource_version))
        else:
            self._alike.forget(uid)
            self._changed(seen)

    def find_latest_like(self, uid: str, looked_at: str) -> str:
        """Return the latest known version of an object that a decision cannot tell from the one looked at."""
        known = self._seen.get(uid)
        if known is None:
            return looked_at
        return self._alike.replace(looked_at, uid, known.view.resource_version)

    def remove(self, raw: Mapping[str, Any]) -> None:
        """Drop an object that was deleted or left the selector, in the version in which it did (W4)."""
        uid = read_text(field(raw, "metadata", "uid"))
        known = self._seen.get(uid)
        if known is None or not 0 < read_version(raw) < read_decimal(known.view.resource_version):
            self._bury(uid, read_version(raw))

    def forget(self, uid: str, looked_at: str) -> None:
        """Drop an object of which the server has just said that it is gone.

        ``looked_at`` is the resourceVersion that the request was about.
        """
        self._bury(uid, read_decimal(looked_at))

    def retain(
        self,
        namespace: str | None,
        uids: set[str],
        listed_at: int,
        listed: Callable[[Seen], bool] = lambda _: True,
    ) -> None:
        """Drop what a complete list of that version did not have, unless it is newer.

        ``listed`` says which objects such a list could have at all.
        """
        for uid, seen in list(self._seen.items()):
            if uid in uids or namespace not in (None, seen.namespace) or not listed(seen):
                continue
            if not listed_at or read_decimal(seen.view.resource_version) <= listed_at:
                self._bury(uid, listed_at)

    def drop_owned(self, owner: str) -> None:
        """Drop the objects of an owner that is of no interest any more; they may come back."""
        for uid in list(self._by_owner.get(owner, ())):
            self._drop(uid)

    def retain_owned(self, owner: str, uids: set[str], listed_at: int) -> None:
        """Forget what a complete list of an owner's objects did not have, unless it is newer."""
        for seen in self.owned_by(owner):
            gone = seen.view.uid not in uids
            if gone and read_decimal(seen.view.resource_version) <= listed_at:
                self._bury(seen.view.uid, listed_at)

    def _bury(self, uid: str, gone_at: int) -> None:
        """Drop an object up to a version, and up to the one that is known."""
        known = self._seen.get(uid)
        latest = 0 if known is None else read_decimal(known.view.resource_version)
        self._gone.add(uid, max(gone_at, latest))
        self._drop(uid)

    def _drop(self, uid: str) -> None:
        seen = self._seen.pop(uid, None)
        self._alike.forget(uid)
        if seen is None:
            return
        owned = self._by_owner[seen.owner]
        owned.discard(uid)
        if not owned:
            del self._by_owner[seen.owner]
        self._changed(seen)
