"""A folder of SQL files, rendered."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import jinja2

from snowgate.lambdas.snowflake_deployer.statements import ScriptError, parse, read_all
from snowgate.tokens import is_token

SqlNames = Mapping[str, str | int | bool]

FILES = "[0-9][0-9][0-9]_*.sql"


class SqlFolderError(ValueError):
    """The files of a folder cannot be rendered or read; the message has every one's place and cause."""


def render(folder: Path, names: SqlNames) -> dict[str, str]:
    """The numbered files (``010_schemas.sql``) of a folder, by name, with ``{{ name }}`` filled in.

    A value that only the deploy knows (a CDK token) becomes the marker ``${name}``; the deployer fills it in, and
    likewise ``${secret:name}``. A file that its Jinja conditions leave empty is left out.

    Raises:
        SqlFolderError: there is no such file; one uses a name that is not given, or is no Jinja template; one cannot be
            cut into statements, lacks its header, or has a transaction; two make the same object.
    """
    files = sorted(folder.glob(FILES))
    if not files:
        raise SqlFolderError(f"{folder}: no SQL file. They are named by a number and a subject, as in 020_tables.sql.")
    known = {name: f"${{{name}}}" if is_token(value) else value for name, value in names.items()}
    rendered: dict[str, str] = {}
    problems: list[str] = []
    for file in files:
        try:
            text = _template(file, file.read_text(encoding="utf-8")).render(known)
            if parse(file.name, text).statements:
                rendered[file.name] = text
        except jinja2.UndefinedError as error:
            problems.append(f"{file} line {_line(file, error)}: {error.message}; names are {', '.join(sorted(known))}.")
        except jinja2.TemplateSyntaxError as error:
            problems.append(f"{file} line {error.lineno}: {error.message}")
        except ScriptError as error:
            problems.append(f"{folder}/{error}")
    if problems:
        raise SqlFolderError("\n".join(problems))
    try:
        read_all(rendered)
    except ScriptError as error:
        raise SqlFolderError(f"{folder}/{error}") from error
    return rendered


# Kept, for an application renders the same files once for each environment.
@functools.cache
def _template(file: Path, text: str) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    code = environment.compile(text, name=file.name, filename=str(file))
    return jinja2.Template.from_code(environment, code, environment.make_globals(None))


def _line(file: Path, error: jinja2.UndefinedError) -> int | str:
    """The template's line, which Jinja keeps only in the traceback."""
    found: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
