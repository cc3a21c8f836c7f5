"""Who may create, change, drop, use, call and see objects in the stand-in, and whose rights programs and tasks have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from warehouse_roles import FORBIDDEN, UNSEEN, Someone

Run = Callable[..., list[tuple[Any, ...]]]

PYTHON = "LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'run'"
SNOWPARK = "PACKAGES = ('snowflake-snowpark-python')"
RULE = "NETWORK RULE R MODE = EGRESS TYPE = HOST_PORT VALUE_LIST = ('api.example.com')"
CREATED = {
    "TABLE": "TABLE X (N NUMBER)",
    "VIEW": "VIEW X AS SELECT 1 AS N",
    "SEQUENCE": "SEQUENCE X",
    "NETWORK RULE": RULE,
    "SECRET": "SECRET X TYPE = GENERIC_STRING SECRET_STRING = 'x'",
    "PROCEDURE": f"PROCEDURE X() RETURNS NUMBER {PYTHON} {SNOWPARK} AS $$\ndef run(session):\n    return 1\n$$",
    "FUNCTION": f"FUNCTION X() RETURNS NUMBER {PYTHON} AS $$\ndef run():\n    return 1\n$$",
    "TASK": "TASK X WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 1",
}


# --- CREATE


@pytest.mark.parametrize("kind", CREATED)
def test_each_kind_needs_its_own_privilege_to_be_created(someone: Someone, connection: Any, kind: str) -> None:
    sql = f"CREATE {CREATED[kind]}"
    schema = f"SCHEMA TESTS.{connection.schema}"
    others = [other for other in CREATED if other != kind]
    someone.may(f"{', '.join(f'CREATE {other}' for other in others)} ON {schema}")
    someone.is_refused(sql, FORBIDDEN, f"operate on schema '{connection.schema}'")
    someone.may(f"CREATE {kind} ON {schema}")
    someone.run(sql)


def test_what_one_creates_belongs_to_the_current_role(someone: Someone, connection: Any) -> None:
    someone.may(f"CREATE TABLE ON SCHEMA {connection.schema}")
    someone.run("CREATE TABLE X (N NUMBER)")
    assert someone.names("SHOW TABLES LIKE 'X'", "owner") == [someone.role]
    someone.run("INSERT INTO X VALUES (1)")
    someone.run("ALTER TABLE X ADD COLUMN M NUMBER")
    someone.run("DROP TABLE X")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE DATABASE NOT_MADE",
        "CREATE WAREHOUSE NOT_MADE",
        "CREATE ROLE NOT_MADE",
        "CREATE USER NOT_MADE",
        "CREATE API INTEGRATION NOT_MADE API_PROVIDER = aws_api_gateway ENABLED = TRUE "
        "API_AWS_ROLE_ARN = 'arn:aws:iam::111122223333:role/r' API_ALLOWED_PREFIXES = ('https://a.example.com/')",
    ],
)
def test_objects_of_the_account_need_a_privilege_on_the_account(someone: Someone, sql: str) -> None:
    someone.is_refused(sql, FORBIDDEN, "operate on account")


def test_each_system_role_creates_what_is_its_own(run: Run) -> None:
    made = {"SYSADMIN": "WAREHOUSE BY_SYSADMIN", "USERADMIN": "ROLE BY_USERADMIN", "SECURITYADMIN": "USER BY_SECURITY"}
    run("USE SECONDARY ROLES NONE")
    for role, what in made.items():
        run(f"USE ROLE {role}")
        run(f"CREATE {what}")
    run("USE ROLE USERADMIN")
    with pytest.raises(Exception, match="Insufficient privileges to operate on account"):
        run("CREATE WAREHOUSE BY_USERADMIN")
    run("USE ROLE ACCOUNTADMIN")
    run("ALTER WAREHOUSE BY_SYSADMIN SUSPEND")
    for what in made.values():
        run(f"DROP {what}")


def test_a_schema_needs_create_schema_on_its_database(someone: Someone) -> None:
    someone.is_refused(f"CREATE SCHEMA OF_{someone.role}", FORBIDDEN, "operate on database 'TESTS'")
    someone.may("CREATE SCHEMA ON DATABASE TESTS")
    someone.run(f"CREATE SCHEMA OF_{someone.role}")
    someone.run("CREATE TABLE X (N NUMBER)")
    someone.run(f"DROP SCHEMA OF_{someone.role}")


def test_create_or_replace_needs_ownership_of_what_it_replaces(someone: Someone, run: Run, connection: Any) -> None:
    run("CREATE TABLE X (N NUMBER)")
    run("CREATE SECRET Y TYPE = GENERIC_STRING SECRET_STRING = 'x'")
    someone.may(f"CREATE TABLE, CREATE SECRET ON SCHEMA {connection.schema}", "SELECT ON TABLE X", "READ ON SECRET Y")
    someone.is_refused("CREATE OR REPLACE TABLE X (M NUMBER)", FORBIDDEN, "table 'X'")
    someone.is_refused("CREATE OR REPLACE SECRET Y TYPE = GENERIC_STRING SECRET_STRING = 'z'", FORBIDDEN, "secret 'Y'")


def test_a_stream_is_made_only_on_a_table_that_may_be_read(someone: Someone, run: Run, connection: Any) -> None:
    run("CREATE TABLE T (N NUMBER)")
    someone.may(f"CREATE STREAM ON SCHEMA {connection.schema}")
    someone.is_refused("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE", UNSEEN)
    someone.may("SELECT ON TABLE T")
    someone.run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE")


def test_what_an_external_access_integration_names_must_be_usable(someone: Someone, run: Run, connection: Any) -> None:
    run(f"CREATE {RULE}")
    run("CREATE SECRET TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'x'")
    name = f"OUT_{someone.role}"
    sql = (
        f"CREATE EXTERNAL ACCESS INTEGRATION {name} ALLOWED_NETWORK_RULES = (R) "
        "ALLOWED_AUTHENTICATION_SECRETS = (TOKEN) ENABLED = TRUE"
    )
    someone.may("CREATE INTEGRATION ON ACCOUNT")
    someone.is_refused(sql, UNSEEN, "Network rule")
    someone.may("USAGE ON NETWORK RULE R")
    someone.is_refused(sql, UNSEEN, "Secret")
    someone.may("READ ON SECRET TOKEN")
    someone.run(sql)
    run(f"DROP INTEGRATION {name}")


def test_a_function_that_goes_out_needs_its_integration_and_its_secret(
    someone: Someone, run: Run, connection: Any
) -> None:
    run(f"CREATE {RULE}")
    run("CREATE SECRET TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'x'")
    name = f"OUT_OF_{someone.role}"
    run(
        f"CREATE EXTERNAL ACCESS INTEGRATION {name} ALLOWED_NETWORK_RULES = (R) "
        "ALLOWED_AUTHENTICATION_SECRETS = (TOKEN) ENABLED = TRUE"
    )
    sql = (
        f"CREATE FUNCTION F() RETURNS NUMBER {PYTHON} EXTERNAL_ACCESS_INTEGRATIONS = ({name}) "
        "SECRETS = ('token' = TOKEN) AS $$\ndef run():\n    return 1\n$$"
    )
    someone.may(f"CREATE FUNCTION ON SCHEMA {connection.schema}")
    someone.is_refused(sql, UNSEEN, "Integration")
    someone.may(f"USAGE ON INTEGRATION {name}")
    someone.is_refused(sql, UNSEEN, "Secret")
    someone.may("READ ON SECRET TOKEN")
    someone.run(sql)
    run(f"DROP INTEGRATION {name}")


# --- ALTER, DROP, COMMENT, USE


def test_ddl_on_an_object_is_its_owners(someone: Someone, run: Run) -> None:
    run("CREATE TABLE X (N NUMBER)")
    for sql in ("DROP TABLE X", "ALTER TABLE X ADD COLUMN M NUMBER", "COMMENT ON TABLE X IS 'mine'"):
        someone.is_refused(sql, UNSEEN)
    someone.may("SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLE X")
    for sql in ("DROP TABLE X", "ALTER TABLE X ADD COLUMN M NUMBER", "COMMENT ON TABLE X IS 'mine'"):
        someone.is_refused(sql, FORBIDDEN)


def test_if_exists_says_nothing_about_what_is_unseen(someone: Someone, run: Run) -> None:
    run("CREATE TABLE X (N NUMBER)")
    run("CREATE SECRET Y TYPE = GENERIC_STRING SECRET_STRING = 'x'")
    someone.run("DROP TABLE IF EXISTS X")
    someone.run("DROP SECRET IF EXISTS Y")
    someone.run("ALTER SECRET IF EXISTS Y SET COMMENT = 'x'")
    assert run("SHOW TABLES LIKE 'X'")
    assert run("SHOW SECRETS LIKE 'Y'")


def test_a_warehouse_is_operated_modified_and_used_by_different_privileges(someone: Someone, run: Run) -> None:
    name = f"WH_{someone.role}"
    run(f"CREATE WAREHOUSE {name}")
    someone.is_refused(f"ALTER WAREHOUSE {name} SUSPEND", UNSEEN)
    someone.may(f"OPERATE ON WAREHOUSE {name}")
    someone.run(f"ALTER WAREHOUSE {name} SUSPEND")
    someone.is_refused(f"ALTER WAREHOUSE {name} SET AUTO_SUSPEND = 60", FORBIDDEN)
    someone.is_refused(f"USE WAREHOUSE {name}", FORBIDDEN)
    someone.may(f"MODIFY, USAGE ON WAREHOUSE {name}")
    someone.run(f"ALTER WAREHOUSE {name} SET AUTO_SUSPEND = 60")
    someone.run(f"USE WAREHOUSE {name}")
    someone.is_refused(f"DROP WAREHOUSE {name}", FORBIDDEN)
    run(f"DROP WAREHOUSE {name}")


def test_a_user_is_altered_by_its_owner_and_a_little_by_itself(someone: Someone, run: Run) -> None:
    user = f"USER_{someone.role}"
    run(f"CREATE USER {user}")
    someone.is_refused(f"ALTER USER {user} SET COMMENT = 'x'", UNSEEN)
    someone.run("ALTER USER ADMIN SET DEFAULT_NAMESPACE = 'TESTS'")
    someone.is_refused("ALTER USER ADMIN SET EMAIL = 'a@example.com'", FORBIDDEN)
    run("ALTER USER ADMIN UNSET DEFAULT_NAMESPACE")
    run(f"GRANT OWNERSHIP ON USER {user} TO ROLE {someone.role}")
    someone.run(f"ALTER USER {user} SET COMMENT = 'x'")
    someone.run(f"DROP USER {user}")


def test_databases_and_schemas_that_one_has_no_part_in_cannot_be_used(someone: Someone, run: Run) -> None:
    schema = f"CLOSED_{someone.role}"
    place = run("SELECT CURRENT_SCHEMA()")[0][0]
    run(f"CREATE SCHEMA TESTS.{schema}")
    run(f"USE SCHEMA TESTS.{place}")
    someone.is_refused(f"USE SCHEMA TESTS.{schema}", UNSEEN)
    someone.may(f"CREATE VIEW ON SCHEMA TESTS.{schema}")
    someone.run(f"USE SCHEMA TESTS.{schema}")


# --- SHOW, DESC, GET_DDL


def test_show_lists_only_what_one_has_a_privilege_on(someone: Someone, run: Run, connection: Any) -> None:
    for kind in ("TABLE", "VIEW", "SECRET", "NETWORK RULE", "PROCEDURE", "TASK"):
        run(f"CREATE {CREATED[kind].replace(' X', f' {kind[:4]}_X')}")
    for plural in ("TABLES", "VIEWS", "SECRETS", "NETWORK RULES", "PROCEDURES", "TASKS"):
        assert someone.names(f"SHOW {plural} IN SCHEMA TESTS.{connection.schema}") == []
    someone.may("REFERENCES ON TABLE TABL_X", "MONITOR ON TASK TASK_X")
    assert someone.names("SHOW TABLES") == ["TABL_X"]
    assert someone.names("SHOW TASKS") == ["TASK_X"]
    assert someone.names("SHOW SCHEMAS IN DATABASE TESTS") == [connection.schema]
    assert set(someone.names("SHOW WAREHOUSES")) == {"WH"}


def test_whoever_manages_grants_sees_every_object_and_uses_none(someone: Someone, run: Run) -> None:
    run("CREATE TABLE X (N NUMBER)")
    someone.may("MANAGE GRANTS ON ACCOUNT")
    assert someone.names("SHOW TABLES") == ["X"]
    someone.is_refused("SELECT * FROM X", FORBIDDEN)


def test_desc_and_get_ddl_need_a_privilege(someone: Someone, run: Run, connection: Any) -> None:
    run("CREATE VIEW V AS SELECT 1 AS N")
    run("CREATE SECRET Y TYPE = GENERIC_STRING SECRET_STRING = 'x'")
    ddl = f"SELECT GET_DDL('VIEW', 'TESTS.{connection.schema}.V')"
    for sql in ("DESC VIEW V", "DESC SECRET Y", ddl):
        someone.is_refused(sql, UNSEEN)
    someone.may("SELECT ON VIEW V", "READ ON SECRET Y")
    for sql in ("DESC VIEW V", "DESC SECRET Y", ddl):
        assert someone.run(sql)


@pytest.mark.parametrize(
    ("view", "column"),
    [("TABLES", "TABLE_NAME"), ("VIEWS", "TABLE_NAME"), ("COLUMNS", "TABLE_NAME"), ("SCHEMATA", "SCHEMA_NAME")],
)
def test_the_information_schema_tells_only_of_what_one_may_see(
    someone: Someone, run: Run, connection: Any, view: str, column: str
) -> None:
    run("CREATE TABLE INFORMATION_TABLE (N NUMBER)")
    run("CREATE VIEW INFORMATION_VIEW AS SELECT 1 AS N")
    place = connection.schema
    run(f"CREATE SCHEMA INFORMATION_{place}")
    run(f"USE SCHEMA TESTS.{place}")
    sql = f"SELECT COUNT(*) > 0 FROM INFORMATION_SCHEMA.{view} I WHERE I.{column} LIKE 'INFORMATION_%'"
    sql += " AND I.SCHEMA_NAME <> 'INFORMATION_SCHEMA'" if view == "SCHEMATA" else ""
    assert someone.run(sql) == [(False,)]
    someone.may("SELECT ON TABLE INFORMATION_TABLE", "SELECT ON VIEW INFORMATION_VIEW")
    someone.may(f"USAGE ON SCHEMA INFORMATION_{place}")
    assert someone.run(sql) == [(True,)]
