"""Which of the locked packages the operator itself needs, without those of the tests and linters.

``python -m tools.image.dependencies`` prints them.
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
    extras: Sequence[str] = (),
) -> str:
    """Return the part of the lock file that an installation of Tripswitch needs.

    Args:
        lock: Text of ``requirements.lock``, which is installed in the running environment.
        python: The version to install for, such as ``3.11``.
        extras: Extras of Tripswitch to install, such as ``operator``; none for the plugin.
    """
    blocks = {
        canonicalize_name(found["name"]): found.group()
        for found in re.finditer(
            r"^(?P<name>[A-Za-z0-9._-]+)==[^\n]*\n(?:[ \t]+[^\n]*\n?)*", lock, re.MULTILINE
        )
    }
    needed: dict[str, str] = {}
    waiting = ["tripswitch"]
    while waiting:
        package = waiting.pop()
        chosen = ("", *extras) if package == "tripswitch" else ("",)
        for line in requires(package) or []:
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            if _is_wanted(requirement, python, chosen) and name not in needed:
                needed[name] = blocks[name]
                waiting.append(requirement.name)
    return "".join(needed[name] for name in sorted(needed))


def _is_wanted(requirement: Requirement, python: str, extras: Sequence[str]) -> bool:
    marker = requirement.marker
    versions = {"python_version": python, "python_full_version": f"{python}.0"}
    return marker is None or any(marker.evaluate({**versions, "extra": one}) for one in extras)


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    sys.stdout.write(
        select_locked((root / "requirements.lock").read_text(), "3.11", extras=["operator"])
    )
