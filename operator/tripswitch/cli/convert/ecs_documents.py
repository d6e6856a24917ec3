"""ECS services and task definitions in JSON and YAML documents. Pure.

Read are the API's words (answers of ``aws ecs describe-services`` and ``describe-task-definition``,
the input of ``create-service`` and ``register-task-definition``, a ``deploymentConfiguration`` or a list of
container definitions alone),
CloudFormation templates, and configurations of the serverless-fargate plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tripswitch.cli.convert.cloudformation import read_cloudformation
from tripswitch.cli.convert.ecs_model import (
    PERCENTAGES,
    Found,
    Raw,
    Service,
    Task,
    look_up,
    make_task,
)
from tripswitch.cli.convert.fields import Fields, Notes
from tripswitch.cli.convert.serverless import read_resources, read_serverless
from tripswitch.cli.convert.values import SERVERLESS_VARIABLE, Computed, read_functions, show


def find_ecs(document: Any) -> Found:
    """Return the services and task definitions of a document; nothing if it is something else."""
    found = Found()
    if isinstance(document, list) and any(
        "image" in one for one in document if isinstance(one, Mapping)
    ):
        document = {"containerDefinitions": document}
    if not isinstance(document, Mapping) or {"apiVersion", "kind"} <= document.keys():
        return found
    if isinstance(document.get("fargate"), Mapping):
        read_serverless(read_functions(document, SERVERLESS_VARIABLE), found)
        return found
    resources = document.get("resources")
    if isinstance(resources, Mapping) and isinstance(resources.get("Resources"), Mapping):
        read_resources(read_functions(document, SERVERLESS_VARIABLE), found)
        return found
    read = read_functions(document)
    if isinstance(read, Mapping):
        made = read.get("Resources")
        if isinstance(made, Computed):  # nothing but a loop
            read = {**read, "Resources": {f"Fn::{made.function}": made.argument}}
        if isinstance(read.get("Resources"), Mapping):
            read_cloudformation(read, found)
        else:
            _read_api(read, found)
    return found


def link(found: Iterable[Found]) -> list[Task]:
    """Give each service its task definition; return the task definitions that no service uses."""
    documents = list(found)
    tasks = [task for one in documents for task in one.tasks]
    services = [service for one in documents for service in one.services]
    used = [service.task for service in services if service.task is not None]
    lacking = [service for service in services if service.task is None]
    for service in lacking:
        name = show(look_up(service.settings, "taskDefinition")).rpartition("/")[2]
        named = [task for task in tasks if {name, name.partition(":")[0]} & task.names]
        if named:
            service.task = named[0]
            used.append(named[0])
    spare = [task for task in tasks if not any(task is one for one in used)]
    still = [service for service in lacking if service.task is None]
    if len(spare) == len(still) == 1:
        still[0].task = spare.pop()
        still[0].notes.tell(
            f"its task definition ({show(look_up(still[0].settings, 'taskDefinition'))}) is taken to "
            f"be the only one that is here ({show(sorted(still[0].task.names))})"
        )
    return spare


def _read_api(raw: Raw, found: Found) -> None:
    fields = Fields(raw, found.notes)
    services, service, task = map(fields.look, ("services", "service", "taskDefinition"))
    if isinstance(services, list):
        fields.leave_out(["services"])
        for index, one in enumerate(services, 1):
            if isinstance(one, Mapping):
                _add_service(one, found)
            else:
                found.notes.fill_in(f"service {index}", one, "a service")
    elif isinstance(service, Mapping):
        fields.leave_out(["service"])
        _add_service(service, found)
    elif isinstance(task, Mapping):
        fields.leave_out(["taskDefinition"])
        found.tasks.append(make_task(task, Notes()))
    else:
        _read_bare(raw, fields, found)
        return
    if found:
        fields.tell_rest({}, "no part of the service", {})


def _read_bare(raw: Raw, fields: Fields, found: Found) -> None:
    """Read a service, a task definition or a deployment configuration without a key around it."""
    if any(fields.look(name) is not None for name in ("deploymentConfiguration", "taskDefinition")):
        _add_service(raw, found)
    elif fields.look("containerDefinitions") is not None:
        service = fields.look("serviceName") or fields.look("desiredCount")
        if service is None:
            found.tasks.append(make_task(raw, Notes()))
        else:
            _add_service(raw, found)
    elif any(fields.look(name) is not None for name in ("deploymentCircuitBreaker", *PERCENTAGES)):
        _add_service({"deploymentConfiguration": raw}, found)


def _add_service(raw: Raw, found: Found) -> None:
    fields = Fields(raw, Notes())
    reference = show(fields.look("taskDefinition") or "").rpartition("/")[2].partition(":")[0]
    given = fields.look("serviceName") or fields.look("family") or reference
    notes = Notes()
    if isinstance(given, Computed):
        notes.fill_in("serviceName", given, target="the name")
    name = given if isinstance(given, str) else "service"
    service = Service(name or "service", raw, notes, named=isinstance(given, str))
    containers = fields.take("containerDefinitions")
    if containers is not None:
        service.settings = fields.rest
        service.task = Task(frozenset(), {"containerDefinitions": containers}, notes)
    found.services.append(service)
