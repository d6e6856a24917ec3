"""Ports, variables and the health check of an ECS container definition -> those of a container. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tripswitch.cli.convert.fields import Fields, Notes
from tripswitch.cli.convert.values import EMPTY, FILL_IN, escape_dollars, show, to_text

INSTEAD_OF_PORTS = {
    "hostPort": "pods have addresses of their own; make a Service",
    "containerPortRange": "list the ports, or leave them out: they are only information",
    "appProtocol": "set appProtocol in the Service",
    "name": "a port's name has at most 15 letters, digits and single hyphens",
}
ANY_FIELD = "look for a field of the container of the same meaning"
HARMLESS = {
    "cpu": 0,
    "disableNetworking": False,
    "privileged": False,
    "readonlyRootFilesystem": False,
    "hostPort": 0,
}
PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")

PLACEHOLDER = re.compile(r"\$\{|\{\{")
"""Where a template that was not rendered yet has a variable; it may be plain text as well."""

PROTOCOLS = ("", "TCP", "UDP", "SCTP", FILL_IN)


def read_ports(fields: Fields, notes: Notes) -> list[dict[str, Any]]:
    """Return the ports of ``portMappings``; tells what is not in them."""
    found = []
    for what, raw in fields.take_items("portMappings"):
        one = Fields(raw, notes, what)
        port: dict[str, Any] = {}
        name = one.look("name")
        if isinstance(name, str) and PORT_NAME.fullmatch(name):
            port["name"] = to_text(one.take("name"))
        if not isinstance(raw, Mapping):
            notes.fill_in(what, raw, wanted="a port mapping")
            port["containerPort"] = FILL_IN
        elif (number := one.take_number("containerPort")) is not None:
            port["containerPort"] = number
        elif one.look("containerPortRange") in EMPTY and raw:
            notes.tell(f"not converted: {what}: it has no containerPort")
        protocol = notes.read_text(one.name("protocol"), one.take("protocol")).upper()
        if protocol not in PROTOCOLS:
            notes.fill_in(one.name("protocol"), protocol, "a protocol")
            protocol = FILL_IN
        if protocol not in ("", "TCP"):
            port["protocol"] = protocol
        one.tell_rest(INSTEAD_OF_PORTS, ANY_FIELD, HARMLESS)
        if "containerPort" in port:
            found.append(port)
    return found


def read_environment(fields: Fields, notes: Notes, container: str) -> list[dict[str, str]]:
    """Return the variables of ``environment`` of the container of a name."""
    found = []
    for what, raw in fields.take_items("environment"):
        one = Fields(raw, notes, what)
        if not isinstance(raw, Mapping):
            notes.fill_in(what, raw, wanted="a name with a value")
            found.append({"name": FILL_IN, "value": FILL_IN})
            continue
        name = notes.read_text(one.name("name"), one.take("name")) or FILL_IN
        known = f"variable {name} of container {container}"
        value = notes.read_text(one.name("value") if name == FILL_IN else known, one.take("value"))
        if PLACEHOLDER.search(value):
            notes.tell(
                f"{known} is {show(value)!r}, which is kept as it is written: fill it in where another tool, such as "
                "Terraform, replaces a part of it"
            )
        one.tell_rest({}, ANY_FIELD, {})
        found.append({"name": name, "value": escape_dollars(value)})
    return found


def read_probe(fields: Fields, notes: Notes, container: str) -> dict[str, Any] | None:
    """Return ``healthCheck`` as a readiness probe; None if there is none."""
    raw = fields.take("healthCheck")
    if raw in EMPTY:
        return None
    what = f"healthCheck of container {container}"
    one = Fields(raw, notes, what)
    if not isinstance(raw, Mapping):
        notes.fill_in(what, raw, wanted="a health check")
    words = one.take_texts("command")
    if words[:1] == ["NONE"]:
        notes.tell(f"{what} is NONE: the container has no readinessProbe")
        return None
    if words[:1] == ["CMD-SHELL"]:
        words = ["sh", "-c", *words[1:]]
    elif words[:1] == ["CMD"]:
        words = words[1:]
    elif words and words[0] != FILL_IN:
        notes.tell(f"command of {what} begins with neither CMD nor CMD-SHELL: it is taken for CMD")
    start = one.take_number("startPeriod") or 0
    if start != 0:
        notes.tell(
            f"startPeriod of {what} is its initialDelaySeconds: a pod is Ready {start} s after its start at the "
            "earliest, in ECS as soon as a check passes; a startupProbe of the same command does that"
        )
    # The kubelet expands a probe's command, too.
    probe = {
        "exec": {"command": [escape_dollars(word) for word in words] or [FILL_IN]},
        # ECS's defaults: 30 s, 5 s, 3 times, no start period.
        "periodSeconds": one.take_number("interval") or 30,
        "timeoutSeconds": one.take_number("timeout") or 5,
        "failureThreshold": one.take_number("retries") or 3,
        "initialDelaySeconds": start,
    }
    one.tell_rest({}, ANY_FIELD, {})
    notes.tell(
        f"the health check of container {container} is its readinessProbe; add a "
        "livenessProbe if it shall be restarted after the rollout, too"
    )
    return probe
