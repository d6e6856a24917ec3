"""Which workloads wait for which registries: what one decision must know of all others (rule F9).

Each workload is written down when a snapshot of it is taken, which every change of its pods leads to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tripswitch.domain.values.registries import (
    NO_TROUBLES,
    PullTrouble,
    RegistryOutage,
    Troubles,
)


@dataclass(frozen=True, slots=True)
class _Line:
    troubles: Troubles
    mark: Callable[[], None]


class RegistryBoard:
    """The troubles of all workloads, by the UID of what guards each."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def note(self, uid: str, troubles: Troubles, mark: Callable[[], None]) -> None:
        """Write down what a workload waits for.

        Others that wait for the same registry are marked when the first completed revision suffers, and when
        the last one does not any more.

        Args:
            uid: Of what guards the workload.
            troubles: What its pods wait for.
            mark: Has it looked at again.
        """
        before = self._lines.get(uid)
        if troubles == NO_TROUBLES and before is None:
            return
        proved = self._prove()
        self._lines.pop(uid, None)
        if troubles != NO_TROUBLES:
            self._lines[uid] = _Line(troubles, mark)
        changed = proved ^ self._prove()
        for other, line in self._lines.items():
            if other != uid and line.troubles.all & changed:
                line.mark()

    def drop(self, uid: str) -> None:
        """Forget a workload that is guarded no more."""
        self.note(uid, NO_TROUBLES, lambda: None)

    def list_outages(self) -> tuple[RegistryOutage, ...]:
        """Return what pods of completed revisions suffer from, by registry."""
        pods: Counter[PullTrouble] = Counter()
        workloads: Counter[PullTrouble] = Counter()
        for line in self._lines.values():
            pods.update(line.troubles.proved)
            workloads.update(line.troubles.proved.keys())
        return tuple(
            RegistryOutage(trouble, pods[trouble], workloads[trouble])
            for trouble in sorted(pods, key=str)
        )

    def _prove(self) -> frozenset[PullTrouble]:
        return frozenset(one for line in self._lines.values() for one in line.troubles.proved)
