"""What the operator reads of a real Prometheus: rules and alerts, with TLS, a password, and none of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.exporter import RULES, Exporter
from tests.e2e.prometheus import Prometheus
from tools.cluster.certificates import write_certificates
from tripswitch.cluster.alarms_client import AlarmsClient, AlarmsUnreadError, Source
from tripswitch.domain.values.alarms import RuleReading

NAMES = ("HighErrorRate", "SlowToFire", "NoData", "CannotBeEvaluated", "NoSuchRule")
HASH = "$2b$04$eiC2YaSBxTAqGz.1HQoC3uFkLPlMQTgxzhqK498Q92Pn.OqhMWPqe"
PATIENCE = 60.0

pytestmark = pytest.mark.debian


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    exporter = Exporter()
    yield exporter
    exporter.close()


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def read(client: AlarmsClient) -> RuleReading:
    return asyncio.run(client.read(NAMES))


def until(client: AlarmsClient, reached: Callable[[RuleReading], object]) -> RuleReading:
    deadline = time.monotonic() + PATIENCE
    while not reached(found := read(client)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def problem(client: AlarmsClient) -> str:
    with pytest.raises(AlarmsUnreadError) as raised:
        read(client)
    return str(raised.value)


def test_a1_a2_rules_and_alerts_of_a_real_prometheus(
    exporter: Exporter, rules: Path, tmp_path: Path
) -> None:
    exporter.values = {"shop": 0.0}
    prometheus = Prometheus(tmp_path / "prometheus", [exporter.port], rules=rules)
    with prometheus:
        client = AlarmsClient(Source(prometheus.url))
        calm = until(client, lambda found: not found.unread)
        assert calm == RuleReading(frozenset(NAMES) - {"NoSuchRule"})
        exporter.values = {"shop": 0.5}
        until(client, lambda found: any(not alert.firing for alert in found.alerts))
        waiting = {alert.name: alert for alert in read(client).alerts}
        assert waiting["HighErrorRate"].firing
        fires = until(client, lambda found: all(alert.firing for alert in found.alerts))
        (high,) = (alert for alert in fires.alerts if alert.name == "HighErrorRate")
        assert high.summary == "50% of requests fail"
        assert (high.labels["namespace"], high.labels["app"]) == ("shop", "web")
        slow = next(alert for alert in fires.alerts if alert.name == "SlowToFire")
        assert slow.active_at == waiting["SlowToFire"].active_at, "it stays from pending to firing"
        exporter.values = {"shop": 0.5, "till": 0.5}
        broken = until(client, lambda found: found.unread)
        assert set(broken.unread) == {"CannotBeEvaluated"}
        assert "duplicate series" in broken.unread["CannotBeEvaluated"]
        prometheus.stop()
        assert problem(client).startswith("cannot connect: ")
        prometheus.start()
        back = read(client)
        assert not back.known or back.unread or back.alerts, "before the first evaluation: unread"
        until(client, lambda found: set(found.unread) == {"CannotBeEvaluated"} and found.alerts)


def test_a_certificate_of_a_private_authority_and_a_password(
    exporter: Exporter, rules: Path, tmp_path: Path
) -> None:
    files = tmp_path / "certificates"
    write_certificates(files, ["127.0.0.1"])
    web = {
        "tls_server_config": {
            "cert_file": str(files / "server.crt"),
            "key_file": str(files / "server.key"),
        },
        "basic_auth_users": {"operator": HASH},
    }
    prometheus = Prometheus(
        tmp_path / "prometheus", [exporter.port], rules=rules, web=web, authority=files / "ca.crt"
    )
    with prometheus:
        assert "not trusted" in problem(AlarmsClient(Source(prometheus.url)))
        trusting = Source(prometheus.url, ca_file=str(files / "ca.crt"))
        assert problem(AlarmsClient(trusting)) == "HTTP status 401"
        url = prometheus.url.replace("://", "://operator:test@")
        known = read(AlarmsClient(Source(url, ca_file=str(files / "ca.crt")))).known
        assert "HighErrorRate" in known
