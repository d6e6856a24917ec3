"""The words for a failure: the one place that says how a container failed.

Messages, events, the reason of a trip and the plugin all use these sentences.
"""

from __future__ import annotations

from tripswitch.domain.rules.failure_reasons import CANNOT_START
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.failure_cause import FailureCause
from tripswitch.domain.values.memory import FailureRecord


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
    """Return a failure's cause in words, and the kubelet's own words where they say more."""
    return describe_cause(failure.cause, failure.message)


def describe_cause(cause: FailureCause, message: str = "") -> str:
    """Return which container failed how.

    Args:
        cause: The cause.
        message: The kubelet's own words. They are left out where an exit code says it.

    >>> from tripswitch.domain.values.failure_cause import FailureKind
    >>> describe_cause(FailureCause(FailureKind.LAUNCH, "ErrImagePull", "web"), "not found")
    'container web cannot start: ErrImagePull: not found'
    >>> describe_cause(FailureCause(FailureKind.HEALTH, "NotReadyInTime"))
    'NotReadyInTime'
    """
    words = f": {message}" if message else ""
    if cause.container is None:
        return f"{cause.reason}{words}"
    if cause.exit_code is not None:
        return f"container {cause.container} {describe_end(cause.exit_code, cause.signal, cause.reason)}"
    if cause.reason in CANNOT_START:
        return f"container {cause.container} cannot start: {cause.reason}{words}"
    return f"container {cause.container} ended with an unknown exit code{words}"


def describe_end(exit_code: int, signal: int | None, reason: str) -> str:
    """Return how a run ended. The reason "Error" says nothing and is left out.

    >>> describe_end(2, None, "Error")
    'exited 2'
    >>> describe_end(137, 9, "OOMKilled")
    'exited 137 by signal 9 (OOMKilled)'
    """
    by = f" by signal {signal}" if signal else ""
    why = "" if reason in ("", "Error") else f" ({reason})"
    return f"exited {exit_code}{by}{why}"
