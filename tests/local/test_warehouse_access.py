"""Logins, users, roles and grants."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from warehouse_server import Warehouse

Run = Callable[..., list[tuple[Any, ...]]]


def _key_pair() -> tuple[bytes, str]:
    """(private key in DER, public key in base64)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, base64.b64encode(public).decode()


def _as_service(account: Warehouse, user: str, private_key: bytes, **options: Any) -> dict[str, Any]:
    login = account.login(user=user, authenticator="SNOWFLAKE_JWT", private_key=private_key, **options)
    del login["password"]
    return login


def test_a_wrong_password_or_an_unknown_user_is_refused(account: Warehouse) -> None:
    for options in ({"password": "wrong"}, {"user": "NOBODY"}):
        with pytest.raises(snowflake.connector.DatabaseError, match="Incorrect username or password"):
            snowflake.connector.connect(**account.login(**options))


def test_a_service_user_logs_in_with_either_of_its_two_keys(account: Warehouse, run: Run) -> None:
    (first, first_public), (second, second_public), (other, _) = _key_pair(), _key_pair(), _key_pair()
    run("CREATE ROLE IF NOT EXISTS RUNNER")
    run("CREATE OR REPLACE USER SERVICE_ONE TYPE = SERVICE DEFAULT_ROLE = RUNNER DEFAULT_WAREHOUSE = WH")
    run(f"ALTER USER SERVICE_ONE SET RSA_PUBLIC_KEY = '{first_public}'")
    run("GRANT ROLE RUNNER TO USER SERVICE_ONE")
    with snowflake.connector.connect(**_as_service(account, "SERVICE_ONE", first)) as connection:
        who = connection.cursor().execute("SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE()").fetchall()
    assert who == [("SERVICE_ONE", "RUNNER", "WH")]
    run(f"ALTER USER SERVICE_ONE SET RSA_PUBLIC_KEY_2 = '{second_public}'")
    run("ALTER USER SERVICE_ONE UNSET RSA_PUBLIC_KEY")
    snowflake.connector.connect(**_as_service(account, "SERVICE_ONE", second)).close()
    for wrong in (first, other):
        with pytest.raises(snowflake.connector.DatabaseError, match="JWT token is invalid"):
            snowflake.connector.connect(**_as_service(account, "SERVICE_ONE", wrong))


def test_a_role_that_was_not_granted_is_no_login_role(account: Warehouse, run: Run) -> None:
    private, public = _key_pair()
    run("CREATE ROLE IF NOT EXISTS SECRET_ROLE")
    run(f"CREATE OR REPLACE USER SERVICE_TWO TYPE = SERVICE DEFAULT_ROLE = SECRET_ROLE RSA_PUBLIC_KEY = '{public}'")
    with pytest.raises(snowflake.connector.DatabaseError, match="SECRET_ROLE"):
        snowflake.connector.connect(**_as_service(account, "SERVICE_TWO", private, role="SECRET_ROLE"))
    with snowflake.connector.connect(**_as_service(account, "SERVICE_TWO", private)) as connection:
        assert connection.cursor().execute("SELECT CURRENT_ROLE()").fetchall() == [("PUBLIC",)]


def test_a_role_reaches_what_it_has_through_another(run: Run) -> None:
    run("CREATE ROLE IF NOT EXISTS UPPER_ROLE")
    run("CREATE ROLE IF NOT EXISTS LOWER_ROLE")
    run("GRANT ROLE LOWER_ROLE TO ROLE UPPER_ROLE")
    with pytest.raises(snowflake.connector.ProgrammingError):
        run("USE ROLE LOWER_ROLE")
    run("GRANT ROLE UPPER_ROLE TO USER ADMIN")
    run("USE ROLE LOWER_ROLE")
    assert run("SELECT CURRENT_ROLE()") == [("LOWER_ROLE",)]
    run("USE ROLE ACCOUNTADMIN")
    with pytest.raises(snowflake.connector.ProgrammingError, match="cycle"):
        run("GRANT ROLE UPPER_ROLE TO ROLE LOWER_ROLE")


def test_grants_are_shown_and_revoked(run: Run, connection: snowflake.connector.SnowflakeConnection) -> None:
    run("CREATE OR REPLACE ROLE GRANTED")
    run("CREATE TABLE T (N NUMBER)")
    table = f"TESTS.{connection.schema}.T"
    run("GRANT SELECT, UPDATE ON TABLE T TO ROLE GRANTED")
    run("GRANT USAGE, OPERATE ON WAREHOUSE WH TO ROLE GRANTED")
    run("GRANT EXECUTE TASK ON ACCOUNT TO ROLE GRANTED")
    run(f"GRANT CREATE NETWORK RULE, CREATE SECRET ON SCHEMA TESTS.{connection.schema} TO ROLE GRANTED")
    shown = {(row[1], row[2], row[3]) for row in run("SHOW GRANTS TO ROLE GRANTED")}
    assert {("SELECT", "TABLE", table), ("UPDATE", "TABLE", table), ("OPERATE", "WAREHOUSE", "WH")} <= shown
    assert ("EXECUTE TASK", "ACCOUNT", "LOCAL") in shown
    assert {(row[1], row[5]) for row in run("SHOW GRANTS ON TABLE T")} == {
        ("OWNERSHIP", "ACCOUNTADMIN"),
        ("SELECT", "GRANTED"),
        ("UPDATE", "GRANTED"),
    }
    run("REVOKE UPDATE ON TABLE T FROM ROLE GRANTED")
    assert "UPDATE" not in {row[1] for row in run("SHOW GRANTS TO ROLE GRANTED")}


def test_a_replaced_object_loses_its_grants_unless_they_are_copied(run: Run) -> None:
    def privileges() -> list[str]:
        return [row[1] for row in run("SHOW GRANTS TO ROLE VIEWER")]

    run("CREATE OR REPLACE ROLE VIEWER")
    run("CREATE VIEW V AS SELECT 1 AS N")
    run("GRANT SELECT ON VIEW V TO ROLE VIEWER")
    run("CREATE OR REPLACE VIEW V COPY GRANTS AS SELECT 2 AS N")
    assert privileges() == ["SELECT"]
    run("CREATE OR REPLACE VIEW V AS SELECT 3 AS N")
    assert privileges() == []


def test_ownership_moves(run: Run) -> None:
    run("CREATE ROLE IF NOT EXISTS NEW_OWNER")
    run("CREATE TABLE T (N NUMBER)")
    run("GRANT OWNERSHIP ON TABLE T TO ROLE NEW_OWNER COPY CURRENT GRANTS")
    assert [(row[1], row[5]) for row in run("SHOW GRANTS ON TABLE T")] == [("OWNERSHIP", "NEW_OWNER")]


def test_a_session_that_has_ended_is_refused(account: Warehouse) -> None:
    connection = snowflake.connector.connect(**account.login())
    cursor = connection.cursor()
    connection.close()
    with pytest.raises(snowflake.connector.Error):
        cursor.execute("SELECT 1")


def test_secrets_never_come_out(run: Run, account: Warehouse) -> None:
    run("CREATE SECRET TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'do-not-show'")
    shown = [run("SHOW SECRETS"), run("DESC SECRET TOKEN"), account.state()]
    assert "do-not-show" not in str(shown)
