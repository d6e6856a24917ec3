"""Run a program that dies when its parent dies: ``python leash.py PARENT_PID PROGRAM ARGS...``.

The kernel's parent-death signal survives exec, so this becomes the program itself: same process
id, nothing left in between. It runs as a script of its own because code between fork and exec in a
process with threads is not safe.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set the leash, then become the program."""
    parent, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # the parent died before the leash was on
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main()
