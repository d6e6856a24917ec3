"""The referee's own judgement of alarms and bakes (rules A), written from the rules alone.

:class:`AlarmStory` follows one rollout, look by look. :func:`find_wrong_trip` and :func:`find_short_bake` ask
the simulated Prometheus what it really answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.sim.operator import Look
from tests.sim.prometheus import Answer, is_good, list_firing
from tripswitch.domain.values.alarms import Alert
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.states import RolloutKind
from tripswitch.domain.values.time import Instant

FRESH_SECONDS = 30.0
"""A reading that is older says nothing of now (A2)."""
SLACK_SECONDS = 3.0
"""By so much the operator's clock may be off: answers of the API server have whole seconds."""


class AlarmStory:
    """Which alarms of one rollout were on at its beginning, and whether another one fires."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._at_start: dict[str, set[str]] = {}
        """The activations that the first reading of each name showed."""
        self._deaf: set[str] = set()
        """Names that cannot fail this rollout."""
        self.fires = False

    def feed(self, look: Look) -> None:
        """Take one more look of the rollout, in which its alarms count."""
        asked, reading = look.snapshot.guarded.spec.alarms, look.snapshot.alarms
        self.fires = False
        if asked is None or self._rollout.kind is RolloutKind.ROLLBACK:
            return
        oldest = max(self._rollout.started_at, look.now - FRESH_SECONDS)
        if reading.unread_since is not None or reading.read_at < oldest:
            return
        for name in asked.names:
            if name not in reading.unknown:
                self._hear(name, [one for one in reading.alerts if one.name == name])

    def _hear(self, name: str, alerts: Iterable[Alert]) -> None:
        first = self._at_start.setdefault(name, {one.active_at for one in alerts})
        firing = {one.active_at for one in alerts if one.firing}
        if firing & first:
            self._deaf.add(name)
        self.fires = self.fires or (bool(firing) and name not in self._deaf)


def find_wrong_trip(look: Look, answers: Iterable[Answer]) -> list[str]:
    """Return what is wrong with a trip by an alarm: none really fired, or it was on before."""
    told = [one for one in look.decision.events if one.reason is EventReason.ALARM_TRIGGERED]
    before, after = look.snapshot.guarded.status.memory, look.decision.status.memory
    asked, alarms = look.snapshot.guarded.spec.alarms, after.alarms
    if not told:
        return []
    if asked is None or alarms is None:
        return ["an alarm fails a rollout, and none is asked for (A1)"]
    recent = (one for one in answers if look.now - FRESH_SECONDS - SLACK_SECONDS <= one.at)
    really = [alert for one in recent for alert in list_firing(one, asked)]
    names = {alert.name for alert in really}
    found = [
        f"alarm {name} fails the rollout, and does not fire (A1)"
        for name in alarms.triggered_alarm_names
        if name not in names
    ]
    failed = next((r for r in (before.rollout, after.rollout) if r is not None), None)
    started = None if failed is None else failed.started_at
    if started is not None and not any(
        began_at(one) >= started - SLACK_SECONDS
        for one in really
        if one.name in alarms.triggered_alarm_names
    ):
        found.append("alarms fail the rollout that were all on before it began (A2)")
    assert after.rollout is not None
    goes_back = after.rollout.kind is RolloutKind.ROLLBACK
    last = before.last_completed_revision
    record = next((one for one in before.revisions if one.revision == last), None)
    there = record is not None and any(
        rs.name == record.replica_set and rs.owned and not rs.deleting
        for rs in look.snapshot.replica_sets
    )
    wrong = not asked.rollback if goes_back else asked.rollback and there
    if wrong and look.snapshot.protected is None:
        found.append(
            f"an alarm with rollback {asked.rollback} leads to a {after.rollout.kind} (A1)"
        )
    return found


def began_at(alert: Alert) -> Instant:
    """Return since when there is an alert.

    >>> began_at(Alert("Errors", active_at="at 12.500, 3"))
    12.5
    """
    return float(alert.active_at.split()[1].rstrip(","))


def find_short_bake(look: Look, rollout: Rollout, answers: Iterable[Answer]) -> list[str]:
    """Return what is wrong with the bake of a rollout that completes in this look (A3).

    Only time in which the alarms could be read counts: each good answer speaks for 30 s. The operator's clock
    has to be right.
    """
    spec = look.snapshot.guarded.spec
    if not spec.bake_seconds or not spec.replicas or rollout.kind is RolloutKind.ROLLBACK:
        return []
    if rollout.started_at == look.now:
        return []
    lasted = look.now - rollout.started_at
    if lasted < spec.bake_seconds - SLACK_SECONDS:
        return [f"a rollout is over after {lasted} s, with a bake of {spec.bake_seconds} s (A3)"]
    if spec.alarms is None:
        return []
    read = [one.at for one in answers if is_good(one, spec.alarms)]
    covered = measure(read, rollout.started_at - SLACK_SECONDS, look.now + SLACK_SECONDS)
    if covered < spec.bake_seconds - SLACK_SECONDS:
        return [
            f"a bake of {spec.bake_seconds} s is over, and the alarms were read for {covered:.0f} s (A3)"
        ]
    return []


def measure(moments: Iterable[Instant], since: Instant, until: Instant) -> float:
    """Return for how many seconds an answer was current.

    >>> measure([0.0, 10.0, 100.0], 5.0, 105.0)
    40.0
    """
    covered, reached = 0.0, since
    for at in moments:
        begins, ends = max(at, reached), min(at + FRESH_SECONDS, until)
        covered += max(0.0, ends - begins)
        reached = max(reached, ends)
    return covered
