"""The objects in a SQL file's header: what a line names and how Delete drops it."""

from __future__ import annotations

import pytest

from snowgate.lambdas.snowflake_deployer.objects import HeaderError, read_made


@pytest.mark.parametrize(
    ("line", "drop"),
    [
        ("view db.s.V", "DROP VIEW IF EXISTS DB.S.V"),
        ("SCHEMA DB.S", "DROP SCHEMA IF EXISTS DB.S"),
        ("PROCEDURE DB.S.P()", "DROP PROCEDURE IF EXISTS DB.S.P()"),
        ("FUNCTION DB.S.F(varchar,  DATE)", "DROP FUNCTION IF EXISTS DB.S.F(VARCHAR, DATE)"),
        ("FUNCTION DB.S.F(NUMBER(38, 0), VARIANT)", "DROP FUNCTION IF EXISTS DB.S.F(NUMBER(38, 0), VARIANT)"),
        ("NETWORK RULE DB.S.R", "DROP NETWORK RULE IF EXISTS DB.S.R"),
        ("EXTERNAL ACCESS INTEGRATION E", "DROP EXTERNAL ACCESS INTEGRATION IF EXISTS E"),
    ],
)
def test_a_line_names_an_object_and_its_drop(line: str, drop: str) -> None:
    assert read_made(line, kept=False).drop == drop


def test_an_object_is_the_same_however_it_is_written() -> None:
    assert read_made(" table  db.s.t ", kept=True) == read_made("TABLE DB.S.T", kept=True)
    assert str(read_made("procedure d.s.p( varchar )", kept=True)) == "PROCEDURE D.S.P(VARCHAR)"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WAREHOUSE W", "must begin with one of SCHEMA, TABLE"),
        ("VIEW S.V", "must name one VIEW by 3 unquoted parts joined by dots; given was 'S.V'"),
        ('VIEW DB.S."v"', "unquoted parts"),
        ("VIEW DB.S.V, DB.S.W", "must name one VIEW"),
        ("PROCEDURE DB.S.P", "needs its argument types in parentheses"),
        ("FUNCTION DB.S.F(A NUMBER(38, 0) NOT)", "is no argument type"),
        ("GRANTS TO ROLE R", "cannot be dropped: say 'Makes and keeps:'"),
    ],
)
def test_a_line_that_names_no_object_says_why(line: str, said: str) -> None:
    with pytest.raises(HeaderError) as failure:
        read_made(line, kept=False)
    assert said in str(failure.value)


def test_grants_are_kept_and_have_no_drop() -> None:
    grants = read_made("GRANTS TO ROLE READER", kept=True)
    with pytest.raises(HeaderError, match="a REVOKE in a file takes grants back"):
        _ = grants.drop
