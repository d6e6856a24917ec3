"""What the operator makes of one pod's history: decoder and core, over every version of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from tools.recordings import Version
from tripswitch.api.tolerant import field, objects, read_text
from tripswitch.cluster.pods import see_pod
from tripswitch.domain.rules.failures import count_failures
from tripswitch.domain.rules.health import Expectations, Experience
from tripswitch.domain.values.memory import Counted
from tripswitch.domain.values.sight import AttemptEvent, Sight
from tripswitch.domain.values.workload import Readiness

BUDGET = 4.0
"""Seconds: the readiness budget (F4) of a probe with a period of 1 s and nothing else set."""


_LEAST = 90.0
"""Seconds for which a story is told at least; after its last version a pod stays as it is."""


class Told(NamedTuple):
    """One failure: whose, why, and how many seconds after the pod was made (``at``)."""

    kind: str
    reason: str
    container: str | None
    exit_code: int | None
    verdict: str
    at: float


def tell(versions: Sequence[Version], *, probed: bool, ready_seconds: int = 3600) -> list[Told]:
    """Return the failures in the order in which they are found, each as often as it counts.

    ``ready_seconds`` is ``minReadySeconds``: so long that no pod gets healthy, unless told.
    """
    readiness = Readiness(all_probed=probed, budget=BUDGET if probed else 0.0)
    expected = Expectations(readiness, ready_seconds, experience=Experience(1, 1))
    counted, seen, told = Counted(""), None, list[Told]()
    for version, until in _spans(versions):
        seen, now = see_pod(version.pod, seen, version.at), version.at
        while True:
            sight = Sight(now, None, events=_read_events(versions, now))
            look = count_failures(seen.view, counted, replace(expected, sight=sight), now)
            counted = look.after
            for failure in look.failures:
                kind, verdict = str(failure.cause.kind), str(failure.verdict)
                why = (failure.cause.reason, failure.cause.container, failure.cause.exit_code)
                told += [Told(kind, *why, verdict, now - versions[0].at)] * failure.count
            if look.wake_at is None or look.wake_at >= until:
                break
            now = look.wake_at
    return told


def _read_events(versions: Sequence[Version], now: float) -> tuple[AttemptEvent, ...]:
    """What the pod's events would tell at a moment: a pull that failed shows as ErrImagePull again.

    The recordings hold no events. A kubelet that made more attempts shows no more than these.
    """
    seen = [version for version in versions if version.at <= now]
    reasons = [_find_waiting_reason(version.pod) for version in seen]
    pulls = sum(new == "ErrImagePull" != old for old, new in pairwise(["", *reasons]))
    return (
        AttemptEvent(
            read_text(field(seen[0].pod, "metadata", "uid")), "", "Failed to pull image", pulls
        ),
    )


def _find_waiting_reason(pod: object) -> str:
    """Return what the first container waits for that waits for anything."""
    statuses = objects(field(pod, "status", "containerStatuses"))
    reasons = (read_text(field(one, "state", "waiting", "reason")) for one in statuses)
    return next(filter(None, reasons), "")


def _spans(versions: Sequence[Version]) -> Iterator[tuple[Version, float]]:
    """Each version, and when the next one came."""
    for version, after in pairwise(versions):
        yield version, after.at
    yield versions[-1], max(versions[-1].at, versions[0].at + _LEAST)


@dataclass(frozen=True)
class Story:
    """The first failures that a pod tells; all of them when ``complete``."""

    failures: tuple[tuple[str, str, str | None, int | None, str], ...] = ()
    probed: bool = False
    complete: bool = False


def _again(
    kind: str, reason: str, code: int | None, container: str = "web", times: int = 2
) -> Story:
    return Story(((kind, reason, container, code, "Count"),) * times)


STORIES = {
    "crash": _again("LAUNCH", "Error", 2, times=3),
    "exit-0": _again("LAUNCH", "Completed", 0),
    "oom": _again("LAUNCH", "OOMKilled", 137),
    "start-error": _again("LAUNCH", "StartError", 128, times=3),
    "init-fail": _again("LAUNCH", "Error", 1, "setup"),
    "late-crash": _again("HEALTH", "Error", 1),
    "liveness-kill": _again("HEALTH", "Error", 137),
    "image-pull": _again("LAUNCH", "ErrImagePull", None),
    "invalid-image": _again("LAUNCH", "InvalidImageName", None, times=1),
    "config-error": _again("LAUNCH", "CreateContainerConfigError", None, times=1),
    "never-ready": Story(
        (("HEALTH", "NotReadyInTime", None, None, "Count"),), probed=True, complete=True
    ),
    "ready-then-lost": Story(
        (("HEALTH", "NotReadyInTime", None, None, "Count"),), probed=True, complete=True
    ),
    "slow-start": Story(probed=True, complete=True),
    "out-of-cpu": Story((("LAUNCH", "OutOfcpu", None, None, "Ignore"),), complete=True),
}
"""What must be told of a pod of each behaviour, whether a kubelet or kwok wrote its status."""

ONLY_REAL = {
    "restart-all": Story((("HEALTH", "Error", "web", 88, "Count"),), complete=True),
    "completes": Story(complete=True),
    "init-never": Story((("LAUNCH", "Error", "setup", 1, "Count"),), complete=True),
    "sandbox-killed": Story(complete=True),
    "port-taken": Story((("LAUNCH", "NodePorts", None, None, "Ignore"),), complete=True),
}
"""The same for what kwok does not simulate."""
