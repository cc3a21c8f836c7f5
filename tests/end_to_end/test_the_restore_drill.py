"""What docs/disaster-recovery.md says is restored: the cases of `make recovery-drill` that are quick."""

from __future__ import annotations

import pytest

from local import systems
from local.platform import Platform
from local.recovery import Recovery


@pytest.fixture(scope="module")
def recovery(platform: Platform) -> Recovery:
    return Recovery(platform)


def test_a_deleted_file_comes_back_as_its_row_says(recovery: Recovery) -> None:
    assert recovery.deleted_file().data_lost == "nothing"


def test_an_overwritten_file_comes_back_as_its_row_says(recovery: Recovery) -> None:
    assert recovery.overwritten_file().data_lost == "nothing"


def test_a_dropped_queue_comes_back_with_its_rows_and_wakes_workers_again(recovery: Recovery) -> None:
    assert recovery.dropped_table().data_lost == "nothing"


def test_the_weather_database_comes_back_from_the_station_files(recovery: Recovery) -> None:
    systems.prepare(recovery.platform)
    assert "118,647 observations" in recovery.lost_weather("test").lost
