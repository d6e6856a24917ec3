"""Draws the state diagrams of the docs from the core's own tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tripswitch.domain.rules import breaker, rollout_states
from tripswitch.domain.values.states import RolloutStatus, Stage

PATH = Path(__file__).parents[2] / "docs" / "explanation" / "states.md"


def render() -> str:
    """Return the page."""
    lines = [
        "# States of a rollout, a revision and the breaker",
        "",
        "<!-- Generated from operator/tripswitch/domain by `make generate`; do not edit. -->",
        "",
        "## The rollout",
        "",
        "Every move there is (`domain/rules/rollout_states.py`, `TABLE`). A finished rollout never moves again: a",
        "new template, a retry, a rollback and scaling up from zero each begin a new one.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> PENDING: begun while paused",
        "    [*] --> IN_PROGRESS: DEPLOY",
        "    [*] --> ROLLBACK_IN_PROGRESS: ROLLBACK",
    ]
    lines += [f"    {old} --> {new}: {cause}" for (old, cause), new in rollout_states.TABLE.items()]
    lines += [
        f"    {status} --> [*]"
        for status in RolloutStatus
        if status in rollout_states.SUCCEEDED | rollout_states.STALLED
    ]
    lines += [
        "```",
        "",
        "## The circuit breaker",
        "",
        "Its status follows from the rollout's (`domain/rules/breaker.py`, `BREAKER_STATES`); it is `DISABLED` when",
        "it is not enabled.",
        "",
        "| rollout | revision's rolloutState | circuit breaker |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{status}` | `{rollout_states.STATE[status]}` | `{breaker.BREAKER_STATES[status]}` |"
        for status in RolloutStatus
    ]
    lines += [
        "",
        "While it is MONITORING it goes through two stages, one way (rule S1):",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {Stage.LAUNCH}",
        f"    {Stage.LAUNCH} --> {Stage.HEALTH}: one pod RUNNING",
        "```",
        "",
    ]
    return "\n".join(lines)


def render_files() -> Mapping[Path, str]:
    """Return the page's text by its path."""
    return {PATH: render()}
