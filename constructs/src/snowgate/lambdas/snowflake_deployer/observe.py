"""What Snowflake says about an object, as facts that stay the same until somebody changes the object."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .connection import GONE, Session, StatementFailed, literal
from .objects import Made

# A fact that stays another one when the object over it has been made anew.
ANEW = "external id of its integration"

Row = dict[str, Any]
Facts = dict[str, str]

_API_INTEGRATION = re.compile(r'\bAPI_INTEGRATION\s*=\s*(\w+|"[^"]+")', re.IGNORECASE)

# How SHOW names the kinds that lie in a schema; procedures and functions have no owner there ("SHOW PROCEDURES").
_PLURALS = {
    "TABLE": "TABLES",
    "VIEW": "VIEWS",
    "STREAM": "STREAMS",
    "TASK": "TASKS",
    "PROCEDURE": "PROCEDURES",
    "FUNCTION": "USER FUNCTIONS",
    "NETWORK RULE": "NETWORK RULES",
    "SECRET": "SECRETS",
}
# Columns of SHOW that are facts. Left out are times, ids, sizes, what follows from other facts, and the comments of
# what no file replaces: no deploy would set them again.
_SHOWN = {
    "TABLE": ("owner",),
    "VIEW": ("owner",),
    "STREAM": ("table_name", "mode", "stale", "owner"),
    "TASK": (
        "state",
        "warehouse",
        "schedule",
        "predecessors",
        "definition",
        "condition",
        "allow_overlapping_execution",
        "owner",
        "comment",
    ),
    "NETWORK RULE": ("owner",),
    "SECRET": ("secret_type", "owner"),
    "SCHEMA": ("owner", "options"),
}


def observe(session: Session, made: Made) -> Facts | None:
    """The facts of one object, or None if it does not exist; an Observer is better for many.

    Raises:
        StatementFailed: Snowflake refused for another reason than that the object is not there.
    """
    return Observer(session).observe(made)


class Observer:
    """One look at many objects: a SHOW of a schema is made once and serves all that lie in it.

    It remembers, so that a change after its first look needs a new one.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown: dict[str, list[Row]] = {}

    def observe(self, made: Made) -> Facts | None:
        """The facts of an object, or None if it does not exist or the role may not see it.

        Raises:
            StatementFailed: Snowflake refused for another reason than that the object is not there.
        """
        look: Callable[[Made], Facts | None] = {
            "SCHEMA": self._schema,
            "TABLE": self._table,
            "VIEW": self._view,
            "TASK": self._task,
            "PROCEDURE": self._program,
            "FUNCTION": self._program,
            "NETWORK RULE": self._network_rule,
            "EXTERNAL ACCESS INTEGRATION": self._integration,
            "GRANTS TO ROLE": self._grants_to_role,
        }.get(made.kind, self._in_schema)
        try:
            return look(made)
        except StatementFailed as error:
            # Between two statements somebody dropped it, or what contains it.
            if error.errno in GONE:
                return None
            raise

    def columns(self, made: Made) -> list[Row]:
        """The rows of DESC TABLE; none if the table does not exist."""
        return self._show(f"DESC TABLE {made.name}", made)

    def integrations(self) -> set[str]:
        """The names of all integrations that the role may see."""
        return {str(row["name"]) for row in self._show("SHOW INTEGRATIONS", "all integrations")}

    def _run(self, statement: str, what: Made | str) -> list[Row]:
        rows = self.session.run(statement, f"look at {what}", changes=False)
        return [{name.lower(): value for name, value in row.items()} for row in rows]

    def _show(self, statement: str, what: Made | str) -> list[Row]:
        if statement not in self._shown:
            try:
                self._shown[statement] = self._run(statement, what)
            except StatementFailed as error:
                if error.errno not in GONE:
                    raise
                self._shown[statement] = []
        return self._shown[statement]

    def _row(self, made: Made) -> Row | None:
        database, schema, name = made.parts
        rows = self._show(f"SHOW {_PLURALS[made.kind]} IN SCHEMA {database}.{schema}", made)
        return next((row for row in rows if row["name"] == name), None)

    def _in_schema(self, made: Made) -> Facts | None:
        row = self._row(made)
        return None if row is None else _facts(row, _SHOWN[made.kind])

    def _schema(self, made: Made) -> Facts | None:
        database, name = made.parts
        row = next(
            (row for row in self._show(f"SHOW SCHEMAS IN DATABASE {database}", made) if row["name"] == name), None
        )
        return None if row is None else _facts(row, _SHOWN["SCHEMA"])

    def _table(self, made: Made) -> Facts | None:
        facts = self._in_schema(made)
        if facts is None:
            return None
        for column in self.columns(made):
            null = "" if column["null?"] == "Y" else " NOT NULL"
            default = "" if column["default"] is None else f" DEFAULT {column['default']}"
            facts[f"column {column['name']}"] = f"{column['type']}{null}{default}"
        return facts

    def _view(self, made: Made) -> Facts | None:
        facts = self._in_schema(made)
        return None if facts is None else facts | {"definition": self._ddl(made)}

    def _task(self, made: Made) -> Facts | None:
        row = self._row(made)
        if row is None:
            return None
        facts = _facts(row | {"predecessors": ", ".join(predecessors(row))}, _SHOWN["TASK"])
        for parameter in self._run(f"SHOW PARAMETERS IN TASK {made.name}", made):
            # Only what is set on the task itself: the account's own defaults are no business of the task.
            if parameter["level"] == "TASK":
                facts[f"parameter {parameter['key']}"] = str(parameter["value"])
        return facts

    def _program(self, made: Made) -> Facts | None:
        database, schema, name = made.parts
        rows = self._show(f"SHOW {_PLURALS[made.kind]} IN SCHEMA {database}.{schema}", made)
        overloads = (row for row in rows if row["name"] == name)
        row = next((row for row in overloads if _argument_types(row["arguments"]) == _plain(made.types)), None)
        if row is None:
            return None
        facts = {"definition": self._ddl(made), "owner": self._owner(made)}
        return facts | self._way_out(made, facts["definition"]) if row.get("is_external_function") == "Y" else facts

    def _ddl(self, made: Made) -> str:
        kind = literal(made.kind)
        (row,) = self._run(f"SELECT GET_DDL({kind}, {literal(made.reference)}, TRUE) AS DDL", made)
        return str(row["ddl"])

    def _owner(self, made: Made) -> str:
        grants = self._run(f"SHOW GRANTS ON {made.kind} {made.reference}", made)
        return next((row["grantee_name"] for row in grants if row["privilege"] == "OWNERSHIP"), "")

    def _way_out(self, made: Made, definition: str) -> Facts:
        """Which integration an external function calls through: one made anew under the same name is another one."""
        found = _API_INTEGRATION.search(definition)
        if not found:
            return {}
        rows = self._show(f"DESC INTEGRATION {found[1]}", made)
        ids = [_text(row["property_value"]) for row in rows if row["property"] == "API_AWS_EXTERNAL_ID"]
        return {ANEW: ids[0] if ids else ""}

    def _network_rule(self, made: Made) -> Facts | None:
        facts = self._in_schema(made)
        if facts is None:
            return None
        (row,) = self._run(f"DESC NETWORK RULE {made.name}", made)
        return facts | _facts(row, ("type", "mode", "value_list"))

    def _integration(self, made: Made) -> Facts | None:
        if not any(row["name"] == made.name for row in self._show("SHOW EXTERNAL ACCESS INTEGRATIONS", made)):
            return None
        rows = self._run(f"DESC EXTERNAL ACCESS INTEGRATION {made.name}", made)
        facts = {row["property"].lower(): _text(row["property_value"]) for row in rows}
        return {name: value for name, value in facts.items() if name != "comment"}

    def _grants_to_role(self, made: Made) -> Facts | None:
        return {
            f"{row['privilege']} ON {row['granted_on']} {row['name']}": _option(row)
            for row in self._run(f"SHOW GRANTS TO ROLE {made.name}", made)
            if row["privilege"] != "OWNERSHIP"
        }


def predecessors(row: Row) -> list[str]:
    """The fully qualified names in the column ``predecessors`` of SHOW TASKS, without quotes and in order."""
    names = json.loads(row["predecessors"] or "[]")
    return sorted(str(name).replace('"', "") for name in names)


def _option(row: Row) -> str:
    return "with grant option" if str(row["grant_option"]).lower() == "true" else "granted"


def _facts(row: Row, names: tuple[str, ...]) -> Facts:
    return {name: _text(row.get(name)) for name in names}


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _plain(types: tuple[str, ...] | None) -> list[str]:
    """Types as SHOW has them: without length and precision."""
    return [name.split("(")[0] for name in types or ()]


def _argument_types(arguments: str) -> list[str]:
    """``F(NUMBER, DEFAULT VARCHAR) RETURN VARIANT`` -> NUMBER, VARCHAR."""
    listed = arguments[arguments.index("(") + 1 : arguments.rindex(") RETURN")]
    return [part.strip().removeprefix("DEFAULT ").split("(")[0] for part in listed.split(",") if part.strip()]
