"""Evidence: what is to be found out about a failure, and what becomes of what was found.

The core only asks (:class:`Inquiry`). Somebody looks in the background, after the status was written,
and what was found (:class:`Finding`) comes back with a later snapshot. So no trip ever waits for it,
and a restart only means that the same question is asked again: a record without evidence is the
question, a record with evidence is the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tripswitch.domain.rules.failure_reasons import NOT_READY_IN_TIME
from tripswitch.domain.values.failure_cause import FailureCause
from tripswitch.domain.values.inquiry import Evidence, Finding, Inquiry
from tripswitch.domain.values.memory import FailureRecord
from tripswitch.domain.values.time import Instant

FRESH = 600.0
"""Seconds after its latest failure during which a cause is looked into: later nothing is left."""

MAX_LOG_TAIL = 2048

MAX_EVENT = 512

MAX_QUOTE = 200
"""Characters: of the end of a log, of an event's words, and of either in a sentence."""

LOGLESS = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
"""Ends of containers that never ran, so that there is no log to ask for."""

OOM_KILLED = "OOMKilled"
"""How the status of a container itself says who killed it: the kernel, for want of memory."""

KILLED = frozenset({137, 143})
"""Exit codes of containers that were killed (SIGKILL, SIGTERM): by a probe, perhaps."""


def find_inquiry(record: FailureRecord, now: Instant) -> Inquiry | None:
    """Return what is to be found out about a failure, None if nothing (any more).

    A log is never asked of a container that succeeded, nor of one that never ran.
    """
    if record.evidence is not None or now - record.last_seen > FRESH:
        return None
    cause = record.cause
    unready = cause.reason == NOT_READY_IN_TIME
    return Inquiry(
        topic=compute_topic(record.revision, cause),
        pod=record.pod,
        container=cause.container,
        log=unready or (cause.exit_code not in (None, 0) and cause.reason not in LOGLESS),
        ended=not unready,
        killed=cause.exit_code in KILLED and cause.reason != OOM_KILLED,
    )


def compute_topic(revision: int, cause: FailureCause) -> str:
    """Return the topic of inquiries and events about a cause in a revision, the same for each pod.

    >>> from tripswitch.domain.values.failure_cause import FailureKind
    >>> compute_topic(2, FailureCause(FailureKind.LAUNCH, "Error", "web", 2))
    '2/LAUNCH/Error/web/2/'
    """
    return f"{revision}/{cause}"


def waiting_topic(revision: int) -> str:
    """Return the topic of the question why a revision's pods are not set up (volumes, network)."""
    return f"{revision}/waiting"


def take_findings(
    records: tuple[FailureRecord, ...], findings: Iterable[Finding]
) -> tuple[FailureRecord, ...]:
    """Return the records, with what was found about those that have no evidence yet.

    A pod's log can be had before its event: the event is added to what the log had to say.
    """
    found = {finding.topic: finding.evidence for finding in findings}
    return tuple(
        replace(
            record,
            evidence=_choose(
                record.evidence, found.get(compute_topic(record.revision, record.cause))
            ),
        )
        for record in records
    )


def _choose(known: Evidence | None, found: Evidence | None) -> Evidence | None:
    if known is None or found is None:
        return known or found
    return found if known.pod == found.pod and not known.event else known


def describe_evidence(evidence: Evidence | None, said: str) -> str:
    r"""Return evidence as one clause; the log's last line says the most.

    ``said`` is the failure's own message: an event that only repeats it is left out.

    >>> describe_evidence(Evidence("web-1", log_tail="connecting\nFATAL: no such host\n"), "")
    'its log ends: FATAL: no such host'
    >>> describe_evidence(Evidence("web-1", event="Readiness probe failed: statuscode: 503"), "")
    'Readiness probe failed: statuscode: 503'
    >>> describe_evidence(Evidence("web-1", event="Failed to pull image: not found"), "not found")
    ''
    """
    if evidence is None:
        return ""
    lines = [line.strip() for line in evidence.log_tail.splitlines() if line.strip()]
    logged = f"its log ends: {lines[-1][:MAX_QUOTE]}" if lines else ""
    repeats = (evidence.event.partition(": ")[2] or evidence.event) in said
    event = "" if repeats else evidence.event[:MAX_QUOTE]
    return "; ".join(words for words in (event, logged) if words)


def describe_latest(records: tuple[FailureRecord, ...], revision: int | None) -> str:
    """Return the evidence about a revision's latest cause that has any, as one clause."""
    told = (describe_evidence(r.evidence, r.message) for r in records if r.revision == revision)
    return next((words for words in told if words), "")
