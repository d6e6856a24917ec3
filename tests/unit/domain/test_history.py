"""Revisions: numbers, names, finding, restoring (W2) and pruning history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import (
    START,
    failed_pod,
    pending_pod,
    ready_pod,
    replica_set,
    replica_set_name,
    revision,
    spec,
    template,
    terminating,
    unready_pod,
)
from tripswitch.domain.rules.history import (
    HASH_ALPHABET,
    HASH_LENGTH,
    compute_next_number,
    compute_replica_set_name,
    find_by_digest,
    find_by_number,
    find_replica_set,
    find_wanted,
    newest_first,
    report_pods,
    restore,
    restored_at,
    select_last_completed,
    select_prunable,
    select_remembered,
    update,
)
from tripswitch.domain.rules.pod_counts import PodCounts, count_pods
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.pods import PodPhase
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.report import RevisionReport
from tripswitch.domain.values.states import RolloutState

HISTORY = (revision(3), revision(2), revision(1))


# --- names ----------------------------------------------------------------------------------------


def test_the_name_of_a_replica_set_is_that_of_its_owner_and_a_hash() -> None:
    name = compute_replica_set_name("shop", "digest", 0)
    owner, _, letters = name.partition("-")
    assert owner == "shop"
    assert len(letters) == HASH_LENGTH == 10
    assert set(letters) <= set(HASH_ALPHABET)


@pytest.mark.parametrize(
    ("digest", "collisions", "name"),
    [
        # Written down, because a name must be the same in every version of the operator.
        pytest.param("v1", 0, "shop-dvhp5f6w9k", id="a template"),
        pytest.param("v1", 1, "shop-mzslmr8zfz", id="the same after a collision"),
        pytest.param("v2", 0, "shop-c67g52gbws", id="another template"),
    ],
)
def test_the_same_template_always_has_the_same_name(
    digest: str, collisions: int, name: str
) -> None:
    assert compute_replica_set_name("shop", digest, collisions) == name


def test_names_differ_between_templates_and_between_collisions() -> None:
    names = {
        compute_replica_set_name("shop", f"v{number}", collisions)
        for number in range(200)
        for collisions in range(3)
    }
    assert len(names) == 600


def test_the_alphabet_has_no_vowel_and_nothing_twice() -> None:
    assert len(set(HASH_ALPHABET)) == len(HASH_ALPHABET) == 27
    assert not set(HASH_ALPHABET) & set("aeiouy013")


# --- finding --------------------------------------------------------------------------------------


def test_a_revision_is_found_by_its_template_or_its_number() -> None:
    assert find_by_digest(HISTORY, "v2") == revision(2)
    assert find_by_digest(HISTORY, "v9") is None
    assert find_by_number(HISTORY, 2) == revision(2)
    assert find_by_number(HISTORY, 9) is None
    assert find_by_number(HISTORY, None) is None


def test_the_desired_revision_stays_it_when_another_of_its_template_turns_up() -> None:
    late = replace(revision(4), digest="v2")
    assert find_wanted((late, *HISTORY), "v2", 2) == revision(2)
    assert find_wanted((late, *HISTORY), "v2", 1) == late
    assert find_wanted((late, *HISTORY), "v2", None) == late
    assert find_wanted(HISTORY, "v9", 2) is None


def test_b8_a_replica_set_that_is_being_deleted_is_as_good_as_gone() -> None:
    sets = (replica_set(1), replace(replica_set(2), deleting=True))
    assert find_replica_set(sets, revision(1)) == sets[0]
    assert find_replica_set(sets, revision(2)) is None
    assert find_replica_set(sets, revision(3)) is None
    assert find_replica_set(sets, None) is None


@pytest.mark.parametrize(
    ("records", "sets", "number"),
    [
        pytest.param((), (), 1, id="the first"),
        pytest.param(HISTORY, (), 4, id="after the newest record"),
        pytest.param((), (replica_set(5),), 6, id="after a ReplicaSet that no record tells of"),
        pytest.param(HISTORY, (replica_set(2),), 4, id="the higher of both"),
    ],
)
def test_a_number_is_never_given_twice(
    records: tuple[Revision, ...], sets: tuple[ReplicaSetView, ...], number: int
) -> None:
    assert compute_next_number(records, sets) == number


# --- history --------------------------------------------------------------------------------------


def test_history_is_newest_first() -> None:
    assert newest_first([revision(1), revision(3), revision(2)]) == HISTORY


def test_a_record_is_replaced_or_added() -> None:
    changed = replace(revision(2), failed_tasks=7)
    assert update(HISTORY, changed) == (HISTORY[0], changed, HISTORY[2])
    assert update(HISTORY, revision(4)) == (revision(4), *HISTORY)


def test_a_record_shows_the_pods_as_they_are_now() -> None:
    pods = (
        ready_pod("a"),
        unready_pod("b"),
        pending_pod("c"),
        terminating(ready_pod("d")),
        failed_pod("e"),
    )
    found = replica_set(1, *pods, size=5)
    shown = report_pods(revision(1), found, count_pods(found, spec(), START), primary=False)
    assert shown == RevisionReport(1, "ACTIVE", desired=5, running=2, healthy=1)


@pytest.mark.parametrize(
    ("counts", "primary", "status"),
    [
        pytest.param(PodCounts("a", size=0), True, "PRIMARY", id="the one that is rolled out"),
        pytest.param(PodCounts("a", size=1), False, "ACTIVE", id="another that is to have pods"),
        pytest.param(PodCounts("a", size=0, live=1), False, "ACTIVE", id="another that has pods"),
        pytest.param(PodCounts("a", size=0), False, "INACTIVE", id="another without pods"),
        pytest.param(None, False, "INACTIVE", id="another without a ReplicaSet"),
    ],
)
def test_a_revision_has_the_status_words_of_ecs(
    *,
    counts: PodCounts | None,
    primary: bool,
    status: str,
) -> None:
    assert report_pods(revision(1), None, counts, primary=primary).status == status


def test_a_record_without_a_replica_set_has_no_pods() -> None:
    assert report_pods(revision(1), None, None, primary=False) == RevisionReport(1)


# --- W2 -------------------------------------------------------------------------------------------


def test_w2_history_is_read_from_the_replica_sets() -> None:
    sets = (
        replica_set(1, completed_at=START + 7, created_at=START + 5),
        replica_set(3, created_at=START + 9),
        replica_set(2, deleting=True),
        replica_set(0),
    )
    assert restore((), sets) == (
        revision(3, RolloutState.STOPPED, created_at=START + 9, finished_at=None),
        revision(1, created_at=START + 5, finished_at=START + 7, completed_at=START + 7),
    )


def test_w2_what_history_knows_is_not_read_again() -> None:
    known = (revision(2, RolloutState.FAILED),)
    assert restore(known, (replica_set(2, completed_at=START),)) == known
    assert restore(known, (replica_set(1, completed_at=START),)) == (*known, revision(1))


def test_w2_a_number_that_history_has_given_away_is_not_given_twice() -> None:
    known = (revision(2),)
    orphans = (replica_set(3, of=template("c")), replica_set(2, of=template("b")))
    assert [(r.revision, r.digest) for r in restore(known, orphans)] == [
        (4, "c"),
        (3, "b"),
        (2, "v2"),
    ]


def test_g2_of_two_replica_sets_with_one_number_the_older_one_keeps_it() -> None:
    """A Deployment's controller with an old view gives a number twice; no order decides (world 10000019)."""
    older, younger = (
        replace(replica_set(1), name=name, uid=name, created_at=START + seconds)
        for name, seconds in (("web-b", 0), ("web-a", 2))
    )
    for order in ((older, younger), (younger, older)):
        assert [(r.revision, r.replica_set) for r in restore((), order)] == [
            (2, "web-a"),
            (1, "web-b"),
        ]


def test_w2_the_one_that_completed_last_is_the_last_completed_one() -> None:
    older = revision(3, completed_at=START + 5)
    newer = revision(1, completed_at=START + 6)
    never = revision(4, RolloutState.STOPPED)
    assert select_last_completed([never, older, newer]) == newer
    assert select_last_completed([never]) is None
    assert select_last_completed([]) is None


def test_w2_a_restored_revision_completed_when_its_replica_set_says() -> None:
    assert restored_at(revision(1, created_at=START, completed_at=START + 5)) == START + 5
    assert restored_at(revision(1, created_at=START, completed_at=None)) == START


# --- pruning --------------------------------------------------------------------------------------


def numbers(sets: tuple[ReplicaSetView, ...]) -> list[int]:
    return [found.revision for found in sets]


@pytest.mark.parametrize(
    ("limit", "kept", "pruned"),
    [
        pytest.param(10, {5}, [], id="there is room"),
        pytest.param(4, {5}, [], id="exactly full"),
        pytest.param(3, {5}, [1], id="the oldest goes"),
        pytest.param(0, {5}, [1, 2, 3, 4], id="no history at all"),
        pytest.param(0, {5, 1}, [2, 3, 4], id="the last completed one stays, however old"),
        pytest.param(1, {5, 2}, [1, 3], id="the kept ones take no room"),
    ],
)
def test_pruning_takes_the_oldest_that_history_has_no_room_for(
    limit: int, kept: set[int], pruned: list[int]
) -> None:
    sets = [replica_set(number) for number in (4, 2, 5, 1, 3)]
    names = {replica_set(number).name for number in kept}
    assert numbers(select_prunable(sets, names, limit)) == pruned


@pytest.mark.parametrize(
    ("of", "prunable"),
    [
        pytest.param(replica_set(1), True, id="empty"),
        pytest.param(replica_set(1, failed_pod(), size=0), True, id="only an ended pod is left"),
        pytest.param(
            replica_set(1, ready_pod(phase=PodPhase.SUCCEEDED), size=0), True, id="or a done one"
        ),
        pytest.param(replica_set(1, size=1), False, id="it is to have a pod"),
        pytest.param(replica_set(1, ready_pod(), size=0), False, id="it has a pod"),
        pytest.param(
            replica_set(1, terminating(ready_pod()), size=0), False, id="a pod is terminating"
        ),
        pytest.param(replica_set(1, owned=False), False, id="not adopted yet"),
        pytest.param(replica_set(1, deleting=True), False, id="being deleted already"),
    ],
)
def test_pruning_takes_only_what_is_of_no_use(*, of: ReplicaSetView, prunable: bool) -> None:
    assert select_prunable([of], set(), 0) == ((of,) if prunable else ())


def test_of_two_replica_sets_with_one_number_the_same_one_is_pruned_in_any_order() -> None:
    one, other = replica_set(1, size=0), replace(replica_set(1, size=0), name="web-other")
    assert select_prunable([one, other], set(), 1) == select_prunable([other, one], set(), 1)


def test_the_status_remembers_the_kept_the_busy_and_then_the_newest() -> None:
    states = {4: RolloutState.STOPPED}
    records = tuple(
        revision(number, states.get(number, RolloutState.COMPLETED)) for number in range(9, 0, -1)
    )
    busy = [replica_set(2, ready_pod()), replica_set(4, ready_pod(), size=0), *empty(8, 7, 6, 5, 3)]
    remembered = select_remembered(records, busy, {9, 1}, 3)
    assert [record.revision for record in remembered] == [9, 8, 7, 2, 1]


@pytest.mark.parametrize(
    ("limit", "remembered"),
    [
        pytest.param(10, [4, 3, 2, 1], id="there is room"),
        pytest.param(2, [4, 3, 2, 1], id="limit + 2 is exactly full"),
        pytest.param(1, [4, 3, 2], id="limit + 2"),
        pytest.param(0, [4, 3], id="two at least"),
    ],
)
def test_the_status_remembers_a_little_more_than_there_are_replica_sets(
    limit: int, remembered: list[int]
) -> None:
    records = tuple(revision(number) for number in (4, 3, 2, 1))
    found = select_remembered(records, empty(4, 3, 2, 1), {4}, limit)
    assert [record.revision for record in found] == remembered


def test_the_kept_are_remembered_whatever_the_limit_says() -> None:
    records = tuple(revision(number) for number in (4, 3, 2, 1))
    assert select_remembered(records, (), {1, 2, 4}, 0) == (records[0], *records[2:])


def test_a_revision_that_still_has_a_pod_to_run_is_remembered_whatever_the_limit_says() -> None:
    records = tuple(revision(number, RolloutState.STOPPED) for number in (5, 4, 3, 2, 1))
    sets = (replica_set(1, size=1), *empty(5, 4, 3, 2))
    found = select_remembered(records, sets, {5}, 0)
    assert [record.revision for record in found] == [5, 1]


def test_a_builders_replica_set_has_the_name_of_its_record() -> None:
    assert replica_set(2).name == revision(2).replica_set == replica_set_name(template("v2"))


def test_b1_what_completed_last_is_remembered_as_long_as_its_replica_set_is_there() -> None:
    """Forgotten and found again, it would be a rollback target in the middle of a rollback."""
    records = (
        revision(4, RolloutState.IN_PROGRESS),
        revision(3, RolloutState.STOPPED),
        revision(2, RolloutState.FAILED),
        revision(1),
    )
    there = replica_set(1, terminating(ready_pod("a")), size=0)
    kept = select_remembered(records, [there, *empty(4, 3, 2)], {4}, 0)
    assert [record.revision for record in kept] == [4, 1]
    gone = select_remembered(records, empty(4, 3, 2), {4}, 0)
    assert [record.revision for record in gone] == [4, 3]


def test_a_revision_without_replica_set_is_forgotten_unless_it_is_kept_or_the_newest() -> None:
    """Nobody can go back to it. The newest stays, so that its number is not given away again."""
    records = tuple(revision(number, RolloutState.FAILED) for number in (5, 4, 3, 2, 1))
    found = select_remembered(records, empty(2), {3}, 10)
    assert [record.revision for record in found] == [5, 3, 2]


def empty(*numbers: int) -> list[ReplicaSetView]:
    return [replica_set(number, size=0) for number in numbers]
