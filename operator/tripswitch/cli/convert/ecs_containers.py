"""Containers of an ECS task definition -> containers of a pod. Pure.

Only what means the same is converted; the rest is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tripswitch.cli.convert.ecs_container_parts import (
    ANY_FIELD,
    HARMLESS,
    read_environment,
    read_ports,
    read_probe,
)
from tripswitch.cli.convert.fields import Fields, Notes
from tripswitch.cli.convert.values import (
    EMPTY,
    FILL_IN,
    Computed,
    escape_dollars,
    list_items,
    plain,
    show,
)

Container = dict[str, Any]

INSTEAD = {
    "cpu": "set resources.requests and resources.limits",
    "dependsOn": "use init containers, or sidecars (init containers with restartPolicy: Always)",
    "dockerLabels": "use annotations of the pod template",
    "environmentFiles": "make a ConfigMap and use envFrom",
    "extraHosts": "use hostAliases of the pod",
    "healthCheck": "an init container has no readinessProbe",
    "links": "containers of a pod reach each other at localhost",
    "linuxParameters": "use securityContext and volumes",
    "logConfiguration": "kubectl logs, or the cluster's log collector",
    "memory": "set resources.requests and resources.limits",
    "memoryReservation": "set resources.requests",
    "mountPoints": "use volumes and volumeMounts",
    "privileged": "use securityContext",
    "readonlyRootFilesystem": "use securityContext",
    "repositoryCredentials": "use imagePullSecrets",
    "resourceRequirements": "use resources.limits",
    "restartPolicy": "the kubelet restarts containers, and each restart counts as a failure",
    "secrets": "make a Secret and use env valueFrom",
    "startTimeout": "use a startupProbe",
    "stopTimeout": "use terminationGracePeriodSeconds of the pod",
    "systemControls": "use securityContext.sysctls of the pod",
    "user": "use securityContext.runAsUser",
}
IMAGE = re.compile(r"[\w.:/@+-]+")
"""An image's name; other characters (``${image}``, ``{{ image }}``) are those of a template that is not rendered."""
AT_ITS_END = frozenset({"COMPLETE", "SUCCESS"})
"""Conditions of ``dependsOn`` that are met when the other container has ended."""


@dataclass(slots=True)
class Containers:
    """What a pod runs: containers, and init containers that end before the others start."""

    ordinary: list[Container] = field(default_factory=list)
    init: list[Container] = field(default_factory=list)
    exclusions: list[str] = field(default_factory=list)
    """Containers whose images are not to be pinned to digests (versionConsistency)."""


def read_containers(raw: Any, name: str, image: str | None, notes: Notes) -> Containers:
    """Return the containers; notes get what they lack.

    Args:
        raw: ``containerDefinitions``; None if there is no task definition.
        name: For a container of which nothing is known.
        image: For the container whose image is not known.
        notes: What has no counterpart is added.
    """
    names: set[str] = set()
    definitions = []
    for item, condition in list_items(raw):
        definitions.append(_Definition(item, name, names, notes))
        notes.tell_condition(f"container {definitions[-1].name}", condition)
    init = _order([one for one in definitions if one.decide_whether_it_ends_first(definitions)])
    ended = frozenset(one.ecs_name for one in init)
    containers = {one.name: one.convert(ended) for one in definitions}
    found = Containers(
        [containers[one.name] for one in definitions if one not in init],
        [containers[one.name] for one in init],
    )
    if not found.ordinary and found.init:
        notes.tell("no container is essential: they are all ordinary containers; choose")
        found = Containers(found.init)
    found.exclusions = [one.name for one in definitions if not one.consistent]
    if not found.ordinary:
        notes.tell("no container is defined: fill in the container's image")
        found.ordinary = [{"name": name, "image": FILL_IN}]
    _fill_in_image(found, image, notes)
    bare = [one["name"] for one in found.ordinary if "readinessProbe" not in one]
    if bare:
        notes.tell(
            f"no health check in container {', '.join(bare)}: a pod counts as healthy after 40 s, "
            "as in ECS; add a readinessProbe"
        )
    return found


def _order(init: list[_Definition]) -> list[_Definition]:
    """Return init containers in the order of their ``dependsOn``: Kubernetes runs them one by one."""
    waiting, ordered = list(init), list[_Definition]()
    while waiting:
        names = {one.ecs_name for one in waiting}
        free = (one for one in waiting if not names & one.waits_for().keys() - {one.ecs_name})
        ordered.append(next(free, waiting[0]))
        waiting.remove(ordered[-1])
    return ordered


def _fill_in_image(found: Containers, image: str | None, notes: Notes) -> None:
    lacking = [one for one in (*found.init, *found.ordinary) if one["image"] == FILL_IN]
    if image is None or not lacking:
        return
    if len(lacking) > 1:
        names = ", ".join(one["name"] for one in lacking)
        notes.tell(f"--image is not used: containers {names} lack an image")
        return
    lacking[0]["image"] = image
    notes.lines[:] = [line for line in notes.lines if not _asks_for_image(line)]


def _asks_for_image(note: str) -> bool:
    return note.endswith("fill in the container's image") or note.startswith("image of container")


class _Definition:
    """One container definition on its way to become a container."""

    def __init__(self, raw: Any, service: str, names: set[str], notes: Notes) -> None:
        what = f"container {len(names) + 1}"
        if not isinstance(raw, Mapping):
            notes.fill_in(what, raw, wanted="a container definition")
        self._notes = notes
        self.consistent = True
        given = Fields(raw, notes, what).take("name")
        self.ecs_name = given if isinstance(given, str) else what
        self.name = _make_label(service if given in EMPTY else given, names)
        self._fields = Fields(raw, notes, f"container {self.name}")
        self._fields.leave_out(["name"])
        if isinstance(given, str) and given not in ("", self.name):
            notes.tell(f"container {given} is named {self.name}")
        elif given not in EMPTY and given != self.name:
            notes.fill_in(f"name of container {self.name}", given, wanted="text")

    def waits_for(self) -> dict[str, str]:
        """Return the containers that this one waits for, with the condition of each."""
        found = {}
        for raw, _ in list_items(self._fields.look("dependsOn")):
            one = Fields(raw, Notes())
            found[show(one.look("containerName"))] = show(one.look("condition")).upper()
        return found

    def decide_whether_it_ends_first(self, others: list[_Definition]) -> bool:
        """Return whether it is an init container; tells what ``essential: false`` becomes."""
        essential = plain(self._fields.take("essential"))
        if not isinstance(essential, bool) and essential not in EMPTY:
            what = f"essential of container {self.name}"
            self._notes.fill_in(what, essential, "true or false")
            self._notes.tell(
                f"container {self.name} is an ordinary container; where it is not essential and "
                "ends by itself, make it an init container"
            )
        if essential is not False:
            return False
        awaited = {waits.get(self.ecs_name) for one in others if (waits := one.waits_for())}
        if awaited & AT_ITS_END or not (self._serves() or awaited - {None}):
            self._notes.tell(
                f"container {self.name} is not essential: it is an init container, which must exit "
                "0 before the others start; if it runs beside them, give it restartPolicy: Always "
                "there (a sidecar)"
            )
            return True
        self._notes.tell(
            f"container {self.name} is not essential and serves the others: it is an ordinary "
            "container, and each end of it counts as a failure; a rule with action Ignore and its "
            "containerName in failurePolicy changes that"
        )
        return False

    def _serves(self) -> bool:
        signs = ("portMappings", "healthCheck", "firelensConfiguration", "restartPolicy")
        return any(self._fields.look(name) not in EMPTY for name in signs)

    def convert(self, ended: frozenset[str]) -> Container:
        """Return the container; tells everything that is not in it.

        Args:
            ended: The ECS names of the containers that have ended before others start.
        """
        fields, name = self._fields, self.name
        found: Container = {"name": name}
        image = fields.take("image")
        if isinstance(image, str) and image and not IMAGE.fullmatch(image):
            image = Computed("", image)
        if image in EMPTY:
            self._notes.tell(f"image of container {name} is not given: fill it in")
        found["image"] = self._notes.read_text(f"image of container {name}", image) or FILL_IN
        self.consistent = self._read_consistency()
        # Docker's ENTRYPOINT is Kubernetes' command, Docker's CMD its args.
        for theirs, ours in (("entryPoint", "command"), ("command", "args")):
            if words := fields.take_texts(theirs):
                found[ours] = [escape_dollars(word) for word in words]
        if directory := fields.take("workingDirectory"):
            found["workingDir"] = self._notes.read_text(fields.name("workingDirectory"), directory)
        if ports := read_ports(fields, self._notes):
            found["ports"] = ports
        if environment := read_environment(fields, self._notes, name):
            found["env"] = environment
        # An init container may have no readiness probe.
        if self.ecs_name not in ended and (probe := read_probe(fields, self._notes, name)):
            found["readinessProbe"] = probe
        waits = self.waits_for()
        if waits.keys() <= ended and set(waits.values()) <= AT_ITS_END:
            fields.leave_out(["dependsOn"])
        fields.tell_rest(INSTEAD, ANY_FIELD, HARMLESS)
        return found

    def _read_consistency(self) -> bool:
        value = self._fields.take("versionConsistency")
        if value not in (*EMPTY, "enabled", "disabled"):
            name = self._fields.name("versionConsistency")
            self._notes.fill_in(name, value, "enabled or disabled", "versionConsistencyExclusions")
        return bool(value != "disabled")


def _make_label(given: Any, names: set[str]) -> str:
    """Return a name that Kubernetes takes and that no other container has; adds it to ``names``."""
    text = given if isinstance(given, str) else FILL_IN
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:58].strip("-") or "main"
    name, number = base, 1
    while name in names:
        number += 1
        name = f"{base}-{number}"
    names.add(name)
    return name
