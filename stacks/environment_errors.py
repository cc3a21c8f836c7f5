"""What is said about a wrong environment file: the file, the key, what was given and what is allowed."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


class Problem(NamedTuple):
    """One wrong key, dotted, and what is wrong with it."""

    key: str
    text: str

    def __str__(self) -> str:
        """The line that is shown."""
        return f"  {self.key}: {self.text}" if self.key else f"  {self.text}"


class EnvironmentFileError(ValueError):
    """One or more environment files cannot be used."""

    def __init__(self, file: Path, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join([f"{file} cannot be used:", *map(str, self.problems)]))

    @classmethod
    def of_all(cls, errors: Sequence[EnvironmentFileError]) -> EnvironmentFileError:
        """One error with the messages of several files."""
        whole = cls.__new__(cls)
        ValueError.__init__(whole, "\n".join(map(str, errors)))
        whole.problems = [problem for error in errors for problem in error.problems]
        return whole


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Pydantic's findings in this project's words."""
    return [_problem(details, model) for details in error.errors()]


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    place = [part for part in details["loc"] if isinstance(part, str)]
    key = ".".join(place)
    table, field = _field(model, place)
    if details["type"] == "extra_forbidden":
        return Problem(key, _unknown(place[-1], details["input"], sorted(set(table.model_fields) - {"name"})))
    if details["type"] == "missing":
        return Problem(key, f"is missing. Needed: {_allowed(field)}.")
    # A finding about a whole table has only its own text.
    reason = details["msg"].removeprefix("Value error, ") if details["type"] == "value_error" else ""
    if field is None or _table_of(field) is not None and isinstance(details["input"], dict):
        return Problem(key, f"{reason or details['msg']}.".replace("..", "."))
    said = f"given {_shown(details['input'])}" + (f": {reason.rstrip('.')}" if reason else "")
    allowed = "" if "Allowed" in said else f" Allowed: {_allowed(field)}."
    return Problem(key, f"{said}.{allowed}")


def _unknown(key: str, value: object, allowed: list[str]) -> str:
    nearest = difflib.get_close_matches(key, allowed, n=1, cutoff=0)
    return f"unknown key, given {_shown(value)}; nearest is {nearest[0]}. Allowed: {', '.join(allowed)}."


def _field(model: type[BaseModel], place: Sequence[str]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The table that holds the last key of a place, and the field of that name if there is one."""
    table, field = model, None
    for position, name in enumerate(place):
        field = table.model_fields.get(name)
        inner = _table_of(field) if field else None
        if inner is not None and position < len(place) - 1:
            table = inner
    return table, field


def _table_of(field: FieldInfo) -> type[BaseModel] | None:
    kind: Any = field.annotation
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _allowed(field: FieldInfo | None) -> str:
    if field is None:
        return "see the other environments' files"
    table = _table_of(field)
    if table is not None:
        keys = [name for name, inner in table.model_fields.items() if inner.is_required()]
        return f"a table with {', '.join(keys) or ', '.join(table.model_fields)}"
    if field.description:
        return field.description
    return next((f.description for f in field.metadata if isinstance(f, FieldInfo) and f.description), "another value")


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    kinds = {str: "text", bool: "true or false", int: "whole number", float: "number", list: "list", dict: "table"}
    return f"{value!r} ({kinds.get(type(value), type(value).__name__)})"
