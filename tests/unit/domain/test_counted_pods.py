"""Rule F7 within bounds: nothing counts twice, and what there is no room for counts later or never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    crash_looping,
    crashing_pod,
    failed_pod,
    guarded,
    pod,
    ready_pod,
    replica_set,
    revision,
    rollout,
    snapshot,
    spec,
    template,
    unready_pod,
)
from tripswitch.domain.decide import decide
from tripswitch.domain.rules.breaker import Watched, begin_breaker, take_base_line, watch_pods
from tripswitch.domain.rules.counted_pods import MAX_BYTES, forget, weigh
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Breaker, Counted, Memory, Tally
from tripswitch.domain.values.pods import PodPhase, PodView
from tripswitch.domain.values.sight import CURRENT
from tripswitch.domain.values.states import BestState, RolloutState
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import BreakerSpec, PolicyRule, Spec

NEVER = breaker_spec(100_000)
"""Settings with which nothing trips."""
CROWD = 1000
"""More pods than there is room for."""
REJECTED = "UnexpectedAdmissionError"
OWN_FAULT = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."


def crashing(count: int = CROWD, runs: int = 1, prefix: str = "c") -> list[PodView]:
    return [crashing_pod(f"{prefix}{number:05}", runs) for number in range(count)]


def healthy(count: int = CROWD, prefix: str = "h") -> list[PodView]:
    return [ready_pod(f"{prefix}{number:05}") for number in range(count)]


def wish(settings: BreakerSpec = NEVER, replicas: int = CROWD) -> Spec:
    return spec(replicas, breaker=settings)


def look(
    pods: Sequence[PodView], before: Breaker | None = None, *, settings: BreakerSpec = NEVER
) -> Watched:
    """Look at the pods, and once more: the second look must find nothing (W3)."""
    target = replica_set(1, *pods)
    found = watch_pods(before or Breaker(), target, wish(settings), START, CURRENT)
    assert weigh(found.breaker.counted) <= MAX_BYTES
    again = watch_pods(found.breaker, target, wish(settings), START, CURRENT)
    assert again.breaker == found.breaker
    assert again.failures == ()
    return found


# --- pods that failed as a whole and do not count -------------------------------------------------


@pytest.mark.parametrize(
    "one",
    [
        failed_pod("a", REJECTED),
        failed_pod("a", "Evicted", "The node was low on resource: memory."),
        failed_pod("a", "Evicted", OWN_FAULT, disrupted=True),
        pod("a", crash_looping(2), phase=PodPhase.FAILED, reason="Shutdown"),
    ],
    ids=["rejected", "evicted by the node", "disrupted", "crashed before"],
)
def test_f7_a_pod_whose_failure_is_ignored_has_no_entry(one: PodView) -> None:
    assert look([one]).breaker == Breaker(threshold=100_000)
    assert begin_breaker(wish(), replica_set(1, one), START).counted == ()


def test_f7_an_entry_that_an_older_version_wrote_of_such_a_pod_goes() -> None:
    before = Breaker(counted=(Counted("uid-a", failed=True),))
    assert look([failed_pod("a", REJECTED)], before).breaker.counted == ()


def test_f7_the_policy_says_which_failure_is_ignored() -> None:
    evicted, rejected = failed_pod("a", "Evicted", OWN_FAULT), failed_pod("b", REJECTED)
    rules = (
        PolicyRule(Verdict.IGNORE, frozenset({"Evicted"})),
        PolicyRule(Verdict.COUNT, frozenset({REJECTED})),
    )
    found = look([evicted, rejected], settings=replace(NEVER, policy=rules)).breaker
    assert [entry.pod for entry in found.counted] == ["uid-b"]
    assert found.failure_count == 1
    found = look([evicted, rejected]).breaker
    assert [entry.pod for entry in found.counted] == ["uid-a"]
    assert found.failure_count == 1


def test_f7_one_more_rejected_pod_changes_nothing_in_the_status() -> None:
    """W3: a node that rejects pods in a loop causes no write for each of them."""
    status = Status(
        Memory(
            rollout=rollout(1),
            desired_revision=1,
            revisions=(revision(1, RolloutState.IN_PROGRESS),),
        )
    )
    pods = [failed_pod(f"a{number:05}", REJECTED) for number in range(12_501)]
    wanted = guarded(4, template("v1"), status=status)
    first = decide(snapshot(wanted, replica_set(1, *pods[:-1], size=4)), START + 1).status
    again = decide(
        snapshot(replace(wanted, status=first), replica_set(1, *pods, size=4)), START + 2
    )
    assert first.memory.circuit_breaker.counted == ()
    assert again.status == first
    assert not again.events


# --- more failures than there is room for ---------------------------------------------------------


def test_f7_a_failure_without_room_counts_later_and_once() -> None:
    pods = crashing(800)
    first = look(pods).breaker
    listed = {entry.pod for entry in first.counted}
    assert first.failure_count == len(listed) < 800
    rest = [one for one in pods if one.uid not in listed]
    second = look(rest, first).breaker
    assert second.failure_count == 800
    third = look(rest, second).breaker
    assert third.failure_count == 800


def test_f7_an_entry_grows_only_while_there_is_room() -> None:
    """Mark and count stay behind together."""
    pods = crashing(415)
    full = look(pods).breaker
    assert full.failure_count == len(full.counted) == 415
    [first, *others] = pods
    grown = replace(
        first, containers=(crash_looping(1), *(crash_looping(1, name=f"b{n}") for n in range(60)))
    )
    after = look([grown, *others], full).breaker
    assert after == full
    alone = look([grown], full).breaker
    assert alone.failure_count == 415 + 60


def test_f7_known_pods_go_on_counting_when_there_is_no_room() -> None:
    first = look(crashing()).breaker
    assert look(crashing(runs=3), first).breaker.failure_count == 3 * first.failure_count


def test_f6_fail_now_trips_without_room() -> None:
    fatal = PolicyRule(Verdict.FAIL_NOW, exit_codes=frozenset({78}))
    settings = replace(NEVER, policy=(fatal,))
    full = look(crashing(), settings=settings).breaker
    one = crashing_pod("z", exit_code=78)
    found = watch_pods(full, replica_set(1, *crashing(), one), wish(settings), START, CURRENT)
    assert found.cause is not None
    assert "FailNow" in found.cause


def test_f7_a_status_that_is_larger_already_loses_no_mark_and_gains_none() -> None:
    """Written by a version without the bound."""
    entries = tuple(Counted(one.uid, (Tally("web", runs=1),)) for one in crashing())
    before = Breaker(failure_count=CROWD, counted=entries)
    found = watch_pods(
        before, replica_set(1, *crashing(CROWD + 50)), wish(), START, CURRENT
    ).breaker
    assert (found.failure_count, found.counted) == (CROWD, entries)


def test_f7_failing_pods_come_before_healthy_ones_and_those_before_vanished_ones() -> None:
    everything = look([*crashing(200), *healthy(200)]).breaker
    assert len(everything.counted) == 400
    gone = look(healthy(200), everything).breaker
    assert len(gone.counted) == 400, "of the vanished, too"
    more = look([*healthy(200), *crashing(415, prefix="n")], gone).breaker
    kinds = [entry.pod[4] for entry in more.counted]
    assert (kinds.count("n"), kinds.count("c")) == (415, 0)
    assert 0 < kinds.count("h") < 200


# --- more healthy pods than there is room for -----------------------------------------------------


def test_h2_healthy_pods_without_an_entry_do_not_reset_the_count_again() -> None:
    counts = healthy()
    known = look(counts).breaker
    assert known.unlisted == CROWD - len(known.counted) > 0
    failing = look([*counts, *crashing(3)], known).breaker
    assert failing.failure_count == 3
    assert look([*counts, *crashing(3)], failing).breaker.failure_count == 3


def test_h2_one_more_healthy_pod_resets_the_count_without_an_entry_of_its_own() -> None:
    counts = healthy()
    failing = look([*counts, *crashing(3)], look(counts).breaker).breaker
    reset = look([*counts, ready_pod("z"), *crashing(3)], failing).breaker
    assert reset.failure_count == 0
    assert reset.unlisted == (failing.unlisted or 0) + 1


def test_h2_one_fewer_does_not() -> None:
    counts = healthy()
    failing = look([*counts, *crashing(3)], look(counts).breaker).breaker
    fewer = look([*counts[:-5], *crashing(3)], failing).breaker
    assert fewer.failure_count == 3
    assert fewer.unlisted == (failing.unlisted or 0) - 5


def test_f7_a_pod_without_an_entry_that_fails_gets_one() -> None:
    counts = healthy()
    known = look(counts).breaker
    assert counts[-1].uid not in {entry.pod for entry in known.counted}
    crashed = look([*counts[:-1], crashing_pod(counts[-1].name)], known).breaker
    assert crashed.failure_count == 1
    assert counts[-1].uid in {entry.pod for entry in crashed.counted}


def test_f4_experience_comes_from_pods_with_an_entry() -> None:
    """Of the others it is not known whether they are Ready for the first time."""
    counts = healthy()
    first = look(counts)
    assert first.ready_seconds is not None
    assert (
        watch_pods(first.breaker, replica_set(1, *counts), wish(), START, CURRENT).ready_seconds
        is None
    )


def test_f7_a_smaller_fleet_is_known_pod_by_pod_again() -> None:
    counts = healthy()
    fewer = look(counts[-10:], look(counts).breaker).breaker
    assert fewer.unlisted is None
    assert {Counted(one.uid, best_state=BestState.HEALTHY) for one in counts[-10:]} <= set(
        fewer.counted
    )


# --- a base line for which there is no room -------------------------------------------------------


@pytest.mark.parametrize("resumed", [False, True], ids=["begin", "take_base_line"])
def test_f7_what_the_base_line_has_no_room_for_never_counts(*, resumed: bool) -> None:
    old = [replace(one, created_at=START - 5) for one in crashing()]
    target = replica_set(1, *old)
    base = (
        take_base_line(Breaker(), target, wish(), START)
        if resumed
        else begin_breaker(wish(), target, START)
    )
    assert base.uncounted_until == START
    assert weigh(base.counted) <= MAX_BYTES
    known = look(old, base).breaker
    assert known.failure_count == 0
    listed = {entry.pod for entry in known.counted}
    again = look([replace(one, containers=(crash_looping(2),)) for one in old], known).breaker
    assert again.failure_count == len(listed), "those with an entry go on counting"
    rest = [one for one in old if one.uid not in listed]
    assert look(rest, known).breaker.failure_count == 0, "and the others do not, with room for them"


def test_f7_pods_that_come_later_than_such_a_base_line_count() -> None:
    old = [failed_pod(f"c{number:05}", "Evicted", OWN_FAULT) for number in range(CROWD)]
    base = begin_breaker(wish(), replica_set(1, *old), START)
    new = [replace(one, created_at=START + 1) for one in crashing(3, prefix="n")]
    room = old[:100]
    found = look([*room, *new], base).breaker
    assert found.failure_count == 3


def test_f7_such_a_base_line_lists_pods_that_may_go_on_failing_first() -> None:
    old = [failed_pod(f"c{number:05}", "Evicted", OWN_FAULT) for number in range(CROWD)]
    base = begin_breaker(wish(), replica_set(1, *old, crashing_pod("z"), ready_pod("y")), START)
    assert "uid-z" in {entry.pod for entry in base.counted}
    found = look([*old, crashing_pod("z", runs=2)], base).breaker
    assert found.failure_count == 1


def test_f7_a_clock_that_is_behind_does_not_count_the_base_line() -> None:
    old = [replace(one, created_at=START + 3) for one in crashing()]
    base = begin_breaker(wish(), replica_set(1, *old), START)
    assert look(old, base).breaker.failure_count == 0


def test_f7_nothing_of_single_pods_is_remembered_once_nothing_is_watched() -> None:
    full = Breaker(failure_count=2, counted=(Counted("a"),), unlisted=3, uncounted_until=START)
    assert forget(full) == Breaker(failure_count=2)


def test_f4_a_late_pod_without_room_is_not_replaced_before_it_is_counted() -> None:
    pods = [unready_pod(f"u{number:05}", START - 10_000) for number in range(CROWD)]
    found = look(pods).breaker
    late = [entry for entry in found.counted if entry.unhealthy]
    assert len(late) == found.failure_count < CROWD
