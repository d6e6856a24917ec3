"""The check of generated files says what differs, and writing makes it pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.generate.files import MOST_LINES, ROOT, settle


def test_a_stale_file_is_shown_as_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.md"
    path.write_text("one\ntwo\n")
    assert settle({path: "one\nthree\n"}, check=True) == 1
    told = capsys.readouterr().err
    assert f"{path} is stale: run `make generate`" in told
    assert re.search(r"^-two\n\+three$", told, re.MULTILINE)
    assert path.read_text() == "one\ntwo\n"
    assert settle({path: "one\nthree\n"}, check=False) == 0
    capsys.readouterr()
    assert settle({path: "one\nthree\n"}, check=True) == 0
    assert capsys.readouterr() == ("", "")


def test_a_missing_file_is_told_and_a_long_difference_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / "long.md"
    long.write_text("".join(f"{number}\n" for number in range(200)))
    assert settle({tmp_path / "none.md": "x", long: ""}, check=True) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("none.md is missing: run `make generate`")
    assert lines[-1].endswith("lines more")
    assert len(lines) == MOST_LINES + 3


def test_every_generator_is_checked() -> None:
    """``python -m tools.generate --check`` runs each module of the folder that renders files."""
    folder = ROOT / "tools" / "generate"
    rendering = {
        path.stem for path in folder.glob("*.py") if "def render_files(" in path.read_text()
    }
    main = (folder / "__main__.py").read_text()
    assert len(rendering) > 4
    assert {name for name in rendering if f"{name}.render_files" not in main} == set()
