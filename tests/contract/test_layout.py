"""What must not be where it would do harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
