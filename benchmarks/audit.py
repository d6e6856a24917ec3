"""Requests counted at the API server, from its audit log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tools.cluster.audit import Request


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
