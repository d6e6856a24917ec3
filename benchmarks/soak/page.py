"""The page of the soak: what was done, what was seen, what was wrong."""

from __future__ import annotations

import argparse
import time
from collections import Counter

from benchmarks.report import DOCS, machine, versions
from benchmarks.soak.driver import Soak

PAGE = DOCS / "soak.md"

INTRODUCTION = """# Soak test: random operations on a real API server

Written by `make soak-cluster`; not edited by hand. Random good and bad rollouts of GuardedDeployments, and of Deployments
and StatefulSets that are guarded in place (by the label or by a DeploymentCircuitBreaker); alarms of a server that answers like
Prometheus; PAUSE hooks that are answered by CONTINUE or ROLLBACK; scaling, deletions, and restarts of the operator (by turns
killed with -9 and stopped). Then a recount from the API server's audit log, which has what each write made of each
object (`benchmarks/soak`, `tools/cluster/audit.py`):

- failures are counted again from the pods: a revision that reached the threshold was FAILED, none was FAILED before, and
  the operator counted no failure that no pod showed;
- a good revision is FAILED only if its alarm fired, and one whose alarm fired is not COMPLETED;
- no pod of a revision is made before its hook is answered, and no answer has the other one's effect;
- every workload ends with all of its pods Ready on the revision that was asked for, or, if that failed, on the last
  completed one, as far as that is certain from the pods alone; a guarded workload is given back without a trace;
- no ReplicaSet and no pod is left over.
"""


def render(soak: Soak, options: argparse.Namespace, memory: list[str], faults: list[str]) -> str:
    """Return the page."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    actions = ", ".join(f"{number} x {action}" for action, number in soak.actor.done.most_common())
    roles = Counter(subject.role.value for subject in soak.ledger.values())
    counted = ", ".join(f"{number} {role}" for role, number in roles.most_common())
    lines = [
        INTRODUCTION,
        (
            f"- {when}, seed {options.seed}, {options.minutes:g} minutes, {options.objects} workloads of 1 to "
            f"6 replicas; {machine()}; {versions()}."
        ),
        f"- Actions: {actions}.",
        f"- Workloads: {counted}.",
        *_seen(soak),
        *_latencies(soak),
        *(f"- Memory, {line}." for line in memory),
        "",
        "## Faults",
        "",
        *([f"- {fault}" for fault in faults] or ["None."]),
    ]
    return "\n".join(lines) + "\n"


def _seen(soak: Soak) -> list[str]:
    recount, guarded = soak.recount, soak.guarded
    tripped = sum(len(guard.failed) for guard in recount.guards.values())
    of_ours = {uid: one for uid, one in recount.revisions.items() if one.guard in recount.guards}
    reached = sum(one.reached is not None for one in of_ours.values())
    theirs = [one for work in guarded.workloads.values() for one in work.revisions.values()]
    failed = sum(
        "FAILED" in states for w in guarded.workloads.values() for states in w.states.values()
    )
    answers = Counter(hook.answer for hook in soak.gates.hooks.values())
    fired = sum(bool(one.fired) for subject in soak.ledger.values() for one in subject.asked)
    sure = sum(bool(one.sure) for one in soak.endings.found.values() if one.there)
    return [
        (
            f"- {len(recount.guards)} GuardedDeployments, {len(of_ours)} revisions, {tripped} of them "
            f"FAILED; {reached} reached the threshold in the recount."
        ),
        (
            f"- {len(guarded.workloads)} guarded Deployments and StatefulSets, {len(theirs)} revisions, "
            f"{failed} of them FAILED; {sum(one.reached is not None for one in theirs)} reached the "
            "threshold in the recount."
        ),
        (
            f"- {len(soak.gates.hooks)} hooks waited; {answers['CONTINUE']} were answered CONTINUE and {answers['ROLLBACK']} "
            f"ROLLBACK. {fired} alarms fired in a rollout; alarms were read {soak.alarms.asked} times."
        ),
        f"- At the end {sure} workloads had a revision that was certain to be the last completed one before.",
    ]


def _latencies(soak: Soak) -> list[str]:
    late = soak.recount.latencies()
    if not late:
        return []
    half, most = late[len(late) // 2], late[len(late) * 99 // 100]
    return [
        (
            f"- From the threshold to the scale-down: p50 {1000 * half:.0f} ms, p99 {1000 * most:.0f} ms, "
            f"largest {late[-1]:.1f} s (restarts are in it)."
        )
    ]
