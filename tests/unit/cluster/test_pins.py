"""Digests in a ReplicaSet (rules D): read, written and taken out again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tripswitch.api.codec import read_guarded
from tripswitch.api.template import read_template, template_digest
from tripswitch.cluster.bodies import build_patch, build_replica_set
from tripswitch.cluster.marks import DIGEST, PINNED
from tripswitch.cluster.pods import see_pod
from tripswitch.cluster.replicasets import see_replica_set
from tripswitch.domain.values.decision import CreateReplicaSet, PinImages
from tripswitch.domain.values.images import Pin, Pinning, TemplateImage

A = f"sha256:{'a' * 64}"
WEB, SETUP = TemplateImage("web", "web:latest"), TemplateImage("setup", "setup:1", init=True)
PINNED_WEB = TemplateImage("web", f"web@{A}")
PINNED_SETUP = TemplateImage("setup", f"setup@{A}", init=True)
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "initContainers": [{"name": "setup", "image": "setup:1"}],
        "containers": [{"name": "web", "image": "web:latest"}, {"name": "log", "image": "log:1"}],
    },
}
GUARDED = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE},
}
BOTH = Pinning((PINNED_WEB, PINNED_SETUP), (WEB, SETUP))


def created(pinning: Pinning = BOTH) -> dict[str, Any]:
    action = CreateReplicaSet("web-6f8c", 1, 2, 2, pinning)
    return build_replica_set(GUARDED, action, template_digest(TEMPLATE))


def test_a_replica_set_is_created_with_the_digests_and_remembers_the_images() -> None:
    body = created()
    spec = body["spec"]["template"]["spec"]
    assert [one["image"] for one in spec["containers"]] == [f"web@{A}", "log:1"]
    assert spec["initContainers"][0]["image"] == f"setup@{A}"
    assert json.loads(body["metadata"]["annotations"][PINNED]) == {
        "setup": "setup:1",
        "web": "web:latest",
    }
    assert TEMPLATE["spec"]["containers"][0]["image"] == "web:latest"  # type: ignore[index]


def test_without_digests_there_is_no_annotation() -> None:
    assert PINNED not in created(Pinning())["metadata"]["annotations"]


def test_the_view_has_the_template_of_the_revision_and_the_pins_apart() -> None:
    body = created()
    del body["metadata"]["annotations"][DIGEST]  # by hand: it is computed from the template
    seen = see_replica_set(body, None).view
    assert seen.template == read_template(TEMPLATE, template_digest(TEMPLATE))
    assert seen.pins == (Pin("setup", A), Pin("web", A))


def test_a_pin_that_comes_later_is_seen_although_the_revision_stays_the_same() -> None:
    before = see_replica_set(created(Pinning()), None)
    after = see_replica_set(created(), before)
    assert (before.view.pins, len(after.view.pins)) == ((), 2)
    assert after.view.template is before.view.template


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="no JSON"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param("[1]", id="no map"),
        pytest.param('{"web": 7}', id="no image"),
        pytest.param('{"web": "other:1"}', id="another image"),
        pytest.param(7, id="no text"),
    ],
)
def test_an_annotation_that_does_not_fit_pins_nothing(annotation: object) -> None:
    body = created()
    body["metadata"]["annotations"][PINNED] = annotation
    assert see_replica_set(body, None).view.pins == ()


def test_a_digest_that_a_person_wrote_is_no_pin() -> None:
    body = created(Pinning())
    body["spec"]["template"]["spec"]["containers"][0]["image"] = f"web@{A}"
    assert see_replica_set(body, None).view.pins == ()


def test_the_patch_changes_images_by_the_names_of_containers() -> None:
    patch = build_patch(GUARDED, PinImages("web-6f8c", "rs-1", "50", BOTH))
    assert patch["metadata"]["resourceVersion"] == "50"
    assert patch["spec"] == {
        "template": {
            "spec": {
                "containers": [{"name": "web", "image": f"web@{A}"}],
                "initContainers": [{"name": "setup", "image": f"setup@{A}"}],
            }
        }
    }


def test_the_patch_that_takes_pins_out_removes_the_annotation() -> None:
    patch = build_patch(GUARDED, PinImages("web-6f8c", "rs-1", "50", Pinning((WEB,))))
    assert patch["metadata"]["annotations"] == {PINNED: None}
    containers = patch["spec"]["template"]["spec"]["containers"]
    assert containers == [{"name": "web", "image": "web:latest"}]


def test_a_pod_shows_what_it_was_made_of_and_what_its_node_runs() -> None:
    status = {"name": "web", "image": "web:latest", "imageID": f"docker.io/library/web@{A}"}
    raw = {"spec": TEMPLATE["spec"], "status": {"containerStatuses": [status]}}
    web = next(one for one in see_pod(raw, None, 0.0).view.containers if one.name == "web")
    assert (web.image, web.image_id) == ("web:latest", f"docker.io/library/web@{A}")


def test_d5_version_consistency_is_on_and_can_be_switched_off() -> None:
    spec = GUARDED["spec"]
    assert read_guarded(GUARDED).spec.consistency.enabled
    off = {"versionConsistency": "disabled", "versionConsistencyExclusions": ["log"]}
    read = read_guarded({**GUARDED, "spec": {**spec, **off}}).spec.consistency  # type: ignore[dict-item]
    assert (read.enabled, read.exclusions) == (False, frozenset({"log"}))
