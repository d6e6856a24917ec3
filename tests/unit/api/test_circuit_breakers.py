"""The way between a DeploymentCircuitBreaker and the core: exact where it is ours, tolerant of the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.strategies import JSON, build_values
from tripswitch.api.circuit_breakers import (
    read_circuit_breaker,
    read_circuit_breaker_status,
    write_circuit_breaker_status,
)
from tripswitch.api.codec import InvalidObjectError
from tripswitch.api.crd import CIRCUIT_BREAKER, build_crd
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.protection import (
    Hold,
    HoldState,
    Mode,
    Protection,
    WorkloadKind,
)
from tripswitch.domain.values.report import Condition, Report
from tripswitch.domain.values.states import Reason
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import BreakerSpec, PolicyRule, ThresholdType

SCHEMA = build_crd(CIRCUIT_BREAKER)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPECS = build_values(SCHEMA["properties"]["spec"], depth=4)
STATUSES = build_values(SCHEMA["properties"]["status"], depth=4)
WEB = Protection(WorkloadKind.DEPLOYMENT, "web")


def raw(spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a DeploymentCircuitBreaker as the API server sends it."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metadata = {"name": "web", "uid": "1", "generation": 7}
    return {"metadata": metadata, "spec": {"targetRef": target, **(spec or {})}, **more}


class TestSpec:
    def test_an_object_with_nothing_but_a_target_gets_the_defaults_of_the_rules(self) -> None:
        found = read_circuit_breaker(raw())
        assert found.protection == WEB
        assert found.protection.breaker == BreakerSpec(enable=True, rollback=True)
        assert (found.name, found.uid, found.generation) == ("web", "1", 7)
        assert (found.retry, found.stop, found.status) == (None, None, Status())

    def test_every_setting_arrives(self) -> None:
        found = read_circuit_breaker(
            raw(
                {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"},
                    "mode": "Observe",
                    "rollback": False,
                    "resetOnHealthyTask": False,
                    "thresholdConfiguration": {"type": "COUNT", "value": 7},
                    "failurePolicy": {"rules": [{"action": "Ignore", "onReasons": ["OOMKilled"]}]},
                    "healthCheckGracePeriodSeconds": 5,
                    "minReadySeconds": 0,
                    "progressDeadlineSeconds": 30,
                }
            )
        )
        assert found.protection == Protection(
            kind=WorkloadKind.STATEFUL_SET,
            target="db",
            mode=Mode.OBSERVE,
            breaker=BreakerSpec(
                rollback=False,
                reset_on_healthy_task=False,
                threshold_type=ThresholdType.COUNT,
                threshold_value=7,
                policy=(PolicyRule(Verdict.IGNORE, frozenset({"OOMKilled"})),),
            ),
            min_ready_seconds=0,
            health_check_grace_period=5,
            progress_deadline=30,
        )

    def test_a_persons_commands_are_read_from_the_annotations(self) -> None:
        """C1, C2."""
        annotations = {"tripswitch.dev/retry": "a", "tripswitch.dev/stop": "3/ABORT"}
        found = read_circuit_breaker({**raw(), "metadata": {"annotations": annotations}})
        assert (found.retry, found.stop) == ("a", "3/ABORT")

    @pytest.mark.parametrize(
        ("spec", "where"),
        [
            ({"targetRef": None}, "spec.targetRef"),
            ({"targetRef": {"kind": "DaemonSet", "name": "web"}}, "spec.targetRef.kind"),
            ({"mode": "Enable"}, "spec.mode"),
        ],
    )
    def test_what_cannot_be_understood_is_named(self, spec: dict[str, Any], where: str) -> None:
        with pytest.raises(InvalidObjectError, match=where):
            read_circuit_breaker(raw(spec))

    @given(SPECS)
    @settings(max_examples=60)
    def test_what_the_schema_allows_is_read_but_for_names(self, spec: dict[str, Any]) -> None:
        """The generated values do not follow the pattern of a name."""
        spec["targetRef"]["name"] = "web"
        assert read_circuit_breaker(raw(spec)).protection.target == "web"

    @given(JSON, JSON, JSON)
    @settings(max_examples=60)
    def test_json_of_any_shape_raises_one_kind_of_error(
        self, spec: Any, metadata: Any, status: Any
    ) -> None:
        """Also what no schema ever allowed: an old CRD may have."""
        anything = {"spec": spec, "metadata": metadata, "status": status}
        try:
            read_circuit_breaker(anything)
        except InvalidObjectError as error:
            words = str(error)
        else:
            return
        assert words.startswith("spec")


class TestStatus:
    def test_what_a_trip_changed_survives_a_restart(self) -> None:
        """G4, G5: the hold is memory, also where the history was lost."""
        condition = Condition("Stalled", True, Reason.CIRCUIT_BREAKER_TRIGGERED, "m", 1767225600.5)
        status = Status(
            Memory(
                conditions=(condition.state,),
                observed_retry="a",
                hold=Hold("web-6f8c", HoldState.PLACED),
                resumes=2,
            ),
            Report(conditions=(condition,)),
        )
        written = write_circuit_breaker_status(status, 3, WEB)
        assert written["hold"] == {"failed": "web-6f8c", "state": "Placed"}
        assert read_circuit_breaker_status(json.loads(json.dumps(written))) == status

    def test_the_target_is_shown_in_one_word(self) -> None:
        """The column TARGET."""
        assert write_circuit_breaker_status(Status(), 3, WEB)["target"] == "Deployment/web"

    @given(STATUSES)
    @settings(max_examples=60)
    def test_a_status_that_was_edited_by_hand_is_written_once_more_at_most(
        self, status: dict[str, Any]
    ) -> None:
        once = read_circuit_breaker_status(status)
        assert read_circuit_breaker_status(write_circuit_breaker_status(once, 1, WEB)) == once

    @given(JSON)
    def test_json_of_any_shape_is_a_status(self, status: Any) -> None:
        assert isinstance(read_circuit_breaker_status(status), Status)


def test_w3_a_status_without_a_rollout_is_read_as_it_was_written() -> None:
    """Otherwise every look at a breaker whose target is not there would write the status again."""
    condition = Condition("Ready", False, Reason.TARGET_NOT_FOUND, "gone", 1_700_000_000.0)
    written = Status(
        Memory(observed_generation=3, target_uid="uid-web", conditions=(condition.state,)),
        Report(rollout_state_reason="Deployment web does not exist", conditions=(condition,)),
    )
    protection = Protection(WorkloadKind.DEPLOYMENT, "web")
    stored = write_circuit_breaker_status(written, 3, protection)
    assert read_circuit_breaker_status(stored) == written
