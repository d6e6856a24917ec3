"""The checks before a commit are configured correctly and their programs are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / ".pre-commit-config.yaml"


def test_pre_commit_takes_the_configuration(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "pre_commit", "validate-config")
    subprocess.run([*command, CONFIG], check=True)
    broken = tmp_path / "config.yaml"
    broken.write_text(CONFIG.read_text().replace("entry:", "entries:"))
    assert subprocess.run([*command, broken], check=False, capture_output=True).returncode == 1


def test_every_program_of_a_hook_is_in_the_environment() -> None:
    [repository] = yaml.safe_load(CONFIG.read_text())["repos"]
    programs = [
        hook["entry"].split()[0] for hook in repository["hooks"] if hook["language"] == "system"
    ]
    assert len(programs) > 3
    locked = (ROOT / "requirements.lock").read_text()
    packages = {"ruff": "ruff", "mypy": "mypy", "lint-imports": "import-linter"}
    for program in programs:
        assert program.startswith(".venv/bin/")
        name = program.removeprefix(".venv/bin/")
        assert name == "python" or f"\n{packages[name]}==" in locked
