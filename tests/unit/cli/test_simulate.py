"""``simulate`` plays the operator's own rules in a small world that keeps to what can happen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.invariants import check_decision
from tests.unit.cli import inputs
from tripswitch.cli.app import app
from tripswitch.cli.simulate.command import load_guarded
from tripswitch.simulation.rollout import SimulatedRollout, simulate_rollout
from tripswitch.simulation.script import MEANING, parse_script

PROBE = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}


def manifest(replicas: int = 4, **more: Any) -> str:
    containers = [{"name": "web", "image": "web:2", "readinessProbe": PROBE}]
    return json.dumps(
        {
            "apiVersion": "tripswitch.dev/v1alpha1",
            "kind": "GuardedDeployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": containers},
                },
                **more,
            },
        }
    )


def play(script: str, replicas: int = 4, *, first: bool = False, **more: Any) -> SimulatedRollout:
    guarded = load_guarded(manifest(replicas, **more))
    return simulate_rollout(guarded, parse_script([script]), first=first, seconds=3600)


def events(played: SimulatedRollout) -> list[str]:
    return [str(event.reason) for step in played.steps for event in step.events]


def run(*words: str, stdin: str) -> Result:
    return CliRunner().invoke(app, ["simulate", "-f", "-", *words], input=stdin)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("script", [*MEANING, "2 crash", "crash after 20 s", "unready after 30 s"])
def test_no_step_breaks_an_invariant(script: str, *, first: bool) -> None:
    played = play(script, first=first, minReadySeconds=5)
    wrong = [
        f"{look.now}: {broken}"
        for look in played.looks
        for broken in check_decision(look.snapshot, look.decision, look.now)
    ]
    assert wrong == []
    assert played.looks


@pytest.mark.parametrize(("replicas", "threshold"), [(1, 3), (25, 13), (400, 200)])
def test_the_threshold_is_that_of_the_seed(replicas: int, threshold: int) -> None:
    played = play("crash", replicas)
    assert played.threshold == threshold
    assert {step.threshold for step in played.steps} == {threshold}
    assert "CircuitBreakerTriggered" in events(played)


def test_one_crash_looping_pod_trips_when_a_real_kubelet_shows_the_third_failure() -> None:
    played = play("crash", replicas=1)
    tripped = next(step for step in played.steps if "CircuitBreakerTriggered" in events_of(step))
    assert 14.0 < tripped.at < 17.0
    assert [step.count for step in played.steps if step.at < tripped.at] == [0, 1, 2]


def events_of(step: Any) -> list[str]:
    return [str(event.reason) for event in step.events]


def test_a_trip_goes_back_without_losing_a_healthy_pod() -> None:
    played = play("pull")
    assert events(played)[-3:] == [
        "CircuitBreakerTriggered",
        "RollbackStarted",
        "RollbackCompleted",
    ]
    assert all(step.sizes[0].healthy == 4 for step in played.steps)
    assert not played.completed


def test_a_first_rollout_has_nowhere_to_go_back_to() -> None:
    assert events(play("config", first=True))[-1] == "RolloutStalled"


def test_a_lost_node_is_nobodys_fault_and_the_rollout_completes_elsewhere() -> None:
    played = play("node lost at 1 s")
    assert {step.count for step in played.steps} == {0}
    assert played.completed
    assert played.steps[-1].at > 300


def test_what_cannot_be_scheduled_fails_by_the_deadline() -> None:
    played = play("unschedulable", progressDeadlineSeconds=120)
    assert played.steps[-1].at == 120.0
    assert "Insufficient cpu" in played.reason


def test_readiness_that_is_lost_while_it_must_last_counts() -> None:
    played = play("unready after 30 s", minReadySeconds=60)
    assert "PodHealthCheckFailed" in events(played)
    assert not played.completed


def test_the_same_input_gives_the_same_steps() -> None:
    assert play("2 crash, oom after 3 s") == play("2 crash, oom after 3 s")


def test_the_lines_say_the_numbers_the_steps_and_the_end() -> None:
    result = run("--failures", "crash", "--replicas", "1", stdin=manifest())
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[:5] == [
        "web: 1 pod",
        "  threshold   3 failures (BOUNDED_PERCENT 50)",
        "  bounds      at least 1 healthy, at most 2 pods",
        "  healthy     Ready for 0 s",
        "  deadline    600 s without progress",
    ]
    assert "     1.9 s  PodLaunchFailed         pod" in result.output
    assert lines[-1].startswith("revision 2 failed and was rolled back to revision 1")


def test_a_rollout_that_is_well_exits_with_0_and_a_deployment_will_do() -> None:
    result = run("-o", "json", stdin=inputs.PLAIN)
    assert result.exit_code == 0
    assert json.loads(result.output)["bounds"] == {"lower": 3, "upper": 4}


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("--failures", "explode"), manifest(), 2, "'explode' is not understood; there are crash"),
        ((), "kind: Service", 1, "error: the manifest has no GuardedDeployment and no Deployment"),
        ((), "a: [", 1, "error: not YAML"),
        ((), "kind: Deployment\nspec: {replicas: many}", 1, "error: spec."),
        (
            (),
            manifest(10_001),
            1,
            "error: spec.replicas is 10001, and simulate plays at most 10000",
        ),
        (("--replicas", "10001"), manifest(), 2, "10001 is not in the range 0<=x<=10000"),
    ],
)
def test_what_makes_no_sense_is_explained(
    words: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    result = run(*words, stdin=stdin)
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output


def test_a1_a3_a_simulated_rollout_bakes_and_no_alarm_fires() -> None:
    """Its alarms can be read at any time, and what would fire is not part of a script."""
    configuration = {"alarms": {"alarmNames": ["HighErrorRate"]}, "bakeTimeInMinutes": 2}
    played = play("ok", minReadySeconds=5, deploymentConfiguration=configuration)
    assert played.completed
    told = events(played)
    assert told.index("BakeStarted") < told.index("RolloutCompleted")
    began = next(
        step.at for step in played.steps for one in step.events if one.reason == "BakeStarted"
    )
    assert played.steps[-1].at - began == 120


def test_k1_hooks_of_a_simulated_rollout_are_answered_at_once_and_the_earlier_one_completed() -> (
    None
):
    """Whoever tries a manifest wants to see what follows a hook; the revision before had its answers."""
    hook = {"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP", "POST_SCALE_UP"]}
    configuration = {"lifecycleHooks": [hook], "bakeTimeInMinutes": 2}
    played = play("ok", minReadySeconds=5, deploymentConfiguration=configuration)
    assert played.completed
    told = events(played)
    assert told.count("HOOK_AWAITING_ACTION") == told.count("HOOK_SUCCEEDED") == 2
    assert "RolloutStopped" not in told
    assert [size.revision for size in played.steps[0].sizes] == [1, 2]


@pytest.mark.parametrize(
    "template",
    [
        "{metadata: {annotations: {built: 2024-01-01}}, spec: {containers: [{name: x}]}}",
        "{metadata: {annotations: {built: 2024-99-99}}, spec: {containers: [{name: x, image: !!int ''}]}}",
    ],
)
def test_a_date_in_a_manifest_is_text_as_for_kubernetes(template: str) -> None:
    result = run(stdin=f"kind: Deployment\nspec: {{selector: {{}}, template: {template}}}\n")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "text", ["[" * 3000, "kind: !Foo x", "kind: !!binary aGk=", "a: !!set {b}"]
)
def test_what_no_manifest_can_hold_is_one_line(text: str) -> None:
    result = run(stdin=text)
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("error: not YAML: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_deployment_has_its_own_default_strategy_and_nulls_are_not_given() -> None:
    given = json.loads(manifest(replicas=8, paused=None, progressDeadlineSeconds=None))
    bounds = {}
    for kind in ("Deployment", "GuardedDeployment"):
        result = run("-o", "json", stdin=json.dumps({**given, "kind": kind}))
        bounds[kind] = json.loads(result.stdout)["bounds"]
    assert bounds == {
        "Deployment": {"lower": 6, "upper": 10},
        "GuardedDeployment": {"lower": 8, "upper": 16},
    }


def test_fields_that_the_crd_does_not_have_are_told() -> None:
    document = json.loads(manifest(replica=4, deploymentCircuitBreaker={"enable": False}))
    document["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerport": 80}]
    result = run(stdin=json.dumps(document))
    assert [line for line in result.stderr.splitlines() if line] == [
        f"note: spec.{path} is no field of a GuardedDeployment: it is not played, and kubectl apply refuses it"
        for path in (
            "template.spec.containers[0].ports[0].containerport",
            "replica",
            "deploymentCircuitBreaker",
        )
    ]
    assert run(stdin=manifest()).stderr == ""


@pytest.mark.parametrize("content", [b"\xff\xfek\0", b"\x80"])
def test_a_file_that_is_no_text_is_one_line(content: bytes) -> None:
    result = CliRunner().invoke(app, ["simulate", "-f", "-"], input=content)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: - is not text: ")
    assert result.stderr.count("\n") == 1
