"""Failures in words: the one place that says how a container failed.

Messages, events and the reason of a trip all use these sentences.
"""

from __future__ import annotations

from tripswitch.domain.rules.failures import CANNOT_START
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.status import FailureRecord


def describe_failures(records: tuple[FailureRecord, ...], most: int = 3) -> str:
    """Return the causes as one clause, newest first: "container web exited 2 (x3)".

    Records that read the same, a crash before and one after its pod was Ready, are one cause.
    """
    counts: dict[str, int] = {}
    for record in records:
        words = describe_failure(record)
        counts[words] = counts.get(words, 0) + record.count
    shown = [f"{words} (x{count})" for words, count in counts.items()][:most]
    if len(counts) > most:
        shown.append(f"and {len(counts) - most} other causes")
    return "; ".join(shown)


def describe_failure(failure: Failure | FailureRecord) -> str:
    """Return one cause in words: which container failed how."""
    if failure.container is None:
        return f"{failure.reason}: {failure.message}" if failure.message else failure.reason
    if failure.exit_code is None:
        words = f": {failure.message}" if failure.message else ""
        if failure.reason in CANNOT_START:
            return f"container {failure.container} cannot start: {failure.reason}{words}"
        return f"container {failure.container} ended, its exit code was not seen{words}"
    how = f"exited {failure.exit_code}"
    if failure.reason != "Error":
        how += f" ({failure.reason})"
    return f"container {failure.container} {how}"
