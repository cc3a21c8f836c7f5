"""Cron times in time zones."""

import datetime

import pytest

from report_service.errors import RequestError
from report_service.schedule import next_run


def at(text):
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 6 * * *", "UTC", "2026-01-01 05:59", "2026-01-01 06:00"),
        ("0 6 * * *", "UTC", "2026-01-01 06:00", "2026-01-02 06:00"),
        ("0 6 * * 1-5", None, "2026-01-02 12:00", "2026-01-05 06:00"),
        ("0 6 * * *", "Europe/Berlin", "2026-01-10 00:00", "2026-01-10 05:00"),
        ("0 6 * * *", "Europe/Berlin", "2026-07-10 00:00", "2026-07-10 04:00"),
        # Clocks go forward on 2026-03-29: 06:00 is 05:00 UTC the day before, and 04:00 UTC that day.
        ("0 6 * * *", "Europe/Berlin", "2026-03-28 05:00", "2026-03-29 04:00"),
        # 02:30 does not exist on that day; the job runs once, when the clock has moved on.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00"),
        # Clocks go back on 2026-10-25: 02:30 comes twice, the job runs at the first.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25 00:30", "2026-10-26 01:30"),
        ("0 0 29 2 *", "UTC", "2026-03-01 00:00", "2028-02-29 00:00"),
    ],
)
def test_the_next_time_is_right_also_when_clocks_change(cron, zone, after, expected):
    assert next_run(cron, zone, at(after)) == at(expected)


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "61 * * * *", "every day", "0 0 30 2 *", "@daily"])
def test_an_expression_that_means_nothing_is_refused_with_an_example(cron):
    with pytest.raises(RequestError, match="SCHEDULE_CRON") as refused:
        next_run(cron, "UTC", at("2026-01-01"))
    assert refused.value.code == "INVALID_SCHEDULE"


@pytest.mark.parametrize(("cron", "after"), [("0 0 1 1 *", "9999-12-31 23:59"), ("* * * * *", "0001-01-01 00:00")])
def test_a_time_beyond_all_years_is_refused(cron, after):
    with pytest.raises(RequestError, match="never comes"):
        next_run(cron, "America/Los_Angeles", at(after))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/berlin ", "\x00"])
def test_a_zone_that_does_not_exist_is_refused(zone):
    with pytest.raises(RequestError, match="SCHEDULE_TIMEZONE"):
        next_run("0 6 * * *", zone, at("2026-01-01"))
