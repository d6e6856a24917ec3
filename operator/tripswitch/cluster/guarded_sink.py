"""Watches of ReplicaSets, ControllerRevisions and pods see all of them; only those of guarded workloads are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.child_index import Table


class GuardedSink:
    """A table as the sink of a reflector that sees what is not guarded, too.

    Args:
        table: Where to.
        keeps: Whether a raw object is of a guarded workload.
        listed: Which of the table's objects the reflector's list could have at all.
    """

    def __init__(
        self,
        table: Table[Any],
        keeps: Callable[[object], bool],
        listed: Callable[[Any], bool] = lambda _: True,
    ) -> None:
        self._table = table
        self._keeps = keeps
        self._listed = listed

    def upsert(self, raw: Mapping[str, Any]) -> None:
        """Take an object that was listed, added or modified, if it is of a guarded workload."""
        if self._keeps(raw):
            self._table.upsert(raw)
        elif self._knows(raw):
            self._table.remove(raw)  # released by its owner

    def remove(self, raw: Mapping[str, Any]) -> None:
        """Drop an object that was deleted, also one that a list which is on its way still has."""
        if self._knows(raw) or self._keeps(raw):
            self._table.remove(raw)

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        """Drop every object of the namespace (None: of all) that a complete list did not have."""
        self._table.retain(namespace, uids, listed_at, self._listed)

    def _knows(self, raw: Mapping[str, Any]) -> bool:
        return self._table.find(read_text(field(raw, "metadata", "uid"))) is not None
