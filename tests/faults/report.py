"""The page that says what was survived: written from the results, never by hand."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.faults.catalog import CATALOG, Scenario

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
RESULTS = Path(__file__).with_name("results.json")
"""The latest result of every fault, so that a part of a run (``--only``) changes its own rows alone."""

HEAD = """\
# Reliability: faults we inject and what happens

<!-- Written by `make faults`; do not edit. -->

`make faults` starts a throwaway control plane (a real etcd, API server, controller manager and scheduler;
simulated nodes), puts a proxy between it and the operator, and breaks things on purpose. Each run plays the
same story: a good revision completes; a bad one crashes; the breaker trips; the good one comes back. Some play
another one, in which a good revision meets a fault and completes ([no harm](no-harm.md)).

Beside it a witness watches every GuardedDeployment, ReplicaSet and pod, not through the proxy. After each
run it is worked out again from these raw objects alone that at every moment that was to be seen

- there were never fewer healthy pods than the lower bound by our doing, and never more pods than the upper
  bound;
- no pod of a stalled revision was launched;
- every status holds the core's own invariants.

And everything is counted again from the API server's audit log, which has every write that took effect and
what it made of the object:

- no failure was counted that no pod had shown by then, and none was lost;
- each trip was followed by one rollback, and no rollback had another cause.

A run *passes* when all of this holds and the story ends as it must. *Restarts* are ends of the operator's
process, which is started again at once, as a kubelet would.
"""


@dataclass(frozen=True)
class Result:
    """What came of one scenario."""

    scenario: Scenario
    outcomes: list[str]
    failures: list[str]
    about: str
    """When, with which seed, on what machine."""


def keep(results: list[Result], path: Path) -> list[Result]:
    """Put results in the place of earlier ones of the same faults; return one for every fault there is.

    Args:
        results: Of this run.
        path: A JSON file, which need not be there. Faults that are no longer tried are dropped.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    for one in results:
        known[one.scenario.name] = [one.outcomes, one.failures, one.about]
    kept = {one.name: known[one.name] for one in CATALOG if one.name in known}
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    return [Result(one, *kept.get(one.name, ([], [], ""))) for one in CATALOG]


def render(results: list[Result]) -> str:
    """Return the page."""
    made = sorted({one.about for one in results if one.about}, reverse=True)
    tried = sum(bool(one.about) for one in results)
    runs = sum(len(one.outcomes) + len(one.failures) for one in results)
    failed = sum(len(one.failures) for one in results)
    tally = (
        f"{tried} of {len(results)} faults were tried, in {runs} runs, of which {failed} failed."
    )
    lines = [HEAD, f"The latest result of each fault: {tally}", _describe_runs(made), ""]
    for group, members in groupby(results, key=lambda one: one.scenario.group):
        lines += [f"## {group}", "", "| fault | must | tried | runs | passed | outcome |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_row(one) for one in members]
        lines.append("")
    return "\n".join(lines)


def _describe_runs(made: list[str]) -> str:
    """Say where the results are from: the same code has not seen all of them if they are of several runs."""
    if len(made) < 2:
        return f"All are of one run: {made[0]}." if made else "Nothing was run yet."
    told = "\n".join(f"- {about}" for about in made)
    return f"They are of {len(made)} runs, and the code has changed between them:\n\n{told}"


def _row(one: Result) -> str:
    passed, total = len(one.outcomes), len(one.outcomes) + len(one.failures)
    common = Counter(one.outcomes).most_common(2)
    told = [words for words, _ in common]
    if one.failures:
        told.append(f"**failed: {one.failures[0]}**")
    words = "; or: ".join(told) or "not run yet"
    tried = one.about.split(",")[0] or "never"
    cells = (one.scenario.name, one.scenario.must, tried, str(total), str(passed), words)
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
