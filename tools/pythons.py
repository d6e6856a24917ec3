"""Runs the unit tests under every Python that pyproject.toml claims: ``make pythons``.

Each one has an environment of its own in ``.venv/pythons``, with the locked packages by their hashes,
made again when the lock changes. A Python that is not on this machine is named and left out; with
``--all`` that is a failure. The Python that runs this has its turn in ``make unit``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".venv" / "pythons"
LOCK = ROOT / "requirements.lock"
RUNNING = "{}.{}".format(*sys.version_info)
TESTS = (
    "-q",
    "-n",
    "2",
    "-m",
    "not cluster and not real and not browser",
    "tests/unit",
    "operator",
    "tools",
    "benchmarks",
)


def read_claimed() -> list[str]:
    """Return the Pythons that pyproject.toml claims, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pattern = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    return [found[1] for line in project["classifiers"] if (found := pattern.fullmatch(line))]


def find(python: str, folders: Iterable[Path]) -> Path | None:
    """Return a program that really is this Python: pyenv's shims are there without one, too."""
    for folder in folders:
        program = folder / f"python{python}"
        code = "import sys; print('{}.{}'.format(*sys.version_info))"
        try:
            done = subprocess.run(
                [program, "-c", code], capture_output=True, text=True, check=False, timeout=30
            )
        except OSError:
            continue
        if done.stdout.strip() == python:
            return program
    return None


def find_folders() -> list[Path]:
    """Return where programs are looked for: PATH, then the versions of pyenv, newest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return path + sorted(pyenv.glob("3.*/bin"), reverse=True)


def prepare(python: str, program: Path) -> Path:
    """Return the Python of an environment with the locked packages."""
    folder = ENVIRONMENTS / python
    inside, stamp = folder / "bin" / "python", folder / "lock"
    if stamp.exists() and stamp.read_text() == LOCK.read_text():
        return inside
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([program, "-m", "venv", folder], check=True)
    pip = (f"{inside}", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "--require-hashes", "-r", f"{LOCK}"], check=True)
    own = ("--no-deps", "--no-build-isolation", "--editable", f"{ROOT}")
    subprocess.run([*pip, *own], check=True)
    stamp.write_text(LOCK.read_text())
    return inside


def main(arguments: Sequence[str]) -> int:
    """Run the tests; return the exit code."""
    failed: list[str] = []
    missing: list[str] = []
    for python in read_claimed():
        program = find(python, find_folders()) if python != RUNNING else None
        if python == RUNNING:
            print(f"Python {python}: run by make unit")
        elif program is None:
            missing.append(python)
            print(f"Python {python}: not on this machine, its unit tests are left out")
        else:
            print(f"Python {python}: {program}", flush=True)
            inside = prepare(python, program)
            done = subprocess.run([inside, "-m", "pytest", *TESTS], cwd=ROOT, check=False)
            failed += [python] if done.returncode else []
    for python in failed:
        print(f"Python {python}: the unit tests fail")
    return 1 if failed or (missing and "--all" in arguments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
