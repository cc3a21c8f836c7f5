"""TRUNCATE, and CREATE, ALTER, DROP of tables, views and sequences, which commit what is open and stand alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local.warehouse import access, column_changes, dialect, dropped_tables, duck, result_types, streams, table_ddl
from local.warehouse.catalog import Record
from local.warehouse.errors import exists, invalid_property, missing, unsupported
from local.warehouse.names import dotted
from local.warehouse.results import Result, status
from local.warehouse.session import LONGEST_WAIT, Change
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

KINDS = ("TABLE", "VIEW", "SEQUENCE", "STREAM")  # they share their names
ReadStreams = Callable[["Session", exp.Expr, exp.Expr | None], list[tuple[Record, int]]]
_ALREADY_DROPPED = "Drop statement executed successfully (object already dropped)."
_DONE = "Statement executed successfully."


class Definitions:
    """Runs the DDL of an account. `read_streams` puts rows in place of stream names."""

    def __init__(self, account: Account, read_streams: ReadStreams) -> None:
        self.account = account
        self._read_streams = read_streams

    def run(self, session: Session, tree: exp.Expr, names: dialect.Names, bindings: Any = None) -> Result:
        """Run one statement of DDL."""
        target = names.target
        if target is None:
            raise unsupported("DDL without an object")
        if not isinstance(tree, exp.TruncateTable):
            session.commit()
        self.account.refuse_imported(target)
        kind = "TABLE" if isinstance(tree, exp.TruncateTable) else str(tree.args["kind"]).upper()
        if isinstance(tree, exp.Create):
            self.account.need_schema(target[:2])
            with self.account.locks.creating(dotted(target), session.id, LONGEST_WAIT):
                return self._create(session, tree, kind, names, bindings)
        record = self.account.catalog.get(kind, target)
        if record is None:
            if tree.args.get("exists"):
                return status(_ALREADY_DROPPED if isinstance(tree, exp.Drop) else _DONE)
            raise missing(kind, dotted(target))
        tree.set("exists", None)
        if isinstance(tree, exp.Alter):
            return self._alter(session, tree, record)
        if isinstance(tree, exp.TruncateTable):
            return self._truncate(session, tree, names)
        with session.definition([dotted(target)]):
            if kind == "TABLE":
                dropped_tables.keep(self.account, session, record)
            else:
                duck.run(session, tree)
        self._forget(session, kind, target, keep_sequence=kind == "TABLE")
        return status(f"{target[-1]} successfully dropped.")

    def _truncate(self, session: Session, tree: exp.Expr, names: dialect.Names) -> Result:
        """Unlike DDL it belongs to the open transaction (page "Transactions", Terminology: DML)."""
        assert names.target is not None
        with session.change([dotted(names.target)]) as transaction:
            duck.run(session, tree)
            transaction.changes.append(Change(names.sql, None, session.clock, None))
        return status(_DONE)

    def _forget(
        self, session: Session, kind: str, target: Name, *, keep_grants: bool = False, keep_sequence: bool = False
    ) -> None:
        record = self.account.catalog.drop(kind, dotted(target))
        if not keep_grants:
            access.forget_grants(self.account, kind, dotted(target))
        if record and record.get("sequence") and not keep_sequence:
            session.duck.execute(f"DROP SEQUENCE IF EXISTS {record['sequence']}")
        if kind == "TABLE":
            streams.table_gone(session, target)

    def _create(self, session: Session, tree: exp.Create, kind: str, names: dialect.Names, bindings: Any) -> Result:
        target = names.target
        assert target is not None
        catalog = self.account.catalog
        other = next((k for k in KINDS if catalog.get(k, target)), None)
        changing = bool(tree.meta.get("or_alter")) and other == kind
        if other is not None and not changing and not (tree.args.get("replace") and other == kind):
            if tree.args.get("exists") and other == kind:
                return status(f"{target[-1]} already exists, statement succeeded.")
            raise exists(dotted(target))
        if changing and kind == "SEQUENCE":
            raise unsupported("CREATE OR ALTER SEQUENCE")
        values = _properties(tree, kind)
        if kind == "VIEW":
            values |= {"definition": _definition(names.sql), "reads": [list(name) for name in names.read]}
        if changing and kind == "TABLE":
            return self._become(session, tree, catalog.need("TABLE", target), names, values)
        tree.set("replace", tree.args.get("replace") or changing)
        keep_grants = changing or tree.find(exp.CopyGrantsProperty) is not None
        if kind == "SEQUENCE":
            values |= table_ddl.prepare_sequence(tree)
        else:
            tree.set("properties", None)
        self._make(session, tree, kind, names, values, bindings)
        if changing:
            catalog.change(catalog.need(kind, target), **values)
            return status(f"{kind.capitalize()} {target[-1]} successfully altered.")
        if other is not None:
            self._forget(session, kind, target, keep_grants=keep_grants)
        catalog.add(kind, target, session.role, **values)
        return status(f"{kind.capitalize()} {target[-1]} successfully created.")

    def _make(
        self, session: Session, tree: exp.Create, kind: str, names: dialect.Names, values: dict[str, Any], bindings: Any
    ) -> None:
        """Build it in DuckDB, filled by its query if it has one; `values` gets the columns."""
        target = names.target
        assert target is not None
        comments = table_ddl.view_comments(tree) if kind == "VIEW" else {}
        filled = table_ddl.take_query(tree) if kind == "TABLE" else None
        read = [] if (tree.expression or filled) is None else self._streams_in(filled or tree.expression)
        with session.definition([dotted(target), *(dotted(name) for name in read)]):
            consumed = self._read_streams(session, filled or tree, tree.this)
            result_types.apply(session, filled or tree)
            if kind == "TABLE":
                values["sequence"] = table_ddl.prepare(session, tree, target, names.columns)
            elif consumed:
                raise unsupported("a view on a stream")
            duck.run(session, tree, None if filled is not None else bindings)
            if filled is not None:
                duck.fill(session, filled, bindings)
            if kind != "SEQUENCE":
                values["columns"] = names.columns or table_ddl.columns_in_duckdb(session, target)
            for stream, high in consumed:
                streams.advance(self.account, session, stream, high)
        for name, text in comments.items():
            values["columns"][name]["comment"] = text

    def _become(
        self, session: Session, tree: exp.Create, record: Record, names: dialect.Names, values: dict[str, Any]
    ) -> Result:
        """CREATE OR ALTER TABLE: change the table into what the statement declares; its rows stay."""
        if tree.expression is not None or not names.columns:
            raise unsupported("CREATE OR ALTER TABLE … AS SELECT")
        column_changes.become(self.account, session, record, names.columns)
        self.account.catalog.change(record, **values)
        return status(f"Table {record['name'][-1]} successfully altered.")

    def _streams_in(self, query: exp.Expr) -> list[Name]:
        found = [dialect.table_name(t) for t in query.find_all(exp.Table) if t.args.get("catalog") is not None]
        return [name for name in found if self.account.catalog.get("STREAM", name) is not None]

    def _alter(self, session: Session, tree: exp.Alter, record: Record) -> Result:
        actions = tree.args.get("actions") or []
        if any(isinstance(action, exp.AlterRename) for action in actions):
            raise unsupported(f"ALTER {record['kind']} … RENAME TO")
        settings = [item for a in actions if isinstance(a, exp.AlterSet) for item in a.find_all(exp.Property)]
        if settings:
            self.account.catalog.change(record, **_settings(settings, record["kind"], record.get("settings")))
        for action in actions:
            if isinstance(action, exp.Set):  # UNSET
                self._unset(record, [item.name.upper() for item in action.expressions])
        if not settings and not any(isinstance(action, exp.Set) for action in actions):
            column_changes.alter(self.account, session, record, actions)
        return status(_DONE)

    def _unset(self, record: Record, keys: list[str]) -> None:
        for key in keys:
            if key != "COMMENT" and key not in table_ddl.SETTINGS:
                raise invalid_property(key, record["kind"])
        kept = {key: value for key, value in (record.get("settings") or {}).items() if key not in keys}
        comment = {"comment": ""} if "COMMENT" in keys else {}
        self.account.catalog.change(record, settings=kept, **comment)


def _properties(tree: exp.Create, kind: str) -> dict[str, Any]:
    """What a CREATE says beside its columns."""
    items = tree.args["properties"].expressions if tree.args.get("properties") else []
    found = {"comment": ""} | _settings([item for item in items if isinstance(item, exp.Property)], kind, {})
    if kind == "VIEW":
        found["secure"] = any(isinstance(item, exp.SecureProperty) for item in items)
        found.pop("settings", None)
    elif kind == "TABLE":
        found["transient"] = any(isinstance(item, exp.TransientProperty) for item in items)
        cluster = next((item for item in items if isinstance(item, (exp.Cluster, exp.ClusterProperty))), None)
        if cluster is not None:
            found["cluster_by"] = f"({', '.join(item.sql('snowflake') for item in cluster.expressions)})"
    return found


def _settings(items: list[exp.Property], kind: str, before: dict[str, Any] | None) -> dict[str, Any]:
    """`comment` and `settings` out of the properties. Their names and values were checked before."""
    found: dict[str, Any] = {"settings": dict(before or {})}
    for item in items:
        if isinstance(item, exp.SchemaCommentProperty):
            found["comment"] = item.this.name
        elif (key := item.name.upper()) in table_ddl.SETTINGS:
            found["settings"][key] = table_ddl.SETTINGS[key](key, item.args["value"])
    return found


def _definition(sql: str) -> str:
    """A view's query as it was written."""
    return table_ddl.query_text(sql)
