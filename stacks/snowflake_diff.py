"""Show what a deploy would change in Snowflake, and change nothing.

    python -m stacks.snowflake_diff ENV [--connection NAME] [--value NAME=VALUE …]

It reads with the deploy's own functions, logged in as the deployer: with the key pair of the environment's secret, or
as the IAM role whose AWS credentials are at hand. ``--connection`` takes a connection of yours instead, by its name in
the connector's connections.toml; its user needs the deployer's role.

Exit codes, like diff's: 0 no difference, 2 differences, 1 an error.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import snowflake.connector
from snowflake.connector.errors import Error as SnowflakeError

from snowgate.lambdas.snowflake_deployer import api_integration, login, owner_mark, plan
from snowgate.lambdas.snowflake_deployer.connection import Session, StatementFailed, connect
from snowgate.lambdas.snowflake_deployer.deadline import Deadline
from snowgate.lambdas.snowflake_deployer.deployer_login import Login, LoginError
from snowgate.lambdas.snowflake_deployer.redaction import Secrets
from snowgate.lambdas.snowflake_deployer.request import PropertyError, Request
from snowgate.lambdas.snowflake_deployer.statements import ScriptError, fill, read_all
from snowgate.lambdas.snowflake_deployer.user import describe_user
from snowgate.sql_folder import SqlFolderError
from stacks.deployed_outputs import OutputsError, deployed_outputs
from stacks.environment import Environment, read_environment
from stacks.environment_errors import EnvironmentFileError
from stacks.secret_facts import SecretFacts
from stacks.snowflake_side import SnowflakeSide, Unhurried, environment_file, pair, read_side

SAME, ERROR, DIFFERENT = 0, 1, 2

_LOOKS = re.compile(r"\s*(SHOW|DESC|DESCRIBE|SELECT|USE)\b", re.IGNORECASE)


class DiffError(RuntimeError):
    """No comparison can be made; the message says why and what to do."""


class Onlooker(Session):
    """A session that refuses whatever could change something, before it is sent."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.login = session.login

    def run(self, statement: str, place: str, *, changes: bool = True) -> list[dict[str, Any]]:
        """Run a statement that looks, and give its rows by column name.

        Raises:
            DiffError: it does more than look.
            StatementFailed: Snowflake refused it.
        """
        if not _LOOKS.match(statement):
            raise DiffError(f"A comparison only looks, and this statement does more: {statement.partition(chr(10))[0]}")
        # The deploy's own log lines are no part of a comparison.
        with redirect_stdout(io.StringIO()):
            return self._session.run(statement, place, changes=False)


def differences(side: SnowflakeSide, session: Session, secrets: SecretFacts) -> Iterator[str]:
    """A line for each thing that a deploy would change, in the order in which it would."""
    for request in side.logins:
        yield from _login(side, request, session, secrets)
    for request in side.integrations:
        yield from _integration(request, session)
    yield from _scripts(side, session, secrets)


def _login(side: SnowflakeSide, request: Request, session: Session, secrets: SecretFacts) -> Iterator[str]:
    name, role = (request.properties.text(key) for key in ("User", "Role"))
    found = describe_user(session, name)
    if found is None:
        yield f"+ user {name}: would be made, with role {role}"
        return
    arn = request.properties.text("SecretArn", "")
    key = secrets.public_key(arn) if arn and side.knows(arn) else None
    if arn and key is None:
        yield f"~ user {name}: its secret holds no key, so a new key pair would be made"
        return
    for statement in login.changes(request, found, key):
        yield f"~ user {name}: {_shortened(statement)}"
    yield from (f"! {sentence}" for sentence in login.left_alone(found, name))
    held = {str(row["role"]).upper() for row in session.run(f"SHOW GRANTS TO USER {name}", f"roles of {name}")}
    if role.upper() not in held:
        yield f"~ user {name}: would be granted role {role}"


def _integration(request: Request, session: Session) -> Iterator[str]:
    wanted = api_integration.definition(request.properties, owner_mark.mark(request))
    found = api_integration.look(session, wanted.name)
    if found is None:
        yield f"+ API integration {wanted.name}: would be made"
        return
    for clause, sql in wanted.changes(found).items():
        yield f"~ API integration {wanted.name}: {clause} is {found.get(clause) or 'empty'}, would be {sql}"
    if blocked := found.get("API_BLOCKED_PREFIXES"):
        yield f"~ API integration {wanted.name}: API_BLOCKED_PREFIXES is {blocked}, would be empty"
    if reason := wanted.unchangeable(found):
        yield f"! the deploy would be refused: {reason}"


def _scripts(side: SnowflakeSide, session: Session, secrets: SecretFacts) -> Iterator[str]:
    properties = side.scripts.properties
    values = properties.mapping("Values")
    scripts = read_all({name: fill(name, text, values) for name, text in side.files.items()})
    database, schema = properties.text("Database"), properties.text("Schema")
    found = plan.plan_of(
        session,
        scripts,
        database=database,
        stack=plan.stack_key(side.scripts.stack, properties.resource, database, schema),
        # A secret that no deploy has made yet has no version: then statements are compared without it.
        versions=secrets.versions(
            {name: arn for name, arn in properties.mapping("Secrets").items() if side.knows(arn)}
        ),
    )
    for file in found.files:
        yield from _file(file)
    for one in found.leftovers:
        yield f"- {one.made}: no file makes it any more, would be dropped"
    for sentence in dict.fromkeys(sentence for file in found.files for sentence in file.reports):
        yield f"! {sentence}"
    if found.refused:
        yield f"! the deploy would be refused: {found.refused}"


def _file(file: plan.FilePlan) -> Iterator[str]:
    name, count = file.script.name, len(file.script.statements)
    if file.change == plan.UNCHANGED:
        return
    if file.change == plan.NEW:
        yield f"+ {name}: new, would run {count} statements"
        return
    yield f"~ {name}: {file.change}, would run {count} statements"
    if file.change == plan.CHANGED:
        for statement in file.statements:
            yield f"    statement {statement.number}, line {statement.line}: {_shortened(statement.first_line)}"
    for sentence in file.drift:
        yield f"    drift: {sentence}"


def _shortened(text: str) -> str:
    flat = re.sub(r"(RSA_PUBLIC_KEY(_2)? = ')[^']{12}[^']*", r"\1…", " ".join(text.split()))
    return flat if len(flat) <= 160 else f"{flat[:159]}…"


@contextmanager
def _session(environment: Environment, connection: str | None) -> Iterator[Session]:
    table, deadline = environment.snowflake, Deadline(Unhurried())
    if connection:
        with snowflake.connector.connect(
            connection_name=connection,
            role=table.deployer_role,
            enable_server_session_keep_alive_auto_detection=False,
        ) as connected:
            yield Onlooker(Session(connected, _as_login(connected), deadline))
        return
    # The deploy's functions read the login from the environment, and no other one's may be there.
    for name in ("SNOWFLAKE_SECRET_ARN", "SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USER", "SNOWFLAKE_ROLE"):
        os.environ.pop(name, None)
    os.environ.update(_login_environment(environment))
    with connect(Secrets(), deadline) as session:
        yield Onlooker(session)


def _login_environment(environment: Environment) -> dict[str, str]:
    """What the deploy's function finds in its environment."""
    table = environment.snowflake
    if table.login == "key_pair":
        return {"SNOWFLAKE_SECRET_ARN": str(table.login_secret), "AWS_DEFAULT_REGION": environment.region}
    return {
        "SNOWFLAKE_ACCOUNT": str(table.account),
        "SNOWFLAKE_USER": table.deployer_role,
        "SNOWFLAKE_ROLE": table.deployer_role,
        "AWS_DEFAULT_REGION": environment.region,
    }


def _as_login(connection: Any) -> Login:
    return Login(connection.account, connection.user, connection.role, {}, {}, {})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the differences; 0 without any, 2 with some, 1 after an error."""
    options = _parser().parse_args(arguments)
    try:
        environment = read_environment(environment_file(options.environment))
        side = read_side(environment, dict(map(pair, options.value)), deployed_outputs(environment))
        _require_values(side)
        with _session(environment, options.connection) as session:
            session.run(f"USE WAREHOUSE {environment.snowflake.warehouse}", "use the warehouse")
            print(f"# {environment.name}: Snowflake account {session.login.account}, as {session.login.user}")
            lines = list(differences(side, session, SecretFacts(environment)))
    except (
        DiffError,
        OutputsError,
        EnvironmentFileError,
        SqlFolderError,
        ScriptError,
        PropertyError,
        LoginError,
        StatementFailed,
        SnowflakeError,
        ValueError,
    ) as error:
        print(f"{error}\nError: exit code {ERROR}.", file=sys.stderr)
        return ERROR
    print("\n".join([*lines, f"Differences: exit code {DIFFERENT}."] if lines else ["No differences."]))
    return DIFFERENT if lines else SAME


def _require_values(side: SnowflakeSide) -> None:
    values = side.scripts.properties.mapping("Values")
    missing = [one for one in side.placeholders if values.get(one.name) == one.stand_in]
    if missing:
        names = ", ".join(f"{one.name} ({one.where})" for one in missing)
        raise DiffError(f"Not known yet: {names}. Deploy those stacks first, or give --value NAME=VALUE.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stacks.snowflake_diff",
        description=__doc__.partition("\n")[0],
        epilog="Exit codes: 0 no difference, 2 differences, 1 an error.",
    )
    parser.add_argument("environment", help="name of a file in environments/, without .toml, or a path to one")
    parser.add_argument("--connection", metavar="NAME", help="a connection of connections.toml, instead of the login")
    parser.add_argument(
        "--value", action="append", default=[], metavar="NAME=VALUE", help="a deploy-time value; repeat"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
