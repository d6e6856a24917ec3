"""What a failing pod's log and events say, cut to what explains a failure. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tripswitch.api.text import clean
from tripswitch.api.tolerant import field, read_text
from tripswitch.domain.rules.evidence import MAX_EVENT, MAX_LOG_TAIL
from tripswitch.domain.values.inquiry import Inquiry

NO_LOG = "unable to retrieve container logs for"
"""How the kubelet says, as if it were the log, that there is none any more."""

SUPERFLUOUS = frozenset({"BackOff", "Pulling", "Pulled", "Created", "Started"})
"""Reasons of events that say no more than the status does."""
RANK = ("Unhealthy", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "Failed")
"""The events that explain most come first; all others after them, the latest one first."""

_REASON_ONLY = re.compile(r"Error: \w+")
"""Words of an event that are a reason of the status again, such as ``Error: ImagePullBackOff``."""
CONTAINER_PATH = re.compile(r"spec\.(?:initContainers|containers)\{(?P<name>.+)\}")
"""How an event says which container of its pod it is about."""


def select_event(events: Iterable[Mapping[str, Any]], inquiry: Inquiry) -> tuple[str, str | None]:
    """Return the words of the Warning event that tells most about a pod, and the container it names.

    Events about other containers than the one asked for are left out, and so are those that only
    repeat the status. A container that ended was not ended by its readiness probe.
    """
    telling: list[tuple[int, str, str, str | None]] = []
    for event in events:
        reason, words = read_text(event.get("reason")), read_text(event.get("message")).strip()
        found = CONTAINER_PATH.fullmatch(read_text(field(event, "involvedObject", "fieldPath")))
        container = found["name"] if found else None
        foreign = None not in (container, inquiry.container) and container != inquiry.container
        readiness = inquiry.ended and words.startswith("Readiness probe")
        repeats = reason in SUPERFLUOUS or _REASON_ONLY.fullmatch(words)
        if not words or repeats or foreign or readiness:
            continue
        rank = RANK.index(reason) if reason in RANK else len(RANK)
        seen = read_text(event.get("lastTimestamp")) or read_text(event.get("eventTime"))
        telling.append((-rank, seen, clean(words), container))
    if not telling:
        return "", None
    _, _, words, container = max(telling, key=lambda one: one[:2])
    return " ".join(words.split())[:MAX_EVENT], container


def cut_log(log: str) -> str:
    r"""Return the end of a log, whole lines as far as they fit, without what moves a cursor.

    >>> cut_log("\x1b[31mFATAL\x1b[0m: no such table\r\n")
    'FATAL: no such table'
    """
    tail = clean(log).rstrip()
    if tail.startswith(NO_LOG):
        return ""
    if len(tail.encode()) <= MAX_LOG_TAIL:
        return tail
    tail = tail.encode()[-MAX_LOG_TAIL:].decode(errors="ignore")
    _, newline, whole_lines = tail.partition("\n")
    return whole_lines if newline else tail
