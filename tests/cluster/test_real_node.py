"""A real node runs real containers, is reached from everywhere, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.cluster import box, layout
from tools.cluster.control_plane import ClusterError, ControlPlane
from tools.cluster.images import GREETING, IMAGES, PORT, write_archive
from tools.cluster.processes import born

pytestmark = pytest.mark.real

_STARTER = """
import sys
from pathlib import Path
from tools.cluster.control_plane import ControlPlane
with ControlPlane(Path(sys.argv[1]), node="real") as cluster:
    print(cluster.real_nodes["real-0"].box.interface, *cluster.programs.values(), flush=True)
    sys.stdin.read()
"""
_SERVER = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "{IMAGES["server"].reference}"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: {PORT}}}]
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster with one real node, on which the server runs behind a service."""
    folder = tmp_path_factory.mktemp("real")
    with ControlPlane(folder / "cluster", node="real") as cluster:
        cluster.load_image(write_archive(IMAGES["server"], folder / "server.tar"))
        cluster.kubectl("apply", "-f", "-", input=_SERVER)
        cluster.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=90s")
        yield cluster


def test_a_pod_answers_the_machine_at_its_own_address(real: ControlPlane) -> None:
    for address in _pod_addresses(real):
        with urllib.request.urlopen(f"http://{address}:{PORT}/", timeout=10) as answer:
            assert answer.read().decode() == GREETING


def test_a_pod_reaches_a_service_whichever_pod_serves_it(real: ControlPlane) -> None:
    """Itself too: eight times in a row would hit the other one only once in 256 runs."""
    address = _jsonpath(real, "service/web", "{.spec.clusterIP}")
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 5 {address} 80"
    script = f"for i in 1 2 3 4 5 6 7 8; do {ask}; echo; done"
    assert _in_pod(real, script).count(GREETING) == 8


def test_a_pod_finds_the_api_server_and_has_a_token_for_it(real: ControlPlane) -> None:
    mounted = "/var/run/secrets/kubernetes.io/serviceaccount"
    connect = 'echo | busybox nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT"'
    said = _in_pod(real, f"{connect} >/tmp/said && cat {mounted}/token")
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", said.strip())


def test_kubectl_logs_shows_what_a_container_said(real: ControlPlane) -> None:
    real.kubectl(
        *("run", "talker", "--restart=Never", f"--image={IMAGES['server'].reference}"),
        *("--command", "--", "sh", "-c", "echo so it is"),
    )
    _await(lambda: _jsonpath(real, "pod/talker", "{.status.phase}") == "Succeeded")
    assert real.kubectl("logs", "talker") == "so it is\n"


@pytest.mark.parametrize("program", ["kubelet", "containerd"])
def test_its_programs_can_be_restarted_and_the_containers_go_on(
    real: ControlPlane, program: str
) -> None:
    before = _jsonpath(real, "pod", "{.items[*].status.containerStatuses[*].containerID}")
    real.restart(f"real-0/{program}")
    real.kubectl("run", f"after-{program}", f"--image={IMAGES['server'].reference}")
    real.kubectl("wait", "--for=condition=Ready", f"pod/after-{program}", "--timeout=90s")
    after = _jsonpath(real, "pod", "{.items[*].status.containerStatuses[*].containerID}")
    assert set(before.split()) <= set(after.split())


def test_the_machines_own_settings_are_left_alone(real: ControlPlane) -> None:
    """A kubelet would set kernel parameters for everybody."""
    inside = real.real_nodes["real-0"].box
    names = ("vm/overcommit_memory", "kernel/panic_on_oops", "kernel/panic")
    assert [inside.run("cat", f"/proc/sys/{name}").strip() for name in names] == ["1", "1", "10"]
    assert inside.run("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
    assert not Path("/var/lib/kubelet/pods").exists()
    assert "kube-proxy" not in box.run(["nft", "list", "tables"])


def test_an_orderly_stop_leaves_nothing(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "cluster", node="real") as cluster:
        index = _index(cluster.real_nodes["real-0"].box.interface)
        assert index is not None
        pids = _processes_below(cluster.real_nodes["real-0"].box.pid)
        assert len(pids) > 3
    _assert_nothing_is_left(index, pids, tmp_path)


def test_kill_9_of_the_starter_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _STARTER, str(tmp_path / "cluster")]
    with subprocess.Popen(
        command, cwd=layout.REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        interface, *words = starter.stdout.readline().split()
        index = _index(interface)
        assert index is not None
        starter.kill()
    _await(lambda: index not in map(_index, Path("/sys/class/net").iterdir()))
    box.sweep()
    _assert_nothing_is_left(index, [int(word) for word in words], tmp_path)


def test_two_real_clusters_run_side_by_side(real: ControlPlane, tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "cluster", node="real") as other:
        assert other.server != real.server
        node = other.real_nodes["real-0"]
        assert node.box.pod_network != real.real_nodes["real-0"].box.pod_network
        assert [word.rpartition("/")[2] for word in _names(other, "pods")] == []
    test_a_pod_answers_the_machine_at_its_own_address(real)


def test_what_is_missing_is_named_with_its_package(
    real: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(ClusterError, match=r"apt-get install .*containerd.*runc.*util-linux"):
        ControlPlane(tmp_path / "cluster", node="real").start()


def test_without_root_the_reason_is_told() -> None:
    code = "import os; os.setuid(65534); from tools.cluster.box import find_obstacle as find"
    done = subprocess.run(
        [sys.executable, "-B", "-c", f"from tools.cluster import box\n{code}\nprint(find())"],
        cwd=layout.REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "needs root" in done.stdout


def _in_pod(cluster: ControlPlane, script: str) -> str:
    return cluster.kubectl("exec", "deployment/web", "--", "sh", "-c", script)


def _jsonpath(cluster: ControlPlane, what: str, path: str) -> str:
    return cluster.kubectl("get", what, f"--output=jsonpath={path}")


def _names(cluster: ControlPlane, what: str) -> list[str]:
    return cluster.kubectl("get", what, "--output=name").split()


def _pod_addresses(cluster: ControlPlane) -> list[str]:
    words = ("get", "pods", "--selector=app=web", "--output=json")
    return [pod["status"]["podIP"] for pod in json.loads(cluster.kubectl(*words))["items"]]


def _processes_below(pid: int) -> list[int]:
    """Everything in the box whose process 1 this is."""
    space = Path(f"/proc/{pid}/ns/pid").readlink()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "ns" / "pid").readlink() == space:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _index(interface: str | Path) -> str | None:
    """The kernel's number of an interface: names are given again."""
    try:
        return Path("/sys/class/net", interface, "ifindex").read_text()
    except OSError:
        return None


def _assert_nothing_is_left(index: str, pids: list[int], folder: Path) -> None:
    _await(lambda: not any(born(pid) for pid in pids))
    assert index not in map(_index, Path("/sys/class/net").iterdir())
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
    groups = Path("/sys/fs/cgroup")

    def without_a_box() -> list[Path]:
        found = [*groups.glob("*/tripswitch-*"), *groups.glob("tripswitch-*")]
        return [group for group in found if _index(group.name) is None]

    _await(lambda: without_a_box() == [])


def _await(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)
