"""Objects in the real stand-in: what is seen of them, what somebody's change makes of it, and how it is told."""

import itertools
import time
import uuid

import pytest

from snowgate.lambdas.snowflake_deployer.connection import Session, StatementFailed
from snowgate.lambdas.snowflake_deployer.deadline import Deadline
from snowgate.lambdas.snowflake_deployer.differences import differences
from snowgate.lambdas.snowflake_deployer.grants import give_back, held
from snowgate.lambdas.snowflake_deployer.objects import read_made
from snowgate.lambdas.snowflake_deployer.observe import Observer, observe

PROCEDURE = """CREATE OR REPLACE PROCEDURE P(A NUMBER, B VARCHAR DEFAULT 'x') RETURNS VARIANT
  LANGUAGE PYTHON RUNTIME_VERSION = '3.11' PACKAGES = ('snowflake-snowpark-python') HANDLER = 'run'
AS $$
def run(session, a, b):
    return {body}
$$"""
FUNCTION = """CREATE OR REPLACE FUNCTION F(A NUMBER) RETURNS VARIANT
  LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'run'
AS $$
def run(a):
    return a
$$"""
RULE = "CREATE OR REPLACE NETWORK RULE R TYPE = HOST_PORT MODE = EGRESS VALUE_LIST = ('{host}:443')"
OBJECTS = {
    "SCHEMA": "{schema}",
    "TABLE": "{schema}.T",
    "VIEW": "{schema}.V",
    "STREAM": "{schema}.ST",
    "TASK": "{schema}.TA",
    "PROCEDURE": "{schema}.P(NUMBER, VARCHAR)",
    "FUNCTION": "{schema}.F(NUMBER)",
    "NETWORK RULE": "{schema}.R",
    "SECRET": "{schema}.SE",
    "EXTERNAL ACCESS INTEGRATION": "{access}",
    "GRANTS TO ROLE": "{role}",
}


class Time:
    """Time enough."""

    def get_remaining_time_in_millis(self):
        return 600_000


class Place:
    """A schema of the test's own with one object of each kind."""

    def __init__(self, session):
        self.suffix = suffix = uuid.uuid4().hex[:6].upper()
        self.session, self.database, self.role = session, f"DRIFT_{suffix}", f"READER_{suffix}"
        self.schema, self.access = f"{self.database}.S", f"ACCESS_{suffix}"
        self.run(
            f"CREATE WAREHOUSE W_{suffix}",
            f"CREATE DATABASE {self.database}",
            f"CREATE SCHEMA {self.schema}",
            f"USE SCHEMA {self.schema}",
            "CREATE TABLE T (A NUMBER NOT NULL, B VARCHAR(20) DEFAULT 'x')",
            "INSERT INTO T (A) VALUES (1), (2)",
            "CREATE OR REPLACE VIEW V AS SELECT A FROM T",
            "CREATE STREAM ST ON TABLE T APPEND_ONLY = TRUE",
            PROCEDURE.format(body="1"),
            FUNCTION,
            f"CREATE TASK TA WAREHOUSE = W_{suffix} SCHEDULE = '60 MINUTE' SUSPEND_TASK_AFTER_NUM_FAILURES = 7 "
            "AS CALL P(1, 'x')",
            "ALTER TASK TA RESUME",
            RULE.format(host="a.example.com"),
            "CREATE SECRET SE TYPE = GENERIC_STRING SECRET_STRING = 'not-shown-anywhere'",
            f"CREATE EXTERNAL ACCESS INTEGRATION {self.access} ALLOWED_NETWORK_RULES = (R) ENABLED = TRUE",
            f"CREATE ROLE {self.role}",
            f"GRANT SELECT ON TABLE T TO ROLE {self.role}",
            f"GRANT USAGE ON SCHEMA {self.schema} TO ROLE {self.role}",
        )

    def run(self, *statements):
        for statement in statements:
            rows = self.session.run(statement, "test")
        return rows

    def made(self, kind):
        name = OBJECTS[kind].format(schema=self.schema, access=self.access, role=self.role)
        return read_made(f"{kind} {name}", True)


@pytest.fixture(scope="module")
def session(warehouse):
    with warehouse.connect() as connection:
        yield Session(connection, None, Deadline(Time()))


@pytest.fixture(scope="module")
def standing(session):
    """For the tests that only look."""
    return Place(session)


@pytest.fixture
def place(session):
    return Place(session)


@pytest.mark.parametrize("kind", OBJECTS)
def test_two_looks_at_an_untouched_object_see_the_same(standing, kind):
    made = standing.made(kind)
    first = observe(standing.session, made)
    assert first
    assert differences(made, first, observe(standing.session, made)) == []


@pytest.mark.parametrize("kind", [kind for kind in OBJECTS if kind != "GRANTS TO ROLE"])
def test_what_is_not_there_is_none(standing, kind):
    name = OBJECTS[kind].format(schema=standing.schema, access=standing.access, role="").replace("(", "_GONE(", 1)
    gone = read_made(f"{kind} {name if '(' in name else name + '_GONE'}", True)
    assert observe(standing.session, gone) is None
    assert differences(gone, {"owner": "X"}, None) == [f"{gone} was missing"]


@pytest.mark.parametrize("kind", [kind for kind, name in OBJECTS.items() if name.startswith("{schema}.")])
def test_what_lay_in_a_schema_that_is_gone_is_none(standing, kind):
    name = OBJECTS[kind].format(schema=f"{standing.database}.NOWHERE")
    assert observe(standing.session, read_made(f"{kind} {name}", True)) is None


def test_another_overload_is_another_object(standing):
    assert observe(standing.session, read_made(f"PROCEDURE {standing.schema}.P(NUMBER)", True)) is None


def test_no_secret_text_is_a_fact(standing):
    assert "not-shown-anywhere" not in str([observe(standing.session, standing.made(kind)) for kind in OBJECTS])


def test_one_look_shows_each_schema_once_and_takes_little_time(standing, monkeypatch):
    ran = []
    run = standing.session.run
    monkeypatch.setattr(
        standing.session,
        "run",
        lambda statement, place, **options: ran.append(statement) or run(statement, place, **options),
    )
    started = time.monotonic()
    observer = Observer(standing.session)
    for kind in itertools.chain(OBJECTS, OBJECTS):
        assert observer.observe(standing.made(kind))
    shows = [statement for statement in ran if statement.startswith("SHOW") and " IN SCHEMA " in statement]
    assert len(shows) == len(set(shows)) == 8
    assert time.monotonic() - started < 2


# Kind, what somebody does to the object of this kind, and the sentence after the object's name.
CHANGES = (
    ("VIEW", "DROP VIEW V", " was missing"),
    ("VIEW", "CREATE OR REPLACE VIEW V AS SELECT A + 1 AS A FROM T", ": definition was "),
    ("PROCEDURE", PROCEDURE.format(body="2"), ": definition was changed, first in line "),
    ("FUNCTION", "DROP FUNCTION F(NUMBER)", " was missing"),
    ("TASK", "ALTER TASK TA SUSPEND", ": state was suspended, should be started"),
    ("TABLE", "ALTER TABLE T DROP COLUMN B", ": column B was missing, should be VARCHAR(20) DEFAULT 'x'"),
    ("TABLE", "ALTER TABLE T ADD COLUMN C DATE", ": column C was DATE, should not be there"),
    ("STREAM", "DROP STREAM ST", " was missing"),
    ("SECRET", "DROP SECRET SE", " was missing"),
    (
        "NETWORK RULE",
        "ALTER NETWORK RULE R SET VALUE_LIST = ('b.example.com:443')",
        ": value_list was b.example.com:443, should be a.example.com:443",
    ),
    (
        "EXTERNAL ACCESS INTEGRATION",
        "ALTER EXTERNAL ACCESS INTEGRATION ACCESS_{suffix} SET ENABLED = FALSE",
        ": enabled was false, should be true",
    ),
)


@pytest.mark.parametrize(("kind", "change", "said"), CHANGES)
def test_a_change_by_hand_is_found_and_named(place, kind, change, said):
    made = place.made(kind)
    before = observe(place.session, made)
    place.run(change.replace("{suffix}", place.suffix))
    [sentence] = differences(made, before, observe(place.session, made))
    assert sentence.startswith(f"{made}{said}")


def test_a_grant_that_a_role_lost_is_named(place):
    made = place.made("GRANTS TO ROLE")
    before = observe(place.session, made)
    place.run(f"REVOKE SELECT ON TABLE T FROM ROLE {place.role}")
    assert differences(made, before, observe(place.session, made)) == [
        f"{place.role} had lost SELECT ON TABLE {place.schema}.T"
    ]


def test_a_parameter_of_a_task_that_somebody_set_is_found(place):
    made = place.made("TASK")
    before = observe(place.session, made)
    place.run("ALTER TASK TA SUSPEND", "ALTER TASK TA SET SUSPEND_TASK_AFTER_NUM_FAILURES = 3", "ALTER TASK TA RESUME")
    assert differences(made, before, observe(place.session, made)) == [
        f"{made}: parameter SUSPEND_TASK_AFTER_NUM_FAILURES was 3, should be 7"
    ]


def test_a_stream_whose_table_was_replaced_is_stale(place):
    made = place.made("STREAM")
    before = observe(place.session, made)
    place.run("CREATE OR REPLACE TABLE T (A NUMBER)")
    assert f"{made}: stale was true, should be false" in differences(made, before, observe(place.session, made))


def test_more_grants_than_the_files_give_are_nobodys_drift(place):
    made = place.made("GRANTS TO ROLE")
    before = observe(place.session, made)
    place.run(f"GRANT SELECT ON VIEW V TO ROLE {place.role}")
    assert differences(made, before, observe(place.session, made)) == []


def test_a_fact_that_only_one_release_knows_is_no_difference(standing):
    for kind in ("TASK", "EXTERNAL ACCESS INTEGRATION"):
        made = standing.made(kind)
        found = observe(standing.session, made)
        assert differences(made, found | {"of an earlier release": "x"}, found) == []
        assert differences(made, found, found | {"of a later release": "x"}) == []


def test_grants_that_a_replace_took_come_back_and_ownership_is_left_alone(place):
    made, other = place.made("VIEW"), f"{place.role}_2"
    place.run(
        f"CREATE ROLE {other}",
        f"GRANT SELECT ON VIEW V TO ROLE {place.role}",
        f"GRANT SELECT ON VIEW V TO ROLE {other} WITH GRANT OPTION",
    )
    before = held(place.session, made)
    assert [grant["privilege"] for grant in before] == ["SELECT", "SELECT"]
    assert give_back(place.session, made, before) == []
    place.run("CREATE OR REPLACE VIEW V AS SELECT 1 AS A")
    assert held(place.session, made) == []
    assert sorted(give_back(place.session, made, before)) == [
        f"{made} had lost SELECT for ROLE {place.role}, repaired",
        f"{made} had lost SELECT for ROLE {other}, repaired",
    ]
    assert held(place.session, made) == before


def test_grants_on_programs_come_back(place):
    made = place.made("PROCEDURE")
    place.run(f"GRANT USAGE ON PROCEDURE P(NUMBER, VARCHAR) TO ROLE {place.role}")
    before = held(place.session, made)
    place.run(PROCEDURE.format(body="3"))
    assert give_back(place.session, made, before) == [f"{made} had lost USAGE for ROLE {place.role}, repaired"]


def test_another_error_than_that_it_is_gone_is_not_swallowed(standing, monkeypatch):
    def fail(statement, place, **options):
        raise StatementFailed(f"{place}: 002140 (42601): no warehouse", 2140)

    monkeypatch.setattr(standing.session, "run", fail)
    for look in (observe, held):
        with pytest.raises(StatementFailed, match="no warehouse"):
            look(standing.session, standing.made("VIEW"))
