"""What the systems beside the report service need after the deploy, and what somebody else brings on AWS.

The conflict updater's logins, with a Snowflake user and a PostgreSQL role behind them, visits to compare; and the
weather stations' files.
"""

from __future__ import annotations

import json
import secrets

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg import sql

from local.platform import SNOWFLAKE_ACCOUNT, Platform
from local.postgres import Postgres
from local.processes import ROOT

STATIONS = ROOT / "weather" / "wx_data"
CARE, CARE_USER, CONFLICTS = "CARE_DB", "CONFLICT_UPDATER", "conflicts"
# 200 caregivers with two visits a day, from a week ago on; each fifth one's first lasts into the second.
VISITS = """
INSERT INTO VISITS (VISIT_ID, SSN, AGENCY_ID, PATIENT_ID, START_AT, END_AT, STATUS)
SELECT 'V' || N, 'S' || MOD(N, 200), 'A' || MOD(N, 7), 'P' || MOD(N, 300),
    START_AT, DATEADD(minute, IFF(MOD(N, 5) = 0, 180, 60), START_AT), 'CONFIRMED'
FROM (
    SELECT N,
        DATEADD(hour, 8 + 2 * MOD(FLOOR(N / 200), 2), DATEADD(day, FLOOR(N / 400) - 7, DATE_TRUNC('day', SYSDATE())))
            AS START_AT
    FROM (SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => 5000)))
)"""


def prepare(platform: Platform) -> None:
    """Bring it to the systems that the environment has; what is there already is left as it is."""
    if "weather_warehouse" in platform.environment.tables:
        _bring_stations(platform)
    if "conflict_updater" in platform.environment.tables:
        _bring_visits(platform)


def _bring_visits(platform: Platform) -> None:
    outputs = platform.outputs("ConflictUpdater")
    manager = platform.client("secretsmanager")
    logins = (
        (outputs["SnowflakeSecretArn"], CARE_USER, _make_snowflake_user),
        (outputs["PostgresSecretArn"], CONFLICTS, _make_postgres_role),
    )
    for arn, user, make in logins:
        if json.loads(manager.get_secret_value(SecretId=arn)["SecretString"])["user"] != user:
            manager.put_secret_value(SecretId=arn, SecretString=json.dumps(make(platform)))


def _bring_stations(platform: Platform) -> None:
    s3, bucket = platform.client("s3"), platform.outputs("WeatherWarehouse")["BucketName"]
    for file in sorted(STATIONS.glob("*.txt")):
        s3.upload_file(str(file), bucket, f"wx_data/{file.name}")


def _make_snowflake_user(platform: Platform) -> dict[str, str]:
    """A service user with a key pair that may read the visits, and its login."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    warehouse = platform.environment.warehouse
    tables = (ROOT / "conflict_updater" / "snowflake_tables.sql").read_text()
    grants = f"""
        CREATE ROLE IF NOT EXISTS {CARE_USER};
        CREATE USER IF NOT EXISTS {CARE_USER} TYPE = SERVICE DEFAULT_ROLE = {CARE_USER}
            RSA_PUBLIC_KEY = '{"".join(public.decode().splitlines()[1:-1])}';
        GRANT ROLE {CARE_USER} TO USER {CARE_USER};
        GRANT USAGE ON WAREHOUSE {warehouse} TO ROLE {CARE_USER};
        GRANT USAGE ON DATABASE {CARE} TO ROLE {CARE_USER};
        GRANT USAGE ON SCHEMA {CARE}.PUBLIC TO ROLE {CARE_USER};
        GRANT SELECT ON TABLE {CARE}.PUBLIC.VISITS TO ROLE {CARE_USER};
        GRANT SELECT ON TABLE {CARE}.PUBLIC.EXCLUDED_SSNS TO ROLE {CARE_USER};"""
    with platform.connect(database=None, schema=None) as connection:
        place = f"CREATE DATABASE IF NOT EXISTS {CARE}; USE SCHEMA {CARE}.PUBLIC;"
        for text in (place, tables, f"{VISITS};", grants):
            for cursor in connection.execute_string(text, remove_comments=True):
                cursor.close()
    return {
        "account": SNOWFLAKE_ACCOUNT,
        "user": CARE_USER,
        "warehouse": warehouse,
        "private_key": private.decode(),
    }


def _make_postgres_role(platform: Platform) -> dict[str, str]:
    """A role with a database of its own, and its login; the port is the platform's."""
    server = Postgres(platform.connection["postgres"], platform.connection["password"])
    password = secrets.token_urlsafe(16)
    name = sql.Identifier(CONFLICTS)
    with server.connect() as session:
        session.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
    return {"host": server.host, "user": CONFLICTS, "password": password}
