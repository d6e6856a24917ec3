"""Rules F8 and F9: whose fault a pull is that fails for completed revisions, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import breaker_spec, pod, replica_set, revision, terminating, waiting
from tests.support.manual_cluster import ManualCluster, completed
from tripswitch.domain.rules.registries import (
    describe_outage,
    excuse_pulls,
    find_suffered,
    find_troubles,
    list_troubles,
)
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.registries import (
    NO_TROUBLES,
    PullError,
    PullTrouble,
    RegistryOutage,
    Troubles,
)
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.status import Status

DENIED = PullTrouble("registry.test", PullError.DENIED)
OUTAGE = RegistryOutage(DENIED, pods=5, workloads=2)
UNAUTHORIZED = "unexpected status from HEAD request: 401 Unauthorized"
MISSING = "registry.test/shop:v2: not found"
NO_HOST = "dial tcp: lookup registry.test: no such host"


def stuck(name: str, message: str, image: str = "registry.test/shop:v2") -> PodView:
    """Return a pod that waits for its image."""
    return pod(name, waiting("ErrImagePull", image=image, message=message))


class Fleet(ManualCluster):
    """One workload beside others that pull from the same registry."""

    outages: tuple[RegistryOutage, ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        """What a look sees."""
        return replace(super().snapshot, outages=self.outages)


def rolling(message: str, *outages: RegistryOutage, images: tuple[str, ...] = ()) -> Fleet:
    """Return a fleet whose second revision waits for its image."""
    first = completed(breaker=breaker_spec(3))
    world = Fleet(guarded=first.guarded, replica_sets=first.replica_sets, now=first.now)
    if images:
        memory = world.status.memory
        record = replace(memory.revisions[0], images=images)
        memory = replace(memory, revisions=(record,))
        world.guarded = replace(world.guarded, status=Status(memory, world.status.report))
    world.outages = outages
    world.apply("v2").settle(10)
    world.become("v2", lambda name, _: stuck(name, message)).settle(10)
    return world


def test_f9_a_failure_that_completed_revisions_have_too_does_not_count() -> None:
    world = rolling(UNAUTHORIZED, OUTAGE)
    assert world.state() is RolloutStatus.IN_PROGRESS
    assert world.breaker().failure_count == 0
    told = world.condition("RegistryOutage")
    assert told is not None
    words = "4 pods wait, and so do 5 pods of completed revisions of 2 workloads"
    assert told.message == f"registry registry.test denies access: {words}"
    assert world.events.count("RegistryOutage") == 1


def test_f9_a_good_rollout_completes_when_the_outage_is_over() -> None:
    world = rolling(UNAUTHORIZED, OUTAGE)
    world.outages = ()
    world.heal("v2").settle(10)
    world.heal("v2").settle(10)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.condition("RegistryOutage") is None


def test_f5_the_same_failure_alone_is_the_revision_s_own() -> None:
    assert rolling(UNAUTHORIZED).state() is not RolloutStatus.IN_PROGRESS


def test_f9_a_bad_tag_during_an_outage_fails_for_what_it_is() -> None:
    world = rolling(MISSING, OUTAGE)
    assert world.state() is not RolloutStatus.IN_PROGRESS
    assert "not found" in world.record(2).message
    assert world.condition("RegistryOutage") is None


def test_f9_an_outage_of_another_registry_excuses_nothing() -> None:
    other = RegistryOutage(PullTrouble("other.test", PullError.DENIED), 5, 2)
    assert rolling(UNAUTHORIZED, other).state() is not RolloutStatus.IN_PROGRESS


def test_f8_a_registry_that_lost_its_address_is_no_fault_if_it_was_pulled_from_before() -> None:
    known = rolling(NO_HOST, images=("registry.test/shop:v1",))
    assert known.state() is RolloutStatus.IN_PROGRESS
    assert known.breaker().failure_count == 0


def test_f8_a_host_that_nothing_ever_came_from_counts() -> None:
    assert rolling(NO_HOST).state() is not RolloutStatus.IN_PROGRESS


def test_f9_only_pods_of_completed_revisions_prove_an_outage() -> None:
    old, new = stuck("old", UNAUTHORIZED), stuck("new", UNAUTHORIZED)
    revisions = (revision(1), replace(revision(2), completed_at=None))
    sets = (replica_set(1, old), replica_set(2, new))
    assert find_troubles(revisions, sets) == Troubles({DENIED: 1}, frozenset({DENIED}))
    assert find_troubles((), sets) == Troubles({}, frozenset({DENIED}))
    assert find_troubles(revisions, ()) == NO_TROUBLES


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(stuck("a", MISSING), id="no such image"),
        pytest.param(stuck("a", "words that nobody knows"), id="unknown words"),
        pytest.param(stuck("a", UNAUTHORIZED, image=""), id="no image"),
        pytest.param(terminating(stuck("a", UNAUTHORIZED)), id="on its way out"),
        pytest.param(pod("a", waiting("CrashLoopBackOff", image="web:1")), id="no pull"),
    ],
)
def test_f9_what_says_nothing_about_a_registry(one: PodView) -> None:
    assert list(list_troubles(one)) == []


def test_f9_containers_of_other_registries_are_not_excused() -> None:
    one = pod("a", waiting("ErrImagePull", image="registry.test/a:1"), waiting("x", "log"))
    rules = excuse_pulls([one], [OUTAGE], frozenset())
    assert [(rule.container, rule.pull_errors) for rule in rules] == [
        ("web", frozenset({PullError.DENIED}))
    ]


def test_f9_one_pod_and_one_workload_in_words() -> None:
    assert find_suffered([stuck("a", UNAUTHORIZED)], [OUTAGE]) == [(OUTAGE, 1)]
    assert describe_outage(RegistryOutage(DENIED, 1, 1), 2) == (
        "registry registry.test denies access: 2 pods wait, and so does 1 pod of completed revisions of "
        "1 workload"
    )
