"""Rule F7: which pods have an entry in ``status.circuitBreaker.counted``, within a fixed size.

Theory. A mark and the count move together or not at all, so no failure is counted twice. Entries fill
``MAX_BYTES`` in this order: pods with failures, other pods that are there, pods that vanished.

* A pod that failed as a whole for a reason that does not count needs no entry: it stays as it is, and the
  next look judges it in the same way.
* A failure for whose mark there is no room is not counted yet. Its pod still shows it at the next look.
* Healthy pods for whose entries there is no room are remembered as a number (``unlisted``): one more of
  them than before is another healthy pod (H2).
* If the pods that are there when counting begins have shown more failures than there is room for,
  ``uncounted_until`` says when that was: pods without an entry that were created until then are left
  out. They are counted too low, and never twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tripswitch.domain.rules.failure_policy import judge
from tripswitch.domain.rules.failures import Observed, count_failures
from tripswitch.domain.rules.health import Expectations
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Breaker, Counted
from tripswitch.domain.values.pods import OVER, PodPhase, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.states import BestState
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import PolicyRule, Spec

MAX_BYTES = 96 * 1024
"""Bytes of all entries as JSON. With records, history and conditions the status stays below 256 KiB."""
MIN_ENTRIES = 32
"""Entries of vanished pods are kept while there are fewer in all than this, or than ``2 x replicas``.

That is what a rollout may have of pods by default (R1), so they never make the status larger.
"""
ENTRY_BYTES = 90
TALLY_BYTES = 130
"""Bytes of an entry and of a container in it without their names, with every field at its longest."""


def forget(breaker: Breaker) -> Breaker:
    """Return the memory without what was seen of single pods."""
    return replace(breaker, counted=(), unlisted=None, uncounted_until=None)


def look_at(
    breaker: Breaker,
    target: ReplicaSetView,
    expected: Expectations,
    policy: tuple[PolicyRule, ...],
    now: Instant,
    *,
    existed_before: bool = False,
) -> list[Observed]:
    """Look at the pods of the target, in the order of their UIDs.

    ``existed_before`` marks those without an entry as there before the rollout.
    """
    known = {entry.pod: entry for entry in breaker.counted}
    until = breaker.uncounted_until
    looks = []
    for pod in sorted(target.pods, key=lambda pod: pod.uid):
        if until is not None and pod.uid not in known and pod.created_at <= until:
            continue
        if _is_of_no_account(pod, expected, policy, now):
            looks.append(Observed(Counted(pod.uid)))
            continue
        entry = known.get(pod.uid) or Counted(pod.uid, existed_before=existed_before)
        looks.append(count_failures(pod, entry, expected, now))
    return looks


def admit(
    looks: Iterable[Observed], known: Mapping[str, Counted], policy: tuple[PolicyRule, ...]
) -> list[Observed]:
    """Return the looks without new failures for whose marks there is no room."""
    looks = list(looks)
    olds = [known.get(look.after.pod) or Counted(look.after.pod) for look in looks]
    room = MAX_BYTES - sum(_weigh_marked(old) for old in olds)
    admitted = []
    for old, look in zip(olds, looks, strict=True):
        if look.after is old:
            admitted.append(look)
            continue
        growth = _weigh_marked(look.after) - _weigh_marked(old)
        # FailNow trips at this look: nothing has to be remembered after it.
        fatal = any(judge(one, policy).verdict is Verdict.FAIL_NOW for one in look.failures)
        if growth <= max(0, room) or fatal:
            room -= growth
            admitted.append(look)
        else:
            admitted.append(
                Observed(
                    replace(old, best_state=look.after.best_state), (), look.wake_at, look.need
                )
            )
    return admitted


def remember(breaker: Breaker, looks: Iterable[Observed], spec: Spec) -> Breaker:
    """Return the memory with the entries that are worth writing down and have room.

    A vanished pod may come back: when its ReplicaSet is deleted with ``--cascade=orphan``, the next one
    adopts it. Its entry stays while there is room; those that vanished first go first (ADR 9).
    """
    entries = [look.after for look in looks]
    there = {entry.pod for entry in entries}
    listed = {entry.pod for entry in breaker.counted}
    marked = [entry for entry in entries if _weigh_marked(entry)]
    room = MAX_BYTES - sum(_weigh(entry) for entry in marked)
    plain = [entry for entry in entries if not entry.blank and not _weigh_marked(entry)]
    plain.sort(key=lambda entry: entry.pod not in listed)
    kept = _fit(plain, room)
    unlisted = sum(entry.best_state is BestState.HEALTHY for entry in plain[len(kept) :])
    room -= sum(_weigh(entry) for entry in kept)
    kept = sorted([*marked, *kept], key=lambda entry: entry.pod)
    # What is known begins with the pods that were there at the last look, so with the latest to vanish.
    gone = [entry for entry in breaker.counted if entry.pod not in there]
    free = max(0, max(MIN_ENTRIES, 2 * spec.replicas) - len(kept))
    return replace(breaker, counted=(*kept, *_fit(gone[:free], room)), unlisted=unlisted or None)


def remember_base_line(
    breaker: Breaker, target: ReplicaSetView, looks: list[Observed], spec: Spec, now: Instant
) -> Breaker:
    """Return the memory in which everything that pods show now is taken as seen."""
    if sum(_weigh_marked(look.after) for look in looks) <= MAX_BYTES:
        return remember(breaker, looks, spec)
    over = {pod.uid for pod in target.pods if pod.phase in OVER}
    marked = [look.after for look in looks if _weigh_marked(look.after)]
    marked.sort(key=lambda entry: entry.pod in over)  # a pod that is over shows nothing more
    fitting = {entry.pod for entry in _fit(marked, MAX_BYTES)}
    kept = [look for look in looks if look.after.pod in fitting or not _weigh_marked(look.after)]
    until = max([now, *(pod.created_at for pod in target.pods)])
    return replace(remember(breaker, kept, spec), unlisted=None, uncounted_until=until)


def weigh(counted: Iterable[Counted]) -> int:
    """Return the bytes that entries take at most as JSON."""
    return sum(_weigh(entry) for entry in counted)


def _is_of_no_account(
    pod: PodView, expected: Expectations, policy: tuple[PolicyRule, ...], now: Instant
) -> bool:
    """Whether a pod has failed as a whole, for its own reason, and nothing of that counts (F5, F6)."""
    if pod.phase is not PodPhase.FAILED or not pod.reason:
        return False
    shown = count_failures(pod, Counted(pod.uid), expected, now).failures
    return all(judge(failure, policy).verdict is Verdict.IGNORE for failure in shown)


def _fit(entries: list[Counted], room: int) -> list[Counted]:
    """Return the first entries, as many as there is room for."""
    for number, entry in enumerate(entries):
        room -= _weigh(entry)
        if room < 0:
            return entries[:number]
    return entries


def _weigh_marked(entry: Counted) -> int:
    """Return the bytes of an entry that tells of a failure, 0 of any other."""
    return _weigh(entry) if entry.containers or entry.failed or entry.unhealthy else 0


def _weigh(entry: Counted) -> int:
    names = len(entry.pod) + sum(len(tally.container) for tally in entry.containers)
    return ENTRY_BYTES + TALLY_BYTES * len(entry.containers) + names
