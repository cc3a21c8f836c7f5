"""A sweep line over visits: each caregiver's visits in order of their start, and those that have not ended yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Visit(NamedTuple):
    """A visit that takes place; times are microseconds since 1970, the end is not part of it."""

    ssn: str
    start: int
    visit_id: str
    end: int
    agency: str | None
    patient: str | None
    changed: bool


class Pair(NamedTuple):
    """Two visits of one caregiver that overlap, the one with the smaller id first."""

    visit: Visit
    conflict: Visit


class OutOfOrderError(Exception):
    """Visits that came in an order in which pairs would be missed."""


class Sweep:
    """Finds pairs while visits come in order of (SSN, start, id); it remembers only those that have not ended.

    A pair counts when one of its visits has changed; without `asymmetric`, only when both have.
    """

    def __init__(self, *, asymmetric: bool) -> None:
        self._asymmetric = asymmetric
        self._last: tuple[str, int, str] = ("", 0, "")
        self._open: list[Visit] = []

    def pairs(self, visits: Iterable[Visit]) -> Iterator[Pair]:
        """Yield the pairs of the next visits among each other and with those before.

        Raises OutOfOrderError when a visit comes twice or before its turn.
        """
        for visit in visits:
            place = visit[:3]
            if place <= self._last:
                raise OutOfOrderError(
                    f"Visit {visit.visit_id!r} came after {self._last[2]!r}: either VISIT_ID is not unique, or SSN or "
                    "VISIT_ID has a collation; both must sort by their bytes."
                )
            if visit.ssn != self._last[0]:
                self._open = []
            self._last = place
            self._open = [earlier for earlier in self._open if earlier.end > visit.start]
            for earlier in self._open:
                if earlier.changed and visit.changed or self._asymmetric and (earlier.changed or visit.changed):
                    yield Pair(earlier, visit) if earlier.visit_id < visit.visit_id else Pair(visit, earlier)
            self._open.append(visit)
