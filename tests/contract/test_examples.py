"""Examples in docstrings are run: a module that has some is collected by ``make unit``."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def has_examples(path: Path) -> bool:
    """Whether a docstring of a module has an example."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return any(
        re.search(r"^\s*>>> ", ast.get_docstring(node) or "", re.MULTILINE)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, documented)
    )


MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("operator", "tools", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if has_examples(path)
)


def paths_of_make_unit() -> tuple[list[str], list[str]]:
    """What ``make unit`` hands to pytest: the paths, and what is left out of them."""
    (recipe,) = re.findall(
        r"^unit: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    paths: list[str] = []
    ignored: list[str] = []
    for line in recipe.splitlines():
        words = shlex.split(line.partition("pytest")[2])
        for before, word in zip(["", *words], words, strict=False):
            if (ROOT / word).exists():
                (ignored if before == "--ignore" else paths).append(word)
    return paths, ignored


def test_there_are_examples() -> None:
    assert len(MODULES) > 20


def test_pytest_collects_every_module_with_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *MODULES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    collected = {
        path
        for path, name in re.findall(r"^(\S+)::([\w.]+)$", done.stdout, re.MULTILINE)
        if "." in name
    }
    assert set(MODULES) - collected == set(), done.stdout + done.stderr


def test_make_unit_runs_the_folder_of_every_module_with_examples() -> None:
    paths, ignored = paths_of_make_unit()
    left_out = {
        module
        for module in MODULES
        if not any(is_below(module, path) for path in paths)
        or any(is_below(module, path) for path in ignored)
    }
    assert left_out == set()


def is_below(module: str, folder: str) -> bool:
    return module.startswith(f"{folder.rstrip('/')}/")
