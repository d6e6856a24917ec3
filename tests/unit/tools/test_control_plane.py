"""A kubectl command that takes too long is an error of the cluster, in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.cluster.control_plane import ClusterError, ControlPlane


class Stub(ControlPlane):
    """A cluster that was not started, whose kubectl is another program."""

    program = Path("/bin/true")

    @property
    def kubectl_path(self) -> Path:
        """The other program."""
        return self.program

    @property
    def kubeconfig(self) -> Path:
        """A file that nothing reads."""
        return self.directory / "kubeconfig"


def test_a_command_that_does_not_end_is_an_error_with_its_words(tmp_path: Path) -> None:
    cluster = Stub(tmp_path)
    cluster.program = tmp_path / "kubectl"
    cluster.program.write_text("#!/bin/sh\nexec sleep 60\n")
    cluster.program.chmod(0o755)
    message = "kubectl get nodes: it has not ended within 0.05 s"
    with pytest.raises(ClusterError, match=re.escape(message)):
        cluster.kubectl("get", "nodes", seconds=0.05)


def test_a_node_may_take_as_long_as_kubectl_waits_for_it(tmp_path: Path) -> None:
    """The program has more time than it gives itself, so that it is kubectl that says what is missing."""
    cluster = Stub(tmp_path)
    cluster.program = tmp_path / "kubectl"
    cluster.program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    cluster.program.chmod(0o755)
    given: list[float] = []

    class Watched(Stub):
        def kubectl(self, *arguments: str, input: str | None = None, seconds: float = 120) -> str:  # noqa: A002
            given.append(seconds)
            return super().kubectl(*arguments, input=input, seconds=seconds)

    watched = Watched(tmp_path)
    watched.program = cluster.program
    watched._wait("condition=Ready", "node/a")  # noqa: SLF001
    (words,) = (tmp_path / "said").read_text().splitlines()
    found = re.search(r"--timeout=(\d+)s", words)
    assert found is not None
    assert given[0] > float(found[1])
