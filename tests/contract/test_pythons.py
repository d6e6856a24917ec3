"""What is claimed about Pythons is what is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from nox.project import load_toml, python_versions

from tools import plugin_file

ROOT = Path(__file__).parents[2]
CLAIMED = python_versions(load_toml(ROOT / "pyproject.toml"))


def test_the_oldest_one_that_is_claimed_is_the_oldest_that_is_let_in() -> None:
    assert len(CLAIMED) > 1
    assert f'requires-python = ">={CLAIMED[0]}"' in (ROOT / "pyproject.toml").read_text()


def test_there_is_a_session_for_each_that_is_claimed() -> None:
    """The one that runs this has its turn in `make unit`."""
    command = (sys.executable, "-m", "nox", "--list", "--json")
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    sessions = set(re.findall(r'"session": "(unit-[^"]*)"', done.stdout))
    running = "{}.{}".format(*sys.version_info)
    assert sessions == {f"unit-{python}" for python in CLAIMED if python != running}


def test_ci_runs_all_that_are_claimed() -> None:
    assert re.search(
        r"^(nice )?make (.* )?pythons\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE
    )
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^pythons: .*\n\t.*/nox --session unit$", makefile, re.MULTILINE)


def test_the_plugin_file_has_the_packages_of_all_that_are_claimed() -> None:
    assert set(CLAIMED) <= set(plugin_file.PYTHONS)
