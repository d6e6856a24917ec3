"""The real Helm, version 4 or 3, on one cluster."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tools.cluster.build import ensure

CHART = Path(__file__).parents[1] / "manifests" / "chart"
RELEASE = "tripswitch"
NAMESPACE = "tripswitch-system"


class HelmError(Exception):
    """Helm ended with an error; these are its words."""


class Helm:
    """Runs Helm as the owner of a kubeconfig, with folders of its own.

    Args:
        program: ``helm`` (version 4) or ``helm3``.
        home: A folder for its caches, so that nothing of the user's is read or written.
        kubeconfig: Of the cluster; None for what needs no cluster.
    """

    def __init__(self, program: str, home: Path, kubeconfig: str | None = None) -> None:
        self.program = program
        self._path = str(ensure([program])[program])
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HELM_")},
            **{f"HELM_{kind}_HOME": str(home / kind) for kind in ("CACHE", "CONFIG", "DATA")},
            "KUBECONFIG": kubeconfig or os.devnull,
        }

    def __call__(self, *words: str, seconds: float = 300) -> str:
        """Run it and return what it prints. Raises HelmError when it fails."""
        done = subprocess.run(
            [self._path, *words],
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise HelmError(done.stderr.strip())
        return done.stdout

    def install(self, *words: str, chart: Path = CHART) -> None:
        """Install Tripswitch and wait until it is Ready."""
        where = (f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
        self("install", RELEASE, str(chart), *where, *words)

    def upgrade(self, *words: str, chart: Path = CHART) -> None:
        """Upgrade it and wait until it is Ready."""
        where = (f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
        self("upgrade", RELEASE, str(chart), *where, *words)

    def history(self, release: str = RELEASE, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """Return the revisions of a release, oldest first."""
        words = ("history", release, f"--namespace={namespace}", "--output=json")
        found: list[dict[str, Any]] = json.loads(self(*words))
        return found
