"""The fields of ECS objects, and the notes about those that are not converted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tripswitch.cli.convert.values import (
    EMPTY,
    FILL_IN,
    Computed,
    Written,
    list_items,
    plain,
    show,
    to_text,
    unwrap,
)

WANTED = {int: "a number", bool: "true or false", str: "text"}
"""What a value should be, in a note about one that is something else."""


@dataclass(slots=True)
class Notes:
    """What a person should know, in the order in which it was found."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of the template's parameters."""
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Add a note as one line; one that is there already is not repeated."""
        line = "".join(one if one.isprintable() else "?" for one in " ".join(line.split()))
        if line not in self.lines:
            self.lines.append(line)

    def tell_condition(self, what: str, condition: str) -> None:
        """Tell that something is there under a condition only; an empty one is none."""
        if condition:
            self.tell(f"{what} is there only if {condition}: leave it out where that is not so")

    def fill_in(self, what: str, value: Any, wanted: str = "a number", target: str = "") -> None:
        """Tell that a value could not be taken, and what to fill in."""
        then = f"fill in {target}" if target else "fill it in"
        if not isinstance(value, Computed):
            self.tell(f"{what} is {show(value)!r}, which is not {wanted}: {then}")
            return
        default = self.defaults.get(str(value.argument)) if value.function == "Ref" else None
        known = "" if default in EMPTY else f" (by default {show(default)})"
        self.tell(f"{what} is '{value}'{known}, which is computed elsewhere: {then}")

    def read_text(self, what: str, value: Any) -> str:
        """Return a value where text is wanted, or ``FILL-IN`` with a note."""
        if isinstance(value, Computed | list | Mapping):
            self.fill_in(what, value, wanted="text")
            return FILL_IN
        if isinstance(value, Written):
            reads = f"YAML 1.1 reads as {show(value.meaning)}"
            if value.meaning == value:
                reads = "some readers of YAML take for a number or a switch"
            self.tell(
                f"{what} is {value} without quotes, which {reads}: it is kept as it is written; check it"
            )
        return to_text(value)

    def read_number(self, what: str, value: Any) -> int | str:
        """Return a value where a number is wanted, or ``FILL-IN`` with a note."""
        number = plain(value)
        if isinstance(number, int) and not isinstance(number, bool):
            return number
        self.fill_in(what, value)
        return FILL_IN


class Fields:
    """The fields of one ECS object, by the API's names. What nobody took is told at the end."""

    def __init__(self, raw: Any, notes: Notes, of: str = "") -> None:
        """Take the fields of a mapping; CloudFormation's names begin with a capital letter."""
        pairs = raw.items() if isinstance(raw, Mapping) else ()
        self._raw = {str(name)[:1].lower() + str(name)[1:]: value for name, value in pairs}
        self._notes = notes
        self._of = f" of {of}" if of else ""

    def name(self, name: str) -> str:
        """Return a field's name as notes have it: ``image of container web``."""
        return f"{name}{self._of}"

    @property
    def rest(self) -> dict[str, Any]:
        """The fields that nobody took, by the API's names."""
        return dict(self._raw)

    def look(self, name: str) -> Any:
        """Return a field without taking it; None if it is not there."""
        return self._raw.get(name)

    def take(self, name: str) -> Any:
        """Return a field, which counts as converted from now on; None if it is not there."""
        value, condition = unwrap(self._raw.pop(name, None))
        self._notes.tell_condition(self.name(name), condition)
        return value

    def take_items(self, name: str) -> list[tuple[str, Any]]:
        """Return the items of a list and what each is called in notes; takes the field."""
        found = []
        for index, (item, condition) in enumerate(list_items(self.take(name)), 1):
            what = f"{name} {index}{self._of}"
            self._notes.tell_condition(what, condition)
            found.append((what, item))
        return found

    def take_texts(self, name: str) -> list[str]:
        """Return a list of words; takes the field."""
        return [self._notes.read_text(what, item) for what, item in self.take_items(name)]

    def take_number(self, name: str, default: int | None = None) -> int | str | None:
        """Return a number, ``FILL-IN`` with a note, or the default; takes the field."""
        value = self.take(name)
        return default if value in EMPTY else self._notes.read_number(self.name(name), value)

    def copy(
        self, name: str, into: dict[str, Any], *, as_name: str = "", wanted: type = int
    ) -> None:
        """Copy a plain value of the wanted type; any other is told instead. Takes the field."""
        value = plain(self.take(name))
        if type(value) is wanted:
            into[as_name or name] = value
        elif value not in EMPTY:
            self._notes.fill_in(name, value, WANTED[wanted], target=as_name or name)

    def leave_out(self, names: Iterable[str]) -> None:
        """Leave out fields that set nothing."""
        for name in names:
            self._raw.pop(name, None)

    def tell_rest(
        self, instead: Mapping[str, str], default: str, harmless: Mapping[str, Any]
    ) -> None:
        """Tell each field that nobody took, with what serves instead.

        Args:
            instead: What serves instead, by field.
            default: The same, for every other field.
            harmless: Values that set nothing, by field.
        """
        for name, value in self._raw.items():
            if value in EMPTY or (name in harmless and harmless[name] == plain(value)):
                continue
            self._notes.tell(f"not converted: {self.name(name)}: {instead.get(name, default)}")


def open_fields(raw: Any, name: str, notes: Notes, of: str = "") -> Fields:
    """Return the fields of what should be a mapping; anything else is told."""
    if raw not in EMPTY and not isinstance(raw, Mapping):
        notes.fill_in(name, raw, "a mapping")
    return Fields(raw, notes, of)
