"""Child processes that end with their owner, and knowing a process again by more than its number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

_LEASH = Path(__file__).with_name("leash.py")
_TAIL_LINES = 25

# The kernel's parent-death signal is tied to the *thread* that forked, so all programs are
# forked by one thread that lives as long as this process.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cluster-forker")


def leashed(command: Sequence[str]) -> list[str]:
    """The command line that runs ``command`` on a leash held by this process."""
    return [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *command]


def fork(command: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
    """Start a command from the thread that lives as long as this process; see ``_forker``."""
    return _forker.submit(
        lambda: subprocess.Popen(command, start_new_session=True, **streams)
    ).result()


def born(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when it is gone or a zombie.

    A process number alone is used again sooner or later; number and birth together are not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def kill_if_same(pid: int, birth: str | None, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal to a process if it is still the one it was; False when it is not."""
    if birth is None or born(pid) != birth:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


class Startable(ABC):
    """What runs as long as a ``with`` block does."""

    @abstractmethod
    def start(self) -> None:
        """Return when it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Return when it has ended; nothing to do when it never ran."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Process:
    """One running program of a cluster, its output in a log file."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program on a leash; the log is appended to, so a restart keeps it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._child = _forker.submit(self._fork, output.fileno()).result()

    def _fork(self, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            leashed(self.command),
            cwd=self.log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the owner, which then stops things in order
        )

    @property
    def pid(self) -> int:
        """The process number; RuntimeError when it was never started."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.poll() if self._child else None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, for example SIGSTOP."""
        if self._child is not None:
            os.kill(self._inner(), number)

    def _inner(self) -> int:
        """The program itself: one that runs in a box is the child of what brought it there."""
        if Path(self.command[0]).name != "nsenter":
            return self.pid
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    def kill(self) -> None:
        """End it at once and wait until it is gone. Stopped processes die of SIGKILL too."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The end of the log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
