"""What ``kubectl apply`` remembers of an object, so that an undone template does not outlive the next apply. Pure.

kubectl removes a field that its last-applied-configuration has and the new manifest has not. A template that
is put back brings fields of an older manifest with it; if the annotation does not name them they stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tripswitch.api.tolerant import field, objects, read_text

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def restate_applied(changed: Mapping[str, Any], template: Mapping[str, Any]) -> None:
    """Put a template into the last applied configuration of an object, if it has one that makes sense."""
    annotations = field(changed, "metadata", "annotations")
    try:
        applied = json.loads(annotations[LAST_APPLIED])
        applied["spec"]["template"] = template
    except (KeyError, TypeError, ValueError):
        return  # it was not written by kubectl apply
    annotations[LAST_APPLIED] = json.dumps(applied, separators=(",", ":")) + "\n"


def find_server_side_appliers(raw: Mapping[str, Any]) -> list[str]:
    """Return who applies the pod template on the server side: they remove only what they own."""
    return [
        read_text(entry.get("manager"))
        for entry in objects(field(raw, "metadata", "managedFields"))
        if entry.get("operation") == "Apply"
        and field(entry, "fieldsV1", "f:spec", "f:template") is not None
    ]
