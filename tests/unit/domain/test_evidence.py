"""Evidence is asked for after the fact, taken when it comes, told once, and never decides anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import (
    START,
    container,
    crash_looping,
    crashing_pod,
    pod,
    replica_set,
    running,
    snapshot,
    template,
    waiting,
)
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.decide import decide
from tripswitch.domain.rules.evidence import (
    FRESH,
    compute_topic,
    describe_evidence,
    describe_latest,
    find_inquiry,
    take_findings,
    waiting_topic,
)
from tripswitch.domain.rules.failure_records import MAX_RECORDS
from tripswitch.domain.rules.health import FIRST_PATIENCE
from tripswitch.domain.steps.use_evidence import AGAIN_SECONDS, SET_UP_SECONDS
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.inquiry import Evidence, Finding, Inquiry
from tripswitch.domain.values.memory import FailureRecord
from tripswitch.domain.values.pods import ContainerRole, PodView
from tripswitch.domain.values.states import RolloutStatus

CRASH = FailureRecord(
    revision=2,
    cause=FailureCause(FailureKind.LAUNCH, "Error", "web", exit_code=2),
    pod="web-1",
    count=1,
    last_seen=START,
)
OF_CRASH = compute_topic(CRASH.revision, CRASH.cause)
FOUND = Evidence("web-1", log_tail="connecting\nFATAL: no such table\n")


def crash_with(changes: dict[str, object]) -> FailureRecord:
    """Return the record of a crash of another cause."""
    return replace(CRASH, cause=replace(CRASH.cause, **changes))  # type: ignore[arg-type]


def crashed(found: Evidence | None = None) -> ManualCluster:
    """One pod of four has crashed; ``found`` is what was found out about it since."""
    world = completed().apply("v2").settle(1.0).crash("v2", count=1)
    world.look(1.0)
    if found is not None:
        [record] = world.breaker().failures
        world.findings = (Finding(compute_topic(record.revision, record.cause), found),)
    return world


# --- what is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "log", "ended"),
    [
        pytest.param({}, True, True, id="a container that exited"),
        pytest.param({"exit_code": 0, "reason": "Completed"}, False, True, id="that succeeded"),
        pytest.param({"exit_code": 128, "reason": "StartError"}, False, True, id="never ran"),
        pytest.param({"exit_code": None, "reason": "ErrImagePull"}, False, True, id="no image"),
        pytest.param(
            {"exit_code": None, "reason": "NotReadyInTime", "container": None},
            True,
            False,
            id="a pod that runs and is not Ready",
        ),
    ],
)
def test_a_log_is_asked_only_of_a_container_that_ran_and_failed(
    *, changes: dict[str, object], log: bool, ended: bool
) -> None:
    inquiry = find_inquiry(crash_with(changes), START)
    assert inquiry is not None
    assert (inquiry.pod, inquiry.log, inquiry.ended) == ("web-1", log, ended)
    assert inquiry.container == changes.get("container", "web")


@pytest.mark.parametrize(
    ("changes", "killed"),
    [
        ({}, False),
        ({"exit_code": 137}, True),
        ({"exit_code": 143}, True),
        ({"exit_code": 137, "reason": "OOMKilled"}, False),
        ({"exit_code": None, "reason": "NotReadyInTime"}, False),
    ],
)
def test_of_a_container_that_was_killed_somebody_has_said_why(
    *, changes: dict[str, object], killed: bool
) -> None:
    inquiry = find_inquiry(crash_with(changes), START)
    assert inquiry is not None
    assert inquiry.killed is killed


@pytest.mark.parametrize(
    ("changes", "topic"),
    [
        ({}, "2/LAUNCH/Error/web/2/"),
        ({"exit_code": None, "container": None, "reason": "Evicted"}, "2/LAUNCH/Evicted///"),
        ({"exit_code": 0, "signal": 9, "container": "init"}, "2/LAUNCH/Error/init/0/9"),
    ],
)
def test_a_topic_names_one_cause_in_one_revision(changes: dict[str, object], topic: str) -> None:
    assert compute_topic(2, crash_with(changes).cause) == topic


def test_nothing_is_asked_again_once_it_is_known_or_too_late() -> None:
    assert find_inquiry(replace(CRASH, evidence=FOUND), START) is None
    assert find_inquiry(CRASH, START + FRESH) is not None
    assert find_inquiry(CRASH, START + FRESH + 1) is None


def test_a_cause_is_asked_about_once_however_many_pods_show_it() -> None:
    world = completed(8).apply("v2").settle(1.0).crash("v2", count=3)
    asked = world.look(1.0).inquiries
    assert [(inquiry.container, inquiry.log) for inquiry in asked] == [("web", True)]
    world.crash("v2", count=8)
    assert len(world.look(1.0).inquiries) == 1


def test_of_a_pod_that_is_not_ready_the_only_container_is_named() -> None:
    world = started().hang("v1")
    [inquiry] = world.look(FIRST_PATIENCE).inquiries
    assert (inquiry.container, inquiry.log, inquiry.ended) == ("web", True, False)
    world = started().become("v1", two_containers)
    [inquiry] = world.look(FIRST_PATIENCE).inquiries
    assert (inquiry.container, inquiry.log, inquiry.ended) == (None, True, False)


def test_a_pod_that_is_gone_is_asked_about_without_a_container() -> None:
    world = started(2).hang("v1")
    asked = [inquiry.pod for inquiry in world.look(FIRST_PATIENCE).inquiries]
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=())
    [inquiry] = decide(world.snapshot, world.now).inquiries
    assert (inquiry.pod, inquiry.container, inquiry.log) == (asked[0], None, True)


def test_the_container_is_that_of_the_pod_that_is_asked_about() -> None:
    world = started(2).hang("v1")
    [inquiry] = world.look(FIRST_PATIENCE).inquiries
    found = world.replica_set("v1")
    others = tuple(two_containers(f"0-{name}", world.now) for name in ("a", "b"))
    one = pod(inquiry.pod, running(START))
    world.replica_sets[found.name] = replace(found, pods=(*others, one))
    [again] = decide(world.snapshot, world.now).inquiries
    assert (inquiry.container, again.container) == ("web", "web")


def test_a_container_that_failed_is_asked_about_by_its_own_name() -> None:
    def failing_set_up(name: str, _: float) -> PodView:
        return pod(name, crash_looping(name="setup", role=ContainerRole.INIT), container())

    [inquiry] = started().become("v1", failing_set_up).look(1.0).inquiries
    assert (inquiry.container, inquiry.log) == ("setup", True)


def two_containers(name: str, since: float) -> PodView:
    return pod(name, running(since), running(since, "proxy"))


def test_there_are_never_more_questions_than_records() -> None:
    world = started(40)
    found = world.replica_set("v1")
    crashes = tuple(crashing_pod(f"c{code:02}", 1, exit_code=code) for code in range(1, 15))
    world.replica_sets[found.name] = replace(found, pods=crashes)
    assert len(decide(world.snapshot, world.now).inquiries) == MAX_RECORDS


# --- what becomes of an answer ---------------------------------------------------------------------


def test_what_was_found_goes_into_its_record_and_is_told_once() -> None:
    world = crashed(FOUND)
    decision = world.look(1.0)
    [record] = world.breaker().failures
    assert record.evidence == FOUND
    [told] = [event for event in decision.events if event.reason is EventReason.POD_LAUNCH_FAILED]
    assert told.message == (
        "pod web-1: container web exited 1 (1/3); its log ends: FATAL: no such table"
    )
    assert told.topic == "2/LAUNCH/Error/web/1/"
    assert decision.inquiries == ()
    assert world.look(1.0).events == ()


def test_an_event_that_comes_after_its_pods_log_is_added_and_told() -> None:
    world = crashed(FOUND)
    world.look(1.0)
    [record] = world.breaker().failures
    more = replace(FOUND, event="Liveness probe failed: 500")
    world.findings = (Finding(compute_topic(record.revision, record.cause), more),)
    [told] = world.look(1.0).events
    assert "Liveness probe failed: 500" in told.message
    assert world.breaker().failures[0].evidence == more
    assert world.look(1.0).events == ()


def test_what_was_found_about_one_cause_is_not_said_of_another() -> None:
    world = crashed(FOUND)
    world.look(1.0)
    world.become("v2", lambda name, _: crashing_pod(name, 1, exit_code=7), count=2)
    assert told_failures(world) == [
        f"pod {world.breaker().failures[0].pod}: container web exited 7 (2/3)"
    ]


def test_what_was_found_stands_in_the_sentence_and_in_that_of_a_stall() -> None:
    world = started().crash("v1", count=1)
    [inquiry] = world.look(1.0).inquiries
    world.findings = (Finding(inquiry.topic, FOUND),)
    world.look(1.0)
    assert world.status.report.rollout_state_reason.endswith("; its log ends: FATAL: no such table")
    world.crash("v1").settle(1.0)
    assert world.state() is RolloutStatus.FAILED
    assert world.status.report.rollout_state_reason.endswith(
        "nothing more is launched; its log ends: FATAL: no such table; "
        "next: fix the template, or retry"
    )


def test_a_finding_is_told_of_its_own_cause_only_and_not_without_words() -> None:
    world = crashed()
    world.become("v2", lambda name, _: crashing_pod(name, 1, exit_code=7))
    world.look(1.0)
    newest, oldest = world.breaker().failures
    world.findings = (
        Finding(compute_topic(oldest.revision, oldest.cause), Evidence("web-1", log_tail="\n")),
    )
    assert told_failures(world) == []
    assert [r.evidence for r in world.breaker().failures] == [
        None,
        Evidence("web-1", log_tail="\n"),
    ]
    world.findings = (Finding(compute_topic(newest.revision, newest.cause), FOUND),)
    [message] = told_failures(world)
    assert message.endswith("its log ends: FATAL: no such table")


def told_failures(world: ManualCluster) -> list[str]:
    events = world.look(1.0).events
    return [e.message for e in events if e.reason is EventReason.POD_LAUNCH_FAILED]


def test_a_finding_about_something_else_changes_nothing() -> None:
    world = crashed()
    world.findings = (Finding("2/LAUNCH/OOMKilled/web/137/", FOUND),)
    before = world.status
    assert world.look(1.0).events == ()
    assert world.status == before


def test_evidence_outlives_more_failures_of_the_same_cause_and_the_rollback() -> None:
    world = crashed(FOUND)
    world.look(1.0)
    world.findings = ()
    world.crash("v2")
    world.look(1.0)
    assert world.state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    [record] = world.breaker().failures
    assert (record.count, record.evidence) == (4, FOUND)
    assert "its log ends: FATAL: no such table" in world.status.report.rollout_state_reason


def test_a_trip_waits_for_nothing_and_what_comes_later_is_taken_in_the_rollback() -> None:
    world = completed().apply("v2").settle(1.0).crash("v2")
    decision = world.look(1.0)
    assert world.state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    [inquiry] = decision.inquiries
    world.findings = (Finding(inquiry.topic, FOUND),)
    world.look(1.0)
    [record] = world.breaker().failures
    assert (record.revision, record.evidence) == (2, FOUND)
    for condition in ("Ready", "Stalled"):
        shown = world.condition(condition)
        assert shown is not None
        assert "its log ends: FATAL: no such table" in shown.message


def test_what_is_known_at_the_trip_is_in_its_event() -> None:
    world = crashed(FOUND)
    world.crash("v2")
    events = world.look(1.0).events
    [trip] = [e for e in events if e.reason is EventReason.CIRCUIT_BREAKER_TRIGGERED]
    assert trip.message.endswith("(x4); its log ends: FATAL: no such table")


def test_a_new_rollout_starts_without_evidence() -> None:
    world = crashed(FOUND)
    world.look(1.0)
    world.apply("v3").look(1.0)
    assert world.breaker().failures == ()


# --- in words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (None, ""),
        (Evidence("p"), ""),
        (Evidence("p", event="Liveness probe failed: 500"), "Liveness probe failed: 500"),
        (Evidence("p", log_tail="a\n  b  \n\n"), "its log ends: b"),
        (Evidence("p", "Unhealthy", "bye"), "Unhealthy; its log ends: bye"),
        (Evidence("p", log_tail="x" * 500), f"its log ends: {'x' * 200}"),
    ],
)
def test_evidence_is_one_clause(evidence: Evidence | None, words: str) -> None:
    assert describe_evidence(evidence, "") == words


@pytest.mark.parametrize(
    ("event", "words"),
    [
        pytest.param("Failed to pull image web:2: no such tag", "", id="repeats the message"),
        pytest.param("no such tag", "", id="is the message"),
        pytest.param(
            "Failed to pull image web:2: no route",
            "Failed to pull image web:2: no route",
            id="says more",
        ),
        pytest.param(
            "Failed to pull image web:2: rpc error: no such tag",
            "Failed to pull image web:2: rpc error: no such tag",
            id="says more in the middle",
        ),
    ],
)
def test_an_event_that_only_repeats_the_failures_message_is_not_quoted(
    event: str, words: str
) -> None:
    stuck = replace(CRASH, message="ErrImagePull: no such tag", evidence=Evidence("web-1", event))
    assert describe_evidence(stuck.evidence, stuck.message) == words
    assert describe_latest((stuck,), 2) == words


def test_the_latest_cause_that_has_evidence_speaks() -> None:
    silent = crash_with({"reason": "OOMKilled", "exit_code": 137})
    other = replace(CRASH, revision=1, evidence=Evidence("p", "not this one"))
    records = (silent, other, replace(CRASH, evidence=FOUND))
    assert describe_latest(records, 2) == "its log ends: FATAL: no such table"
    assert describe_latest(records, 3) == ""


def test_findings_are_taken_by_cause_and_never_replace_what_is_known() -> None:
    known = replace(CRASH, evidence=FOUND)
    late = Finding(OF_CRASH, Evidence("web-2", log_tail="other"))
    assert take_findings((known,), (late,)) == (known,)
    assert take_findings((CRASH,), (late,))[0].evidence == late.evidence


# --- pods that are being set up --------------------------------------------------------------------


def creating(name: str) -> PodView:
    view = pod(name, waiting("ContainerCreating"))
    words = "ContainerCreating: image, volumes or network"
    return replace(view, waiting_for=words, being_set_up=True)


def stuck() -> ManualCluster:
    world = started()
    found = world.replica_set("v1")
    pods = tuple(creating(f"p{number}") for number in range(4))
    world.replica_sets[found.name] = replace(found, pods=pods)
    return world


def test_a_pod_that_is_long_in_being_set_up_is_asked_why_and_again_while_it_lasts() -> None:
    world = stuck()
    began = world.now
    assert world.look(1.0).inquiries == ()
    world.now = began
    decision = decide(world.snapshot, began + SET_UP_SECONDS)
    assert decision.inquiries == (Inquiry(waiting_topic(1), "p0", lasting=True),)
    later = decide(world.snapshot, began + SET_UP_SECONDS + 1)
    assert later.wake_at is not None
    assert later.wake_at <= began + SET_UP_SECONDS + AGAIN_SECONDS
    much_later = decide(world.snapshot, began + SET_UP_SECONDS + AGAIN_SECONDS + 1)
    assert much_later.wake_at == began + SET_UP_SECONDS + 2 * AGAIN_SECONDS


def test_without_an_event_the_sentence_has_the_words_of_the_pods() -> None:
    world = stuck()
    world.look(SET_UP_SECONDS)
    assert world.status.report.rollout_state_reason.endswith(
        "waiting: container web ContainerCreating: image, volumes or network (x4)"
    )


def test_its_events_words_stand_in_the_sentence_for_all_that_wait() -> None:
    world = stuck()
    words = 'MountVolume.SetUp failed for volume "conf": configmap "conf" not found'
    world.findings = (Finding(waiting_topic(1), Evidence("p0", event=words)),)
    world.look(SET_UP_SECONDS)
    assert world.status.report.rollout_state_reason.endswith(
        f"waiting: container web ContainerCreating: {words} (x4)"
    )


def test_p1_the_progress_deadline_says_why_pods_were_not_set_up() -> None:
    world = stuck()
    words = 'configmap "conf" not found'
    world.findings = (Finding(waiting_topic(1), Evidence("p0", event=words)),)
    world.look(600.0)
    assert world.state() is RolloutStatus.FAILED
    assert words in world.rollout.message


def test_nothing_is_asked_about_pods_of_a_rollout_that_is_over_or_paused() -> None:
    world = stuck().want(paused=True)
    assert world.look(SET_UP_SECONDS).inquiries == ()
    idle = replica_set(1, creating("p0"), of=template("v1"))
    done = completed()
    assert decide(snapshot(done.guarded, idle), done.now + 100).inquiries == ()
