"""What changed between two looks at an object, in sentences."""

from __future__ import annotations

from .objects import Made
from .observe import Facts

LONGEST_VALUE = 80


def differences(made: Made, recorded: Facts, found: Facts | None) -> list[str]:
    """One sentence for each fact that is not as it was recorded after the object was made.

    A role may have grants from others too (an administrator lets the reports read more tables), so that only those
    count that it lost.
    """
    if found is None:
        return [f"{made} was missing"]
    names = sorted({*recorded, *found} if made.kind != "GRANTS TO ROLE" else recorded)
    return [
        _sentence(made, name, recorded.get(name), found.get(name))
        for name in names
        if recorded.get(name) != found.get(name)
        and (_comes_and_goes(made, name) or (name in recorded and name in found))
    ]


def _comes_and_goes(made: Made, name: str) -> bool:
    """May somebody add or drop it? All other facts are always there, unless one of two releases does not know it."""
    return made.kind == "GRANTS TO ROLE" or name.startswith(("column ", "parameter "))


def _sentence(made: Made, name: str, should: str | None, was: str | None) -> str:
    if made.kind == "GRANTS TO ROLE":
        return f"{made.name} had lost {name}" if was is None else f"{made.name} had {name} as {was}, not {should}"
    if was is None:
        return f"{made}: {name} was missing, should be {_short(should)}"
    if should is None:
        return f"{made}: {name} was {_short(was)}, should not be there"
    if _long(was) or _long(should):
        return f"{made}: {name} was changed, first in line {_first_line(was, should)}"
    return f"{made}: {name} was {_short(was)}, should be {_short(should)}"


def _long(value: str) -> bool:
    return "\n" in value or len(value) > LONGEST_VALUE


def _short(value: str | None) -> str:
    text = " ".join((value or "").split())
    return (text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…") or "empty"


def _first_line(one: str, other: str) -> int:
    """The number of the first line in which two texts differ."""
    ours, theirs = one.splitlines(), other.splitlines()
    same = (index for index, (mine, its) in enumerate(zip(ours, theirs, strict=False)) if mine != its)
    return next(same, min(len(ours), len(theirs))) + 1
