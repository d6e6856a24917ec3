"""The commands of the plugin against a scripted API server: what they write, say and exit with."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.cli.server import BASE, Server, serve, write_kubeconfig
from tests.unit.cli.statuses import (
    guarded,
    in_progress,
    replica_set,
    rolled_back,
    waiting_at_a_hook,
)
from tripswitch.api.template import template_digest
from tripswitch.cli.app import COMMANDS, app
from tripswitch.cli.completion import answer

WEB = f"{BASE}/web"
SETS = "/apis/apps/v1/namespaces/shop/replicasets"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as scripted:
        scripted.lists(SETS)
        scripted.lists("/api/v1/namespaces/shop/pods")
        yield scripted


def the_write(server: Server) -> tuple[str, str, Any]:
    (found,) = [one for one in server.sent if one[0] != "GET"]
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_worth_reading(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


def test_the_list_of_commands_imports_none_of_them() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert all(f"\n  {name} " in result.output for name in COMMANDS)


def test_status_prints_the_tree_without_colours_on_a_pipe(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    result = server.run("status", "gdeploy/web")
    assert result.exit_code == 0
    assert "rollout ROLLBACK_SUCCESSFUL" in result.output
    assert "container web exited 2" in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_status_for_programs(server: Server, form: str) -> None:
    server.has(WEB, guarded(rolled_back()))
    found = yaml.safe_load(server.run("status", "web", "-o", form).output)
    assert found["outcome"] == "FAILED"
    assert found["breaker"]["failures"][0]["exitCode"] == 2


def test_status_without_a_name_lists_them_all(server: Server) -> None:
    server.lists("/apis/tripswitch.dev/v1alpha1/guardeddeployments", guarded(rolled_back()))
    result = server.run("status", "-A")
    row = result.output.splitlines()[1]
    assert row.split()[:5] == ["shop", "✖", "gdeploy/web", "-", "ROLLBACK_SUCCESSFUL"]
    assert "4/4" in row


def test_watching_something_that_has_ended_says_how_in_the_exit_code(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    assert server.run("status", "web", "--watch").exit_code == 1
    server.has(WEB, guarded(rolled_back(desiredRevision=1)))
    result = server.run("status", "web", "--watch")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 1


def test_watching_gives_up_when_asked_to(server: Server) -> None:
    server.has(WEB, guarded(in_progress()))
    server.lists(BASE, guarded(in_progress()))
    result = server.run("status", "web", "--watch", "--timeout", "0.3")
    assert result.exit_code == 1
    assert "error: the rollout has not ended after 0.3 s" in result.output


def test_history_lists_the_revisions(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    lines = server.run("history", "web").output.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["2", "FAILED", "wanted"],
        ["1", "COMPLETED", "running,"],
    ]


def test_history_shows_the_digest_that_each_image_stands_for(server: Server) -> None:
    """D5: not of an image whose name has a digest, nor of one that has none."""
    status, digest = rolled_back(), f"sha256:{'1f' * 32}"
    named = f"log@sha256:{'2e' * 32}"
    status["revisions"][1] |= {
        "images": ["web:1", named, "local:1"],
        "containerImages": [
            {"containerName": "web", "image": "web:1", "imageDigest": digest},
            {"containerName": "log", "image": named, "imageDigest": f"sha256:{'2e' * 32}"},
            {"containerName": "local", "image": "local:1", "reason": "LocalImage"},
        ],
    }
    server.has(WEB, guarded(status))
    row = server.run("history", "web").output.replace("\n", " ")
    assert "web:1 (sha256:1f1f1f1f1f1f), log@" in " ".join(row.split())
    assert row.count("(sha256:") == 1


def test_retry_writes_a_value_not_seen_before(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    server.has(WEB, guarded(rolled_back()), method="PATCH")
    result = server.run("retry", "web")
    assert result.output == "gdeploy/web retries revision 2\n"
    first = the_write(server)[2]
    server.sent.clear()
    server.run("retry", "web")
    assert the_write(server)[2] != first


def test_what_has_not_failed_is_not_retried(server: Server) -> None:
    server.has(WEB, guarded(in_progress()))
    result = server.run("retry", "web")
    assert result.exit_code == 1
    assert result.output == "error: nothing to retry: revision 2 is IN_PROGRESS, not FAILED\n"


@pytest.mark.parametrize(("flag", "kind"), [("--rollback", "ROLLBACK"), ("--abort", "ABORT")])
def test_stop_names_the_rollout_that_runs(server: Server, flag: str, kind: str) -> None:
    server.has(WEB, guarded(in_progress()))
    server.has(WEB, {}, method="PATCH")
    assert server.run("stop", "web", flag).exit_code == 0
    annotations = {"tripswitch.dev/stop": f"2/{kind}"}
    assert the_write(server)[2] == {"metadata": {"annotations": annotations}}


def test_stop_needs_to_know_how_and_something_that_runs(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    assert server.run("stop", "web").exit_code == 2
    result = server.run("stop", "web", "--abort")
    assert (result.exit_code, result.output) == (
        1,
        "error: nothing to stop: the latest rollout is ROLLBACK_SUCCESSFUL\n",
    )


@pytest.mark.parametrize(
    ("arguments", "value", "said"),
    [
        pytest.param(
            [],
            "pause-1/CONTINUE,pause-2/CONTINUE",
            "continues the rollout of revision 2 at PRE_SCALE_UP",
            id="all",
        ),
        pytest.param(
            ["--rollback", "--hook", "pause-2"],
            "pause-2/ROLLBACK",
            "stops and rolls back the rollout of revision 2 at PRE_SCALE_UP",
            id="one",
        ),
    ],
)
def test_continue_answers_the_hooks_that_wait(
    server: Server, arguments: list[str], value: str, said: str
) -> None:
    server.has(WEB, guarded(waiting_at_a_hook("pause-1", "pause-2")))
    server.has(WEB, {}, method="PATCH")
    result = server.run("continue", "web", *arguments)
    assert result.output == f"gdeploy/web {said}\n"
    annotations = {"tripswitch.dev/continue": value}
    assert the_write(server)[2] == {"metadata": {"annotations": annotations}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "no hook waits", id="none"),
        pytest.param(["--hook", "pause-0"], "hook pause-0 does not wait", id="another"),
    ],
)
def test_continue_refuses_what_would_answer_nothing(
    server: Server, arguments: list[str], said: str
) -> None:
    server.has(WEB, guarded(waiting_at_a_hook(*(["pause-1"] if arguments else []))))
    result = server.run("continue", "web", *arguments)
    assert (result.exit_code, result.output) == (
        1,
        f"error: nothing to answer: {said} for an answer\n",
    )


def test_pause_and_resume_set_the_field(server: Server) -> None:
    server.has(WEB, guarded(in_progress()))
    server.has(WEB, {}, method="PATCH")
    assert server.run("resume", "web").output == "error: gdeploy/web is not paused\n"
    server.run("pause", "web")
    assert the_write(server)[2] == {"spec": {"paused": True}}


def test_restart_changes_the_template_as_kubectl_does(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    server.has(WEB, {}, method="PATCH")
    assert server.run("restart", "web").output == "gdeploy/web restarted\n"
    sent = json.dumps(the_write(server)[2])
    assert "kubectl.kubernetes.io/restartedAt" in sent


def test_undo_writes_the_template_that_runs_and_is_fenced_by_the_version_read(
    server: Server,
) -> None:
    good = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    server.has(WEB, guarded(rolled_back(), template={"spec": {"bad": True}}))
    server.has(f"{SETS}/web-a", replica_set("web-a", good, template_digest(good)))
    server.has(f"{SETS}/web-b", replica_set("web-b", {"spec": {"bad": True}}))
    server.has(WEB, {}, method="PUT")
    result = server.run("undo", "web")
    assert result.output == "gdeploy/web has the template of revision 1 again\n"
    method, _, body = the_write(server)
    assert method == "PUT"
    assert isinstance(body, dict)
    assert body["spec"]["template"] == good
    assert body["metadata"]["resourceVersion"] == "77"
    assert "status" not in body


def three_revisions() -> Any:
    """Revision 3 is wanted and runs; 2 and 1 completed before."""
    status = rolled_back()
    two, one = status["revisions"]
    three = {**one, "revision": 3, "replicaSet": "web-c"}
    completed = {"rolloutState": "COMPLETED", "completedAt": one["completedAt"]}
    return status | {
        "desiredRevision": 3,
        "revisions": [three, {**two, **completed}, one],
        "rollout": {**status["rollout"], "revision": 3, "status": "SUCCESSFUL", "kind": "DEPLOY"},
    }


def test_undo_goes_to_the_next_older_revision_that_can_be_had_and_says_so(server: Server) -> None:
    good = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    server.has(WEB, guarded(three_revisions()))
    server.has(f"{SETS}/web-a", replica_set("web-a", good, template_digest(good)))
    server.has(WEB, {}, method="PUT")
    assert server.run("undo", "web").output == (
        "gdeploy/web has the template of revision 1 again\n"
        "skipped: revision 2, whose ReplicaSet was deleted\n"
    )
    assert the_write(server)[2]["spec"]["template"] == good


def test_undo_prefers_what_runs_after_a_rollback_to_a_newer_one_that_completed(
    server: Server,
) -> None:
    """Revision 1 was wanted again after 2 and completed; then 3 failed and was rolled back to it."""
    status, good = three_revisions(), {"metadata": {"labels": {"app": "web"}}}
    status["revisions"][0] |= {"rolloutState": "FAILED", "completedAt": None}
    status["rolloutState"] = "FAILED"
    status["rollout"] = {
        **status["rollout"],
        "revision": 1,
        "kind": "ROLLBACK",
        "status": "ROLLBACK_SUCCESSFUL",
        "failedRevision": 3,
    }
    server.has(WEB, guarded(status))
    server.has(f"{SETS}/web-a", replica_set("web-a", good, template_digest(good)))
    server.has(f"{SETS}/web-b", replica_set("web-b", {"spec": {"older": True}}))
    server.has(WEB, {}, method="PUT")
    assert server.run("undo", "web").output == "gdeploy/web has the template of revision 1 again\n"
    assert the_write(server)[2]["spec"]["template"] == good


def test_undo_passes_over_a_revision_that_never_completed(server: Server) -> None:
    status, good = three_revisions(), {"metadata": {"labels": {"app": "web"}}}
    status["revisions"][1] |= {"rolloutState": "STOPPED", "completedAt": None}
    server.has(WEB, guarded(status))
    server.has(f"{SETS}/web-a", replica_set("web-a", good, template_digest(good)))
    server.has(f"{SETS}/web-b", replica_set("web-b", {"spec": {"stopped": True}}))
    server.has(WEB, {}, method="PUT")
    assert server.run("undo", "web").output == "gdeploy/web has the template of revision 1 again\n"


def test_undo_without_any_revision_that_can_be_had_says_which_are_lost(server: Server) -> None:
    server.has(WEB, guarded(three_revisions()))
    result = server.run("undo", "web")
    assert result.exit_code == 4
    assert result.output == (
        "error: gdeploy/web has no earlier revision left: "
        "the ReplicaSets of revisions 2, 1 are gone\n"
    )


APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def undone(server: Server, **metadata: Any) -> tuple[str, Any]:
    """Undo revision 2 of an object with this metadata; return what is said and what is written."""
    good = {"metadata": {"labels": {"app": "web"}}, "spec": {"nodeSelector": {"disk": "ssd"}}}
    raw = guarded(rolled_back(), template={"spec": {"bad": True}})
    raw["metadata"] |= metadata
    server.has(WEB, raw)
    server.has(f"{SETS}/web-a", replica_set("web-a", good, template_digest(good)))
    server.has(f"{SETS}/web-b", replica_set("web-b", {"spec": {"bad": True}}))
    server.has(WEB, {}, method="PUT")
    said = server.run("undo", "web").output
    return said, the_write(server)[2]


def test_undo_lets_the_next_kubectl_apply_remove_what_only_the_old_template_had(
    server: Server,
) -> None:
    """kubectl removes what last-applied-configuration has and the new manifest has not."""
    applied = {"metadata": {"name": "web"}, "spec": {"template": {"spec": {"bad": True}}}}
    said, body = undone(server, annotations={APPLIED: json.dumps(applied), "other": "x"})
    assert said == "gdeploy/web has the template of revision 1 again\n"
    written = json.loads(body["metadata"]["annotations"][APPLIED])
    assert written == applied | {"spec": {"template": body["spec"]["template"]}}
    assert body["metadata"]["annotations"]["other"] == "x"


@pytest.mark.parametrize("applied", ["no JSON", "[]", '{"spec": 7}'])
def test_undo_leaves_alone_what_kubectl_did_not_write(server: Server, applied: str) -> None:
    _, body = undone(server, annotations={APPLIED: applied})
    assert body["metadata"]["annotations"][APPLIED] == applied


def test_undo_warns_where_a_server_side_apply_will_not_remove_what_it_brings_back(
    server: Server,
) -> None:
    owned: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {}}}}
    fields = [
        {"manager": "argocd", "operation": "Apply", "fieldsV1": owned},
        {"manager": "scaler", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "tripswitch", "operation": "Update", "fieldsV1": owned},
    ]
    said, _ = undone(server, managedFields=fields)
    assert said == (
        "gdeploy/web has the template of revision 1 again\n"
        "warning: argocd applies it on the server side: fields that only this template has stay "
        "until they are removed by hand\n"
    )


def test_diff_shows_what_was_changed(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    server.has(f"{SETS}/web-a", replica_set("web-a", {"spec": {"image": "web:1"}}))
    server.has(f"{SETS}/web-b", replica_set("web-b", {"spec": {"image": "web:2"}}))
    result = server.run("diff", "web", "--exit-code")
    assert result.exit_code == 1
    assert "-  image: web:1\n+  image: web:2" in result.output
    assert server.run("diff", "web", "1", "1").output == ""


def test_diff_says_why_a_revision_that_waits_at_a_hook_cannot_be_compared(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    server.has(f"{SETS}/web-a", replica_set("web-a", {"spec": {"image": "web:1"}}))
    server.refuses(f"{SETS}/web-b", 404, 'replicasets.apps "web-b" not found', "NotFound")
    result = server.run("diff", "web")
    assert result.exit_code == 4
    assert result.output == (
        "error: revision 2 has no ReplicaSet: it was deleted, or its rollout waits at a hook or a pause and has "
        "no pod yet\n"
    )


def test_a_revision_that_is_not_there_is_named_with_those_that_are(server: Server) -> None:
    server.has(WEB, guarded(rolled_back()))
    result = server.run("undo", "web", "--to-revision", "9")
    assert result.exit_code == 4
    assert result.output == "error: gdeploy/web has no revision 9; it has 2, 1\n"


@pytest.mark.parametrize(
    ("status", "message", "code", "said"),
    [
        (404, 'guardeddeployments "web" not found', 4, "gdeploy/web in namespace shop not found"),
        (404, "404 page not found", 4, "its CRDs are not installed"),
        (404, "the server could not find the requested resource", 4, "CRDs are not installed"),
        (403, 'User "u" cannot get', 5, 'not allowed: User "u" cannot get'),
        (401, "Unauthorized", 3, "no valid credentials for the cluster: Unauthorized"),
        (500, "boom", 3, "the cluster does not answer: boom"),
        (422, "nonsense", 6, "the API server refused: nonsense"),
        (409, "modified", 6, "was changed at the same moment; try again"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    server: Server, status: int, message: str, code: int, said: str
) -> None:
    server.refuses(WEB, status, message)
    result = server.run("status", "web")
    assert result.exit_code == code
    assert result.output.startswith("error: ")
    assert said in result.output
    assert result.output.count("\n") == 1


def test_no_cluster_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        write_kubeconfig(tmp_path / "kubeconfig", closed.getsockname()[1])
        result = Server(tmp_path / "kubeconfig").run("status", "web")
    assert result.exit_code == 3
    assert result.output.startswith("error: the cluster does not answer: ")
    assert "Cannot connect to host 127.0.0.1:" in result.output
    assert "ConnectionKey(" not in result.output
    missing = Server(tmp_path / "nowhere").run("status", "web")
    assert missing.exit_code == 3
    assert "is a cluster configured?" in missing.output
    assert missing.output.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [
        "text",
        "a: [",
        (
            "current-context: a\nclusters: [{name: b, cluster: {server: 'https://127.0.0.1:1'}}]\n"
            "contexts: [{name: a, context: {cluster: b, user: c}}]\n"
            "users: [{name: c, user: {client-certificate-data: eA==, client-key-data: eA==}}]\n"
        ),
    ],
    ids=["another shape", "no YAML", "no certificate"],
)
def test_a_kubeconfig_that_makes_no_sense_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "kubeconfig").write_text(content)
    result = Server(tmp_path / "kubeconfig").run("status", "web")
    assert result.exit_code == 3
    assert result.output.startswith("error: no usable credentials: ")
    assert result.output.count("\n") == 1


def test_the_namespace_comes_from_the_option_or_the_context(server: Server) -> None:
    server.run("status", "web", "-n", "other")
    server.run("status", "web", "--context", "bare")
    assert [path for _, path, _ in server.sent] == [
        WEB.replace("shop", "other"),
        WEB.replace("shop", "default"),
    ]


def test_in_a_pod_the_default_kubeconfig_comes_before_the_service_account(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with kubectl: a build in a pod works on the cluster that it has chosen, not on its own."""
    (tmp_path / ".kube").mkdir()
    server.kubeconfig.rename(tmp_path / ".kube" / "config")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    CliRunner().invoke(app, ["status", "web"])
    assert [path for _, path, _ in server.sent] == [WEB]


def test_another_kind_is_refused_as_wrong_usage(server: Server) -> None:
    result = server.run("status", "ds/agent")
    assert result.exit_code == 2
    assert "'ds' is not a kind that Tripswitch works on" in result.output


def test_kubectl_is_given_candidates_in_its_own_form(server: Server) -> None:
    server.lists(BASE, guarded())
    server.lists("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    where = ("--kubeconfig", str(server.kubeconfig))
    assert answer(app, ("re",)).split("\n")[:1] == ["retry\tTry a failed revision again."]
    assert answer(app, ("status", *where, "w")) == "web\n:4"
    assert answer(app, ("status", *where, "-n", "")) == "shop\n:4"
    assert answer(app, ("status", "--kubeconfig", "/nowhere", "w")) == ":4"
