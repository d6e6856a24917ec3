"""Public manifests, applied unchanged on simulated nodes and guarded in place (rules G).

Each workload of a manifest goes its own way, beside the others: COMPLETED; its image, its command or its
probe broken; tripped and restored; corrected; and then nothing of the operator is left on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.e2e.guards import LABEL
from tests.e2e.namespace import Namespace, Object
from tests.e2e.public_manifests import (
    WORKLOADS,
    Break,
    Guarded,
    apply,
    prepare,
    read_manifests,
    run,
)
from tests.e2e.simulated_kubelet import break_command, break_image, break_probe, judge_pods

SECONDS = 240.0
"""For all workloads of a test, which wait side by side: up to 40 s until the first revision counts as healthy
(H1, no readiness probe), 57 s for the third failed pull or 60 s for a deadline, up to 40 s again."""
QUICK: Object = {"minReadySeconds": 0}
"""For pods without readiness probes; in the namespace that has nothing but a label one waits for H1."""
DEADLINE: Object = {"progressDeadlineSeconds": 60}
"""That of the Deployments among them; a StatefulSet has none of its own, and one pod is not enough to count (ADR 19)."""


@dataclass(frozen=True)
class Plan:
    """How the workloads of some manifests opt in, and how they are broken, in turn.

    ``prefix`` is that of the files' names. ``settings`` are those of a DeploymentCircuitBreaker for each;
    None: a label opts in, of the ``namespace`` or of each workload.
    """

    prefix: str
    breaks: tuple[Break, ...]
    settings: Object | None = None
    namespace: bool = False


PLANS = (
    Plan("boutique", (break_image, break_command), namespace=True),
    Plan("sock", (break_command,), QUICK),
    Plan("kp-", (break_command,), QUICK),
    Plan("podinfo-", (break_probe,), DEADLINE),
    Plan("argocd-", (break_command,)),
)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.prefix.rstrip("-"))
def test_public_manifests_are_guarded_as_they_are(plan: Plan, world: Namespace) -> None:
    """G1 to G5, G8: applied unchanged, broken, restored, corrected, and nothing is left on them."""
    objects = read_manifests(f"{plan.prefix}*.yaml")
    worlds = prepare(world.environment, objects, world.namespace)
    for there in worlds.values():
        judge_pods(there)
        if plan.namespace:
            there.kubectl("label", "namespace", there.namespace, f"{LABEL}=enforce")
    apply(worlds, objects, world.namespace)
    guarded = []
    for number, one in enumerate(one for one in objects if one["kind"] in WORKLOADS):
        there = worlds[one["metadata"].get("namespace", world.namespace)]
        fault = plan.breaks[number % len(plan.breaks)]
        guarded.append(Guarded(there, one, fault, plan.settings))
        if not plan.namespace:
            guarded[-1].opt_in()
    run(guarded, SECONDS)
    for there in worlds.values():
        if there.namespace != world.namespace:
            world.environment.kubectl("delete", "namespace", there.namespace, "--wait=false")
