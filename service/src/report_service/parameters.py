"""The parameters of a report: declared in report.toml, checked against what a request gives, bound by the server."""

from __future__ import annotations

import datetime
import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from report_service.errors import ErrorCode, RequestError

Value = datetime.date | int | float | str | bool
ParameterType = Literal["date", "integer", "number", "string", "boolean", "choice"]

_NAME = r"^[a-z][a-z0-9_]{0,62}$"


class Parameter(BaseModel):
    """One parameter. Without a default a request must give it; bounds are inclusive."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=_NAME)
    type: ParameterType
    label: str | None = None
    default: Value | None = None
    minimum: datetime.date | int | float | None = None
    maximum: datetime.date | int | float | None = None
    max_length: int = Field(default=200, ge=1, le=10_000)
    choices: tuple[str, ...] = Field(default=(), strict=False)
    not_after: str | None = None  # another date parameter that must not be earlier

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Parameter:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("choices belongs to type choice, which needs at least one")
        if self.not_after and self.type != "date":
            raise ValueError("not_after belongs to type date")
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.type not in ("date", "integer", "number"):
            raise ValueError("minimum and maximum belong to the types date, integer and number")
        if any(isinstance(bound, datetime.date) != (self.type == "date") for bound in bounds):
            raise ValueError(f"minimum and maximum must be of type {self.type}")
        if self.default is not None:
            try:
                self.check(self.default)
            except RequestError as error:
                raise ValueError(f"the default does not fit: {error.message}") from None
        return self

    @property
    def title(self) -> str:
        """What people read in the place of the name."""
        return self.label or self.name.replace("_", " ").capitalize()

    def check(self, given: Any) -> Value:
        """Return `given` as a value of this type; raises RequestError with what was given and what is allowed."""
        value: Value | None = _READERS[self.type](given)
        if value is None or not self._inside(value):
            kind = "the text " if self.type in ("integer", "number", "boolean") and isinstance(given, str) else ""
            raise self._refused(f"is {kind}{_shown(given)}; {self.allowed()} is allowed.")
        return value

    def allowed(self) -> str:
        """Say in words which values this parameter takes."""
        if self.type == "choice":
            return "one of " + ", ".join(self.choices)
        if self.type == "string":
            return f"a text of at most {self.max_length} characters"
        words = {
            "date": "a date as yyyy-mm-dd",
            "integer": "a whole number",
            "number": "a number",
            "boolean": "true or false",
        }[self.type]
        if self.minimum is not None and self.maximum is not None:
            return f"{words} from {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f"{words} not below {self.minimum}"
        return words if self.maximum is None else f"{words} not above {self.maximum}"

    def _inside(self, value: Any) -> bool:
        if self.type == "choice":
            return value in self.choices
        if self.type == "string":
            return len(value) <= self.max_length and "\x00" not in value
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)

    def _refused(self, reason: str) -> RequestError:
        return RequestError(ErrorCode.INVALID_PARAMETER, f"Parameter {self.name} {reason}", field=self.name)


def check_parameters(declared: tuple[Parameter, ...], given: Mapping[str, Any], report: str) -> dict[str, Value]:
    """Return every declared parameter with its value; names count in any case.

    Raises RequestError with everything that is wrong at once; its field is the first of it.
    """
    by_name, wrong = _by_name(given, {parameter.name for parameter in declared}, report)
    values: dict[str, Value] = {}
    missing: list[Parameter] = []
    for parameter in declared:
        value = by_name.get(parameter.name)
        value = parameter.default if value is None else value
        if value is None:
            missing.append(parameter)
            continue
        try:
            values[parameter.name] = parameter.check(value)
        except RequestError as error:
            wrong.append((parameter.name, error.message))
    if missing:
        wrong.append((missing[0].name, _missing(missing, report)))
    wrong += _in_wrong_order(declared, values)
    if wrong:
        message = " ".join(text for _, text in wrong)
        raise RequestError(ErrorCode.INVALID_PARAMETER, message, field=wrong[0][0])
    return values


def _by_name(
    given: Mapping[str, Any], allowed: Collection[str], report: str
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the given values by lower-case name, and what is wrong with the names."""
    by_name: dict[str, Any] = {}
    wrong = []
    for name, value in sorted(given.items()):
        lower = name.lower()
        if lower in by_name:
            wrong.append((lower, f"Parameter {lower[:60]!r} is given twice; once is allowed."))
        elif lower not in allowed:
            near = difflib.get_close_matches(lower, allowed, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            takes = ", ".join(sorted(allowed)) or "none"
            wrong.append((lower, f"{report} has no parameter {name[:60]!r}; it takes {takes}.{hint}"))
        by_name[lower] = value
    return by_name, wrong


def _missing(parameters: Sequence[Parameter], report: str) -> str:
    needed = " and ".join(f"{parameter.name} ({parameter.allowed()})" for parameter in parameters)
    return f"{report} needs {needed}; the request gives no value for {'it' if len(parameters) == 1 else 'them'}."


def _in_wrong_order(declared: Sequence[Parameter], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            parameter.name,
            f"Parameter {parameter.name} is {values[parameter.name]}, later than {parameter.not_after}, "
            f"which is {values[parameter.not_after]}; it must not be later.",
        )
        for parameter in declared
        if parameter.not_after
        and {parameter.name, parameter.not_after} <= values.keys()
        and values[parameter.name] > values[parameter.not_after]
    ]


def _date(given: Any) -> datetime.date | None:
    if isinstance(given, datetime.datetime):
        return None
    if isinstance(given, datetime.date):
        return given
    if not isinstance(given, str) or len(given) != 10 or not given[4] == given[7] == "-":
        return None
    try:
        return datetime.date.fromisoformat(given)
    except ValueError:
        return None


def _integer(given: Any) -> int | None:
    number = _number(given)
    if number is None or number != int(number) or abs(number) >= 10**18:
        return None
    return int(given)


def _number(given: Any) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        number = float(given)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(given: Any) -> str | None:
    return given if isinstance(given, str) else None


def _boolean(given: Any) -> bool | None:
    return given if isinstance(given, bool) else None


_READERS: dict[str, Any] = {
    "date": _date,
    "integer": _integer,
    "number": _number,
    "string": _text,
    "boolean": _boolean,
    "choice": _text,
}


def _shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 80 else text[:79] + "…"
