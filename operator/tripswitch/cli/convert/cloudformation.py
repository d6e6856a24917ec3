"""ECS services in CloudFormation templates. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tripswitch.cli.convert.ecs_model import (
    Found,
    Raw,
    Service,
    Task,
    look_up,
    make_task,
    tell_others,
)
from tripswitch.cli.convert.fields import Fields, Notes
from tripswitch.cli.convert.values import EMPTY, Computed, show

SERVICE = "AWS::ECS::Service"
TASK = "AWS::ECS::TaskDefinition"
WORD = re.compile(r"\w+")
OTHER_RESOURCES = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "make a HorizontalPodAutoscaler",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "make a HorizontalPodAutoscaler",
    "AWS::CloudFormation::Stack": "give its template, too, with another -f, if it has services",
    "AWS::ECS::ExpressGatewayService": "give what aws ecs describe-services and "
    "describe-task-definition answer",
    "AWS::ElasticLoadBalancingV2::ListenerRule": "make an Ingress",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "make a Service; its health check is a "
    "readinessProbe of the container",
    "AWS::IAM::Role": "use a ServiceAccount",
    "AWS::Logs::LogGroup": "kubectl logs, or the cluster's log collector",
}


def read_cloudformation(raw: Raw, found: Found) -> None:
    """Add the services and task definitions of a template; tell the rest of it."""
    parameters = raw.get("Parameters")
    defaults = {
        name: look_up(one, "default")
        for name, one in (parameters.items() if isinstance(parameters, Mapping) else ())
    }
    for name in raw["Resources"]:
        if _makes_resources(name):
            found.notes.tell(
                f"not converted: {name}: it makes resources: give the template that CloudFormation made of "
                "it (aws cloudformation get-template --template-stage Processed)"
            )
    resources = {
        name: Fields(one, found.notes, f"resource {name}")
        for name, one in raw["Resources"].items()
        if not _makes_resources(name)
    }
    tasks = {
        name: _task_resource(name, one, defaults)
        for name, one in resources.items()
        if one.look("type") == TASK
    }
    found.tasks += tasks.values()
    found.services += [
        _service_resource(name, one, tasks, defaults)
        for name, one in resources.items()
        if one.look("type") == SERVICE
    ]
    if not found:
        return
    others: list[str] = []
    for name, one in resources.items():
        kind = show(one.look("type"))
        if kind in OTHER_RESOURCES:
            found.notes.tell(f"not converted: resource {name} ({kind}): {OTHER_RESOURCES[kind]}")
        elif kind not in (SERVICE, TASK):
            others.append(f"{name} ({kind})")
    if others:
        found.notes.tell(f"not converted: {', '.join(others)}: no part of the service")
    tell_others(raw, {"Resources"}, found.notes)


def _makes_resources(name: str) -> bool:
    """Return whether a key among the resources is a loop or a macro, such as ``Fn::ForEach::Services``."""
    return name.startswith("Fn::")


def _properties(name: str, resource: Fields, notes: Notes) -> Raw:
    """Return the properties of a resource; tells its attributes."""
    properties = resource.take("properties")
    attributes = Fields(resource.rest, notes, f"resource {name}")
    attributes.leave_out(["type"])
    condition = attributes.take("condition")
    if condition not in EMPTY:
        notes.tell(f"resource {name} is there only if {show(condition)}")
    attributes.tell_rest({}, "it is for CloudFormation", {})
    if isinstance(properties, Mapping):
        return properties
    if properties not in EMPTY:
        notes.fill_in(f"properties of resource {name}", properties, "a mapping")
    return {}


def _task_resource(name: str, resource: Fields, defaults: Raw) -> Task:
    notes = Notes(defaults)
    task = make_task(_properties(name, resource, notes), notes)
    task.names |= {name}
    return task


def _service_resource(
    name: str, resource: Fields, tasks: Mapping[str, Task], defaults: Raw
) -> Service:
    notes = Notes(defaults)
    properties = _properties(name, resource, notes)
    given = look_up(properties, "serviceName")
    if given not in EMPTY and not isinstance(given, str):
        notes.fill_in("serviceName", given, "text", target=f"the name, here {name}")
    reference = look_up(properties, "taskDefinition")
    words = [word for word in WORD.findall(show(reference)) if word in tasks]
    named = [tasks[word] for word in words] if isinstance(reference, Computed) else []
    if named and (len(set(words)) > 1 or show(reference).startswith("!If")):
        notes.tell(
            f"taskDefinition is '{reference}', which is computed elsewhere: {words[0]} is taken"
        )
    return Service(
        given if isinstance(given, str) and given else name,
        properties,
        notes,
        named[0] if named else None,
        named=isinstance(given, str),
    )
