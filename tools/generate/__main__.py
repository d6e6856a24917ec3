"""Writes every generated file, or checks them: ``python -m tools.generate [--check]``.

The generators run in order, because a later one reads what an earlier one wrote. ``make generate`` writes;
``make verify`` checks and shows what differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tools.generate import crd, diagrams, kustomize, manifests, reference, rules, versions
from tools.generate.files import settle

Generator = Callable[[], Mapping[Path, str]]

GENERATORS: tuple[Generator, ...] = (
    versions.render_files,
    crd.render_files,
    diagrams.render_files,
    rules.render_files,
    reference.render_files,
    manifests.render_copy,
    manifests.render_files,
)
"""All but kustomize's files, which take an argument."""


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files; return the exit code: 1 if a check found a difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate")
    parser.add_argument("--check", action="store_true", help="write nothing, show what differs")
    parser.add_argument(
        "--swagger",
        type=Path,
        help="Kubernetes' api/openapi-spec/swagger.json, to read its merge keys again",
    )
    options = parser.parse_args(arguments)
    last: Generator = partial(kustomize.render_files, options.swagger)
    return max([settle(generator(), check=options.check) for generator in (*GENERATORS, last)])


if __name__ == "__main__":
    sys.exit(main())
