"""What must not be where it would do harm."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "tripswitch"

CORE_MAY_IMPORT = frozenset(
    {
        "__future__",
        "collections.abc",
        "dataclasses",
        "enum",
        "hashlib",
        "math",
        "re",
        "types",
        "tripswitch.domain",
    }
)
"""Nothing in here reads a clock, draws a random number, or speaks to anything."""

KEYED_BY_NAME = frozenset({"cluster/store.py", "shell/decision_metrics.py"})
"""The store knows which object has a name; the series of an object are called by its name."""


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a piece of code imports; a call of ``__import__`` counts as one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield node.id


def is_part(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def is_allowed(module: str) -> bool:
    return any(is_part(module, name) for name in CORE_MAY_IMPORT)


@pytest.mark.parametrize(
    "code",
    ["import subprocess", "from uuid import uuid4", "import collections", "__import__('os')"],
)
def test_what_the_core_may_not_import_is_noticed(code: str) -> None:
    assert [name for name in imported(ast.parse(code)) if not is_allowed(name)] != []


def test_the_core_imports_only_what_is_on_its_list() -> None:
    modules = sorted((PACKAGE / "domain").rglob("*.py"))
    found = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in modules
        for name in imported(ast.parse(path.read_text()))
        if not is_allowed(name)
    }
    assert len(modules) > 10
    assert found == set()


def test_everything_on_the_list_is_used() -> None:
    used = {
        name
        for path in (PACKAGE / "domain").rglob("*.py")
        for name in imported(ast.parse(path.read_text()))
    }
    unused = {name for name in CORE_MAY_IMPORT if not any(is_part(one, name) for one in used)}
    assert unused == set()


def test_state_of_one_object_is_not_kept_by_its_name() -> None:
    """The next object of the same name would get it; ``PerObject`` keeps it by UID."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\b(dict|set|defaultdict|Mapping)\[Key\b", path.read_text())
    }
    assert found == KEYED_BY_NAME


@pytest.mark.parametrize(
    ("folder", "others"),
    [("tools", ("tests", "benchmarks")), ("operator", ("tests", "tools", "benchmarks"))],
)
def test_what_is_built_and_shipped_needs_no_test(folder: str, others: tuple[str, ...]) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules
        for name in imported(ast.parse(path.read_text()))
        if any(is_part(name, other) for other in others)
    }
    assert len(modules) > 10
    assert found == set()


def test_the_source_root_is_no_package() -> None:
    """It is called like a module of the standard library."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_standard_librarys_operator_is_found_from_the_project_folder() -> None:
    """Also where nothing has imported it before: -I -S keeps site packages from doing so."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import operator; print(operator.add(1, 2))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "3\n"


def test_no_test_patches_a_module() -> None:
    """What a test sets, such as a time or a collaborator, is an argument; the environment may be set."""
    words = "monkeypatch" + ".setattr"
    patching = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if words in path.read_text()
    ]
    assert patching == []
