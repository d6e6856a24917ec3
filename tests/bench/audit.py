"""Requests counted at the API server, from its audit log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request that the API server answered."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    raw: dict[str, Any]

    @property
    def words(self) -> str:
        """Verb and resource, such as ``update guardeddeployments/status``."""
        return f"{self.verb} {self.resource}"


class AuditLog:
    """Reads on from where it was last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def mark(self) -> None:
        """Begin here."""
        self._at = self._path.stat().st_size

    def read(self) -> Iterator[Request]:
        """Yield what came since the last mark or read."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # half written
                self._at += len(line)
                raw = json.loads(line)
                ref = raw.get("objectRef") or {}
                sub = ref.get("subresource")
                resource = ref.get("resource", raw["requestURI"])
                yield Request(
                    user=raw["user"]["username"],
                    verb=raw["verb"],
                    resource=f"{resource}/{sub}" if sub else resource,
                    namespace=ref.get("namespace", ""),
                    name=ref.get("name", ""),
                    code=(raw.get("responseStatus") or {}).get("code", 0),
                    raw=raw,
                )


def count(requests: Iterable[Request], user: str) -> Counter[str]:
    """Count one user's requests by verb and resource.

    Watches and lists are left out (they belong to the process, not to a rollout), and so are lease
    renewals, which come by the clock.
    """
    found: Counter[str] = Counter()
    for request in requests:
        by_the_clock = request.verb in ("watch", "list") or request.resource == "leases"
        if request.user == user and not by_the_clock:
            found[request.words] += 1
    return found
