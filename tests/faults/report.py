"""The page that says what was survived: written from the results, never by hand."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.faults.catalog import CATALOG, Scenario

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"

HEAD = """\
# What it survives

<!-- Written by `make faults`; do not edit. -->

`make faults` starts a throwaway control plane (a real etcd, API server, controller manager and scheduler;
simulated nodes), puts a proxy between it and the operator, and breaks things on purpose. Each run plays the
same story: a good revision completes; a bad one crashes; the breaker trips; the good one comes back.

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


def keep(results: list[Result], path: Path, *, anew: bool) -> list[Result]:
    """Put results beside those of earlier parts of a run; return one for every fault of the list.

    Args:
        results: Of this part.
        path: A JSON file, which need not be there.
        anew: Whether what is there is of an earlier run, and goes.
    """
    known = {} if anew or not path.exists() else json.loads(path.read_text())
    for one in results:
        known[one.scenario.name] = [one.outcomes, one.failures, one.about]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(known, indent=1))
    return [Result(one, *known.get(one.name, ([], [], ""))) for one in CATALOG]


def render(results: list[Result]) -> str:
    """Return the page."""
    about = "; ".join(dict.fromkeys(one.about for one in results if one.about)) or "none yet"
    tried = sum(bool(one.about) for one in results)
    runs = sum(len(one.outcomes) + len(one.failures) for one in results)
    failed = sum(len(one.failures) for one in results)
    lines = [
        HEAD,
        f"Last full run: {about}. {tried} of {len(results)} faults, {runs} runs, {failed} failed.",
        "",
    ]
    for group, members in groupby(results, key=lambda one: one.scenario.group):
        lines += [f"## {group}", "", "| fault | must | runs | passed | outcome |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_row(one) for one in members]
        lines.append("")
    return "\n".join(lines)


def _row(one: Result) -> str:
    passed, total = len(one.outcomes), len(one.outcomes) + len(one.failures)
    common = Counter(one.outcomes).most_common(2)
    words = "; or: ".join(words for words, _ in common) or "not run yet"
    if one.failures:
        words += f" **failed: {one.failures[0]}**"
    cells = (one.scenario.name, one.scenario.must, str(total), str(passed), words)
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
