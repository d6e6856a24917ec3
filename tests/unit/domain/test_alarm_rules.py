"""Rules A1 and A2: which alerts count against a rollout."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.domain.rules.alarms import (
    FRESH_SECONDS,
    MAX_LABELS,
    MAX_PENDING,
    MAX_TRIGGERED,
    MAX_VALUE,
    Observed,
    answer,
    compute_state,
    describe_alerts,
    fail,
    is_current,
    is_news,
    observe,
)
from tripswitch.domain.values.alarms import (
    NO_READING,
    AlarmQuestion,
    AlarmReading,
    Alarms,
    AlarmSpec,
    AlarmsState,
    Alert,
    RuleReading,
    TriggeredAlarm,
)
from tripswitch.domain.values.states import RolloutKind, RolloutStatus

START = 1000.0
SHOP = {"namespace": "shop"}
ASKED = AlarmSpec(("Errors", "Slow"))
QUESTION = AlarmQuestion(("Errors", "Slow"), {}, START)
KNOWN = frozenset({"Errors", "Slow"})


def alert(
    name: str = "Errors", *, firing: bool = True, active_at: str = "t1", **labels: str
) -> Alert:
    return Alert(name, {**SHOP, **labels}, active_at=active_at, firing=firing)


def reading(*alerts: Alert, at: float = START, unknown: tuple[str, ...] = ()) -> AlarmReading:
    return AlarmReading(at, alerts, unknown)


def look(
    before: Alarms | None, *alerts: Alert, at: float = START + 10, unknown: tuple[str, ...] = ()
) -> Observed:
    return observe(before, ASKED, reading(*alerts, at=at, unknown=unknown), START, at)


# --- which alerts belong to an object ---


@pytest.mark.parametrize(
    ("labels", "wanted", "belongs"),
    [
        pytest.param({"namespace": "shop"}, {}, True, id="the namespace alone"),
        pytest.param({"namespace": "till"}, {}, False, id="of another namespace"),
        pytest.param({}, {}, False, id="without a namespace"),
        pytest.param({"namespace": "shop", "app": "web"}, {"app": "web"}, True, id="a label"),
        pytest.param(
            {"namespace": "shop", "app": "api"}, {"app": "web"}, False, id="another value"
        ),
        pytest.param({"namespace": "shop"}, {"app": "web"}, False, id="without the label"),
        pytest.param({"namespace": "till"}, {"namespace": "till"}, False, id="reaching out"),
    ],
)
def test_a1_labels_must_match_and_the_namespace_always(
    labels: Mapping[str, str],
    wanted: Mapping[str, str],
    belongs: bool,  # noqa: FBT001 - a column of the table
) -> None:
    told = RuleReading(KNOWN, (Alert("Errors", labels),))
    question = AlarmQuestion(("Errors", "Slow"), wanted, START)
    found = answer(question, SHOP, told, START, NO_READING)
    assert bool(found.alerts) is belongs
    assert (found.read_at, found.unread_since) == (START, None)


def test_a1_an_alert_of_another_name_does_not_belong() -> None:
    told = RuleReading(KNOWN | {"Other"}, (alert("Other"),))
    assert answer(QUESTION, SHOP, told, START, NO_READING).alerts == ()


def test_a2_a_name_without_a_rule_is_unknown() -> None:
    told = RuleReading(frozenset({"Slow"}))
    assert answer(QUESTION, SHOP, told, START, NO_READING).unknown == ("Errors",)


def test_a2_a_name_that_a_part_of_the_rules_has_not_is_not_known_to_be_unknown() -> None:
    told = RuleReading(frozenset({"Slow"}), complete=False)
    found = answer(QUESTION, SHOP, told, START, NO_READING)
    assert found.unread_since == START
    assert found.problem == "Errors: the answer has only a part of the rules"


def test_a2_a_part_of_the_rules_that_has_all_names_is_good() -> None:
    found = answer(QUESTION, SHOP, RuleReading(KNOWN, complete=False), START, NO_READING)
    assert found == AlarmReading(START)


def test_a2_a_rule_that_was_not_evaluated_leaves_the_earlier_reading() -> None:
    told = RuleReading(KNOWN, unread={"Errors": "bad_data", "Other": "is not asked for"})
    before = reading(alert(), at=START)
    found = answer(QUESTION, SHOP, told, START + 10, before)
    assert (found.alerts, found.read_at) == (before.alerts, START)
    assert (found.unread_since, found.problem) == (START, "Errors: bad_data")
    again = fail("still", START + 20, found)
    assert (again.unread_since, again.problem) == (START, "still")


# --- when a reading counts ---


def test_a1_a_reading_from_before_the_rollout_or_an_old_one_is_not_current() -> None:
    now = START + 100
    assert is_current(reading(at=now - FRESH_SECONDS), START, now)
    assert not is_current(reading(at=now - FRESH_SECONDS - 0.001), START, now)
    assert not is_current(reading(at=START - 0.001), START, START)
    assert not is_current(fail("", now, reading(at=now)), START, now)
    assert not is_current(NO_READING, START, now)


def test_a1_only_what_may_change_a_decision_is_news() -> None:
    later = reading(at=START + 10)
    assert is_news(NO_READING, reading(), QUESTION), "the base line"
    assert not is_news(reading(), later, QUESTION), "the same, later"
    assert is_news(reading(), reading(alert(), at=START + 10), QUESTION)
    bake = AlarmQuestion(QUESTION.names, {}, START + 10)
    assert is_news(reading(), later, bake), "the end of a bake was reached"
    assert not is_news(later, reading(at=START + 20), bake)
    assert is_news(later, fail("refused", START + 20, later), bake)
    assert is_news(fail("refused", START + 20, later), reading(at=START + 30), bake)


# --- base line, trip ---


def test_a1_an_alarm_that_begins_to_fire_after_the_base_line_triggers() -> None:
    first = look(None, at=START)
    assert first.alarms.watched_alarm_names == ("Errors", "Slow")
    assert first.triggered == ()
    found = look(first.alarms, alert(pod="a"))
    assert found.triggered == (alert(pod="a"),)
    assert found.alarms.triggered_alarm_names == ("Errors",)
    shown = TriggeredAlarm("Errors", {"namespace": "shop", "pod": "a"})
    assert found.alarms.triggered_alarms == (shown,)


def test_a2_an_alarm_that_fires_at_the_start_is_ignored_also_when_it_fires_again() -> None:
    first = look(None, alert(), at=START)
    assert (first.ignored, first.triggered) == (("Errors",), ())
    calm = look(first.alarms)
    assert (calm.alarms.ignored_alarm_names, calm.ignored) == (("Errors",), ())
    assert look(calm.alarms, alert(active_at="t2", pod="b")).triggered == ()
    assert look(calm.alarms, alert("Slow")).triggered == (alert("Slow"),), "the other one counts"


def test_a2_an_alert_that_is_pending_at_the_start_and_fires_later_is_ignored() -> None:
    """Its cause is older than the rollout; after a restart of Prometheus every alert is pending first."""
    first = look(None, alert(firing=False), at=START)
    assert (first.ignored, first.alarms.pending_at_start) == ((), ("Errors t1",))
    assert look(first.alarms, alert()).ignored == ("Errors",)
    assert look(first.alarms, alert()).triggered == ()
    later = look(first.alarms, at=START + 70)
    assert look(later.alarms, alert(active_at="t2"), at=START + 80).triggered, "another activation"


@pytest.mark.parametrize("second", [10, 60])
def test_a2_another_replica_of_prometheus_has_its_own_time_of_one_activation(second: int) -> None:
    """Both answer by turns: ``prometheus-operated`` is a Service of all replicas."""
    first = look(None, alert(firing=False, active_at="t1"), at=START)
    other = look(first.alarms, alert(firing=False, active_at="t2"), at=START + second)
    assert other.alarms.pending_at_start == ("Errors t1", "Errors t2")
    fires = look(other.alarms, alert(active_at="t2"), at=START + 300)
    assert (fires.triggered, fires.ignored) == ((), ("Errors",))


def test_a2_an_alert_that_another_replica_fires_at_once_was_pending_at_the_start() -> None:
    first = look(None, alert(firing=False, active_at="t1"), at=START)
    assert look(first.alarms, alert(active_at="t2"), at=START + 60).triggered == ()
    assert look(first.alarms, alert(active_at="t2"), at=START + 61).triggered
    assert look(first.alarms, alert("Slow"), at=START + 10).triggered, "that one was not pending"


def test_a2_more_pending_alerts_than_can_be_remembered_leave_their_alarm_out() -> None:
    """The one that fires first may be any of them."""
    pods = range(MAX_PENDING + 1)
    before = [alert(firing=False, active_at=f"t{pod:03}", pod=str(pod)) for pod in pods]
    first = look(None, *before, alert("Slow", firing=False))
    assert len(first.alarms.pending_at_start) == MAX_PENDING
    assert first.ignored == ("Errors", "Slow")
    fires = alert(active_at=f"t{MAX_PENDING:03}", pod=str(MAX_PENDING))
    assert look(first.alarms, fires, at=START + 20).triggered == ()


def test_a1_what_is_pending_never_triggers() -> None:
    first = look(None, at=START)
    assert look(first.alarms, alert(firing=False)).triggered == ()


def test_a2_an_unknown_name_is_told_once_and_gets_its_base_line_when_there_is_a_rule() -> None:
    first = look(None, at=START, unknown=("Errors",))
    assert (first.unknown, first.alarms.watched_alarm_names) == (("Errors",), ("Slow",))
    assert look(first.alarms, unknown=("Errors",)).unknown == ()
    there = look(first.alarms, alert())
    assert (there.ignored, there.triggered) == (("Errors",), ()), "it may have been so all along"
    assert there.alarms.unknown_alarm_names == ()


def test_a2_a_name_that_is_added_in_the_middle_gets_its_own_base_line() -> None:
    first = observe(None, AlarmSpec(("Slow",)), reading(), START, START)
    more = look(first.alarms, alert())
    assert (more.ignored, more.triggered) == (("Errors",), ())


def test_a2_a_name_that_is_taken_away_is_forgotten() -> None:
    first = look(None, alert(), at=START)
    only = observe(first.alarms, AlarmSpec(("Slow",)), reading(), START, START)
    assert only.alarms.ignored_alarm_names == ()
    assert only.alarms.watched_alarm_names == ("Slow",)


def test_a2_other_labels_begin_with_a_new_base_line() -> None:
    first = look(None, at=START)
    other = AlarmSpec(ASKED.names, {"app": "web"})
    found = observe(first.alarms, other, reading(alert(app="web")), START, START)
    assert (found.ignored, found.triggered) == (("Errors",), ())
    assert found.alarms.match_labels == {"app": "web"}


# --- no data is never a verdict ---


def test_a2_what_cannot_be_read_changes_nothing_and_is_told_once() -> None:
    first = look(None, at=START)
    broken = fail("refused", START + 20, reading(alert(), at=START + 10))
    lost = observe(first.alarms, ASKED, broken, START, START + 20)
    assert (lost.lost, lost.triggered) == (True, ())
    assert lost.alarms.unavailable_since == START + 10
    again = observe(lost.alarms, ASKED, broken, START, START + 30)
    assert (again.lost, again.alarms) == (False, lost.alarms)
    back = look(again.alarms, at=START + 40)
    assert back.alarms.unavailable_since is None


def test_a2_that_nothing_was_read_yet_is_no_trouble() -> None:
    found = observe(None, ASKED, NO_READING, START, START + 100)
    assert found == Observed(Alarms())


def test_a2_unavailable_alarms_are_so_since_the_rollout_began_at_most() -> None:
    broken = fail("refused", START - 50, NO_READING)
    found = observe(None, ASKED, broken, START, START)
    assert found.alarms.unavailable_since == START
    other = AlarmSpec(ASKED.names, {"app": "web"})
    changed = observe(found.alarms, other, broken, START, START + 10)
    assert (changed.alarms.unavailable_since, changed.lost) == (START, False)


NAMES = st.sampled_from(ASKED.names)
ALERTS = st.lists(
    st.builds(alert, NAMES, firing=st.booleans(), active_at=st.sampled_from(["t1", "t2"])),
    max_size=3,
)
READINGS = st.lists(
    st.tuples(ALERTS, st.booleans(), st.lists(NAMES, unique=True, max_size=2)), max_size=8
)


@given(READINGS)
def test_a1_a_trip_needs_a_good_reading_without_the_alarm_and_then_one_with_it(
    readings: list[tuple[list[Alert], bool, list[str]]],
) -> None:
    """The referee knows of each name the first good reading of this rollout that had a rule for it."""
    memory: Alarms | None = None
    calm: dict[str, frozenset[str]] = {}
    now = START
    for alerts, broken, unknown in readings:
        now += 10
        shown = [one for one in alerts if one.name not in unknown]
        seen = reading(*shown, at=now, unknown=tuple(sorted(unknown)))
        seen = fail("refused", now, seen) if broken else seen
        found = observe(memory, ASKED, seen, START, now)
        assert observe(found.alarms, ASKED, seen, START, now).alarms == found.alarms, "settled"
        for one in found.triggered:
            assert not broken
            assert one.firing
            assert one.name in calm, "a trip by the first reading"
            assert one.active_at not in calm[one.name], "it was on or about to be"
        if not broken:
            for name in set(ASKED.names) - set(unknown) - set(calm):
                begun = (a.active_at for a in shown if a.name == name)
                calm[name] = frozenset(begun)
        memory = found.alarms


# --- words ---


def test_a1_the_status_has_ecs_words() -> None:
    deploy, back = RolloutKind.DEPLOY, RolloutKind.ROLLBACK
    fine = Alarms(watched_alarm_names=ASKED.names)
    tripped = Alarms(triggered_alarms=(TriggeredAlarm("Errors"),))
    off = Alarms(ignored_alarm_names=("Errors", "Slow"))
    half = Alarms(ignored_alarm_names=("Errors",))
    running, done = RolloutStatus.IN_PROGRESS, RolloutStatus.SUCCESSFUL
    assert compute_state(fine, ASKED, deploy, running) is AlarmsState.MONITORING
    assert compute_state(fine, ASKED, deploy, RolloutStatus.PENDING) is AlarmsState.MONITORING
    assert compute_state(half, ASKED, deploy, running) is AlarmsState.MONITORING
    assert compute_state(off, ASKED, deploy, running) is AlarmsState.DISABLED
    assert compute_state(fine, ASKED, deploy, done) is AlarmsState.MONITORING_COMPLETE
    rolling_back = RolloutStatus.ROLLBACK_IN_PROGRESS
    assert compute_state(fine, ASKED, back, rolling_back) is AlarmsState.MONITORING_COMPLETE
    assert compute_state(tripped, ASKED, back, rolling_back) is AlarmsState.TRIGGERED


def test_a1_what_is_shown_of_alerts_is_bounded() -> None:
    labels = {f"label{number:02}": "v" * 1000 for number in range(20)}
    many = tuple(Alert(f"Errors{number}", {**SHOP, **labels}) for number in range(10))
    first = observe(None, AlarmSpec(tuple(a.name for a in many)), reading(), START, START)
    asked = AlarmSpec(tuple(a.name for a in many))
    found = observe(first.alarms, asked, reading(*many, at=START + 10), START, START + 10)
    assert len(found.alarms.triggered_alarms) == MAX_TRIGGERED
    shown = found.alarms.triggered_alarms[0].labels
    assert (len(shown), max(len(value) for value in shown.values())) == (MAX_LABELS, MAX_VALUE)
    assert len(describe_alerts(many)) < 2000


def test_a1_two_alerts_are_named() -> None:
    told = describe_alerts((alert(pod="a"), alert(pod="b")))
    assert told == 'alarm Errors fires (namespace="shop", pod="a"), and 1 more alert (Errors)'
