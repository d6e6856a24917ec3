"""The tutorials are true: each of their commands is run, and what it prints is compared."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.namespace import Namespace

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
GIVEN = ("make up", "make down", "export ")
"""What the tests' own cluster stands for."""


@dataclass
class Command:
    """A line that a reader types, and the lines that are to come."""

    line: str
    expected: list[str] = field(default_factory=list)


def read_commands(page: str) -> list[Command]:
    commands: list[Command] = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(Command(line[2:]))
            else:
                commands[-1].expected.append(line)
    return commands


def normal(line: str, namespace: str) -> str:
    """A line without what differs from run to run: ages, hashes, nodes, the namespace."""
    line = line.replace(f"namespace {namespace}", "namespace default")
    line = line.replace(f"-n {namespace} ", "")
    line = re.sub(r"\b\d+(\.\d)?[smhd](\d+[smhd])?\b", "?", line)
    line = re.sub(r"\b\d+ failures?", "? failures", line)
    line = line.replace("  0/0 healthy", "")  # while the last pod of a failed revision ends
    line = re.sub(r"web-[a-z0-9]{10}(-[a-z0-9]{5})?", "web-?", line)
    return re.sub(r"node-\d", "node-?", line).rstrip()


def missing(expected: list[str], printed: list[str]) -> str | None:
    """The first expected line that does not come (in order); ``...`` stands for any lines."""
    rest = iter(printed)
    for line in expected:
        if line != "..." and line not in rest:
            return line
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_does_what_the_page_says(
    world: Namespace, tmp_path: Path, page: Path
) -> None:
    plugin = world.plugin(tmp_path)
    commands = read_commands(page.read_text())
    assert len(commands) > 10
    for command in commands:
        if command.line.startswith(GIVEN):
            continue
        done = subprocess.run(
            ["bash", "-c", command.line],
            cwd=ROOT,
            env={**os.environ, **plugin.variables},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"{command.line}: {done.stdout}{done.stderr}"
        printed = [normal(line, world.namespace) for line in done.stdout.splitlines()]
        expected = [normal(line, "default") for line in command.expected]
        absent = missing(expected, printed)
        assert absent is None, f"{command.line}: no line {absent!r} in\n{done.stdout}"


@pytest.mark.parametrize(
    ("expected", "absent"),
    [(["a", "...", "c"], None), (["a", "d"], "d"), (["c", "a"], "a")],
    ids=["any between", "not there", "other order"],
)
def test_a_line_that_does_not_come_is_noticed(expected: list[str], absent: str | None) -> None:
    assert missing(expected, ["a", "b", "c"]) == absent
