"""YAML and JSON as the values that JSON has: dates are text, and so is a number that is none.

Others read the same files: kubectl is written in Go, serverless in JavaScript. What they take is read here,
too, and what is written here means the same to them.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

MOST = 2**63
"""Larger numbers stay text: no field holds them."""

AMBIGUOUS = re.compile(
    r"(?:[yYnN]"
    r"|[-+]?_*0_*[oO][0-7_]+"
    r"|[-+]?_*0_*[xX][0-9a-fA-F_]+"
    r"|[-+]?_*0_*[bB][-+]?[01_]+"
    r"|[-+]?(?:_*\.[0-9_]+|_*[0-9][0-9_]*(?:\.[0-9_]*)?)(?:_*[eE]_*[-+]?[0-9_]+)?)$"
)
"""Text that other readers of YAML take for a number or a switch where it has no quotes: ``y``, ``1e3``, ``089``.

Python's reader follows YAML 1.1 to the letter; kubectl's takes the words of YAML 1.1 and the numbers of YAML 1.2.
"""
AMBIGUOUS_STARTS = list("yYnN-+.0123456789")
AMBIGUOUS_TAG = "tag:tripswitch.dev,2026:ambiguous"


class PlainLoader(yaml.SafeLoader):
    """Reads dates and numbers that cannot be one as text; refuses what JSON has no value for."""

    def scan_to_next_token(self) -> None:
        """Skip what separates tokens: also tabs, where indentation does not depend on them."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()

    def scan_flow_scalar(self, style: str) -> yaml.ScalarToken:
        """Read text in quotes; JSON writes characters such as emojis as two halves."""
        token = super().scan_flow_scalar(style)
        text: str = token.value
        token.value = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return token


class PlainDumper(yaml.SafeDumper):
    """Puts text into quotes that any reader of YAML takes for something else; uses no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: equal values are written twice instead of by reference."""
        del data
        return True


PlainDumper.add_implicit_resolver(AMBIGUOUS_TAG, AMBIGUOUS, AMBIGUOUS_STARTS)


def load_plain(text: str) -> list[Any]:
    """Return the documents of a text.

    Raises:
        yaml.YAMLError: It is not YAML, or nested too deeply.
    """
    try:
        return list(yaml.load_all(text, Loader=PlainLoader))
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error


def write(value: Any, *, allow_unicode: bool, width: int = 80) -> str:
    """Return a value as YAML that means the same to every reader."""
    written: str = yaml.dump(
        value, Dumper=PlainDumper, sort_keys=False, allow_unicode=allow_unicode, width=width
    )
    return written


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
