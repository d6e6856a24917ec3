"""Every rule is found: in words, in the code, in a test; and every test that the docs name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.generate.rules import PLACES, find_place, find_tests, read_words, render

ROOT = Path(__file__).parents[2]
PARITY = ROOT / "docs" / "ecs-parity.md"
NUMBERS = {
    "T": 5,
    "V": 4,
    "F": 10,
    "H": 3,
    "S": 3,
    "P": 2,
    "R": 8,
    "B": 9,
    "C": 4,
    "A": 3,
    "D": 5,
    "E": 1,
    "K": 1,
    "G": 9,
    "W": 5,
}
RULES = [f"{letter}{number}" for letter, last in NUMBERS.items() for number in range(1, last + 1)]


def test_the_rules_are_all_told_and_all_have_a_place() -> None:
    assert list(read_words()) == RULES
    assert list(PLACES) == RULES


@pytest.mark.parametrize("rule", RULES)
def test_the_place_of_a_rule_names_it(rule: str) -> None:
    line, text = find_place(*PLACES[rule])
    assert line > 0
    assert re.search(rf"\b{rule}\b", text), f"{PLACES[rule]} does not say {rule}"


def test_a_place_that_is_not_there_is_no_place() -> None:
    with pytest.raises(LookupError):
        find_place("domain/rules/threshold.py", "compute_nothing")


def test_the_page_has_a_line_for_every_rule() -> None:
    assert sum(line.startswith("| ") for line in render().splitlines()) == len(RULES) + 1


def test_every_line_of_the_parity_page_names_a_test_that_exists_or_says_why_there_is_none() -> None:
    names = {test.name for test in find_tests()}
    lines = PARITY.read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| ECS |")]
    assert len(rows) > 60
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4, row
        _, verdict, words, shown = cells
        assert verdict in ("same", "better", "different", "left out"), row
        assert words, row
        tests = re.findall(r"`(\w+)`", shown)
        assert tests or verdict == "left out", row
        assert set(tests) <= names, row
