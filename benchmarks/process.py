"""What a process costs, as the kernel tells it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory (VmRSS) in MiB, its children's too."""
    return sum(_resident_kib(one) for one in _family(pid)) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time so far, its children's too."""
    total = 0
    for one in _family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def busy_seconds() -> float:
    """Time that all cores of the machine have been busy until now, with anything."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _waiting, interrupts, soft, *_ = (int(one) for one in fields)
    return (user + nice + system + interrupts + soft) / _TICKS


async def settled_mib(pid: int, *, seconds: float = 5.0, most: float = 60.0) -> float:
    """Resident memory once the process has been (nearly) idle for so long, or after ``most`` seconds."""
    await _quiet(lambda: cpu_seconds(pid), 0.05, seconds, most)
    return resident_mib(pid)


async def rest(*, seconds: float = 3.0, most: float = 120.0) -> None:
    """Return once the whole machine has had next to nothing to do for so long, or after ``most`` seconds."""
    await _quiet(busy_seconds, 0.5, seconds, most)


async def _quiet(used: Callable[[], float], little: float, seconds: float, most: float) -> None:
    """Return once less than so ``little`` CPU time was used in each of so many seconds in a row."""
    before, quiet = used(), 0.0
    for _ in range(int(most)):
        await asyncio.sleep(1)
        now = used()
        quiet = quiet + 1 if now - before < little else 0
        before = now
        if quiet >= seconds:
            return


def _resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grandchild for child in children for grandchild in _family(int(child)))]
