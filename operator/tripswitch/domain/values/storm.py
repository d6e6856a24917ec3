"""Rule R8: the memory of the storm brake on one ReplicaSet."""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class Storm:
    """One ReplicaSet whose pods fail as soon as they are made, and that is therefore held at a size.

    ``size`` is the one it has without the brake, decided for ``sized_for`` replicas (R4); None: an older version of
    the operator did not note them. ``allowed`` is the size up to which pods may be made since
    ``tried_at``, ``batch`` more than there were then; 0 before the first try. ``tries`` is the number of tries in a row
    without a pod that stayed. ``message`` is the latest words of a pod that failed.
    """

    replica_set: str
    began_at: Instant
    tried_at: Instant
    size: int
    allowed: int = 0
    batch: int = 0
    tries: int = 0
    message: str = ""
    sized_for: int | None = None
