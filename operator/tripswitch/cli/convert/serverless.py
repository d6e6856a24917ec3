"""ECS services in configurations of the serverless-fargate plugin. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tripswitch.cli.convert.cloudformation import read_cloudformation
from tripswitch.cli.convert.ecs_model import PERCENTAGES, Found, Raw, Service, Task, tell_others
from tripswitch.cli.convert.fields import Fields, Notes, open_fields
from tripswitch.cli.convert.values import EMPTY, show

SHARED = (
    "cpu",
    "environment",
    "executionRoleArn",
    "memory",
    "tags",
    "taskRoleArn",
)
"""Settings of a serverless configuration that all its tasks have."""


def read_serverless(raw: Raw, found: Found) -> None:
    """Add the services of the ``fargate`` section; tell the rest of the configuration."""
    fargate = Fields(raw["fargate"], found.notes, "fargate")
    tasks = fargate.take("tasks")
    everywhere = _of_resource(fargate, found.notes)
    shared = {name: one for name in SHARED if (one := fargate.take(name)) is not None}
    for key, one in tasks.items() if isinstance(tasks, Mapping) else ():
        _read_task(key, one, shared, everywhere, found)
    if not found:
        found.notes.tell("no task of fargate has a service")
    fargate.tell_rest({}, "no part of the service", {})
    tell_others(raw, {"fargate"}, found.notes)


def read_resources(raw: Raw, found: Found) -> None:
    """Add the services of the CloudFormation template that a configuration without the plugin has."""
    template = raw["resources"]
    if isinstance(template, Mapping) and isinstance(template.get("Resources"), Mapping):
        read_cloudformation(template, found)
    if found:
        tell_others(raw, {"resources"}, found.notes)


def _read_task(
    key: str, raw: Any, shared: Raw, everywhere: Mapping[str, Raw], found: Found
) -> None:
    notes = Notes()
    task = Fields(raw, notes, f"task {key}")
    service = task.take("service")
    if service not in EMPTY and not isinstance(service, Mapping):
        found.notes.fill_in(f"service of task {key}", service, "a mapping")
    if not isinstance(service, Mapping):
        found.notes.tell(f"not converted: task {key}: it has no service; make a Job or a CronJob")
        return
    name = task.take("name") or key
    if not isinstance(name, str):
        notes.fill_in(f"name of task {key}", name, "text", target=f"the name, here {key}")
        name = key
    own = Fields(service, notes).rest
    percentages = {one: own.pop(one) for one in PERCENTAGES if one in own}
    part = _of_resource(task, notes)
    settings = _merge(notes, f"service of task {key}", everywhere["service"], own, part["service"])
    configuration = settings.get("deploymentConfiguration", {})
    if percentages and isinstance(configuration, Mapping):
        settings["deploymentConfiguration"] = {**percentages, **Fields(configuration, notes).rest}
    variables = [shared.get("environment"), task.take("environment")]
    container = {
        "name": name,
        "environment": [one for each in variables for one in _variables(each)],
        **{one: task.take(one) for one in ("image", "command", "entryPoint")},
    }
    resource = (everywhere["container"], part["container"])
    container = _merge(notes, f"task {key}", container, *resource)
    shared = {one: value for one, value in shared.items() if one != "environment"}
    resource = (everywhere["task"], part["task"])
    definition = _merge(notes, f"task {key}", shared, task.rest, *resource)
    definition["containerDefinitions"] = [container]
    made = Task(frozenset(), definition, notes)
    found.services.append(Service(name, settings, notes, made, named=True))


def _of_resource(fields: Fields, notes: Notes) -> dict[str, dict[str, Any]]:
    """Return the parts of ``cloudFormationResource``; tells the others."""
    name = "cloudFormationResource"
    parts = open_fields(fields.take(name), name, notes, of=name)
    found = {
        part: open_fields(parts.take(part), parts.name(part), notes).rest
        for part in ("task", "service", "container")
    }
    parts.tell_rest({}, "no part of the service", {})
    return found


def _merge(notes: Notes, of: str, *parts: Raw) -> dict[str, Any]:
    """Return the settings of all parts, of which the later ones win; tells what they replace."""
    found: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if found.get(name) not in (*EMPTY, value):
                notes.tell(f"{name} of {of} is {show(found[name])}: replaced by {show(value)}")
            found[name] = value
    return found


def _variables(raw: Any) -> list[Any]:
    """Return variables as ECS has them: serverless has a mapping of names to values."""
    if isinstance(raw, Mapping):
        return [{"name": name, "value": value} for name, value in raw.items()]
    return [] if raw in EMPTY else raw if isinstance(raw, list) else [raw]
