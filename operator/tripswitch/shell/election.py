"""What the command line, the environment and the pod say about leader election."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from tripswitch.cluster.election import Terms
from tripswitch.cluster.lease import Candidacy

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
NAMESPACE = "tripswitch-system"
NAME = "tripswitch"
TERMS = Terms()

_OPTIONS = (
    click.option(
        "--leader-elect/--no-leader-elect",
        default=None,
        help="Whether to work only while holding a Lease, so that several replicas can run. "
        "Default: in a pod yes, else no.",
    ),
    click.option(
        "--lease-namespace",
        metavar="NAME",
        help=f"Namespace of the Lease. Default: the pod's own, else {NAMESPACE}.",
    ),
    click.option(
        "--lease-name", default=NAME, show_default=True, metavar="NAME", help="Name of the Lease."
    ),
    click.option(
        "--identity",
        metavar="NAME",
        help="Who holds the Lease; something random is added. Default: the host's name.",
    ),
    click.option(
        "--lease-duration",
        type=click.FloatRange(min=1),
        default=TERMS.duration,
        show_default=True,
        help="Seconds after which an unchanged Lease may be taken by another replica.",
    ),
    click.option(
        "--lease-renew-deadline",
        type=click.FloatRange(min=0.1),
        default=TERMS.renew_deadline,
        show_default=True,
        help="Seconds after which a leader that could not renew stops.",
    ),
    click.option(
        "--lease-retry-period",
        type=click.FloatRange(min=0.05),
        default=TERMS.retry_period,
        show_default=True,
        help="Seconds between two renewals.",
    ),
)


def election_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of leader election to a command; :func:`read_candidacy` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_candidacy(
    options: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> Candidacy | None:
    """Return what to run for, None if this process is to work without a Lease.

    Raises:
        click.UsageError: The terms are not safe together.
    """
    wanted = options["leader_elect"]
    if wanted is None:
        wanted = "KUBERNETES_SERVICE_HOST" in environment
    if not wanted:
        return None
    try:
        terms = Terms(
            options["lease_duration"],
            options["lease_renew_deadline"],
            options["lease_retry_period"],
        )
    except ValueError as error:
        raise click.UsageError(f"lease: {error}") from error
    name = options["identity"] or socket.gethostname()
    return Candidacy(
        namespace=options["lease_namespace"] or _own_namespace(),
        name=options["lease_name"],
        # A container that was started again has its pod's name, but nothing of what it knew.
        identity=f"{name}_{secrets.token_hex(4)}",
        terms=terms,
    )


def _own_namespace() -> str:
    try:
        return NAMESPACE_FILE.read_text().strip() or NAMESPACE
    except OSError:
        return NAMESPACE
