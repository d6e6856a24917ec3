"""The way between the resource and the core: exact where it is ours, tolerant of everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.strategies import JSON, build_values
from tripswitch.api.codec import InvalidObjectError, read_guarded, read_status, write_status
from tripswitch.api.crd import build_crd
from tripswitch.domain.values.report import Condition, Report
from tripswitch.domain.values.states import Reason, RolloutState
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Amount, Percentages, Recreate, RollingUpdate, Strategy

SCHEMA = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPECS = build_values(SCHEMA["properties"]["spec"], depth=4)
STATUSES = build_values(SCHEMA["properties"]["status"], depth=4)


def raw(spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a GuardedDeployment as the API server sends it."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    smallest = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "uid": "1", "generation": 7}
    return {"metadata": metadata, "spec": {**smallest, **(spec or {})}, **more}


class TestSpec:
    def test_the_smallest_object_gets_the_defaults_that_the_rules_name(self) -> None:
        spec = read_guarded(raw()).spec
        assert (spec.replicas, spec.progress_deadline, spec.revision_history_limit) == (1, None, 10)
        assert spec.strategy == Percentages(100, 200)
        assert spec.breaker.enable
        assert spec.breaker.rollback
        assert spec.breaker.reset_on_healthy_task
        assert spec.min_ready_seconds is None
        assert spec.selector == "app=web"

    @pytest.mark.parametrize(
        ("strategy", "read"),
        [
            ({"type": "Recreate"}, Recreate()),
            ({}, RollingUpdate(Amount(25, percent=True), Amount(25, percent=True))),
            (
                {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": "10%"}},
                RollingUpdate(Amount(2), Amount(10, percent=True)),
            ),
        ],
    )
    def test_a_deployments_strategy_is_understood(
        self, strategy: dict[str, Any], read: Strategy
    ) -> None:
        assert read_guarded(raw({"strategy": strategy})).spec.strategy == read

    @pytest.mark.parametrize(
        ("spec", "where"),
        [
            ({"replicas": -1}, "spec.replicas"),
            ({"selector": None}, "spec.selector"),
            ({"template": []}, "spec.template"),
            ({"strategy": {"rollingUpdate": {"maxSurge": "half"}}}, "spec.strategy.rollingUpdate"),
        ],
    )
    def test_what_cannot_be_understood_is_named(self, spec: dict[str, Any], where: str) -> None:
        with pytest.raises(InvalidObjectError, match=where):
            read_guarded(raw(spec))

    @given(SPECS)
    @settings(max_examples=60)
    def test_whatever_the_schema_allows_is_read_or_refused_in_words(
        self, spec: dict[str, Any]
    ) -> None:
        self.read(raw(spec))

    @given(JSON, JSON, JSON)
    @settings(max_examples=60)
    def test_no_json_at_all_raises_anything_else(
        self, spec: Any, metadata: Any, status: Any
    ) -> None:
        """Also what no schema ever allowed: an old CRD may have."""
        self.read({"spec": spec, "metadata": metadata, "status": status})

    @staticmethod
    def read(anything: dict[str, Any]) -> None:
        """Read it; the one error that may come says which field it is."""
        try:
            read_guarded(anything)
        except InvalidObjectError as error:
            words = str(error)
        else:
            return
        assert words.startswith("spec")


class TestStatus:
    def test_a_status_of_the_core_is_the_same_after_the_way_out_and_back(self) -> None:
        from tests.support.manual_cluster import ManualCluster  # noqa: PLC0415 - only this test plays a story

        world = ManualCluster().settle(1.0)
        status = world.guarded.status
        assert status.memory.rollout is not None
        assert read_status(json.loads(json.dumps(write_status(status, 3)))) == status

    @given(STATUSES)
    @settings(max_examples=60)
    def test_whatever_is_read_is_written_in_a_way_that_reads_the_same(
        self, status: dict[str, Any]
    ) -> None:
        """So a status that was edited by hand is written once more at most."""
        once = read_status(status)
        assert read_status(write_status(once, 1)) == once

    @given(
        st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"]["status"]["properties"])), JSON)
    )
    @settings(max_examples=100)
    def test_nonsense_in_known_fields_never_raises(self, status: dict[str, Any]) -> None:
        assert isinstance(read_status(status), Status)

    @given(JSON)
    def test_nor_does_anything_else(self, status: Any) -> None:
        assert isinstance(read_status(status), Status)

    def test_a_word_of_a_newer_version_costs_only_what_it_stands_in(self) -> None:
        """A downgrade of the operator must not lose the history for one word that it does not know."""
        known = {"type": "Ready", "status": "True", "reason": "RolloutCompleted", "message": "",
                 "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
        new = {**known, "type": "Available", "reason": "InventedLater"}
        status = read_status({"conditions": [new, known], "rolloutState": "LEVITATING"})
        assert status.report.conditions == (
            Condition("Ready", True, Reason.ROLLOUT_COMPLETED, "", 1767225600.0),
        )
        assert status.report.rollout_state is None

    def test_a_history_that_contradicts_itself_is_as_good_as_lost(self) -> None:
        """Its ReplicaSets know it (W2)."""
        record = {"revision": 1, "replicaSet": "web-a", "templateHash": "a",
                  "createdAt": "2026-01-01T00:00:00Z", "rolloutState": "COMPLETED"}  # fmt: skip
        rollout = {"revision": 2, "kind": "DEPLOY", "status": "SUCCESSFUL",
                   "startedAt": "2026-01-01T00:00:00Z"}  # fmt: skip
        status = read_status({"revisions": [record], "rollout": rollout, "desiredRevision": 1})
        assert status.memory.revisions == ()
        assert status.memory.rollout is None

    def test_times_are_written_as_rfc_3339_and_nulls_are_left_out(self) -> None:
        condition = Condition("Ready", True, Reason.ROLLOUT_COMPLETED, "m", 1767225600.5)
        written = write_status(Status(report=Report(conditions=(condition,))), 4)
        assert written["conditions"] == [
            {
                "type": "Ready",
                "status": "True",
                "reason": "RolloutCompleted",
                "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00.500Z",
                "observedGeneration": 4,
            }
        ]
        assert "rollout" not in written
        assert RolloutState.COMPLETED not in written.values()
