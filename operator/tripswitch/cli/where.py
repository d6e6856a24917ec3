"""Which cluster and which namespace a command works on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster, and which namespace of it (None: the context's)."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
