"""The file of the CRD."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tripswitch.api.crd import PATH, render


def render_files() -> Mapping[Path, str]:
    """Return the file's text by its path."""
    return {PATH: render()}
