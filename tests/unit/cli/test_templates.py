"""``undo`` finds the template as it was written, so that going back starts no new rollout."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.unit.cli.statuses import replica_set
from tripswitch.api.template import template_digest
from tripswitch.cli.templates import find_written, read_template
from tripswitch.cluster.marks import HASH_LABEL, PINNED

Object = dict[str, Any]


def written(image: str, **container: Any) -> Object:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image, **container}]},
    }


def held(template: Object, policy: str = "IfNotPresent", **pod: Any) -> Object:
    """What the API server makes of it in a ReplicaSet."""
    full = deepcopy(template)
    full["metadata"]["labels"][HASH_LABEL] = "b"
    full["metadata"]["creationTimestamp"] = None
    full["spec"] = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        **full["spec"],
        **pod,
    }
    for container in full["spec"]["containers"]:
        container |= {"imagePullPolicy": policy, "resources": container.get("resources", {})}
    return replica_set("web-b", full, template_digest(template))


def test_defaults_of_the_api_server_are_taken_out_again() -> None:
    old, new = written("web:1", command=["run"]), written("web:2")
    assert find_written(held(old), new, held(new)) == old


def test_empty_annotations_say_no_more_than_none() -> None:
    old, new = written("web:1"), written("web:2")
    old["metadata"]["annotations"] = {}
    before = held(old)
    del before["spec"]["template"]["metadata"]["annotations"]
    found = find_written(before, new, held(new))
    assert template_digest(found) == template_digest(old), "the same revision"


def test_a_default_that_follows_from_another_field_is_taken_out_too() -> None:
    old, new = written("web:latest"), written("web:2")
    assert find_written(held(old, "Always"), new, held(new)) == old


def test_what_was_written_and_not_defaulted_stays() -> None:
    old = written("web:1")
    old["spec"]["terminationGracePeriodSeconds"] = 90
    new = written("web:2")
    assert find_written(held(old), new, held(new)) == old


def test_a_template_that_says_everything_is_found_as_it_is() -> None:
    everything = read_template(held(written("web:1")))
    assert find_written(held(everything), written("web:2"), None) == everything


def test_a_guess_is_never_passed_off_as_what_was_written() -> None:
    old, new = written("web:1"), written("web:2")
    assert find_written(held(old, dnsPolicy="ClusterFirst"), new, held(new)) is None


def test_d1_a_pinned_template_is_read_as_it_was_written_and_can_be_shown_with_its_digests() -> None:
    template = written("web:latest")
    found = held(template, "Always")
    found["spec"]["template"]["spec"]["containers"][0]["image"] = "web@sha256:1f"
    found["metadata"]["annotations"][PINNED] = '{"web": "web:latest"}'
    assert read_template(found)["spec"]["containers"][0]["image"] == "web:latest"
    assert read_template(found, digests=True)["spec"]["containers"][0]["image"] == (
        "web:latest@sha256:1f"
    )
    assert find_written(found, template, found) == template
