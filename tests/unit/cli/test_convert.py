"""``convert`` changes what must change, keeps all the rest, and tells what has no counterpart."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.cli import inputs
from tripswitch.api.codec import read_guarded
from tripswitch.cli.app import app
from tripswitch.cli.convert import convert_text
from tripswitch.cli.problems import Problem
from tripswitch.domain.values.workload import BreakerSpec, Percentages, ThresholdType


def changed(before: str) -> list[str]:
    after = convert_text(before, "it")[0]
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def notes(text: str, image: str | None = None) -> str:
    return "\n".join(convert_text(text, "it", image)[1])


def spec(text: str, image: str | None = None) -> dict[str, Any]:
    (found,) = yaml.safe_load_all(convert_text(text, "it", image)[0])
    return dict(found["spec"])


def test_only_api_version_and_kind_of_a_deployment_change() -> None:
    assert changed(inputs.PLAIN) == [
        "- apiVersion: apps/v1   # soon another one",
        "+ apiVersion: tripswitch.dev/v1alpha1   # soon another one",
        "- kind: Deployment",
        "+ kind: GuardedDeployment",
    ]
    assert convert_text(inputs.PLAIN, "it")[1] == []


def test_other_kinds_pass_through_and_nulls_that_a_custom_resource_refuses_go() -> None:
    """As ``helm template`` prints it."""
    assert sorted(changed(inputs.HELM)) == [
        "+   strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}",
        "+ apiVersion: tripswitch.dev/v1alpha1",
        "+ kind: GuardedDeployment",
        "-       annotations:",
        "-       securityContext:",
        "- apiVersion: apps/v1",
        "- kind: Deployment",
    ]


def test_what_points_at_the_deployment_is_told() -> None:
    assert "HorizontalPodAutoscaler/web: its scaleTargetRef is the Deployment web" in notes(
        inputs.HELM
    )


def test_what_the_fields_mean_differently_is_told() -> None:
    told = notes(inputs.HELM)
    assert "Deployment/web: no strategy is given" in told
    assert "no readiness probe in container web: a pod counts as healthy after 40 s" in told


@pytest.mark.parametrize("text", [inputs.LIVE, inputs.JSON], ids=["kubectl get", "json"])
def test_what_the_server_wrote_is_left_out(text: str) -> None:
    found = yaml.safe_load(convert_text(text, "it")[0])
    one = found["items"][0] if found["kind"] == "List" else found
    assert one["kind"] == "GuardedDeployment"
    assert one["metadata"] == {"name": "web"}
    assert "status" not in one
    assert one["spec"]["template"]["metadata"] == {"labels": {"app": "web"}}
    assert one["spec"]["template"]["spec"]["containers"][0]["resources"] == {}


def test_a_list_keeps_its_other_items() -> None:
    found = yaml.safe_load(convert_text(inputs.LIVE, "it")[0])
    assert found["items"][1] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
    }


def test_a_list_in_a_list_is_opened_as_kubectl_does() -> None:
    item = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s}, spec: {strategy: {}}}"
    text = f"kind: List\nitems:\n- {item % 'a'}\n- kind: List\n  items:\n  - {item % 'b'}\n"
    converted, _, count = convert_text(text, "it")
    assert count == 2
    assert converted == text.replace("apps/v1", "tripswitch.dev/v1alpha1").replace(
        "kind: Deployment", "kind: GuardedDeployment"
    )


def test_a_deployment_without_a_kind_is_told() -> None:
    """So the API's own list has them; kubectl's has kinds."""
    text = "apiVersion: apps/v1\nkind: DeploymentList\nitems: [{metadata: {name: web}, spec: {}}]\n"
    converted, notes, count = convert_text(text, "it")
    assert (converted, count) == (text, 0)
    (note,) = notes
    assert note == (
        "web of a DeploymentList: not converted: it has no kind; take what kubectl get deployments -o "
        "yaml prints"
    )


def test_anchors_aliases_and_merge_keys_stay_whole() -> None:
    """An alias stands where it stands, not where its anchor does."""
    text = """\
apiVersion: apps/v1
kind: Deployment
metadata: {uid: x, name: web, labels: &l {app: web}, annotations: *l, managedFields: *l}
spec:
  strategy: &none
  paused: *none
  selector: {matchLabels: *l}
  template:
    metadata:
      <<: &m
        labels: *l
        creationTimestamp:
      annotations: *l
      generateName:
    spec: {containers: [{name: web, image: "i"}]}
status: *m
"""
    found = yaml.safe_load(convert_text(text, "it")[0])
    assert found["metadata"] == {
        "name": "web",
        "labels": {"app": "web"},
        "annotations": {"app": "web"},
    }
    assert found["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
    assert found["spec"]["template"]["metadata"]["annotations"] == {"app": "web"}
    assert set(found) == {"apiVersion", "kind", "metadata", "spec"}
    assert "paused" not in found["spec"]


def test_an_anchor_that_would_be_cut_is_told_instead_of_a_broken_text() -> None:
    text = (
        "{apiVersion: apps/v1, kind: Deployment, metadata: {uid: &u x, name: *u}, "
        "spec: {selector: {}}}"
    )
    with pytest.raises(Problem, match="an anchor"):
        convert_text(text, "it")


def test_a_service_as_the_api_describes_it() -> None:
    found = spec(inputs.ECS_API, image="web:1")
    assert found["replicas"] == 25
    assert found["healthCheckGracePeriodSeconds"] == 30
    assert found["deploymentConfiguration"] == {
        "minimumHealthyPercent": 75,
        "maximumPercent": 150,
        "deploymentCircuitBreaker": {
            "enable": True,
            "rollback": True,
            "resetOnHealthyTask": False,
            "thresholdConfiguration": {"type": "UNBOUNDED_PERCENT", "value": 20},
        },
        "alarms": {"enable": True, "rollback": True, "alarmNames": ["errors"]},
        "bakeTimeInMinutes": 0,
    }
    told = notes(inputs.ECS_API)
    assert (
        "shop-web: alarms: each name has to be that of a Prometheus alerting rule: errors; a CloudWatch "
        "alarm is none, so write the rules (docs/how-to/alarms.md), with the label namespace"
    ) in told
    assert "not converted: loadBalancers: make a Service" in told
    assert "not converted: launchType" in told
    assert "fill in the container's image" in told
    assert "strategy" not in told, "ROLLING is what it is anyway"
    assert "runningCount" not in told, "a record is no setting"


@pytest.mark.parametrize(
    ("given", "found", "told"),
    [
        pytest.param(
            {"alarms": {"alarmNames": [], "enable": False, "rollback": False}},
            {"alarms": {"enable": False, "rollback": False, "alarmNames": []}},
            "",
            id="switched off",
        ),
        pytest.param(
            {"alarms": {"alarmNames": [], "enable": True, "rollback": True}},
            {"alarms": {"enable": False, "rollback": True, "alarmNames": []}},
            "alarms names no alarm, so it is switched off",
            id="without names",
        ),
        pytest.param(
            {"alarms": {"alarmNames": ["a", "a"], "enable": True}, "bakeTimeInMinutes": 7},
            {"alarms": {"enable": True, "alarmNames": ["a"]}, "bakeTimeInMinutes": 7},
            "each name has to be that of a Prometheus alerting rule: a;",
            id="with a bake",
        ),
        pytest.param({"bakeTimeInMinutes": 7}, {"bakeTimeInMinutes": 7}, "", id="a bake alone"),
        pytest.param({"bakeTimeInMinutes": 0}, {}, "", id="no bake"),
    ],
)
def test_alarms_and_bake_time_are_converted(
    given: dict[str, Any], found: dict[str, Any], told: str
) -> None:
    text = json.dumps({"serviceName": "web", "deploymentConfiguration": given})
    configuration = spec(text, image="web:1")["deploymentConfiguration"]
    assert configuration == found
    assert told in notes(text)
    assert "not converted: bakeTime" not in notes(text)


def test_a_cloudformation_template_with_its_task_definition() -> None:
    found = spec(inputs.CLOUDFORMATION)
    assert "replicas" not in found
    assert found["deploymentConfiguration"] == {
        "minimumHealthyPercent": 100,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    }
    assert found["template"]["spec"]["containers"] == [
        {
            "name": "web",
            "image": "registry.example.com/web:1.4",
            "command": ["node"],
            "args": ["server.js"],
            "ports": [{"containerPort": 3000}],
            "env": [{"name": "MODE", "value": "production"}],
            "readinessProbe": {
                "exec": {"command": ["sh", "-c", "curl -f http://localhost:3000/ || exit 1"]},
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 3,
                "initialDelaySeconds": 15,
            },
        }
    ]
    told = notes(inputs.CLOUDFORMATION)
    assert "desiredCount is '!Ref Count', which is computed elsewhere: fill in replicas" in told
    assert "not converted: networkConfiguration" in told
    assert "not converted: cpu of container web: set resources.requests" in told


def test_the_seeds_serverless_configuration() -> None:
    found = spec(inputs.SERVERLESS)
    assert found["replicas"] == 1
    assert found["deploymentConfiguration"] == {
        "minimumHealthyPercent": 100,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": True, "rollback": False},
    }
    (container,) = found["template"]["spec"]["containers"]
    assert container["image"] == "your_docker_image"
    assert container["ports"] == [{"containerPort": 3000}]


def test_a_deployment_configuration_alone() -> None:
    assert spec(inputs.BARE)["deploymentConfiguration"] == {
        "maximumPercent": 110,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    }


HOOKED = """\
deploymentConfiguration:
  earlySuccessCriteria:
    {enable: true, healthyPercent: 90, sourceServiceRevisionCleanup: DEFERRED, other: 1}
  lifecycleHooks:
  - targetType: PAUSE
    lifecycleStages: [PRE_SCALE_UP, POST_TEST_TRAFFIC_SHIFT]
    timeoutConfiguration: {timeoutInMinutes: 60, action: CONTINUE}
  - {targetType: PAUSE, lifecycleStages: [POST_SCALE_UP]}
  - {targetType: PAUSE, lifecycleStages: [RECONCILE_SERVICE]}
  - {hookTargetArn: "arn:aws:lambda:check", roleArn: r, lifecycleStages: [PRE_SCALE_UP]}
taskDefinition: web:1
"""


def test_early_success_and_hooks_of_type_pause_are_taken_and_others_told() -> None:
    found = spec(HOOKED)["deploymentConfiguration"]
    assert found["earlySuccessCriteria"] == {
        "enable": True,
        "healthyPercent": 90,
        "sourceServiceRevisionCleanup": "DEFERRED",
    }
    assert found["lifecycleHooks"] == [
        {
            "targetType": "PAUSE",
            "lifecycleStages": ["PRE_SCALE_UP"],
            "timeoutConfiguration": {"timeoutInMinutes": 60, "action": "CONTINUE"},
        },
        {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]},
    ]
    told = notes(HOOKED)
    assert "stage POST_TEST_TRAFFIC_SHIFT of lifecycleHooks 1" in told
    assert (
        "not converted: stage RECONCILE_SERVICE of lifecycleHooks 3: the first stage of a rollout here "
        "is PRE_SCALE_UP" in told
    )
    assert (
        "not converted: lifecycleHooks 4 (arn:aws:lambda:check): only hooks of type PAUSE" in told
    )
    assert "not converted: other" in told


def test_a_service_without_a_breaker_is_told_that_it_has_one_now() -> None:
    assert "set enable: false to keep it off" in notes('{"taskDefinition": "web:1"}')


@pytest.mark.parametrize("name", ["ecs-api", "cloudformation", "serverless", "bare"])
def test_what_comes_out_means_what_went_in(name: str) -> None:
    """Read back by the operator's own code."""
    (manifest,) = yaml.safe_load_all(convert_text(inputs.ALL[name], name)[0])
    read = read_guarded(manifest).spec
    expected = {
        "ecs-api": (BreakerSpec(True, True, False, ThresholdType.UNBOUNDED_PERCENT, 20), (75, 150)),
        "cloudformation": (BreakerSpec(), (100, 200)),
        "serverless": (BreakerSpec(rollback=False), (100, 200)),
        "bare": (BreakerSpec(), (100, 110)),
    }[name]
    assert (read.breaker, read.strategy) == (expected[0], Percentages(*expected[1]))


def test_a_chart_that_was_not_rendered_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text("kind: {{ .Values.kind }}\nname: {{- x }}\n")
    result = CliRunner().invoke(app, ["convert", "-f", str(file)])
    assert result.exit_code == 1
    assert "render the chart first: helm template" in result.output
    assert result.output.count("\n") == 1


def test_a_file_without_anything_to_convert_passes_through_and_says_so() -> None:
    result = CliRunner().invoke(app, ["convert", "-f", "-"], input="kind: Service\n")
    assert result.exit_code == 1
    assert result.stdout == "kind: Service\n"
    assert result.stderr == "error: the input has no Deployment and no ECS service\n"


def test_notes_go_to_standard_error_and_several_files_become_one_stream(tmp_path: Path) -> None:
    for name in ("plain", "ecs-api"):
        (tmp_path / name).write_text(inputs.ALL[name])
    files = ["-f", str(tmp_path / "plain"), "-f", str(tmp_path / "ecs-api")]
    result = CliRunner().invoke(app, ["convert", *files])
    kinds = [one["kind"] for one in yaml.safe_load_all(result.stdout)]
    assert kinds == ["GuardedDeployment", "GuardedDeployment"]
    assert "note: shop-web: alarms: each name" in result.stderr
    assert "# alarms: each name" in result.stdout
    assert CliRunner().invoke(app, ["convert", "-q", *files]).stderr == ""
