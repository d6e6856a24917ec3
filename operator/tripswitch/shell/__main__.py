"""``tripswitch-operator``: the command line of the operator."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

try:
    from tripswitch.shell.election import election_options, read_candidacy
    from tripswitch.shell.extras import extra_options, read_extras
    from tripswitch.shell.logs import configure_logging
    from tripswitch.shell.run import Options, run
except ModuleNotFoundError as error:
    if error.name not in ("kopf", "prometheus_client", "standardwebhooks"):
        raise
    sys.exit(
        f"The operator needs {error.name}. Install it with: pip install 'tripswitch[operator]'"
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--namespace",
    "-n",
    "namespaces",
    multiple=True,
    metavar="NAME",
    help="Namespace to work in; may be given several times. Default: all.",
)
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="Default: $KUBECONFIG, else the pod's service account, else ~/.kube/config.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="How much to say.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people or for collectors.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="How many objects are worked on at the same time.",
)
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of /healthz, /readyz and /metrics; 0: none.",
)
@extra_options
@election_options
def main(
    *,
    namespaces: tuple[str, ...],
    kubeconfig: str | None,
    log_level: str,
    log_format: str,
    workers: int,
    health_port: int,
    **more: Any,
) -> None:
    """Run the Tripswitch operator: GuardedDeployments with a deployment circuit breaker."""
    configure_logging(log_level, log_format)
    options = Options(
        namespaces,
        kubeconfig,
        workers,
        health_port,
        candidacy=read_candidacy(more),
        **read_extras(more),
    )
    sys.exit(asyncio.run(run(options)))


if __name__ == "__main__":
    main()
