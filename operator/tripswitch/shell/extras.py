"""What the command line and the environment say about evidence and notifications."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from tripswitch.cluster.notify import Target, check_key

SECRET = "TRIPSWITCH_NOTIFY_SECRET"  # noqa: S105 - the name of a variable
"""Environment variable with the key of the signature: command lines are read by everybody."""


def _check_url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    parts = urlsplit(url or "http://none")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter("must be an http or https URL")
    return url


_OPTIONS = (
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
)


def extra_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of this module to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_extras(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the options say, as fields of the process's options.

    Raises:
        click.UsageError: The key of the signature is not one.
    """
    url = given["notify_url"]
    return {
        "log_evidence": given["log_evidence"],
        "notify": Target(url, _read_key()) if url else None,
    }


def _read_key() -> str:
    key = os.environ.get(SECRET, "")
    try:
        return check_key(key) if key else ""
    except ValueError as error:
        raise click.UsageError(
            f"${SECRET} cannot sign notifications: {error}. "
            'Make a key with: echo "whsec_$(openssl rand -base64 32)"'
        ) from error
