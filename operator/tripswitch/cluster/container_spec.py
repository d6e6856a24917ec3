"""What a container's spec says about its ends (rule F1): its own restart policy, rules, resizing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tripswitch.api.tolerant import mapping, objects

RULES, RESTART_ALL = "restartPolicyRules", "RestartAllContainers"


def may_complete(spec: Mapping[str, Any]) -> bool:
    """Return whether exit 0 is a success, by the container's own restart policy (KEP-5307)."""
    return spec.get("restartPolicy") in ("OnFailure", "Never")


def restarts_on_resize(spec: Mapping[str, Any]) -> bool:
    """Return whether the kubelet restarts the container when one of its resources is resized."""
    policies = objects(spec.get("resizePolicy"))
    return any(policy.get("restartPolicy") == "RestartContainer" for policy in policies)


def can_restart_all(spec: Mapping[str, Any]) -> bool:
    """Return whether an end of the container can restart the whole pod in place (KEP-5532)."""
    return any(rule.get("action") == RESTART_ALL for rule in objects(spec.get(RULES)))


def asks_to_restart_all(spec: Mapping[str, Any], exit_code: int) -> bool:
    """Return whether an end with this code restarts the whole pod in place: the first match decides."""
    for rule in objects(spec.get(RULES)):
        if _matches(mapping(rule.get("exitCodes")), exit_code):
            return rule.get("action") == RESTART_ALL
    return False


def _matches(codes: Mapping[str, Any], exit_code: int) -> bool:
    values = codes.get("values")
    listed = isinstance(values, list) and exit_code in values
    return codes.get("operator") == ("In" if listed else "NotIn")
