"""ECS ``earlySuccessCriteria`` and ``lifecycleHooks`` -> the fields of the same names. Pure."""

from __future__ import annotations

from typing import Any

from tripswitch.cli.convert.fields import Fields, Notes, open_fields
from tripswitch.cli.convert.values import EMPTY, plain, show

STAGES = ("PRE_SCALE_UP", "POST_SCALE_UP")
"""Stages of ECS at which a rollout can wait here, too."""

NO_TRAFFIC = "a rolling update has no traffic stages"
WHY_NOT = {"RECONCILE_SERVICE": "the first stage of a rollout here is PRE_SCALE_UP: name that one"}
"""Stages without a counterpart that are not about traffic."""

NO_COUNTERPART = "it has no counterpart"


def convert_early_success(raw: Any, notes: Notes) -> dict[str, Any]:
    """Return the criteria of an early success; what cannot be taken is told."""
    fields, found = open_fields(raw, "earlySuccessCriteria", notes), dict[str, Any]()
    fields.copy("enable", found, wanted=bool)
    fields.copy("healthyPercent", found)
    fields.copy("sourceServiceRevisionCleanup", found, wanted=str)
    fields.tell_rest({}, NO_COUNTERPART, {})
    return found


def convert_hooks(fields: Fields, notes: Notes) -> list[dict[str, Any]]:
    """Return the hooks of type PAUSE, each at the stages that are passed here; takes ``lifecycleHooks``."""
    found = []
    for what, raw in fields.take_items("lifecycleHooks"):
        hook = open_fields(raw, what, notes, what)
        if plain(hook.look("targetType")) != "PAUSE":
            target = show(hook.look("hookTargetArn") or hook.look("targetType") or "a function")
            notes.tell(
                f"not converted: {what} ({target}): only hooks of type PAUSE are taken; run its check "
                "outside, and answer a hook of type PAUSE with kubectl tripswitch continue"
            )
            continue
        stages = hook.take_texts("lifecycleStages")
        for stage in stages:
            if stage not in STAGES:
                notes.tell(
                    f"not converted: stage {stage} of {what}: {WHY_NOT.get(stage, NO_TRAFFIC)}"
                )
        if kept := [stage for stage in stages if stage in STAGES]:
            found.append(_convert_hook(hook, kept, notes))
    return found


def _convert_hook(hook: Fields, stages: list[str], notes: Notes) -> dict[str, Any]:
    converted: dict[str, Any] = {"targetType": "PAUSE", "lifecycleStages": stages}
    given = hook.take("timeoutConfiguration")
    if given not in EMPTY:
        timeout: dict[str, Any] = {}
        fields = open_fields(given, "timeoutConfiguration", notes)
        fields.copy("timeoutInMinutes", timeout)
        fields.copy("action", timeout, wanted=str)
        fields.tell_rest({}, NO_COUNTERPART, {})
        converted["timeoutConfiguration"] = timeout
    hook.leave_out(["targetType"])
    hook.tell_rest({}, NO_COUNTERPART, {})
    return converted
