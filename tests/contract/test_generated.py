"""The check of generated files says what differs, and writing makes it pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.generated import MOST_LINES, ROOT, settle


def test_a_stale_file_is_shown_as_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.md"
    path.write_text("one\ntwo\n")
    assert settle({path: "one\nthree\n"}, check=True) == 1
    told = capsys.readouterr().err
    assert f"{path} is stale: run `make crds`" in told
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
    assert lines[0].endswith("none.md is missing: run `make crds`")
    assert lines[-1].endswith("lines more")
    assert len(lines) == MOST_LINES + 3


def test_every_generator_of_make_verify_uses_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^verify: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    modules = re.findall(r"-m tests\.(\w+) --check", recipe)
    assert len(modules) > 4
    assert len(modules) == len(recipe.splitlines())
    silent = [name for name in modules if "settle(" not in (ROOT / f"tests/{name}.py").read_text()]
    assert silent == []
