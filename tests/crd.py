"""Writes the CRD's file: ``python -m tests.crd [--check]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.generated import settle
from tripswitch.api.crd import PATH, render


def main(arguments: Sequence[str]) -> int:
    """Write it, or with ``--check`` say how it differs; return the exit code."""
    return settle({PATH: render()}, check="--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
