"""Field cases and public manifests. They lie beside the repository, in ``../shared``, if at all.

A test that needs one is left out where there is none, and says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[3] / "shared"


def read_shared(name: str) -> str:
    """Return the text of a file, such as ``cases/slow-start.yaml``; leaves the test out without it."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"this clone has no ../shared/{name}")
    return path.read_text()


def name_shared(folder: str) -> list[Any]:
    """Return the names of a folder's files as parameters; without it one that is left out."""
    found = sorted(path for path in (SHARED / folder).glob("*.y*ml"))
    if not found:
        reason = f"this clone has no ../shared/{folder}"
        return [pytest.param("", marks=pytest.mark.skip(reason=reason), id="none")]
    return [pytest.param(f"{folder}/{path.name}", id=path.name) for path in found]
