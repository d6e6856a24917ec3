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


@dataclass(slots=True)
class Refusal:
    """The latest refusal of one GuardedDeployment's ReplicaSets, if there is one."""

    _error: CreateError | None = None
    _tries: int = 0
    _retry_at: Instant = 0.0

    def note(self, error: CreateError, now: Instant) -> None:
        """Remember that the server refused; the same one again is asked for later and later."""
        same = self._error is not None and self._error.replica_set == error.replica_set
        self._tries = self._tries + 1 if same else 1
        self._error = error
        self._retry_at = round(now + RETRY.delay(self._tries), 3)

    def find(self, digest: str) -> CreateError | None:
        """Return the refusal of a template; that of any other template is dropped."""
        if self._error is not None and self._error.digest != digest:
            self.forget()
        return self._error

    def retry_at(self, replica_set: str) -> Instant | None:
        """Return when this ReplicaSet may be asked for again, None if at any time."""
        known = self._error
        if known is None or known.name_taken or known.replica_set != replica_set:
            return None
        return self._retry_at

    def forget(self) -> None:
        """Drop what is known: the ReplicaSet was created."""
        self._error = None
