"""Renders the table of behaviours into kwok's Stage objects.

kwok matches an object against every stage each time it changes, waits the stage's delay and sends
the rendered patch; see https://kwok.sigs.k8s.io/docs/user/stages-configuration/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.behaviours import ACCEPT, BEHAVIOUR, PREFIX, STATE, STEPS, STOP, Step, note

_HERE = Path(__file__).parent
_POD_STATUS = (_HERE / "pod_status.gotmpl").read_text().replace("@PREFIX@", PREFIX)
_NODE_STATUS = (_HERE / "node_status.gotmpl").read_text()
LOG = ("starting", "GET /healthz 503: waiting for the database")
PREVIOUS_LOG = ("starting", "connecting to the database", 'FATAL: no such table: "users"')
_GO_DURATION = re.compile(r"(\d+(\.\d+)?(ms|s|m|h))+")


def write_stages(path: Path) -> None:
    """Write kwok's configuration file: its options, every stage, and what all pods log."""
    logs = {}
    for name, lines in (("logsFile", LOG), ("previousLogsFile", PREVIOUS_LOG)):
        logs[name] = str(path.with_name(f"{name}.log"))
        stamped = [f"2026-01-01T00:00:00.000000000Z stderr F {line}\n" for line in lines]
        Path(logs[name]).write_text("".join(stamped))
    path.write_text(yaml.safe_dump_all([_options(), *stages(), _logs(logs)], width=10_000))


def _logs(files: dict[str, str]) -> dict[str, Any]:
    """What ``kubectl logs`` shows of every simulated container, and with ``--previous``."""
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "all"},
        "spec": {"logs": [files]},
    }


def stages() -> list[dict[str, Any]]:
    """All Stage objects."""
    pods = [
        _pod_stage(step, behaviour)
        for step in (ACCEPT, *STEPS)
        for behaviour in step.behaviours or (None,)
    ]
    return [*_node_stages(), *pods, _gates(), _delete()]


def _options() -> dict[str, Any]:
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "cidr": "10.64.0.0/10",
            "nodeIP": "127.0.0.1",
            "enableDebuggingHandlers": True,  # logs
            # More would starve kwok's own watch on a small machine; the server then closes it.
            "podPlayStageParallelism": 8,
            "nodePlayStageParallelism": 4,
            "nodeLeaseDurationSeconds": 40,
            "nodeLeaseParallelism": 4,
            "podsOnNodeSyncParallelism": 2,
            "enablePodsOnNodeSyncListPager": True,
        },
    }


def _pod_stage(step: Step, behaviour: str | None) -> dict[str, Any]:
    """One stage per behaviour: comparing an annotation is cheap, and kwok asks every stage."""
    asks = [_asks(".metadata.deletionTimestamp", "DoesNotExist")]
    if behaviour is None:
        asks.insert(0, _asks(note(BEHAVIOUR), "DoesNotExist"))
    if step.states:
        asks.append(_asks(STATE, "In", *step.states))
    if step.unless:
        asks.append(_asks(STATE, "NotIn", *step.unless))
    name = f"{step.name}.{behaviour}" if behaviour else step.name
    steps = [_patch(_pod_template(step.move))]
    if behaviour and behaviour in step.warnings:
        reason, message = step.warnings[behaviour]
        steps.append({"event": {"type": "Warning", "reason": reason, "message": message}})
    stage = _stage("Pod", name, asks, step.after, steps)
    if behaviour:
        stage["spec"]["selector"]["matchAnnotations"] = {BEHAVIOUR: behaviour}
    return stage


def _gates() -> dict[str, Any]:
    """Somebody opened the last readiness gate: the pod is Ready now."""
    ready = '[.status.conditions[]? | select(.type == "Ready" and .status == "False")][0].reason'
    closed = (
        '[.status.conditions[]? | select(.status == "True") | .type] as $open'
        " | [.spec.readinessGates[]?.conditionType] - $open | length"
    )
    asks = [
        _asks(".spec.readinessGates", "Exists"),
        _asks(ready, "In", "ReadinessGatesNotReady"),
        _asks(closed, "In", "0"),
    ]
    return _stage("Pod", "gates-open", asks, "0s", [_patch(_pod_template({}))])


def _delete() -> dict[str, Any]:
    """A deleted pod goes at once, or when the time in its annotation has passed."""
    asks = [_asks(".metadata.deletionTimestamp", "Exists")]
    return _stage("Pod", "delete", asks, f'{note(STOP)} // "0s"', [{"delete": True}])


def _node_stages() -> list[dict[str, Any]]:
    ready = '.status.conditions[]? | select(.type == "Ready") | .status'
    patch = [_patch(_NODE_STATUS)]
    return [
        _stage("Node", "node-initialize", [_asks(ready, "NotIn", "True")], "0s", patch),
        # Beside the leases, which kwok renews by itself; as seldom as a kubelet does it.
        _stage("Node", "node-heartbeat", [_asks(ready, "In", "True")], "5m", patch),
    ]


def _pod_template(move: Mapping[str, object]) -> str:
    return _POD_STATUS.replace("@MOVE@", _go_dict(move))


def _go_dict(move: Mapping[str, object]) -> str:
    """A mapping as an expression of Go's templates.

    >>> _go_dict({"to": "ended", "code": 2})
    '(dict "to" "ended" "code" 2)'
    """
    words = [word for pair in move.items() for word in map(json.dumps, pair)]
    return f"({' '.join(['dict', *words])})"


def _asks(expression: str, operator: str, *values: str) -> dict[str, Any]:
    jq: dict[str, Any] = {"key": expression, "operator": operator}
    return {"jq": {**jq, "values": list(values)} if values else jq}


def _patch(template: str) -> dict[str, Any]:
    return {"patch": {"subresource": "status", "template": template}}


def _stage(
    kind: str,
    name: str,
    asks: list[dict[str, Any]],
    after: str,
    steps: list[dict[str, Any]],
) -> dict[str, Any]:
    expression = json.dumps(after) if _GO_DURATION.fullmatch(after) else after
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": asks},
            "delay": {"durationFrom": {"jq": {"expression": expression}}},
            "steps": steps,
        },
    }
