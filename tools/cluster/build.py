"""Builds the programs once and keeps them in a cache; later starts find them there."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.cluster.processes import leashed
from tools.cluster.programs import PROGRAMS, Program, minimum_go
from tools.cluster.toolchain import BuildError, Go, Report, cache_directory, find_go, say

_REPORT_SECONDS = 10.0
_TAIL_LINES = 25


def ensure(names: Iterable[str], report: Report = say) -> dict[str, Path]:
    """Paths of the named programs; builds those that are not in the cache.

    Raises BuildError, with the end of the compiler's output, when one cannot be built. Under pytest
    nothing is built: that takes minutes, and a test has a time limit.
    """
    wanted = [PROGRAMS[name] for name in names]
    compilers = {program.name: find_go(minimum_go(program)) for program in wanted}
    paths = {p.name: cached_path(p, compilers[p.name]) for p in wanted}
    if all(path.exists() for path in paths.values()):
        return paths
    if "PYTEST_VERSION" in os.environ:
        missing_names = ", ".join(name for name, path in paths.items() if not path.exists())
        raise BuildError(f"{missing_names}: not built yet, and tests build nothing: make programs")
    with _build_lock(report):
        # Another starter may have built some of them while this one waited.
        missing = [program for program in wanted if not paths[program.name].exists()]
        if missing:
            report(f"building {len(missing)} programs, once; this takes minutes the first time")
        for number, program in enumerate(missing, start=1):
            label = f"[{number}/{len(missing)}] {program.name} {program.version}"
            build(program, compilers[program.name], label, report)
    return paths


def cached_path(program: Program, go: Go) -> Path:
    """Where the binary is, or will be, in the cache."""
    return cache_directory() / "bin" / program.key(go.identity) / program.name


def build(program: Program, go: Go, label: str, report: Report) -> None:
    """Compile one program into the cache, saying every 10 s how far it is."""
    go.install(report)
    target = cached_path(program, go)
    shutil.rmtree(target.parent, ignore_errors=True)  # what a killed build left
    target.parent.mkdir(parents=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        binary, log = Path(scratch) / program.name, Path(scratch) / "log"
        command = [
            *(str(go.executable), "build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath"),
            *("-ldflags", program.ldflags, "-o", str(binary), program.package),
        ]
        report(f"{label}: compiling")
        code = _run(command, program.directory, log, label, report)
        if code != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
            raise BuildError(
                f"{program.name} could not be built (go build ended with {code}, "
                f"module {program.directory}):\n{tail}"
            )
        binary.rename(target)  # atomic: a half-written program is never found
    report(f"{label}: built in {time.monotonic() - started:.0f} s")


def _run(command: list[str], directory: Path, log: Path, label: str, report: Report) -> int:
    environment = {
        **os.environ,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    started = time.monotonic()
    with log.open("wb") as output:
        compiler = subprocess.Popen(
            leashed(command),
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                try:
                    return compiler.wait(_REPORT_SECONDS)
                except subprocess.TimeoutExpired:
                    lines = log.read_bytes().count(b"\n")
                    seconds = time.monotonic() - started
                    report(f"{label}: {seconds:.0f} s so far, {lines} packages")
        finally:
            compiler.kill()
            compiler.wait()


@contextmanager
def _build_lock(report: Report) -> Iterator[None]:
    """One build at a time on this machine: two would only take turns on the same cores."""
    path = cache_directory() / "build.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another process is building the programs: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
