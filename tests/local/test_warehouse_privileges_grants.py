"""Who may grant in the stand-in, and what grants, roles and ownership then give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import snowflake.connector
from warehouse_roles import FORBIDDEN, UNSEEN, Someone
from warehouse_server import Warehouse

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def table(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")


@pytest.fixture
def other(run: Run) -> Iterator[str]:
    """A second role that nobody has."""
    run("CREATE OR REPLACE ROLE OTHER_ROLE")
    yield "OTHER_ROLE"
    run("USE ROLE ACCOUNTADMIN")
    run("DROP ROLE OTHER_ROLE")


# --- the hierarchy of roles


def test_a_role_has_what_the_roles_below_it_have(someone: Someone, run: Run, other: str) -> None:
    run("CREATE OR REPLACE ROLE LOWEST_ROLE")
    run("GRANT SELECT ON TABLE T TO ROLE LOWEST_ROLE")
    run(f"GRANT ROLE LOWEST_ROLE TO ROLE {other}")
    someone.is_refused("SELECT N FROM T", UNSEEN)
    run(f"GRANT ROLE {other} TO ROLE {someone.role}")
    assert someone.run("SELECT N FROM T") == []
    run(f"REVOKE ROLE LOWEST_ROLE FROM ROLE {other}")
    someone.is_refused("SELECT N FROM T", UNSEEN)


def test_what_public_has_everybody_has(someone: Someone, run: Run) -> None:
    run("GRANT SELECT ON TABLE T TO ROLE PUBLIC")
    assert someone.run("SELECT N FROM T") == []
    run("REVOKE SELECT ON TABLE T FROM ROLE PUBLIC")
    someone.is_refused("SELECT N FROM T", UNSEEN)


def test_an_administrator_has_no_part_in_what_lies_outside_the_hierarchy(
    someone: Someone, run: Run, connection: Any
) -> None:
    someone.may(f"CREATE TABLE ON SCHEMA {connection.schema}")
    someone.run("CREATE TABLE OUTSIDE (N NUMBER)")
    run("USE SECONDARY ROLES NONE")
    with pytest.raises(snowflake.connector.ProgrammingError, match="Insufficient privileges to operate on table"):
        run("SELECT * FROM OUTSIDE")
    run(f"GRANT ROLE {someone.role} TO ROLE SYSADMIN")
    assert run("SELECT * FROM OUTSIDE") == []


def test_secondary_roles_add_everything_but_creation(someone: Someone, run: Run, connection: Any, other: str) -> None:
    run(f"GRANT CREATE TABLE ON SCHEMA {connection.schema} TO ROLE {other}")
    run(f"GRANT SELECT, INSERT ON TABLE T TO ROLE {other}")
    run(f"GRANT ROLE {other} TO USER ADMIN")
    someone.is_refused("INSERT INTO T VALUES (1)", UNSEEN)
    someone.run("USE SECONDARY ROLES ALL")
    someone.run("INSERT INTO T VALUES (1)")
    someone.is_refused("CREATE TABLE X (N NUMBER)", FORBIDDEN)


def test_a_login_starts_with_all_secondary_roles_unless_its_user_has_none(run: Run, account: Warehouse) -> None:
    run("CREATE OR REPLACE USER PLAIN PASSWORD = 'of-a-test'")
    run("GRANT ROLE SYSADMIN TO USER PLAIN")
    for setting, sees in ((None, True), ("()", False), ("('ALL')", True)):
        if setting:
            run(f"ALTER USER PLAIN SET DEFAULT_SECONDARY_ROLES = {setting}")
        with account.connect(user="PLAIN", password="of-a-test") as plain, plain.cursor() as cursor:
            cursor.execute("SELECT CURRENT_ROLE()")
            assert cursor.fetchall() == [("PUBLIC",)]
            run("GRANT USAGE ON WAREHOUSE WH TO ROLE SYSADMIN")
            cursor.execute("SHOW WAREHOUSES LIKE 'WH'")
            assert bool(cursor.fetchall()) is sees
    run("REVOKE USAGE ON WAREHOUSE WH FROM ROLE SYSADMIN")
    run("DROP USER PLAIN")


# --- who may grant


def test_only_who_owns_or_manages_grants_or_has_the_option_grants(someone: Someone, run: Run, other: str) -> None:
    sql = f"GRANT SELECT ON TABLE T TO ROLE {other}"
    someone.is_refused(sql, UNSEEN)
    someone.may("SELECT ON TABLE T")
    someone.is_refused(sql, FORBIDDEN, "table 'T'")
    run(f"GRANT SELECT ON TABLE T TO ROLE {someone.role} WITH GRANT OPTION")
    someone.run(sql)
    someone.is_refused(f"GRANT INSERT ON TABLE T TO ROLE {other}", FORBIDDEN)
    someone.may("MANAGE GRANTS ON ACCOUNT")
    someone.run(f"GRANT INSERT ON TABLE T TO ROLE {other}")
    someone.run(f"REVOKE SELECT ON TABLE T FROM ROLE {other}")


def test_privileges_on_the_account_are_granted_by_who_manages_grants(someone: Someone, run: Run, other: str) -> None:
    someone.is_refused(f"GRANT EXECUTE TASK ON ACCOUNT TO ROLE {other}", (3102,), "Grant not executed")
    run(f"GRANT EXECUTE TASK ON ACCOUNT TO ROLE {someone.role} WITH GRANT OPTION")
    someone.run(f"GRANT EXECUTE TASK ON ACCOUNT TO ROLE {other}")


def test_a_role_is_granted_by_its_owner(someone: Someone, run: Run, other: str) -> None:
    run("CREATE OR REPLACE USER MEMBER")
    someone.is_refused(f"GRANT ROLE {other} TO USER MEMBER", FORBIDDEN, f"role '{other}'")
    run(f"GRANT OWNERSHIP ON ROLE {other} TO ROLE {someone.role} COPY CURRENT GRANTS")
    someone.run(f"GRANT ROLE {other} TO USER MEMBER")
    someone.run(f"REVOKE ROLE {other} FROM USER MEMBER")
    run("USE ROLE SECURITYADMIN")
    run(f"GRANT ROLE {other} TO USER MEMBER")
    run("USE ROLE ACCOUNTADMIN")
    run("DROP USER MEMBER")


def test_in_a_managed_access_schema_the_schemas_owner_grants(
    someone: Someone, run: Run, connection: Any, other: str
) -> None:
    place = connection.schema
    run(f"CREATE SCHEMA MANAGED_{someone.role} WITH MANAGED ACCESS")
    managed = f"TESTS.MANAGED_{someone.role}"
    someone.may(f"USAGE, CREATE TABLE ON SCHEMA {managed}")
    someone.run(f"CREATE TABLE {managed}.OF_MINE (N NUMBER)")
    grant = f"GRANT SELECT ON TABLE {managed}.OF_MINE TO ROLE {other}"
    someone.is_refused(grant, FORBIDDEN)
    run(grant)
    run(f"DROP SCHEMA {managed}")
    run(f"USE SCHEMA TESTS.{place}")


# --- ownership


def test_ownership_moves_only_with_a_word_about_what_was_granted(someone: Someone, run: Run, other: str) -> None:
    move = f"GRANT OWNERSHIP ON TABLE T TO ROLE {someone.role}"
    run(f"GRANT SELECT ON TABLE T TO ROLE {other}")
    with pytest.raises(snowflake.connector.ProgrammingError, match="Dependent grant"):
        run(move)
    run(f"{move} COPY CURRENT GRANTS")
    assert [row[1] for row in run(f"SHOW GRANTS TO ROLE {other}")] == ["SELECT"]
    someone.run("INSERT INTO T VALUES (1)")
    run(f"GRANT OWNERSHIP ON TABLE T TO ROLE {other} REVOKE CURRENT GRANTS")
    assert [row[1] for row in run(f"SHOW GRANTS TO ROLE {other}")] == ["OWNERSHIP"]
    someone.is_refused("SELECT * FROM T", UNSEEN)


def test_ownership_is_given_by_the_owner_alone(someone: Someone, other: str) -> None:
    someone.may("SELECT, INSERT ON TABLE T")
    someone.is_refused(f"GRANT OWNERSHIP ON TABLE T TO ROLE {other}", FORBIDDEN)


def test_a_task_that_changes_hands_is_suspended(someone: Someone, run: Run) -> None:
    run("CREATE TASK X WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 1")
    run("ALTER TASK X RESUME")
    run(f"GRANT OWNERSHIP ON TASK X TO ROLE {someone.role}")
    assert someone.names("SHOW TASKS", "state") == ["suspended"]


# --- future grants, replaced and dropped objects


def test_future_grants_hold_for_new_objects_only(someone: Someone, run: Run, connection: Any) -> None:
    someone.may(f"SELECT ON FUTURE TABLES IN SCHEMA {connection.schema}")
    someone.is_refused("SELECT N FROM T", UNSEEN)
    run("CREATE TABLE NEW_ONE (N NUMBER)")
    assert someone.run("SELECT N FROM NEW_ONE") == []
    someone.may_no_longer(f"SELECT ON FUTURE TABLES IN SCHEMA {connection.schema}")
    assert someone.run("SELECT N FROM NEW_ONE") == []
    run("CREATE TABLE NEWER_ONE (N NUMBER)")
    someone.is_refused("SELECT N FROM NEWER_ONE", UNSEEN)


def test_future_grants_on_a_schema_make_those_on_its_database_void(someone: Someone, run: Run, connection: Any) -> None:
    someone.may("SELECT ON FUTURE VIEWS IN DATABASE TESTS", f"REFERENCES ON FUTURE VIEWS IN SCHEMA {connection.schema}")
    run("CREATE VIEW V AS SELECT 1 AS N")
    someone.is_refused("SELECT N FROM V", FORBIDDEN)
    someone.may_no_longer("SELECT ON FUTURE VIEWS IN DATABASE TESTS")


def test_future_grants_need_manage_grants(someone: Someone, connection: Any, other: str) -> None:
    sql = f"GRANT SELECT ON FUTURE TABLES IN SCHEMA {connection.schema} TO ROLE {other}"
    someone.is_refused(sql, FORBIDDEN, "schema")
    someone.may("MANAGE GRANTS ON ACCOUNT")
    someone.run(sql)


def test_all_grants_reach_every_object_that_is_there(someone: Someone, run: Run, connection: Any) -> None:
    run("CREATE TABLE U (N NUMBER)")
    someone.may(f"SELECT ON ALL TABLES IN SCHEMA {connection.schema}")
    assert someone.run("SELECT T.N FROM T JOIN U ON T.N = U.N") == []


def test_a_replaced_table_is_closed_again(someone: Someone, run: Run) -> None:
    someone.may("SELECT ON TABLE T")
    run("CREATE OR REPLACE TABLE T (N NUMBER)")
    someone.is_refused("SELECT N FROM T", UNSEEN)


def test_a_schema_made_again_has_none_of_its_old_grants(someone: Someone, run: Run, connection: Any) -> None:
    place, schema = connection.schema, f"TESTS.AGAIN_{someone.role}"
    for _ in range(2):
        run(f"CREATE SCHEMA {schema}")
        run("CREATE TABLE T (N NUMBER)")
        someone.is_refused(f"SELECT N FROM {schema}.T", UNSEEN)
        someone.may(f"USAGE ON SCHEMA {schema}", f"SELECT ON TABLE {schema}.T")
        assert someone.run(f"SELECT N FROM {schema}.T") == []
        run(f"USE SCHEMA TESTS.{place}")
        run(f"DROP SCHEMA {schema}")


def test_show_grants_on_what_is_unseen_is_refused(someone: Someone) -> None:
    someone.is_refused("SHOW GRANTS ON TABLE T", UNSEEN)
    someone.may("SELECT ON TABLE T")
    assert someone.run("SHOW GRANTS ON TABLE T")


def test_future_grants_are_shown_by_place_and_by_role(someone: Someone, connection: Any) -> None:
    place = f"TESTS.{connection.schema}"
    someone.may(f"SELECT ON FUTURE TABLES IN SCHEMA {place}", "MANAGE GRANTS ON ACCOUNT")
    columns = ["created_on", "privilege", "grant_on", "name", "grant_to", "grantee_name", "grant_option"]
    expected = ["SELECT", "TABLE", f"{place}.<TABLE>", "ROLE", someone.role, "false"]
    for what in (f"IN SCHEMA {place}", f"TO ROLE {someone.role}"):
        with someone.connection.cursor() as cursor:
            rows = cursor.execute(f"SHOW FUTURE GRANTS {what}").fetchall()
            assert [column[0] for column in cursor.description] == columns
        assert [list(row[1:]) for row in rows] == [expected]
    assert someone.run("SHOW FUTURE GRANTS IN DATABASE TESTS") == []
