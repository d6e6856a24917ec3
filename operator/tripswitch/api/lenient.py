"""Reads a model from JSON as far as it makes sense: what does not fit goes, the rest stays.

For a status that a newer or an older operator has written, or a person's hand: one word that is not known
must not cost the memory of the breaker. The smallest part that can be left out is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)

_Path = tuple[str | int, ...]


def read_leniently(model: type[Model], raw: object) -> Model:
    """Return the model of what is left when everything that does not fit is gone. Never raises.

    Of a field that does not fit only the field goes. If it cannot be without it, what holds it goes:
    an item of a list, or the field it stands in. All of the model's own fields have defaults.
    """
    remaining: Any = copy.deepcopy(dict(raw)) if isinstance(raw, Mapping) else {}
    while True:
        try:
            return model.model_validate(remaining, by_alias=True, by_name=False)
        except ValidationError as error:
            offenders = {_resolve(remaining, problem["loc"]) for problem in error.errors()}
            # The last one first, and what is inside before what holds it: the others keep their places.
            for path in sorted(offenders, reverse=True):
                _remove(remaining, path)


def _resolve(raw: Any, where: _Path) -> _Path:
    """Return as much of an error's place as is there: a field that is missing is not."""
    found: list[str | int] = []
    for step in where:
        inside = isinstance(raw, dict) if isinstance(step, str) else isinstance(raw, list)
        if not inside or (isinstance(raw, dict) and step not in raw):
            break
        raw = raw[step]
        found.append(step)
    return tuple(found)


def _remove(raw: Any, path: _Path) -> None:
    for step in path[:-1]:
        raw = raw[step]
    del raw[path[-1]]
