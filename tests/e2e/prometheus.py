"""A real Prometheus on loopback that scrapes operators, and words to ask it."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.ports import free_port
from tools.cluster.processes import Startable

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "manifests" / "monitoring"
START_SECONDS = 60.0


def find_program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``."""
    found = shutil.which(name)
    assert found, f"{name} is needed: apt-get install --no-install-recommends prometheus"
    return found


class Prometheus(Startable):
    """Scrapes and evaluates every second.

    It may be started again after it was stopped: at the same address, with the same data.

    Args:
        directory: For its files.
        targets: Ports on loopback that it scrapes.
        rules: Its file of rules.
        web: Its web configuration, for TLS and passwords.
        authority: The CA of its certificate, if it has one.
    """

    def __init__(
        self,
        directory: Path,
        targets: Sequence[int],
        *,
        rules: Path = MONITORING / "rules.yaml",
        web: dict[str, Any] | None = None,
        authority: Path | None = None,
    ) -> None:
        self._directory = directory
        self._rules = rules
        self._web = web
        self._context = ssl.create_default_context(cafile=authority) if authority else None
        self._targets = [f"127.0.0.1:{port}" for port in targets]
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()

    def start(self) -> None:
        """Return when it answers. Raises AssertionError with its log when it does not."""
        self._directory.mkdir(parents=True, exist_ok=True)
        settings = self._directory / "prometheus.yaml"
        settings.write_text(yaml.safe_dump(self._settings()))
        command = [
            find_program("prometheus"),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        if self._web is not None:
            web = self._directory / "web.yaml"
            web.write_text(yaml.safe_dump(self._web))
            command.append(f"--web.config.file={web}")
        with (self._directory / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop()
                raise AssertionError((self._directory / "prometheus.log").read_text())
            time.sleep(0.1)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        """The address before ``/api/v1``."""
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}"

    def query(self, expression: str) -> list[Any]:
        """Return the samples of an instant query, each with its ``metric`` and ``value``.

        Raises AssertionError with Prometheus' words if it does not understand.
        """
        samples: list[Any] = self._get("query", query=expression)["result"]
        return samples

    def value(self, expression: str) -> float | None:
        """Return the one value of an instant query, None if there is none."""
        samples = self.query(expression)
        assert len(samples) <= 1, samples
        return float(samples[0]["value"][1]) if samples else None

    def alerts(self) -> list[Any]:
        """Return the alerts that fire or are about to."""
        alerts: list[Any] = self._get("alerts")["alerts"]
        return alerts

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire or are about to."""
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"]}

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30, context=self._context) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def _is_ready(self) -> bool:
        url = f"{self.url}/-/ready"
        try:
            with urllib.request.urlopen(url, timeout=2, context=self._context) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False

    def _settings(self) -> dict[str, Any]:
        scrape = {
            "job_name": "tripswitch",
            # `namespace` and `name` are those of the GuardedDeployment.
            "honor_labels": True,
            "static_configs": [{"targets": self._targets}],
        }
        return {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self._rules)],
            "scrape_configs": [scrape],
        }
