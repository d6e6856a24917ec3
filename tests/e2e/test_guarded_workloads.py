"""Rules G on real controllers: a Deployment and a StatefulSet are guarded in place."""

from __future__ import annotations

import json
import subprocess
from functools import partial

from tests.e2e.conftest import OwnCluster
from tests.e2e.guards import (
    LABEL,
    deployment,
    find,
    find_breaker,
    find_writes,
    guard_status,
    images,
    start,
    stateful_set,
    until,
    until_guard,
)
from tests.e2e.namespace import Namespace, Object, conditions
from tests.e2e.public_manifests import assert_nothing_of_ours
from tools.operator_process import install


def test_a_bad_image_on_a_plain_deployment_is_rolled_back_and_corrected(world: Namespace) -> None:
    """G1, G4, G5: the whole story, as a person sees it with kubectl."""
    start(world, deployment())
    bad = deployment("image-pull", image="web:2")
    world.apply(bad)
    followed = subprocess.run(
        [
            world.environment.kubectl_path,
            f"--kubeconfig={world.environment.kubeconfig}",
            f"--namespace={world.namespace}",
            "rollout",
            "status",
            "deployment/web",
            "--timeout=80s",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert (followed.returncode, "exceeded its progress deadline" in followed.stderr) == (1, True)
    status = until_guard(world, "ROLLBACK_SUCCESSFUL")
    assert status["rollout"]["revision"] == 1
    assert images(world) == ["web:1"] * 4
    held = find(world, "deployment")
    assert held["spec"]["paused"] is True
    assert conditions(held["status"])["Stalled"]["reason"] == "CircuitBreakerTriggered"
    assert "tripswitch.dev/how-to-go-on" in held["metadata"]["annotations"]
    world.kubectl("diff", "--filename", "-", stdin=json.dumps(bad))  # exits with 1 if it differs
    world.until_event("CircuitBreakerTriggered")
    world.apply(deployment(image="web:3"))
    until(
        lambda: find(world, "deployment"),
        lambda found: (
            found["status"].get("updatedReplicas") == 4
            and found["status"].get("availableReplicas") == 4
            and found["status"]["observedGeneration"] == found["metadata"]["generation"]
        ),
    )
    until_guard(world, "SUCCESSFUL")
    free = find(world, "deployment")
    assert images(world) == ["web:3"] * 4
    assert "paused" not in free["spec"]
    assert "Stalled" not in conditions(free["status"])
    assert not [key for key in free["metadata"]["annotations"] if "tripswitch" in key]


def test_a_bad_image_on_a_stateful_set_is_rolled_back_and_corrected(world: Namespace) -> None:
    """G4, G5."""
    start(world, stateful_set())
    world.apply(stateful_set("crash", image="web:2"))
    until_guard(world, "ROLLBACK_SUCCESSFUL")
    assert images(world) == ["web:1"] * 3
    held = find(world, "statefulset")
    assert held["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == 1_000_000
    world.apply(stateful_set(image="web:3"))
    until(lambda: {"images": images(world)}, lambda seen: seen["images"] == ["web:3"] * 3)
    until_guard(world, "SUCCESSFUL")
    free = find(world, "statefulset")
    assert_nothing_of_ours(free)


def test_a_label_guards_a_deployment_and_observe_writes_nothing_on_it(world: Namespace) -> None:
    """G7, G8."""
    world.apply(deployment())
    world.kubectl("label", "deployment", "web", f"{LABEL}=observe")
    until_guard(world, "SUCCESSFUL", "web-deployment")
    world.apply(deployment("crash", image="web:2"))
    until_guard(world, "FAILED", "web-deployment")
    assert world.until_event("CircuitBreakerWouldTrigger", "web-deployment")
    assert not find_writes(world)
    world.kubectl("label", "deployment", "web", f"{LABEL}=enforce", "--overwrite")
    until(
        lambda: find_breaker(world, "web-deployment"),
        lambda found: found["spec"]["mode"] == "Enforce",
    )
    assert "paused" not in find(world, "deployment")["spec"], "a trip of before is not acted on"
    world.kubectl("label", "deployment", "web", f"{LABEL}-")
    until(lambda: guard_status(world, "web-deployment"), lambda status: not status)


def trip(world: Namespace) -> Object:
    """Trip a guarded Deployment and wait until it is rolled back; return the bad manifest."""
    start(world, deployment())
    bad = deployment("crash", image="web:2")
    world.apply(bad)
    until_guard(world, "ROLLBACK_SUCCESSFUL")
    return bad


def test_scaling_and_the_same_manifest_again_change_nothing_about_a_trip(world: Namespace) -> None:
    """Autoscaling goes on, and what a GitOps tool applies again and again is no news (G5)."""
    bad = trip(world)
    bad["spec"]["replicas"] = 6
    world.kubectl("scale", "deployment/web", "--replicas=6")
    until(lambda: {"images": images(world)}, lambda seen: seen["images"] == ["web:1"] * 6)
    until(lambda: guard_status(world), lambda status: status["replicas"] == 6)
    before = find_writes(world)
    for _ in range(3):
        world.apply(bad)
        world.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--filename", "-"),
            stdin=json.dumps(bad),
        )
    assert find(world, "deployment")["spec"]["paused"] is True
    assert images(world) == ["web:1"] * 6
    assert guard_status(world)["rollout"]["status"] == "ROLLBACK_SUCCESSFUL"
    assert find_writes(world) == before


def test_a_stateful_set_that_is_made_again_around_its_pods_has_a_breaker_of_its_own(
    world: Namespace,
) -> None:
    """G8: people delete it with --cascade=orphan to change its volume templates."""
    manifest = stateful_set()
    manifest["metadata"]["labels"][LABEL] = "enforce"
    world.apply(manifest)
    until_guard(world, "SUCCESSFUL", "web-statefulset")
    world.kubectl("delete", "statefulset", "web", "--cascade=orphan")
    world.apply(manifest)
    owner = find(world, "statefulset")["metadata"]["uid"]
    until(
        lambda: find_breaker(world, "web-statefulset"),
        lambda found: found and found["metadata"]["ownerReferences"][0]["uid"] == owner,
    )
    until_guard(world, "SUCCESSFUL", "web-statefulset")
    world.kubectl("delete", "statefulset", "web")
    until(lambda: find_breaker(world, "web-statefulset"), lambda found: not found)


def test_who_resumes_a_tripped_deployment_gets_a_retry_and_is_told(world: Namespace) -> None:
    """G5."""
    trip(world)
    world.kubectl("rollout", "resume", "deployment/web")
    for number in range(30):  # a status that is written on an older version is decided again
        world.kubectl("annotate", "dcb", "web", f"example.com/number={number}", "--overwrite")
    assert "was resumed" in world.until_event("WorkloadResumed")
    until(
        lambda: guard_status(world),
        lambda status: (
            status.get("resumes") == 1 and status["rollout"]["status"] == "ROLLBACK_SUCCESSFUL"
        ),
    )
    assert images(world) == ["web:1"] * 4


def test_a_breaker_that_is_deleted_during_a_trip_leaves_the_good_revision(
    world: Namespace,
) -> None:
    """G9."""
    trip(world)
    world.kubectl("delete", "deploymentcircuitbreaker", "web")
    assert "how-to-go-on" in world.until_event("CircuitBreakerDeleted")
    left = find(world, "deployment")
    assert left["spec"]["paused"] is True
    advice = left["metadata"]["annotations"]["tripswitch.dev/how-to-go-on"]
    assert "kubectl rollout resume deployment/web" in advice
    assert images(world) == ["web:1"] * 4
    world.apply(deployment(image="web:3"))
    world.kubectl("rollout", "resume", "deployment/web")
    until(lambda: {"images": images(world)}, lambda seen: seen["images"] == ["web:3"] * 4)
    until(lambda: find(world, "deployment"), has_nothing_of_ours)


def has_nothing_of_ours(live: Object) -> bool:
    """Return whether nothing of a trip is left on a workload."""
    try:
        assert_nothing_of_ours(live)
    except AssertionError:
        return False
    return True


def test_a_pause_of_a_person_is_left_alone(world: Namespace) -> None:
    """G6: nothing is counted and nothing is written while it lasts."""
    start(world, deployment())
    world.apply(deployment("crash", image="web:2"))
    world.kubectl("rollout", "pause", "deployment/web")
    until(
        lambda: guard_status(world),
        lambda status: conditions(status)["Progressing"]["reason"] == "Paused",
    )
    assert not find_writes(world)
    world.kubectl("rollout", "resume", "deployment/web")
    until_guard(world, "ROLLBACK_SUCCESSFUL")


def test_a_namespaces_label_guards_what_is_in_it_but_what_opts_out(world: Namespace) -> None:
    """G8."""
    world.kubectl("label", "namespace", world.namespace, f"{LABEL}=enforce")
    world.apply(deployment())
    until_guard(world, "SUCCESSFUL", "web-deployment")
    world.kubectl("label", "deployment", "web", f"{LABEL}=off")
    until(lambda: guard_status(world, "web-deployment"), lambda status: not status)


def test_an_operator_that_is_killed_in_the_middle_of_a_trip_goes_on(own: OwnCluster) -> None:
    """W1: the status says that the workload is to be held, and the next process does it."""
    world = own.world
    start(world, deployment())
    # The operator may read the Deployment, and not patch it: the trip is decided and cannot be done.
    roles = json.loads(own.cluster.kubectl("get", "clusterrole/tripswitch", "-ojson"))
    for rule in roles["rules"]:
        if "deployments" in rule["resources"]:
            rule["verbs"].remove("patch")
    own.cluster.kubectl("replace", "-f", "-", input=json.dumps(roles))
    world.apply(deployment("crash", image="web:2"))
    until(
        lambda: guard_status(world), lambda status: status.get("hold", {}).get("state") == "Wanted"
    )
    own.operator.kill()
    assert "paused" not in find(world, "deployment")["spec"]
    install(own.cluster.kubectl)
    own.operator.start()
    until_guard(world, "ROLLBACK_SUCCESSFUL")
    assert images(world) == ["web:1"] * 4
    assert find(world, "deployment")["spec"]["paused"] is True


def has_ended(resumes: int, status: Object) -> bool:
    """Return whether the retry after so many resumes has ended."""
    ended = status["rollout"]["status"] in ("ROLLBACK_SUCCESSFUL", "FAILED")
    return status.get("resumes") == resumes and ended


def test_a_tool_that_forces_paused_false_causes_no_loop(world: Namespace) -> None:
    """G5: each time is a retry and told; after three of them a trip is only reported."""
    bad = trip(world)
    bad["spec"]["paused"] = False
    for resumes in (1, 2, 3):
        world.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--filename", "-"),
            *("--field-manager", "some-tool"),
            stdin=json.dumps(bad),
        )
        until(lambda: guard_status(world), partial(has_ended, resumes))
    status = guard_status(world)
    assert status["rollout"]["status"] == "FAILED"
    assert "nothing was changed" in status["rollout"]["message"]
    assert "by some-tool" in world.until_event("WorkloadResumed")
    free = find(world, "deployment")
    assert "paused" not in free["spec"] or free["spec"]["paused"] is False
    assert not [
        key for key in free["metadata"].get("annotations", {}) if key.startswith("tripswitch")
    ]
