"""The same Deployment as a release of Helm, which is told to roll back what does not become ready."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from benchmarks.api import Object
from benchmarks.fleet import DEPLOYMENT
from tools.helm import Helm, HelmError

RELEASE = "web"
CHART = {"apiVersion": "v2", "name": RELEASE, "version": "1.0.0"}


class HelmRelease:
    """A release with one Deployment of 10 replicas; ``seconds`` is Helm's ``--timeout``."""

    def __init__(self, home: Path, kubeconfig: Path, namespace: str, seconds: int) -> None:
        self._helm = Helm("helm", home, str(kubeconfig))
        self._chart = home / "chart"
        self._words = (f"--namespace={namespace}", "--wait", f"--timeout={seconds}s")

    async def install(self, body: Object) -> None:
        """Install it and wait until its pods are Ready."""
        await asyncio.to_thread(self._helm, "install", RELEASE, self._write(body), *self._words)

    async def upgrade_badly(self, body: Object) -> float:
        """Upgrade it; return after how many seconds Helm was done with the way back.

        Raises:
            RuntimeError: The upgrade worked, which it must not.
        """
        words = ("upgrade", RELEASE, self._write(body), "--rollback-on-failure", *self._words)
        began = time.monotonic()
        try:
            await asyncio.to_thread(self._helm, *words)
        except HelmError as error:
            if "rolled back" not in str(error):
                raise
            return time.monotonic() - began
        raise RuntimeError("Helm did not notice a Deployment whose pods crash")

    def _write(self, body: Object) -> str:
        (self._chart / "templates").mkdir(parents=True, exist_ok=True)
        (self._chart / "Chart.yaml").write_text(json.dumps(CHART))
        (self._chart / "templates" / f"{DEPLOYMENT.plural}.yaml").write_text(json.dumps(body))
        return str(self._chart)
