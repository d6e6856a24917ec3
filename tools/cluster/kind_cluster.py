"""A cluster made by kind (Kubernetes in Docker) for one run of the end-to-end tests.

This needs a Docker engine (or podman, as kind finds it) and the network, from which kind pulls its
node image. kind itself is built from its Go module like the other programs.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

from tools.cluster.build import ensure

_ENGINES = ("docker", "podman", "nerdctl")


class KindError(Exception):
    """The cluster could not be made or used; the message has kind's own words."""


class KindCluster:
    """One cluster with a name of its own; ``stop`` deletes it."""

    def __init__(self, directory: Path) -> None:
        self.name = f"tripswitch-{secrets.token_hex(3)}"
        self.kubeconfig = directory / "kind.kubeconfig"

    def start(self) -> None:
        """Create it and wait until its node is Ready. KindError when that cannot be."""
        if not any(shutil.which(engine) for engine in _ENGINES):
            raise KindError(
                "E2E=kind needs Docker: kind runs its nodes as containers, and there is no "
                f"{', '.join(_ENGINES)} here. E2E=real gives a real kubelet without it."
            )
        try:
            self._kind("create", "cluster", "--wait=180s", f"--kubeconfig={self.kubeconfig}")
        except BaseException:
            self.stop()
            raise

    def load_image(self, archive: Path) -> None:
        """Bring an image (a docker-archive) onto the node."""
        self._kind("load", "image-archive", str(archive))

    def stop(self) -> None:
        """Delete the cluster in any state."""
        self._kind("delete", "cluster", f"--kubeconfig={self.kubeconfig}")

    def _kind(self, *words: str) -> None:
        command = [str(ensure(["kind"])["kind"]), *words, f"--name={self.name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode != 0:
            raise KindError(f"kind {' '.join(words)}: {done.stderr.strip()}")
