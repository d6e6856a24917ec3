"""The rows of the real node: measured by ``make bench-real``, read from the page it writes."""

from __future__ import annotations

import re

from benchmarks.guarded_section import find_guarded
from benchmarks.real_times import PAGE, TARGETS
from benchmarks.report import Result, Row
from tests.support.times import COLUMNS
from tripswitch.domain.values.sight import AGAIN_SECONDS

IMAGES = {"exit-2": "crash loop", "missing-tag": "missing image", "never-ready": "never Ready"}
LATEST = 2 * AGAIN_SECONDS + 1
"""Seconds after the last health deadline that matters within which all must be over: two looks at a node's
Lease after the first one (V3; one is enough unless it was renewed just then), and 1 s."""
LATER_IF_GUARDED = 0.5
"""How much later than that of a GuardedDeployment the trip of a guarded Deployment may be, in seconds."""
REASONS = {
    "missing image": "with one replica the kubelet's back-offs of 10 and 20 s decide, and attempts are told by events (F2): "
    "see *What the kubelet sets* in [real-node.md](real-node.md)",
}
REASON = "the kubelet tells failures in steps of a second: see *What the kubelet sets* in [real-node.md](real-node.md)"
_GUARDED = re.compile(
    r"^\| ([\w-]+) \| (\d+) \| (yes|no) \| ([\d.]+) / ([\d.]+) \| \d+ \| ([\d.]+) \|", re.MULTILINE
)
_LINE = re.compile(r"^\| ([\w-]+): trip / restored \|(.+)\|$", re.MULTILINE)
_REACHED = re.compile(r"^\| ([\w-]+) \| (\d+) \| [\d.]+ s \| ([\d.]+) s \|", re.MULTILINE)


def read_real_node(page: str) -> Result:
    """Return the rows that the page of the real node holds: trip and way back, in seconds."""
    reached = {(image, int(count)): float(at) for image, count, at in _REACHED.findall(page)}
    rows = []
    for image, cells in _LINE.findall(page):
        if image not in IMAGES:
            continue
        for replicas, cell in zip(COLUMNS, cells.split("|"), strict=True):
            trip, _, restored = cell.strip().partition(" / ")
            if restored:
                seconds = float(trip) + float(restored)
                rows.append(_row(IMAGES[image], replicas, seconds, reached.get((image, replicas))))
    rows += [_guarded_row(*one.groups()) for one in _GUARDED.finditer(find_guarded(page))]
    return Result(
        "Read from [real-node.md](real-node.md), which `make bench-real` writes: real containers, a "
        "real kubelet, from `kubectl apply` to the last completed revision being COMPLETED again (of a guarded Deployment: "
        "to the trip). Argo "
        "Rollouts acts, and a Deployment says so, when `progressDeadlineSeconds` are over, in every "
        "case; how soon after is measured in *rollback*.",
        rows,
    )


def _row(what: str, replicas: int, seconds: float, reached: float | None) -> Row:
    measure = f"bad revision to rollback, {what}, real node, replicas {replicas}"
    peers = ("its deadline (default 600 s)", "never")
    reason = REASONS.get(what, REASON)
    if what in TARGETS:
        limit = TARGETS[what][COLUMNS.index(replicas)]
        return Row(measure, f"{seconds:.1f} s", *peers, f"{limit} s", seconds <= limit, reason)
    if reached is None:
        raise ValueError(f"{measure}: the page does not say when the threshold was reached")
    after = seconds - reached
    words = f"{seconds:.1f} s, {after:.1f} s after the health deadline"
    return Row(measure, words, *peers, f"health deadline + {LATEST:.0f} s", after <= LATEST, reason)


def _guarded_row(image: str, replicas: str, probe: str, trip: str, restored: str, lost: str) -> Row:
    """Return the row of a guarded Deployment; what its pods' own controller does next is not in the target."""
    what, size = IMAGES[image], int(replicas)
    limit = TARGETS[what][COLUMNS.index(size)] + LATER_IF_GUARDED
    probed = "with" if probe == "yes" else "without"
    return Row(
        f"trip of a guarded Deployment, {what}, {probed} readiness probe, real node, replicas {size}",
        f"{trip} s, whole {restored} s later; {lost} pod seconds lost",
        deployment="never",
        target=f"{limit} s",
        met=float(trip) <= limit,
        reason="its own controller launches one or two pods at a time (maxSurge and maxUnavailable 25 %), so the third failure "
        f"waits for the kubelet's back-off; {REASONS.get(what, REASON)}",
    )


def find_real_node() -> Result | None:
    """Return the rows of the real node, None if they were never measured here."""
    return read_real_node(PAGE.read_text()) if PAGE.exists() else None
