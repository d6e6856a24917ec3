"""What is published: the package, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator"


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Every file of the package, data too; no test, no top-level `operator`."""
    command = [sys.executable, "-m", "hatchling", "build", "--target=wheel", "-d", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        entries = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        programs = wheel.read(entries).decode()
    wanted = {
        str(file.relative_to(PACKAGE))
        for file in (PACKAGE / "tripswitch").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names == wanted
    assert {"tripswitch/py.typed", "tripswitch/api/podtemplate.json"} <= names
    assert "tripswitch-operator = tripswitch.shell.__main__:main" in programs
