"""The account's query history: every statement with its outcome, and no secret of it.

INFORMATION_SCHEMA.QUERY_HISTORY() reads it. Sources: the page "QUERY_HISTORY, QUERY_HISTORY_BY_*" for the columns, and
"Parameters" (ENABLE_UNREDACTED_QUERY_SYNTAX_ERROR) for the text of what does not parse, which is left out as a whole.
Like Snowflake, the history has `☺` where a statement had a credential; public keys are no secrets.
"""

from __future__ import annotations

import datetime
import re
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.warehouse.errors import SnowflakeError
from local.warehouse.lexer import QUOTED, STRING, WORD, Token, tokenize

if TYPE_CHECKING:
    from local.warehouse.session import Session

KEPT = 10_000
UNPARSED = "<redacted>"
HIDDEN = "☺☺☺☺☺☺"
SECRET_CLAUSES = frozenset(
    {"PASSWORD", "SECRET_STRING", "API_KEY", "OAUTH_REFRESH_TOKEN", "OAUTH_CLIENT_SECRET", "AWS_SECRET_KEY"}
)
SYNTAX_ERRORS = frozenset({900, 1003})
_UNEXPECTED = re.compile(r"unexpected '.*'", re.DOTALL)  # what a syntax error quotes


@dataclass
class Query:
    """One statement of the history; `end_time` is None while it runs."""

    query_id: str
    query_text: str
    user_name: str
    role_name: str
    session_id: str
    database_name: str | None
    schema_name: str | None
    warehouse_name: str | None
    query_type: str
    query_tag: str
    start_time: datetime.datetime
    end_time: datetime.datetime | None = None
    execution_status: str = "RUNNING"
    error_code: int | None = None
    error_message: str | None = None
    rows_produced: int | None = None


class QueryLog:
    """The last `KEPT` statements, newest last. Safe to use from several threads."""

    def __init__(self) -> None:
        self._queries: deque[Query] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()  # of all statements, by user
        self._lock = threading.Lock()

    def newest_first(self) -> list[Query]:
        """All statements that are kept."""
        with self._lock:
            return list(reversed(self._queries))

    @contextmanager
    def record(self, session: Session, query_id: str, sql: str) -> Iterator[Query]:
        """Note a statement while it runs, and how it ended; its secrets stay out of a refusal's message too."""
        query = Query(
            query_id, redacted(sql), session.user, session.role, session.id, session.database, session.schema,
            session.warehouse, query_type(sql), str(session.parameter("QUERY_TAG")),
            datetime.datetime.now(datetime.UTC),
        )  # fmt: skip
        with self._lock:
            self._queries.append(query)
            self.counts[query.user_name] += 1
        try:
            yield query
        except SnowflakeError as error:
            error.message = without_secrets(error.message, sql)
            error.args = (error.message,)
            _failed(query, error.number, error.message)
            raise
        except BaseException as error:
            _failed(query, 370001, without_secrets(repr(error), sql))
            raise
        query.execution_status = "SUCCESS"
        query.end_time = datetime.datetime.now(datetime.UTC)


def _failed(query: Query, number: int, message: str) -> None:
    query.execution_status, query.error_code, query.error_message = "FAILED_WITH_ERROR", number, message
    query.end_time = datetime.datetime.now(datetime.UTC)
    if number in SYNTAX_ERRORS:
        query.query_text = UNPARSED


def query_type(sql: str) -> str:
    """The first word of the statement; Snowflake's names are finer."""
    words = sql.split(None, 1)
    return words[0].upper().rstrip(";") if words else "UNKNOWN"


def redacted(sql: str) -> str:
    """The text with `☺` in place of every credential; `<redacted>` if it is no text of SQL at all."""
    try:
        found = _secrets(tokenize(sql))
    except SnowflakeError:
        return UNPARSED
    for token in reversed(found):
        sql = f"{sql[: token.start]}'{HIDDEN}'{sql[token.end :]}"
    return sql


def without_secrets(message: str, sql: str) -> str:
    """A message about `sql` without any of the credentials in it, nor any text that may be the rest of one."""
    try:
        tokens = tokenize(sql)
    except SnowflakeError:
        return _UNEXPECTED.sub(f"unexpected '{HIDDEN}'", message)
    found = _secrets(tokens)
    if found and _UNEXPECTED.search(message):
        found += [token for token in tokens if token.kind in (STRING, QUOTED) and token.start > found[0].start]
    for token in sorted(found, key=lambda token: -len(token.value)):
        for text in (sql[token.start : token.end], token.value):
            if text:
                message = message.replace(text, HIDDEN)
    return message


def _secrets(tokens: list[Token]) -> list[Token]:
    """The values of `PASSWORD = …` and its like, with or without `=`, and the same values wherever else they stand."""
    found: list[Token] = []
    for at, token in enumerate(tokens[:-1]):
        if token.kind not in (WORD, QUOTED) or token.value.upper() not in SECRET_CLAUSES:
            continue
        after = at + 1 + tokens[at + 1].is_sign("=")
        if tokens[after].kind == STRING or (tokens[after - 1].is_sign("=") and tokens[after].kind in (WORD, QUOTED)):
            found.append(tokens[after])
            while tokens[after + 1].kind == STRING:  # no SQL, and perhaps the rest of a badly quoted one
                after += 1
                found.append(tokens[after])
    values = {token.value for token in found}
    return [token for token in tokens if token in found or (token.kind in (STRING, QUOTED) and token.value in values)]


COLUMNS: dict[str, str] = {
    "QUERY_ID": "VARCHAR", "QUERY_TEXT": "VARCHAR", "DATABASE_NAME": "VARCHAR", "SCHEMA_NAME": "VARCHAR",
    "QUERY_TYPE": "VARCHAR", "SESSION_ID": "BIGINT", "USER_NAME": "VARCHAR", "ROLE_NAME": "VARCHAR",
    "WAREHOUSE_NAME": "VARCHAR", "QUERY_TAG": "VARCHAR", "EXECUTION_STATUS": "VARCHAR", "ERROR_CODE": "BIGINT",
    "ERROR_MESSAGE": "VARCHAR", "START_TIME": "TIMESTAMPTZ", "END_TIME": "TIMESTAMPTZ",
    "TOTAL_ELAPSED_TIME": "BIGINT", "ROWS_PRODUCED": "BIGINT",
}  # fmt: skip


def row(query: Query) -> dict[str, Any]:
    """A statement as QUERY_HISTORY has it."""
    found: dict[str, Any] = {key: getattr(query, key.lower(), None) for key in COLUMNS}
    end = query.end_time or datetime.datetime.now(datetime.UTC)
    found["TOTAL_ELAPSED_TIME"] = int((end - query.start_time).total_seconds() * 1000)
    return found
