"""Rules S, T5, F6, F7 and H2: one look of the breaker at the pods of the target revision."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    container,
    crash_looping,
    crashing_pod,
    failed_pod,
    pending_pod,
    pod,
    ready_pod,
    replica_set,
    restarted,
    running,
    spec,
    stuck_pod,
    template,
    terminating,
    unready_pod,
    waiting,
)
from tripswitch.domain.rules.breaker import (
    BREAKER_STATES,
    Watched,
    begin_breaker,
    take_base_line,
    watch_pods,
)
from tripswitch.domain.rules.failure_records import MAX_MESSAGE, MAX_RECORDS
from tripswitch.domain.rules.failure_words import describe_failure, describe_failures
from tripswitch.domain.rules.health import FIRST_PATIENCE
from tripswitch.domain.values.failure import Failure, Verdict
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind
from tripswitch.domain.values.memory import Breaker, Counted, FailureRecord, Tally
from tripswitch.domain.values.pods import Ended, PodView
from tripswitch.domain.values.sight import CURRENT
from tripswitch.domain.values.states import BestState, BreakerState, RolloutStatus, Stage
from tripswitch.domain.values.workload import BreakerSpec, PolicyRule, Template

LAUNCH, HEALTH = FailureKind.LAUNCH, FailureKind.HEALTH
BARE = template("v1", probed=False)
NEVER = breaker_spec(1000)
"""Settings with which nothing trips."""


def look(
    *pods: PodView,
    before: Breaker | None = None,
    now: float = 0.0,
    settings: BreakerSpec = NEVER,
    of: Template | None = None,
) -> Watched:
    return watch_pods(
        Breaker() if before is None else before,
        replica_set(1, *pods, of=of),
        spec(breaker=settings),
        START + now,
        CURRENT,
    )


def count(
    *looks: tuple[float, PodView | tuple[PodView, ...]], settings: BreakerSpec = NEVER
) -> int:
    """Return the count after some looks, each remembering the one before."""
    breaker = Breaker()
    for now, pods in looks:
        seen = pods if isinstance(pods, tuple) else (pods,)
        breaker = look(*seen, before=breaker, now=now, settings=settings).breaker
    return breaker.failure_count


def record(exit_code: int = 1, **fields: object) -> FailureRecord:
    made = FailureRecord(1, FailureCause(LAUNCH, "Error", "web", exit_code), "a", 1, START)
    return replace(made, **fields)  # type: ignore[arg-type]


# --- S --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param(RolloutStatus.PENDING, BreakerState.MONITORING, id="PENDING"),
        pytest.param(RolloutStatus.IN_PROGRESS, BreakerState.MONITORING, id="IN_PROGRESS"),
        pytest.param(RolloutStatus.ROLLBACK_IN_PROGRESS, BreakerState.MONITORING, id="rollback"),
        pytest.param(RolloutStatus.SUCCESSFUL, BreakerState.MONITORING_COMPLETE, id="SUCCESSFUL"),
        pytest.param(
            RolloutStatus.ROLLBACK_SUCCESSFUL, BreakerState.MONITORING_COMPLETE, id="rolled back"
        ),
        pytest.param(RolloutStatus.STOPPED, BreakerState.MONITORING_COMPLETE, id="STOPPED"),
        pytest.param(RolloutStatus.FAILED, BreakerState.TRIGGERED, id="FAILED"),
        pytest.param(RolloutStatus.ROLLBACK_FAILED, BreakerState.TRIGGERED, id="rollback failed"),
    ],
)
def test_s3_the_breakers_status_follows_from_the_rollouts(
    status: RolloutStatus, state: BreakerState
) -> None:
    assert BREAKER_STATES[status] is state


def test_s3_every_rollout_status_has_a_breaker_status() -> None:
    assert set(BREAKER_STATES) == set(RolloutStatus)
    assert BreakerState.DISABLED not in BREAKER_STATES.values()


@pytest.mark.parametrize(
    ("pods", "now", "stage", "wake_at"),
    [
        pytest.param([], 0, Stage.LAUNCH, None, id="no pods"),
        pytest.param([pending_pod()], 0, Stage.LAUNCH, None, id="none is up"),
        pytest.param([unready_pod()], 0, Stage.LAUNCH, 5, id="one is just up"),
        pytest.param([unready_pod()], 4.999, Stage.LAUNCH, 5, id="just before"),
        pytest.param([unready_pod()], 5, Stage.HEALTH, FIRST_PATIENCE, id="one is RUNNING"),
        pytest.param(
            [pending_pod("b"), unready_pod("a", START - 1), unready_pod("c")],
            4,
            Stage.HEALTH,
            FIRST_PATIENCE - 1,
            id="one of several is RUNNING",
        ),
        pytest.param(
            [unready_pod("a"), unready_pod("c", START - 1)],
            0,
            Stage.LAUNCH,
            4,
            id="the first to be",
        ),
        pytest.param([terminating(unready_pod())], 9, Stage.LAUNCH, None, id="it is going"),
    ],
)
def test_s1_the_health_stage_begins_when_one_pod_has_been_running(
    pods: list[PodView], now: float, stage: Stage, wake_at: float | None
) -> None:
    found = look(*pods, now=now)
    assert found.breaker.stage is stage
    assert found.wake_at == (None if wake_at is None else START + wake_at)


def test_s1_a_pod_that_was_ready_for_long_enough_has_been_running_also_unseen() -> None:
    assert look(ready_pod()).breaker.stage is Stage.HEALTH
    known = Breaker(counted=(Counted("uid-a", best_state=BestState.READY),))
    assert look(crashing_pod("a"), before=known).breaker.stage is Stage.HEALTH
    fresh = pod("a", running(), ready_since=START)
    assert look(fresh, of=BARE).breaker.stage is Stage.LAUNCH


def test_s1_the_health_stage_lasts_for_the_rest_of_the_rollout() -> None:
    breaker = look(unready_pod(), now=5).breaker
    found = look(crashing_pod(), before=breaker, now=6)
    assert found.breaker.stage is Stage.HEALTH
    assert look(before=found.breaker, now=7).breaker.stage is Stage.HEALTH


def test_s1_moving_on_to_the_health_stage_is_no_success() -> None:
    breaker = look(crashing_pod("a", runs=2), unready_pod("b"), now=5).breaker
    assert breaker.stage is Stage.HEALTH
    assert breaker.failure_count == 2


def test_s2_one_counter_serves_both_stages() -> None:
    first = look(crashing_pod("a", runs=2))
    assert (first.breaker.stage, first.breaker.failure_count) == (Stage.LAUNCH, 2)
    second = look(
        crashing_pod("a", runs=3), unready_pod("b", START - 300), before=first.breaker, now=5
    )
    assert (second.breaker.stage, second.breaker.failure_count) == (Stage.HEALTH, 4)
    assert [(f.cause.kind, f.count) for f in second.failures] == [(LAUNCH, 1), (HEALTH, 1)]


def test_s2_a_revision_of_which_one_pod_runs_and_nine_crash_still_trips() -> None:
    pods = [unready_pod("up"), *(crashing_pod(f"bad{number}") for number in range(9))]
    running_at = look(*pods[:1], now=5)
    assert running_at.breaker.stage is Stage.HEALTH
    tripped = look(*pods, before=running_at.breaker, now=6, settings=breaker_spec())
    assert tripped.cause == "9 failures (threshold 3): container web exited 1 (x9)"


# --- T --------------------------------------------------------------------------------------------


def test_t4_every_look_computes_the_threshold_again() -> None:
    assert look(before=Breaker(threshold=99), settings=breaker_spec(7)).breaker.threshold == 7
    unseen = watch_pods(Breaker(threshold=99), None, spec(25), START, CURRENT)
    assert unseen == Watched(Breaker(threshold=13))


@pytest.mark.parametrize(
    ("runs", "cause"),
    [
        pytest.param(2, None, id="below the threshold"),
        pytest.param(3, "3 failures (threshold 3): container web exited 1 (x3)", id="equal"),
        pytest.param(4, "4 failures (threshold 3): container web exited 1 (x4)", id="above"),
    ],
)
def test_t5_the_breaker_trips_at_the_threshold(runs: int, cause: str | None) -> None:
    assert look(crashing_pod(runs=runs), settings=breaker_spec(3)).cause == cause


def test_t5_the_cause_tells_only_of_the_revision_that_failed() -> None:
    before = Breaker(failures=(record(revision=7, count=5),))
    found = look(stuck_pod(), before=before, settings=breaker_spec(1))
    assert found.cause == (
        "1 failure (threshold 1): container web cannot start: ImagePullBackOff (x1)"
    )


# --- F6 -------------------------------------------------------------------------------------------


def policy(*rules: PolicyRule, threshold: int = 1000) -> BreakerSpec:
    return breaker_spec(threshold, policy=rules)


def test_f6_an_ignored_failure_is_neither_counted_nor_told() -> None:
    ignore = PolicyRule(Verdict.IGNORE, exit_codes=frozenset({143}))
    found = look(
        pod("a", crash_looping(exit_code=143)),
        crashing_pod("b"),
        settings=policy(ignore),
    )
    assert found.breaker.failure_count == 1
    assert [f.pod for f in found.failures] == ["b"]
    assert [r.pod for r in found.breaker.failures] == ["b"]


def test_f6_an_ignored_failure_is_not_counted_later_either() -> None:
    ignore = PolicyRule(Verdict.IGNORE)
    before = look(crashing_pod(runs=2), settings=policy(ignore)).breaker
    assert before.counted == (Counted("uid-a", (Tally("web", runs=2),)),)
    assert look(crashing_pod(runs=2), before=before).breaker.failure_count == 0


def test_f6_what_the_node_did_can_be_counted_on_purpose() -> None:
    lost = failed_pod(reason="NodeLost")
    assert count((0, lost)) == 0
    told = PolicyRule(Verdict.COUNT, reasons=frozenset({"NodeLost"}))
    assert count((0, lost), settings=policy(told)) == 1


def test_f6_fail_now_trips_at_once() -> None:
    fatal = PolicyRule(Verdict.FAIL_NOW, exit_codes=frozenset({78}))
    found = look(crashing_pod("a"), crashing_pod("b", exit_code=78), settings=policy(fatal))
    assert found.cause == "failurePolicy says FailNow: container web exited 78 in pod b"
    assert found.breaker.failure_count == 2


def test_f6_a_disruption_cannot_be_counted_by_any_policy() -> None:
    fatal = policy(PolicyRule(Verdict.FAIL_NOW))
    found = look(terminating(crashing_pod()), settings=fatal)
    assert (found.cause, found.breaker.failure_count) == (None, 0)


# --- F7 -------------------------------------------------------------------------------------------


def test_f7_the_same_look_again_adds_nothing() -> None:
    pods = (crashing_pod("a", runs=2), stuck_pod("b"), unready_pod("c", START - 300))
    first = look(*pods)
    assert first.breaker.failure_count == 4
    again = look(*pods, before=first.breaker)
    assert again == Watched(first.breaker, wake_at=first.wake_at)


def test_f7_the_order_of_pods_does_not_matter() -> None:
    pods = (
        crashing_pod("a", runs=2),
        stuck_pod("b"),
        ready_pod("c"),
        unready_pod("d", START - 300),
    )
    known = Breaker(failure_count=2)
    [one, *others] = [look(*order, before=known) for order in permutations(pods)]
    assert all(other == one for other in others)


def test_f7_what_vanished_pods_counted_stays() -> None:
    before = look(crashing_pod("a", runs=2), crashing_pod("b")).breaker
    assert look(crashing_pod("b"), before=before).breaker.failure_count == 3


def test_f7_pods_that_come_back_with_another_replica_set_are_not_counted_again() -> None:
    pods = (crashing_pod("a", runs=2), ready_pod("b"))
    first = look(*pods, before=look(pods[1]).breaker).breaker
    orphaned = watch_pods(first, None, spec(breaker=NEVER), START + 1, CURRENT).breaker
    made_again = look(before=orphaned, now=2).breaker
    assert made_again.counted == first.counted
    adopted = look(*pods, before=look(pods[0], before=made_again, now=3).breaker, now=4)
    assert adopted.breaker == first, "nor does their health reset the count again"
    assert look(crashing_pod("a", runs=3), before=adopted.breaker).breaker.failure_count == 3


def test_f7_pods_that_were_away_at_the_end_of_a_pause_are_not_counted_again() -> None:
    first = look(crashing_pod("a", runs=2)).breaker
    resumed = take_base_line(first, replica_set(1), spec(breaker=NEVER), START + 1)
    assert look(crashing_pod("a", runs=2), before=resumed, now=2).breaker == first


@pytest.mark.parametrize(("replicas", "entries"), [(0, 32), (16, 32), (17, 34), (100, 200)])
def test_f7_entries_of_vanished_pods_never_make_the_status_larger(
    replicas: int, entries: int
) -> None:
    wish, breaker = spec(breaker=NEVER, replicas=replicas), Breaker()
    for turn in range(9):
        pods = [crashing_pod(f"{9 - turn}-{number:02}") for number in range(30)]
        breaker = watch_pods(breaker, replica_set(1, *pods), wish, START, CURRENT).breaker
    latest = [entry.pod for entry in breaker.counted]
    assert len(latest) == entries
    assert latest[:30] == [f"uid-1-{number:02}" for number in range(30)]
    assert latest[30:] == [f"uid-{2 + n // 30}-{n % 30:02}" for n in range(entries - 30)], "latest"
    counts = [crashing_pod(f"0-{number:03}") for number in range(300)]
    assert (
        len(watch_pods(breaker, replica_set(1, *counts), wish, START, CURRENT).breaker.counted)
        == 300
    )


def test_f7_only_pods_with_something_to_remember_are_kept() -> None:
    found = look(pending_pod("b"), ready_pod("c"), crashing_pod("a")).breaker
    assert found.counted == (
        Counted("uid-a", (Tally("web", runs=1),)),
        Counted("uid-c", best_state=BestState.HEALTHY),
    )


def test_f7_a_pod_of_the_same_name_is_another_pod() -> None:
    again = replace(crashing_pod("a"), uid="uid-another")
    assert count((0, crashing_pod("a")), (1, again)) == 2


# --- H2 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "failures"),
    [
        pytest.param(
            [crashing_pod("a", runs=2), (crashing_pod("a", runs=2), ready_pod("b"))],
            0,
            id="another pod becomes healthy",
        ),
        pytest.param(
            [crashing_pod("a", runs=2), ready_pod("a")], 0, id="the very pod becomes healthy"
        ),
        pytest.param(
            [crashing_pod("a", runs=2), (crashing_pod("a", runs=3), ready_pod("b"))],
            1,
            id="what is seen together with it counts after it",
        ),
        pytest.param(
            [
                (crashing_pod("a"), ready_pod("b")),
                (crashing_pod("a", runs=3), ready_pod("b")),
            ],
            3,
            id="a pod resets the count only once",
        ),
        pytest.param(
            [
                ready_pod("b"),
                (crashing_pod("a", runs=2), unready_pod("b")),
                (crashing_pod("a", runs=2), ready_pod("b")),
            ],
            2,
            id="a pod that is healthy again is not another one",
        ),
        pytest.param(
            [
                (crashing_pod("a", runs=2), ready_pod("b")),
                (crashing_pod("a", runs=4), ready_pod("b"), ready_pod("c")),
                (crashing_pod("a", runs=5), ready_pod("b"), ready_pod("c")),
            ],
            3,
            id="each new one does: the base line moves",
        ),
    ],
)
def test_h2_a_pod_that_becomes_healthy_resets_the_count(
    looks: list[PodView | tuple[PodView, ...]], failures: int
) -> None:
    assert count(*((0.0, pods) for pods in looks)) == failures


def recovered_pod(name: str, runs: int) -> PodView:
    """Return a pod that failed and has run well for 20 s."""
    return pod(name, restarted(runs, START - 20), ready_since=START - 20)


def test_h2_failures_of_a_pod_that_is_healthy_by_now_came_before_the_reset() -> None:
    """No look saw them: an operator that was there would have forgotten them with that reset (F7)."""
    looks = ((0.0, crashing_pod("a")), (1.0, (crashing_pod("a", 2), recovered_pod("b", 4))))
    assert count(*looks) == 1
    seen = look(recovered_pod("a", 4), recovered_pod("b", 1))
    assert (seen.breaker.failure_count, seen.breaker.failures) == (0, ())
    assert sum(failure.count for failure in seen.failures) == 5, "failedTasks has all of them"
    assert count((0.0, seen_again := recovered_pod("a", 1)), (1.0, crashing_pod("a", 3))) == 2
    strict = breaker_spec(1000, reset_on_healthy_task=False)
    assert count((0.0, seen_again), settings=strict) == 1


def test_h2_a_failure_that_fails_at_once_does_so_also_of_a_pod_that_is_healthy_by_now() -> None:
    policy = (PolicyRule(Verdict.FAIL_NOW, exit_codes=frozenset({1})),)
    assert look(recovered_pod("a", 1), settings=breaker_spec(9, policy=policy)).cause is not None


def test_h2_where_not_all_healthy_pods_have_an_entry_all_failures_of_a_look_count() -> None:
    """F7: then it is not known which pod became healthy just now."""
    before = Breaker(unlisted=1)
    seen = look(recovered_pod("a", 1), recovered_pod("b", 1), before=before)
    assert seen.breaker.failure_count == 2


def test_h2_without_reset_on_healthy_task_the_count_never_falls() -> None:
    strict = breaker_spec(1000, reset_on_healthy_task=False)
    looks = ((0.0, crashing_pod("a", runs=2)), (1.0, (crashing_pod("a", runs=3), ready_pod("b"))))
    assert count(*looks, settings=strict) == 3


def test_h2_the_reset_takes_the_records_of_the_revision_with_it() -> None:
    before = Breaker(failure_count=2, failures=(record(), record(revision=7)))
    after = look(ready_pod(), before=before).breaker
    assert [r.revision for r in after.failures] == [7]
    kept = look(pending_pod(), before=before).breaker
    assert kept.failures == before.failures


def test_h2_running_is_not_healthy() -> None:
    # ECS reset on RUNNING until 2021; a pod that has no probe is healthy after 40 s.
    before = look(crashing_pod("b", runs=2), of=BARE).breaker
    almost = look(ready_pod("a"), before=before, now=39.999, of=BARE).breaker
    assert almost.failure_count == 2
    assert look(ready_pod("a"), before=almost, now=40, of=BARE).breaker.failure_count == 0


def test_h2_a_pod_from_before_the_rollout_does_not_reset_the_count() -> None:
    known = begin_breaker(spec(), replica_set(1, ready_pod("a"), pending_pod("b")), START)
    known = replace(known, failure_count=2)
    assert look(ready_pod("a"), ready_pod("b"), before=known).breaker.failure_count == 2
    assert look(ready_pod("a"), ready_pod("c"), before=known).breaker.failure_count == 0


# --- the beginning, and what was not watched ------------------------------------------------------


def test_at_the_start_pods_that_are_there_start_from_their_count() -> None:
    old = replica_set(1, crashing_pod("a", runs=5), ready_pod("b"), pending_pod("c"))
    breaker = begin_breaker(spec(25), old, START, failures=(record(),))
    assert breaker == Breaker(
        threshold=13,
        counted=(
            Counted("uid-a", (Tally("web", runs=5),), existed_before=True),
            Counted("uid-b", best_state=BestState.HEALTHY, existed_before=True),
            Counted("uid-c", existed_before=True),
        ),
        failures=(record(),),
    )
    assert look(crashing_pod("a", runs=6), before=breaker).breaker.failure_count == 1


def test_at_the_start_without_a_replica_set_there_is_nothing_to_know() -> None:
    assert begin_breaker(spec(), None, START) == Breaker(threshold=3)


def test_r7_what_happened_in_a_pause_is_taken_as_seen() -> None:
    before = look(crashing_pod("a", runs=1)).breaker
    during = replica_set(1, crashing_pod("a", runs=9), crashing_pod("b", runs=4))
    after = take_base_line(before, during, spec(), START + 60)
    assert after.failure_count == before.failure_count == 1
    assert after.counted == (
        Counted("uid-a", (Tally("web", runs=9),)),
        Counted("uid-b", (Tally("web", runs=4),)),
    )
    assert take_base_line(before, None, spec(), START) == before


def test_r7_a_pause_forgets_nothing_that_was_seen_before_it() -> None:
    seen = Counted("uid-a", (Tally("web", runs=9),), failed=True, existed_before=True)
    after = take_base_line(
        Breaker(counted=(seen,)), replica_set(1, crashing_pod("a")), spec(), START
    )
    assert after.counted == (seen,)


def test_r7_a_pod_that_comes_into_being_in_a_pause_may_reset_the_count_later() -> None:
    after = take_base_line(
        Breaker(failure_count=2), replica_set(1, crashing_pod("b")), spec(), START
    )
    assert look(ready_pod("b"), before=after).breaker.failure_count == 0


# --- waking ---------------------------------------------------------------------------------------


def test_the_next_moment_at_which_time_alone_adds_something_is_named() -> None:
    assert look(stuck_pod("a"), unready_pod("b", START - 2)).wake_at == START + 3
    assert look(stuck_pod("a"), unready_pod("b", START - 300)).wake_at == START + 5
    assert look(stuck_pod("a", "Novelty")).wake_at is None


# --- the records for people -----------------------------------------------------------------------


def test_failures_of_the_same_cause_are_one_record_newest_first() -> None:
    first = look(crashing_pod("a", runs=2), stuck_pod("b"))
    second = look(crashing_pod("a", runs=3), stuck_pod("b"), before=first.breaker, now=5)
    assert first.breaker.failures[0].cause.reason == "ImagePullBackOff"
    assert second.breaker.failures == (
        FailureRecord(
            revision=1,
            cause=FailureCause(LAUNCH, "Error", "web", exit_code=1),
            pod="a",
            count=3,
            last_seen=START + 5,
            node="node-1",
        ),
        first.breaker.failures[0],
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(crashing_pod("b", exit_code=2), id="another exit code"),
        pytest.param(pod("b", crash_looping(name="log")), id="another container"),
        pytest.param(pod("b", crash_looping(reason="OOMKilled")), id="another reason"),
        pytest.param(
            pod("b", container("web", ended=Ended(1, "Error", signal=9))), id="another signal"
        ),
    ],
)
def test_another_cause_is_another_record(other: PodView) -> None:
    records = look(crashing_pod("a"), other).breaker.failures
    assert [(r.pod, r.count) for r in records] == [("b", 1), ("a", 1)]


def test_a_launch_failure_and_a_health_failure_are_two_records() -> None:
    known = Breaker(counted=(Counted("uid-b", best_state=BestState.READY),))
    records = look(crashing_pod("a"), crashing_pod("b"), before=known).breaker.failures
    assert [(r.pod, r.cause.kind) for r in records] == [("b", HEALTH), ("a", LAUNCH)]


def test_a_cause_that_comes_back_is_the_newest_again() -> None:
    breaker = look(crashing_pod("a"), crashing_pod("b", exit_code=2)).breaker
    again = look(crashing_pod("a", runs=2), before=breaker).breaker
    assert [(r.cause.exit_code, r.count) for r in again.failures] == [(1, 2), (2, 1)]


def test_the_newest_10_records_are_kept() -> None:
    pods = [crashing_pod(f"p{number:02}", exit_code=number) for number in range(1, 13)]
    records = look(*pods).breaker.failures
    assert len(records) == MAX_RECORDS == 10
    assert [r.cause.exit_code for r in records] == list(range(12, 2, -1))


def test_a_huge_message_is_cut() -> None:
    shouting = pod("a", waiting("ErrImagePull", message="x" * 5000))
    [only] = look(shouting).breaker.failures
    assert only.message == "x" * MAX_MESSAGE
    assert MAX_MESSAGE == 1024


def test_a_record_says_which_signal_on_which_node() -> None:
    killed = container("web", ended=Ended(137, "OOMKilled", signal=9))
    [only] = look(pod("a", killed, node="node-7")).breaker.failures
    assert (only.cause.signal, only.node) == (9, "node-7")
    [elsewhere] = look(pod("a", killed, node="")).breaker.failures
    assert elsewhere.node is None


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        pytest.param(
            Failure(FailureCause(LAUNCH, "Error", "web", exit_code=2), "a"),
            "container web exited 2",
            id="an exit code",
        ),
        pytest.param(
            Failure(FailureCause(LAUNCH, "OOMKilled", "web", exit_code=137), "a"),
            "container web exited 137 (OOMKilled)",
            id="an exit code and why",
        ),
        pytest.param(
            Failure(FailureCause(LAUNCH, "Completed", "web", exit_code=0), "a"),
            "container web exited 0 (Completed)",
            id="exit 0 is an exit code",
        ),
        pytest.param(
            Failure(FailureCause(LAUNCH, "ErrImagePull", "web"), "a"),
            "container web cannot start: ErrImagePull",
            id="cannot start",
        ),
        pytest.param(
            Failure(FailureCause(LAUNCH, "ErrImagePull", "web"), "a", message="not found"),
            "container web cannot start: ErrImagePull: not found",
            id="cannot start, in the kubelet's words",
        ),
        pytest.param(
            Failure(FailureCause(HEALTH, "Error", "web"), "a"),
            "container web ended with an unknown exit code",
            id="an end that only restartCount tells of",
        ),
        pytest.param(
            Failure(FailureCause(LAUNCH, "Error", "web"), "a", message="back-off 10s"),
            "container web ended with an unknown exit code: back-off 10s",
            id="the same, in the kubelet's words",
        ),
        pytest.param(
            Failure(FailureCause(HEALTH, "NotReadyInTime"), "a", message="25 s late"),
            "NotReadyInTime: 25 s late",
            id="the whole pod",
        ),
        pytest.param(
            Failure(FailureCause(LAUNCH, "PodFailed"), "a"),
            "PodFailed",
            id="the whole pod, wordless",
        ),
        pytest.param(
            Failure(FailureCause(HEALTH, "Error", "web", 137, 9), "a"),
            "container web exited 137 by signal 9",
            id="a signal",
        ),
        pytest.param(record(exit_code=3), "container web exited 3", id="a record"),
    ],
)
def test_a_cause_in_words(failure: Failure | FailureRecord, words: str) -> None:
    assert describe_failure(failure) == words


@pytest.mark.parametrize(
    ("causes", "words"),
    [
        pytest.param(0, "", id="none"),
        pytest.param(1, "container web exited 0 (x1)", id="one"),
        pytest.param(
            3,
            "container web exited 0 (x1); container web exited 1 (x2); container web exited 2 (x3)",
            id="three",
        ),
        pytest.param(
            5,
            "container web exited 0 (x1); container web exited 1 (x2); "
            "container web exited 2 (x3); and 2 other causes",
            id="more than three",
        ),
    ],
)
def test_the_causes_are_told_in_one_clause(causes: int, words: str) -> None:
    records = tuple(record(exit_code=number, count=number + 1) for number in range(causes))
    assert describe_failures(records) == words


def test_one_cause_of_two_kinds_is_told_once() -> None:
    """A container that crashes before and after its pod was Ready has one fault."""
    crash = FailureRecord(
        2, FailureCause(FailureKind.HEALTH, "Error", "web", exit_code=1), "a", 2, START
    )
    killed = FailureCause(FailureKind.HEALTH, "OOMKilled", "web", exit_code=137)
    launching = replace(crash.cause, kind=FailureKind.LAUNCH)
    records = (
        crash,
        replace(crash, cause=killed, count=1),
        replace(crash, cause=launching, count=1),
    )
    assert describe_failures(records) == (
        "container web exited 1 (x3); container web exited 137 (OOMKilled) (x1)"
    )


def test_a_running_pod_is_watched_beside_one_that_is_not() -> None:
    mixed = pod("a", running(), crash_looping(2, name="log"))
    assert look(mixed, now=9).breaker.stage is Stage.LAUNCH
    assert count((9, mixed)) == 2
