"""Rules A in a decision: the alarms and the bake of the rollout that is in progress."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.alarms import (
    FRESH_SECONDS,
    Observed,
    compute_state,
    describe_alerts,
    observe,
)
from tripswitch.domain.rules.bake import (
    LOOK_SECONDS,
    describe_clock,
    find_blindness,
    is_baking,
    run_bake,
)
from tripswitch.domain.rules.rollout_states import awaits_launch
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.alarms import AlarmQuestion, AlarmReading, Alarms
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.states import RolloutKind, RolloutStatus

JUST_AFTER = 0.001
"""Seconds until a reading that is as old as it may be is too old."""


def watch_alarms(draft: Draft) -> tuple[Draft, str]:
    """A1, A2: fold the latest reading into the memory; return why an alarm fails the rollout, else empty."""
    asked = draft.spec.alarms
    if asked is None or draft.rollout.kind is RolloutKind.ROLLBACK:
        return draft, ""
    reading, rollout = draft.snapshot.alarms, draft.rollout
    seen = observe(draft.memory.alarms, asked, reading, rollout.started_at, draft.now)
    draft = _with_alarms(draft, seen.alarms)
    return _tell(draft, seen), describe_alerts(seen.triggered) if seen.triggered else ""


def ask_alarms(draft: Draft) -> AlarmQuestion | None:
    """Return what has to be read for this rollout (A1); None while no alarm can fail it.

    Nothing before the launch: the first reading after it is the base line (A2).
    """
    asked, rollout = draft.spec.alarms, draft.rollout
    if asked is None or draft.spec.paused or awaits_launch(rollout):
        return None
    if rollout.status is not RolloutStatus.IN_PROGRESS:
        return None
    ends_at = None if rollout.bake is None else rollout.bake.ends_at
    after = rollout.started_at if ends_at is None else ends_at
    return AlarmQuestion(asked.names, asked.match_labels, after)


def advance_bake(draft: Draft, *, whole: bool) -> Draft:
    """A3: move the clock of the bake, which begins when the rollout is ``whole`` for the first time."""
    rollout = draft.rollout
    if not _needs_bake(draft):
        return draft if rollout.bake is None else _with_bake_gone(draft)
    if rollout.bake is None and not whole:
        return draft
    reading, standstills = _reading(draft), draft.sight.standstills
    blind_since = find_blindness(standstills, reading, rollout.started_at, draft.now)
    bake = run_bake(rollout.bake, draft.spec.bake_seconds, draft.now, blind_since)
    if rollout.bake is None:
        replicas = draft.spec.replicas
        draft = draft.say(
            EventReason.BAKE_STARTED,
            f"revision {rollout.revision}: {replicas} of {replicas} pods healthy; it is watched for "
            f"{draft.spec.bake_seconds} s more before it counts as completed",
        )
    draft = draft.with_memory(rollout=replace(rollout, bake=bake))
    if reading is not None and blind_since is None:
        draft = draft.wake(round(reading.read_at + FRESH_SECONDS + JUST_AFTER, 3))
    for stood in standstills:
        draft = draft.wake(stood.ended)
    return draft.wake(bake.ends_at).wake(draft.now + LOOK_SECONDS)


def is_baked(draft: Draft) -> bool:
    """Return whether the bake is over; with alarms a reading has to show that nothing fired until its end."""
    bake = draft.rollout.bake
    if not _needs_bake(draft):
        return True
    if bake is None or bake.ends_at is None or is_baking(bake, draft.now):
        return False
    reading = _reading(draft)
    return reading is None or reading.read_at >= bake.ends_at


def settle_alarms(draft: Draft) -> Alarms | None:
    """Return the memory with its state in ECS's words; None where no alarms are asked for."""
    asked, alarms, rollout = draft.spec.alarms, draft.memory.alarms, draft.rollout
    if asked is None or alarms is None:
        return None
    state = compute_state(alarms, asked, rollout.kind, rollout.status)
    since = alarms.unavailable_since if _is_watched(draft) else None
    return replace(alarms, status=state, unavailable_since=since)


def describe_ignored(draft: Draft) -> str:
    """A2: which alarms are ignored in this rollout, empty if none is."""
    alarms = draft.memory.alarms
    if alarms is None or not alarms.ignored_alarm_names or not _is_watched(draft):
        return ""
    return _describe_ignored(alarms.ignored_alarm_names, draft.rollout.revision)


def describe_unavailable(draft: Draft) -> str:
    """A2: why the alarms cannot be read, empty if they can."""
    alarms = draft.memory.alarms
    if alarms is None or alarms.unavailable_since is None or not _is_watched(draft):
        return ""
    return _describe_unavailable(draft.snapshot.alarms)


def describe_bake(draft: Draft) -> str:
    """Return how far the bake is as a clause, empty if there is none."""
    bake = draft.rollout.bake
    if bake is None or draft.spec.paused:
        return ""
    if bake.ends_at is None:
        return f"; baking, but the time since {describe_clock(bake.held_at or bake.since)} does not count"
    return f"; baking until {describe_clock(bake.ends_at)}"


def _tell(draft: Draft, seen: Observed) -> Draft:
    revision = draft.rollout.revision
    if seen.ignored:
        draft = draft.say(EventReason.ALARMS_IGNORED, _describe_ignored(seen.ignored, revision))
    for name in seen.unknown:
        words = f"alarm {name} is not watched: no alerting rule has that name"
        draft = draft.say(EventReason.ALARM_UNKNOWN, words)
    if seen.lost:
        words = _describe_unavailable(draft.snapshot.alarms)
        draft = draft.say(EventReason.ALARMS_UNAVAILABLE, words, topic="unavailable")
    return draft


def _describe_ignored(names: tuple[str, ...], revision: int) -> str:
    are = "alarm {} was" if len(names) == 1 else "alarms {} were"
    told = are.format(", ".join(names))
    return (
        f"{told} already firing when the rollout of revision {revision} began, and cannot fail it"
    )


def _describe_unavailable(reading: AlarmReading) -> str:
    why = reading.problem or "there is no recent answer from Prometheus"
    return f"the alarms cannot be read, so no alarm can fail the rollout and no bake ends: {why}"


def _is_watched(draft: Draft) -> bool:
    return draft.spec.alarms is not None and draft.rollout.status is RolloutStatus.IN_PROGRESS


def _needs_bake(draft: Draft) -> bool:
    """A3: not in a rollback; without replicas there is nothing to watch.

    Neither is there in a rollout that is whole at its first look: nothing was rolled out. This is a guarded
    workload that was complete when it was first seen (G2).
    """
    wish, rollout = draft.spec, draft.rollout
    if rollout.kind is RolloutKind.ROLLBACK or rollout.started_at == draft.now:
        return False
    return wish.bake_seconds > 0 and wish.replicas > 0


def _reading(draft: Draft) -> AlarmReading | None:
    return None if draft.spec.alarms is None else draft.snapshot.alarms


def _with_alarms(draft: Draft, alarms: Alarms) -> Draft:
    return replace(draft, memory=replace(draft.memory, alarms=alarms))


def _with_bake_gone(draft: Draft) -> Draft:
    return draft.with_memory(rollout=replace(draft.rollout, bake=None))
