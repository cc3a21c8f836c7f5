"""GET_DDL: the statement that makes an object again, as Snowflake words it, from what the catalogue holds.

Source: the page "GET_DDL", which names the kinds it knows; of integrations only those for storage, which the stand-in
has not, and no secrets or network rules. The same object always gives the same text: that is what a drift check needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.warehouse import guard, lookup, programs_grammar
from local.warehouse.catalog import Record
from local.warehouse.clauses import listed
from local.warehouse.errors import invalid_value, missing, unsupported
from local.warehouse.lexer import Reader
from local.warehouse.names import dotted, full_name, quoted
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

Words = Callable[[Record, str], str]


def get_ddl(account: Account, session: Session, kind: str, text: str, full: bool = False) -> str:
    """The DDL of the object that `text` names, `full` with its full name. Raises 002003, or 001008 for a kind."""
    wanted = kind.upper().replace("_", " ")
    if wanted in ("DATABASE", "SCHEMA"):
        return _container(account, session, wanted, Reader(text).name(), full)
    if wanted not in _KINDS:
        if wanted in _UNKNOWN_HERE:
            raise unsupported(f"GET_DDL('{kind}')")
        raise invalid_value(kind, "object_type", ", ".join(sorted({*_KINDS, "DATABASE", "SCHEMA"})))
    name, types = _named(wanted, text)
    record = _find(account, session, wanted, name, types)
    guard.need(account, session, record, guard.ANY)
    return _KINDS[wanted](record, _shown(record, full))


_UNKNOWN_HERE = {"INTEGRATION", "FILE FORMAT", "PIPE", "POLICY", "TAG", "DYNAMIC TABLE", "EVENT TABLE", "ALERT"}


def _named(kind: str, text: str) -> tuple[Name, tuple[str, ...] | None]:
    reader = Reader(text)
    name = reader.name()
    types = None
    if kind in ("PROCEDURE", "FUNCTION"):
        found = listed(programs_grammar.read_type)(reader)
        types = tuple(programs_grammar.signature_type(type_) for type_ in found)
    reader.expect_end()
    return name, types


def _find(account: Account, session: Session, kind: str, name: Name, types: tuple[str, ...] | None) -> Record:
    """TABLE and VIEW find each other, as in Snowflake: the object's own kind decides what comes out."""
    for other in (kind, {"TABLE": "VIEW", "VIEW": "TABLE"}.get(kind)):
        if other and account.catalog.get(other, lookup.key_of(other, full_name(other, name, session), types)):
            return lookup.find(account, session, other, name, types)
    return lookup.find(account, session, kind, name, types)


def _shown(record: Record, full: bool) -> str:
    name = tuple(record["name"])
    return dotted(name if full else name[-1:])


def _container(account: Account, session: Session, kind: str, name: Name, full: bool) -> str:
    whole = full_name(kind, name, session)
    record = account.catalog.get(kind, whole)
    if record is None:
        raise missing(kind, dotted(whole))
    guard.need(account, session, record, guard.ANY)
    transient = "TRANSIENT " if record.get("transient") else ""
    managed = " with managed access" if record.get("WITH MANAGED ACCESS") else ""
    shown = dotted(whole if full else whole[-1:])
    parts = [f"create or replace {transient}{kind} {shown}{managed}{_comment(record, ' ')};"]
    lying = [r for k, _, r in account.catalog.everything() if k in (*_WITHIN, "SCHEMA") and _lies_in(r, whole)]
    inside = guard.visible(account, session, lying)
    order = ["SCHEMA", *_WITHIN]
    for inner in sorted(inside, key=lambda r: (r["name"][:2], order.index(r["kind"]), r["key"])):
        if inner["kind"] == "SCHEMA":
            parts.append(f"create or replace schema {_shown(inner, full)};")
        else:
            parts.append(_KINDS[inner["kind"]](inner, _shown(inner, full)))
    return "\n\n".join(parts)


def _lies_in(record: Record, container: Name) -> bool:
    return len(record["name"]) > len(container) and tuple(record["name"][: len(container)]) == container


def literal(text: str) -> str:
    """A string constant."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _comment(record: Record, before: str = "\n\t") -> str:
    text = record.get("COMMENT") or record.get("comment") or ""
    return f"{before}COMMENT={literal(text)}" if text else ""


def column(found: dict[str, Any]) -> str:
    """A column's line after its name."""
    parts = [found["type"]]
    if not found["null"]:
        parts.append("NOT NULL")
    default = found["default"]
    if default is not None and str(default).startswith("IDENTITY"):
        parts.append(str(default).replace("IDENTITY", "autoincrement").lower())
    elif default is not None:
        parts.append(f"DEFAULT {default}")
    if found["comment"]:
        parts.append(f"COMMENT {literal(found['comment'])}")
    return " ".join(parts)


def _table(record: Record, name: str) -> str:
    lines = [f"{quoted(key)} {column(found)}" for key, found in record["columns"].items()]
    keys = [quoted(key) for key, found in record["columns"].items() if found["key"]]
    lines += [f"primary key ({', '.join(keys)})"] if keys else []
    lines += [f"unique ({quoted(key)})" for key, found in record["columns"].items() if found.get("unique")]
    words = "TRANSIENT TABLE" if record.get("transient") else "TABLE"
    cluster = f" cluster by {record['cluster_by']}" if record.get("cluster_by") else ""
    body = ",\n".join(f"\t{line}" for line in lines)
    settings = "".join(
        f" {key}={'TRUE' if value is True else 'FALSE' if value is False else value}"
        for key, value in (record.get("settings") or {}).items()
    )
    comment = _comment(record, " " if settings else "")
    return f"create or replace {words} {name}{cluster} (\n{body}\n){settings}{comment}\n;"


def view_text(record: Record) -> str:
    """A view's CREATE statement, as SHOW VIEWS has it."""
    return _view(record, _shown(record, False))


def _view(record: Record, name: str) -> str:
    columns = ",\n".join(
        f"\t{quoted(key)}" + (f" COMMENT {literal(c['comment'])}" if c["comment"] else "")
        for key, c in record["columns"].items()
    )
    secure = "secure " if record.get("secure") else ""
    return f"create or replace {secure}view {name}(\n{columns}\n){_comment(record, ' ')} as {record['definition']};"


def _sequence(record: Record, name: str) -> str:
    start, step = record.get("start", 1), record.get("increment", 1)
    order = "noorder" if record.get("order") is False else "order"
    return f"create or replace sequence {name} start with {start} increment by {step} {order}{_comment(record, ' ')};"


def _stream(record: Record, name: str) -> str:
    table = dotted(tuple(record["table"])[-1:])
    return f"create or replace stream {name} on table {table} append_only = true{_comment(record, ' ')};"


TASK_TEXTS = ("SCHEDULE", "CONFIG", "TARGET_COMPLETION_INTERVAL")


def _task(record: Record, name: str) -> str:
    lines = []
    for key in _TASK_CLAUSES:
        value = record.get(key)
        if value is None or key == "COMMENT":
            continue
        text = literal(value) if key in TASK_TEXTS or key.endswith("SIZE") else str(value)
        lines.append(f"{key.lower()}={text.lower() if isinstance(value, bool) else text}")
    lines += [f"COMMENT={literal(record['comment'])}"] if record.get("comment") else []
    lines += ["after " + ", ".join(dotted(Reader(key).name()) for key in record["after"])] if record["after"] else []
    lines += [f"when {record['condition']}"] if record["condition"] else []
    lines.append(f"as {record['definition']}")
    return f"create or replace task {name}\n" + "\n".join(f"\t{line}" for line in lines) + ";"


_TASK_CLAUSES = (
    "WAREHOUSE", "USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE", "SERVERLESS_TASK_MIN_STATEMENT_SIZE",
    "SERVERLESS_TASK_MAX_STATEMENT_SIZE", "TARGET_COMPLETION_INTERVAL", "SCHEDULE", "CONFIG",
    "ALLOW_OVERLAPPING_EXECUTION", "USER_TASK_TIMEOUT_MS", "SUSPEND_TASK_AFTER_NUM_FAILURES",
    "TASK_AUTO_RETRY_ATTEMPTS", "USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS", "LOG_LEVEL",
)  # fmt: skip


def _program(record: Record, name: str) -> str:
    external = record["language"] == "EXTERNAL"
    kind = "EXTERNAL FUNCTION" if external else record["kind"]
    secure = "SECURE " if record.get("secure") else ""
    parameters = ", ".join(
        f'"{p["name"]}" {p["type"]}' + (f" DEFAULT {p['default']}" if p["default"] is not None else "")
        for p in record["parameters"]
    )
    whole = tuple(record["name"])
    shown = ".".join(f'"{part}"' for part in (whole if name == dotted(whole) and len(whole) > 1 else whole[-1:]))
    lines = [f"CREATE OR REPLACE {secure}{kind} {shown}({parameters})"]
    lines.append(f"RETURNS {record['returns']}{' NOT NULL' if record.get('not_null') else ''}")
    lines += _external_lines(record) if external else _python_lines(record)
    return "\n".join(lines) + ";"


def _external_lines(record: Record) -> list[str]:
    lines = ["STRICT"] if record.get("strict") else []
    lines += [f"COMMENT={literal(record['comment'])}"] if record.get("comment") else []
    lines.append(f'API_INTEGRATION = "{record["integration"]}"')
    if record.get("headers"):
        items = record["headers"].items() if isinstance(record["headers"], dict) else record["headers"]
        lines.append(f"HEADERS = ({', '.join(f'{literal(key)}={literal(value)}' for key, value in items)})")
    if record.get("context_headers"):
        lines.append(f"CONTEXT_HEADERS = ({', '.join(record['context_headers'])})")
    lines += [f"MAX_BATCH_ROWS = {record['max_batch_rows']}"] if record.get("max_batch_rows") else []
    lines += [f"COMPRESSION = {record['compression']}"] if record.get("compression") else []
    return [*lines, f"AS {literal(record['url'])}"]


def _python_lines(record: Record) -> list[str]:
    lines = ["LANGUAGE PYTHON"]
    lines += ["STRICT"] if record.get("strict") else []
    lines.append(f"RUNTIME_VERSION = {literal(record['runtime'])}")
    if record["packages"]:
        lines.append(f"PACKAGES = ({','.join(literal(package) for package in record['packages'])})")
    lines.append(f"HANDLER = {literal(record['handler'])}")
    if record.get("integrations"):
        lines.append(f"EXTERNAL_ACCESS_INTEGRATIONS = ({','.join(record['integrations'])})")
    if record.get("secrets"):
        secrets = ",".join(f"{literal(key)}={secret}" for key, secret in record["secrets"].items())
        lines.append(f"SECRETS = ({secrets})")
    lines += [f"COMMENT={literal(record['comment'])}"] if record.get("comment") else []
    lines += [f"EXECUTE AS {record['execute_as']}"] if record["kind"] == "PROCEDURE" else []
    return [*lines, f"AS {literal(record['body'])}"]


def _warehouse(record: Record, name: str) -> str:
    lines = [f"warehouse_type='{record.get('WAREHOUSE_TYPE', 'STANDARD')}'"]
    lines.append(f"warehouse_size='{record['WAREHOUSE_SIZE']}'")
    lines.append(f"auto_suspend={record['AUTO_SUSPEND'] or 0}")
    lines.append(f"auto_resume={'TRUE' if record['AUTO_RESUME'] else 'FALSE'}")
    return f"create or replace warehouse {name}\nwith\n" + "\n".join(f"\t{x}" for x in lines) + _comment(record) + "\n;"


_KINDS: dict[str, Words] = {
    "TABLE": _table,
    "VIEW": _view,
    "SEQUENCE": _sequence,
    "STREAM": _stream,
    "TASK": _task,
    "PROCEDURE": _program,
    "FUNCTION": _program,
    "WAREHOUSE": _warehouse,
}
_WITHIN = ("SEQUENCE", "TABLE", "VIEW", "STREAM", "PROCEDURE", "FUNCTION", "TASK")
