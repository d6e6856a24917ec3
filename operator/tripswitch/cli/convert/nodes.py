"""Looking into YAML nodes. Pure, and tolerant of any shape."""

from __future__ import annotations

from collections.abc import Iterator

from yaml import MappingNode, Node, ScalarNode, SequenceNode


def find(node: Node | None, *path: str) -> Node | None:
    """Return what stands at a path of keys; None if there is nothing."""
    for name in path:
        if not isinstance(node, MappingNode):
            return None
        node = next((value for key, value in node.value if key.value == name), None)
    return node


def text_of(node: Node | None, *path: str) -> str:
    """Return the scalar at a path as text; empty if there is none."""
    found = find(node, *path)
    return str(found.value) if isinstance(found, ScalarNode) else ""


def items_of(node: Node | None, *path: str) -> Iterator[MappingNode]:
    """Yield the mappings of the list at a path."""
    found = find(node, *path)
    if isinstance(found, SequenceNode):
        yield from (item for item in found.value if isinstance(item, MappingNode))


def number_of(node: Node | None, *path: str) -> int | None:
    """Return the number at a path; None if there is none."""
    text = text_of(node, *path)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
