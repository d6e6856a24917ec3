"""``kubectl tripswitch`` as a person uses it, on a real API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.namespace import Namespace, breaker, guarded, revision, rollout
from tests.unit.cli import inputs
from tools.terminal import Plugin, Terminal


@pytest.fixture
def plugin(world: Namespace, tmp_path: Path) -> Plugin:
    return world.plugin(tmp_path)


def test_status_names_the_cause_of_a_rollback(world: Namespace, plugin: Plugin) -> None:
    world.completed(guarded())
    world.apply(guarded(behaviour="crash"))
    world.until_rollout("ROLLBACK_SUCCESSFUL")
    shown = plugin("tripswitch", "status", "gdeploy/web")
    assert "rollout ROLLBACK_SUCCESSFUL  revision 1, back from 2" in shown
    assert "container web exited 2" in shown
    assert "revision 2  FAILED  (wanted)" in shown
    assert "revision 1  COMPLETED  (last completed)  4/4 healthy" in shown
    assert shown.count("  Ready  ") == 4
    listed = plugin("tripswitch", "status", "-A")
    (row,) = [
        line.split() for line in listed.splitlines() if line.startswith(f"{world.namespace} ")
    ]
    assert row[2:5] == ["gdeploy/web", "-", "ROLLBACK_SUCCESSFUL"]
    found = json.loads(plugin("tripswitch", "history", "web", "-o", "json"))
    assert [(one["number"], one["state"]) for one in found] == [(2, "FAILED"), (1, "COMPLETED")]


@pytest.mark.debian
def test_status_watch_is_pleasant_to_look_at_through_a_rollout_and_a_rollback(
    world: Namespace, plugin: Plugin
) -> None:
    with Terminal(plugin) as terminal:
        world.apply(guarded(replicas=1))
        terminal.type("kubectl tripswitch status web -w; echo ended $?")
        good = terminal.until(lambda screen: "ended 0" in screen)
        assert "rollout SUCCESSFUL" in good[-1]
        terminal.type("clear")
        terminal.until(lambda screen: "ended" not in screen)
        world.apply(guarded(replicas=1, behaviour="crash"))
        terminal.type("kubectl tripswitch status web -w; echo ended $?")
        pictures = terminal.until(lambda screen: "ended 1" in screen)
        coloured = terminal.screen(colours=True)
    assert any("rollout IN_PROGRESS" in one and "breaker" in one for one in pictures)
    assert "rollout ROLLBACK_SUCCESSFUL" in pictures[-1]
    # Painted over, not below each other: never two trees on the screen.
    assert all(one.count("breaker ") <= 1 for one in pictures)
    assert any("web-" in one and "exited 2" in one for one in pictures)
    assert "\x1b[" in coloured, "colours are used on a terminal"


@pytest.mark.debian
def test_no_color_is_honoured_on_a_terminal(world: Namespace, plugin: Plugin) -> None:
    world.completed(guarded())
    with Terminal(plugin) as terminal:
        terminal.type("NO_COLOR=1 kubectl tripswitch status web; echo ended $?")
        terminal.until(lambda screen: "ended 0" in screen)
        assert "\x1b[32m" not in terminal.screen(colours=True)


def test_watching_on_a_pipe_is_one_line_for_each_change(world: Namespace, plugin: Plugin) -> None:
    world.completed(guarded())
    world.apply(guarded(behaviour="crash"))
    done = plugin.run("tripswitch", "status", "web", "--watch")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == len(set(lines))
    assert "ROLLBACK_SUCCESSFUL" in lines[-1]
    assert "container web exited 2" in lines[-1]


def test_retry_and_stop_do_what_the_rules_say(world: Namespace, plugin: Plugin) -> None:
    world.completed(guarded())
    world.apply(guarded(behaviour="crash"))
    world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert plugin("tripswitch", "retry", "web") == "gdeploy/web retries revision 2\n"
    status = world.until(
        lambda status: (
            revision(status, 2)["failedTasks"] >= 6 and rollout(status) == "ROLLBACK_SUCCESSFUL"
        )
    )
    assert status["observedRetry"]
    patient = breaker(thresholdConfiguration={"type": "COUNT", "value": 1000})
    world.apply(guarded(behaviour="never-ready", configuration=patient))
    world.until(lambda status: status["desiredRevision"] == 3 and rollout(status) == "IN_PROGRESS")
    said = "gdeploy/web stops the rollout of revision 3 and rolls back\n"
    assert plugin("tripswitch", "stop", "web", "--rollback") == said
    status = world.until_rollout("ROLLBACK_SUCCESSFUL")
    assert status["rollout"]["failedRevision"] == 3


def test_pause_resume_and_restart(world: Namespace, plugin: Plugin) -> None:
    world.completed(guarded())
    plugin("tripswitch", "pause", "web")
    world.apply(guarded(image="web:2", paused=True))
    world.until_rollout("PENDING")
    assert "PAUSED" in plugin("tripswitch", "status", "web")
    plugin("tripswitch", "resume", "web")
    assert plugin("tripswitch", "status", "web", "-w").endswith("revision 2 completed\n")
    plugin("tripswitch", "restart", "web")
    assert plugin("tripswitch", "status", "web", "-w").endswith("revision 3 completed\n")


def test_undo_makes_the_running_revision_the_wanted_one_without_a_rollout(
    world: Namespace, plugin: Plugin
) -> None:
    """B6: the template comes back as it was written, so nothing is restarted."""
    world.completed(guarded())
    before = {pod.metadata.name for pod in world.pods()}
    world.apply(guarded(behaviour="crash", image="web:2"))
    world.until_rollout("ROLLBACK_SUCCESSFUL")
    shown = plugin("tripswitch", "diff", "web")
    assert "-  - image: web:1@sha256:" in shown
    assert "+  - image: web:2" in shown
    plugin("tripswitch", "undo", "web")
    status = world.until(lambda status: status["desiredRevision"] == 1)
    assert status["rolloutState"] == "COMPLETED"
    assert len(status["revisions"]) == 2
    assert {pod.metadata.name for pod in world.pods()} == before
    assert plugin.run("tripswitch", "status", "web", "-w").returncode == 0
    again = plugin.run("tripswitch", "undo", "web", "--to-revision", "1")
    assert (again.returncode, again.stderr) == (
        1,
        "error: gdeploy/web has the template of revision 1 already\n",
    )


def test_errors_are_one_line_with_their_exit_code(world: Namespace, plugin: Plugin) -> None:
    missing = plugin.run("tripswitch", "status", "nobody")
    assert missing.returncode == 4
    assert missing.stderr == (f"error: gdeploy/nobody in namespace {world.namespace} not found\n")
    world.kubectl("create", "serviceaccount", "guest")
    token = world.kubectl("create", "token", "guest").strip()
    plugin("config", "set-credentials", "guest", f"--token={token}")
    cluster = json.loads(plugin("config", "view", "--minify", "-o", "json"))["clusters"][0]["name"]
    plugin(
        *("config", "set-context", "guest", f"--cluster={cluster}", "--user=guest"),
        f"--namespace={world.namespace}",
    )
    forbidden = plugin.run("tripswitch", "status", "web", "--context", "guest")
    assert forbidden.returncode == 5
    assert forbidden.stderr.startswith("error: not allowed: ")
    assert forbidden.stderr.count("\n") == 1


def test_kubectl_completes_commands_and_names(world: Namespace, plugin: Plugin) -> None:
    world.apply(guarded(name="shop-front"))
    assert "retry\t" in plugin("__complete", "tripswitch", "re")
    found = plugin("__complete", "tripswitch", "status", "sh")
    assert found.splitlines()[0] == "shop-front"


@pytest.mark.parametrize("name", sorted(inputs.ALL))
def test_what_convert_writes_is_taken_by_the_api_server(
    plugin: Plugin, world: Namespace, name: str
) -> None:
    """Against the CRD's whole schema and its CEL rules, with unknown fields refused."""
    converted = plugin("tripswitch", "convert", "-f", "-", stdin=inputs.ALL[name])
    said = plugin("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=converted)
    assert "guardeddeployment.tripswitch.dev/" in said
    assert "created (server dry run)" in said


def test_a_deployment_and_what_it_was_converted_to_run_side_by_side(
    plugin: Plugin, world: Namespace
) -> None:
    """The same name, the same labels: neither takes the other's pods (docs: migrate a Deployment)."""
    plugin("apply", "-f", "-", stdin=inputs.PLAIN)
    plugin("wait", "--for=condition=Available", "--timeout=90s", "deployment/web")
    before = {pod.metadata.name for pod in world.pods()}
    converted = plugin("tripswitch", "convert", "-f", "-", stdin=inputs.PLAIN)
    plugin("apply", "-f", "-", stdin=converted)
    assert plugin.run("tripswitch", "status", "web", "--watch").returncode == 0
    assert {pod.metadata.name for pod in world.pods()} > before
    plugin("delete", "deployment", "web", "--wait")
    world.until_true(lambda: len(world.pods()) == 3)
    assert not {pod.metadata.name for pod in world.pods()} & before
