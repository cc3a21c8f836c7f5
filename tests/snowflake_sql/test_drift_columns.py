"""Tables that are older than their file, in the real stand-in: columns are added and widened, rows stay."""

import uuid

import pytest

from snowgate.lambdas.snowflake_deployer.column_definitions import read_columns, table_name
from snowgate.lambdas.snowflake_deployer.connection import Session, StatementFailed
from snowgate.lambdas.snowflake_deployer.deadline import Deadline
from snowgate.lambdas.snowflake_deployer.objects import read_made
from snowgate.lambdas.snowflake_deployer.table_columns import bring_columns, widens
from tests import sql_lint


class Time:
    """Time enough."""

    def get_remaining_time_in_millis(self):
        return 600_000


class Table:
    """A table of the test's own; ``bring`` takes it to new columns and gives the sentences without the table's name."""

    def __init__(self, session, columns, *rows):
        self.session, database = session, f"COLUMNS_{uuid.uuid4().hex[:6].upper()}"
        self.made = read_made(f"TABLE {database}.S.T", True)
        self.run(
            f"CREATE DATABASE {database}", f"CREATE SCHEMA {database}.S", f"CREATE TABLE {self.made.name} ({columns})"
        )
        for row in rows:
            self.run(f"INSERT INTO {self.made.name} {row}")

    def run(self, *statements):
        for statement in statements:
            rows = self.session.run(statement, "test")
        return rows

    def bring(self, columns):
        said = bring_columns(self.session, self.made, f"CREATE TABLE IF NOT EXISTS T ({columns})")
        return [sentence.removeprefix(f"{self.made}: column ") for sentence in said]

    def columns(self):
        return {
            row["name"]: (row["type"], row["null?"], row["default"]) for row in self.run(f"DESC TABLE {self.made.name}")
        }

    def rows(self):
        return self.run(f"SELECT * FROM {self.made.name} ORDER BY 1")


@pytest.fixture(scope="module")
def session(warehouse):
    with warehouse.connect() as connection:
        session = Session(connection, None, Deadline(Time()))
        session.run("CREATE WAREHOUSE IF NOT EXISTS COLUMNS_W", "test")
        yield session


@pytest.fixture
def table(session):
    return lambda *given: Table(session, *given)


def test_a_table_that_is_as_its_file_needs_nothing(table):
    columns = (
        "A NUMBER(38, 0) NOT NULL AUTOINCREMENT START 1 INCREMENT 1 ORDER, B STRING DEFAULT 'it''s', C INT DEFAULT 3, "
        "D TIMESTAMP_NTZ DEFAULT SYSDATE(), E VARIANT, F VARCHAR(5) NOT NULL, G BOOLEAN DEFAULT TRUE, H DATE, I DOUBLE"
    )
    made = table(columns)
    assert made.bring(columns) == []


def test_the_files_of_the_project_describe_the_tables_that_they_make(session):
    [text] = [path.read_text() for path in sql_lint.sql_files() if path.name.startswith("020")]
    statements = [s.text for s in sql_lint.split("020", sql_lint.render(text, sql_lint.NAMES))]
    tables = [text for text in statements if table_name(text)]
    assert len(tables) > 3
    database = f"COLUMNS_{uuid.uuid4().hex[:6].upper()}"
    for statement in (
        f"CREATE DATABASE {database}",
        f"CREATE SCHEMA {database}.S",
        f"USE SCHEMA {database}.S",
        *tables,
    ):
        session.run(statement, "test")
    for text in tables:
        assert bring_columns(session, read_made(f"TABLE {database}.S.{table_name(text)}", True), text) == []


def test_missing_columns_are_added_and_every_row_stays(table):
    made = table("A NUMBER", "VALUES (1), (2)")
    assert made.bring("A NUMBER, B VARCHAR DEFAULT 'x,y', C NUMBER(38, 0) DEFAULT 100, D VARIANT, E TIMESTAMP_NTZ") == [
        "B was missing, was added",
        "C was missing, was added",
        "D was missing, was added",
        "E was missing, was added",
    ]
    assert made.rows() == [{"A": a, "B": "x,y", "C": 100, "D": None, "E": None} for a in (1, 2)]
    assert made.columns()["C"] == ("NUMBER(38,0)", "Y", "100")
    assert made.bring("A NUMBER, B VARCHAR DEFAULT 'x,y', C NUMBER DEFAULT 100, D VARIANT, E TIMESTAMP_NTZ") == []


def test_a_default_that_is_no_literal_is_left_out_and_said(table):
    made = table("A NUMBER", "VALUES (1)")
    assert made.bring("A NUMBER, B TIMESTAMP_NTZ DEFAULT SYSDATE(), C DATE DEFAULT '2026-01-01'") == [
        "B was missing, was added (without DEFAULT SYSDATE(), because a column that is added takes literals only)",
        "C was missing, was added (without DEFAULT '2026-01-01', because a column that is added takes literals only)",
    ]
    assert made.rows() == [{"A": 1, "B": None, "C": None}]


def test_a_required_column_is_added_to_rows_with_a_default_or_nullable(table):
    made = table("A NUMBER", "VALUES (1)")
    assert made.bring("A NUMBER, B VARCHAR NOT NULL, C VARCHAR DEFAULT 'x' NOT NULL") == [
        "B was missing, was added (without NOT NULL, because the table has rows)",
        "C was missing, was added",
    ]
    assert {name: found[1] for name, found in made.columns().items()} == {"A": "Y", "B": "Y", "C": "N"}


def test_a_required_column_is_added_to_an_empty_table(table):
    made = table("A NUMBER")
    assert made.bring("A NUMBER, B VARCHAR NOT NULL") == ["B was missing, was added"]
    assert made.columns()["B"][1] == "N"


def test_numbering_cannot_be_added_to_rows(table):
    made = table("A NUMBER", "VALUES (1)")
    assert made.bring("A NUMBER, B NUMBER AUTOINCREMENT") == [
        "B was missing and cannot be added: AUTOINCREMENT needs a table without rows"
    ]
    assert made.bring("A NUMBER AUTOINCREMENT") == [
        "A: numbering can be neither added nor taken away; a new column can have it"
    ]


def test_texts_and_numbers_are_widened(table):
    made = table("A NUMBER(10, 2), B VARCHAR(5)", "VALUES (1.25, 'abcde')")
    assert made.bring("A NUMBER(20, 2), B VARCHAR") == [
        "A was NUMBER(10,2), is NUMBER(20,2) now",
        "B was VARCHAR(5), is VARCHAR(16777216) now",
    ]
    assert [found[0] for found in made.columns().values()] == ["NUMBER(20,2)", "VARCHAR(16777216)"]


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        ("VARCHAR(9)", "VARCHAR(5)"),
        ("NUMBER(10, 2)", "NUMBER(10, 4)"),
        ("VARCHAR", "NUMBER"),
        ("DATE", "TIMESTAMP_NTZ"),
    ],
)
def test_what_snowflake_cannot_change_is_said_and_left(table, has, wanted):
    made = table(f"A {has}")
    before = made.columns()
    [said] = made.bring(f"A {wanted}")
    assert "Snowflake cannot change that, a new column can" in said
    assert made.columns() == before


def test_nullability_follows_the_file_as_far_as_the_rows_allow(table):
    made = table("A NUMBER, B NUMBER, C NUMBER NOT NULL", "SELECT 1, NULL, 3")
    assert made.bring("A NUMBER NOT NULL, B NUMBER NOT NULL, C NUMBER") == [
        "A was nullable, is NOT NULL now",
        "B cannot be NOT NULL: it holds NULL; fill these rows, then deploy again",
        "C was NOT NULL, is nullable now",
    ]
    assert [found[1] for found in made.columns().values()] == ["N", "Y", "Y"]


def test_a_default_can_go_but_neither_come_nor_change(table):
    made = table("A NUMBER DEFAULT 1, B NUMBER, C NUMBER DEFAULT 1")
    assert made.bring("A NUMBER, B NUMBER DEFAULT 2, C NUMBER DEFAULT 2") == [
        "A had the default 1, has none now",
        "B has the default NULL, the file says 2: Snowflake cannot change that",
        "C has the default 1, the file says 2: Snowflake cannot change that",
    ]
    assert [found[2] for found in made.columns().values()] == [None, None, "1"]


def test_a_column_that_only_the_table_has_stays_and_is_named(table):
    made = table("A NUMBER, MINE VARCHAR", "VALUES (1, 'x')")
    assert made.bring("A NUMBER") == ["MINE is not in the file; it stays"]
    assert made.rows() == [{"A": 1, "MINE": "x"}]


def test_a_change_that_snowflake_refuses_names_the_column(table, monkeypatch):
    made = table("A VARCHAR(5)")
    run = made.session.run

    def refuse(statement, place, **options):
        if statement.startswith("ALTER"):
            raise StatementFailed(f"{place}: refused", 1)
        return run(statement, place, **options)

    monkeypatch.setattr(made.session, "run", refuse)
    with pytest.raises(StatementFailed, match=r"column A was VARCHAR\(5\), is VARCHAR\(9\) now: refused"):
        made.bring("A VARCHAR(9)")


def test_definitions_are_read_with_their_commas_strings_comments_and_keys():
    columns = read_columns(
        """CREATE TABLE "D".s.T ( -- a, comment (
          a int default 1 not null, b varchar(10) default 'a,b(''' comment 'it''s, (', /* , */
          c number(10, 2) primary key,
          "low er" double, d timestamp_ntz default DATEADD('day', 1, sysdate()) comment 'x', e char(3) default null,
          primary key (a, b), constraint x unique (b)
        ) comment = 'not, a column'"""
    )
    assert [tuple(column) for column in columns] == [
        ("A", "NUMBER(38,0)", False, "1", False, None),
        ("B", "VARCHAR(10)", True, "'a,b('''", False, "'it''s, ('"),
        ("C", "NUMBER(10,2)", False, None, False, None),
        ("low er", "FLOAT", True, None, False, None),
        ("D", "TIMESTAMP_NTZ(9)", True, "DATEADD('day', 1, sysdate())", False, "'x'"),
        ("E", "VARCHAR(3)", True, None, False, None),
    ]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE TABLE IF NOT EXISTS t (A INT)", "T"),
        ("create or replace transient table D.S.T (A INT)", "D.S.T"),
        ("CREATE TABLE T AS SELECT 1 AS A", None),
        ("CREATE VIEW V (A) AS SELECT 1", None),
    ],
)
def test_the_table_that_a_statement_makes_is_known(statement, name):
    assert table_name(statement) == name


def test_only_wider_is_wider():
    assert widens("VARCHAR(5)", "VARCHAR(6)")
    assert not widens("VARCHAR(5)", "VARCHAR(5)")
    assert not widens("NUMBER(10,2)", "NUMBER(12,3)")
    assert not widens("BINARY(5)", "BINARY(6)")
    assert not widens("DATE", "TIMESTAMP_NTZ(9)")
