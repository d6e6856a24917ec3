"""Deployment manifests -> GuardedDeployment manifests, touching nothing else. Pure.

The text is not written anew: only the few places that change are cut out and replaced, at the marks
that the YAML parser gives. So comments, quotes, order, indentation and every other document stay as
they are, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from tripswitch.cluster.resources import API_VERSION, KIND

WRITTEN_BY_THE_SERVER = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
ABOUT_DEPLOYMENTS = frozenset(
    {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}
)
"""Annotations that would be wrong on another kind."""

NULL = "tag:yaml.org,2002:null"
Entry = tuple[ScalarNode, Node]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a stretch of the text, by character positions."""

    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Converted:
    """The new text, the names of what was converted, and what a person should know."""

    text: str
    names: tuple[str, ...]
    notes: tuple[str, ...]


def convert_manifests(text: str) -> Converted:
    """Return the text with its Deployments turned into GuardedDeployments.

    Raises:
        yaml.YAMLError: It is not YAML (a chart's template must be rendered first).
    """
    edits: list[Edit] = []
    names: list[str] = []
    notes: list[str] = []
    roots = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
    objects = [one for root in roots for one in _objects(root)]
    for node in objects:
        if _text(node, "kind") == "Deployment" and _text(node, "apiVersion").startswith("apps/"):
            name = _text(node, "metadata", "name")
            names.append(name)
            edits += _convert(text, node)
            notes += [f"Deployment/{name}: {note}" for note in _differences(node)]
    for node in objects:
        notes += _references(node, frozenset(names))
    return Converted(_apply(text, edits), tuple(names), tuple(notes))


def _objects(root: Node) -> Iterator[MappingNode]:
    """Yield the objects of a document: itself, or the items of a List."""
    if not isinstance(root, MappingNode):
        return
    items = _find(root, "items")
    if _text(root, "kind").endswith("List") and isinstance(items, SequenceNode):
        yield from (item for item in items.value if isinstance(item, MappingNode))
    else:
        yield root


def _convert(text: str, node: MappingNode) -> Iterator[Edit]:
    for name, value in (("apiVersion", API_VERSION), ("kind", KIND)):
        found = _find(node, name)
        assert found is not None
        quote = '"' if text[found.start_mark.index] == '"' else ""
        yield Edit(found.start_mark.index, found.end_mark.index, f"{quote}{value}{quote}")
    yield from _leave_out(text, node, {"status"})
    metadata, spec = _find(node, "metadata"), _find(node, "spec")
    if isinstance(metadata, MappingNode):
        yield from _leave_out(text, metadata, WRITTEN_BY_THE_SERVER)
        annotations = _find(metadata, "annotations")
        if isinstance(annotations, MappingNode):
            if {key.value for key, _ in annotations.value} <= ABOUT_DEPLOYMENTS:
                yield from _leave_out(text, metadata, {"annotations"})
            else:
                yield from _leave_out(text, annotations, ABOUT_DEPLOYMENTS)
    if spec is not None:
        yield from _leave_out_nulls(text, spec)


def _leave_out(text: str, mapping: MappingNode, names: set[str] | frozenset[str]) -> Iterator[Edit]:
    for index, (key, _) in enumerate(mapping.value):
        if key.value in names:
            yield _cut(text, mapping, index)


def _leave_out_nulls(text: str, node: Node) -> Iterator[Edit]:
    """A Deployment takes null for "not given"; a custom resource's schema does not."""
    if isinstance(node, MappingNode):
        for index, (_, value) in enumerate(node.value):
            if value.tag == NULL:
                yield _cut(text, node, index)
            else:
                yield from _leave_out_nulls(text, value)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _leave_out_nulls(text, value)


def _cut(text: str, mapping: MappingNode, index: int) -> Edit:
    """Return the edit that takes an entry out of a mapping."""
    entries: list[Entry] = mapping.value
    key, value = entries[index]
    start, end = key.start_mark.index, _end(value, key)
    if mapping.flow_style:
        if index + 1 < len(entries):
            return Edit(start, entries[index + 1][0].start_mark.index)
        return Edit(_end(entries[index - 1][1], key) if index else start, end)
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():  # the first entry of an item of a list: "- name: x"
        if index + 1 < len(entries):
            return Edit(start, entries[index + 1][0].start_mark.index)
        return Edit(start, end, "{}")
    after = text.find("\n", max(start, end - 1))
    alone = "{}" if len(entries) == 1 else ""
    stop = len(text) if after < 0 else after + 1
    return Edit(line, stop, f"{text[line:start]}{alone}\n" if alone else "")


def _end(value: Node, key: Node) -> int:
    """Return where a value ends: where its last leaf does, not where the next token begins."""
    if value.tag == NULL and value.start_mark.index == value.end_mark.index:
        return key.end_mark.index + 1
    if isinstance(value, MappingNode) and value.value and not value.flow_style:
        last_key, last_value = value.value[-1]
        return _end(last_value, last_key)
    if isinstance(value, SequenceNode) and value.value and not value.flow_style:
        return _end(value.value[-1], value.value[-1])
    return int(value.end_mark.index)


def _apply(text: str, edits: list[Edit]) -> str:
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start < at:
            continue  # inside what was cut out already
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def _differences(node: MappingNode) -> Iterator[str]:
    """What the same fields do differently, where the manifest does not say."""
    spec = _find(node, "spec")
    if not isinstance(spec, MappingNode):
        return
    if _find(spec, "strategy") is None:
        yield (
            "no strategy is given; a Deployment would use maxSurge 25%, maxUnavailable 25%, a "
            "GuardedDeployment uses minimumHealthyPercent 100, maximumPercent 200"
        )
    containers = _find(spec, "template", "spec", "containers")
    if not isinstance(containers, SequenceNode) or _find(spec, "minReadySeconds") is not None:
        return
    bare = [one for one in containers.value if _find(one, "readinessProbe") is None]
    if bare:
        names = ", ".join(_text(one, "name") for one in bare)
        yield (
            f"no readiness probe in container {names}: a pod counts as healthy after 40 s Ready; "
            "add a probe or set minReadySeconds"
        )


def _references(node: MappingNode, names: frozenset[str]) -> Iterator[str]:
    """Other objects that point at a Deployment that is none any more."""
    for path in (("spec", "scaleTargetRef"), ("spec", "targetRef"), ("spec", "workloadRef")):
        target = _find(node, *path)
        # KEDA's ScaledObject means a Deployment where it names no kind.
        if (
            isinstance(target, MappingNode)
            and (_text(target, "kind") or "Deployment") == "Deployment"
            and _text(target, "name") in names
        ):
            yield (
                f"{_text(node, 'kind')}/{_text(node, 'metadata', 'name')}: its {path[-1]} is the "
                f"Deployment {_text(target, 'name')}; make it apiVersion {API_VERSION}, kind {KIND}"
            )


def _find(node: Node | None, *path: str) -> Node | None:
    for name in path:
        if not isinstance(node, MappingNode):
            return None
        node = next((value for key, value in node.value if key.value == name), None)
    return node


def _text(node: Node, *path: str) -> str:
    found = _find(node, *path)
    return str(found.value) if isinstance(found, ScalarNode) else ""
