"""The files of the CRDs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tripswitch.api.crd import DEFINITIONS, render


def render_files() -> Mapping[Path, str]:
    """Return the files' texts by their paths."""
    return {definition.path: render(definition) for definition in DEFINITIONS}
