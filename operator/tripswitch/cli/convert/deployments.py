"""Deployment manifests -> GuardedDeployment manifests, touching nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.api.tolerant import field, read_text
from tripswitch.cli.convert.deployment_notes import (
    describe_budget,
    describe_differences,
    describe_references,
)
from tripswitch.cli.convert.edits import NULL, Editor
from tripswitch.cli.convert.loading import to_value
from tripswitch.cli.convert.nodes import find, text_of
from tripswitch.cli.plain_yaml import PlainLoader

WRITTEN_BY_THE_SERVER = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
OF_THE_OLD_OBJECT = {
    "finalizers": "the controller that would remove them knows Deployments only",
    "ownerReferences": "the owner will make its Deployment again",
}
"""Metadata that is left out and told: it would be wrong on another object."""
ABOUT_DEPLOYMENTS = frozenset(
    {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}
)
"""Annotations that would be wrong on another kind."""

NULL_IN = {
    **dict.fromkeys(("annotations", "labels", "matchLabels", "nodeSelector"), '""'),
    **dict.fromkeys(("options", "volumeAttributes"), '""'),
    **dict.fromkeys(("limits", "requests"), '"0"'),
    **dict.fromkeys(("args", "command"), '""'),
}
"""Mappings of free names, and lists of text, in which the API keeps null, and as what: empty text, or zero."""

STRATEGY = "strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}"
STRATEGY_AS_JSON = '"strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}'
"""What a Deployment does that names no strategy."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The new text, what was converted, every object of the text, and what a person should know.

    The objects are plain values, as they were.
    """

    text: str
    deployments: tuple[Any, ...]
    objects: tuple[Any, ...]
    notes: tuple[str, ...]


def convert_manifests(text: str) -> Converted:
    """Return the text with its Deployments turned into GuardedDeployments.

    Raises:
        yaml.YAMLError: It is not YAML (a chart's template must be rendered first).
        RecursionError: It is nested too deeply.
    """
    editor = Editor(text)
    notes: list[str] = []
    deployments: list[Any] = []
    roots = [node for node in yaml.compose_all(text, Loader=PlainLoader) if node is not None]
    objects = [one for root in roots for one in _objects(root)]
    notes += [note for root in roots for note in _describe_bare_items(root)]
    for node in objects:
        if text_of(node, "kind") != "Deployment":
            continue
        name, version = text_of(node, "metadata", "name"), text_of(node, "apiVersion")
        if not version.startswith("apps/"):
            notes.append(f"Deployment/{name}: not converted: its apiVersion is {version!r}")
            continue
        deployment = to_value(node)
        deployments.append(deployment)
        told = list(_convert(editor, node, deployment))
        if not is_patch(deployment):
            told += describe_differences(deployment)
        notes += [f"Deployment/{name}: {note}" for note in told]
    values = tuple(to_value(node) for node in objects)
    return Converted(editor.apply(), tuple(deployments), values, tuple(notes))


def describe_neighbours(converted: Iterable[Converted]) -> Iterator[str]:
    """Yield what is worth knowing about objects that point at a Deployment, also one of another file."""
    texts = list(converted)
    deployments = [one for text in texts for one in text.deployments]
    names = frozenset(read_text(field(one, "metadata", "name")) for one in deployments)
    for other in (one for text in texts for one in text.objects):
        yield from describe_references(other, names)
        yield from describe_budget(other, deployments)


def _objects(root: Node) -> Iterator[MappingNode]:
    """Yield the objects of a document: itself, or the items of a List, which may hold further Lists."""
    if not isinstance(root, MappingNode):
        return
    items = find(root, "items")
    if text_of(root, "kind").endswith("List") and isinstance(items, SequenceNode):
        for item in items.value:
            yield from _objects(item)
    else:
        yield root


def _describe_bare_items(root: Node) -> Iterator[str]:
    """Yield a note about Deployments as the API's own list has them: without a kind."""
    items = find(root, "items")
    if text_of(root, "kind") != "DeploymentList" or not isinstance(items, SequenceNode):
        return
    for item in items.value:
        if find(item, "kind") is None:
            yield (
                f"{text_of(item, 'metadata', 'name')} of a DeploymentList: not converted: it has no kind; "
                "take what kubectl get deployments -o yaml prints"
            )


def is_patch(deployment: Any) -> bool:
    """Return whether a manifest is a part of a Deployment, which is merged into another one.

    Null deletes a field there, and what is not given is not changed. The API refuses a Deployment without a selector.
    """
    return field(deployment, "spec", "selector") is None


def _convert(editor: Editor, node: MappingNode, deployment: Any) -> Iterator[str]:
    """Change one Deployment; yield notes about what was left out or added."""
    for name, value in (("apiVersion", API_VERSION), ("kind", KIND)):
        found = find(node, name)
        if isinstance(found, ScalarNode):
            editor.replace(found, value)
    if is_patch(deployment):
        yield "it has no selector, so it is a patch: only apiVersion and kind are changed"
        return
    _leave_out(editor, node, frozenset({"status"}))
    metadata, spec = find(node, "metadata"), find(node, "spec")
    if isinstance(metadata, MappingNode):
        _leave_out(editor, metadata, WRITTEN_BY_THE_SERVER | OF_THE_OLD_OBJECT.keys())
        _leave_out_annotations(editor, metadata)
        _leave_out_nulls(editor, metadata, set())
        for name, why in OF_THE_OLD_OBJECT.items():
            if find(metadata, name) is not None:
                yield f"left out: metadata.{name}: {why}"
    if isinstance(spec, MappingNode):
        _leave_out_nulls(editor, spec, set())
        if field(deployment, "spec", "strategy") is None:  # nor does a merge key (<<) bring one
            editor.insert_before(spec, STRATEGY, STRATEGY_AS_JSON)
            yield (
                "no strategy is given; the default of a Deployment is written into it (maxSurge "
                "25%, maxUnavailable 25%); the default of a GuardedDeployment would be "
                "minimumHealthyPercent 100, maximumPercent 200"
            )


def _leave_out(editor: Editor, mapping: MappingNode, names: frozenset[str]) -> None:
    for index, (key, _) in enumerate(mapping.value):
        if isinstance(key, ScalarNode) and key.value in names:
            editor.cut(mapping, index)


def _leave_out_annotations(editor: Editor, metadata: MappingNode) -> None:
    annotations = find(metadata, "annotations")
    if not isinstance(annotations, MappingNode):
        return
    keys = [key.value for key, _ in annotations.value if isinstance(key, ScalarNode)]
    if set(keys) <= ABOUT_DEPLOYMENTS and len(keys) == len(annotations.value):
        _leave_out(editor, metadata, frozenset({"annotations"}))
    else:
        _leave_out(editor, annotations, ABOUT_DEPLOYMENTS)


def _leave_out_nulls(editor: Editor, node: Node, seen: set[int], instead: str = "") -> None:
    """A Deployment takes null for "not given", or for the empty value of a name that somebody chose.

    A custom resource's schema takes it for neither.

    Args:
        editor: Gets the changes.
        node: Where to look.
        seen: Nodes that need no look any more.
        instead: What to write for null; empty to leave its key out.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        for index, (key, value) in enumerate(node.value):
            if value.tag == NULL and instead:
                editor.fill(node, index, instead)
            elif value.tag == NULL:
                editor.cut(node, index)
            elif isinstance(key, ScalarNode):
                inner = instead if key.value == "<<" else NULL_IN.get(key.value, "")
                _leave_out_nulls(editor, value, seen, inner)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            if value.tag == NULL and instead:
                editor.fill_item(value, instead)
            else:
                _leave_out_nulls(editor, value, seen)
