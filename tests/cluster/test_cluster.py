"""The throwaway cluster starts, works, says what is wrong, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tools.cluster import layout, ownership
from tools.cluster.build import build
from tools.cluster.control_plane import ClusterError, ControlPlane
from tools.cluster.ports import LOOPBACK
from tools.cluster.processes import born
from tools.cluster.programs import Program
from tools.cluster.toolchain import BuildError, find_go

pytestmark = pytest.mark.cluster

_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.test/web:1"}]}
"""
_OPERATOR_STARTER = """
import sys, time
from pathlib import Path
from tools.operator_process import OperatorProcess
operator = OperatorProcess(Path("nowhere"), Path(sys.argv[1]))
operator.launch()
command = Path(f"/proc/{operator.pid}/cmdline")
while not (words := command.read_bytes()) or b"leash" in words:  # none in the middle of an exec
    time.sleep(0.01)
operator.pause()  # so that it ends neither by itself nor in order
print(operator.pid, flush=True)
time.sleep(60)
"""

_STARTER = """
import sys
from pathlib import Path
from tools.cluster.control_plane import ControlPlane
with ControlPlane(Path(sys.argv[1])) as cluster:
    print(*cluster.programs.values(), flush=True)
    sys.stdin.read()
"""


def test_a_deployment_becomes_available(cluster: ControlPlane, namespace: str) -> None:
    _deploy(cluster, namespace)

    answer = cluster.kubectl(
        "get", "deployment", "web", f"--namespace={namespace}", "--output=json"
    )
    assert json.loads(answer)["status"]["availableReplicas"] == 3


def test_kubectl_says_what_went_wrong(cluster: ControlPlane) -> None:
    with pytest.raises(ClusterError, match=r"get nothing: .*the server doesn't have a resource"):
        cluster.kubectl("get", "nothing")


def test_the_audit_log_tells_who_did_what_to_which_object(
    cluster: ControlPlane, namespace: str
) -> None:
    _deploy(cluster, namespace)

    entries = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    made = [
        (entry["user"]["username"], entry["responseStatus"]["code"])
        for entry in entries
        if entry["verb"] == "create"
        and entry["objectRef"].get("resource") == "pods"
        and entry["objectRef"].get("subresource") is None
        and entry["objectRef"].get("namespace") == namespace
    ]
    assert made == [("system:serviceaccount:kube-system:replicaset-controller", 201)] * 3


def test_only_its_owner_may_read_the_secrets(cluster: ControlPlane) -> None:
    secrets = [cluster.kubeconfig, cluster.layout.settings("tokens.csv")]
    assert [path.stat().st_mode & 0o077 for path in secrets] == [0, 0]


def test_a_directory_has_one_cluster(cluster: ControlPlane) -> None:
    with pytest.raises(ownership.AlreadyRunningError, match="already runs"):
        ControlPlane(cluster.directory).start()


@pytest.mark.parametrize("program", ["etcd", "kube-apiserver", "kube-controller-manager", "kwok"])
def test_a_program_can_be_restarted(cluster: ControlPlane, namespace: str, program: str) -> None:
    before = cluster.programs[program]
    cluster.restart(program)

    assert born(before) is None
    assert ownership.read_state(cluster.directory)["programs"][program]["pid"] != before
    _deploy(cluster, namespace)


def test_a_program_can_be_paused(cluster: ControlPlane, namespace: str) -> None:
    cluster.pause("kwok")
    try:
        cluster.kubectl("create", "-f", "-", f"--namespace={namespace}", input=_DEPLOYMENT)
        with pytest.raises(ClusterError, match="timed out"):
            _await_available(cluster, namespace, seconds=3)
    finally:
        cluster.resume("kwok")
    _await_available(cluster, namespace)


def test_kill_9_of_the_starter_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _STARTER, str(tmp_path / "cluster")]
    with subprocess.Popen(
        command, cwd=layout.REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pids = [int(word) for word in starter.stdout.readline().split()]
        assert len(pids) == 5
        assert all(born(pid) for pid in pids)

        starter.kill()

        _await(lambda: not any(born(pid) for pid in pids))
    assert not ownership.is_owned(tmp_path / "cluster")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_operator_ends_with_the_one_who_started_it(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-c", _OPERATOR_STARTER, str(tmp_path / "operator.log")]
    with subprocess.Popen(
        command, cwd=layout.REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        pid = int(running.stdout.readline())
        assert born(pid)

        running.send_signal(how)

        _await(lambda: not born(pid))


def test_a_failed_start_names_the_program_shows_its_log_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    broken = {"kube-scheduler": ["--no-such-flag"]}
    cluster = ControlPlane(tmp_path / "cluster", extra_arguments=broken)

    with pytest.raises(ClusterError) as failure:
        cluster.start()

    message = str(failure.value)
    assert message.startswith("kube-scheduler ended with code 1 while starting")
    assert "unknown flag: --no-such-flag" in message
    assert str(cluster.logs) in message
    assert cluster.programs == {}
    _await_end(_recorded_pids(tmp_path / "cluster"))


def test_a_port_that_is_taken_in_the_last_moment_costs_another_try(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    with socket.create_server((LOOPBACK, 0)) as thief:
        taken = {**layout.free_ports(), "kube-apiserver": thief.getsockname()[1]}
        choices = iter([taken])

        def choose() -> dict[str, int]:
            return next(choices, None) or layout.free_ports()

        with ControlPlane(tmp_path / "cluster", report=said.append, choose_ports=choose) as cluster:
            assert cluster.layout.ports["kube-apiserver"] != taken["kube-apiserver"]

    assert said == ["a port was taken in the meantime: starting again with others"]


def test_up_and_down_by_hand() -> None:
    name = f"by-hand-{os.getpid()}"
    directory = layout.CLUSTERS / name
    try:
        assert "export KUBECONFIG=" in _by_hand("up", "--name", name, "--nodes", "1")
        pids = _recorded_pids(directory)
        assert all(born(pid) for pid in pids)
        assert f"cluster '{name}' already runs" in _by_hand("up", "--name", name)
        assert f"{name}: running" in _by_hand("status")
    finally:
        said = _by_hand("down", "--name", name)

    assert said == f"cluster '{name}' stopped\n"
    _await_end(pids)
    assert _by_hand("down", "--name", name) == f"cluster '{name}' was not running\n"
    shutil.rmtree(directory)


def test_what_a_crashed_owner_left_is_cleaned_up(tmp_path: Path) -> None:
    # The kernel ends the programs with their owner; this is one that got away all the same.
    with subprocess.Popen(["sleep", "1000"]) as stray:
        ownership.write_state(tmp_path, {"etcd": stray.pid}, {})

        assert ownership.kill_leftovers(tmp_path) == 1

        assert stray.wait() == -signal.SIGKILL


def test_a_stranger_with_a_used_process_number_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        ownership.write_state(tmp_path, {"etcd": stranger.pid}, {})
        state = tmp_path / "state.json"
        state.write_text(state.read_text().replace(str(born(stranger.pid)), "1"))

        assert ownership.kill_leftovers(tmp_path) == 0

        assert stranger.poll() is None
        stranger.kill()


def test_a_failed_build_shows_what_the_compiler_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program("wrong", "etcd", "go.etcd.io/etcd/server/v3", "no/such/package")
    go = find_go("1.26.0")
    monkeypatch.setenv("TRIPSWITCH_CACHE", str(tmp_path))
    said: list[str] = []

    with pytest.raises(BuildError, match=r"wrong could not be built[\s\S]*no/such/package"):
        build(program, go, "[1/1] wrong", said.append)

    assert said == ["[1/1] wrong: compiling"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def _deploy(cluster: ControlPlane, namespace: str) -> None:
    cluster.kubectl("create", "-f", "-", f"--namespace={namespace}", input=_DEPLOYMENT)
    _await_available(cluster, namespace)


def _await_available(cluster: ControlPlane, namespace: str, seconds: int = 60) -> None:
    words = ["deployment/web", f"--namespace={namespace}", f"--timeout={seconds}s"]
    cluster.kubectl("wait", "--for=condition=Available", *words)


def _by_hand(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cluster", *arguments],
        cwd=layout.REPOSITORY,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def _recorded_pids(directory: Path) -> list[int]:
    state = ownership.read_state(directory)
    return [entry["pid"] for entry in (state["owner"], *state["programs"].values())]


def _await_end(pids: Iterable[int]) -> None:
    others = [pid for pid in pids if pid != os.getpid()]
    _await(lambda: not any(born(pid) for pid in others))


def _await(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)
