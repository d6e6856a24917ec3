"""Values of ECS files, and what can be told about them. Pure.

ECS files are written for tools that compute values (CloudFormation's ``!Ref``, serverless's
``${self:...}``). A computed value is never taken literally and never dropped: the result has
``FILL-IN`` in its place and a note that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

FILL_IN = "FILL-IN"
"""Stands where a value has to be filled in. No number and no image: the API server refuses it."""

EMPTY: tuple[Any, ...] = (None, [], {}, "")
"""Values that say nothing."""

NOT_THERE = "AWS::NoValue"
RESOLVED_LATER = re.compile(r"\{\{resolve:|^<[A-Z0-9_]+>$")
"""Text that is replaced later: dynamic references, and placeholders of build pipelines."""
SERVERLESS_VARIABLE = re.compile(r"\$\{")
MOST_SHOWN = 120


class Written(str):
    """Text without quotes that YAML 1.1 reads as something else: ``no``, ``0755``, ``12:30``, ``1.10``.

    Other readers, such as serverless's, take much of it for text, and read other text as something else:
    ``y``, ``1e3``, ``089``. Its meaning is the text then.
    """

    __slots__ = ("meaning",)
    meaning: Any

    def __new__(cls, text: str, meaning: Any) -> Self:
        """Return the text, with what YAML 1.1 reads."""
        made = super().__new__(cls, text)
        made.meaning = meaning
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """A value that another tool computes; ``function`` is empty for text with variables in it."""

    function: str
    argument: Any

    def __str__(self) -> str:
        """Return it in CloudFormation's short form: ``!Ref Port``."""
        argument = show(self.argument)
        return f"!{self.function} {argument}" if self.function else argument


def read_functions(value: Any, variable: re.Pattern[str] | None = None) -> Any:
    """Return a value with each computed part of it as ``Computed``.

    >>> str(read_functions({"Image": {"Fn::Sub": "web:${Tag}"}})["Image"])
    '!Sub web:${Tag}'

    Args:
        value: What YAML or JSON holds.
        variable: Marks computed text, where the file's format has variables in text.
    """
    known: dict[int, Any] = {}

    def read(one: Any) -> Any:
        if isinstance(one, str):
            later = RESOLVED_LATER.search(one) or (variable and variable.search(one))
            return Computed("", one) if later else one
        if id(one) in known:
            return known[id(one)]
        found = one
        if isinstance(one, Computed):
            found = Computed(one.function, read(one.argument))
        elif isinstance(one, Mapping):
            found = _read_mapping(one, read)
        elif isinstance(one, list):
            found = [read(each) for each in one]
        known[id(one)] = found
        return found

    return read(value)


def _read_mapping(value: Mapping[Any, Any], read: Callable[[Any], Any]) -> Any:
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" or str(name).startswith("Fn::"):
            return Computed(str(name).removeprefix("Fn::"), read(argument))
    return {to_text(name): read(one) for name, one in value.items()}


def show(value: Any, depth: int = 3) -> str:
    """Return a value in one short line.

    >>> show({"Ref": ["a", True, None]})
    '{Ref: [a, true, null]}'
    """
    if isinstance(value, Mapping):
        parts = [f"{name}: {show(one, depth - 1)}" for name, one in list(value.items())[:depth]]
        text = f"{{{', '.join(parts)}}}"
    elif isinstance(value, list):
        text = f"[{', '.join(show(one, depth - 1) for one in value[: depth + 1])}]"
    else:
        text = "null" if value is None else to_text(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def to_text(value: Any) -> str:
    """Return a plain value as ECS takes it where it wants text.

    >>> [to_text(value) for value in (True, 1.5, "x", None)]
    ['true', '1.5', 'x', '']
    """
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(value: Any) -> Any:
    """Return numbers and booleans that were written as text as what they mean.

    >>> [plain(value) for value in ("200", "true", "COUNT", 3, 3.0)]
    [200, True, 'COUNT', 3, 3]
    """
    if isinstance(value, Written):
        return plain(value.meaning)
    if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
        return int(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if isinstance(value, float) and value.is_integer() else value


def escape_dollars(text: str) -> str:
    """Return text that Kubernetes hands on as it was: it reads ``$$`` and ``$(NAME)``.

    >>> escape_dollars("pa$$word $(HOST) $HOME $$$(X) $")
    'pa$$$$word $$(HOST) $HOME $$$$$$(X) $'
    """
    return re.sub(r"\$+(?=\()|\${2,}", lambda run: run.group() * 2, text)


def unwrap(value: Any) -> tuple[Any, str]:
    """Return what a value is if it is there at all, and the condition for that.

    >>> unwrap(Computed("If", ["HasPort", 80, Computed("Ref", "AWS::NoValue")]))
    (80, 'HasPort')
    """
    conditions = []
    while (branches := _branches(value)) is not None:
        condition, yes, no = branches
        if not (is_absent(yes) or is_absent(no)):
            break
        value = no if is_absent(yes) else yes
        conditions.append(f"not {condition}" if is_absent(yes) else condition)
    return (None if is_absent(value) else value), " and ".join(conditions)


def is_absent(value: Any) -> bool:
    """Return whether a value is ``!Ref AWS::NoValue``."""
    return isinstance(value, Computed) and (value.function, value.argument) == ("Ref", NOT_THERE)


def _branches(value: Any) -> tuple[str, Any, Any] | None:
    if isinstance(value, Computed) and value.function == "If":
        match value.argument:
            case [condition, yes, no]:
                return show(condition), yes, no
    return None


def list_items(value: Any, condition: str = "") -> Iterator[tuple[Any, str]]:
    """Yield the items of a list and under which condition each is there: both branches of ``!If``."""
    for item in value if isinstance(value, list) else [value]:
        branches = _branches(item)
        if branches is not None:
            name, yes, no = branches
            both = f"{condition} and " if condition else ""
            yield from list_items(yes, f"{both}{name}")
            yield from list_items(no, f"{both}not {name}")
        elif item is not None and not is_absent(item):
            yield item, condition
