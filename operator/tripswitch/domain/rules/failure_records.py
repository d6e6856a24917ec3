"""``status.circuitBreaker.failures``: which failures of one cause there were, for people."""

from __future__ import annotations

from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.memory import FailureRecord
from tripswitch.domain.values.time import Instant

MAX_RECORDS = 10
"""How many records are kept, newest first."""

MAX_MESSAGE = 1024
"""Characters of a message that are kept."""


def record_failures(
    records: tuple[FailureRecord, ...],
    failures: tuple[Failure, ...],
    revision: int,
    now: Instant,
) -> tuple[FailureRecord, ...]:
    """Add failures to the records for people: same causes together, newest first, at most 10."""
    by_cause = {(r.revision, r.cause): r for r in reversed(records)}
    for failure in failures:
        key = (revision, failure.cause)
        earlier = by_cause.pop(key, None)
        by_cause[key] = FailureRecord(
            revision=revision,
            cause=failure.cause,
            pod=failure.pod,
            count=failure.count + (0 if earlier is None else earlier.count),
            last_seen=now,
            node=failure.node or None,
            message=failure.message[:MAX_MESSAGE],
            evidence=None if earlier is None else earlier.evidence,
        )
    return tuple(reversed(by_cause.values()))[:MAX_RECORDS]
