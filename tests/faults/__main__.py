"""``python -m tests.faults``: every fault, many times; writes docs/explanation/reliability.md.

Faults that disturb only one operator run side by side; those that disturb the whole cluster run alone.
The seed is printed, and the same seed gives the same chances again (not the same moments).
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import random
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.catalog import CATALOG, Scenario
from tests.faults.lab import Lab
from tests.faults.report import PAGE, RESULTS, Result, keep, render

MODULES = (
    "api_faults",
    "crash_points",
    "cluster_faults",
    "good_faults",
    "leaders",
    "input_faults",
)


@dataclass
class Run:
    """All of one scenario's tries."""

    scenario: Scenario
    outcomes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def attempt(self, lab: Lab, number: int) -> None:
        """Try it once and keep what came of it."""
        began = time.monotonic()
        try:
            self.outcomes.append(self.scenario.attempt(lab, number))
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the report
            words = "".join(traceback.format_exception(error))
            self.failures.append(f"run {number}: {type(error).__name__}: {str(error)[:300]}")
            print(f"FAILED {self.scenario.name}, run {number}\n{words}", flush=True)
        else:
            took = time.monotonic() - began
            print(f"{took:6.1f} s  {self.scenario.name}: {self.outcomes[-1]}", flush=True)


def load() -> list[Scenario]:
    """Return the list, in the order of the modules, whichever of them was imported first."""
    for module in MODULES:
        importlib.import_module(f"tests.faults.{module}")
    CATALOG.sort(key=lambda one: MODULES.index(one.attempt.__module__.rpartition(".")[2]))
    return CATALOG


def main(arguments: list[str]) -> int:
    """Run them and write the page; 1 if anything was lost, doubled, or did not end."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 10**6))
    parser.add_argument("--only", default="", help="those whose group or name has this")
    parser.add_argument("--runs", type=int, default=0, help="at most so many of each")
    parser.add_argument("--lanes", type=int, default=3, help="how many at the same time")
    parser.add_argument("--page", action="store_true", help="write the page again, try nothing")
    options = parser.parse_args(arguments)
    if options.page:
        load()
        return _write_page([])
    word = options.only.lower()
    wanted = [one for one in load() if word in f"{one.group}: {one.name}".lower()]
    print(
        f"seed {options.seed}: {len(wanted)} faults; again with --seed {options.seed}", flush=True
    )
    began = time.monotonic()
    runs = [Run(one) for one in wanted]
    directory = Path(tempfile.mkdtemp(prefix="tripswitch-faults-"))
    with Lab(directory, options.seed) as lab:
        _run_all(lab, runs, options.runs, options.lanes)
    minutes = (time.monotonic() - began) / 60
    failed = sum(len(run.failures) for run in runs)
    print(f"{failed} failed; {minutes:.0f} minutes; seed {options.seed}")
    if failed:
        print(f"the logs: {directory}")
    else:
        shutil.rmtree(directory)
    about = (
        f"{datetime.now(UTC):%Y-%m-%d}, seed {options.seed}, {minutes:.0f} minutes on "
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    )
    results = [Result(run.scenario, run.outcomes, run.failures, about) for run in runs]
    return _write_page(results) or int(failed > 0)


def _write_page(results: list[Result]) -> int:
    PAGE.write_text(render(keep(results, RESULTS)))
    print(f"wrote {PAGE}")
    return 0


def _run_all(lab: Lab, runs: list[Run], number: int, lanes: int) -> None:
    """First side by side, as many as there are lanes, and those that wait; then one by one."""
    waiting = sum(_most(number, run.scenario) for run in runs if run.scenario.waits)
    with ThreadPoolExecutor(lanes) as pool, ThreadPoolExecutor(waiting or 1) as apart:
        beside: list[Future[None]] = [
            (apart if run.scenario.waits else pool).submit(run.attempt, lab, again)
            for run in runs
            if not run.scenario.alone
            for again in range(_most(number, run.scenario))
        ]
        for one in beside:
            one.result()
    for run in runs:
        if run.scenario.alone:
            for again in range(_most(number, run.scenario)):
                run.attempt(lab, again)


def _most(number: int, scenario: Scenario) -> int:
    return min(number, scenario.runs) if number else scenario.runs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
