"""What does not fit goes, and takes no more along than it must."""

from __future__ import annotations

from typing import Any

import pytest

from tripswitch.api.lenient import read_leniently
from tripswitch.api.status import Status

AT = "2026-01-01T00:00:00Z"
ROLLOUT = {"revision": 1, "kind": "DEPLOY", "status": "FAILED", "startedAt": AT, "message": "m"}
POD: dict[str, Any] = {
    "pod": "u1",
    "seen": "READY",
    "containers": [{"container": "web", "runs": 3}],
}


def breaker(**fields: Any) -> dict[str, Any]:
    return {"circuitBreaker": {"failureCount": 2, **fields}}


def test_an_optional_word_that_is_not_known_costs_itself_only() -> None:
    read = read_leniently(Status, {"rollout": {**ROLLOUT, "reason": "InventedLater"}})
    assert read.rollout is not None
    assert read.rollout.message == "m"
    counted = {**POD, "seen": "GLORIOUS"}
    kept = read_leniently(Status, breaker(counted=[counted])).circuit_breaker
    assert kept.failure_count == 2
    assert kept.counted[0].containers[0].runs == 3


def test_a_required_word_costs_what_cannot_be_without_it() -> None:
    broken: list[dict[str, Any]] = [{"pod": 7}, POD, {"seen": "READY"}]
    kept = read_leniently(Status, breaker(counted=broken)).circuit_breaker
    assert [entry.pod for entry in kept.counted] == ["u1"]
    assert kept.failure_count == 2
    assert read_leniently(Status, {"rollout": {**ROLLOUT, "status": "LEVITATING"}}).rollout is None


@pytest.mark.parametrize("where", ["top", "rollout", "circuitBreaker", "counted", "containers"])
def test_fields_of_a_newer_version_are_passed_over(where: str) -> None:
    raw: dict[str, Any] = {"rollout": dict(ROLLOUT), **breaker(counted=[dict(POD)])}
    places = {
        "top": raw,
        "rollout": raw["rollout"],
        "circuitBreaker": raw["circuitBreaker"],
        "counted": raw["circuitBreaker"]["counted"][0],
        "containers": raw["circuitBreaker"]["counted"][0]["containers"][0],
    }
    before = read_leniently(Status, raw)
    places[where] |= {"inventedLater": {"deep": [1]}, "failure_count": "x"}
    assert read_leniently(Status, raw) == before


@pytest.mark.parametrize("raw", [None, 7, "text", [], [{}], True])
def test_what_is_no_object_is_an_empty_one(raw: object) -> None:
    assert read_leniently(Status, raw) == Status()
