"""Lines of station files: which are taken, and how the others are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weather_warehouse.station_file import Conversion, WrongFile

GOOD = b"19850101\t  -22\t -128\t   94\n"


def converted(*chunks):
    return b"".join(Conversion().blocks(chunks))


def refused(content):
    with pytest.raises(WrongFile) as wrong:
        converted(content)
    return wrong.value.lines


def test_a_line_becomes_a_row_and_minus_9999_is_missing():
    assert converted(GOOD) == b"19850101\t-22\t-128\t94\n"
    assert converted(b"20141231\t-9999\t-9999\t-9999\n") == b"20141231\t\\N\t\\N\t\\N\n"


@pytest.mark.parametrize("content", [GOOD[:-1], GOOD.replace(b"\n", b"\r\n"), GOOD.replace(b" ", b"")])
def test_the_last_end_of_line_the_spaces_and_the_end_of_line_of_windows_do_not_matter(content):
    assert converted(content) == converted(GOOD)


def test_an_empty_file_has_no_rows():
    assert converted() == converted(b"") == b""


@given(st.lists(st.integers(1, 40), max_size=12))
def test_it_does_not_matter_how_the_bytes_arrive(sizes):
    content = b"".join(b"198501%02d\t  -22\t -9999\t   %d\n" % (day, day) for day in range(1, 20))
    chunks, rest = [], content
    for size in sizes:
        chunks, rest = [*chunks, rest[:size]], rest[size:]
    assert converted(*chunks, rest) == converted(content)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "'' has 1 of 4 fields; date, maximum, minimum and rain are allowed"),
        (b"19850101\t1\t2", "'19850101\\t1\\t2' has 3 of 4 fields"),
        (b"19850101\t1\t2\t3\t4", "has 5 of 4 fields"),
        (b"1985-01-01\t1\t2\t3", "the date is '1985-01-01'; a day as yyyymmdd from 1700 to 2199 is allowed"),
        (b"19850229\t1\t2\t3", "the date is '19850229'"),
        (b"29140101\t1\t2\t3", "the date is '29140101'"),
        ("١٩٨٥٠١٠١".encode() + b"\t1\t2\t3", "the date is"),
        (
            b"19850101\t1.5\t2\t3",
            "the maximum is '1.5'; a whole number of tenths of a degree Celsius from -1000 to 1000",
        ),
        (b"19850101\t1_0\t2\t3", "the maximum is '1_0'"),
        (b"19850101\t1\t\t3", "the minimum is ''"),
        (b"19850101\t1\t-9998\t3", "or -9999, is allowed"),
        (b"19850101\t1\t2\t-1", "the rain is '-1'; a whole number of tenths of a millimetre from 0 to 20000"),
        (b"19850101\t1\t2\t99999", "the rain is '99999'"),
        (b"19850101\t1\t2\t\\N", "the rain is"),
        (b"19850101\t1\t2\t\xff\x00", "the rain is '\\\\xff\\x00'"),
        (b"19850101" + b" " * 200 + b"\t1\t2\t3", "more than 64 bytes"),
    ],
)
def test_a_wrong_line_is_told_by_its_number_and_its_reason(line, reason):
    ((number, told),) = refused(GOOD.replace(b"0101", b"1231") + line + b"\n")
    assert number == 2
    assert reason in told


def test_every_wrong_line_is_told_up_to_twenty():
    lines = [b"198501%02d\t1\t2\t3" % day for day in range(1, 30)]
    lines[4] = lines[7] = b"x"
    assert [number for number, _ in refused(b"\n".join(lines))] == [5, 8]
    assert [number for number, _ in refused(b"x\n" * 1000)] == list(range(1, 21))


def test_a_day_that_came_before_is_refused():
    ((number, reason),) = refused(GOOD + GOOD.replace(b"0101", b"0102") + GOOD)
    assert (number, reason) == (3, "the date '19850101' came before; each day once is allowed")


def test_a_line_without_an_end_is_not_read_to_its_end():
    read = []

    def endless():
        yield GOOD
        while True:
            assert len(read) < 3
            read.append(1)
            yield b"\0" * 1000

    with pytest.raises(WrongFile, match="line 2: more than 64 bytes"):
        list(Conversion().blocks(endless()))
