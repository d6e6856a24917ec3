"""The plugin as one file: it needs a Python and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.namespace import Namespace, guarded
from tools import plugin_file


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist") / "kubectl-tripswitch"
    plugin_file.build(target, pythons=())
    return target


def test_it_runs_from_an_empty_directory_with_nothing_installed(
    program: Path, tmp_path: Path
) -> None:
    bare = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    empty = tmp_path / "empty"
    empty.mkdir()
    base = str(Path(sys.base_prefix) / "bin" / "python3")  # not the one of our environment
    done = subprocess.run(
        [base, str(program), "--help"],
        cwd=empty,
        env=bare,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Exit codes:" in done.stdout
    assert not list(empty.iterdir())


def test_kubectl_finds_it_on_the_path(
    program: Path, world: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIV_ROOT", str(tmp_path / "unpacked"))
    monkeypatch.setenv("PATH", f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}")
    world.completed(guarded())
    plugin = world.plugin(tmp_path, program)
    assert "4 of 4 pods healthy" in plugin("tripswitch", "status", "web")
    assert "retry\t" in plugin("tripswitch", "__complete", "re")
