"""Writes the version of pyproject.toml where a file has to repeat it: the chart and the Containerfile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tools.version import ROOT, read_version

PLACES = {
    ROOT / "manifests" / "chart" / "Chart.yaml": r"(?m)^((?:version|appVersion): )\S+$",
    ROOT / "Containerfile": r"(tripswitch:)\d\S*",
}
"""Files, and a pattern of what stands before a version and the version."""


def render_files() -> Mapping[Path, str]:
    """Return the files with the version in them.

    Raises:
        LookupError: A file has no version where one is expected.
    """
    rendered = {}
    for path, pattern in PLACES.items():
        text, found = re.subn(pattern, rf"\g<1>{read_version()}", path.read_text())
        if not found:
            raise LookupError(f"{path.name} has no version that matches {pattern}")
        rendered[path] = text
    return rendered
