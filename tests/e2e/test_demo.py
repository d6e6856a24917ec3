"""``make demo CLUSTER=current``: all of it happens, and nothing of it is left, also after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.cluster.build import ensure
from tools.cluster.control_plane import ControlPlane
from tools.crds import delete_crds
from tools.demo.acts import SAMPLES
from tools.operator_process import ROOT

CRD = "guardeddeployments.tripswitch.dev"
ALL_CRDS = ("deploymentcircuitbreakers.tripswitch.dev", CRD)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster that has never heard of Tripswitch."""
    with ControlPlane(tmp_path_factory.mktemp("demo") / "cluster") as control_plane:
        control_plane.add_nodes(2)
        yield control_plane


@dataclass
class Player:
    """A person at a terminal, with kubectl and a kubeconfig."""

    home: Path
    kubeconfig: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the demo in a process group of its own."""
        (self.home / "kubectl").symlink_to(ensure(["kubectl"])["kubectl"])
        paths = {"PATH": f"{self.home}:{os.environ['PATH']}", "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.Popen(
            [sys.executable, "-m", "tools.demo", "--current", *words],
            cwd=ROOT,
            env={**os.environ, **paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def player(cluster: ControlPlane, tmp_path: Path) -> Player:
    return Player(tmp_path, cluster.kubeconfig)


def left(cluster: ControlPlane) -> list[str]:
    """Return what a demo makes, as far as it is there."""
    namespaces = cluster.kubectl("get", "namespaces", "--output=name").split()
    crds = cluster.kubectl("get", "crds", "--output=name").split()
    return [name for name in (*namespaces, *crds) if "tripswitch" in name]


def test_all_acts_happen_and_nothing_is_left(cluster: ControlPlane, player: Player) -> None:
    """On a cluster of this machine, so without a question."""
    demo = player.start()
    printed, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, printed
    for words in (
        "ROLLBACK_IN_PROGRESS",
        "CircuitBreakerTriggered: revision 2",
        "4 of 4",
        "Stalled=True",
        "Deployment/plain",
    ):
        assert words in printed
    assert left(cluster) == []


def interrupt(demo: subprocess.Popen[str], before: Callable[[], object]) -> str:
    """Press Ctrl-C in the first act, and again while it cleans up; return what it printed."""
    printed = ""
    with demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            printed += line
            if "IN_PROGRESS" in line:
                before()
            if "IN_PROGRESS" in line or "Deleting" in line:
                os.killpg(demo.pid, signal.SIGINT)
    assert demo.returncode == 130, printed
    return printed


def test_ctrl_c_leaves_only_what_was_there_before(cluster: ControlPlane, player: Player) -> None:
    """A second Ctrl-C, out of impatience, does not cut the cleaning up short."""
    cluster.kubectl("apply", "--server-side", "--filename", str(ROOT / "crds"))
    interrupt(player.start("--image=any:1"), lambda: None)
    kind = "customresourcedefinition.apiextensions.k8s.io"
    assert left(cluster) == [f"{kind}/{crd}" for crd in ALL_CRDS]
    delete_crds(cluster.kubectl, *ALL_CRDS)


def test_a_crd_that_somebody_else_uses_by_now_stays(cluster: ControlPlane, player: Player) -> None:
    """Deleting it would delete that GuardedDeployment."""

    def use_it() -> None:
        cluster.kubectl("apply", "--filename", str(SAMPLES / "first-bad.yaml"))

    printed = interrupt(player.start("--image=any:1"), use_it)
    assert (
        "stays, because somebody uses it by now: guardeddeployment.tripswitch.dev/first" in printed
    )
    assert left(cluster) == [f"customresourcedefinition.apiextensions.k8s.io/{CRD}"]
    delete_crds(cluster.kubectl, CRD)


def test_a_cluster_elsewhere_is_not_touched_without_a_yes(
    cluster: ControlPlane, player: Player
) -> None:
    """Here nobody answers, and there is nobody at that address: a request would be an error."""
    player.kubeconfig = player.home / "elsewhere"
    text = cluster.kubeconfig.read_text().replace(cluster.server, "https://prod.test:6443")
    player.kubeconfig.write_text(text)
    demo = player.start()
    printed, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "This cluster is not local" in printed
    assert "nothing was done" in printed
