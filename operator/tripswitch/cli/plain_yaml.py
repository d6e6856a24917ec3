"""YAML and JSON as the values that JSON has: dates are text, and so is a number that is none."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import SafeConstructor

MOST = 2**63
"""Larger numbers stay text: no field holds them."""


class PlainLoader(yaml.SafeLoader):
    """Reads dates and numbers that cannot be one as text; refuses what JSON has no value for."""


def load_plain(text: str) -> list[Any]:
    """Return the documents of a text.

    Raises:
        yaml.YAMLError: It is not YAML, or nested too deeply.
    """
    try:
        return list(yaml.load_all(text, Loader=PlainLoader))
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error


def construct_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    """Return a scalar as it is written."""
    return str(loader.construct_scalar(node))


def construct_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float | str:
    """Return a number, or the text where it is none or too large for any field."""
    whole = node.tag.endswith(":int")
    construct = (
        SafeConstructor.construct_yaml_int if whole else SafeConstructor.construct_yaml_float
    )
    text = construct_text(loader, node)
    try:
        number: int | float = construct(loader, node)
    except (ValueError, IndexError):
        return text
    return number if abs(number) < MOST else text


def construct_switch(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool | str:
    """Return true or false, or the text where it is neither."""
    text = construct_text(loader, node)
    return SafeConstructor.bool_values.get(text.lower(), text)


for _name, _construct in (
    ("int", construct_number),
    ("float", construct_number),
    ("bool", construct_switch),
    ("timestamp", construct_text),
    *((name, SafeConstructor.construct_undefined) for name in ("binary", "omap", "pairs", "set")),
):
    PlainLoader.add_constructor(f"tag:yaml.org,2002:{_name}", _construct)
