"""``kubectl-tripswitch``: the program that kubectl finds on the PATH."""

from __future__ import annotations

import io
import os
import sys

from tripswitch.cli.app import PROGRAM, app


def main() -> None:
    """Run a command; a reader that went away (``| head``) ends it silently."""
    for stream in (sys.stdout, sys.stderr):
        _set_encoding(stream)
    try:
        app(prog_name=PROGRAM)
    except BrokenPipeError:
        # The interpreter would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _set_encoding(stream: object) -> None:
    """Write UTF-8 to files and pipes, as kubectl does; what a terminal cannot show becomes an escape."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


if __name__ == "__main__":
    main()
