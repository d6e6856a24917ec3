"""Looking into YAML nodes. Pure, and tolerant of any shape."""

from __future__ import annotations

from yaml import MappingNode, Node, ScalarNode


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
