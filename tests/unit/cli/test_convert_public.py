"""``convert`` on manifests that people publish, as they are, and on what mistakes make of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.shared_files import name_shared, read_shared
from tests.support.strategies import JSON
from tests.unit.cli import inputs
from tripswitch.api.crd import build_crd
from tripswitch.cli.app import app
from tripswitch.cli.convert import convert_text
from tripswitch.cli.convert.loading import load_documents
from tripswitch.cli.convert.values import Computed, escape_dollars

SCHEMA: dict[str, Any] = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ECS_TYPES = ("AWS::ECS::Service", "AWS::ECS::TaskDefinition")

TRANSLATED: dict[str, Any] = {
    "Type": [*ECS_TYPES],
    "Essential": [True],
    "Protocol": ["tcp"],
}
"""Values that the result says without a word."""
FRAMES = frozenset(
    {
        *("Properties", "ContainerDefinitions", "PortMappings", "Environment"),
        *("DeploymentConfiguration", "DeploymentCircuitBreaker"),
    }
)
"""Keys of which each part is translated or told."""
LINKS = frozenset({"Family", "TaskDefinition"})
"""Keys that lead from the service to its task definition."""


def invoke(text: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["convert", "-f", "-", *options], input=text)


def list_keys(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every key with its path; computed values are values, but their parts may have keys."""
    if isinstance(value, Computed):
        yield from list_keys(value.argument, path)
    elif isinstance(value, list):
        for one in value:
            yield from list_keys(one, path)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield (*path, name), one
            yield from list_keys(one, (*path, name))


def is_told(name: str, notes: str) -> bool:
    """Return whether a note is about a key: ``not converted: cpu of``, ``desiredCount is``."""
    lowered = re.escape(name[:1].lower() + name[1:])
    left_out = rf"not converted: (.*, )?(resource )?({re.escape(name)}|{lowered})[ :,]"
    computed = rf"(^|: ){lowered}( \d+)? (of|is)\b"
    return re.search(f"{left_out}|{computed}", notes, re.MULTILINE) is not None


def list_texts(manifest: Any) -> list[str]:
    """Return every scalar of a manifest as text."""
    if isinstance(manifest, dict):
        return [text for one in manifest.values() for text in list_texts(one)]
    if isinstance(manifest, list):
        return [text for one in manifest for text in list_texts(one)]
    return [str(manifest)]


class TestEcs:
    @pytest.mark.parametrize("name", name_shared("manifests/ecs"))
    def test_every_key_is_translated_or_told(self, name: str) -> None:
        """Told: the key itself or one that it is part of. Translated: its value is in the result."""
        text = read_shared(name)
        (document,) = load_documents(text)
        result = invoke(text)
        assert result.exit_code == 0, result.output
        results = set(list_texts(list(yaml.safe_load_all(result.stdout))))
        checked = 0
        for path, value in list_keys(document):
            if path[0] == "Resources":
                resource = document["Resources"].get(path[1]) if path[1:] else None
                if resource is None or (resource["Type"] in ECS_TYPES and len(path) == 2):
                    continue  # only a frame
                within = path[2:] if resource["Type"] in ECS_TYPES else path[1:2]
            else:
                within = path
            checked += 1
            plain = not isinstance(value, dict | list | Computed)
            assert (
                within[-1] in FRAMES | LINKS
                or (plain and (str(value) in results or value in TRANSLATED.get(within[-1], ())))
                or (plain and str(value).lower() in results)
                or any(is_told(one, result.stderr) for one in within)
            ), path
        assert checked > 60

    @pytest.mark.parametrize("name", name_shared("manifests/ecs"))
    def test_what_is_told_stands_in_the_result_too(self, name: str) -> None:
        result = invoke(read_shared(name))
        comments = {line[2:] for line in result.stdout.splitlines() if line.startswith("# ")}
        notes = {line.removeprefix("note: ") for line in result.stderr.splitlines()}
        assert comments == {note.removeprefix("service: ") for note in notes}
        assert len(notes) > 10

    @pytest.mark.parametrize("name", name_shared("manifests/ecs"))
    def test_no_computed_value_is_taken_literally(self, name: str) -> None:
        (manifest,) = yaml.safe_load_all(invoke(read_shared(name)).stdout)
        assert not [text for text in list_texts(manifest) if "!" in text or "${" in text]
        assert "FILL-IN" in list_texts(manifest)


class TestKubernetes:
    @pytest.mark.parametrize("name", name_shared("manifests/kubernetes"))
    def test_every_deployment_becomes_an_object_that_the_crd_takes(self, name: str) -> None:
        text = read_shared(name)
        before = [one for one in yaml.safe_load_all(text) if one]
        after = [one for one in yaml.safe_load_all(convert_text(text, name)[0]) if one]
        assert [one["metadata"]["name"] for one in after] == [
            one["metadata"]["name"] for one in before
        ]
        for old, new in zip(before, after, strict=True):
            if old["kind"] != "Deployment":
                assert new == old
                continue
            assert (new["apiVersion"], new["kind"]) == (
                "tripswitch.dev/v1alpha1",
                "GuardedDeployment",
            )
            VALIDATOR.validate(new)
            assert new["spec"]["template"] == without_nulls(old["spec"]["template"])

    def test_there_are_many(self) -> None:
        deployments = [
            one
            for param in name_shared("manifests/kubernetes")
            for one in yaml.safe_load_all(read_shared(str(param.values[0])))
            if one and one["kind"] == "Deployment"
        ]
        assert len(deployments) > 20


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


# Mistakes ---------------------------------------------------------------------------------------

TEXTS = [*inputs.ALL.values()]


def as_json(value: Any) -> Any:
    """Return a document as it is in JSON: functions in their long form."""
    if isinstance(value, Computed):
        name = value.function if value.function == "Ref" else f"Fn::{value.function}"
        return {name: as_json(value.argument)}
    if isinstance(value, dict):
        return {name: as_json(one) for name, one in value.items()}
    return [as_json(one) for one in value] if isinstance(value, list) else value


def list_places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place of a document that can hold something else: its parent and its key."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key, one in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
            pairs += [(value, key), *list_places(one)]
    return pairs


@st.composite
def mistaken(draw: st.DrawFn, texts: list[str]) -> str:
    """A document of which some places hold anything at all, are gone, or are there twice."""
    (document,) = [as_json(one) for one in load_documents(draw(st.sampled_from(texts)))][:1]
    for _ in range(draw(st.integers(1, 4))):
        places = list_places(document)
        if not places:
            break
        parent, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["retype", "remove", "compute", "wrap", "sentinel"])):
            case "retype":
                parent[key] = draw(JSON)
            case "remove":
                del parent[key]
            case "compute":
                parent[key] = draw(
                    st.sampled_from(
                        [{"Ref": "X"}, {"Fn::If": ["C", parent[key], {"Ref": "AWS::NoValue"}]}]
                    )
                )
            case "wrap":
                parent[key] = [parent[key]]
            case _:
                parent[key] = {"sentinel": parent[key]}
    return json.dumps(document)


def assert_no_traceback(result: Result) -> None:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in (0, 1)
    if result.exit_code:
        assert result.stderr.splitlines()[-1].startswith("error: ")


def ecs_texts() -> list[str]:
    """Return the public templates; leaves the test out where there are none."""
    return [read_shared(str(param.values[0])) for param in name_shared("manifests/ecs")]


class TestMistakes:
    @given(st.data())
    def test_a_mistaken_public_template_never_ends_in_a_traceback(self, data: Any) -> None:
        result = invoke(data.draw(mistaken(ecs_texts())))
        assert_no_traceback(result)
        assert list(load_documents(result.stdout)) or result.exit_code

    @given(mistaken(TEXTS))
    def test_nor_does_any_other_document(self, text: str) -> None:
        result = invoke(text, "--image", "web:1")
        assert_no_traceback(result)
        list(load_documents(result.stdout))

    @given(st.data())
    def test_nor_does_a_part_of_a_text(self, data: Any) -> None:
        text = data.draw(st.sampled_from([*TEXTS, *ecs_texts()]))
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        inserted = data.draw(st.text("!&*[]{}:-?|>'\"%@`,# \n\tab", max_size=5))
        assert_no_traceback(invoke(text[:start] + inserted + text[end:]))

    @given(st.binary(max_size=40))
    @example(b"\xff\xfe")
    def test_nor_does_a_file_that_is_no_text(self, content: bytes) -> None:
        result = CliRunner().invoke(app, ["convert", "-f", "-"], input=content)
        assert_no_traceback(result)

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 3000,
            "a: &a [*a]\nservices: *a",
            "&a {services: [*a]}",
            "Resources: &r {Type: *r}",
            "x: !!int ''",
            "x: !!float {}",
            "x: !!bool maybe",
            "x: 2024-99-99",
            "x: 0b_",
            f"x: {'9' * 5000}",
            f"{{serviceName: s, desiredCount: {'9' * 5000}, deploymentConfiguration: {{}}}}",
            "? [a, b]\n: kind",
            "? !Ref x\n: y",
            "kind: Deployment\napiVersion: apps/v1\nmetadata: {? [a] : 1, uid: x}\nspec: []",
            "kind: Deployment\napiVersion: apps/v1\nmetadata: 5\nspec: &s {x: ~, y: *s}",
            "kind: Deployment\napiVersion: apps/v1\nmetadata: {labels: {? [a] : , b, c: &x ~}}\nspec: {}",
            "&a {serviceName: s, serviceName: t, containerDefinitions: [*a, *a], x: !!set {a}}",
            "{family: on, containerDefinitions: [{name: no, image: 0x1, portMappings: [{name: no}]}]}",
        ],
    )
    def test_nor_does_any_trick_of_yaml(self, text: str) -> None:
        assert_no_traceback(invoke(text))

    @given(st.text("$()AB ", max_size=12))
    def test_kubernetes_reads_escaped_text_as_it_was(self, text: str) -> None:
        expanded = re.sub(
            r"\$\$|\$\(([^)]*)\)",
            lambda found: "$" if found.group() == "$$" else "expanded",
            escape_dollars(text),
        )
        assert expanded == text


SENTINEL = "sentinel-4711"


class TestNothingIsLost:
    """A value that is put anywhere into what describes a container is in the result or told."""

    DEFINITION: ClassVar[dict[str, Any]] = {
        "name": "web",
        "image": "i",
        "entryPoint": ["a"],
        "command": ["b"],
        "workingDirectory": "/x",
        "portMappings": [{"containerPort": 80, "protocol": "tcp", "hostPort": 80, "name": "http"}],
        "environment": [{"name": "A", "value": "1"}],
        "healthCheck": {"command": ["CMD", "x"], "interval": 5, "retries": 2, "timeout": 3},
        "dependsOn": [{"containerName": "b", "condition": "START"}],
        "secrets": [{"name": "S", "valueFrom": "arn"}],
        "ulimits": [{"name": "nofile", "softLimit": 1}],
        "stopTimeout": 3,
        "versionConsistency": "enabled",
        "essential": True,
    }

    @pytest.mark.parametrize("shape", ["text", "list", "mapping", "computed"])
    def test_in_the_place_of_any_other(self, shape: str) -> None:
        value = {
            "text": SENTINEL,
            "list": [SENTINEL],
            "mapping": {SENTINEL: 1},
            "computed": {"Fn::GetAtt": SENTINEL},
        }[shape]
        for index in range(len(list_places(self.DEFINITION))):
            definition = json.loads(json.dumps(self.DEFINITION))
            parent, key = list_places(definition)[index]
            parent[key] = value
            (changed,) = (name for name, one in definition.items() if SENTINEL in json.dumps(one))
            result = invoke(json.dumps({"family": "f", "containerDefinitions": [definition]}))
            assert result.exit_code == 0
            told, marked = (
                SENTINEL in text.lower()
                or any(f"not converted: {one} of " in text for one in (changed, key))
                for text in (result.stderr, result.stdout)
            )
            found = list_texts(list(yaml.safe_load_all(result.stdout)))
            assert any(SENTINEL in one for one in found) or (told and marked), (changed, key)
            if shape == "computed":
                assert not any(SENTINEL in one for one in found)

    @given(st.sampled_from(["", "healthCheck", "portMappings", "environment"]))
    def test_as_a_field_that_nobody_knows(self, place: str) -> None:
        definition = json.loads(json.dumps(self.DEFINITION))
        within = definition[place] if place else definition
        (within[0] if isinstance(within, list) else within)[SENTINEL] = 1
        result = invoke(json.dumps({"family": "f", "containerDefinitions": [definition]}))
        assert f"not converted: {SENTINEL} of " in result.stderr
        assert f"# not converted: {SENTINEL} of " in result.stdout


TASK = json.dumps(
    {
        "taskDefinition": {
            "family": "f",
            "taskRoleArn": "arn",
            "volumes": [{"name": "v"}],
            "cpu": "256",
            "containerDefinitions": [TestNothingIsLost.DEFINITION],
        },
        "tags": [{"key": "a"}],
    }
)
RECORDED = {"serviceArn", "status", "runningCount", "Family"}
"""What sets nothing: what the API recorded, and the name of a task definition that a service names."""


@pytest.mark.parametrize(
    "text",
    [inputs.ECS_API, inputs.CLOUDFORMATION, inputs.SERVERLESS, inputs.BARE, TASK],
    ids=["api", "cloudformation", "serverless", "bare", "task"],
)
def test_no_value_in_any_place_of_a_document_is_lost(text: str) -> None:
    """It is in the result, or it is told, or something that it is part of."""
    (document,) = map(as_json, load_documents(text))
    checked = 0
    for path in list_paths(document):
        changed = json.loads(json.dumps(document))
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = SENTINEL
        result = invoke(json.dumps(changed))
        assert_no_traceback(result)
        if result.exit_code or path[-1] in RECORDED:
            continue  # it is no file of ECS any more, and that was said
        found = list_texts(list(yaml.safe_load_all(result.stdout)))
        assert (
            SENTINEL in result.stderr.lower()
            or any(SENTINEL in one for one in found)
            or any(is_told(str(one), result.stderr) for one in path)
        ), path
        checked += 1
    assert checked >= 4


def list_paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else ()
    for key, one in enumerate(value) if isinstance(value, list) else pairs:
        yield (*path, key)
        yield from list_paths(one, (*path, key))


class TestEveryStyle:
    """Live objects in each style of YAML lose the same, and nothing else."""

    @given(
        st.sampled_from(["json", "indented json", "flow", "mixed", "block"]),
        st.lists(
            st.sampled_from(["uid", "generation", "managedFields", "name", "labels"]), unique=True
        ),
        st.sets(st.sampled_from(["in a list", "with nulls"])),
    )
    def test_what_the_server_wrote_goes_and_all_else_stays(
        self, style: str, order: list[str], more: set[str]
    ) -> None:
        listed, nulls = "in a list" in more, "with nulls" in more
        values: dict[str, Any] = {
            "uid": "u",
            "generation": 3,
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
            "name": "web",
            "labels": {"a": "b"},
        }
        spec = {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"creationTimestamp": None} if nulls else {},
                "spec": {"containers": [{"name": "a", "image": "i", "args": ["x", "y"]}]},
            },
        }
        live = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {name: values[name] for name in order},
            **({"paused": None} if nulls else {}),
            "spec": spec,
            "status": {"conditions": [{"type": "Available"}]},
        }
        document = {"apiVersion": "v1", "kind": "List", "items": [live, live]} if listed else live
        text = write_in(style, document)
        found = yaml.safe_load(convert_text(text, "it")[0])
        (one, *_) = found["items"] if listed else [found]
        assert one["metadata"] == {
            name: values[name] for name in order if name in ("name", "labels")
        }
        assert "status" not in one
        assert one["spec"].pop("strategy") == {
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}
        }
        assert one["spec"] == without_nulls(spec)


def write_in(style: str, document: Any) -> str:
    """Return a document in a style of YAML."""
    if "json" in style:
        return json.dumps(document, indent=4 if style == "indented json" else None)
    flow = {"flow": True, "mixed": None, "block": False}[style]
    return str(yaml.dump(document, Dumper=NoAliases, default_flow_style=flow, sort_keys=False))


class NoAliases(yaml.SafeDumper):
    """Writes equal values twice instead of by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: no anchors."""
        del data
        return True
