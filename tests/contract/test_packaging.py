"""What is published: a wheel and an sdist of the package, and what each half of it needs."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator"
EXTRA = {"kopf", "msgspec", "prometheus-client", "standardwebhooks"}

BLOCK = """
import runpy, sys
for name in ("kopf", "msgspec", "prometheus_client", "standardwebhooks"):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
"""


def build(kind: str, target: Path, source: Path = ROOT) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "-d", str(target)]
    subprocess.run(command, check=True, capture_output=True, cwd=source)
    (path,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


def list_package(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every file of the package, data too; no test, no top-level `operator`."""
    names = list_package(wheel)
    with zipfile.ZipFile(wheel) as archive:
        entries = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        programs = archive.read(entries).decode()
    wanted = {
        str(file.relative_to(PACKAGE))
        for file in (PACKAGE / "tripswitch").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names == wanted
    assert {"tripswitch/py.typed", "tripswitch/api/podtemplate.json"} <= names
    assert "tripswitch-operator = tripswitch.shell.__main__:main" in programs


def test_what_only_the_operator_needs_is_an_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        path = next(name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(path))
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    always = {one.name for one in required if one.marker is None}
    operator = {one.name for one in required if one.marker and "operator" in str(one.marker)}
    assert metadata.get_all("Provides-Extra") == ["operator"]
    assert operator == EXTRA
    assert not always & EXTRA


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    unpacked = tmp_path / f"tripswitch-{project['version']}"
    assert tops == {
        *("operator", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"),
        *("PKG-INFO", ".gitignore"),
    }
    again = build("wheel", tmp_path / "again", unpacked)
    assert list_package(again) == list_package(wheel)


@pytest.mark.parametrize("arguments", [["--help"], ["simulate", "--help"], ["status", "--help"]])
def test_the_plugin_runs_without_the_extra(arguments: list[str]) -> None:
    code = f"{BLOCK}sys.argv[1:] = {arguments!r}\nrunpy.run_module('tripswitch.cli', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


def test_every_module_of_the_plugin_is_importable_without_the_extra() -> None:
    code = f"""{BLOCK}
import pkgutil, tripswitch.cli
for found in pkgutil.walk_packages(tripswitch.cli.__path__, "tripswitch.cli."):
    if not found.name.endswith("__main__"):
        __import__(found.name)
print(len([name for name in sys.modules if name.startswith("tripswitch.cli.")]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20


def test_the_operator_without_the_extra_says_what_to_install() -> None:
    code = f"{BLOCK}runpy.run_module('tripswitch.shell', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The operator needs ")
    assert done.stderr.endswith("Install it with: pip install 'tripswitch[operator]'\n")
