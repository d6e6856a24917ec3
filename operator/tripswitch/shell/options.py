"""What the flags of ``tripswitch-operator`` and the environment say, as one typed :class:`Options`."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tripswitch.cluster.alarms_client import Source
from tripswitch.cluster.leader_election.lease import Candidacy
from tripswitch.cluster.leader_election.rules import Terms
from tripswitch.cluster.notify import Target, check_key
from tripswitch.domain.values.protection import Mode
from tripswitch.shell.flags import NAMESPACE, SECRET, Flags

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_GUARDING = {"off": None, "observe": Mode.OBSERVE, "enforce": Mode.ENFORCE}


@dataclass(frozen=True, slots=True)
class Options:
    """What the process is to do. No ``namespaces`` means all; no ``candidacy``, no Lease.

    ``check_references``: whether ConfigMaps and ServiceAccounts are listed (B9).
    ``guard_workloads`` is the mode that DeploymentCircuitBreakers may have at most: with OBSERVE each of
    them observes. None: they are not watched.
    """

    namespaces: Sequence[str] = ()
    kubeconfig: str | None = None
    workers: int = 8
    health_port: int = 8080
    log_evidence: bool = True
    notify: Target | None = None
    candidacy: Candidacy | None = None
    log_level: str = "info"
    log_format: str = "text"
    guard_workloads: Mode | None = Mode.ENFORCE
    alarms: Source | None = None
    check_references: bool = True


def read_options(
    flags: Flags,
    environment: Mapping[str, str] = os.environ,
    namespace_file: Path = NAMESPACE_FILE,
) -> Options:
    """Return what the flags, the environment and the pod say together.

    Raises:
        click.UsageError: The terms of the Lease are not safe together, or the key of the signature
            is not one.
    """
    url = flags["notify_url"]
    return Options(
        namespaces=flags["namespaces"],
        kubeconfig=flags["kubeconfig"],
        workers=flags["workers"],
        health_port=flags["health_port"],
        log_evidence=flags["log_evidence"],
        notify=Target(url, _read_key(environment)) if url else None,
        candidacy=_read_candidacy(flags, environment, namespace_file),
        log_level=flags["log_level"],
        log_format=flags["log_format"],
        guard_workloads=_GUARDING[flags["guard_workloads"]],
        alarms=_read_source(flags),
        check_references=_read_check(flags),
    )


def _read_check(flags: Flags) -> bool:
    """Return whether what a rollback needs is looked up; in listed namespaces only if that is asked for."""
    wanted = flags["check_references"]
    return not flags["namespaces"] if wanted is None else wanted


def _read_source(flags: Flags) -> Source | None:
    """Return where alarms are read from; None: they are not set up."""
    url, ca_file, token_file = (
        flags["alarms_url"],
        flags["alarms_ca_file"],
        flags["alarms_token_file"],
    )
    if url:
        return Source(url, ca_file, token_file, flags["alarms_namespace_label"])
    if ca_file or token_file:
        raise click.UsageError("--alarms-ca-file and --alarms-token-file need --alarms-url")
    return None


def _read_candidacy(
    flags: Flags, environment: Mapping[str, str], namespace_file: Path
) -> Candidacy | None:
    """Return which Lease to contend for; None if this process works without one."""
    wanted = flags["leader_elect"]
    if wanted is None:
        wanted = "KUBERNETES_SERVICE_HOST" in environment
    if not wanted:
        return None
    try:
        terms = Terms(
            flags["lease_duration"], flags["lease_renew_deadline"], flags["lease_retry_period"]
        )
    except ValueError as error:
        raise click.UsageError(f"lease: {error}") from error
    name = flags["identity"] or socket.gethostname()
    return Candidacy(
        namespace=flags["lease_namespace"] or _read_namespace(namespace_file),
        name=flags["lease_name"],
        # A container that was started again has its pod's name, but nothing of what it knew.
        identity=f"{name}_{secrets.token_hex(4)}",
        terms=terms,
    )


def _read_namespace(file: Path) -> str:
    try:
        return file.read_text().strip() or NAMESPACE
    except OSError:
        return NAMESPACE


def _read_key(environment: Mapping[str, str]) -> str:
    key = environment.get(SECRET, "")
    try:
        return check_key(key) if key else ""
    except ValueError as error:
        raise click.UsageError(
            f"${SECRET} cannot sign notifications: {error}. "
            'Make a key with: echo "whsec_$(openssl rand -base64 32)"'
        ) from error
