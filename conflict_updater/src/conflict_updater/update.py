"""One run: what changed in Snowflake, compared with what is related to it, brought into PostgreSQL."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from conflict_updater.conflict_maps import ConflictMaps
from conflict_updater.settings import Settings
from conflict_updater.stopping import Stop
from conflict_updater.sweep import Pair, Sweep, Visit
from conflict_updater.visits import Batches, Visits

_LOG = logging.getLogger(__name__)
_STATE = ["VISIT_ID", "SSN", "START_AT", "END_AT", "LIVE"]


class Outcome(NamedTuple):
    """What a run found and changed, in pairs."""

    conflicts: int
    entered: int
    resolved: int


@dataclass(frozen=True)
class Update:
    """A run over two open sessions; `stop` is asked after each batch."""

    settings: Settings
    visits: Visits
    maps: ConflictMaps
    stop: Stop

    def run(self) -> Outcome:
        """Do all steps; raises the databases' own errors, and Stopped. What was committed before is right by itself."""
        self.maps.begin()
        with _step("Step 0 (excluded SSNs)") as say:
            say(f"{self._exclude():,} SSNs")
        with _step("Step 1 (delta_keys)") as say:
            window = self.visits.window()
            say("{:,} visits of {:,} caregivers".format(*self.visits.delta_keys(window)))
        _LOG.info("  changed from %s to %s UTC; related from %s to before %s", *(str(value)[:19] for value in window))
        with _step("Step 2 Part A (base_visits delta)"):
            delta = self.visits.delta(window)
        with _step("Step 2 Part B (base_visits related)"):
            related = self.visits.related(window)
        with _step("Step 2d (delta pairs to PG)"):
            for batch in delta:
                self.maps.look_at(batch.select(_STATE))
                self.stop.check()
        with _step("Step 3 (conflict detection streaming)") as say:
            conflicts, entered = self._detect(related)
            say(f"{conflicts:,} conflicts, {entered:,} of them new or changed")
        with _step("Step 4 (stale cleanup)") as say:
            resolved = self._clean_up()
            say(f"{resolved:,} resolved" if self.settings.enable_stale_cleanup else "off")
        return Outcome(conflicts, entered, resolved)

    def _exclude(self) -> int:
        count = 0
        for batch in self.visits.excluded():
            self.maps.exclude(batch)
            count += batch.num_rows
            self.stop.check()
        return count

    def _detect(self, related: Batches) -> tuple[int, int]:
        conflicts = entered = 0
        for pairs in self._batches_of_pairs(related):
            conflicts += len(pairs)
            entered += self.maps.enter(pairs)
            _LOG.debug("  %s conflicts so far", f"{conflicts:,}")
            self.stop.check()
        return conflicts, entered

    def _batches_of_pairs(self, related: Batches) -> Iterator[list[Pair]]:
        sweep = Sweep(asymmetric=self.settings.enable_asymmetric_join)
        waiting: list[Pair] = []
        for batch in related:
            self.stop.check()
            # The changed ones are there since step 2d.
            self.maps.look_at(batch.filter(pc.invert(batch["CHANGED"])).select(_STATE))
            for pair in sweep.pairs(_live_visits(batch)):
                waiting.append(pair)
                if len(waiting) == self.settings.batch_size:
                    yield waiting
                    waiting = []
        if waiting:
            yield waiting

    def _clean_up(self) -> int:
        resolved = 0
        if self.settings.enable_stale_cleanup:
            for count in self.maps.resolve_stale():
                resolved += count
                self.stop.check()
        return resolved


def run_update(settings: Settings, stop: Stop) -> Outcome:
    """Open both sessions, do one run and close them."""
    with closing(ConflictMaps(settings)) as maps, closing(Visits(settings)) as visits:
        return Update(settings, visits, maps, stop).run()


def _live_visits(batch: pa.RecordBatch) -> Iterator[Visit]:
    live = batch.filter(batch["LIVE"])
    times = {name: live[name].cast(pa.timestamp("us")).cast(pa.int64()) for name in ("START_AT", "END_AT")}
    columns = (
        live["SSN"],
        times["START_AT"],
        live["VISIT_ID"],
        times["END_AT"],
        live["AGENCY_ID"],
        live["PATIENT_ID"],
        live["CHANGED"],
    )
    return map(Visit._make, zip(*(column.to_pylist() for column in columns), strict=True))


@contextmanager
def _step(name: str) -> Iterator[Callable[[str], None]]:
    """Log the step's name with its time at its end, and what it says."""
    begun, said = time.monotonic(), list[str]()
    yield said.append
    _LOG.info("%s: %.1fs%s", name, time.monotonic() - begun, "".join(f", {text}" for text in said))
