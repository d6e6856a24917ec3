"""A status that another version has written is understood, and changes nothing by itself.

``tests/statuses`` holds what each version left in a real cluster: the object, its ReplicaSets and pods.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.invariants import check_decision, check_status
from tripswitch.api.codec import read_guarded, write_status
from tripswitch.cluster.store import Key, Store
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import CreateReplicaSet, Decision, DeleteReplicaSet
from tripswitch.domain.values.snapshot import Snapshot

DIRECTORY = Path(__file__).parents[1] / "statuses"
RECORDED = {
    f"{path.parent.name}/{path.stem}": json.loads(path.read_text())
    for path in sorted(DIRECTORY.glob("v*/*.json"))
}
STRANGE = {"inventedLater": {"deep": [{"er": 1}]}}

every_one = pytest.mark.parametrize("name", RECORDED)


def look(recorded: dict[str, Any]) -> tuple[Snapshot, Decision]:
    """What a process that has just been started makes of it."""
    now = recorded["recordedAt"]
    store = Store(lambda _: None, lambda: now)
    store.upsert_guarded(recorded["guarded"])
    for raw in recorded["replicaSets"]:
        store.replica_sets.upsert(raw)
    for raw in recorded["pods"]:
        store.pods.upsert(raw)
    metadata = recorded["guarded"]["metadata"]
    record = store.find(Key(metadata["namespace"], metadata["name"]))
    assert record is not None
    snapshot = store.snapshot(record)
    return snapshot, decide(snapshot, now)


def with_status(recorded: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    return {**recorded, "guarded": {**recorded["guarded"], "status": status}}


def test_there_are_statuses_of_each_kind() -> None:
    found = {r["guarded"]["status"]["rollout"]["status"] for r in RECORDED.values()}
    assert found >= {"SUCCESSFUL", "FAILED", "STOPPED", "ROLLBACK_SUCCESSFUL", "IN_PROGRESS"}
    assert found >= {"PENDING", "ROLLBACK_IN_PROGRESS"}


@every_one
def test_it_is_read_without_loss(name: str) -> None:
    """What this version writes of it is what it has read, word for word."""
    guarded = read_guarded(RECORDED[name]["guarded"])
    status = RECORDED[name]["guarded"]["status"]
    written = write_status(guarded.status, guarded.generation)
    for condition in written["conditions"]:
        # v0.1.0 wrote it, but its schema did not keep it.
        assert condition.pop("observedGeneration") == guarded.generation
    assert {key: written.get(key) for key in status} == status


@every_one
def test_the_template_is_still_the_same_revision(name: str) -> None:
    """Else an upgrade of the operator would roll out everything once more."""
    snapshot, decision = look(RECORDED[name])
    assert (
        decision.status.memory.desired_revision == snapshot.guarded.status.memory.desired_revision
    )
    known = {revision.replica_set for revision in snapshot.guarded.status.memory.revisions}
    for action in decision.actions:
        assert not isinstance(action, DeleteReplicaSet)
        assert not isinstance(action, CreateReplicaSet) or action.name in known


@every_one
def test_what_was_settled_stays_as_it_is(name: str) -> None:
    """No write, no action."""
    if not RECORDED[name]["settled"]:
        return
    snapshot, decision = look(RECORDED[name])
    assert decision.status == snapshot.guarded.status
    assert decision.actions == ()
    assert decision.events == ()


@every_one
def test_what_was_under_way_goes_on_where_it_was(name: str) -> None:
    snapshot, decision = look(RECORDED[name])
    before, after = snapshot.guarded.status.memory, decision.status.memory
    assert check_decision(snapshot, decision, RECORDED[name]["recordedAt"]) == []
    assert before.rollout is not None
    assert after.rollout is not None
    assert after.rollout.started_at == before.rollout.started_at
    assert after.circuit_breaker.failure_count >= before.circuit_breaker.failure_count


@every_one
def test_fields_of_a_newer_version_are_passed_over(name: str) -> None:
    recorded = RECORDED[name]
    strange = copy.deepcopy(recorded["guarded"]["status"])
    for place in list(_objects(strange)):
        place.update(STRANGE)
    assert read_guarded(with_status(recorded, strange)["guarded"]) == read_guarded(
        recorded["guarded"]
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)


Path_ = tuple[str | int, ...]


def _fields(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every field of a status, each kind of place once."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from _fields(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from _fields(value[0], (*path, 0))


def _damaged() -> Iterator[Any]:
    seen: set[Path_] = set()
    for name, recorded in RECORDED.items():
        for path in _fields(recorded["guarded"]["status"]):
            # Another identity is another template, whoever wrote it.
            if path not in seen and path[-1] != "templateHash":
                seen.add(path)
                yield pytest.param(name, path, id=".".join(map(str, path)))


@pytest.mark.parametrize(("name", "path"), list(_damaged()))
def test_a_field_that_is_missing_or_says_what_nobody_knows_does_no_harm(
    name: str, path: Path_
) -> None:
    """An older version has not written it, or a newer one has other words: both ways."""
    recorded = RECORDED[name]
    for damage in (None, "InventedLater", {"invented": "later"}):
        status = copy.deepcopy(recorded["guarded"]["status"])
        place: Any = status
        for step in path[:-1]:
            place = place[step]
        if damage is None:
            del place[path[-1]]
        else:
            place[path[-1]] = damage
        snapshot, decision = look(with_status(recorded, status))
        found = check_decision(snapshot, decision, recorded["recordedAt"])
        # What the damage itself has broken stays broken, and is all that is.
        assert _kinds(found) <= _kinds(check_status(snapshot.guarded.status))


def _kinds(problems: list[str]) -> set[str]:
    return {re.sub(r"\d+", "N", problem) for problem in problems}
