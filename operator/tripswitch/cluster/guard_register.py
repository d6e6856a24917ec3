"""Which DeploymentCircuitBreakers name which workload, and which of several acts (rule G1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import field, read_text
from tripswitch.cluster.workload_index import is_made_for_label
from tripswitch.cluster.workloads import Target


class Rank(NamedTuple):
    """Which of several breakers of one workload acts (G1): the lowest rank.

    One that a person made comes before one that was made for a label, then the older one.
    """

    for_label: bool
    created: float
    name: str

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Rank:
        """Return the rank of a raw DeploymentCircuitBreaker."""
        metadata = field(raw, "metadata")
        created = parse_instant(field(metadata, "creationTimestamp")) or 0.0
        return cls(is_made_for_label(raw), created, read_text(field(metadata, "name")))


class GuardRegister:
    """Breakers by UID and by target. The target of a breaker never changes."""

    def __init__(self) -> None:
        self._ranks: dict[Target, dict[str, Rank]] = {}
        """By target, then by the UID of the breaker."""
        self._targets: dict[str, Target] = {}

    def __contains__(self, target: object) -> bool:
        """Return whether a workload has a breaker."""
        return target in self._ranks

    def find_target(self, uid: str) -> Target | None:
        """Return the workload of a breaker."""
        return self._targets.get(uid)

    def list_guards(self, target: Target) -> Collection[str]:
        """Return the UIDs of the breakers of a workload."""
        return self._ranks.get(target, {}).keys()

    def find_rival(self, uid: str) -> str:
        """G1: Return the name of the breaker for the same target that comes before this one; empty if none."""
        ranks = self._ranks[self._targets[uid]]
        first = min(ranks.values())
        return "" if first == ranks[uid] else first.name

    def add(self, uid: str, target: Target, raw: Mapping[str, Any]) -> None:
        """Take a breaker that was not known."""
        self._targets[uid] = target
        self._ranks.setdefault(target, {})[uid] = Rank.of(raw)

    def rank_again(self, uid: str, raw: Mapping[str, Any]) -> bool:
        """Take another version of a breaker; return whether its rank has changed.

        A person makes a breaker their own by taking its annotation away (G8).
        """
        ranks, rank = self._ranks[self._targets[uid]], Rank.of(raw)
        changed = ranks[uid] != rank
        ranks[uid] = rank
        return changed

    def remove(self, uid: str) -> Target | None:
        """Forget a breaker; return its workload if it was known."""
        target = self._targets.pop(uid, None)
        if target is not None:
            ranks = self._ranks[target]
            del ranks[uid]
            if not ranks:
                del self._ranks[target]
        return target
