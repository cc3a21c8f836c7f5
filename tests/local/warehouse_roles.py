"""Roles of a test's own in the Snowflake stand-in, each with a session in which no other role counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector

Run = Callable[..., list[tuple[Any, ...]]]
UNSEEN = (2003, 2043)  # "does not exist or not authorized"
FORBIDDEN = (3001,)  # "Insufficient privileges to operate on"
_numbers = itertools.count(1)


class Someone:
    """A role, and a session of ADMIN in it without secondary roles."""

    def __init__(self, administer: Run, connect: Callable[..., snowflake.connector.SnowflakeConnection]) -> None:
        self.role = f"SOMEONE_{next(_numbers)}"
        self._administer = administer
        administer(f"CREATE ROLE {self.role}")
        administer(f"GRANT ROLE {self.role} TO USER ADMIN")
        self.connection = connect(role=self.role, paramstyle="qmark")
        self.run("USE SECONDARY ROLES NONE")

    def may(self, *grants: str) -> Someone:
        """Grant, as the administrator: `SELECT ON TABLE T`."""
        for grant in grants:
            self._administer(f"GRANT {grant} TO ROLE {self.role}")
        return self

    def may_no_longer(self, grant: str) -> None:
        """Revoke, as the administrator."""
        self._administer(f"REVOKE {grant} FROM ROLE {self.role}")

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def names(self, sql: str, column: str = "name") -> list[Any]:
        """One column of a SHOW."""
        with self.connection.cursor(snowflake.connector.DictCursor) as cursor:
            return [row[column] for row in cursor.execute(sql).fetchall()]

    def is_refused(self, sql: str, numbers: tuple[int, ...], match: str | None = None) -> None:
        """Assert that the statement fails with one of these numbers, in these words."""
        with pytest.raises(snowflake.connector.ProgrammingError, match=match) as caught:
            self.run(sql)
        assert caught.value.errno in numbers, caught.value
