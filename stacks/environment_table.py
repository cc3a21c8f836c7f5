"""What all tables of an environment file have in common."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from snowgate import FargateSize
from snowgate.fargate_size import CPU_UNITS, nearest_cpu
from snowgate.service_image import check_uri

IMAGE = "an image by digest or version, as in registry/name@sha256:…"


def _fixed(uri: str) -> str:
    check_uri(uri)
    return uri


ImageUri = Annotated[str, AfterValidator(_fixed), Field(pattern=r"^[a-z0-9][a-zA-Z0-9./:@_-]*$", description=IMAGE)]


class Table(BaseModel):
    """A table of the file: no unknown key, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SizedTable(Table):
    """A task's size."""

    cpu: int = Field(description=f"Fargate's CPU units: {', '.join(map(str, CPU_UNITS))}")
    memory_mib: int = Field(description="MiB that Fargate offers for the cpu of the same table")

    @field_validator("cpu")
    @classmethod
    def _is_offered(cls, value: int) -> int:
        if value not in CPU_UNITS:
            raise ValueError(f"nearest is {nearest_cpu(value)}")
        return value

    @field_validator("memory_mib")
    @classmethod
    def _is_a_size(cls, value: int, info: ValidationInfo) -> int:
        if "cpu" in info.data:
            FargateSize(cpu=info.data["cpu"], memory_mib=value)
        return value

    @property
    def size(self) -> FargateSize:
        """The size as the constructs take it."""
        return FargateSize(cpu=self.cpu, memory_mib=self.memory_mib)


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
