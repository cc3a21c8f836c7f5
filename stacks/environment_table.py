"""What all tables of an environment file have in common."""

from __future__ import annotations

from operator import attrgetter
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Table(BaseModel):
    """A table of the file: no unknown key, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Fault(NamedTuple):
    """A key, dotted, whose value is right by itself and does not fit to another key's."""

    key: str
    text: str


def refuse(table: Table, faults: list[Fault]) -> None:
    """Report all faults of a table at once, each under its key; for a validator of the whole table.

    Raises:
        ValidationError: there are any.
    """
    if faults:
        raise ValidationError.from_exception_data(
            type(table).__name__,
            [
                InitErrorDetails(
                    type=PydanticCustomError("value_error", "{text}", {"text": fault.text}),
                    loc=tuple(fault.key.split(".")),
                    input=attrgetter(fault.key)(table),
                )
                for fault in faults
            ],
        )
