"""What came out: kept in ``docs/benchmarks.json``, written for people to ``docs/benchmarks.md``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.cluster.programs import PROGRAMS

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"

HEADER = ("measure", "Tripswitch", "Argo Rollouts", "Deployment", "target", "met")

BASELINE = "-"
"""What stands in a cell that does not apply."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``met`` is None where there is no target. ``reason`` says why a target was missed.
    """

    measure: str
    ours: str
    argo: str = BASELINE
    deployment: str = BASELINE
    target: str = BASELINE
    met: bool | None = None
    reason: str = ""


@dataclass
class Result:
    """What one benchmark found. ``how`` says in a sentence or two how it was measured."""

    how: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Paragraphs of Markdown below the table."""


def machine() -> str:
    """The machine, in a few words."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    cores = os.cpu_count()
    return f"{cores} cores ({model}), {memory:.0f} GiB, Linux {platform.release()}"


def versions() -> str:
    """Versions of everything that takes part."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    # The page that is being written makes no other program of it.
    changed = git("status", "--porcelain", "--", "operator", "manifests", "benchmarks", "tools")
    commit = git("describe", "--always") + ("-dirty" if changed else "")
    return (
        f"Tripswitch {commit}, Python {platform.python_version()}, kopf {version('kopf')}, "
        f"kubernetes client {version('kubernetes')}, "
        f"Kubernetes {PROGRAMS['kube-apiserver'].version}, etcd {PROGRAMS['etcd'].version}, "
        f"kwok {PROGRAMS['kwok'].version}, Argo Rollouts {PROGRAMS['rollouts-controller'].version}, "
        f"Helm {PROGRAMS['helm'].version}"
    )


class Report:
    """All results so far, of this run and of earlier ones."""

    def __init__(self, scale: str) -> None:
        self._scale = scale
        self._run = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        self._machine = machine()
        self._versions = versions()
        known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        self._results: dict[str, Any] = known

    def add(self, name: str, result: Result, seconds: float) -> None:
        """Take a result and write both files."""
        load = Path("/proc/loadavg").read_text().split()[0]
        self._results[name] = {
            "run": self._run,
            "scale": self._scale,
            "machine": self._machine,
            "versions": self._versions,
            "seconds": round(seconds),
            "load_average_after": load,
            **asdict(result),
        }
        RESULTS.write_text(json.dumps(self._results, indent=1) + "\n")
        PAGE.write_text(render(self._results))


def show(result: Result) -> str:
    """Return a result as a table for a terminal."""
    rows = [HEADER, *(_cells(asdict(row)) for row in result.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    return (row["measure"], row["ours"], row["argo"], row["deployment"], row["target"], met)


def render(results: dict[str, Any]) -> str:
    """Return the page: one table of everything, then how each benchmark is made."""
    runs = sorted({(r["run"], r["scale"], r["machine"], r["versions"]) for r in results.values()})
    lines = [
        "# Benchmarks: time, requests and memory",
        "",
        "Written by `make bench` (everything) and `make bench-NAME` (one of them); not edited by hand.",
        "Each has a throwaway control plane, on which everybody runs one after the other, with",
        "simulated nodes (kwok). All numbers are taken from outside: from watches of the benchmark's",
        "own, from the API server's audit log, and from the kernel. Absolute times vary from machine to",
        "machine; ratios and counts hold.",
        "",
        "The GuardedDeployments on simulated nodes have `minReadySeconds: 0`, the default of a Deployment",
        "and of a Rollout, so that no kind waits longer than the others for a healthy pod: without the",
        "line the first pod of a revision [runs for 10 s](adr/0014-the-first-pod-proves-its-revision.md)",
        "first (runs up to 2026-11-25 are older than this wait).",
        "",
    ]
    for number, (run, scale, host, used) in enumerate(runs, start=1):
        lines += [f"- Run {number}: {run}, {scale} scale, on {host}; {used}."]
    lines += [
        "",
        _line((*HEADER, "run")),
        _line(["---"] * 7),
    ]
    order = {run: number for number, (run, *_) in enumerate(runs, start=1)}
    for name in results:
        for row in results[name]["rows"]:
            lines.append(_line((*_cells(row), str(order[results[name]["run"]]))))
    missed = [row for result in results.values() for row in result["rows"] if row["met"] is False]
    if missed:
        lines += ["", "## Missed targets", ""]
        lines += [f"- {row['measure']}: {row['reason'] or 'not explained yet'}" for row in missed]
    lines += ["", "## How each is measured", ""]
    for name, result in results.items():
        lines += [f"### {name}", "", result["how"], ""]
        for note in result["notes"]:
            lines += [note, ""]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
