"""What the command line and the environment say about evidence and notifications."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from tripswitch.cluster.notify import Target

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
    """Return what the options say, as fields of the process's options."""
    url = given["notify_url"]
    return {
        "log_evidence": given["log_evidence"],
        "notify": Target(url, os.environ.get(SECRET, "")) if url else None,
    }
