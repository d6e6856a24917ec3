"""The flags of ``tripswitch-operator``, as click declares them; :mod:`tripswitch.shell.options` reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypedDict
from urllib.parse import urlsplit

import click

from tripswitch.cluster.alarms_client import NAMESPACE_LABEL
from tripswitch.cluster.leader_election.rules import Terms

SECRET = "TRIPSWITCH_NOTIFY_SECRET"  # noqa: S105 - the name of a variable
"""Environment variable with the key of the signature: command lines are read by everybody."""

NAMESPACE = "tripswitch-system"
NAME = "tripswitch"
TERMS = Terms()


class Flags(TypedDict):
    """The flags as click hands them to the command."""

    namespaces: tuple[str, ...]
    kubeconfig: str | None
    log_level: str
    log_format: str
    workers: int
    health_port: int
    log_evidence: bool
    notify_url: str | None
    guard_workloads: str
    check_references: bool | None
    alarms_url: str | None
    alarms_ca_file: str | None
    alarms_token_file: str | None
    alarms_namespace_label: str
    leader_elect: bool | None
    lease_namespace: str | None
    lease_name: str
    identity: str | None
    lease_duration: float
    lease_renew_deadline: float
    lease_retry_period: float


def _check_url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    parts = urlsplit(url or "http://none")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter("must be an http or https URL")
    return url


def _check_label(_: click.Context, __: click.Parameter, label: str) -> str:
    if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", label):
        raise click.BadParameter("must be a label name of Prometheus")
    return label


_FLAGS = (
    click.option(
        "--namespace",
        "-n",
        "namespaces",
        multiple=True,
        metavar="NAME",
        help="Namespace to work in; may be given several times. Default: all.",
    ),
    click.option(
        "--kubeconfig",
        metavar="FILE",
        help="How to reach the API server. Default: $KUBECONFIG, else the pod's service account, else ~/.kube/config.",
    ),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        help="Lowest level that is logged.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Format of the log: text for people, json for log collectors.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=8,
        show_default=True,
        help="How many objects are reconciled at the same time.",
    ),
    click.option(
        "--health-port",
        type=click.IntRange(0, 65535),
        default=8080,
        show_default=True,
        help="Port of /healthz, /readyz and /metrics; 0: none.",
    ),
    click.option(
        "--log-evidence",
        type=bool,
        default=True,
        show_default=True,
        metavar="BOOL",
        help="Whether the end of a failing container's log is put into the status.",
    ),
    click.option(
        "--notify-url",
        metavar="URL",
        envvar="TRIPSWITCH_NOTIFY_URL",
        callback=_check_url,
        help="Send a CloudEvent to this address when a rollout starts, completes, fails or is rolled "
        f"back; signed with the key in ${SECRET}, if there is one. Also: $TRIPSWITCH_NOTIFY_URL.",
    ),
    click.option(
        "--guard-workloads",
        type=click.Choice(["off", "observe", "enforce"]),
        default="enforce",
        show_default=True,
        help="Circuit breakers for existing Deployments and StatefulSets. off: they are not looked at. "
        "observe: every DeploymentCircuitBreaker only reports, also where its mode is Enforce. enforce: as its mode "
        "says.",
    ),
    click.option(
        "--check-references",
        type=bool,
        default=None,
        metavar="BOOL",
        help="Whether to look up if the ConfigMaps and the ServiceAccount of the revision that a rollback "
        "would go back to are there; needs the right to list them. Default: true, with --namespace false.",
    ),
    click.option(
        "--alarms-url",
        metavar="URL",
        envvar="TRIPSWITCH_ALARMS_URL",
        callback=_check_url,
        help="Address of Prometheus, or of a server with the same API, without /api/v1. `alarms` of a "
        "GuardedDeployment or DeploymentCircuitBreaker names its alerting rules. Also: $TRIPSWITCH_ALARMS_URL.",
    ),
    click.option(
        "--alarms-ca-file",
        metavar="FILE",
        help="PEM file of the certificate authorities to trust for --alarms-url, instead of the system's; read for "
        "each request.",
    ),
    click.option(
        "--alarms-token-file",
        metavar="FILE",
        help="File with the bearer token for --alarms-url; read for each request.",
    ),
    click.option(
        "--alarms-namespace-label",
        default=NAMESPACE_LABEL,
        show_default=True,
        metavar="NAME",
        callback=_check_label,
        help="Name of the alert label whose value is the workload's namespace. Alerts without it are ignored.",
    ),
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
        help="Name of this process in the Lease; a random suffix is added. Default: the host's name.",
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


def operator_flags(command: Callable[..., None]) -> Callable[..., Any]:
    """Add every flag of the operator to a command; :func:`tripswitch.shell.options.read_options` reads them."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command
