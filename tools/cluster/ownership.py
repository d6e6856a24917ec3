"""Who runs the cluster in a folder: a lock held while its owner lives, and a list of processes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tools.cluster.processes import born, kill_if_same

LOCK = "lock"
_STATE = "state.json"


class AlreadyRunningError(Exception):
    """Another process owns the cluster in this folder."""


class Claim:
    """The right to run the cluster in a folder. The kernel takes it back when its owner dies."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = (directory / LOCK).open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise AlreadyRunningError(f"the cluster in {directory} already runs") from None

    def release(self) -> None:
        """Let go of the folder."""
        self._file.close()


def is_owned(directory: Path) -> bool:
    """True while a living process runs the cluster in the folder."""
    if not (directory / LOCK).exists():
        return False
    try:
        Claim(directory).release()
    except AlreadyRunningError:
        return True
    return False


def write_state(directory: Path, programs: Mapping[str, int], facts: Mapping[str, str]) -> None:
    """Record the owner (this process) and its programs, each with its birth."""
    state = {
        "owner": _remember(os.getpid()),
        "programs": {name: _remember(pid) for name, pid in programs.items()},
        **facts,
    }
    scratch = directory / f".{_STATE}"
    scratch.write_text(json.dumps(state, indent=1))
    scratch.rename(directory / _STATE)


def read_state(directory: Path) -> dict[str, Any]:
    """What ``write_state`` recorded; empty when there is nothing readable."""
    try:
        state: dict[str, Any] = json.loads((directory / _STATE).read_text())
    except (OSError, ValueError):
        return {}
    return state


def alive(entry: Mapping[str, Any]) -> bool:
    """True if a recorded process is still that process."""
    return entry["birth"] is not None and born(entry["pid"]) == entry["birth"]


def stop_owner(directory: Path, seconds: float = 15.0) -> bool:
    """End a cluster that another process runs, and what it left behind; False if none ran."""
    state = read_state(directory)
    if not state:
        return False
    owner = state["owner"]
    stopped = kill_if_same(owner["pid"], owner["birth"], signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while alive(owner) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill_if_same(owner["pid"], owner["birth"])
    return kill_leftovers(directory) > 0 or stopped


def kill_leftovers(directory: Path) -> int:
    """Kill recorded programs that outlived their owner; returns how many there were."""
    programs = read_state(directory).get("programs", {})
    return sum(kill_if_same(entry["pid"], entry["birth"]) for entry in programs.values())


def _remember(pid: int) -> dict[str, Any]:
    return {"pid": pid, "birth": born(pid)}
