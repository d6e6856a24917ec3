"""ReplicaSets that the API server would not let us create: what it said, and when to ask again.

Kept in memory only: the next process asks again and hears the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.cluster.backoff import Backoff
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.time import Instant

RETRY = Backoff(first=1.0, most=60.0)
"""A quota may be raised, a policy fixed: tried again for ever, but never hot."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: CreateError
    tries: int
    retry_at: Instant


class Refusals:
    """The latest refusal of each GuardedDeployment, by its UID."""

    def __init__(self) -> None:
        self._refusals: dict[str, _Refusal] = {}

    def note(self, guard: str, error: CreateError, now: Instant) -> None:
        """Remember that the server refused; the same one again is asked for later and later."""
        before = self._refusals.get(guard)
        tries = (
            1
            if before is None or before.error.replica_set != error.replica_set
            else before.tries + 1
        )
        self._refusals[guard] = _Refusal(error, tries, round(now + RETRY.delay(tries), 3))

    def find(self, guard: str, digest: str) -> CreateError | None:
        """Return the refusal of a template; that of any other template is dropped."""
        known = self._refusals.get(guard)
        if known is not None and known.error.digest != digest:
            self.forget(guard)
            return None
        return None if known is None else known.error

    def retry_at(self, guard: str, replica_set: str) -> Instant | None:
        """Return when this ReplicaSet may be asked for again, None if at any time."""
        known = self._refusals.get(guard)
        if known is None or known.error.name_taken or known.error.replica_set != replica_set:
            return None
        return known.retry_at

    def forget(self, guard: str) -> None:
        """Drop what is known: it was created, or its GuardedDeployment is gone."""
        self._refusals.pop(guard, None)
