"""The threat model's page promises a test for each line, and dependencies that nobody can exchange."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.generate.rules import find_tests

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
LOCKS = ("requirements.lock", "requirements.supply.lock")


def test_every_line_of_the_security_page_names_a_test_that_exists() -> None:
    names = {test.name for test in find_tests()}
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.endswith("| test |")]
    assert len(rows) > 15
    for row in rows:
        shown = row.strip("|").rpartition("|")[2]
        named = re.findall(r"`(test_\w+)`", shown)
        files = re.findall(r"`(tests/[\w/]+\.py)` \(`(\w+)`\)", shown)
        assert named or files, row
        assert set(named) <= names, row
        for file, inside in files:
            assert f"class {inside}" in (ROOT / file).read_text(), row


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_pinned_with_a_hash_and_installed_so(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", "")
    pinned = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(pinned) > 10
    for line in pinned:
        assert re.match(r"[\w.\[\]-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line), line
    installs = re.findall(rf".* -r {re.escape(lock)}", (ROOT / "Makefile").read_text())
    assert installs
    assert all("--require-hashes" in command for command in installs)
