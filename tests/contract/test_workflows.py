"""The workflow files of the forge: correct, and with nothing of their own that .ci/run lacks."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.cluster.build import ensure

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(job: str) -> list[dict[str, Any]]:
    [workflow] = WORKFLOWS
    found: list[dict[str, Any]] = yaml.safe_load(workflow.read_text())["jobs"][job]["steps"]
    return found


def commands(job: str) -> list[str]:
    return [step["run"] for step in steps(job) if "run" in step]


@pytest.mark.cluster
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    program = ensure(["actionlint"])["actionlint"]
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "runs-where:"))
    assert subprocess.run([program, broken], capture_output=True, check=False).returncode == 1
    done = subprocess.run([program, *WORKFLOWS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_one_job_runs_the_script_that_every_machine_runs() -> None:
    [command] = commands("everything")
    assert command.endswith(" bash .ci/run")


def test_another_job_runs_the_end_to_end_tests_in_kind() -> None:
    assert commands("kind") == ["make e2e E2E=kind"]
