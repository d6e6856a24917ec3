"""What is claimed about Pythons is what is run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tools import plugin_file
from tools.pythons import ROOT, find, find_folders, read_claimed


def test_the_oldest_one_that_is_claimed_is_the_oldest_that_is_let_in() -> None:
    claimed = read_claimed()
    assert len(claimed) > 1
    assert f'requires-python = ">={claimed[0]}"' in (ROOT / "pyproject.toml").read_text()


def test_ci_runs_all_that_are_claimed() -> None:
    assert re.search(r"^make pythons$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^pythons: .*\n\t.*-m tools\.pythons$", makefile, re.MULTILINE)


def test_the_plugin_file_has_the_packages_of_all_that_are_claimed() -> None:
    assert set(read_claimed()) <= set(plugin_file.PYTHONS)


def test_a_program_that_only_has_the_name_is_not_taken(tmp_path: Path) -> None:
    running = "{}.{}".format(*sys.version_info)
    shim = tmp_path / f"python{running}"
    shim.write_text("#!/bin/sh\necho 'pyenv: no such version' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert find(running, [tmp_path, tmp_path / "nowhere"]) is None
    real = Path(sys.executable).parent
    assert find(running, [tmp_path, real, *find_folders()]) is not None
