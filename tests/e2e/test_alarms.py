"""Rules A with a real Prometheus: an application whose pods never fail is rolled back by its error rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.alarm_gate import AlarmGate
from tests.e2e.conftest import OwnCluster
from tests.e2e.exporter import RULES, Exporter
from tests.e2e.guards import circuit_breaker, deployment, find, guard_status, until_guard
from tests.e2e.namespace import Namespace, Object, conditions, guarded, revision
from tests.e2e.prometheus import Prometheus
from tools.cluster.certificates import write_certificates
from tools.operator_process import OperatorProcess
from tripswitch.api.times import parse_instant

pytestmark = pytest.mark.debian

BAKE_SECONDS = 60
PATIENCE = 180.0
CAUSE = 'alarm HighErrorRate fires (app="web", '


@dataclass
class Fleet:
    """A cluster whose operator reads the alarms of a real Prometheus."""

    own: OwnCluster
    operator: OperatorProcess
    exporter: Exporter
    prometheus: Prometheus

    def world(self, name: str, errors: float = 0.0) -> Namespace:
        """Return a new namespace whose application has this share of errors."""
        environment = self.own.world.environment
        environment.kubectl("create", "namespace", name)
        self.fail(name, errors)
        return Namespace(environment, name)

    def fail(self, name: str, errors: float) -> None:
        """Set the share of errors, and wait until Prometheus has evaluated it."""
        self.exporter.values[name] = errors

        def fires() -> bool:
            alerts = self.prometheus.alerts()
            names = [one["labels"].get("namespace") for one in alerts if one["state"] == "firing"]
            return (name in names) is (errors > 0)

        self.own.world.until_true(fires)


@dataclass
class GatedFleet(Fleet):
    """One whose operator reads them through a gate, which asks for a token."""

    gate: AlarmGate
    token: Path


@pytest.fixture
def secured(empty: OwnCluster, tmp_path: Path) -> Iterator[Fleet]:
    """A Prometheus that speaks TLS, with a certificate of an authority that only the operator's option names."""
    rules, files = tmp_path / "rules.yaml", tmp_path / "certificates"
    rules.write_text(RULES)
    write_certificates(files, ["127.0.0.1"])
    tls = {"cert_file": str(files / "server.crt"), "key_file": str(files / "server.key")}
    exporter = Exporter()
    with Prometheus(
        tmp_path / "prometheus",
        [exporter.port],
        rules=rules,
        web={"tls_server_config": tls},
        authority=files / "ca.crt",
    ) as prometheus:
        arguments = (f"--alarms-url={prometheus.url}", f"--alarms-ca-file={files / 'ca.crt'}")
        log = tmp_path / "watching.log"
        with OperatorProcess(empty.operator.kubeconfig, log, arguments=arguments) as operator:
            yield Fleet(empty, operator, exporter, prometheus)
    exporter.close()


@pytest.fixture
def fleet(empty: OwnCluster, tmp_path: Path) -> Iterator[GatedFleet]:
    """One for each test, which may kill any part of it."""
    rules, token = tmp_path / "rules.yaml", tmp_path / "token"
    rules.write_text(RULES)
    token.write_text("first\n")
    exporter = Exporter()
    with Prometheus(tmp_path / "prometheus", [exporter.port], rules=rules) as prometheus:
        gate = AlarmGate(prometheus.url, "first")
        arguments = (f"--alarms-url={gate.url}", f"--alarms-token-file={token}")
        log = tmp_path / "watching.log"
        with OperatorProcess(empty.operator.kubeconfig, log, arguments=arguments) as operator:
            yield GatedFleet(empty, operator, exporter, prometheus, gate, token)
        gate.close()
    exporter.close()


def web(image: str, *names: str, bake: int | None = 1, **alarms: Any) -> Object:
    """Return a GuardedDeployment with these alarms."""
    asked = {"alarmNames": list(names), **alarms}
    configuration = {"alarms": asked, "bakeTimeInMinutes": bake} if names else {}
    return guarded(replicas=2, image=image, configuration=configuration)


def watching(**labels: str) -> Object:
    """Return a deploymentConfiguration with an alarm that has to have these labels."""
    return {"alarms": {"alarmNames": ["HighErrorRate"], "matchLabels": labels}}


def is_baking(status: Object) -> bool:
    """Whether the bake's clock runs."""
    return "bakeEndsAt" in status["rollout"]


def has(kind: str) -> Callable[[Object], bool]:
    """Return a question about a status: whether it has a condition."""
    return lambda status: kind in conditions(status)


def test_a1_a3_errors_without_a_failing_pod_roll_back_and_a_neighbour_is_not_harmed(
    fleet: GatedFleet,
) -> None:
    bad, good = fleet.world("bad"), fleet.world("good")
    for world in (bad, good):
        world.completed(web("web:1"))
        world.apply(web("web:2", "HighErrorRate"))
    baking = good.until(is_baking)
    assert conditions(baking)["Ready"]["status"] == "False"
    assert baking["alarms"]["status"] == "MONITORING"
    bad.until(is_baking)
    fleet.fail("bad", 0.07)
    status = bad.until_rollout("ROLLBACK_SUCCESSFUL")
    assert status["alarms"]["status"] == "TRIGGERED"
    assert status["alarms"]["triggeredAlarmNames"] == ["HighErrorRate"]
    (alarm,) = status["alarms"]["triggeredAlarms"]
    assert (alarm["summary"], alarm["labels"]["namespace"]) == ("7% of requests fail", "bad")
    assert status["revisions"][0]["reason"].startswith(CAUSE)
    assert CAUSE in bad.until_event("AlarmTriggered")
    assert conditions(status)["Stalled"]["status"] == "True"
    assert bad.get()["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2", "B6"
    owners = {pod.metadata.owner_references[0].name for pod in bad.pods()}
    assert owners == {revision(status, 1)["replicaSet"]}
    assert 'tripswitch_trips_total{name="web",namespace="bad"} 1.0' in fleet.operator.metrics()
    # The neighbour: a restart of the operator in the bake, and then it completes.
    fleet.operator.kill()
    fleet.operator.start()
    done = good.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    assert "AlarmTriggered" not in [reason for reason, _ in good.events()]
    assert done["alarms"]["status"] == "MONITORING_COMPLETE"
    finished = parse_instant(done["rollout"]["finishedAt"])
    began = parse_instant(baking["rollout"]["bake"]["since"])
    assert finished is not None
    assert began is not None
    assert finished - began > BAKE_SECONDS, "the time without an operator does not count"
    asked = fleet.gate.asked
    fleet.own.world.until_true(
        lambda: "tripswitch_alarm_readings_total" in fleet.operator.metrics()
    )
    assert fleet.gate.asked <= asked + 1, "nobody asks any more"


def test_a2_what_is_on_at_the_start_and_what_nobody_knows_is_ignored_and_told(fleet: Fleet) -> None:
    world = fleet.world("shop", errors=0.5)
    world.completed(web("web:1"))
    world.apply(web("web:2", "HighErrorRate", "NoData", "NoSuchRule"))
    status = world.until(lambda found: has("AlarmsIgnored")(found) and is_baking(found))
    assert status["alarms"]["ignoredAlarmNames"] == ["HighErrorRate"]
    assert status["alarms"]["unknownAlarmNames"] == ["NoSuchRule"]
    words = "alarm HighErrorRate was already firing when the rollout of revision 2 began, and cannot fail it"
    assert conditions(status)["AlarmsIgnored"]["message"] == words
    told = world.until_event("AlarmUnknown")
    assert told == "alarm NoSuchRule is not watched: no alerting rule has that name"
    done = world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    assert "AlarmsIgnored" not in conditions(done)


def test_a2_a3_what_cannot_be_read_fails_nothing_and_stops_the_bake(fleet: GatedFleet) -> None:
    """401, a slow answer, and no Prometheus at all, one after the other in one bake of a good rollout."""
    world = fleet.world("shop")
    world.completed(web("web:1"))
    world.apply(web("web:2", "HighErrorRate"))
    first = world.until(is_baking)

    def breaks(words: str) -> None:
        status = world.until(
            lambda found: words in conditions(found).get("AlarmsUnavailable", {}).get("message", "")
        )
        assert "bakeEndsAt" not in status["rollout"]
        assert status["rollout"]["status"] == "IN_PROGRESS"

    def heals() -> None:
        world.until(lambda found: not has("AlarmsUnavailable")(found) and is_baking(found))

    fleet.gate.token = "second"
    breaks("HTTP status 401")
    fleet.token.write_text("second\n")
    heals()
    fleet.gate.seconds = 8
    breaks("no answer in time")
    fleet.gate.seconds = 0
    heals()
    fleet.prometheus.stop()
    breaks("HTTP status 502")
    fleet.prometheus.start()
    heals()
    done = world.until_rollout("SUCCESSFUL", seconds=PATIENCE)
    ended, promised = done["rollout"]["finishedAt"], first["rollout"]["bakeEndsAt"]
    assert ended > promised, "what was not seen does not count"
    assert not {"AlarmTriggered", "RollbackStarted"} & {reason for reason, _ in world.events()}
    assert "AlarmsUnavailable" in {reason for reason, _ in world.events()}


def test_a1_in_the_middle_of_a_rollout_an_alarm_fails_those_whose_labels_match(
    secured: Fleet,
) -> None:
    """Two rollouts of one namespace, whose pods wait for a volume: no bake has begun, and nothing counts."""
    world = secured.world("shop")
    for name in ("web", "api"):
        world.completed(guarded(name, replicas=2))
        manifest = guarded(name, 2, "slow-mount", "web:2", configuration=watching(app=name))
        notes = manifest["spec"]["template"]["metadata"]["annotations"]
        notes["stage.tripswitch.dev/delay"] = "10m"
        world.apply(manifest)
    for name in ("web", "api"):
        world.until(
            lambda found: "HighErrorRate" in found.get("alarms", {}).get("watchedAlarmNames", ()),
            name,
        )
    secured.fail("shop", 0.2)
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert revision(status, 2)["reason"].startswith(CAUSE)
    assert status["circuitBreaker"]["failureCount"] == 0
    other = world.status("api")
    assert other["rollout"]["status"] == "IN_PROGRESS"
    assert other["alarms"]["triggeredAlarmNames"] == []
    assert not has("AlarmsUnavailable")(other)


def test_a1_a_plain_deployment_is_held_and_rolled_back_by_an_alarm(fleet: Fleet) -> None:
    world = fleet.world("shop")
    asked = {"alarmNames": ["HighErrorRate"], "matchLabels": {"app": "web"}}
    world.apply(deployment())
    world.apply(circuit_breaker())
    until_guard(world, "SUCCESSFUL")
    world.apply(circuit_breaker(alarms=asked, bakeTimeInMinutes=10))
    world.apply(deployment(image="web:2"))
    world.until_true(lambda: "bakeEndsAt" in guard_status(world).get("rollout", {}))
    fleet.fail("shop", 0.2)
    status = until_guard(world, "ROLLBACK_SUCCESSFUL")
    assert status["alarms"]["triggeredAlarmNames"] == ["HighErrorRate"]
    held = find(world, "deployment")
    assert held["spec"]["paused"] is True
    assert CAUSE in conditions(held["status"])["Stalled"]["message"]
    images = {pod.spec.containers[0].image for pod in world.pods()}
    assert images == {"web:1"}
