"""Both databases of the conflict updater, the visits in them, and runs over them."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from conflict_updater.conflict_maps import ConflictMaps
from conflict_updater.settings import Settings
from conflict_updater.stopping import Stop
from conflict_updater.update import Outcome, Update
from conflict_updater.visits import Visits
from local.postgres import Postgres
from snowgate.lambdas.snowflake_deployer.statements import split
from tests.local.warehouse_server import Warehouse

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "conflict_updater" / "snowflake_tables.sql"
TODAY = datetime.datetime.combine(datetime.datetime.now(datetime.UTC).date(), datetime.time())
KEY = '"VisitID", "ConVisitID"'


def at(hours: float) -> datetime.datetime:
    """A time, counted from this day's midnight."""
    return TODAY + datetime.timedelta(hours=hours)


@dataclass(frozen=True)
class Visit:
    """A row of VISITS; `age` is the hours since it was changed."""

    id: str
    ssn: str | None
    start: datetime.datetime | None
    end: datetime.datetime | None
    status: str | None = "SCHEDULED"
    age: float = 1
    agency: str | None = "A"
    patient: str | None = "P"


class Row(NamedTuple):
    """A row of conflictvisitmaps without its key and its dates."""

    ssn: str
    agencies: tuple[str | None, str | None]
    patients: tuple[str | None, str | None]
    times: tuple[datetime.datetime, ...]
    flag: str


Rows = dict[tuple[str, str], Row]


@dataclass(frozen=True)
class World:
    """The Snowflake stand-in with the updater's user, and PostgreSQL."""

    warehouse: Warehouse
    postgres: Postgres
    _sessions: dict[tuple[tuple[str, str], ...], tuple[Settings, Visits]] = field(default_factory=dict)

    @cached_property
    def private_key(self) -> rsa.RSAPrivateKey:
        """The key of the updater's user."""
        return rsa.generate_private_key(65537, 2048)

    @property
    def pem(self) -> str:
        """The key, as it lies in Secrets Manager."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def environment(self) -> dict[str, str]:
        """The container's variables."""
        return {
            "SNOWFLAKE_ACCOUNT": "LOCAL",
            "SNOWFLAKE_USER": "UPDATER",
            "SNOWFLAKE_WAREHOUSE": "UPDATER_WH",
            "SNOWFLAKE_PRIVATE_KEY": self.pem,
            "SNOWFLAKE_DATABASE": "CARE",
            "SNOWFLAKE_SCHEMA": "PUBLIC",
            "SNOWFLAKE_ROLE": "UPDATER",
            "SNOWFLAKE_HOST": "127.0.0.1",
            "SNOWFLAKE_PORT": str(self.warehouse.port),
            "SNOWFLAKE_PROTOCOL": "http",
            "POSTGRES_HOST": self.postgres.host,
            "POSTGRES_PORT": str(self.postgres.port),
            "POSTGRES_USER": self.postgres.user,
            "POSTGRES_PASSWORD": self.postgres.password,
            "POSTGRES_SSLMODE": "disable",
        }

    @cached_property
    def administrator(self) -> Any:
        """A session of Snowflake's administrator."""
        import snowflake.connector

        return snowflake.connector.connect(**self.warehouse.login(paramstyle="qmark"))

    def administer(self, sql: str, values: Iterable[Any] = ()) -> None:
        """Run a statement as the administrator."""
        with self.administrator.cursor() as cursor:
            cursor.execute(sql, tuple(values) or None)

    def set_up(self) -> None:
        """Make the tables as the shipped file has them, and a user who may do what that file says."""
        public = self.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        statements = [
            "CREATE DATABASE CARE",
            "CREATE WAREHOUSE UPDATER_WH",
            *(statement.text for statement in split(TABLES.name, TABLES.read_text())),
            "CREATE ROLE UPDATER",
            "GRANT USAGE ON WAREHOUSE UPDATER_WH TO ROLE UPDATER",
            "GRANT USAGE ON DATABASE CARE TO ROLE UPDATER",
            "GRANT USAGE ON SCHEMA CARE.PUBLIC TO ROLE UPDATER",
            "GRANT SELECT ON TABLE CARE.PUBLIC.VISITS TO ROLE UPDATER",
            "GRANT SELECT ON TABLE CARE.PUBLIC.EXCLUDED_SSNS TO ROLE UPDATER",
            f"CREATE USER UPDATER TYPE = SERVICE RSA_PUBLIC_KEY = '{''.join(public.splitlines()[1:-1])}'",
            "GRANT ROLE UPDATER TO USER UPDATER",
        ]
        for statement in statements:
            self.administer(statement)

    def empty(self) -> None:
        """Forget all visits, and all that is on record."""
        self.show([])
        with self.postgres.connect() as session:
            session.execute("DROP SCHEMA IF EXISTS conflict_dev CASCADE")

    def show(self, visits: Iterable[Visit], excluded: Iterable[str] = ()) -> None:
        """Let Snowflake hold these visits and excluded caregivers, and no others."""
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        rows = [
            (
                visit.id,
                visit.ssn,
                visit.agency,
                visit.patient,
                visit.start,
                visit.end,
                visit.status,
                now - datetime.timedelta(hours=visit.age),
            )
            for visit in visits
        ]
        for table, values in (("VISITS", rows), ("EXCLUDED_SSNS", [(ssn,) for ssn in excluded])):
            self.administer(f"DELETE FROM CARE.PUBLIC.{table}")
            if values:
                marks = ", ".join(f"({', '.join('?' * len(value))})" for value in values)
                self.administer(
                    f"INSERT INTO CARE.PUBLIC.{table} VALUES {marks}", (cell for row in values for cell in row)
                )

    def settings(self, **changes: str) -> Settings:
        """The settings of a container with these variables, in small letters."""
        given: dict[str, Any] = {name.lower(): value for name, value in self.environment.items()} | changes
        return Settings(**given)

    def update(self, **changes: str) -> Outcome:
        """Do a run in this process; the session of Snowflake is kept, for a login takes as long as all the rest."""
        kept = tuple(sorted(changes.items()))
        if kept not in self._sessions:
            settings = self.settings(**changes)
            self._sessions[kept] = settings, Visits(settings)
        settings, visits = self._sessions[kept]
        with closing(ConflictMaps(settings)) as maps:
            return Update(settings, visits, maps, Stop()).run()

    def close(self) -> None:
        """End the sessions of Snowflake."""
        for _, visits in self._sessions.values():
            visits.close()
        self.administrator.close()

    def run(self, **changes: str) -> subprocess.CompletedProcess[str]:
        """Do a run as the container does, a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "conflict_updater"],
            env=self.process_environment(**changes),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def process_environment(self, **changes: str) -> Mapping[str, str]:
        """The variables of a process."""
        return {"PATH": os.environ["PATH"]} | self.environment | changes

    def rows(self) -> Rows:
        """What is on record."""
        found = self.select(
            f'{KEY}, "SSN", "AgencyID", "ConAgencyID", "PatientID", "ConPatientID", "VisitStartTime", "VisitEndTime", '
            '"ConVisitStartTime", "ConVisitEndTime", "StatusFlag"'
        )
        return {
            (row[0], row[1]): Row(row[2], (row[3], row[4]), (row[5], row[6]), tuple(row[7:11]), row[11])
            for row in found
        }

    def open_pairs(self) -> set[tuple[str, str]]:
        """The pairs that are on record as conflicts."""
        return {pair for pair, row in self.rows().items() if row.flag != "R"}

    def moments(self) -> dict[tuple[str, str], tuple[datetime.datetime, datetime.datetime]]:
        """When each pair was made and when it was changed."""
        return {(row[0], row[1]): (row[2], row[3]) for row in self.select(f'{KEY}, "CreatedDate", "UpdatedDate"')}

    def select(self, columns: str) -> list[tuple[Any, ...]]:
        """Columns of all rows on record."""
        with self.postgres.connect() as session:
            try:
                return session.execute(
                    f"SELECT {columns} FROM conflict_dev.conflictvisitmaps ORDER BY {KEY}"
                ).fetchall()
            except psycopg.errors.UndefinedTable:
                return []

    def change(self, sql: str, *values: Any) -> None:
        """Change what is on record by hand."""
        with self.postgres.connect() as session:
            session.execute(sql, values)
