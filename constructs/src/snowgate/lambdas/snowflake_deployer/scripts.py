"""Custom::SnowflakeScripts: run a folder of SQL files in order, and undo it in reverse."""

from __future__ import annotations

import io
import zipfile

import boto3

from . import statements
from .connection import Session, connect, identifier
from .deadline import Deadline
from .patience import once_allowed
from .request import Properties, PropertyError, Request
from .smoke import run_smoke
from .statements import Script, ScriptError


def apply(request: Request) -> dict[str, str]:
    """Run every file; then drop what the version before made and this one does not name; then call through the chain.

    All files are read before the first statement runs, so that a file that cannot be read changes nothing.
    """
    properties = request.properties
    scripts = read_scripts(properties, request.deadline)
    leftovers = _leftovers(request, scripts)
    with connect(request.secrets, request.deadline, role=_role(properties)) as session:
        count = sum(_run(session, script) for script in scripts)
        session.run(f"USE ROLE {_role(properties)}", "back to the deployer's role")
        for statement in leftovers:
            session.run_unless_gone(statement, f"leftover: {statement}")
        if smoke := properties.text("Smoke", ""):
            warehouse = identifier(properties.text("Warehouse"), "Warehouse")
            session.run(f"USE WAREHOUSE {warehouse}", "smoke call")
            run_smoke(session, request.deadline, smoke)
    return {"Statements": str(count), "Digest": _digest(scripts)}


def delete(request: Request) -> None:
    """Run the ``On delete`` lines of the files, the last file first; what they keep is named in the log."""
    scripts = read_scripts(request.properties, request.deadline)
    with connect(request.secrets, request.deadline, role=_role(request.properties)) as session:
        for script in reversed(scripts):
            for statement in script.drops:
                session.run_unless_gone(statement, f"{script.name} on delete: {statement}")
            for kept in script.keeps:
                print(f"{script.name} on delete: {kept}")


def read_scripts(properties: Properties, deadline: Deadline) -> list[Script]:
    """The files of the asset, filled and read, in the order of their names.

    Raises:
        PropertyError: the asset holds no SQL file.
        ScriptError: a file cannot be read or a ``${name}`` in it has no value.
    """
    bucket, key = properties.text("Bucket"), properties.text("Key")
    store = boto3.client("s3")
    body = once_allowed(lambda: store.get_object(Bucket=bucket, Key=key), deadline)["Body"].read()
    values = properties.mapping("Values")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".sql"))
        if not names:
            raise PropertyError(f"{properties.resource}: s3://{bucket}/{key} holds no .sql file.")
        texts = {name: archive.read(name).decode() for name in names}
    return [statements.parse(name, statements.fill(name, text, values)) for name, text in texts.items()]


def _run(session: Session, script: Script) -> int:
    for statement in script.statements:
        place = f"{script.name} statement {statement.number}, line {statement.line} ({statement.first_line})"
        session.run(statement.text, place)
    return len(script.statements)


def _leftovers(request: Request, scripts: list[Script]) -> list[str]:
    """The drops of the version before that no file names now: an object that went, or a function's old arguments."""
    if request.old is None or _place(request.old) != _place(request.properties):
        return []
    named = {statement for script in scripts for statement in script.drops}
    try:
        before = read_scripts(request.old, request.deadline)
    except (ScriptError, PropertyError) as error:
        # A rollback: the version that failed could not be read, so it ran no statement and left nothing.
        print(f"The version before ran nothing: {error}")
        return []
    return [statement for script in reversed(before) for statement in script.drops if statement not in named]


def _place(properties: Properties) -> tuple[str, str]:
    return properties.text("Database"), properties.text("Schema")


def _role(properties: Properties) -> str:
    return identifier(properties.text("Role"), "Role")


def _digest(scripts: list[Script]) -> str:
    return statements.digest(
        *(part for script in scripts for part in (script.name, *(s.text for s in script.statements)))
    )
