"""The one place of the version: ``project.version`` in pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read_version(root: Path = ROOT) -> str:
    """Return the version of everything that is released together, such as ``0.1.0``."""
    version: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return version
