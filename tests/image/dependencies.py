"""Which of the locked packages the operator itself needs, without those of the tests and linters.

``python -m tests.image.dependencies`` prints them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def select_locked(
    lock: str,
    python: str,
    *,
    without: frozenset[str] = frozenset(),
    extra: Sequence[str] = (),
) -> str:
    """Return the part of the lock file that an installation of Tripswitch needs.

    Args:
        lock: Text of ``requirements.lock``, which is installed in the running environment.
        python: The version to install for, such as ``3.11``.
        without: Packages to leave out, with what only they need.
        extra: Packages to have all the same, with what they need.
    """
    blocks = {
        canonicalize_name(found["name"]): found.group()
        for found in re.finditer(
            r"^(?P<name>[A-Za-z0-9._-]+)==[^\n]*\n(?:[ \t]+[^\n]*\n?)*", lock, re.MULTILINE
        )
    }
    marked = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    needed: dict[str, str] = {}
    waiting = ["tripswitch", *extra]
    needed |= {canonicalize_name(name): blocks[canonicalize_name(name)] for name in extra}
    while waiting:
        for line in requires(waiting.pop()) or []:
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            wanted = requirement.marker is None or requirement.marker.evaluate(marked)
            if wanted and name not in needed and name not in without:
                needed[name] = blocks[name]
                waiting.append(requirement.name)
    return "".join(needed[name] for name in sorted(needed))


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    sys.stdout.write(select_locked((root / "requirements.lock").read_text(), "3.11"))
