"""An application's error rate for Prometheus to scrape, one value for each namespace, set by a test."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RULES = """
groups:
- name: shop
  interval: 1s
  rules:
  - alert: HighErrorRate
    expr: shop_errors_ratio > 0.05
    annotations: {summary: '{{ $value | humanizePercentage }} of requests fail'}
  - alert: SlowToFire
    expr: shop_errors_ratio > 0.05
    for: 5s
  - alert: NoData
    expr: no_such_metric > 0
  - alert: CannotBeEvaluated
    expr: shop_errors_ratio * on() shop_errors_ratio > 0
"""
"""The last rule has an error as soon as two namespaces have a value."""


class Exporter(ThreadingHTTPServer):
    """Answers every request with the values."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.values: dict[str, float] = {}
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it is scraped."""
        return int(self.server_address[1])

    def close(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()
        self._thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        lines = (
            f'shop_errors_ratio{{namespace="{name}",app="web"}} {value}\n'
            for name, value in list(self.server.values.items())
        )
        body = "".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
