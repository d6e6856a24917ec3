"""The unit tests under every Python that pyproject.toml claims: ``make pythons``.

The Python that runs nox has its turn in ``make unit`` and is left out here. A Python that is not on this
machine is skipped, and the summary names it; with ``--error-on-missing-interpreters`` that is a failure.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
LOCK = ROOT / "requirements.lock"
CLAIMED = nox.project.python_versions(nox.project.load_toml(ROOT / "pyproject.toml"))
RUNNING = "{}.{}".format(*sys.version_info)

nox.needs_version = ">=2026.4"
nox.options.envdir = ROOT / ".venv" / "nox"
nox.options.error_on_missing_interpreters = False


def put_pyenv_first() -> None:
    """Put the Pythons of pyenv into PATH before its shims, which are there without a Python, too."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [f"{folder}" for folder in sorted(versions.glob("3.*/bin"), reverse=True)]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", "")])


put_pyenv_first()


@nox.session(python=[python for python in CLAIMED if python != RUNNING], reuse_venv=True)
def unit(session: nox.Session) -> None:
    """Run the unit tests with the locked packages; arguments after ``--`` go to pytest."""
    stamp = Path(session.virtualenv.location) / "installed.lock"
    if not stamp.exists() or stamp.read_text() != LOCK.read_text():
        session.install("--require-hashes", "-r", f"{LOCK}", silent=True)
        session.install("--no-deps", "--no-build-isolation", "--editable", f"{ROOT}", silent=True)
        stamp.write_text(LOCK.read_text())
    chosen = session.posargs or ("-n", "2", "tests/unit", "operator", "tools", "benchmarks")
    marks = "not cluster and not real and not browser"
    session.run("python", "-m", "pytest", "-q", "-m", marks, *chosen)
