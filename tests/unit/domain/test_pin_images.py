"""Rules D as stories: digests are written first, then ReplicaSets are pinned; rollbacks run the first image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.builders import START, guarded, pod, running, template, waiting
from tests.support.manual_cluster import ManualCluster
from tripswitch.domain.decide import decide
from tripswitch.domain.rules.health import PROOF_SECONDS
from tripswitch.domain.steps.write_delay import has_step, is_mere_progress
from tripswitch.domain.values.decision import (
    CreateReplicaSet,
    DeletePod,
    PinImages,
    ScaleReplicaSet,
)
from tripswitch.domain.values.images import (
    ContainerImage,
    DigestNote,
    Pin,
    Pinning,
    TemplateImage,
    VersionConsistency,
)
from tripswitch.domain.values.pods import ContainerView, PodView
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import BreakerSpec, Template

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
IMAGE = "registry.test/shop:latest"
WEB = TemplateImage("web", IMAGE)
PINNED = TemplateImage("web", f"registry.test/shop@{A}")
GONE = f"registry.test/shop@{A}: not found"


def latest(version: str = "v1") -> Template:
    """Return a template with a mutable tag: another version of it names the same image."""
    return replace(template(version), containers=(WEB,))


def launched(**fields: Any) -> ManualCluster:
    """Return a world whose first revision has been launched and has not begun to run."""
    return ManualCluster(guarded=guarded(2, latest(), **fields)).settle()


def run(
    world: ManualCluster,
    version: str,
    digest: str,
    *,
    ready: bool = True,
    count: int | None = None,
) -> ManualCluster:
    """Let the pods of a revision run what the tag, or their pin, means."""
    pins = world.replica_set(version).pins

    def make(name: str, now: Instant) -> PodView:
        runs = pins[0].digest if pins else digest
        image = f"registry.test/shop@{runs}" if pins else IMAGE
        up = running(now - PROOF_SECONDS, image=image, image_id=f"registry.test/shop@{runs}")
        return pod(name, up, ready_since=now if ready else None, created_at=now)

    return world.become(version, make, count)


def _lacking() -> ContainerView:
    return waiting("ErrImagePull", image=PINNED.image, message=GONE)


def completed() -> ManualCluster:
    """Return a world whose first revision has completed with the first image."""
    return run(launched(), "v1", A).settle()


def entries(world: ManualCluster, number: int = 1) -> tuple[ContainerImage, ...]:
    return world.record(number).container_images


def test_d1_the_status_has_the_digest_before_the_replica_set_gets_it() -> None:
    world = run(launched(), "v1", A)
    decision = decide(world.snapshot, world.now)
    assert decision.status.memory.revisions[0].container_images == (
        ContainerImage("web", IMAGE, A),
    )
    found = world.replica_set("v1")
    pinned = PinImages(found.name, found.uid, "1", Pinning((PINNED,), (WEB,)))
    assert [action for action in decision.actions if isinstance(action, PinImages)] == [pinned]
    assert not [event for event in decision.events if "Digest" in event.reason]


def test_d1_digests_wait_for_the_next_write_and_go_with_the_next_step() -> None:
    """Pods show the same digest at the next look, and a step is the next moment in which we make pods."""
    world = completed().apply("v2").settle()
    run(world, "v2", B, ready=False, count=1)
    alone = decide(world.snapshot, world.now)
    assert [type(action) for action in alone.actions] == [PinImages]
    assert is_mere_progress(world.status, alone)
    assert not has_step(alone)
    run(world, "v2", B, count=1)
    both = decide(world.snapshot, world.now)
    assert [type(action) for action in both.actions] == [PinImages, ScaleReplicaSet]
    assert is_mere_progress(world.status, both)
    assert has_step(both)


def test_d1_an_action_that_was_lost_is_decided_again_from_the_status() -> None:
    world = completed()
    world.put(replace(world.replica_set("v1"), pins=()))
    actions = decide(world.snapshot, world.now).actions
    assert [type(action) for action in actions] == [PinImages]


def test_d1_a_pinned_fleet_causes_no_write() -> None:
    world = completed()
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.replica_set("v1").pins == (Pin("web", A),)
    before = world.status
    decision = world.look(3600)
    assert (decision.status, decision.actions, decision.events) == (before, (), ())


def test_d1_a_rollback_after_a_bad_push_and_a_restart_runs_the_first_image() -> None:
    world = completed()
    world.apply("v2").settle(10)  # `kubectl tripswitch restart`: the same image, a new revision
    run(world, "v2", B, ready=False).settle(1)
    assert entries(world, 2)[0].digest == B
    world.crash("v2").settle(10)
    world.crash("v2", runs=9).settle(10)
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    world.want(replicas=4).settle(10)
    run(world, "v1", B).settle(10)
    images = {one.image_id for p in world.replica_set("v1").pods for one in p.containers}
    assert images == {f"registry.test/shop@{A}"}
    assert entries(world)[0].digest == A


def test_d3_pods_that_wait_for_a_dropped_digest_are_made_again_and_count_nothing() -> None:
    """A good rollout goes on although its first digest cannot be pulled by others."""
    world = launched()
    first = world.replica_set("v1").pods[0].name
    up = running(START, image=IMAGE, image_id=f"registry.test/shop@{A}")
    world.become("v1", lambda _, now: pod(first, up, created_at=now), 1).settle(1)
    assert world.replica_set("v1").pins == (Pin("web", A),)
    found = world.replica_set("v1")
    stuck = pod("stuck", _lacking(), created_at=world.now)
    world.put(replace(found, pods=(found.pods[0], stuck)))
    decision = world.look(1)
    assert entries(world) == (ContainerImage("web", IMAGE, None, DigestNote.NOT_FOUND),)
    assert not any(isinstance(action, DeletePod) for action in decision.actions)
    assert world.replica_set("v1").pins == ()
    decision = world.look(1)
    assert [a.name for a in decision.actions if isinstance(a, DeletePod)] == ["stuck"]
    assert world.breaker().failure_count == 0
    assert world.events.count("ImageDigestUnusable") == 1
    run(world, "v1", A).settle(10)
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_d3_a_paused_rollout_deletes_no_pod() -> None:
    world = completed()
    dropped = (ContainerImage("web", IMAGE, None, DigestNote.NOT_FOUND),)
    record = replace(world.record(1), container_images=dropped)
    world.guarded = replace(
        world.guarded,
        status=replace(world.status, memory=replace(world.status.memory, revisions=(record,))),
    )
    found = world.replica_set("v1")
    stuck = pod("stuck", _lacking(), created_at=world.now)
    world.put(replace(found, pins=(), size=3, pods=(*found.pods, stuck)))
    world.want(replicas=3, paused=True)
    assert _deleted(world) == []
    world.want(paused=False)
    assert _deleted(world) == ["stuck"]


def _deleted(world: ManualCluster) -> list[str]:
    actions = decide(world.snapshot, world.now).actions
    return [action.name for action in actions if isinstance(action, DeletePod)]


GONE_WORDS = (
    f"the registry no longer has {IMAGE} as {A[:19]}, which revision 1 runs; its tag is not used "
    "instead, it may mean another image: push that image again"
)


def stuck_rollback() -> ManualCluster:
    """Return a world that rolls back to a revision whose digest the registry no longer has."""
    world = completed()
    found = world.replica_set("v1")
    world.apply("v2").settle(10)
    world.put(replace(found, size=2, pods=found.pods[:1], pins=found.pins))
    world.crash("v2", runs=9).settle(10)
    back = world.replica_set("v1")
    stuck = pod("stuck", _lacking(), created_at=world.now)
    return world.put(replace(back, pods=(*back.pods[:1], stuck))).settle(10)


def test_d4_a_rollback_whose_digest_is_gone_says_so_and_never_uses_the_tag() -> None:
    world = stuck_rollback()
    assert world.state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    assert entries(world) == (ContainerImage("web", IMAGE, A, DigestNote.NOT_FOUND),)
    assert world.replica_set("v1").pins == (Pin("web", A),)
    assert world.events.count("ImageDigestGone") == 1
    assert GONE_WORDS in world.status.report.rollout_state_reason


def test_b9_a_digest_that_is_gone_puts_a_rollback_at_risk_and_stays_known() -> None:
    world = stuck_rollback()
    risk = world.condition("RollbackAtRisk")
    assert risk is not None
    head = "new pods of revision 1, which a rollback goes back to, cannot start"
    assert risk.message == f"{head}: {GONE_WORDS}"
    assert world.events.count("RollbackAtRisk") == 1


def test_d4_the_progress_deadline_names_the_digest_that_is_gone() -> None:
    world = stuck_rollback().settle(3600)
    assert world.state() is RolloutStatus.ROLLBACK_FAILED
    assert GONE_WORDS in world.record(1).message


def test_d4_a_retry_of_a_revision_that_never_completed_drops_its_pin() -> None:
    """A fixed image that was pushed to the same tag is pulled by the retry."""
    world = launched()
    run(world, "v1", B, ready=False).settle(1)
    assert world.replica_set("v1").pins == (Pin("web", B),)
    world.crash("v1", runs=9).settle(10)
    assert world.state() is RolloutStatus.FAILED
    world.command(retry="pushed a fix").look(10)
    assert entries(world) == (ContainerImage("web", IMAGE, None, DigestNote.AWAITED),)
    assert world.replica_set("v1").pins == ()
    world.delete_pods(world.replica_set("v1").name).settle(1)
    run(world, "v1", A).settle(10)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert entries(world)[0].digest == A


def test_d4_a_retry_of_a_revision_that_completed_before_keeps_its_pin() -> None:
    world = completed()
    world.apply("v2").settle(10)
    run(world, "v2", A).settle(10)
    world.apply("v1").settle(10)
    world.command(stop="1/ABORT").settle(10)
    world.command(retry="again").settle(10)
    assert entries(world)[0].digest == A


def test_d5_disabled_takes_the_pins_out_and_leaves_the_pods() -> None:
    world = completed()
    pods = world.replica_set("v1").pods
    world.want(consistency=VersionConsistency(enabled=False)).settle(10)
    assert entries(world) == ()
    assert world.replica_set("v1").pins == ()
    assert world.replica_set("v1").pods == pods


def test_d1_a_replica_set_that_is_made_again_begins_with_the_digest() -> None:
    world = completed()
    world.forget_replica_set("v1")
    created = [a for a in world.look(1).actions if isinstance(a, CreateReplicaSet)]
    assert created[0].pinning == Pinning((PINNED,), (WEB,))
    assert world.replica_set("v1").pins == (Pin("web", A),)


def test_w2_a_lost_status_finds_the_digests_on_the_replica_sets() -> None:
    world = completed()
    world.guarded = replace(
        world.guarded,
        status=replace(
            world.status, memory=replace(world.status.memory, revisions=(), rollout=None)
        ),
    )
    world.settle(1)
    assert entries(world) == (ContainerImage("web", IMAGE, A),)


def test_d1_digests_are_settled_also_with_the_breaker_off() -> None:
    world = run(launched(breaker=BreakerSpec(enable=False)), "v1", A).settle()
    assert entries(world)[0].digest == A


def differing(*, ready: bool) -> ManualCluster:
    """Return a world in which a pod runs another image than the one that was settled, by the same tag."""
    world = launched()
    first, second = (found.name for found in world.replica_set("v1").pods)
    up = running(START, image=IMAGE, image_id=f"registry.test/shop@{A}")
    other = running(START, image=IMAGE, image_id=f"registry.test/shop@{B}")
    since = world.now if ready else None
    found = world.replica_set("v1")
    pods = (
        pod(first, up, created_at=START, ready_since=world.now),
        pod(second, other, created_at=START, ready_since=since),
    )
    return world.put(replace(found, pods=pods))


def test_d2_two_images_of_one_tag_are_told_and_the_first_is_pinned_while_the_other_is_not_ready() -> (
    None
):
    events = differing(ready=False).look().events
    told = [event.message for event in events if event.reason == "ImageDigestsDiffer"]
    assert len(told) == 1
    assert (
        f"runs another image of {IMAGE} than other pods of the revision; new pods run {A[:19]}"
        in (told[0])
    )


def test_d2_with_both_ready_neither_is_pinned_and_a_good_rollout_completes() -> None:
    world = differing(ready=True)
    told = [e.message for e in world.look().events if e.reason == "ImageDigestsDiffer"]
    assert told[0].endswith("than other pods of the revision; new pods use the tag")
    assert world.replica_set("v1").pins == ()
    world.settle(10)
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_d4_of_a_revision_that_history_has_no_room_for_nothing_is_told() -> None:
    """W3: it is found on its ReplicaSet at each look, and would be told of each time (world 10000146)."""
    world = completed().want(revision_history_limit=0)
    stuck = replace(world.replica_set("v1"), size=0, pods=(pod("stuck", _lacking()),))
    for version in ("v2", "v3"):
        world.want(template=latest(version)).settle()
        while world.state() is not RolloutStatus.SUCCESSFUL or world.sizes() != {version: 2}:
            run(world, version, B).look(PROOF_SECONDS)
        if version == "v2":
            older = replace(world.replica_set("v2"), size=0)
    world.put(stuck).put(older).settle()
    assert "v1" not in [record.digest for record in world.status.memory.revisions]
    told = len(world.events)
    world.look(10.0)
    assert world.events[told:] == []
