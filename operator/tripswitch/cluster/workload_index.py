"""All Deployments and StatefulSets the operator may see: guarded ones as views, the others in four fields.

The few fields of the others are what labels need (rule G8); nothing else of them is kept, so memory does
not grow with what is not guarded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tripswitch.api.identity import GROUP
from tripswitch.api.tolerant import field, read_text, read_version
from tripswitch.cluster.alike_versions import AlikeVersions
from tripswitch.cluster.workloads import TRIPPED, Target, see_workload
from tripswitch.domain.values.protection import Workload, WorkloadKind

OPT_IN = f"{GROUP}/circuit-breaker"
"""Label of a workload or namespace: ``enforce``, ``observe`` or ``off`` (G8)."""

OFF = "off"
"""The value for no breaker at all; also the wish of a workload that is being deleted."""

MADE_BY = f"{GROUP}/made-by"
"""Annotation of a breaker that was made for a label; its value is ``label``."""
LABEL = "label"


def is_made_for_label(breaker: object) -> bool:
    """Return whether a raw DeploymentCircuitBreaker was made for a label, not by a person."""
    return bool(field(breaker, "metadata", "annotations", MADE_BY) == LABEL)


@dataclass(frozen=True, slots=True)
class Brief:
    """One workload. ``wish`` is the value of its label; ``view`` is there if it is guarded."""

    target: Target
    uid: str
    version: int
    wish: str = ""
    view: Workload | None = None


class WorkloadIndex:
    """Workloads by name and by UID.

    Args:
        is_guarded: Whether the full view of a workload is wanted.
        changed: Called with a workload that changed, appeared or went.
        relabelled: Called with a workload that appeared, or whose label changed.
    """

    def __init__(
        self,
        is_guarded: Callable[[Target], bool],
        changed: Callable[[Target], None],
        relabelled: Callable[[Target], None] = lambda _: None,
    ) -> None:
        self._relabelled = relabelled
        self._is_guarded = is_guarded
        self._changed = changed
        self._briefs: dict[Target, Brief] = {}
        self._targets: dict[str, Target] = {}
        self._alike = AlikeVersions()
        self.gone: Callable[[str], object] = lambda _: None
        """Called with the UID of each workload that was deleted."""
        self.marked: Callable[[Target, Workload], object] = lambda *_: None
        """Called with each version of a workload that has the mark of a trip and is not guarded (G9)."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._briefs)

    def __iter__(self) -> Iterator[Brief]:
        """Go through all of them."""
        return iter(list(self._briefs.values()))

    def find(self, target: Target) -> Brief | None:
        """Return a workload by name."""
        return self._briefs.get(target)

    def find_latest_like(self, target: Target, uid: str, looked_at: str) -> str:
        """Return the latest known version of a workload that differs from the one looked at in its status only."""
        known = self._briefs.get(target)
        if known is None or known.uid != uid or known.view is None:
            return looked_at
        return self._alike.replace(looked_at, uid, known.view.resource_version)

    def find_target(self, uid: str) -> Target | None:
        """Return the name of a workload by its UID."""
        return self._targets.get(uid)

    def upsert(self, kind: WorkloadKind, raw: Mapping[str, Any]) -> None:
        """Take a version of a workload, unless one that is at least as new is known."""
        metadata = field(raw, "metadata")
        namespace, name = (
            read_text(field(metadata, "namespace")),
            read_text(field(metadata, "name")),
        )
        target, uid = Target(kind, namespace, name), read_text(field(metadata, "uid"))
        version, guarded = read_version(raw), self._is_guarded(target)
        before = self._briefs.get(target)
        if before is not None and _is_known(before, uid, version, guarded=guarded):
            return
        if before is not None and before.uid != uid:
            self._drop_predecessor(before)
            before = None
        view, wish = None, read_text(field(metadata, "labels", OPT_IN))
        if field(metadata, "deletionTimestamp"):
            # As good as gone: a breaker made for it now would outlive an orphaning deletion.
            wish = OFF
        elif guarded:  # Typed lists leave the kind of their items out.
            view = see_workload({**raw, "kind": kind}, None if before is None else before.view)
        self._put(Brief(target, uid, version, wish, view), before)
        if not guarded and field(metadata, "annotations", TRIPPED) is not None:
            self.marked(target, see_workload({**raw, "kind": kind}))

    def _drop_predecessor(self, brief: Brief) -> None:
        """Drop a workload that was deleted and made again under its name while nobody looked."""
        self._targets.pop(brief.uid, None)
        self._alike.forget(brief.uid)
        self.gone(brief.uid)

    def _put(self, after: Brief, before: Brief | None) -> None:
        """Keep a version of a workload, and tell what is new in it."""
        self._briefs[after.target] = after
        self._targets[after.uid] = after.target
        if before is not None and _differs_in_status_only(before.view, after.view):
            self._alike.add(after.uid, before.version)
        else:
            self._alike.forget(after.uid)
        if before is None or before.wish != after.wish:
            self._relabelled(after.target)
            self._changed(after.target)
        elif before.view != after.view:
            self._changed(after.target)

    def remove(self, uid: str) -> None:
        """Drop a workload that was deleted."""
        target = self._targets.pop(uid, None)
        if target is not None:
            del self._briefs[target]
            self._alike.forget(uid)
            self.gone(uid)
            self._changed(target)

    def retain(
        self, kind: WorkloadKind, namespace: str | None, uids: set[str], listed_at: int
    ) -> None:
        """Drop what a complete list of that version did not have, unless it is newer."""
        for brief in self:
            if brief.target.kind != kind or namespace not in (None, brief.target.namespace):
                continue
            if brief.uid not in uids and (not listed_at or brief.version <= listed_at):
                self.remove(brief.uid)

    def forget_view(self, target: Target) -> None:
        """Keep no more of a workload than of any other: it is not guarded any more."""
        brief = self._briefs.get(target)
        if brief is not None:
            self._briefs[target] = Brief(target, brief.uid, brief.version, brief.wish)
            self._alike.forget(brief.uid)
        if brief is not None and brief.view is not None and brief.view.mark is not None:
            self.marked(target, brief.view)


def _differs_in_status_only(before: Workload | None, after: Workload | None) -> bool:
    """Return whether two versions differ at most in what their controller says, and in conditions.

    The revisions in the status of a StatefulSet are not among these: they say which pods its controller makes.
    """
    if before is None or after is None:
        return False
    same = replace(
        before,
        resource_version=after.resource_version,
        observed_generation=after.observed_generation,
        complete=after.complete,
        stalled=after.stalled,
        deadline_exceeded=after.deadline_exceeded,
    )
    return same == after


def _is_known(before: Brief, uid: str, version: int, *, guarded: bool) -> bool:
    """Return whether a version of a workload tells nothing new; one that cannot be compared may.

    The version that is known already is new if a view of it is wanted that was not made. A version of another
    UID is late if it is older: it is about the workload that had the name before.
    """
    if not version:
        return False
    if before.uid == uid and version == before.version:
        return before.view is not None or not guarded
    return version < before.version


class KindSink:
    """One kind of workload as the sink of a reflector."""

    def __init__(self, index: WorkloadIndex, kind: WorkloadKind) -> None:
        self._index = index
        self._kind = kind

    def upsert(self, raw: Mapping[str, Any]) -> None:
        """Take an object that was listed, added or modified."""
        self._index.upsert(self._kind, raw)

    def remove(self, raw: Mapping[str, Any]) -> None:
        """Drop an object that was deleted."""
        self._index.remove(read_text(field(raw, "metadata", "uid")))

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        """Drop every object of the namespace (None: of all) that a complete list did not have."""
        self._index.retain(self._kind, namespace, uids, listed_at)
