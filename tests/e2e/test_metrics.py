"""What a real Prometheus makes of /metrics, of our rules, and of every panel of the dashboard."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import OwnCluster
from tests.e2e.namespace import guarded
from tests.e2e.prometheus import MONITORING, Prometheus, find_program

WEB = 'namespace="default",name="web"'
RULES = MONITORING / "rules.yaml"

PROMISED = {
    "tripswitch_events_total",
    "tripswitch_hooks_total",
    "tripswitch_hooks_waiting",
    "tripswitch_rollouts_total",
    "tripswitch_pod_failures_total",
    "tripswitch_breaker_failures",
    "tripswitch_breaker_threshold",
    "tripswitch_trips_total",
    "tripswitch_time_to_detect_seconds",
    "tripswitch_time_to_restore_seconds",
    "tripswitch_rollout_duration_seconds",
    "tripswitch_reconcile_duration_seconds",
    "tripswitch_reconcile_errors_total",
    "tripswitch_queue_depth",
    "tripswitch_api_requests_total",
    "tripswitch_leader",
    "tripswitch_notifications_total",
    "tripswitch_alarm_readings_total",
    "tripswitch_stalled",
    "tripswitch_crash_looping",
    "tripswitch_rollback_at_risk",
}
"""The names that other people's dashboards and alerts may rely on."""


pytestmark = pytest.mark.debian


@pytest.fixture
def prometheus(own: OwnCluster, tmp_path: Path) -> Iterator[Prometheus]:
    """One that scrapes the cluster's own operator."""
    with Prometheus(tmp_path / "prometheus", [own.operator.port]) as running:
        yield running


def test_prometheus_sees_a_rollout_a_trip_and_a_rollback_and_then_nothing_of_what_is_gone(
    own: OwnCluster, prometheus: Prometheus
) -> None:
    """The whole life of an object, read from Prometheus alone."""
    own.world.completed(guarded(replicas=2))
    until(own, prometheus, f'tripswitch_rollouts_total{{{WEB},result="SUCCESSFUL"}}', 1)
    until(own, prometheus, f"tripswitch_trips_total{{{WEB}}}", 0)
    own.world.apply(guarded(replicas=2, behaviour="crash"))
    own.world.until_rollout("ROLLBACK_SUCCESSFUL")
    until(own, prometheus, f'tripswitch_rollouts_total{{{WEB},result="ROLLBACK_SUCCESSFUL"}}', 1)
    expected = {
        f'tripswitch_rollouts_total{{{WEB},result="FAILED"}}': 1,
        f"tripswitch_trips_total{{{WEB}}}": 1,
        f"tripswitch_breaker_threshold{{{WEB}}}": 3,
        f'tripswitch_stalled{{{WEB},reason="RollbackCompleted"}}': 1,
        "tripswitch_time_to_detect_seconds_count": 1,
        "tripswitch_time_to_restore_seconds_count": 1,
        "tripswitch_rollout_duration_seconds_count": 1,
        "tripswitch_reconcile_errors_total": 0,
        "tripswitch_leader": 1,
    }
    assert {name: prometheus.value(name) for name in expected} == expected
    failures = f'tripswitch_pod_failures_total{{{WEB},kind="LAUNCH",reason="Error"}}'
    assert (prometheus.value(failures) or 0) >= 3
    status = 'verb="update",resource="guardeddeployments/status",code="200"'
    assert (prometheus.value(f"tripswitch_api_requests_total{{{status}}}") or 0) >= 3
    assert (prometheus.value("tripswitch_reconcile_duration_seconds_count") or 0) > 0
    assert prometheus.value("tripswitch_queue_depth") is not None
    fired = {"TripswitchCircuitBreakerTripped", "TripswitchRolledBack"}
    own.world.until_true(lambda: prometheus.firing() == fired)
    shown = read_panels(prometheus)
    assert [expression for expression, samples in shown.items() if not samples] == []
    # These counters come to be with what they count: all of it may be in their first value.
    assert_shown(shown, "tripswitch_pod_failures_total", {"kind": "LAUNCH", "reason": "Error"}, 3)
    assert_shown(shown, "tripswitch_rollouts_total", {"result": "FAILED"}, 1)
    own.world.kubectl("delete", "gdeploy", "web")
    own.world.until_true(lambda: not prometheus.query('{__name__=~"tripswitch_.+",name="web"}'))
    assert prometheus.value("tripswitch_trips_total") is None


def test_an_operator_that_is_gone_is_noticed(own: OwnCluster, prometheus: Prometheus) -> None:
    until(own, prometheus, "tripswitch_leader", 1)
    own.world.until_true(lambda: prometheus.firing() == set())
    own.operator.kill()
    own.world.until_true(lambda: prometheus.firing() == {"TripswitchNoLeader"})


def test_metrics_have_the_promised_names_and_are_in_good_form(own: OwnCluster) -> None:
    text = own.operator.metrics()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE tripswitch")}
    assert names == PROMISED
    checked = subprocess.run(
        [find_program("promtool"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_rules_are_good_and_each_alert_fires_when_it_should() -> None:
    for command in (["check", "rules", RULES], ["test", "rules", "rules_test.yaml"]):
        done = subprocess.run(
            [find_program("promtool"), *command],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_the_object_for_the_prometheus_operator_is_the_same() -> None:
    rules = yaml.safe_load(RULES.read_text())
    assert yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"] == rules
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tested = (Path(__file__).parent / "rules_test.yaml").read_text()
    assert names == set(re.findall(r"alertname: (\w+)", tested))


def until(own: OwnCluster, prometheus: Prometheus, expression: str, wanted: float) -> None:
    own.world.until_true(lambda: prometheus.value(expression) == wanted)


def read_panels(prometheus: Prometheus) -> dict[str, list[Any]]:
    """Return what each query of the dashboard shows now."""
    board = json.loads((MONITORING / "dashboard.json").read_text())
    variables = {"$namespace": ".*", "$name": ".*", "$job": ".*"}
    intervals = {"$__rate_interval": "1m", "$__range": "5m"}
    shown: dict[str, list[Any]] = {}
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in sorted((variables | intervals).items(), reverse=True):
                expression = expression.replace(name, value)
            assert "$" not in expression
            shown[target["expr"]] = prometheus.query(expression)
    assert len(shown) >= 15
    return shown


def assert_shown(
    shown: dict[str, list[Any]], name: str, labels: dict[str, str], wanted: float
) -> None:
    """Assert that the one panel of a metric shows at least so much for these labels."""
    [samples] = [samples for expression, samples in shown.items() if name in expression]
    [value] = [float(sample["value"][1]) for sample in samples if sample["metric"] == labels]
    assert value >= wanted
