"""YAML and JSON with CloudFormation's short functions, as plain values. Pure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import yaml

from tripswitch.cli.convert.values import Computed, Written, to_text
from tripswitch.cli.plain_yaml import (
    AMBIGUOUS,
    AMBIGUOUS_STARTS,
    AMBIGUOUS_TAG,
    PlainLoader,
    construct_number,
    construct_switch,
    construct_text,
)


class Loader(PlainLoader):
    """Reads ``!Ref X`` as a computed value, and tells text from what other readers make of it."""


def load_documents(text: str) -> list[Any]:
    """Return the documents of a text.

    Raises:
        yaml.YAMLError: It is not YAML.
        RecursionError: It is nested too deeply.
    """
    return list(yaml.load_all(text, Loader=Loader))


def to_value(node: yaml.Node) -> Any:
    """Return the value of a node that was composed.

    Raises:
        yaml.YAMLError: It has none, such as a mapping with a list for a key.
    """
    return Loader("").construct_document(deepcopy(node))  # it writes merge keys out in place


def describe_repeated_keys(text: str) -> list[str]:
    """Return a line about each key that a mapping of a text has more than once.

    Raises:
        yaml.YAMLError: It is not YAML.
        RecursionError: It is nested too deeply.
    """
    found: list[str] = []
    seen: set[int] = set()

    def look(node: yaml.Node | None) -> None:
        if node is None or isinstance(node, yaml.ScalarNode) or id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for one in node.value:
                look(one)
            return
        names: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in names and name != "<<":
                line = key.start_mark.line + 1
                found.append(f"{name} of line {line} is given twice: the last one is taken")
            names.add(name)
            look(value)

    for root in yaml.compose_all(text, Loader=Loader):
        look(root)
    return found


def _construct_function(loader: Loader, suffix: str, node: yaml.Node) -> Computed:
    if isinstance(node, yaml.MappingNode):
        return Computed(suffix, loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Computed(suffix, loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.ScalarNode)
    return Computed(suffix, loader.construct_scalar(node))


def _construct_written(loader: Loader, node: yaml.ScalarNode) -> Any:
    """Return a number or a switch; as ``Written`` where the text does not say the same."""
    construct = construct_switch if node.tag.endswith(":bool") else construct_number
    value, text = construct(loader, node), str(loader.construct_scalar(node))
    same = text.lower() if isinstance(value, bool) else text
    return value if to_text(value) == same else Written(text, value)


def _construct_ambiguous(loader: Loader, node: yaml.ScalarNode) -> Written:
    text = construct_text(loader, node)
    return Written(text, text)


def _construct_other(loader: Loader, node: yaml.Node) -> Computed:
    return _construct_function(loader, node.tag.rpartition(":")[2], node)


Loader.add_multi_constructor("!", _construct_function)
for _name in ("binary", "omap", "pairs", "set"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _construct_other)
for _name in ("int", "float", "bool"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _construct_written)
Loader.add_implicit_resolver(AMBIGUOUS_TAG, AMBIGUOUS, AMBIGUOUS_STARTS)
Loader.add_constructor(AMBIGUOUS_TAG, _construct_ambiguous)
