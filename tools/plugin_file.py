"""``make plugin``: the kubectl plugin as one file, ``dist/kubectl-tripswitch``.

The locked packages that the plugin needs, by their hashes, for several Pythons: compiled
modules carry the Python's version in their names, so they can lie side by side. shiv packs them; at the
first start the file unpacks itself below ``~/.shiv``.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

from nox.project import load_toml, python_versions

from tools.image.dependencies import select_locked

ROOT = Path(__file__).parents[1]
PYTHONS = (*python_versions(load_toml(ROOT / "pyproject.toml")), "3.14")
"""Those that are claimed, and one that is packed untested, because some systems have no other.

Without its compiled modules the file could not even start there.
"""
GENERATED = ("client/api", "client/models", "aio/client/api", "aio/client/models")
"""Of the Kubernetes client: 124 of its 126 MB, loaded one by one and only when used."""


def build(target: Path, pythons: Sequence[str] = PYTHONS) -> None:
    """Write the file, for these Pythons; for none: for the running one, from what is installed."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-plugin-") as scratch:
        site = Path(scratch) / "site"
        site.mkdir()
        for python in pythons:
            _merge(_install_locked(Path(scratch), python), site)
        if not pythons:
            _copy_installed(site)
        _install_own(site)
        _prune_client(site)
        _pack(site, target)


def _select(python: str) -> str:
    lock = (ROOT / "requirements.lock").read_text()
    return select_locked(lock, python)


def _copy_installed(site: Path) -> None:
    """Copy the packages of the running environment, which were installed from the same lock file."""
    running = "{}.{}".format(*sys.version_info)
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", _select(running), re.MULTILINE):
        for file in distribution(name).files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                copy = site / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), copy)


def _install_locked(scratch: Path, python: str) -> Path:
    folder, locked = scratch / python, scratch / f"{python}.txt"
    locked.write_text(_select(python))
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in (34, 31, 28, 17)]
    platforms.append(f"manylinux2014_{machine}")
    _pip(
        *("install", "--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:"),
        *(f"--platform={name}" for name in platforms),
        *(f"--python-version={python}", "--implementation=cp"),
        *(f"--abi=cp{python.replace('.', '')}", "--abi=abi3", "--abi=none"),
        *(f"--target={folder}", f"--requirement={locked}"),
    )
    shutil.rmtree(folder / "bin", ignore_errors=True)
    return folder


def _merge(folder: Path, into: Path) -> None:
    shutil.copytree(folder, into, dirs_exist_ok=True)


def _install_own(site: Path) -> None:
    """Our own wheel, as it would be published."""
    _pip(
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--no-compile",
        f"--target={site}",
        str(ROOT),
    )
    shutil.rmtree(site / "bin", ignore_errors=True)


def _prune_client(site: Path) -> None:
    code = (
        "import sys, tripswitch.cli.session\n"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('kubernetes.')], sep='\\n')"
    )
    words = [
        sys.executable,
        "-I",
        "-B",
        "-c",
        f"import sys; sys.path.insert(0, {str(site)!r})\n{code}",
    ]
    loaded = set(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())
    for folder in GENERATED:
        for path in (site / "kubernetes" / folder).glob("*.py"):
            if path.name != "__init__.py" and str(path) not in loaded:
                path.unlink()


def _pack(site: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "shiv", "--compressed", "--reproducible"),
            *("--python", "/usr/bin/env python3", "--entry-point", "tripswitch.cli.__main__:main"),
            *("--site-packages", str(site), "--output-file", str(target)),
        ],
        check=True,
    )


def _pip(*words: str) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, *words], check=True)


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.plugin_file")
    parser.add_argument("target", type=Path, nargs="?", default=ROOT / "dist/kubectl-tripswitch")
    parser.add_argument(
        "--pythons", default=" ".join(PYTHONS), help="default: %(default)s; empty: the running one"
    )
    options = parser.parse_args(arguments)
    build(options.target, options.pythons.split())
    size = options.target.stat().st_size / 1e6
    print(f"wrote {options.target} ({size:.1f} MB); copy it to a folder of your PATH")
    return 0


if __name__ == "__main__":
    sys.exit(main())
