"""``convert`` keeps the meaning where two readers of one text, or ECS and Kubernetes, differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.cli import inputs
from tests.unit.cli.test_convert_cases import containers, convert_one, name_of
from tripswitch.cli.app import app
from tripswitch.cli.convert import convert_text

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"


def convert_files(folder: Path, *texts: str) -> tuple[list[Any], str]:
    """Return the converted objects of files that are handed in together, and the notes."""
    words: list[str] = []
    for index, text in enumerate(texts):
        path = folder / f"{index}.yaml"
        path.write_text(text)
        words += ["-f", str(path)]
    result = CliRunner().invoke(app, ["convert", *words])
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.stdout)), result.stderr


class TestNulls:
    """The API reads null in a map of names to text as empty text: the key counts."""

    @pytest.mark.parametrize(
        "text",
        [
            "spec:\n  selector: {}\n  nodeSelector:\n    role/infra:\n    zone: ~ # any\n",
            "spec:\n  selector: {}\n  nodeSelector:\n    role/infra: null\n    zone:   # any\n",
            "spec: {selector: {}, nodeSelector: {role/infra, zone: }}\n",
            'spec: {"selector": {}, "nodeSelector": {"role/infra": null, "zone" : null}}\n',
            "spec:\n  selector: {}\n  nodeSelector: {<<: &x {role/infra: }, zone: ~}\n",
        ],
    )
    def test_a_name_without_a_value_stays_with_empty_text(self, text: str) -> None:
        found, _ = convert_one(f"{DEPLOYMENT}{text}")
        assert found["spec"]["nodeSelector"] == {"role/infra": "", "zone": ""}

    def test_so_it_does_in_labels_and_selectors_and_nowhere_else(self) -> None:
        found, _ = convert_one(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  annotations:\n    a:\n"
            "  labels: ~\nspec:\n  selector: {matchLabels: {b: }}\n  paused:\n  template:\n    metadata:\n"
            "      labels:\n        b:\n    spec:\n      volumes:\n      - name: x\n        emptyDir:\n"
        )
        assert found["metadata"] == {"name": "web", "annotations": {"a": ""}}
        assert found["spec"]["selector"] == {"matchLabels": {"b": ""}}
        assert found["spec"]["template"] == {
            "metadata": {"labels": {"b": ""}},
            "spec": {"volumes": [{"name": "x"}]},
        }
        assert "paused" not in found["spec"]

    def test_a_quantity_is_zero_and_one_that_nobody_chose_is_not_given(self) -> None:
        found, _ = convert_one(
            f"{DEPLOYMENT}spec: {{selector: {{}}, template: {{spec: {{containers: [{{name: a, resources: {{limits: {{cpu: }}, "
            "requests: ~}}], volumes: [{name: v, emptyDir: {sizeLimit: ~}}]}}}"
        )
        spec = found["spec"]["template"]["spec"]
        assert spec["containers"] == [{"name": "a", "resources": {"limits": {"cpu": "0"}}}]
        assert spec["volumes"] == [{"name": "v", "emptyDir": {}}]

    @pytest.mark.parametrize(
        "text",
        [
            "[~, b, null]",
            "\n        -\n        - b\n        -   # nothing\n",
            "\n        - ~\n        - b\n        - null\n",
            '[null, "b", null]',
        ],
    )
    def test_an_argument_without_a_value_is_empty_text(self, text: str) -> None:
        """As a chart renders it that has no value for it."""
        found, _ = convert_one(
            f"{DEPLOYMENT}spec:\n  selector: {{}}\n  template:\n    spec:\n      containers:\n      - args: {text}"
        )
        (container,) = found["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["", "b", ""]


class TestPatches:
    """A part of a Deployment, as an overlay of kustomize has it, says nothing about what it does not name."""

    @pytest.mark.parametrize(
        "rest",
        [
            "spec:\n  replicas: 3\n",
            "spec: {template: {spec: {containers: [{name: a, livenessProbe: null, $patch: replace}]}}}\n",
            "spec:\n  template:\n    metadata:\n      annotations:\n        old: ~\n",
            "$patch: delete\n",
            "",
        ],
        ids=["size", "null deletes", "annotation", "delete", "name alone"],
    )
    def test_only_api_version_and_kind_of_a_patch_are_changed(self, rest: str) -> None:
        converted, notes, count = convert_text(f"{DEPLOYMENT}{rest}", "it")
        assert converted == (
            "apiVersion: tripswitch.dev/v1alpha1\nkind: GuardedDeployment\nmetadata: {name: web}\n"
            + rest
        )
        (note,) = notes
        assert note == (
            "Deployment/web: it has no selector, so it is a patch: only apiVersion and kind are changed"
        )
        assert count == 1


class TestMergeKeys:
    def test_a_strategy_that_a_merge_key_brings_is_not_replaced(self) -> None:
        found, told = convert_one(
            f"{DEPLOYMENT}spec:\n  selector: {{}}\n  template: &t {{strategy: {{type: Recreate}}}}\n  <<: *t\n"
        )
        assert found["spec"]["strategy"] == {"type": "Recreate"}
        assert "no strategy is given" not in told


class TestRefusals:
    """What cannot be changed in place without another meaning is refused, never written."""

    @pytest.mark.parametrize(
        "text",
        [
            f"{DEPLOYMENT}kind: Deployment\nspec: {{}}\n",
            f"{DEPLOYMENT}spec: {{selector: {{}}, paused: true, paused: ~}}\n",
            (
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {uid: &u u, name: web, labels: {x: *u}}\n"
                "spec: {selector: {}}\n"
            ),
            (
                "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  labels: {&u uid : x}\n"
                "  *u : y\nspec: {selector: {}}\n"
            ),
            f"{DEPLOYMENT}spec: {{selector: {{}}, <<: {{paused: true}}, paused: ~}}\n",
        ],
        ids=[
            "kind twice",
            "field twice",
            "anchor cut out",
            "alias as a key",
            "null over a merge key",
        ],
    )
    def test_nothing_is_written(self, text: str) -> None:
        result = CliRunner().invoke(app, ["convert", "-f", "-"], input=text)
        assert (result.exit_code, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: - cannot be changed in place, probably because of an anchor")

    def test_tags_of_others_beside_a_deployment_are_kept(self) -> None:
        text = f"a: !Foo [x, !Bar {{y: 1}}]\nb: !!binary aGk=\nc: .nan\n---\n{DEPLOYMENT}"
        assert convert_text(text, "it")[0] == text.replace(
            "apps/v1", "tripswitch.dev/v1alpha1"
        ).replace("kind: Deployment", "kind: GuardedDeployment")


class TestSeveralFiles:
    def test_what_points_at_a_deployment_of_another_file_is_told(self, tmp_path: Path) -> None:
        other = (
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\n"
            "spec: {scaleTargetRef: {kind: Deployment, name: web}}\n---\n"
            "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\n"
            "spec: {maxUnavailable: 1, selector: {}}\n"
        )
        for texts in ([DEPLOYMENT, other], [other, DEPLOYMENT]):
            _, told = convert_files(tmp_path, *texts)
            assert "HorizontalPodAutoscaler/h: its scaleTargetRef is the Deployment web" in told
            assert "PodDisruptionBudget/b: maxUnavailable 1 counts the pods of both" in told

    def test_services_of_one_name_are_told(self, tmp_path: Path) -> None:
        service = "{serviceName: %s, desiredCount: 1, taskDefinition: 'x:1'}"
        found, told = convert_files(tmp_path, service % "My_Web", service % "my-web")
        assert [name_of(one) for one in found] == ["my-web", "my-web"]
        assert "my-web: service My_Web is named my-web" in told
        assert told.count("another object above is named my-web, too") == 1

    def test_a_byte_order_mark_is_no_part_of_the_text(self, tmp_path: Path) -> None:
        (found,), _ = convert_files(tmp_path, f"\ufeff{DEPLOYMENT}# größer\n")
        assert found["kind"] == "GuardedDeployment"


class TestTabs:
    def test_json_that_is_indented_with_tabs_keeps_them(self) -> None:
        text = '{\n\t"kind": "Deployment",\n\t"apiVersion": "apps/v1",\n\t"spec": {\n\t\t"paused":\tnull,\n'
        text += '\t\t"strategy":\t{},\n\t\t"selector":\t{}\n\t}\n}\n'
        converted, _, _ = convert_text(text, "it")
        assert converted == (
            '{\n\t"kind": "GuardedDeployment",\n\t"apiVersion": "tripswitch.dev/v1alpha1",\n\t"spec": {\n'
            '\t\t"strategy":\t{},\n\t\t"selector":\t{}\n\t}\n}\n'
        )

    def test_a_task_definition_that_is_indented_with_tabs_is_read(self) -> None:
        text = json.dumps(
            {"family": "f", "containerDefinitions": [{"name": "w", "image": "i"}]}, indent="\t"
        )
        found, _ = convert_one(text)
        assert containers(found)["w"]["image"] == "i"

    def test_tabs_before_comments_and_at_the_end_of_lines_stay(self) -> None:
        converted, _, _ = convert_text(
            f"{DEPLOYMENT}spec:\t# x\n  selector: {{}}\t\n  paused: ~\t# y\n", "it"
        )
        assert converted.endswith(
            "spec:\t# x\n  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}\n  selector: {}\t\n"
        )


class TestScalars:
    """YAML 1.1 reads some text without quotes as a number or a switch; other readers do not."""

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("no", "false"),
            ("On", "true"),
            ("0755", "493"),
            ("0x1F", "31"),
            ("12:30", "750"),
            ("1_000", "1000"),
            ("1.10", "1.1"),
            ("+5", "5"),
        ],
    )
    def test_text_is_kept_as_it_is_written_and_told(self, written: str, read: str) -> None:
        found, told = convert_one(
            f"{{serviceName: s, containerDefinitions: [{{name: web, image: i, command: [{written}], "
            f"environment: [{{name: A, value: {written}}}]}}]}}"
        )
        web = containers(found)["web"]
        assert (web["env"], web["args"]) == ([{"name": "A", "value": written}], [written])
        line = f"is {written} without quotes, which YAML 1.1 reads as {read}: it is kept as it is"
        assert f"variable A of container web {line}" in told
        assert f"command 1 of container web {line}" in told

    @pytest.mark.parametrize("written", ["5", "1.5", "true", "False", "'no'", "x"])
    def test_what_every_reader_reads_alike_is_not_told(self, written: str) -> None:
        _, told = convert_one(
            f"{{serviceName: s, containerDefinitions: [{{name: web, image: i, environment: "
            f"[{{name: A, value: {written}}}]}}]}}"
        )
        assert "YAML 1.1" not in told

    @pytest.mark.parametrize("text", ["y", "1e3", "098765432109", "0o17"])
    def test_text_that_only_other_readers_take_for_something_else_is_told(self, text: str) -> None:
        service = "{serviceName: s, containerDefinitions: [{name: w, image: i, environment: [{name: A, value: %s}]}]}"
        line = (
            f"variable A of container w is {text} without quotes, which some readers of YAML take for a "
            "number or a switch: it is kept as it is written; check it"
        )
        for given, is_told in ((text, True), (f"'{text}'", False)):
            found, told = convert_one(service % given)
            assert containers(found)["w"]["env"] == [{"name": "A", "value": text}]
            assert (line in told) == is_told

    def test_names_and_text_are_written_so_that_kubectl_reads_text(self) -> None:
        converted, _, _ = convert_text(
            '{"serviceName": "1e3", "containerDefinitions": [{"name": "y", "image": "089", '
            '"environment": [{"name": "N", "value": "\\ud83d\\ude00"}]}]}',
            "it",
        )
        for text in ("  name: '1e3'", "name: 'y'", "image: '089'", "name: 'N'", '"\\U0001F600"'):
            assert text in converted

    def test_where_a_number_or_a_switch_is_wanted_it_is_one(self) -> None:
        found, told = convert_one(
            "{serviceName: s, desiredCount: 0x10, deploymentConfiguration: {deploymentCircuitBreaker: "
            "{enable: yes, rollback: off}}, containerDefinitions: [{name: web, image: i}]}"
        )
        assert found["spec"]["replicas"] == 16
        breaker = found["spec"]["deploymentConfiguration"]["deploymentCircuitBreaker"]
        assert breaker == {"enable": True, "rollback": False}
        assert "YAML 1.1" not in told

    @pytest.mark.parametrize("value", ["!!binary aGk=", "!!set {a}", "!!omap [a: b]"])
    def test_types_that_ecs_does_not_have_are_to_be_filled_in(self, value: str) -> None:
        found, told = convert_one(
            f"{{serviceName: s, containerDefinitions: [{{name: web, image: i, environment: "
            f"[{{name: A, value: {value}}}]}}]}}"
        )
        assert containers(found)["web"]["env"] == [{"name": "A", "value": "FILL-IN"}]
        assert f"variable A of container web is '{value[1:].split(maxsplit=1)[0]} " in told

    def test_a_key_that_is_given_twice_is_told(self) -> None:
        _, told = convert_one(
            "serviceName: s\ndesiredCount: 1\ndesiredCount: 2\ncontainerDefinitions: [{name: web, image: i}]"
        )
        assert "desiredCount of line 3 is given twice: the last one is taken" in told


class TestEcs:
    def test_init_containers_run_in_the_order_of_depends_on(self) -> None:
        found, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: web, image: i, dependsOn: [{containerName: "
            "migrate, condition: SUCCESS}]}, {name: migrate, image: m, essential: false, dependsOn: [{"
            "containerName: fetch, condition: COMPLETE}]}, {name: fetch, image: f, essential: false}]}"
        )
        assert list(containers(found, "initContainers")) == ["fetch", "migrate"]
        assert "dependsOn" not in told

    def test_init_containers_that_wait_for_each_other_are_all_there(self) -> None:
        found, _ = convert_one(
            "{serviceName: s, containerDefinitions: [{name: web, image: i}, {name: a, image: m, essential: "
            "false, dependsOn: [{containerName: b, condition: SUCCESS}]}, {name: b, image: f, essential: "
            "false, dependsOn: [{containerName: a, condition: SUCCESS}]}]}"
        )
        assert list(containers(found, "initContainers")) == ["a", "b"]

    @pytest.mark.parametrize("image", ["${app_image}", "{{ image }}:1", "web:<TAG>", "web:1 "])
    def test_an_image_that_another_tool_fills_in_is_to_be_filled_in(self, image: str) -> None:
        """Container definitions are often a template of Terraform's."""
        found, told = convert_one(
            json.dumps(
                {"serviceName": "s", "containerDefinitions": [{"name": "w", "image": image}]}
            )
        )
        assert containers(found)["w"]["image"] == "FILL-IN"
        line = f"image of container w is '{image.strip()}', which is computed elsewhere: fill it in"
        assert line in told.replace(" ',", "',")

    @pytest.mark.parametrize("image", ["a/b:1.2_x-y", "r.example:5000/a@sha256:0a", "web:a--b"])
    def test_any_other_image_is_kept(self, image: str) -> None:
        found, told = convert_one(
            json.dumps(
                {"serviceName": "s", "containerDefinitions": [{"name": "w", "image": image}]}
            )
        )
        assert containers(found)["w"]["image"] == image
        assert "image of" not in told

    @pytest.mark.parametrize("value", ["${db_host}", "x-{{ db }}"])
    def test_a_variable_that_another_tool_may_fill_in_is_kept_and_told(self, value: str) -> None:
        environment = [{"name": "A", "value": value}, {"name": "B", "value": "$HOME {x}"}]
        definition = {"name": "w", "image": "i", "environment": environment}
        found, told = convert_one(json.dumps([definition]))
        assert containers(found)["w"]["env"] == environment
        assert (
            f"variable A of container w is {value!r}, which is kept as it is written: fill it in where "
            "another tool, such as Terraform, replaces a part of it"
        ) in told
        assert "variable B" not in told

    @pytest.mark.parametrize("value", ["maybe", "{Ref: X}", "5"])
    def test_a_version_consistency_that_is_unknown_is_told(self, value: str) -> None:
        _, told = convert_one(
            f"{{serviceName: s, containerDefinitions: [{{name: web, image: i, versionConsistency: {value}}}]}}"
        )
        assert "versionConsistency of container web is " in told
        assert "fill in versionConsistencyExclusions" in told

    def test_one_of_two_task_definitions_under_a_condition_is_told(self) -> None:
        task = "Type: AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: [{Name: w, Image: %s}]}"
        converted, notes, _ = convert_text(
            f"Resources: {{A: {{{task % 'a'}}}, B: {{{task % 'b'}}}, S: {{Type: AWS::ECS::Service, Properties: "
            "{TaskDefinition: {'Fn::If': [Prod, {Ref: A}, {Ref: B}]}}}}",
            "it",
        )
        service, alone = yaml.safe_load_all(converted)
        assert containers(service)["w"]["image"] == "a"
        assert containers(alone)["w"]["image"] == "b"
        assert (
            "s: taskDefinition is '!If [Prod, !Ref A, !Ref B]', which is computed elsewhere: A is taken"
        ) in notes

    @pytest.mark.parametrize("others", ["", "S: {Type: AWS::ECS::Service, Properties: {}}, "])
    @pytest.mark.parametrize("name", ["Fn::ForEach::Services", "Fn::Transform"])
    def test_what_makes_resources_is_told(self, name: str, others: str) -> None:
        _, notes, count = convert_text(
            f"Resources: {{{others}'{name}': [N, [a, b], {{'S${{N}}': {{Type: 'AWS::ECS::Service'}}}}]}}",
            "it",
        )
        assert count == bool(others)
        assert (
            f"not converted: {name}: it makes resources: give the template that CloudFormation made of it "
            "(aws cloudformation get-template --template-stage Processed)"
        ) in notes

    def test_resources_that_may_hold_services_say_where_to_find_them(self) -> None:
        _, told = convert_one(
            "Resources: {S: {Type: 'AWS::ECS::Service', Properties: {ServiceName: s}}, A: {Type: "
            "'AWS::CloudFormation::Stack'}, B: {Type: 'AWS::ECS::ExpressGatewayService'}}"
        )
        assert "resource A (AWS::CloudFormation::Stack): give its template, too" in told
        assert "resource B (AWS::ECS::ExpressGatewayService): give what aws ecs describe" in told

    @pytest.mark.parametrize("name", ["a--b", "80", "-a", "a_b", "sixteen-letters-"])
    def test_a_ports_name_that_kubernetes_refuses_is_told(self, name: str) -> None:
        found, told = convert_one(
            f"{{serviceName: s, containerDefinitions: [{{name: w, image: i, portMappings: [{{containerPort: 80, name: {name!r}}}]}}]}}"
        )
        assert containers(found)["w"]["ports"] == [{"containerPort": 80}]
        assert "not converted: name of portMappings 1 of container w: a port's name has" in told

    def test_a_port_mapping_without_a_port_is_told(self) -> None:
        _, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: w, image: i, portMappings: [{protocol: udp}]}]}"
        )
        assert "not converted: portMappings 1 of container w: it has no containerPort" in told

    @pytest.mark.parametrize(("given", "told_of"), [("60", True), ("0", False), ("~", False)])
    def test_a_start_period_in_which_nothing_is_checked_is_told(
        self, given: str, *, told_of: bool
    ) -> None:
        found, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: w, image: i, healthCheck: {command: [CMD, x], "
            f"startPeriod: {given}}}}}]}}"
        )
        delay = containers(found)["w"]["readinessProbe"]["initialDelaySeconds"]
        assert delay == (60 if told_of else 0)
        line = (
            "startPeriod of healthCheck of container w is its initialDelaySeconds: a pod is Ready 60 s after "
            "its start at the earliest, in ECS as soon as a check passes; a startupProbe of the same command "
            "does that"
        )
        assert (line in told) == told_of

    def test_a_health_check_that_names_no_way_to_run_it_is_told(self) -> None:
        found, told = convert_one(
            "{serviceName: s, containerDefinitions: [{name: w, image: i, healthCheck: {command: [curl, x]}}]}"
        )
        probe = containers(found)["w"]["readinessProbe"]
        assert probe["exec"]["command"] == ["curl", "x"]
        assert "command of healthCheck of container w begins with neither CMD nor CMD-SHELL" in told


class TestServerless:
    def test_what_another_setting_replaces_is_told(self) -> None:
        found, told = convert_one(
            "fargate: {cloudFormationResource: {service: {DesiredCount: 7}}, tasks: {api: {image: i, "
            "environment: {A: 1}, service: {desiredCount: 2}, cloudFormationResource: {container: "
            "{Environment: [{Name: B, Value: b}]}}}}}"
        )
        assert found["spec"]["replicas"] == 2
        assert containers(found)["api"]["env"] == [{"name": "B", "value": "b"}]
        assert "desiredCount of service of task api is 7: replaced by 2" in told
        assert (
            "environment of task api is [{name: A, value: 1}]: replaced by [{Name: B, Value: b}]"
        ) in told

    def test_why_nothing_was_converted_is_told(self) -> None:
        _, notes, count = convert_text("fargate: {tasks: {a: {image: i}}}", "it")
        assert count == 0
        assert notes == [
            "not converted: task a: it has no service; make a Job or a CronJob",
            "no task of fargate has a service",
        ]

    def test_a_service_that_is_computed_is_told(self) -> None:
        _, notes, count = convert_text(
            "fargate: {tasks: {a: {service: '${file(a.yml)}'}, b: {image: i, service: {spot: true}}}}",
            "it",
        )
        assert count == 1
        assert (
            "service of task a is '${file(a.yml)}', which is computed elsewhere: fill it in"
            in notes
        )

    def test_a_template_among_its_resources_is_converted(self) -> None:
        indented = inputs.CLOUDFORMATION.replace("\n", "\n  ")
        found, told = convert_one(
            f"service: shop\nprovider: {{name: aws}}\nresources:\n  {indented}"
        )
        assert containers(found)["web"]["image"] == "registry.example.com/web:1.4"
        assert "not converted: service, provider: no part of the service" in told
        assert "serviceName is '!Sub ${AWS::StackName}-web', which is computed" in told
