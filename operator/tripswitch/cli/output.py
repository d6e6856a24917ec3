"""Where the words go: a console for people, JSON and YAML for programs."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any

import click
from rich.console import Console

from tripswitch.api.times import format_short_time

WIDE = 4000
"""Lines that go to a file or a pipe are not folded."""

STEERING = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C1 control characters and bidirectional overrides: neither JSON nor YAML has to escape all of them."""


def make_console() -> Console:
    """Return a console on stdout: colours and folding on a terminal only, and no markup.

    ``NO_COLOR`` and ``TERM`` are honoured by rich itself.
    """
    terminal = sys.stdout.isatty()
    return Console(
        width=None if terminal else WIDE,
        force_terminal=terminal or None,
        color_system="auto" if terminal else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


def emit(value: Any, form: str) -> None:
    """Print a value as ``json`` or ``yaml``; characters that steer a terminal are escaped."""
    if form == "json":
        text = json.dumps(value, indent=2, ensure_ascii=False)
        click.echo(STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
        return
    from tripswitch.cli.plain_yaml import write  # noqa: PLC0415 - 0.1 s that only this form needs

    text = write(value, allow_unicode=True)
    if STEERING.search(text):
        text = write(value, allow_unicode=False)
    click.echo(text, nl=False)


def to_plain(value: Any) -> Any:
    """Return frozen values as plain ones in camelCase, times as RFC 3339, without what is empty."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            _camel(name): format_short_time(one) if name.endswith("_at") else to_plain(one)
            for name, one in found.items()
            if one is not None
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): to_plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(one) for one in value]
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
