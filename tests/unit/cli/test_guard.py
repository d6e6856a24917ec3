"""The plugin on Deployments and StatefulSets that are guarded in place."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from rich.console import Console

from tests.unit.cli.server import BASE, Server, serve
from tests.unit.cli.statuses import guarded, in_progress, replica_set, rolled_back
from tests.unit.cli.workloads import (
    BREAKERS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    breaker,
    deployment,
    owned,
    stateful_set,
    tripped,
)
from tests.unit.cluster.raws import ready_pod
from tripswitch.api.crd import CIRCUIT_BREAKER, build_crd
from tripswitch.cli.app import app
from tripswitch.cli.completion import answer
from tripswitch.cli.session import open_session
from tripswitch.cli.status.fleet import follow_fleet
from tripswitch.cli.status.screen import Screen
from tripswitch.cli.status.view import Outcome, View, build_view
from tripswitch.cli.where import Where

SETS = "/apis/apps/v1/namespaces/shop/replicasets"
PODS = "/api/v1/namespaces/shop/pods"
FROM_LABEL = {"tripswitch.dev/made-by": "label"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A cluster with a Deployment web and a StatefulSet db that nobody guards."""
    with serve(tmp_path) as scripted:
        for path in (BREAKERS, SETS, PODS):
            scripted.lists(path)
        scripted.has(f"{DEPLOYMENTS}/web", deployment())
        scripted.has(f"{STATEFUL_SETS}/db", stateful_set())
        yield scripted


def guards(server: Server, *breakers: dict[str, Any]) -> None:
    """Let these breakers be there."""
    server.lists(BREAKERS, *breakers)
    for one in breakers:
        server.has(f"{BREAKERS}/{one['metadata']['name']}", one)


def writes(server: Server) -> list[tuple[str, str, Any]]:
    """Return method, path and body of what was written."""
    return [(how, path.partition("?")[0], body) for how, path, body in server.sent if how != "GET"]


class TestGuard:
    def test_it_writes_an_object_with_nothing_but_target_and_mode(self, server: Server) -> None:
        server.has(BREAKERS, breaker(), 201, "POST")
        result = server.run("guard", "deploy/web")
        assert result.output == "deploy/web is guarded by dcb/web, mode Enforce\n"
        ((method, path, body),) = writes(server)
        assert (method, path) == ("POST", BREAKERS)
        assert body["spec"] == {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": "Enforce",
        }
        schema = build_crd(CIRCUIT_BREAKER)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        jsonschema.Draft202012Validator(schema).validate(body)

    def test_what_it_prints_for_git_is_what_it_would_write(self, server: Server) -> None:
        server.has(BREAKERS, breaker(), 201, "POST")
        printed = server.run("guard", "sts/db", "--observe", "--dry-run").output
        assert server.sent == []
        server.run("guard", "sts/db", "--observe")
        assert yaml.safe_load(printed) == writes(server)[0][2]

    def test_what_it_prints_may_be_appended_to_a_manifest(self, server: Server) -> None:
        """Without a separator the keys of both would be one document, and kubectl takes the last of each."""
        manifest = "kind: StatefulSet\nmetadata: {name: db}\n"
        printed = server.run("guard", "sts/db", "--dry-run").output
        kinds = [one["kind"] for one in yaml.safe_load_all(manifest + printed)]
        assert kinds == ["StatefulSet", "DeploymentCircuitBreaker"]

    def test_what_it_prints_names_the_namespace_that_was_given(self, server: Server) -> None:
        printed = server.run("guard", "sts/db", "--dry-run", "-n", "other").output
        assert yaml.safe_load(printed)["metadata"] == {"name": "db", "namespace": "other"}
        printed = server.run("guard", "sts/db", "--dry-run").output
        assert yaml.safe_load(printed)["metadata"] == {"name": "db"}

    def test_a_breaker_of_another_kind_with_the_name_is_no_hindrance(self, server: Server) -> None:
        guards(server, breaker(kind="StatefulSet", target="web"))
        server.has(BREAKERS, breaker(), 201, "POST")
        assert "dcb/web-deployment" in server.run("guard", "deploy/web").output

    def test_observing_becomes_enforcing_by_the_same_command(self, server: Server) -> None:
        guards(server, breaker(mode="Observe"))
        server.has(f"{BREAKERS}/web", breaker(), method="PATCH")
        result = server.run("guard", "deploy/web")
        assert result.output == "deploy/web is guarded by dcb/web, mode Enforce from now on\n"
        assert writes(server) == [("PATCH", f"{BREAKERS}/web", {"spec": {"mode": "Enforce"}})]

    def test_what_is_guarded_already_is_not_written(self, server: Server) -> None:
        guards(server, breaker())
        result = server.run("guard", "deploy/web")
        assert result.output == "deploy/web is guarded already by dcb/web, mode Enforce\n"
        assert writes(server) == []

    @pytest.mark.parametrize(("option", "label"), [("--observe", "observe"), ("--remove", "off")])
    def test_a_breaker_made_for_a_label_is_changed_by_the_label(
        self, server: Server, option: str, label: str
    ) -> None:
        """G8: the operator would write it back."""
        guards(server, breaker(annotations=FROM_LABEL))
        result = server.run("guard", "deploy/web", option)
        assert result.exit_code == 1
        command = f"kubectl label deploy/web tripswitch.dev/circuit-breaker={label} --overwrite"
        assert command in result.output
        assert writes(server) == []

    def test_removing_deletes_the_very_object_that_was_read(self, server: Server) -> None:
        guards(server, breaker())
        server.has(f"{BREAKERS}/web", {}, method="DELETE")
        result = server.run("guard", "deploy/web", "--remove")
        assert result.output == "deploy/web is no longer guarded by dcb/web\n"
        ((method, path, body),) = writes(server)
        assert (method, path) == ("DELETE", f"{BREAKERS}/web")
        assert body["preconditions"] == {"uid": "dcb-web"}

    def test_removing_a_persons_breaker_says_that_the_one_of_a_label_goes_on(
        self, server: Server
    ) -> None:
        for_label = breaker(name="web-deployment", created=5.0, annotations=FROM_LABEL)
        guards(server, for_label, breaker(created=9.0))
        server.has(f"{BREAKERS}/web", {}, method="DELETE")
        result = server.run("guard", "deploy/web", "--remove")
        assert result.exit_code == 0
        assert "deploy/web is no longer guarded by dcb/web" in result.output
        assert "dcb/web-deployment was created for a label" in result.output
        assert [path for _, path, _ in writes(server)] == [f"{BREAKERS}/web"]

    def test_removing_during_a_trip_says_that_the_workload_stays_held(self, server: Server) -> None:
        """G9."""
        guards(server, breaker(tripped()))
        server.has(f"{BREAKERS}/web", {}, method="DELETE")
        assert "a trip holds deploy/web" in server.run("guard", "deploy/web", "--remove").output

    def test_there_must_be_something_to_remove(self, server: Server) -> None:
        result = server.run("guard", "deploy/web", "--remove")
        assert result.exit_code == 4
        assert "no DeploymentCircuitBreaker guards deploy/web in namespace shop" in result.output

    def test_a_workload_that_is_not_there_is_not_guarded(self, server: Server) -> None:
        server.refuses(f"{DEPLOYMENTS}/api", 404, 'deployments.apps "api" not found', "NotFound")
        result = server.run("guard", "deploy/api")
        assert (result.exit_code, writes(server)) == (4, [])
        assert result.output == "error: deploy/api in namespace shop not found\n"

    @pytest.mark.parametrize(
        ("path", "workload", "words"),
        [
            ("deploy/web", deployment(revisionHistoryLimit=0), "no earlier revision is kept"),
            ("sts/db", stateful_set(updateStrategy={"type": "OnDelete"}), "no rollout to watch"),
        ],
    )
    def test_what_a_breaker_cannot_do_is_said_at_once(
        self, server: Server, path: str, workload: dict[str, Any], words: str
    ) -> None:
        plural = DEPLOYMENTS if path.startswith("deploy") else STATEFUL_SETS
        server.has(f"{plural}/{path.partition('/')[2]}", workload)
        server.has(BREAKERS, breaker(), 201, "POST")
        result = server.run("guard", path)
        assert result.exit_code == 0
        assert words in result.output

    @pytest.mark.parametrize("name", ["web", "gdeploy/web", "dcb/web", "ds/agent", "deploy/"])
    def test_only_deployments_and_stateful_sets_are_guarded(
        self, server: Server, name: str
    ) -> None:
        assert server.run("guard", name).exit_code == 2
        assert server.sent == []


class TestStatus:
    @pytest.mark.parametrize("name", ["deploy/web", "deployment.apps/web", "dcb/web"])
    def test_a_held_deployment_with_its_replica_sets_and_pods(
        self, server: Server, name: str
    ) -> None:
        guards(server, breaker(tripped()))
        server.has(f"{DEPLOYMENTS}/web", deployment(paused=True))
        good = owned(replica_set("web-a"), "Deployment", "deploy-1")
        server.lists(SETS, good, owned(replica_set("web-c"), "Deployment", "other"))
        server.lists(PODS, ready_pod(name="web-a-1", uid="a1", owner="rs-a"))
        result = server.run("status", name)
        lines = result.output.splitlines()
        assert lines[0] == "deploy/web  namespace shop  4 of 4 pods healthy  HELD BY TRIPSWITCH"
        assert "ReplicaSet web-a  1 of 4 ready" in result.output
        assert "web-c" not in result.output
        assert "PAUSED" not in result.output, "it was not a person"
        assert lines[-1].endswith("try it again: kubectl tripswitch retry -n shop deploy/web")

    def test_a_stateful_sets_pods_stand_below_their_controller_revision(
        self, server: Server
    ) -> None:
        status = tripped()
        status["revisions"][1]["replicaSet"] = "db-1a"
        guards(server, breaker(status, kind="StatefulSet", target="db", name="db"))
        pods = [ready_pod(name=f"db-{n}", uid=f"d{n}") for n in range(2)]
        label = {"controller-revision-hash": "db-1a"}
        mine = [owned(pod, "StatefulSet", "sts-1", **label) for pod in pods]
        stranger = owned(ready_pod(name="x-0", uid="x"), "StatefulSet", "other", **label)
        server.lists(PODS, *mine, stranger)
        result = server.run("status", "sts/db")
        assert "ControllerRevision db-1a  2 of 2 pods ready" in result.output
        assert "db-1  Ready" in result.output
        assert "x-0" not in result.output

    def test_a_breaker_that_only_observes_says_so(self, server: Server) -> None:
        guards(server, breaker(in_progress(), mode="Observe"))
        assert "observed only: a trip changes nothing" in server.run("status", "deploy/web").output

    def test_a_person_that_paused_a_deployment_sees_how_to_go_on(self, server: Server) -> None:
        """R7, G6."""
        guards(server, breaker(in_progress()))
        server.has(f"{DEPLOYMENTS}/web", deployment(paused=True))
        result = server.run("status", "deploy/web")
        assert "PAUSED" in result.output
        assert "kubectl rollout resume -n shop deploy/web" in result.output

    def test_a_target_that_does_not_exist_is_named(self, server: Server) -> None:
        condition = {"type": "Ready", "status": "False", "reason": "TargetNotFound",
                     "message": "Deployment api does not exist"}  # fmt: skip
        guards(server, breaker({"conditions": [condition]}, target="api"))
        assert "Deployment api does not exist" in server.run("status", "dcb/web").output

    def test_of_two_breakers_the_older_one_counts(self, server: Server) -> None:
        """G1."""
        younger = breaker(name="a", created=9.0, mode="Observe")
        guards(server, younger, breaker(tripped(), name="b", created=5.0))
        assert "HELD BY TRIPSWITCH" in server.run("status", "deploy/web").output

    def test_a_persons_breaker_counts_although_one_made_for_a_label_is_older(
        self, server: Server
    ) -> None:
        """G1, as the operator ranks them: the other one reports TargetTaken and hears no command."""
        for_label = breaker(name="web-deployment", created=5.0, annotations=FROM_LABEL)
        guards(server, for_label, breaker(tripped(), created=9.0))
        assert "HELD BY TRIPSWITCH" in server.run("status", "deploy/web").output
        server.has(f"{BREAKERS}/web", {}, method="PATCH")
        assert server.run("retry", "deploy/web").exit_code == 0
        assert [path for _, path, _ in writes(server)] == [f"{BREAKERS}/web"]

    def test_a_workload_that_nobody_guards_says_what_to_type(self, server: Server) -> None:
        result = server.run("status", "deploy/web")
        assert result.exit_code == 4
        assert "make one: kubectl tripswitch guard deploy/web" in result.output

    def test_watching_a_guarded_deployment_ends_with_its_rollout(self, server: Server) -> None:
        guards(server, breaker(rolled_back(desiredRevision=1)))
        server.lists(DEPLOYMENTS, deployment())
        result = server.run("status", "deploy/web", "--watch")
        assert result.exit_code == 0
        assert result.output.startswith("shop/deploy/web  ROLLBACK_SUCCESSFUL")


class TestCommands:
    def test_retry_is_written_onto_the_breaker(self, server: Server) -> None:
        """C1: never onto the workload."""
        guards(server, breaker(tripped(), name="web-deployment"))
        server.has(f"{BREAKERS}/web-deployment", {}, method="PATCH")
        result = server.run("retry", "deploy/web")
        assert result.output == "deploy/web retries revision 2\n"
        ((_, path, body),) = writes(server)
        assert path == f"{BREAKERS}/web-deployment"
        assert list(body["metadata"]["annotations"]) == ["tripswitch.dev/retry"]

    def test_stop_is_written_onto_the_breaker(self, server: Server) -> None:
        """C2."""
        guards(server, breaker(in_progress()))
        server.has(f"{BREAKERS}/web", {}, method="PATCH")
        server.run("stop", "dcb/web", "--rollback")
        assert (
            writes(server)[0][2]["metadata"]["annotations"]["tripswitch.dev/stop"] == "2/ROLLBACK"
        )

    def test_history_has_the_same_table(self, server: Server) -> None:
        guards(server, breaker(tripped()))
        lines = server.run("history", "deploy/web").output.splitlines()
        assert [line.split()[:2] for line in lines[1:]] == [["2", "FAILED"], ["1", "COMPLETED"]]

    def test_diff_leaves_the_deployment_controllers_label_out(self, server: Server) -> None:
        guards(server, breaker(tripped()))
        for name, image in (("web-a", "web:1"), ("web-b", "web:2")):
            labels = {"app": "web", "pod-template-hash": name}
            containers = [{"name": "web", "image": image}]
            template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
            server.has(f"{SETS}/{name}", replica_set(name, template))
        lines = server.run("diff", "deploy/web").output.splitlines()
        assert [line for line in lines if line[0] in "+-"] == [
            "--- revision 1",
            "+++ revision 2",
            "-  - image: web:1",
            "+  - image: web:2",
        ]

    def test_diff_of_a_stateful_set_reads_controller_revisions(self, server: Server) -> None:
        guards(server, breaker(tripped(), kind="StatefulSet", target="db", name="db"))
        for name, image in (("web-a", "db:1"), ("web-b", "db:2")):
            template = {"$patch": "replace", "spec": {"containers": [{"image": image}]}}
            path = f"/apis/apps/v1/namespaces/shop/controllerrevisions/{name}"
            server.has(path, {"metadata": {"name": name}, "data": {"spec": {"template": template}}})
        output = server.run("diff", "sts/db").output
        assert "+  - image: db:2" in output
        assert "$patch" not in output

    @pytest.mark.parametrize("command", ["pause", "resume", "restart", "undo"])
    def test_what_kubectl_does_for_workloads_is_left_to_kubectl(
        self, server: Server, command: str
    ) -> None:
        result = server.run(command, "deploy/web")
        assert result.exit_code == 2
        assert "for deploy/web use kubectl rollout" in result.output

    def test_names_are_completed(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        server.lists(BASE, guarded())
        guards(server, breaker(name="web-deployment"))
        server.lists(DEPLOYMENTS, deployment(), deployment("api"))
        server.lists(STATEFUL_SETS, stateful_set())
        found = answer(app, ("status", "")).split()
        assert found == ["dcb/web-deployment", "deploy/web", "web", ":4"]
        assert answer(app, ("guard", "d")).split() == ["deploy/api", "deploy/web", ":4"]


class FirstPictureError(Exception):
    """There is a picture."""


class FirstPicture(Screen):
    """Keeps the first picture and ends the watch."""

    def __init__(self) -> None:
        super().__init__(list, Console())
        self.views: list[View] = []

    def show(self, watched: Any, note: str = "") -> None:
        assert note == ""
        self.views = watched
        raise FirstPictureError


def test_on_a_pipe_only_what_has_changed_is_printed() -> None:
    console = Console(file=io.StringIO())
    screen = Screen(lambda words: words.split(), console)
    for picture in ("a b", "a c", "c a", "a c d"):
        screen.show(picture)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().split() == ["a", "b", "c", "d"]


class TestFleet:
    ALL = "/apis/tripswitch.dev/v1alpha1"

    def fill(self, server: Server) -> None:
        stalled = rolled_back()
        stalled["rollout"] |= {"status": "FAILED", "kind": "DEPLOY", "revision": 2}
        quiet, failing = guarded(rolled_back(desiredRevision=1)), guarded(in_progress())
        failing["metadata"] |= {"name": "api", "uid": "gd-2"}
        server.lists(f"{self.ALL}/guardeddeployments", quiet, failing)
        server.lists(
            f"{self.ALL}/deploymentcircuitbreakers",
            breaker(tripped()),
            breaker(stalled, kind="StatefulSet", target="db", name="db", mode="Observe"),
            breaker(name="new", target="new"),
        )

    def test_what_needs_attention_comes_first(self, server: Server) -> None:
        self.fill(server)
        lines = server.run("status", "-A").output.splitlines()
        rows = [line.split()[2] for line in lines[1:-1]]
        assert rows == ["sts/db", "deploy/web", "gdeploy/api", "deploy/new", "gdeploy/web"]
        assert lines[0].split()[:4] == ["NAMESPACE", "NAME", "MODE", "ROLLOUT"]
        assert "Observe" in lines[1]
        assert lines[-1] == "5 guarded: 3 need attention, 1 rollout running"

    def test_a_target_that_is_gone_needs_attention_whatever_its_last_rollout_was(
        self, server: Server
    ) -> None:
        self.fill(server)
        condition = {"type": "Ready", "status": "False", "reason": "TargetNotFound",
                     "message": "Deployment gone does not exist"}  # fmt: skip
        lost = breaker(in_progress(0) | {"conditions": [condition]}, target="gone")
        server.lists(f"{self.ALL}/deploymentcircuitbreakers", lost)
        lines = server.run("status", "-A").output.splitlines()
        assert "deploy/gone" in lines[1]
        assert "Deployment gone does not exist" in lines[1]

    def test_a_risk_hides_no_trip_and_is_shown_when_all_is_well(self, server: Server) -> None:
        risk = {"type": "RollbackAtRisk", "status": "True", "reason": "RollbackAtRisk",
                "message": "revisionHistoryLimit is 0"}  # fmt: skip
        good = rolled_back(desiredRevision=1, conditions=[risk])
        server.lists(f"{self.ALL}/guardeddeployments")
        server.lists(
            f"{self.ALL}/deploymentcircuitbreakers",
            breaker(good, target="calm", name="calm"),
            breaker(tripped(conditions=[risk])),
        )
        lines = server.run("status", "-A").output.splitlines()
        assert "revision 2 failed and was rolled back" in lines[1]
        assert "at risk: revisionHistoryLimit is 0" in lines[2]
        guards(server, breaker(tripped(conditions=[risk])))
        assert "at risk: revisionHistoryLimit is 0" in server.run("status", "dcb/web").output

    def test_b9_what_a_rollback_would_miss_is_shown_of_a_guarded_deployment(
        self, server: Server
    ) -> None:
        words = "new pods of revision 1, which a rollback goes back to, cannot start"
        risk = {"type": "RollbackAtRisk", "status": "True", "reason": "RevisionIncomplete",
                "message": words}  # fmt: skip
        server.lists(f"{self.ALL}/deploymentcircuitbreakers")
        server.lists(
            f"{self.ALL}/guardeddeployments",
            guarded(rolled_back(desiredRevision=1, conditions=[risk])),
        )
        lines = server.run("status", "-A").output.splitlines()
        assert f"at risk: {words}" in lines[1]

    def test_for_programs_it_is_a_list(self, server: Server) -> None:
        self.fill(server)
        found = json.loads(server.run("status", "-A", "-o", "json").output)
        assert [one["label"] for one in found][:2] == ["sts/db", "deploy/web"]

    def test_watching_begins_with_a_complete_picture(self, server: Server) -> None:
        """Not with as much as the first watch has delivered."""
        self.fill(server)

        async def watch() -> None:
            async with open_session(Where(kubeconfig=str(server.kubeconfig))) as session:
                await follow_fleet(session, screen, everywhere=True)

        screen = FirstPicture()
        with pytest.raises(FirstPictureError):
            asyncio.run(watch())
        assert [view.label for view in screen.views][:2] == ["sts/db", "deploy/web"]
        assert len(screen.views) == 5

    def test_watching_ends_without_an_error_when_the_time_is_over(self, server: Server) -> None:
        """However far it has come by then."""
        self.fill(server)
        assert server.run("status", "-A", "--watch", "--timeout", "0.01").exit_code == 0

    def test_one_kind_alone_is_enough(self, server: Server) -> None:
        """An installation from before there were breakers for workloads."""
        server.lists(f"{self.ALL}/guardeddeployments", guarded(rolled_back()))
        server.refuses(f"{self.ALL}/deploymentcircuitbreakers", 404, "404 page not found")
        assert "gdeploy/web" in server.run("status", "-A").output

    def test_no_kind_at_all_is_a_problem(self, server: Server) -> None:
        for plural in ("guardeddeployments", "deploymentcircuitbreakers"):
            server.refuses(f"{self.ALL}/{plural}", 404, "404 page not found")
        result = server.run("status", "-A")
        assert result.exit_code == 4
        assert "CRDs are not installed" in result.output


@pytest.mark.parametrize(
    ("told", "outcome"), [(3, Outcome.RUNNING), (4, Outcome.FAILED), (None, Outcome.FAILED)]
)
def test_an_outcome_is_of_the_latest_generation_of_the_workload(
    told: int | None, outcome: Outcome
) -> None:
    """A wait that begins right after a change must not end with the rollout before it."""
    status = rolled_back() if told is None else rolled_back(targetGeneration=told)
    stateful = {"metadata": {"name": "db", "namespace": "shop", "uid": "sts", "generation": 4}}
    view = build_view(breaker(status, kind="StatefulSet", target="db"), (), (), 0.0, stateful)
    assert view.outcome is outcome
