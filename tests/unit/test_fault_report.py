"""The page of faults tells of part of a run what it is: the other rows stay, with their own date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.faults.__main__ import load
from tests.faults.report import PAGE, RESULTS, Result, keep, render

FIRST, SECOND, THIRD = load()[:3]
MONDAY, TUESDAY = "2026-11-23, seed 1, 40 minutes", "2026-11-24, seed 2, 3 minutes"


def test_a_part_of_a_run_changes_its_own_rows_alone(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    keep([Result(one, ["well"], [], MONDAY) for one in (FIRST, SECOND)], kept)
    found = keep([Result(FIRST, [], ["run 0: lost"], TUESDAY)], kept)
    assert found[:3] == [
        Result(FIRST, [], ["run 0: lost"], TUESDAY),
        Result(SECOND, ["well"], [], MONDAY),
        Result(THIRD, [], [], ""),
    ]
    page = render(found)
    assert f"2 of {len(load())} faults were tried, in 2 runs, of which 1 failed." in page
    assert f"- {TUESDAY}\n- {MONDAY}\n" in page
    assert f"| {SECOND.name} | {SECOND.must} | 2026-11-23 | 1 | 1 | well |" in page
    assert "| 2026-11-24 | 1 | 0 | **failed: run 0: lost** |" in page
    assert f"| {THIRD.name} | {THIRD.must} | never | 0 | 0 | not run yet |" in page


def test_a_fault_that_is_no_longer_tried_is_dropped(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    keep([Result(replace(FIRST, name="of yesterday"), ["well"], [], MONDAY)], kept)
    assert kept.read_text() == "{}\n"


def test_one_whole_run_is_told_as_one(tmp_path: Path) -> None:
    found = keep([Result(one, ["well"], [], MONDAY) for one in load()], tmp_path / "results.json")
    assert f"All are of one run: {MONDAY}." in render(found)


def test_the_page_shows_the_results_that_are_kept(tmp_path: Path) -> None:
    copied = tmp_path / "results.json"
    copied.write_text(RESULTS.read_text())
    again = "`python -m tests.faults --page` writes it again"
    assert render(keep([], copied)) == PAGE.read_text(), again
