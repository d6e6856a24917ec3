"""``convert`` on what people reported of other tools; the inputs are field cases beside the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from tests.support.shared_files import read_shared
from tripswitch.api.codec import read_guarded
from tripswitch.api.crd import build_crd
from tripswitch.cli.app import app
from tripswitch.cli.convert import convert_text
from tripswitch.domain.values import workload

SCHEMA: dict[str, Any] = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def convert_case(name: str) -> tuple[dict[str, Any], str]:
    """Return the one converted object of a case, and the notes."""
    return convert_one(read_shared(f"cases/{name}.yaml"))


def convert_one(text: str) -> tuple[dict[str, Any], str]:
    """Return the one converted object, and the notes; for ECS they are in the text, too."""
    converted, notes, count = convert_text(text, "it")
    assert count == 1
    (found,) = yaml.safe_load_all(converted)
    if "Resources" in text or "containerDefinitions" in text:
        told = [line.removeprefix("# ") for line in converted.splitlines() if line[0] == "#"]
        assert sorted(told) == sorted(note.removeprefix(f"{name_of(found)}: ") for note in notes)
    return found, "\n".join(notes)


def name_of(manifest: dict[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def containers(manifest: dict[str, Any], kind: str = "containers") -> dict[str, dict[str, Any]]:
    """Return the containers by name."""
    return {one["name"]: one for one in manifest["spec"]["template"]["spec"].get(kind, ())}


def expand(text: str, variables: dict[str, str]) -> str:
    """Expand as Kubernetes does (third_party/forked/golang/expansion)."""

    def replace(found: re.Match[str]) -> str:
        if found.group() == "$$":
            return "$"
        return variables.get(found.group(1), found.group())

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


class TestComputedValues:
    def test_a_port_that_is_a_reference_is_to_be_filled_in(self) -> None:
        found, told = convert_case("ecs-port-ref")
        assert containers(found)["web"]["ports"] == [{"containerPort": "FILL-IN"}]
        assert (
            "containerPort of portMappings 1 of container web is '!Ref Port' (by default 8080), "
            "which is computed elsewhere: fill it in"
        ) in told

    def test_so_it_is_in_the_words_of_json(self) -> None:
        text = read_shared("cases/ecs-port-ref.yaml")
        text = text.partition("\n")[2].replace("!Ref Port", '{"Ref": "Port"}')
        found, told = convert_one(text.replace("!Ref Task", "{Ref: Task}"))
        assert containers(found)["web"]["ports"] == [{"containerPort": "FILL-IN"}]
        assert "is '!Ref Port' (by default 8080)" in told

    @pytest.mark.parametrize(
        ("field", "ours"),
        [
            ("Interval", "periodSeconds"),
            ("Timeout", "timeoutSeconds"),
            ("Retries", "failureThreshold"),
            ("StartPeriod", "initialDelaySeconds"),
        ],
    )
    @pytest.mark.parametrize("value", ["!Ref X", "{'Fn::Sub': '${X}'}", ".inf", "soon", "[1]"])
    def test_a_number_of_a_health_check_is_to_be_filled_in(
        self, field: str, ours: str, value: str
    ) -> None:
        found, told = convert_one(
            "Resources: {T: {Type: AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: [{"
            f"Name: web, Image: i, HealthCheck: {{Command: [CMD, x], {field}: {value}}}}}]}}}}}}"
        )
        assert containers(found)["web"]["readinessProbe"][ours] == "FILL-IN"
        assert f"{field[0].lower()}{field[1:]} of healthCheck of container web is" in told

    def test_nothing_under_a_condition_is_dropped_or_taken_literally(self) -> None:
        found, told = convert_case("ecs-conditions")
        assert containers(found)["proxy"]["image"] == "example.test/proxy:1"
        assert "container proxy is there only if HasProxy" in told
        (web,) = (one for name, one in containers(found).items() if name != "proxy")
        assert web["name"] == "fill-in"
        assert "name of container fill-in is '!Ref Name'" in told
        assert web["args"] == ["FILL-IN"]
        assert "command of container fill-in is there only if HasCommand" in told
        assert web["env"] == [{"name": "STAGE", "value": "FILL-IN"}, {"name": "X", "value": "1"}]
        assert "variable STAGE of container fill-in is '!Ref Stage'" in told
        assert "environment 2 of container fill-in is there only if HasX" in told
        assert web["readinessProbe"]["exec"]["command"] == ["FILL-IN"]
        assert "is '!Ref HealthCommand'" in told

    def test_both_branches_of_a_condition_are_there(self) -> None:
        found, told = convert_one(
            "Resources: {T: {Type: AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: "
            "[{'Fn::If': [Big, {Name: big, Image: 'b:1'}, {Name: small, Image: !Sub 's:${Tag}'}]}]}}}"
        )
        assert {name: one["image"] for name, one in containers(found).items()} == {
            "big": "b:1",
            "small": "FILL-IN",
        }
        assert "container big is there only if Big" in told
        assert "container small is there only if not Big" in told

    @pytest.mark.parametrize(
        ("value", "expected"),
        [("true", "true"), ("1.5", "1.5"), ("~", ""), ("2024-02-30", "2024-02-30")],
    )
    def test_a_variable_has_the_text_that_ecs_takes(self, value: str, expected: str) -> None:
        found, _ = convert_one(
            f"{{serviceName: s, containerDefinitions: [{{name: web, image: i, environment: "
            f"[{{name: A, value: {value}}}]}}]}}"
        )
        assert containers(found)["web"]["env"] == [{"name": "A", "value": expected}]


class TestContainers:
    def test_one_that_is_not_essential_is_an_init_container_and_told(self) -> None:
        found, told = convert_case("ecs-not-essential")
        assert list(containers(found)) == ["web"]
        assert list(containers(found, "initContainers")) == ["migrate"]
        assert "container migrate is not essential: it is an init container" in told
        assert "containerDefinitions" not in told

    def test_one_that_serves_is_an_ordinary_container_and_told(self) -> None:
        found, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: web, image: i}, {name: agent, image: a, "
            "essential: false, portMappings: [{containerPort: 2000, protocol: udp}]}]}"
        )
        assert containers(found)["agent"]["ports"] == [{"containerPort": 2000, "protocol": "UDP"}]
        assert "container agent is not essential and serves the others" in told

    @pytest.mark.parametrize("condition", ["COMPLETE", "SUCCESS"])
    def test_one_whose_end_is_awaited_is_an_init_container(self, condition: str) -> None:
        found, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: web, image: i, dependsOn: [{"
            f"containerName: db, condition: {condition}}}]}}, {{name: db, image: d, essential: false, "
            "healthCheck: {command: [CMD, x]}}]}"
        )
        assert list(containers(found, "initContainers")) == ["db"]
        assert "dependsOn" not in told
        assert "not converted: healthCheck of container db" in told

    def test_any_other_order_is_told(self) -> None:
        _, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: web, image: i, dependsOn: [{"
            "containerName: db, condition: HEALTHY}]}, {name: db, image: d}]}"
        )
        assert "not converted: dependsOn of container web: use init containers" in told

    def test_dollars_arrive_as_ecs_hands_them_on(self) -> None:
        text = read_shared("cases/ecs-dollars.yaml")
        (definition,) = yaml.safe_load(text)["containerDefinitions"]
        web = containers(convert_one(text)[0])["web"]
        variables: dict[str, str] = {}
        for one in web["env"]:
            variables[one["name"]] = expand(one["value"], variables)
        assert variables == {one["name"]: one["value"] for one in definition["environment"]}
        assert [expand(word, variables) for word in web["args"]] == definition["command"]
        assert web["env"][0]["value"] == "pa$$$$word"
        assert web["env"][2]["value"] == "cost: $$(HOST)"

    def test_the_kubelet_expands_a_probes_command_too(self) -> None:
        found, _ = convert_one(
            "{serviceName: s, containerDefinitions: [{name: web, image: i, healthCheck: {command: "
            '[CMD-SHELL, "curl $(hostname)"]}}]}'
        )
        probe = containers(found)["web"]["readinessProbe"]
        assert probe["exec"]["command"] == ["sh", "-c", "curl $$(hostname)"]

    def test_names_that_kubernetes_refuses_are_changed_kept_apart_and_told(self) -> None:
        found, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: My_App, image: i}, {name: my-app, image: j}]}"
        )
        assert {name: one["image"] for name, one in containers(found).items()} == {
            "my-app": "i",
            "my-app-2": "j",
        }
        assert "container My_App is named my-app" in told
        assert "container my-app is named my-app-2" in told


class TestTaskDefinitions:
    @pytest.mark.parametrize("form", ["with the outer key", "without it"])
    def test_one_alone_is_converted_and_asks_for_the_service(self, form: str) -> None:
        answer = yaml.safe_load(read_shared("cases/ecs-task-definition.yaml"))
        text = json.dumps(answer["taskDefinition"] if form == "without it" else answer)
        found, told = convert_one(text)
        assert name_of(found) == "web"
        assert containers(found)["web"] == {
            "name": "web",
            "image": "example.test/web:1",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "value": "1"}],
        }
        assert "this is a task definition: give the service, too, with another -f" in told

    @pytest.mark.parametrize("names", [("service", "task"), ("task", "service")])
    def test_the_service_and_its_task_definition_are_handed_in_together(
        self, names: tuple[str, str], tmp_path: Path
    ) -> None:
        (tmp_path / "task").write_text(read_shared("cases/ecs-task-definition.yaml"))
        (tmp_path / "service").write_text(
            '{"services": [{"serviceName": "shop", "desiredCount": 3, "taskDefinition": '
            '"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:22"}]}'
        )
        files = [word for name in names for word in ("-f", str(tmp_path / name))]
        result = CliRunner().invoke(app, ["convert", *files])
        (found,) = yaml.safe_load_all(result.stdout)
        assert (name_of(found), found["spec"]["replicas"]) == ("shop", 3)
        assert containers(found)["web"]["image"] == "example.test/web:1"
        assert "task definition" not in result.stderr

    def test_a_service_without_one_asks_for_it_by_name(self) -> None:
        _, told = convert_one("{serviceName: s, taskDefinition: 'web:22'}")
        assert "the task definition (web:22) is not here: give it, too, with another -f" in told

    def test_a_list_of_containers_as_terraform_has_it(self) -> None:
        found, _ = convert_one('[{"name": "web", "image": "i"}]')
        assert containers(found) == {"web": {"name": "web", "image": "i"}}

    def test_d5_a_container_without_version_consistency_is_excluded(self) -> None:
        both = "{name: a, image: i, versionConsistency: enabled}, {name: b, image: i%s}"
        task = f"{{family: f, containerDefinitions: [{both}]}}"
        found, told = convert_one(task % ", versionConsistency: disabled")
        assert found["spec"]["versionConsistencyExclusions"] == ["b"]
        assert "versionConsistency" not in told
        found, _ = convert_one(task % "")
        assert "versionConsistencyExclusions" not in found["spec"]

    def test_an_image_is_given_to_the_one_container_that_lacks_it(self) -> None:
        task = "{family: f, containerDefinitions: [{name: a, image: <IMAGE1_NAME>}, {name: b%s}]}"
        converted, notes, _ = convert_text(task % ", image: i", "it", "web:1")
        assert "web:1" in converted
        assert not [note for note in notes if "image" in note]
        converted, notes, _ = convert_text(task % "", "it", "web:1")
        assert "web:1" not in converted
        assert "f: --image is not used: containers a, b lack an image" in notes

    def test_each_of_several_services_gets_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "services").write_text(
            "{services: [{serviceName: a, taskDefinition: 'one:3'}, {serviceName: b, taskDefinition: "
            "'two:1'}]}"
        )
        for family in ("two", "one", "three"):
            (tmp_path / family).write_text(
                f"{{family: {family}, containerDefinitions: [{{name: x, image: 'i:{family}'}}]}}"
            )
        files = [
            word
            for name in ("services", "two", "one", "three")
            for word in ("-f", str(tmp_path / name))
        ]
        result = CliRunner().invoke(app, ["convert", *files])
        images = {
            name_of(one): containers(one)["x"]["image"] for one in yaml.safe_load_all(result.stdout)
        }
        assert images == {"a": "i:one", "b": "i:two", "three": "i:three"}


class TestDeployments:
    @pytest.mark.parametrize(
        ("case", "told"),
        [
            ("deployment-duplicate-port", "port 8080/TCP of container main has more than one name"),
            ("deployment-duplicate-env", "variable LOG_LEVEL of container main is given more than"),
        ],
    )
    def test_what_a_deployment_may_repeat_is_kept_taken_and_told(
        self, case: str, told: str
    ) -> None:
        found, notes = convert_case(case)
        (before,) = yaml.safe_load_all(read_shared(f"cases/{case}.yaml"))
        assert found["spec"]["template"] == before["spec"]["template"]
        jsonschema.Draft202012Validator(SCHEMA).validate(found)
        assert told in notes

    def test_half_a_cpu_is_taken_as_a_number(self) -> None:
        found, _ = convert_case("deployment-float-cpu")
        assert containers(found)["main"]["resources"]["requests"]["cpu"] == 0.5
        jsonschema.Draft202012Validator(SCHEMA).validate(found)

    def test_a_live_object_as_json_loses_what_the_server_wrote(self) -> None:
        found, _ = convert_case("live-object-as-json")
        assert found["metadata"] == {"name": "web"}

    def test_one_pod_for_each_node_rolls_as_the_deployment_does(self) -> None:
        found, told = convert_case("one-pod-per-node")
        read = read_guarded(found).spec
        quarter = workload.Amount(25, percent=True)
        assert read.strategy == workload.RollingUpdate(quarter, quarter)
        assert "no strategy is given; the default of a Deployment is written into it" in told

    def test_a_slow_start_without_a_startup_probe_is_told_with_the_numbers(self) -> None:
        _, told = convert_case("slow-start")
        assert (
            "livenessProbe waits 120 s), and a pod that is not Ready in time counts as a failure and "
            "is replaced: 300 s after its containers started in the first rollout, later 60 s or "
            "three times as long as the completed revision took"
        ) in told
        assert "set healthCheckGracePeriodSeconds or a startupProbe" in told

    @pytest.mark.parametrize(
        ("given", "probe", "told"),
        [
            (
                "600",
                1200,
                "gives a pod 1201 s to start, and a rollout fails after progressDeadline",
            ),
            ("600", 1200, "leave it out, or set it to 1292 or more"),
            ("~", 1200, "progressDeadlineSeconds is not given and 1292 by default"),
            ("10", 0, "progressDeadlineSeconds 10 is refused: it must be more than the 10 s"),
            ("600", 500, ""),
            ("11", 0, ""),
            ("0", 1200, ""),
            ("~", 500, ""),
        ],
    )
    def test_a_progress_deadline_that_is_too_short_is_told(
        self, given: str, probe: int, told: str
    ) -> None:
        startup = (
            f"startupProbe: {{failureThreshold: {probe}, periodSeconds: 1}}, " if probe else ""
        )
        _, notes = convert_one(
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: {}, strategy: {}, "
            f"progressDeadlineSeconds: {given}, template: {{spec: {{containers: [{{name: a, {startup}"
            "readinessProbe: {tcpSocket: {port: 1}}}]}}}}"
        )
        assert told in notes
        assert ("progressDeadlineSeconds" in notes) == bool(told)

    @pytest.mark.parametrize("given", [30, 40, 41])
    def test_without_probes_a_progress_deadline_of_forty_seconds_is_too_short(
        self, given: int
    ) -> None:
        _, notes = convert_one(
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: {}, strategy: {}, "
            f"progressDeadlineSeconds: {given}, template: {{spec: {{containers: [{{name: a}}]}}}}}}}}"
        )
        line = f"progressDeadlineSeconds {given} is refused: it must be more than the 40 s"
        assert (line in notes) == (given <= 40)


class TestDisruptionBudgets:
    """Case 14: Kubernetes counts the pods of both revisions of a custom resource."""

    @staticmethod
    def told(budget: str, namespace: str = "a") -> str:
        _, notes, _ = convert_text(
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: a}, spec: "
            "{selector: {}, strategy: {}, replicas: 4, template: {metadata: {labels: {app: web}}, spec: {containers: "
            "[{name: web, image: i, readinessProbe: {tcpSocket: {port: 1}}}]}}}}\n---\n"
            "{apiVersion: policy/v1, kind: PodDisruptionBudget, "
            f"metadata: {{name: b, namespace: {namespace}}}, spec: {{{budget}}}}}",
            "it",
        )
        return "\n".join(notes)

    @pytest.mark.parametrize(
        ("budget", "given"),
        [
            ("maxUnavailable: 1, selector: {matchLabels: {app: web}}", "maxUnavailable 1"),
            ("maxUnavailable: 25%, selector: {matchLabels: {app: web}}", "maxUnavailable 25%"),
            ("minAvailable: 75%, selector: {}", "minAvailable 75%"),
            (
                "minAvailable: 75%, selector: {matchExpressions: [{key: app, operator: Exists}]}",
                "minAvailable 75%",
            ),
        ],
    )
    def test_a_size_that_counts_both_revisions_is_told(self, budget: str, given: str) -> None:
        assert self.told(budget) == (
            f"PodDisruptionBudget/b: {given} counts the pods of both revisions while web rolls out, so "
            "kubectl drain waits until the rollout has ended; give minAvailable as a number"
        )

    @pytest.mark.parametrize(
        "budget",
        [
            "minAvailable: 3, selector: {matchLabels: {app: web}}",
            "maxUnavailable: 1, selector: {matchLabels: {app: other}}",
            "maxUnavailable: 1",
        ],
    )
    def test_a_number_that_must_stay_and_other_budgets_are_not(self, budget: str) -> None:
        assert self.told(budget) == ""

    def test_a_budget_of_another_namespace_is_not(self) -> None:
        assert self.told("maxUnavailable: 1, selector: {matchLabels: {app: web}}", "b") == ""
