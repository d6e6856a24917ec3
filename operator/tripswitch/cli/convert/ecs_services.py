"""ECS services -> GuardedDeployments. Pure.

What has no counterpart is told, never dropped silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.cli.convert.ecs_containers import Containers, read_containers
from tripswitch.cli.convert.ecs_lifecycle import (
    NO_COUNTERPART,
    convert_early_success,
    convert_hooks,
)
from tripswitch.cli.convert.ecs_model import PERCENTAGES, Service, Task, look_up
from tripswitch.cli.convert.fields import Fields, Notes, open_fields
from tripswitch.cli.convert.values import EMPTY, plain, show

INSTEAD = {
    "availabilityZoneRebalancing": "use topologySpreadConstraints and a descheduler",
    "canaryConfiguration": "none: this is the rolling deployment",
    "capacityProviderStrategy": "choose nodes with nodeSelector or affinity",
    "cluster": "choose the cluster and the namespace with kubectl",
    "cpu": "set resources.requests and resources.limits of the containers",
    "deploymentController": "none: Tripswitch is the controller",
    "enableECSManagedTags": "use labels",
    "enableExecuteCommand": "kubectl exec needs no switch",
    "ephemeralStorage": "use resources.limits with ephemeral-storage",
    "executionRoleArn": "use imagePullSecrets, and a ServiceAccount",
    "ipcMode": "use hostIPC or shareProcessNamespace of the pod",
    "launchType": "choose nodes with nodeSelector or affinity",
    "linearConfiguration": "none: this is the rolling deployment",
    "loadBalancers": "make a Service (type LoadBalancer) or an Ingress; where the load balancer's "
    "health checks shall count, readinessGates report them",
    "memory": "set resources.requests and resources.limits of the containers",
    "networkConfiguration": "the cluster's network and NetworkPolicies",
    "networkMode": "pods have addresses of their own",
    "pidMode": "use hostPID or shareProcessNamespace of the pod",
    "placementConstraints": "use nodeSelector or affinity",
    "placementStrategies": "use topologySpreadConstraints",
    "placementStrategy": "use topologySpreadConstraints",
    "platformVersion": "choose nodes with nodeSelector or affinity",
    "propagateTags": "use labels",
    "requiresCompatibilities": "choose nodes with nodeSelector or affinity",
    "role": "use a ServiceAccount",
    "runtimePlatform": "use nodeSelector kubernetes.io/arch and kubernetes.io/os",
    "schedulingStrategy": "DAEMON would be a DaemonSet, which has no breaker",
    "serviceConnectConfiguration": "make a Service; a mesh does the rest",
    "serviceRegistries": "make a Service: its name is its DNS name",
    "strategy": "none: this is the rolling deployment",
    "tags": "use labels",
    "taskRoleArn": "use a ServiceAccount",
    "volumeConfigurations": "use volumes of the pod template",
    "volumes": "use volumes of the pod template, and volumeMounts of the containers",
}
"""ECS settings without a field of ours, and what serves instead."""

HARMLESS = {
    "deploymentController": {"type": "ECS"},
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "healthCheckGracePeriodSeconds": 0,
    "schedulingStrategy": "REPLICA",
    "strategy": "ROLLING",
    "bakeTimeInMinutes": 0,
}
"""Values that say what is so anyway."""

RECORDS = (
    "clientToken",
    "clusterArn",
    "createdAt",
    "createdBy",
    "currentServiceDeployment",
    "currentServiceRevisions",
    "deployments",
    "events",
    "pendingCount",
    "platformFamily",
    "roleArn",
    "runningCount",
    "serviceArn",
    "status",
    "taskSets",
    # of a task definition
    "compatibilities",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "taskDefinitionArn",
)
"""What the API recorded: it sets nothing."""

NAMES = ("serviceName", "name", "family", "taskDefinition")
"""What is read elsewhere."""

BREAKER = ("enable", "rollback", "resetOnHealthyTask")


@dataclass(frozen=True, slots=True)
class ConvertedService:
    """The GuardedDeployment, and what a person should know."""

    manifest: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.manifest["metadata"]["name"])


def convert_service(service: Service, image: str | None = None) -> ConvertedService:
    """Return the GuardedDeployment of a service.

    Args:
        service: What was found.
        image: For the container whose image the task definition does not say.
    """
    name, notes = make_name(service.name), service.notes
    if service.named and service.name != name:
        notes.tell(f"service {service.name} is named {name}")
    if service.task is None:
        reference = show(look_up(service.settings, "taskDefinition") or "which it runs")
        notes.tell(f"the task definition ({reference}) is not here: give it, too, with another -f")
    fields = Fields(service.settings, notes)
    spec: dict[str, Any] = {}
    fields.copy("desiredCount", spec, as_name="replicas")
    fields.copy("healthCheckGracePeriodSeconds", spec)
    spec["deploymentConfiguration"] = _convert_configuration(
        fields.take("deploymentConfiguration"), notes
    )
    fields.leave_out([*NAMES, *RECORDS])
    fields.tell_rest(INSTEAD, NO_COUNTERPART, HARMLESS)
    labels = {"app": name}
    spec["selector"] = {"matchLabels": labels}
    containers = _convert_task(service.task, name, image, notes)
    init = {"initContainers": containers.init} if containers.init else {}
    spec["template"] = {
        "metadata": {"labels": labels},
        "spec": {**init, "containers": containers.ordinary},
    }
    if containers.exclusions:
        spec["versionConsistencyExclusions"] = containers.exclusions
    manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": spec,
    }
    return ConvertedService(manifest, tuple(notes.lines))


def convert_task(task: Task, image: str | None = None) -> ConvertedService:
    """Return a GuardedDeployment of a task definition alone, with default settings."""
    name = next(iter(sorted(task.names)), "service")
    task.notes.tell(
        "this is a task definition: give the service, too, with another -f; without it replicas and "
        "deploymentConfiguration are the defaults"
    )
    return convert_service(Service(name, {}, task.notes, task, named=bool(task.names)), image)


def _convert_task(task: Task | None, name: str, image: str | None, notes: Notes) -> Containers:
    """Return what the pod runs."""
    if task is not None and task.notes is not notes:
        for line in task.notes.lines:
            notes.tell(line)
    fields = Fields(task.settings if task else {}, notes, "the task definition")
    containers = read_containers(fields.take("containerDefinitions"), name, image, notes)
    fields.leave_out([*NAMES, *RECORDS])
    fields.tell_rest(INSTEAD, NO_COUNTERPART, HARMLESS)
    return containers


def _convert_configuration(raw: Any, notes: Notes) -> dict[str, Any]:
    fields = open_fields(raw, "deploymentConfiguration", notes)
    found: dict[str, Any] = {}
    for name in PERCENTAGES:
        fields.copy(name, found)
    breaker = fields.take("deploymentCircuitBreaker")
    if breaker in EMPTY:
        notes.tell(
            "no deploymentCircuitBreaker: ECS's is off by default, a GuardedDeployment's is on; "
            "set enable: false to keep it off"
        )
    else:
        found["deploymentCircuitBreaker"] = _convert_breaker(breaker, notes)
    alarms = fields.take("alarms")
    if alarms not in EMPTY:
        found["alarms"] = _convert_alarms(alarms, notes)
    if "alarms" in found or plain(fields.look("bakeTimeInMinutes")) != 0:
        fields.copy("bakeTimeInMinutes", found)
    early = fields.take("earlySuccessCriteria")
    if early not in EMPTY:
        found["earlySuccessCriteria"] = convert_early_success(early, notes)
    if hooks := convert_hooks(fields, notes):
        found["lifecycleHooks"] = hooks
    fields.tell_rest(INSTEAD, NO_COUNTERPART, HARMLESS)
    return found


def _convert_alarms(raw: Any, notes: Notes) -> dict[str, Any]:
    """Return ``alarms``: the names are kept, and the alerting rules of those names have to be written."""
    fields = open_fields(raw, "alarms", notes)
    found: dict[str, Any] = {}
    for name in ("enable", "rollback"):
        fields.copy(name, found, wanted=bool)
    names = found["alarmNames"] = list(dict.fromkeys(fields.take_texts("alarmNames")))
    if names:
        notes.tell(
            f"alarms: each name has to be that of a Prometheus alerting rule: {', '.join(names)}; a "
            "CloudWatch alarm is none, so write the rules (docs/how-to/alarms.md), with the label namespace"
        )
    elif found.get("enable", True):
        found["enable"] = False
        notes.tell("alarms names no alarm, so it is switched off")
    fields.tell_rest({}, NO_COUNTERPART, {})
    return found


def _convert_breaker(raw: Any, notes: Notes) -> dict[str, Any]:
    fields = open_fields(raw, "deploymentCircuitBreaker", notes)
    found: dict[str, Any] = {}
    for name in BREAKER:
        fields.copy(name, found, wanted=bool)
    given = fields.take("thresholdConfiguration")
    if given not in EMPTY:
        threshold = open_fields(given, "thresholdConfiguration", notes)
        mine: dict[str, Any] = {}
        found["thresholdConfiguration"] = mine
        threshold.copy("type", mine, wanted=str)
        threshold.copy("value", mine)
        threshold.tell_rest({}, NO_COUNTERPART, {})
    fields.tell_rest({}, NO_COUNTERPART, {})
    return found


def make_name(name: str) -> str:
    """Return a name that Kubernetes takes.

    >>> make_name("Shop_Front.Web")
    'shop-front-web'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:52].strip("-") or "service"
