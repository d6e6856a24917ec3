"""The program as a process: what its output is encoded as."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_output_is_utf_8_whatever_the_locale_says(encoding: str) -> None:
    manifest = (
        "# \N{GRINNING FACE}\nkind: Deployment\napiVersion: apps/v1\nmetadata: {name: größer}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tripswitch.cli", "convert", "-f", "-"],
        input=manifest.encode(),
        capture_output=True,
        check=False,
        env={"PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 0, done.stderr.decode()
    expected = manifest.replace("kind: D", "kind: GuardedD").replace(
        "apps/v1", "tripswitch.dev/v1alpha1"
    )
    assert done.stdout.decode() == expected
