"""The part of Snowpark's session that procedures get: `sql(...).collect()`, `call`, and where it stands.

The rest is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from local.warehouse import egress
from local.warehouse.errors import SnowflakeError, unsupported

if TYPE_CHECKING:
    from local.warehouse.results import Result
    from local.warehouse.session import Session as ServerSession

Execute = Callable[[str, list[Any] | None], "Result"]


class SnowparkSQLException(Exception):  # noqa: N818 - Snowpark's own name
    """What Snowpark raises for a statement that Snowflake refuses."""

    def __init__(self, error: SnowflakeError) -> None:
        super().__init__(f"(1304): {error.query_id}: {error.code} ({error.sqlstate}): {error.message}")
        self.message = error.message
        self.sql_error_code = error.number
        self.sfqid = error.query_id


class Row(tuple[Any, ...]):
    """A row: by position, by column name in any case, as attribute, or whole by `as_dict()`."""

    _names: tuple[str, ...]

    @classmethod
    def of(cls, names: list[str], values: tuple[Any, ...]) -> Row:
        """A row with named values."""
        row = cls(values)
        row._names = tuple(names)
        return row

    def _find(self, name: str) -> int:
        for wanted in (name, name.upper()):
            if wanted in self._names:
                return self._names.index(wanted)
        raise KeyError(name)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._find(key) if isinstance(key, str) else key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return super().__getitem__(self._find(name))
        except KeyError:
            raise AttributeError(f"Row object has no attribute {name}") from None

    def as_dict(self) -> dict[str, Any]:
        """Values by column name."""
        return dict(zip(self._names, self, strict=True))

    asDict = as_dict  # noqa: N815 - Snowpark has both spellings


class _Refusing:
    """Whatever real Snowpark may have and this part has not is refused by name."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{unsupported(f'snowpark {type(self).__name__}.{name}').message}")


class DataFrame(_Refusing):
    """A query that runs when it is collected."""

    def __init__(self, execute: Execute, text: str, params: list[Any] | None) -> None:
        self._execute = execute
        self._text, self._params = text, params

    def collect(self) -> list[Row]:
        """Run it and return all rows. Raises SnowparkSQLException for what is refused."""
        try:
            with egress.only(None):
                result = self._execute(self._text, self._params)
        except SnowflakeError as error:
            raise SnowparkSQLException(error) from error
        return [Row.of(list(result.table.column_names), row) for row in result.rows]

    def to_local_iterator(self) -> Iterator[Row]:
        """Run it and return its rows one by one."""
        return iter(self.collect())


class Session(_Refusing):
    """What a handler gets as its first argument. `execute` runs a statement in its server's session."""

    def __init__(self, session: ServerSession, execute: Execute) -> None:
        self._session = session
        self._execute = execute

    def sql(self, query: str, params: list[Any] | None = None) -> DataFrame:
        """A query with `?` for each of `params`."""
        return DataFrame(self._execute, query, params)

    def call(self, sproc_name: str, *args: Any) -> Any:
        """Call another procedure and return its value."""
        marks = ", ".join("?" for _ in args)
        return self.sql(f"CALL {sproc_name}({marks})", list(args)).collect()[0][0]

    def get_current_database(self) -> str | None:
        """The current database, quoted as Snowpark does."""
        return _quote(self._session.database)

    def get_current_schema(self) -> str | None:
        """The current schema."""
        return _quote(self._session.schema)

    def get_current_role(self) -> str | None:
        """The current role."""
        return _quote(self._session.role)

    def get_current_warehouse(self) -> str | None:
        """The current warehouse."""
        return _quote(self._session.warehouse)

    def get_current_user(self) -> str | None:
        """The current user."""
        return _quote(self._session.user)


def _quote(name: str | None) -> str | None:
    return None if name is None else f'"{name}"'
