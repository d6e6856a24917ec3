"""Least privilege of guarding, from the audit log: what mode Observe writes, and what Enforce needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guards import (
    LABEL,
    deployment,
    find,
    find_breaker,
    guard_status,
    images,
    stateful_set,
    until,
    until_guard,
)
from tests.e2e.namespace import Namespace
from tests.faults.plan import FaultPlan, Freeze, Rule, on
from tests.faults.proxy import FaultProxy
from tests.support.environment import Environment
from tests.support.rights import judge, read_audit, read_granted
from tools.cluster.audit import AuditLog
from tools.cluster.control_plane import ControlPlane
from tools.helm import CHART, NAMESPACE, RELEASE, Helm
from tools.operator_process import USER, OperatorProcess, write_kubeconfig

BREAKERS = ("web-deployment", "web-statefulset")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster without an operator."""
    with ControlPlane(tmp_path / "cluster") as control_plane:
        control_plane.add_nodes(2)
        yield control_plane


@contextmanager
def operating(
    cluster: ControlPlane, directory: Path, *settings: str
) -> Iterator[tuple[Namespace, FaultProxy]]:
    """Install the chart's rights with these settings, and run an operator under its account.

    No pods of the chart's own: the operator under test is a process with the same account, behind a proxy.
    """
    for namespace in (NAMESPACE, "shop"):
        cluster.kubectl("create", "namespace", namespace)
    helm = Helm("helm", directory, str(cluster.kubeconfig))
    helm.install("--set=replicas=0", *settings)
    environment = Environment(
        "kwok", str(cluster.kubeconfig), str(cluster.kubectl_path), str(cluster.directory)
    )
    rights = write_kubeconfig(cluster.kubectl, directory / "operator.kubeconfig")
    mode = "observe" if any("Observe" in one for one in settings) else "enforce"
    arguments = [f"--guard-workloads={mode}"]
    with FaultProxy(cluster.server, cluster.certificate_authority, FaultPlan()) as proxy:
        behind = proxy.write_kubeconfig(rights, directory / "proxy.kubeconfig")
        with OperatorProcess(behind, directory / "operator.log", arguments=arguments):
            yield Namespace(environment, "shop"), proxy


def start(world: Namespace, wish: str) -> None:
    """Have a namespace's label guard a Deployment and a StatefulSet that both complete."""
    world.apply(deployment())
    world.apply(stateful_set())
    until(lambda: {"images": images(world)}, lambda seen: seen["images"] == ["web:1"] * 7)
    world.kubectl("label", "namespace", "shop", f"{LABEL}={wish}")
    for breaker in BREAKERS:
        until_guard(world, "SUCCESSFUL", breaker)


def roll(world: Namespace, image: str, wanted: str, behaviour: str | None = None) -> None:
    """Roll out an image of both, and wait until both rollouts have ended as wanted."""
    for workload in (deployment(behaviour, image), stateful_set(behaviour, image)):
        world.apply(workload)
    for kind, breaker in zip(("deployment", "statefulset"), BREAKERS, strict=True):
        generation = find(world, kind)["metadata"]["generation"]
        until(
            partial(guard_status, world, breaker),
            partial(has_ended, wanted, generation),
        )


@contextmanager
def unseen_breakers(proxy: FaultProxy) -> Iterator[None]:
    """Have the operator hear of no change of a breaker meanwhile: its watches of them are silent."""
    silent = Rule(Freeze(), on(["watch"], ["deploymentcircuitbreakers"]))
    proxy.plan.set(silent)
    proxy.hang_up()
    until(lambda: {"silent watches": silent.hits}, lambda seen: bool(seen["silent watches"]))
    yield
    proxy.plan.set()
    proxy.hang_up()


def test_observe_writes_nothing_on_a_workload_its_replica_sets_or_its_pods(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    """G7: a good rollout, a bad one and a corrected one, of both kinds. It has no right to, either."""
    with operating(cluster, tmp_path, "--set=guardWorkloads.mode=Observe") as (world, _):
        start(world, "observe")
        roll(world, "web:2", "SUCCESSFUL")
        roll(world, "web:3", "FAILED", "crash")
        for breaker in BREAKERS:
            assert world.until_event("CircuitBreakerWouldTrigger", breaker)
        for kind in ("deployment", "statefulset"):
            world.kubectl("delete", "pods", "--selector=app=web", "--wait=false")
            assert "paused" not in find(world, kind)["spec"]
        world.kubectl("label", "namespace", "shop", f"{LABEL}-")
        until(lambda: guard_status(world, BREAKERS[0]), lambda status: not status)
    log = AuditLog(Path(cluster.audit_log), whole=True)
    written = {one.resource for one in log.read() if one.user == USER and one.writes}
    assert written <= {
        "deploymentcircuitbreakers",
        "deploymentcircuitbreakers/status",
        "events",
        "leases",
    }
    assert "deploymentcircuitbreakers/status" in written, "it was this operator's log"
    assert judge(cluster.audit_log, set(), whole=False) == []


def test_every_right_that_guarding_adds_is_used(cluster: ControlPlane, tmp_path: Path) -> None:
    """A trip of both kinds, corrected, with a breaker made, changed and deleted for a label.

    And the status of a breaker is written on a version that is not the latest any more: after that conflict
    the operator reads the breaker.
    """
    helm = Helm("helm", tmp_path, str(cluster.kubeconfig))
    with operating(cluster, tmp_path) as (world, proxy):
        start(world, "observe")
        world.kubectl("label", "namespace", "shop", f"{LABEL}=enforce", "--overwrite")
        for breaker in BREAKERS:
            until(partial(find_breaker, world, breaker), is_enforced)
        world.apply(deployment("crash", "web:2"))
        roll(world, "web:2", "ROLLBACK_SUCCESSFUL", "crash")
        assert images(world) == ["web:1"] * 7
        with unseen_breakers(proxy):
            for breaker in BREAKERS:
                world.kubectl("annotate", "deploymentcircuitbreaker", breaker, "changed=unseen")
            roll(world, "web:3", "SUCCESSFUL")
        world.kubectl("label", "namespace", "shop", f"{LABEL}-")
        until(lambda: guard_status(world, BREAKERS[0]), lambda status: not status)
    whole, without = (
        read_granted(helm("template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", setting))
        for setting in ("--set=guardWorkloads.enabled=true", "--set=guardWorkloads.enabled=false")
    )
    with Path(cluster.audit_log).open() as lines:
        used, refused = read_audit(lines)
    assert refused == set()
    assert len(whole - without) > 10, "guarding adds rights"
    assert sorted(map(str, whole - without - used)) == []


def has_ended(wanted: str, generation: int, status: Mapping[str, Any]) -> bool:
    """Return whether the rollout of this generation of the workload has ended as wanted."""
    return bool(status["targetGeneration"] >= generation and status["rollout"]["status"] == wanted)


def is_enforced(seen: Mapping[str, Any]) -> bool:
    """Return whether a breaker's mode is Enforce."""
    return bool(seen["spec"]["mode"] == "Enforce")
