"""``tripswitch-operator``: the command line of the operator."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Unpack

import click

from tripswitch.cluster.credentials import name_proxy_schemes

try:
    from tripswitch.shell.flags import Flags, operator_flags
    from tripswitch.shell.logs import configure_logging
    from tripswitch.shell.options import Options, read_options
    from tripswitch.shell.process import run
except ModuleNotFoundError as error:
    if error.name not in ("kopf", "msgspec", "prometheus_client", "standardwebhooks"):
        raise
    sys.exit(
        f"The operator needs {error.name}. Install it with: pip install 'tripswitch[operator]'"
    )


Run = Callable[[Options], Coroutine[Any, Any, int]]
"""Runs the operator until it ends; returns the exit code."""


def build_command(run: Run) -> click.Command:
    """Return the command line of an operator that ``run`` runs."""

    @click.command(context_settings={"help_option_names": ["-h", "--help"]})
    @operator_flags
    def main(**flags: Unpack[Flags]) -> None:
        """Run the Tripswitch operator: GuardedDeployments with a deployment circuit breaker."""
        name_proxy_schemes(os.environ)
        options = read_options(flags)
        configure_logging(options.log_level, options.log_format)
        sys.exit(asyncio.run(run(options)))

    return main


main = build_command(run)


if __name__ == "__main__":
    main()
