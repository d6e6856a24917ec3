"""``kubectl-tripswitch``: the program that kubectl finds on the PATH."""

from __future__ import annotations

import os
import sys

from tripswitch.cli.app import PROGRAM, app


def main() -> None:
    """Run a command; a reader that went away (``| head``) ends it silently."""
    try:
        app(prog_name=PROGRAM)
    except BrokenPipeError:
        # The interpreter would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
