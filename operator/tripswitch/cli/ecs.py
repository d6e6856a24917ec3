"""ECS services -> GuardedDeployments. Pure.

Three ways of writing a service are read: the API's (``aws ecs describe-services``, ``create-service``
input, or a ``deploymentConfiguration`` alone), CloudFormation's, and that of the serverless-fargate
plugin. The last two are the first with capital letters. What has no counterpart is told, never
dropped silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tripswitch.cli.ecs_tasks import read_containers
from tripswitch.cluster.resources import API_VERSION, KIND

Raw = Mapping[str, Any]

COUNTERPARTS = {
    "alarms": "CloudWatch alarms have none: failures of pods are counted, no metrics system is used",
    "availabilityZoneRebalancing": "use topologySpreadConstraints and a descheduler",
    "bakeTimeInMinutes": "none; minReadySeconds is how long a pod must be Ready",
    "canaryConfiguration": "none: this is the rolling deployment",
    "capacityProviderStrategy": "choose nodes with nodeSelector or affinity",
    "deploymentController": "none: Tripswitch is the controller",
    "earlySuccessCriteria": "none: COMPLETED means that all replicas are healthy",
    "enableExecuteCommand": "kubectl exec needs no switch",
    "launchType": "choose nodes with nodeSelector or affinity",
    "lifecycleHooks": "none: this is the rolling deployment",
    "linearConfiguration": "none: this is the rolling deployment",
    "loadBalancers": "make a Service (type LoadBalancer) or an Ingress; where the load balancer's "
    "health checks shall count, readinessGates report them",
    "networkConfiguration": "the cluster's network and NetworkPolicies",
    "placementConstraints": "use nodeSelector or affinity",
    "placementStrategy": "use topologySpreadConstraints",
    "schedulingStrategy": "DAEMON would be a DaemonSet, which has no breaker",
    "serviceConnectConfiguration": "make a Service; a mesh does the rest",
    "serviceRegistries": "make a Service: its name is its DNS name",
    "strategy": "none: this is the rolling deployment",
    "volumeConfigurations": "use volumes of the pod template",
}
"""ECS settings without a field of ours, and what serves instead."""

HARMLESS = {
    "deploymentController": {"type": "ECS"},
    "schedulingStrategy": "REPLICA",
    "strategy": "ROLLING",
    "bakeTimeInMinutes": 0,
}
"""Values that say what is so anyway."""

RECORDS = frozenset(
    [
        "cluster",
        "clusterArn",
        "createdAt",
        "createdBy",
        "currentServiceDeployment",
        "currentServiceRevisions",
        "deployments",
        "desiredCount",
        "enableECSManagedTags",
        "events",
        "family",
        "name",
        "pendingCount",
        "platformFamily",
        "platformVersion",
        "propagateTags",
        "role",
        "roleArn",
        "runningCount",
        "serviceArn",
        "serviceName",
        "status",
        "tags",
        "taskDefinition",
        "taskSets",
        "clientToken",
    ]
)
"""What is read elsewhere, or only says what was at the time."""

BREAKER = ("enable", "rollback", "resetOnHealthyTask")
PERCENTAGES = ("minimumHealthyPercent", "maximumPercent")


@dataclass
class Service:
    """One ECS service in the API's words, and the task definition's containers if they are known."""

    name: str
    settings: Raw
    containers: list[Raw] = field(default_factory=list)


@dataclass
class ConvertedService:
    """The GuardedDeployment, and what a person should know."""

    manifest: dict[str, Any]
    notes: list[str]


def find_services(document: Any) -> list[Service]:
    """Return the ECS services of a JSON or YAML document; none if it is something else."""
    if not isinstance(document, Mapping):
        return []
    if isinstance(document.get("Resources"), Mapping):
        return list(_from_cloudformation(document["Resources"]))
    if isinstance(document.get("fargate"), Mapping):
        return list(_from_serverless(document["fargate"]))
    if isinstance(document.get("services"), list):
        return [_from_api(one) for one in document["services"] if isinstance(one, Mapping)]
    if isinstance(document.get("service"), Mapping):
        return [_from_api(document["service"])]
    lowered = lower_names(document)
    if "deploymentConfiguration" in lowered or "taskDefinition" in lowered:
        return [_from_api(lowered)]
    if {"deploymentCircuitBreaker", *PERCENTAGES} & set(lowered):
        return [_from_api({"deploymentConfiguration": lowered})]
    return []


def convert_service(service: Service, image: str | None = None) -> ConvertedService:
    """Return the GuardedDeployment of a service.

    Args:
        service: What was found.
        image: For the container, where no task definition says it.
    """
    notes: list[str] = []
    name = make_name(service.name)
    settings = service.settings
    spec: dict[str, Any] = {}
    _take(settings, "desiredCount", spec, "replicas", notes)
    _take(
        settings,
        "healthCheckGracePeriodSeconds",
        spec,
        "healthCheckGracePeriodSeconds",
        notes,
    )
    configuration = settings.get("deploymentConfiguration")
    configuration = configuration if isinstance(configuration, Mapping) else {}
    spec["deploymentConfiguration"] = _convert_configuration(configuration, notes)
    labels = {"app": name}
    containers, told = read_containers(service.containers, name, image)
    notes += told
    spec["selector"] = {"matchLabels": labels}
    spec["template"] = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    known = RECORDS | {"deploymentConfiguration", "healthCheckGracePeriodSeconds"}
    notes += _untold({key: value for key, value in settings.items() if key not in known})
    manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": spec,
    }
    return ConvertedService(manifest, notes)


def _convert_configuration(raw: Raw, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in PERCENTAGES:
        _take(raw, name, found, name, notes)
    breaker = raw.get("deploymentCircuitBreaker")
    if isinstance(breaker, Mapping):
        mine: dict[str, Any] = {}
        for name in BREAKER:
            _take(breaker, name, mine, name, notes)
        threshold = breaker.get("thresholdConfiguration")
        if isinstance(threshold, Mapping):
            mine["thresholdConfiguration"] = {}
            for name in ("type", "value"):
                _take(threshold, name, mine["thresholdConfiguration"], name, notes)
        found["deploymentCircuitBreaker"] = mine
        rest = {*BREAKER, "thresholdConfiguration"}
        notes += _untold({key: value for key, value in breaker.items() if key not in rest})
    else:
        notes.append(
            "no deploymentCircuitBreaker: ECS's is off by default, a GuardedDeployment's is on; "
            "set enable: false to keep it off"
        )
    rest = {*PERCENTAGES, "deploymentCircuitBreaker"}
    notes += _untold({key: value for key, value in raw.items() if key not in rest})
    return found


def _take(raw: Raw, name: str, into: dict[str, Any], as_name: str, notes: list[str]) -> None:
    """Copy a plain value; one that only CloudFormation can compute is told instead."""
    if name not in raw:
        return
    value = _plain(raw[name])
    if isinstance(value, bool | int) or (isinstance(value, str) and name == "type"):
        into[as_name] = value
    else:
        notes.append(f"{name} is {value!r}, which is computed elsewhere: fill in {as_name}")


def _plain(value: Any) -> Any:
    """Return numbers and booleans that were written as text as what they mean.

    >>> [_plain(value) for value in ("200", "true", "COUNT", 3)]
    [200, True, 'COUNT', 3]
    """
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _untold(settings: Raw) -> list[str]:
    return [
        f"not converted: {name}: {COUNTERPARTS.get(name, 'it has no counterpart')}"
        for name, value in settings.items()
        if value not in (None, [], {}, "", False) and HARMLESS.get(name) != _plain(value)
    ]


def _from_api(raw: Raw) -> Service:
    settings = lower_names(raw)
    containers = settings.get("containerDefinitions")
    name = settings.get("serviceName") or settings.get("family") or _family(settings)
    return Service(
        str(name or "service"), settings, containers if isinstance(containers, list) else []
    )


def _family(settings: Raw) -> str:
    """Return the task definition's family: ``arn:...:task-definition/web:7`` is of web."""
    return str(settings.get("taskDefinition") or "").rpartition("/")[2].partition(":")[0]


def _from_cloudformation(resources: Raw) -> Iterator[Service]:
    tasks = {
        name: lower_names(one.get("Properties") or {})
        for name, one in resources.items()
        if isinstance(one, Mapping) and one.get("Type") == "AWS::ECS::TaskDefinition"
    }
    for name, one in resources.items():
        if not isinstance(one, Mapping) or one.get("Type") != "AWS::ECS::Service":
            continue
        settings = lower_names(one.get("Properties") or {})
        given = settings.get("serviceName")
        task = tasks.get(_reference(settings.get("taskDefinition")), {})
        containers = task.get("containerDefinitions")
        yield Service(
            given if isinstance(given, str) and not given.startswith("!") else str(name),
            settings,
            containers if isinstance(containers, list) else [],
        )


def _reference(value: Any) -> str:
    """Return the resource that ``!Ref X`` or ``{"Ref": "X"}`` names."""
    if isinstance(value, Mapping):
        value = value.get("Ref") or value.get("ref")
    return str(value or "").removeprefix("!Ref ")


def _from_serverless(fargate: Raw) -> Iterator[Service]:
    tasks = fargate.get("tasks")
    for key, raw in (tasks if isinstance(tasks, Mapping) else {}).items():
        task = raw if isinstance(raw, Mapping) else {}
        if not isinstance(task.get("service"), Mapping):
            continue  # a task that is run by hand or by a clock: no service
        own = dict(task["service"])
        percentages = {name: own.pop(name) for name in PERCENTAGES if name in own}
        everywhere = _resource(fargate, "service")
        settings = {**everywhere, **own, **_resource(task, "service")}
        configuration = settings.get("deploymentConfiguration")
        settings["deploymentConfiguration"] = {
            **percentages,
            **(configuration if isinstance(configuration, Mapping) else {}),
        }
        container = {
            "name": str(task.get("name") or key),
            **{name: task[name] for name in ("image", "command", "entryPoint") if name in task},
            **_resource(fargate, "container"),
            **_resource(task, "container"),
        }
        yield Service(str(task.get("name") or key), settings, [container])


def _resource(raw: Raw, name: str) -> dict[str, Any]:
    found = raw.get("cloudFormationResource")
    part = found.get(name) if isinstance(found, Mapping) else None
    return lower_names(part) if isinstance(part, Mapping) else {}


def lower_names(value: Any) -> Any:
    """Return a value with CloudFormation's names as the API writes them.

    >>> lower_names({"DeploymentConfiguration": {"MaximumPercent": 200}})
    {'deploymentConfiguration': {'maximumPercent': 200}}
    """
    if isinstance(value, Mapping):
        return {
            str(name)[:1].lower() + str(name)[1:]: lower_names(one) for name, one in value.items()
        }
    if isinstance(value, list):
        return [lower_names(one) for one in value]
    return value


def make_name(name: str) -> str:
    """Return a name that Kubernetes takes.

    >>> make_name("Shop_Front.Web")
    'shop-front-web'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:52].strip("-") or "service"
