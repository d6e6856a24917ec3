"""The simulated Deployment and StatefulSet controllers against Kubernetes' own, look by look.

``tests/oracle/workloads.json`` holds random walks of the real controllers (``tests/oracle/workloads.go``):
what was there, and what one look made of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.sim import deployment_controller, stateful_set_controller
from tests.sim.api import AlreadyExistsError
from tests.sim.deployment_controller import Pod, deployed
from tests.sim.objects import (
    Deployed,
    DeploymentStatus,
    RawCondition,
    RawDeployment,
    RawRevision,
    RawSet,
    RawStateful,
    StatefulStatus,
)
from tests.sim.stateful_set_controller import Member
from tripswitch.domain.values.workload import Amount, Recreate, RollingUpdate, Strategy, Template

ORACLE = Path(__file__).parents[1] / "oracle"
KUBERNETES: dict[str, Any] = json.loads((ORACLE / "workloads.json").read_text())
NOW = 1_800_000_000.0
Row = dict[str, Any]


def test_the_walks_are_those_of_the_pinned_kubernetes() -> None:
    module = (ORACLE / "go.mod").read_text()
    assert f"k8s.io/kubernetes {KUBERNETES['kubernetes']}\n" in module
    assert len(KUBERNETES["deployments"]) == len(KUBERNETES["stateful_sets"]) == 600


def test_the_walks_see_what_they_are_made_for() -> None:
    before = [row[0] for row in KUBERNETES["deployments"]]
    after = [row[1] for row in KUBERNETES["deployments"]]
    reasons = {one[2] for row in after for one in row["conditions"]}
    assert reasons >= {
        "ProgressDeadlineExceeded", "DeploymentPaused", "DeploymentResumed", "NewReplicaSetAvailable",
        "NewReplicaSetCreated", "ReplicaSetUpdated", "FailedCreate", "CircuitBreakerTriggered",
    }  # fmt: skip
    assert {row["surge"] is None for row in before} == {True, False}
    assert any(row["counts"][6] for row in after), "a collision"
    assert any(one[5] for row in after for one in row["sets"]), "a revision that came again"
    assert sum(len(a["sets"]) < len(b["sets"]) for b, a in KUBERNETES["deployments"]) > 5
    calls = [call[0] for row in KUBERNETES["stateful_sets"] for call in row[1]]
    assert calls.count("create") > 200
    assert calls.count("delete") > 50


# --- Deployments ----------------------------------------------------------------------------------


class Recorder:
    """Holds what the controller writes, without versions."""

    def __init__(self, one: RawDeployment, sets: list[RawSet], *, taken: bool) -> None:
        self.one = one
        self.sets = {rs.uid: rs for rs in sets}
        self._taken = taken

    def write_status(self, one: RawDeployment) -> None:
        self.one = one

    def create_set(self, rs: RawSet) -> RawSet:
        if self._taken:
            raise AlreadyExistsError(rs.name)
        return self.write_set(replace(rs, uid="new"))

    def write_set(self, rs: RawSet) -> RawSet:
        self.sets[rs.uid] = rs
        return rs

    def remove_set(self, rs: RawSet) -> None:
        del self.sets[rs.uid]

    def find_set(self, name: str) -> RawSet | None:
        stranger = RawSet(name, "stranger", None, 0, Template(""), 0, 0.0)
        return stranger if self._taken else None


def amount(written: int | str) -> Amount:
    if isinstance(written, int):
        return Amount(written)
    return Amount(int(written.removesuffix("%")), percent=True)


def read_deployment(row: Row) -> RawDeployment:
    strategy: Strategy = Recreate()
    if row["surge"] is not None:
        strategy = RollingUpdate(amount(row["surge"]), amount(row["unavailable"]))
    conditions = tuple(
        RawCondition(kind, status, reason, "", NOW - updated, NOW - changed)
        for kind, status, reason, updated, changed in row["conditions"]
    )
    observed, replicas, updated, ready, available, unavailable, collisions = row["counts"]
    return RawDeployment(
        "oracle",
        "d",
        row["replicas"],
        Template(str(row["template"])),
        strategy,
        paused=row["paused"],
        min_ready=row["min_ready"],
        deadline=row["deadline"],
        history_limit=row["history_limit"],
        notes=(("note", row["note"]),) if row["note"] else (),
        revision=row["revision"],
        status=DeploymentStatus(
            observed, replicas, updated, ready, available, unavailable, collisions, conditions
        ),
        generation=row["generation"],
    )


def read_set(number: int, row: list[Any]) -> RawSet:
    uid, template, size, min_ready, revision, history, desired, most, note, seen, ages, error = row
    return RawSet(
        f"oracle-{uid}",
        uid,
        "d",
        int(revision or 0),
        Template(str(template)),
        size,
        float(number),
        create_error=error,
        seen_live=seen[0],
        seen_ready=seen[1],
        deployed=Deployed(
            "oracle",
            uid,
            min_ready,
            int(desired) if desired else None,
            int(most) if most else None,
            history,
            (("note", note),) if note else (),
            seen[2],
            *ages,
        ),
    )


def show(one: RawDeployment, sets: list[RawSet]) -> dict[str, Any]:
    """Return what can be compared: names, messages and UIDs are not alike."""
    status = one.status
    conditions = {
        c.type: (c.status, c.reason, NOW - c.updated, NOW - c.changed) for c in status.conditions
    }
    return {
        "revision": one.revision,
        "status": replace(status, conditions=()),
        "conditions": conditions,
        "sets": sorted(
            (
                rs.template.digest,
                rs.size,
                rs.revision,
                told.min_ready,
                told.history,
                told.desired or 0,
                told.most or 0,
                told.notes,
            )
            for rs in sets
            for told in [deployed(rs)]
        ),
    }


@pytest.mark.parametrize("start", range(0, 600, 60))
def test_the_deployment_controller_does_what_kubernetes_does(start: int) -> None:
    for before, after in KUBERNETES["deployments"][start : start + 60]:
        one, sets = read_deployment(before), [read_set(*pair) for pair in enumerate(before["sets"])]
        pods = [Pod(owner, over) for owner, over in before["pods"]]
        recorder = Recorder(one, sets, taken=before["taken"])
        try:
            deployment_controller.sync(recorder, one, sets, pods, NOW)
        except AlreadyExistsError:
            assert before["taken"]
        wanted = [read_set(*pair) for pair in enumerate(after["sets"])]
        told = show(recorder.one, list(recorder.sets.values()))
        assert told == show(read_deployment(after), wanted), before


# --- StatefulSets ---------------------------------------------------------------------------------


class StatefulRecorder:
    """Holds what the controller writes. Revisions are named after their templates."""

    def __init__(self, one: RawStateful, revisions: list[RawRevision]) -> None:
        self.calls: list[list[Any]] = []
        self.status = one.status
        self.revisions = {rev.name: rev for rev in revisions}

    def create_revision(self, one: RawRevision) -> RawRevision:
        made = replace(one, name=one.template.digest)
        self.revisions[made.name] = made
        return made

    def renumber_revision(self, one: RawRevision, number: int) -> RawRevision:
        made = self.revisions[one.name] = replace(one, number=number)
        return made

    def remove_revision(self, one: RawRevision) -> None:
        del self.revisions[one.name]

    def create_member(self, ordinal: int, revision: str) -> None:
        self.calls.append(["create", ordinal, int(revision)])

    def delete_member(self, member: Member) -> None:
        self.calls.append(["delete", member.ordinal])

    def write_stateful_status(self, one: RawStateful, status: StatefulStatus) -> None:
        self.status = status


def read_stateful(row: Row) -> RawStateful:
    observed, replicas, ready, available, current_pods, updated, current, update = row["status"]
    return RawStateful(
        "oracle",
        "s",
        row["replicas"],
        Template(str(row["template"])),
        parallel=row["parallel"],
        partition=row["partition"],
        min_ready=row["min_ready"],
        history_limit=row["history_limit"],
        generation=row["generation"],
        status=StatefulStatus(
            observed,
            replicas,
            ready,
            available,
            current_pods,
            updated,
            str(current or ""),
            str(update or ""),
        ),
    )


@pytest.mark.parametrize("start", range(0, 600, 60))
def test_the_stateful_set_controller_does_what_kubernetes_does(start: int) -> None:
    for before, calls, status, revisions in KUBERNETES["stateful_sets"][start : start + 60]:
        one = read_stateful(before)
        known = [
            RawRevision(str(template), str(template), "s", number, Template(str(template)), 0.0)
            for number, template in before["revisions"]
        ]
        members = [
            Member(ordinal, str(revision), phase, None if age < 0 else NOW - age, deleting)
            for ordinal, revision, phase, age, deleting in before["pods"]
        ]
        recorder = StatefulRecorder(one, known)
        stateful_set_controller.sync(recorder, one, known, members, NOW)
        assert sorted(recorder.calls, key=str) == sorted(calls, key=str), before
        shown = recorder.status
        told = [
            shown.observed, shown.replicas, shown.ready, shown.available, shown.current, shown.updated,
            int(shown.current_revision or 0), int(shown.update_revision or 0),
        ]  # fmt: skip
        # The walk reads names of the revisions that are left.
        left = {int(rev.name) for rev in recorder.revisions.values()}
        told[6:] = [number if number in left else 0 for number in told[6:]]
        assert told == status, before
        left_now = sorted((rev.number, int(rev.name)) for rev in recorder.revisions.values())
        assert left_now == sorted(tuple(row) for row in revisions), before
