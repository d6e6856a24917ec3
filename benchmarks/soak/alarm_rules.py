"""An HTTP server that answers like Prometheus' ``/api/v1/rules``, for alarms that the driver switches."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from benchmarks.soak.subjects import ALARM, Asked, Subject

NOBODY = "nobody"
"""An application without a workload, whose alarm fires all the time: it may harm nobody."""


class AlarmRules:
    """``async with AlarmRules() as alarms``: one alerting rule with an alert for each workload that has one."""

    def __init__(self) -> None:
        self._firing: dict[tuple[str, str], tuple[Asked, str]] = {}
        self.asked = 0
        """How often it was read."""
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/api/v1/rules", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def fire(self, subject: Subject, asked: Asked) -> None:
        """Let the alarm of a workload fire; each time that this is read stands in the ledger."""
        self._firing[subject.space, subject.name] = asked, _now()

    def quiet(self, subject: Subject) -> None:
        """Let it be over."""
        self._firing.pop((subject.space, subject.name), None)

    async def _handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        alerts = [_alert("soak-0", NOBODY, "2026-01-01T00:00:00Z")]
        for (space, name), (asked, since) in self._firing.items():
            asked.fired.append(time.time())
            alerts.append(_alert(space, name, since))
        rule = {"type": "alerting", "name": ALARM, "health": "ok", "alerts": alerts}
        group = {"name": "soak", "file": "soak.yaml", "interval": 1, "rules": [rule]}
        return web.json_response({"status": "success", "data": {"groups": [group]}})


def _alert(space: str, app: str, since: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": ALARM, "namespace": space, "app": app},
        "annotations": {"summary": "7% of requests fail"},
        "state": "firing",
        "activeAt": since,
        "value": "7e-02",
    }


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
