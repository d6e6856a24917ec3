"""Records guarded workloads for the Argo CD check of workloads: ``python -m tests.e2e.record_workloads``.

Real Deployments and StatefulSets with their DeploymentCircuitBreakers, from a real API server with the
operator at work.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.namespace import Namespace
from tests.e2e.record import save
from tests.support.environment import start_environment, stop_environment

PROBE = {"tcpSocket": {"port": 80}}
BEHAVIOUR = "stage.tripswitch.dev/behaviour"


def workload(kind: str, image: str, behaviour: str | None = None) -> dict[str, Any]:
    """Return a workload of three pods with readiness probes."""
    labels = {"app": kind.lower()}
    template = {
        "metadata": {"labels": labels, "annotations": {BEHAVIOUR: behaviour} if behaviour else {}},
        "spec": {"containers": [{"name": "web", "image": image, "readinessProbe": PROBE}]},
    }
    spec = {"replicas": 3, "minReadySeconds": 1, "selector": {"matchLabels": labels}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "labels": {"tripswitch.dev/circuit-breaker": "enforce"}},
        "spec": {**spec, "template": template},
    }


def main() -> int:
    """Bring a workload of each kind into each state, and write what the API server has of it."""
    environment = start_environment("kwok", Path(tempfile.mkdtemp(prefix="tripswitch-record-")))
    try:
        environment.kubectl("create", "namespace", "shop")
        shop = Namespace(environment, "shop")
        for kind, short in (("Deployment", "deployment"), ("StatefulSet", "statefulset")):
            _record(shop, kind, short)
    finally:
        stop_environment(environment)
    return 0


def _record(shop: Namespace, kind: str, short: str) -> None:
    def look(what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(shop.kubectl("get", what, "--output=json"))
        return found

    def keep(state: str) -> None:
        found = look(f"{short}/web")
        marks = {
            k: v for k, v in found["metadata"].get("annotations", {}).items() if "tripswitch" in k
        }
        save(f"{short}-{state}", found)
        if marks:
            path = Path(__file__).parent / "recorded" / f"{short}-{state}.json"
            found["metadata"]["annotations"] = marks
            path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def until(holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        shop.until_true(lambda: holds(look(f"dcb/web-{short}").get("status", {})))
        return look(f"dcb/web-{short}")

    def is_rollout(status: str) -> Callable[[dict[str, Any]], bool]:
        return lambda found: found.get("rollout", {}).get("status") == status

    shop.apply(workload(kind, "web:1"))
    shop.until_true(lambda: bool(shop.kubectl("get", "dcb", "--output=name")))
    save(f"breaker-{short}-completed", until(is_rollout("SUCCESSFUL")))
    keep("completed")
    shop.apply(workload(kind, "web:2", "slow-start"))
    until(is_rollout("IN_PROGRESS"))
    keep("in-progress")
    until(is_rollout("SUCCESSFUL"))
    shop.apply(workload(kind, "web:3", "crash"))
    save(f"breaker-{short}-rolled-back", until(is_rollout("ROLLBACK_SUCCESSFUL")))
    keep("held")
    shop.apply(workload(kind, "web:4"))
    until(is_rollout("SUCCESSFUL"))
    keep("corrected")
    if kind == "Deployment":
        shop.kubectl("rollout", "pause", f"{short}/web")
        keep("paused-by-a-person")


if __name__ == "__main__":
    sys.exit(main())
