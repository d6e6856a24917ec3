"""YAML and JSON with CloudFormation's short functions, as plain values. Pure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from tripswitch.cli.convert.values import Computed

MOST = 2**63
"""Larger numbers stay text: no field holds them."""


class Loader(yaml.SafeLoader):
    """Reads ``!Ref X`` as a computed value, and a number or date that cannot be one as text."""


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


def _construct_function(loader: Loader, suffix: str, node: yaml.Node) -> Computed:
    if isinstance(node, yaml.MappingNode):
        return Computed(suffix, loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Computed(suffix, loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.ScalarNode)
    return Computed(suffix, loader.construct_scalar(node))


def _construct_number(loader: Loader, node: yaml.ScalarNode) -> Any:
    whole = node.tag.endswith(":int")
    construct = (
        SafeConstructor.construct_yaml_int if whole else SafeConstructor.construct_yaml_float
    )
    text = str(loader.construct_scalar(node))
    try:
        number: int | float = construct(loader, node)
    except (ValueError, IndexError):
        return text
    return number if abs(number) < MOST else text


def _construct_switch(loader: Loader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node))
    return SafeConstructor.bool_values.get(text.lower(), text)


def _construct_text(loader: Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


Loader.add_multi_constructor("!", _construct_function)
Loader.add_constructor("tag:yaml.org,2002:int", _construct_number)
Loader.add_constructor("tag:yaml.org,2002:float", _construct_number)
Loader.add_constructor("tag:yaml.org,2002:bool", _construct_switch)
Loader.add_constructor("tag:yaml.org,2002:timestamp", _construct_text)
