"""The rows of the real node: measured by ``make bench-real``, read from the page it writes."""

from __future__ import annotations

import re

from tests.bench.report import Result, Row
from tests.real_times import PAGE, TARGETS
from tests.times import COLUMNS

IMAGES = {"exit-2": "crash loop", "missing-tag": "missing image"}
PEERS = {"crash loop": "602 s (4 replicas, measured once)", "missing image": "600 s (its deadline)"}
_LINE = re.compile(r"^\| ([\w-]+): trip / restored \|(.+)\|$", re.MULTILINE)


def read_real_node(page: str) -> Result:
    """Return the rows that the page of the real node holds: trip and way back, in seconds."""
    rows = []
    for image, cells in _LINE.findall(page):
        if image not in IMAGES:
            continue
        what = IMAGES[image]
        for replicas, limit, cell in zip(COLUMNS, TARGETS[what], cells.split("|"), strict=True):
            trip, _, restored = cell.strip().partition(" / ")
            if not restored:
                continue
            seconds = float(trip) + float(restored)
            rows.append(
                Row(
                    f"bad revision to rollback, {what}, real node, replicas {replicas}",
                    f"{seconds:.1f} s",
                    PEERS[what],
                    "never",
                    f"{limit} s",
                    seconds <= limit,
                    "see what the kubelet sets in real-node.md",
                )
            )
    return Result(
        "Read from [real-node.md](real-node.md), which `make bench-real` writes: real containers, a "
        "real kubelet, from `kubectl apply` to the last completed revision being COMPLETED again.",
        rows,
    )


def find_real_node() -> Result | None:
    """Return the rows of the real node, None if they were never measured here."""
    return read_real_node(PAGE.read_text()) if PAGE.exists() else None
