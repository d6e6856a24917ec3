"""``make bench``, ``make bench-NAME``: measure, print, write ``docs/benchmarks.md``.

Each result is written as soon as it is there; those in the page that were not measured again stay.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp

from benchmarks.cost import measure_cost, measure_rollback
from benchmarks.decisions import measure_decide
from benchmarks.failover import measure_failover
from benchmarks.fleets import measure_fleets
from benchmarks.guarding import measure_guarding
from benchmarks.halves import measure_halves
from benchmarks.real import find_real_node
from benchmarks.report import Report, Result, show
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.storm import measure_storm
from benchmarks.testbed import Testbed
from benchmarks.trips import measure_trips
from benchmarks.verdicts import measure_verdicts
from tools.cluster.control_plane import ClusterError
from tools.cluster.toolchain import say

Measure = Callable[[Testbed, Scale], Awaitable[Result]]

ON_THE_CLUSTER: Mapping[str, Measure] = {
    "cost": measure_cost,
    "rollback": measure_rollback,
    "trips": measure_trips,
    "fleets": measure_fleets,
    "failover": measure_failover,
    "storm": measure_storm,
    "guarding": measure_guarding,
    "halves": measure_halves,
    "verdicts": measure_verdicts,
}
ALONE = ("guarding", "halves", "verdicts", "failover", "trips")
"""Those that measure nobody beside us, and need no Argo Rollouts."""
FAILURES = (RuntimeError, TimeoutError, OSError, aiohttp.ClientError, ClusterError, ExceptionGroup)
NAMES = ("decide", "node", *ON_THE_CLUSTER)


async def run(names: list[str], scale: Scale, report: Report | None) -> list[str]:
    """Run the named benchmarks in order; return the names of those that failed."""

    def keep(name: str, result: Result, began: float) -> None:
        seconds = time.monotonic() - began
        print(f"\n{name} ({seconds:.0f} s)\n{show(result)}", flush=True)
        for note in result.notes:
            print(note)
        if report is not None:
            report.add(name, result, seconds)

    if "decide" in names:
        keep("decide", measure_decide(), time.monotonic())
    real = find_real_node() if "node" in names else None
    if real is not None:
        keep("node", real, time.monotonic())
    failed: list[str] = []
    for name in (name for name in ON_THE_CLUSTER if name in names):
        say(f"measuring: {name} ({scale.name} scale)")
        # A cluster for each: fleets that are laid into etcd and taken out again leave their marks on
        # it (the scheduler took nodes for full that were empty).
        with tempfile.TemporaryDirectory(prefix="tripswitch-bench-") as directory:
            try:
                async with Testbed(Path(directory), peers=name not in ALONE) as testbed:
                    began = time.monotonic()
                    keep(name, await ON_THE_CLUSTER[name](testbed, scale), began)
            except FAILURES:
                traceback.print_exc()  # the others are still worth having
                failed.append(name)
    return failed


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small numbers: only shows that it works"
    )
    parser.add_argument("--idle", type=int, help="objects that stand idle beside")
    parser.add_argument("--trips", type=int, help="how many trips are timed")
    parser.add_argument("--storm", type=int, help="how many rollouts at once")
    parser.add_argument("--no-docs", action="store_true", help="only print, write no file")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark of that name: {', '.join(sorted(unknown))}")
    scale = QUICK if options.quick else FULL
    if options.idle:
        scale = replace(
            scale, sizes=(scale.sizes[0], options.idle, max(scale.sizes[2], options.idle))
        )
    scale = replace(scale, trips=options.trips or scale.trips, storm=options.storm or scale.storm)
    if scale not in (QUICK, FULL):
        scale = replace(scale, name=f"{scale.name} (changed)")
    report = None if options.no_docs else Report(scale.name)
    failed = asyncio.run(run(options.names or list(NAMES), scale, report))
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
