"""Rule B9: what the revision that a rollback goes back to needs, and what of it is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import pod, spec, template, waiting
from tests.support.manual_cluster import ManualCluster
from tests.support.manual_cluster import completed as completed_world
from tests.unit.domain import guarded_world
from tripswitch.domain.rules.references import find_missing
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.references import (
    NO_REFERENCES,
    MissingReferences,
    ReferenceQuestion,
    ReferenceReading,
    References,
)
from tripswitch.domain.values.states import Reason, RolloutStatus
from tripswitch.domain.values.workload import Template

OLD, NEW = References(("settings-1",), ("web",)), References(("settings-2",), ("web",))
GONE = References(("settings-1",))
SAID = (
    "new pods of revision 1, which a rollback goes back to, cannot start: ConfigMap settings-1 does "
    "not exist: create it again"
)


def naming(version: str, references: References) -> Template:
    return replace(template(version), references=references)


def completed(references: References = OLD) -> ManualCluster:
    """Return a world whose completed revision names these objects."""
    world = completed_world()
    found = world.replica_set("v1")
    world.put(replace(found, template=naming("v1", references)))
    world.guarded = replace(world.guarded, spec=spec(wanted=naming("v1", references)))
    return world.settle(1.0)


def find(
    world: ManualCluster, missing: References = GONE, asked: References = OLD
) -> ManualCluster:
    """Have a list come, and look."""
    world.references = ReferenceReading(asked, missing)
    return world.settle(1.0)


def told(world: ManualCluster) -> str:
    found = world.condition("RollbackAtRisk")
    assert found is None or (found.status and found.reason is Reason.REVISION_INCOMPLETE)
    return "" if found is None else found.message


def test_b9_what_is_missing_is_told_once_and_by_name() -> None:
    world = find(completed())
    assert told(world) == SAID
    assert world.status.memory.missing_references == MissingReferences(1, ("settings-1",))
    assert world.events.count("RollbackAtRisk") == 1
    find(world, References(("settings-1",), ("web",)))
    assert "ConfigMap settings-1 and ServiceAccount web do not exist" in told(world)
    assert world.events.count("RollbackAtRisk") == 1


def test_b9_it_goes_when_all_is_there_again_and_is_told_again_when_it_comes_back() -> None:
    world = find(find(completed()), NO_REFERENCES)
    assert told(world) == ""
    assert world.status.memory.missing_references is None
    assert find(world).events.count("RollbackAtRisk") == 2


def test_b9_without_a_list_nothing_is_said() -> None:
    assert told(completed()) == ""


def test_b9_a_list_for_other_references_is_no_evidence() -> None:
    assert told(find(completed(), References(("other",)), asked=References(("other",)))) == ""


def test_b9_what_was_told_stays_until_the_first_list_after_a_restart() -> None:
    world = find(completed())
    world.references = None
    decision = world.look(1.0)
    assert told(world) == SAID
    assert decision.references == ReferenceQuestion(OLD, told=True)
    assert world.events.count("RollbackAtRisk") == 1
    assert told(find(world, NO_REFERENCES)) == ""


def test_b9_what_was_told_of_another_revision_does_not_stay() -> None:
    world = find(completed())
    world.references = None
    memory = world.status.memory
    memory = replace(memory, missing_references=MissingReferences(7, ("settings-1",)))
    world.guarded = replace(world.guarded, status=replace(world.status, memory=memory))
    assert told(world.settle(1.0)) == ""


def test_b9_it_is_asked_as_long_as_there_is_a_revision_to_go_back_to() -> None:
    world = ManualCluster(guarded=replace(completed().guarded, status=ManualCluster().status))
    assert world.look().references is None, "nothing has completed yet"
    world = completed()
    assert world.look().references == ReferenceQuestion(OLD)
    assert completed(NO_REFERENCES).look().references is None


def test_b9_the_old_revision_counts_while_a_new_one_is_rolled_out() -> None:
    world = completed()
    world.want(template=naming("v2", NEW))
    assert world.settle(1.0).look().references == ReferenceQuestion(OLD, urgent=True)
    assert told(find(world)) == SAID
    assert world.state() is RolloutStatus.IN_PROGRESS
    for _ in range(20):
        world.heal("v2").settle(1.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.look().references == ReferenceQuestion(NEW)
    assert told(world) == "", "the reading is about revision 1"


def fail(world: ManualCluster) -> ManualCluster:
    """Have another revision trip while the pods of the first one are being made again."""
    world.want(template=naming("v2", NEW)).settle(1.0)
    world.delete_pods(world.replica_set("v1").name)
    return world.crash("v2", runs=9).settle(1.0)


def test_b9_in_a_rollback_it_is_the_revision_that_is_gone_back_to() -> None:
    world = fail(completed())
    assert world.state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    assert world.status.memory.last_completed_revision is None
    assert world.look().references == ReferenceQuestion(OLD, urgent=True)
    assert told(find(world)) == SAID


def test_b9_a_revision_without_a_replica_set_would_be_made_from_the_spec() -> None:
    world = completed()
    world.forget_replica_set("v1")
    world.want(paused=True)
    assert world.look().references == ReferenceQuestion(OLD)


def test_b9_nothing_is_decided_by_it() -> None:
    """A good rollout goes on, and a trip goes back, as without it."""
    plain, warned = completed(), find(completed())
    for world in (plain, warned):
        fail(world)
    assert plain.sizes() == warned.sizes()
    assert plain.state() is warned.state() is RolloutStatus.ROLLBACK_IN_PROGRESS


WAITS = waiting(
    "ImagePullBackOff", image="shop@sha256:1f", message="failed to pull: shop@sha256:1f: not found"
)


def test_b9_an_image_that_a_pod_of_it_cannot_pull_is_told_without_any_right() -> None:
    world = completed(NO_REFERENCES)
    found = world.replica_set("v1")
    lost = pod("late", WAITS)
    world.put(replace(found, pods=(lost, *found.pods[1:]))).settle(1.0)
    assert told(world).endswith("the registry no longer has shop@sha256:1f: push that image again")
    assert world.events.count("RollbackAtRisk") == 1
    world.put(found).settle(1.0)
    assert told(world) == ""


@pytest.mark.parametrize("kind", list(WorkloadKind))
def test_b9_a_guarded_workload_is_told_too_beside_its_other_risks(kind: WorkloadKind) -> None:
    world = guarded_world.completed(kind)
    world.change(template=naming("v1", OLD))
    world.put(replace(world.revisions["web-v1"], template=naming("v1", OLD)))
    assert world.look().references == ReferenceQuestion(OLD)
    world.references = ReferenceReading(OLD, GONE)
    world.look()
    found = world.condition("RollbackAtRisk")
    assert found is not None
    assert found.message == SAID
    assert world.events.count("RollbackAtRisk") == 1
    world.settings(progress_deadline=0)
    world.look()
    found = world.condition("RollbackAtRisk")
    assert found is not None
    assert found.message.startswith(f"{SAID}; there is no progress deadline")
    assert found.reason is Reason.REVISION_INCOMPLETE
    world.references = ReferenceReading(OLD)
    world.look()
    found = world.condition("RollbackAtRisk")
    assert found is not None
    assert found.reason is Reason.ROLLBACK_AT_RISK


def test_b9_a_revision_that_gets_another_number_is_told_of_no_second_time() -> None:
    """A Deployment numbers a ReplicaSet anew when its template is applied again."""
    world = guarded_world.completed()
    world.put(replace(world.revisions["web-v1"], template=naming("v1", OLD)))
    world.references = ReferenceReading(OLD, GONE)
    world.look()
    world.references = None
    world.put(replace(world.revisions["web-v1"], revision=5))
    world.look()
    missing = world.status.memory.missing_references
    assert missing == MissingReferences(5, ("settings-1",))
    assert world.events.count("RollbackAtRisk") == 1


def test_b9_a_workload_that_is_gone_asks_for_nothing() -> None:
    world = guarded_world.completed()
    world.workload = None
    assert world.look().references is None


def test_b9_a_status_does_not_grow_with_what_a_template_names() -> None:
    names = References(tuple(f"c{number:03}" for number in range(500)))
    world = find(completed(names), names, asked=names)
    missing = world.status.memory.missing_references
    assert missing is not None
    assert missing.config_maps == names.config_maps[:20]
    assert "c018, c019 do not exist: create them again" in told(world)


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)
THERE = st.none() | st.frozensets(st.sampled_from("abcdef"))


@given(NAMES, NAMES, THERE, THERE)
def test_b9_only_what_a_list_has_shown_to_be_absent_is_missing(
    maps: list[str],
    accounts: list[str],
    maps_there: frozenset[str] | None,
    accounts_there: frozenset[str] | None,
) -> None:
    asked = References(tuple(maps), tuple(accounts))
    missing = find_missing(asked, maps_there, accounts_there).missing
    for named, there, found in (
        (maps, maps_there, missing.config_maps),
        (accounts, accounts_there, missing.service_accounts),
    ):
        assert set(found) == (set() if there is None else set(named) - there)
