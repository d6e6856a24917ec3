"""Changes of a YAML text at the marks that its parser gives, and nowhere else. Pure.

Comments, quotes, order and indentation of everything else stay as they are, byte for byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from yaml import MappingNode, Node, ScalarNode, SequenceNode

NULL = "tag:yaml.org,2002:null"
ALIAS = re.compile(r"[\s:-]*\*[^\s,\[\]{}]+")
COLON = re.compile(r"\s*:")
Entry = tuple[Node, Node]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a stretch of the text, by character positions."""

    start: int
    end: int
    text: str = ""


@dataclass(slots=True)
class Editor:
    """Collects changes of one text, so that neighbours do not get in each other's way."""

    text: str
    edits: dict[tuple[int, int], Edit] = field(default_factory=dict)
    cuts: dict[int, tuple[MappingNode, set[int]]] = field(default_factory=dict)

    def replace(self, node: ScalarNode, text: str) -> None:
        """Write another text in place of a scalar, quoted if it was."""
        start, end = node.start_mark.index, node.end_mark.index
        quote = '"' if self.text[start] == '"' else ""
        self._add(Edit(start, end, f"{quote}{text}{quote}"))

    def fill(self, mapping: MappingNode, index: int, text: str) -> None:
        """Write a value where a mapping has null: ``~``, or nothing at all behind the key."""
        key, value = mapping.value[index]
        start, end = value.start_mark.index, value.end_mark.index
        if start < end:
            self._add(Edit(start, end, text))
            return
        colon = COLON.match(self.text, key.end_mark.index)
        at = colon.end() if colon else key.end_mark.index
        self._add(Edit(at, at, f" {text}" if colon else f": {text}"))

    def fill_item(self, item: Node, text: str) -> None:
        """Write a value where a list has null: ``~``, or nothing at all behind the hyphen."""
        start, end = item.start_mark.index, item.end_mark.index
        self._add(Edit(start, end, text if start < end else f" {text}"))

    def cut(self, mapping: MappingNode, index: int) -> None:
        """Take an entry out of a mapping."""
        self.cuts.setdefault(id(mapping), (mapping, set()))[1].add(index)

    def insert_before(self, mapping: MappingNode, block: str, flow: str) -> None:
        """Add an entry in front of the first one that stays; does nothing if none does.

        Args:
            mapping: Where to add it.
            block: The entry as one line.
            flow: The entry for a mapping in braces, as JSON.
        """
        gone = self.cuts.get(id(mapping), (mapping, set()))[1]
        kept = [key for index, (key, _) in enumerate(mapping.value) if index not in gone]
        if not kept:
            return
        at, column = kept[0].start_mark.index, kept[0].start_mark.column
        text = f"{flow}, " if mapping.flow_style else f"{block}\n{' ' * column}"
        self._add(Edit(at, at, text))

    def apply(self) -> str:
        """Return the changed text."""
        for mapping, indexes in self.cuts.values():
            for edit in self._cut(mapping, sorted(indexes)):
                self._add(edit)
        parts, at = [], 0
        for edit in sorted(self.edits.values(), key=lambda edit: (edit.start, -edit.end)):
            if edit.start < at:
                continue  # inside what was cut out already
            parts += [self.text[at : edit.start], edit.text]
            at = edit.end
        return "".join([*parts, self.text[at:]])

    def _add(self, edit: Edit) -> None:
        self.edits[edit.start, edit.end] = edit

    def _cut(self, mapping: MappingNode, indexes: list[int]) -> list[Edit]:
        entries: list[Entry] = mapping.value
        if len(indexes) == len(entries):
            return [Edit(*self._extent(mapping), "{}")]
        first = entries[0][0].start_mark.index
        line = self.text.rfind("\n", 0, first) + 1
        if mapping.flow_style:
            return [self._cut_run(entries, run) for run in _runs(indexes)]
        edits = []
        for run in _runs(indexes):
            if run[0] == 0 and self.text[line:first].strip():
                # The first entry of a list's item, "- name: x": the next one takes its place.
                edits.append(Edit(first, entries[run[-1] + 1][0].start_mark.index))
            else:
                edits += [self._cut_lines(*entries[index]) for index in run]
        return edits

    def _cut_run(self, entries: list[Entry], run: list[int]) -> Edit:
        """Cut neighbours out of braces, with the commas that they need."""
        if run[-1] + 1 < len(entries):
            start = entries[run[0]][0].start_mark.index
            return Edit(start, entries[run[-1] + 1][0].start_mark.index)
        return Edit(self._end(*entries[run[0] - 1]), self._end(*entries[run[-1]]))

    def _cut_lines(self, key: Node, value: Node) -> Edit:
        start = key.start_mark.index
        line = self.text.rfind("\n", 0, start) + 1
        after = self.text.find("\n", max(start, self._end(key, value) - 1))
        return Edit(line, len(self.text) if after < 0 else after + 1)

    def _extent(self, mapping: MappingNode) -> tuple[int, int]:
        """Return where a mapping begins and ends without what follows its last entry."""
        if mapping.flow_style:
            return mapping.start_mark.index, mapping.end_mark.index
        return mapping.value[0][0].start_mark.index, self._end(*mapping.value[-1])

    def _end(self, key: Node, value: Node) -> int:
        return self._end_of(value, int(key.end_mark.index))

    def _end_of(self, value: Node, after: int) -> int:
        """Return where a value ends: where its last leaf does, not where the next token begins.

        Args:
            value: The value.
            after: Where its key ends, or the item in front of it.
        """
        start, end = int(value.start_mark.index), int(value.end_mark.index)
        if start < after:  # an alias of something further up
            found = ALIAS.match(self.text, after)
            return found.end() if found else after
        if value.tag == NULL and start == end:
            return after + 1
        if isinstance(value, MappingNode) and value.value and not value.flow_style:
            return self._end(*value.value[-1])
        if isinstance(value, SequenceNode) and value.value and not value.flow_style:
            at = start
            for item in value.value:
                at = self._end_of(item, at)
            return at
        return end


def _runs(indexes: list[int]) -> list[list[int]]:
    """Return neighbours together.

    >>> _runs([0, 1, 3])
    [[0, 1], [3]]
    """
    found: list[list[int]] = []
    for index in indexes:
        if found and found[-1][-1] == index - 1:
            found[-1].append(index)
        else:
            found.append([index])
    return found
