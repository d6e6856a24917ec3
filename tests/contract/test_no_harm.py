"""The page of good rollouts that meet a fault names something that holds each of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.faults.__main__ import load
from tools.generate.rules import find_tests

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "no-harm.md"


def read_rows(text: str) -> Iterator[str]:
    """Yield the rows of the page's tables, without their heads."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.endswith("| held by |"):
            yield line


def find_unheld(text: str, tests: set[str], scenarios: set[str]) -> list[str]:
    """Return the rows that name nothing, or something that does not exist."""
    wrong = []
    for row in read_rows(text):
        named = re.findall(r"`([^`]+)`", row.strip("|").rpartition("|")[2])
        if not named or not set(named) <= tests | scenarios:
            wrong.append(row)
    return wrong


def test_every_row_names_a_test_or_a_scenario_that_exists() -> None:
    text = PAGE.read_text()
    assert len(list(read_rows(text))) >= 10
    assert find_unheld(text, {one.name for one in find_tests()}, {one.name for one in load()}) == []


def test_a_row_that_names_nothing_or_something_that_is_not_there_is_found() -> None:
    head = "| a good rollout meets | what happens | held by |\n|---|---|---|\n"
    rows = ["| a | b | `test_a` |", "| a | b | test_a |", "| a | b | `test_a`, `a node lost` |"]
    text = head + "\n".join(rows)
    assert find_unheld(text, {"test_a"}, {"a node lost"}) == [rows[1]]
    assert find_unheld(text, {"test_a"}, set()) == rows[1:]
    assert find_unheld(text, set(), set()) == rows
