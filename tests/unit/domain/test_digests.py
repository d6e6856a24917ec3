"""Rules D: which digest stands for an image, from what nodes say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.builders import START, container, pod, running, terminating, waiting
from tripswitch.domain.rules.digests import Circumstances, await_anew, find_stuck, runs, settle
from tripswitch.domain.rules.image_names import (
    find_registry,
    normalize_repository,
    pin_image,
    read_digest,
)
from tripswitch.domain.rules.pins import find_pinning, list_pins, recall
from tripswitch.domain.values.images import (
    ContainerImage,
    DigestNote,
    Pin,
    Pinning,
    TemplateImage,
    VersionConsistency,
)
from tripswitch.domain.values.pods import ContainerRole, PodView

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
IMAGE = "registry.test/web:latest"
WEB = TemplateImage("web", IMAGE)
GOOD = Circumstances(VersionConsistency(), rolling=True, may_drop=True)
COMPLETED = Circumstances(VersionConsistency(), completed=True, may_drop=True)
"""It is not being rolled out."""
ROLLBACK = Circumstances(VersionConsistency(), completed=True)
GONE = f"failed to resolve reference: registry.test/web@{A}: not found"


def repo(digest: str) -> str:
    return f"registry.test/web@{digest}"


def runner(name: str = "a", digest: str = A, *, image: str = IMAGE, **fields: Any) -> PodView:
    """Return a pod that runs an image, as the node says."""
    one = running(image=image, image_id=repo(digest))
    return pod(name, one, **{"created_at": START, **fields})


def missing(name: str = "m", digest: str = A, message: str = GONE) -> PodView:
    """Return a pod that waits for a pinned image."""
    return pod(name, waiting("ImagePullBackOff", image=repo(digest), message=message))


def entry(digest: str | None = A, note: DigestNote | None = None) -> ContainerImage:
    return ContainerImage("web", IMAGE, digest, note)


def look(
    *pods: PodView, known: tuple[ContainerImage, ...] = (), around: Circumstances = GOOD
) -> tuple[ContainerImage, ...]:
    """Return the entries after a look; a second look finds nothing more, another order the same."""
    after = settle(known, (WEB,), (), pods, around)
    again = settle(after.images, (WEB,), (), pods, around)
    assert (again.images, again.noted) == (after.images, ())
    assert settle(known, (WEB,), (), pods[::-1], around) == after, "pods come in any order"
    return after.images


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        pytest.param("web", "docker.io/library/web", id="only a name"),
        pytest.param("web:1", "docker.io/library/web", id="a tag"),
        pytest.param("team/web:1", "docker.io/team/web", id="Docker Hub"),
        pytest.param("docker.io/web", "docker.io/library/web", id="Docker Hub by its name"),
        pytest.param("index.docker.io/team/web", "docker.io/team/web", id="its other name"),
        pytest.param("registry.test/web:1", "registry.test/web", id="another registry"),
        pytest.param("registry.test:5000/a/web", "registry.test:5000/a/web", id="a port"),
        pytest.param("localhost/web", "localhost/web", id="localhost"),
        pytest.param(f"web:1@{A}", "docker.io/library/web", id="a tag and a digest"),
    ],
)
def test_d2_the_full_name_of_a_repository(image: str, repository: str) -> None:
    assert normalize_repository(image) == repository
    assert find_registry(image) == repository.partition("/")[0]


@pytest.mark.parametrize(
    ("image", "image_id", "found"),
    [
        pytest.param("web:1", f"docker.io/library/web@{A}", A, id="containerd"),
        pytest.param(IMAGE, repo(A), A, id="another registry"),
        pytest.param(IMAGE, f"docker-pullable://{repo(A)}", A, id="cri-dockerd"),
        pytest.param("web:1", A, DigestNote.LOCAL_IMAGE, id="brought to the node by hand"),
        pytest.param("web:1", f"docker://{A}", DigestNote.LOCAL_IMAGE, id="cri-dockerd, local"),
        pytest.param("web:1", "0123abcd", DigestNote.LOCAL_IMAGE, id="CRI-O's raw id"),
        pytest.param(IMAGE, "registry.test/web@sha256:12", DigestNote.LOCAL_IMAGE, id="too short"),
        pytest.param(IMAGE, f"mirror.test/web@{A}", DigestNote.OTHER_REPOSITORY, id="a mirror"),
        pytest.param(IMAGE, f"import-1@{A}", DigestNote.OTHER_REPOSITORY, id="an import"),
    ],
)
def test_d2_only_a_digest_of_the_own_repository_counts(
    image: str, image_id: str, found: object
) -> None:
    assert read_digest(image, image_id) == found


def test_d1_a_pinned_name_has_no_tag_because_cri_o_refuses_both() -> None:
    assert pin_image("registry.test:5000/web:1", A) == f"registry.test:5000/web@{A}"


# --- D1: the first pod that runs ------------------------------------------------------------------


def test_d1_the_first_pod_that_runs_settles_the_digest() -> None:
    assert look(runner()) == (entry(),)


def test_d1_a_pod_whose_other_container_does_not_run_yet_settles_nothing() -> None:
    half = pod("a", running(image=IMAGE, image_id=repo(A)), waiting("PodInitializing", "log"))
    assert look(half) == ()
    assert not runs(pod("a", container("setup", role=ContainerRole.INIT)))


def test_d1_a_pod_that_is_being_deleted_settles_nothing() -> None:
    assert look(terminating(runner())) == ()


def test_d1_of_several_pods_a_ready_one_settles_it_then_the_earliest() -> None:
    early = pod("a", running(START - 9, image=IMAGE, image_id=repo(B)), created_at=START)
    ready = runner("b", ready_since=START)
    assert look(early, ready)[0].digest == A
    assert look(early, runner("b"))[0].digest == B


def test_d1_an_init_container_is_settled_with_the_others() -> None:
    first = container(
        "setup", role=ContainerRole.INIT, image="i:1", image_id=f"docker.io/library/i@{B}"
    )
    one = pod("a", first, running(image=IMAGE, image_id=repo(A)), created_at=START)
    found = settle((), (WEB, TemplateImage("setup", "i:1", init=True)), (), [one], GOOD)
    assert [(image.container, image.digest) for image in found.images] == [("web", A), ("setup", B)]


def test_d1_what_is_settled_stays_whatever_later_pods_run() -> None:
    later = runner("b", B, image=repo(A))
    assert look(runner(), later, known=(entry(),)) == (entry(),)


def test_d2_an_image_that_a_webhook_changed_in_the_pod_settles_nothing() -> None:
    assert look(runner(image="mirror.test/web:latest")) == ()


def test_d2_an_injected_container_is_left_alone() -> None:
    mesh = running(name="mesh", image="mesh:1", image_id=f"docker.io/library/mesh@{B}")
    one = pod("a", running(image=IMAGE, image_id=repo(A)), mesh, created_at=START)
    assert look(one) == (entry(),)


def test_d2_a_local_image_is_never_pinned_later() -> None:
    local = pod("a", running(image=IMAGE, image_id=A), created_at=START)
    known = look(local)
    assert known == (entry(None, DigestNote.LOCAL_IMAGE),)
    assert look(runner("b"), known=known) == known


def test_w3_nothing_is_settled_while_no_rollout_runs() -> None:
    assert look(runner(), around=COMPLETED) == ()
    back_to = Circumstances(VersionConsistency(), completed=True, rolling=True)
    assert look(runner(), around=back_to) == (entry(),)


@pytest.mark.parametrize(
    ("known", "around"),
    [
        pytest.param((), COMPLETED, id="no rollout runs"),
        pytest.param((entry(None, DigestNote.LOCAL_IMAGE),), GOOD, id="there is no digest"),
        pytest.param((entry(),), Circumstances(VersionConsistency(False)), id="switched off"),
    ],
)
def test_no_pod_is_read_where_none_can_change_an_entry(
    known: tuple[ContainerImage, ...], around: Circumstances
) -> None:
    class Unread(tuple[PodView, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[PodView]:
            raise AssertionError("a pod was read")

    settle(known, (WEB,), (), Unread((runner(),)), around)


def test_d2_another_pod_tells_when_a_node_has_the_content_from_two_repositories() -> None:
    other = pod("a", running(image=IMAGE, image_id=f"dev.test/web@{B}"), created_at=START)
    known = look(other)
    assert known == (entry(None, DigestNote.OTHER_REPOSITORY),)
    assert look(other, runner("b"), known=known) == (entry(),)


def test_d2_a_digest_in_the_template_is_shown_and_needs_no_pin() -> None:
    template = (TemplateImage("web", repo(B)),)
    found = settle((), template, (), [runner()], GOOD)
    assert found.images == (ContainerImage("web", repo(B), B),)
    assert find_pinning(found.images, template, ()) == Pinning()
    assert await_anew(found.images) == found.images


def test_d5_excluded_containers_and_disabled_have_no_entries() -> None:
    left_out = Circumstances(VersionConsistency(exclusions=frozenset({"web"})))
    assert look(runner(), known=(entry(),), around=left_out) == ()
    assert look(runner(), known=(entry(),), around=Circumstances(VersionConsistency(False))) == ()


def test_w2_lost_entries_come_back_from_the_replica_set() -> None:
    found = settle((), (WEB,), (Pin("web", A),), (), GOOD)
    assert found.images == (entry(),)


# --- D2: two digests ------------------------------------------------------------------------------


def test_d2_another_digest_that_is_not_ready_is_noted_and_the_pin_stays() -> None:
    after = settle((entry(),), (WEB,), (), [runner(), runner("b", B)], GOOD)
    assert after.images == (entry(A, DigestNote.DIGESTS_DIFFER),)
    assert after.noted == ((after.images[0], "b"),)


def test_d2_a_pod_of_an_earlier_rollout_is_compared_in_the_look_that_settles() -> None:
    """Found by the soak: the next look noted it, and the status was written twice (W3)."""
    since = Circumstances(VersionConsistency(), since=START + 60, rolling=True)
    old, new = runner("old", B), runner("new", A, created_at=START + 61)
    assert look(old, new, around=since) == (entry(A, DigestNote.DIGESTS_DIFFER),)


def test_d2_a_pod_whose_node_names_no_digest_differs_from_nothing() -> None:
    local = pod("b", running(image=IMAGE, image_id=A), created_at=START, ready_since=START)
    assert look(runner(ready_since=START), local, known=(entry(),)) == (entry(),)


def test_the_pod_that_is_named_does_not_depend_on_the_order_of_pods() -> None:
    look(runner(), runner("b", B), runner("c", B), known=(entry(),), around=COMPLETED)
    look(missing("m"), missing("n"), known=(entry(),), around=COMPLETED)


def test_d2_nothing_is_pinned_while_pods_with_both_digests_are_ready() -> None:
    pods = (runner("a", ready_since=START), runner("b", B, ready_since=START))
    assert look(*pods) == (entry(None, DigestNote.DIGESTS_DIFFER),)
    noted = entry(A, DigestNote.DIGESTS_DIFFER)
    assert look(*pods, known=(noted,)) == (entry(None, DigestNote.DIGESTS_DIFFER),)


def test_d2_a_completed_revision_keeps_its_pin_when_a_restart_pulls_a_new_push() -> None:
    pods = (runner("a", ready_since=START), runner("b", B, ready_since=START))
    noted = (entry(A, DigestNote.DIGESTS_DIFFER),)
    assert look(*pods, known=(entry(),), around=COMPLETED) == noted


# --- D3 and D4 ------------------------------------------------------------------------------------


def test_d3_a_digest_that_no_registry_has_is_dropped_while_another_pod_runs_it() -> None:
    after = look(runner(), missing(), known=(entry(),))
    assert after == (entry(None, DigestNote.NOT_FOUND),)
    assert find_stuck([runner(), missing()], after) == [missing()]
    assert find_stuck([missing()], (entry(),)) == []


@pytest.mark.parametrize(
    ("pods", "around"),
    [
        pytest.param((runner(), missing()), ROLLBACK, id="in a rollback"),
        pytest.param((missing(),), GOOD, id="no other pod runs"),
        pytest.param((runner("a", B), missing()), COMPLETED, id="the other runs another digest"),
    ],
)
def test_d4_there_is_no_way_back_to_the_tag(
    pods: tuple[PodView, ...], around: Circumstances
) -> None:
    assert look(*pods, known=(entry(),), around=around) == (entry(A, DigestNote.NOT_FOUND),)


def test_d3_a_digest_that_a_pinned_pod_runs_is_proved_and_stays() -> None:
    pods = (runner(), runner("b", image=repo(A)), missing())
    assert look(*pods, known=(entry(),)) == (entry(),)
    noted = (entry(A, DigestNote.NOT_FOUND),)
    assert look(runner("b", image=repo(A)), known=noted) == (entry(),)


def test_d3_a_registry_in_trouble_is_no_reason_to_drop_a_digest() -> None:
    slow = missing(message="dial tcp 10.0.0.1:443: i/o timeout")
    assert look(runner(), slow, known=(entry(),)) == (entry(),)


def test_d4_a_retry_waits_for_a_pod_of_its_own() -> None:
    known = await_anew((entry(),))
    assert known == (entry(None, DigestNote.AWAITED),)
    since = Circumstances(VersionConsistency(), since=START + 60, rolling=True)
    assert look(runner(), known=known, around=since) == known
    assert look(runner("b", B, created_at=START + 60), known=known, around=since) == (entry(B),)
    again = running(START + 90, image=IMAGE, image_id=repo(B))
    restarted = pod("a", again, created_at=START)
    assert look(restarted, known=known, around=since) == known
    ready = pod("a", again, created_at=START, ready_since=START + 91)
    assert look(ready, known=known, around=since) == (entry(B),)


# --- what a ReplicaSet has to get -----------------------------------------------------------------


def test_a_pinning_names_what_changes_and_the_images_behind_all_pins() -> None:
    log = TemplateImage("log", "log:1")
    pinned = TemplateImage("web", repo(A))
    entries = (entry(), ContainerImage("log", "log:1", None, DigestNote.LOCAL_IMAGE))
    assert find_pinning(entries, (WEB, log), ()) == Pinning((pinned,), (WEB,))
    assert find_pinning(entries, (WEB, log), (Pin("web", A),)) == Pinning((), (WEB,))
    assert find_pinning(entries, (WEB, log), (Pin("web", B),)) == Pinning((pinned,), (WEB,))
    assert find_pinning((), (WEB, log), (Pin("web", A),)) == Pinning((WEB,), ())
    assert list_pins((pinned, log)) == (Pin("web", A),)
    assert recall((WEB, log), (Pin("web", A),)) == (entry(),)


def test_d1_a_pod_without_the_container_settles_nothing() -> None:
    other = pod("a", running(name="log", image="log:1", image_id=f"docker.io/library/log@{B}"))
    assert look(other) == ()
    assert look(other, known=(entry(),)) == (entry(),)
