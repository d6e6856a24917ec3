"""``make soak-cluster``: an hour of everything at random, then the question whether all is well.

One seed gives one sequence of actions; the cluster's own timing is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.soak.driver import Soak
from benchmarks.soak.lives import judge_memory
from benchmarks.soak.page import PAGE, render
from benchmarks.testbed import Testbed
from tools.cluster.toolchain import say


def keep(directory: Path, target: Path) -> None:
    """Keep the logs of a run with faults: of the operator, and of the API server's requests."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(directory / "cluster" / "logs", target)
    for log in directory.glob("*.log"):
        shutil.copy(log, target)
    say(f"logs: {target}")


async def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--rate", type=float, default=1.0, help="actions per second")
    parser.add_argument("--restarts", type=int, help="default: one in 20 minutes, at least one")
    parser.add_argument("--no-docs", action="store_true", help="only print, write no file")
    parser.add_argument(
        "--keep", default=".clusters/soak-logs", help="where logs go if there are faults"
    )
    options = parser.parse_args()
    if options.restarts is None:
        options.restarts = max(1, round(options.minutes / 20))
    with tempfile.TemporaryDirectory(prefix="tripswitch-soak-") as directory:
        async with Testbed(Path(directory), peers=False, audit_bodies=True) as testbed:
            soak = Soak(testbed, options)
            faults = await soak.run(60 * options.minutes)
        if faults:
            keep(Path(directory), Path(options.keep))
    memory, grown = judge_memory(soak.lives)
    page = render(soak, options, memory, faults + grown)
    print(page)
    if not options.no_docs:
        PAGE.write_text(page)
    return 1 if faults or grown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
