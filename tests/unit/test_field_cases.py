"""Field cases beside the repository that are about more than one part, each with its own input."""

from __future__ import annotations

import json
from typing import Any

import yaml
from click.testing import CliRunner

from tests.support.builders import stuck_pod
from tests.support.manual_cluster import completed
from tests.support.shared_files import read_shared
from tripswitch.api.codec import read_guarded
from tripswitch.cli.app import app
from tripswitch.cli.applied import LAST_APPLIED, restate_applied
from tripswitch.cli.convert import convert_text
from tripswitch.domain.values.states import RolloutStatus


def read_case(name: str) -> list[Any]:
    """Return the documents of a case."""
    return list(yaml.safe_load_all(read_shared(f"cases/{name}.yaml")))


def test_native_sidecar_completes_h1_it_trips_instead() -> None:
    """Case 1: a sidecar without a probe makes the pod Ready at each start, so Ready has to last."""
    _, bad = read_case("native-sidecar-completes")
    words = ["simulate", "-f", "-", "--failures", "crash after 6 s"]
    result = CliRunner().invoke(app, words, input=json.dumps(bad))
    assert result.exit_code == 1
    assert "healthy     Ready for 40 s" in result.stdout
    assert "CircuitBreakerTriggered" in result.stdout
    bad["spec"]["template"]["spec"].pop("initContainers")
    assert "Ready for 0 s" in CliRunner().invoke(app, words, input=json.dumps(bad)).stdout


def test_pdb_during_rollout_is_told_when_its_deployment_is_converted() -> None:
    """Case 14."""
    text = read_shared("cases/pdb-during-rollout.yaml")
    text = text.replace("tripswitch.dev/v1alpha1", "apps/v1").replace("GuardedDeploy", "Deploy")
    _, notes, count = convert_text(text, "it")
    assert count == 1
    assert (
        "PodDisruptionBudget/shop: maxUnavailable 1 counts the pods of both revisions while shop rolls "
        "out, so kubectl drain waits until the rollout has ended; give minAvailable as a number"
    ) in notes


def test_undo_then_apply_removes_what_only_the_undone_template_had() -> None:
    """Case 15: kubectl apply removes what the last applied manifest has and the new one has not."""
    first, second, third = read_case("undo-then-apply")
    undone = {**second, "spec": {**second["spec"], "template": first["spec"]["template"]}}
    undone["metadata"] = {"name": "hello", "annotations": {LAST_APPLIED: json.dumps(second)}}
    restate_applied(undone, first["spec"]["template"])
    applied = json.loads(undone["metadata"]["annotations"][LAST_APPLIED])
    before, after = (one["spec"]["template"] for one in (applied, third))
    assert before["spec"].keys() - after["spec"].keys() == {"nodeSelector"}
    assert before["metadata"].keys() - after["metadata"].keys() == {"annotations"}


def test_rollback_configmap_f10_it_is_whole_once_the_config_map_is_back() -> None:
    """Case 16: the template and the ConfigMap were changed in one apply."""
    _, guarded = read_case("rollback-configmap")
    spec = read_guarded(guarded).spec
    world = completed(spec.replicas, strategy=spec.strategy).apply("v2").settle(1.0)
    world.crash("v2", runs=2).settle(1.0)
    assert world.state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    world.become("v1", lambda name, _: stuck_pod(name, "CreateContainerConfigError"))
    world.settle(1.0).settle(600.0)
    assert world.state() is RolloutStatus.ROLLBACK_FAILED
    world.heal("v1").settle()
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert world.healthy() == spec.replicas
