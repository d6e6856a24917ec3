"""News fragments: each has a kind that is known and appears in the next changelog."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
KINDS = [kind["directory"] for kind in SETTINGS["type"]]
FRAGMENTS = sorted(
    path for path in (ROOT / "changelog.d").iterdir() if path.name not in SETTINGS["ignore"]
)


def render(directory: Path = ROOT) -> str:
    command = (sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9")
    where = ("--date", "2027-01-01", "--dir", f"{directory}", "--config", f"{ROOT}/pyproject.toml")
    done = subprocess.run([*command, *where], check=True, capture_output=True, text=True)
    return done.stdout


def test_every_fragment_has_a_kind_that_is_known_and_some_words() -> None:
    wrong = [
        path.name
        for path in FRAGMENTS
        if path.suffix != ".md"
        or path.stem.rpartition(".")[2] not in KINDS
        or not path.read_text().strip()
    ]
    assert wrong == []


def test_each_kind_appears_in_the_changelog_under_its_title(tmp_path: Path) -> None:
    (tmp_path / "changelog.d").mkdir()
    for kind in KINDS:
        (tmp_path / "changelog.d" / f"+word.{kind}.md").write_text(f"Something {kind}.\n")
    told = render(tmp_path)
    assert "## 9.9.9 (2027-01-01)" in told
    for kind in SETTINGS["type"]:
        assert f"### {kind['name']}\n\n- Something {kind['directory']}.\n" in told


def test_a_release_adds_its_section_where_the_changelog_says() -> None:
    assert "\n<!-- towncrier release notes start -->\n" in (ROOT / "CHANGELOG.md").read_text()
    assert "## 9.9.9" in render()
