"""Render all that a deploy does in Snowflake as one SQL file, for those who want to read it or to run it themselves.

    python -m stacks.snowflake_plan ENV [--value NAME=VALUE …] [--deployed]

Values that only a deploy knows stand in the file as ``<% name %>``, the variables of the Snowflake CLI (``snow sql
--filename FILE --variable name=value``); its head lists them. Secrets are never filled in.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from snowgate.lambdas.snowflake_deployer import api_integration, login, owner_mark
from snowgate.lambdas.snowflake_deployer.request import Request
from snowgate.lambdas.snowflake_deployer.statements import Script, fill, read_all
from snowgate.sql_folder import SqlFolderError
from stacks import snowflake_bootstrap
from stacks.deployed_outputs import OutputsError, deployed_outputs
from stacks.environment import Environment, read_environment
from stacks.example_names import warning, with_warning
from stacks.snowflake_side import Placeholder, SnowflakeSide, environment_file, pair, read_side
from stacks.synthesis import ROOT

_SECRET = re.compile(r"\$\{secret:(\w+)\}")
_VARIABLE = re.compile(r"<% (\w+) %>")
# A value ends up in a SQL string: the same characters as the deploy allows.
_VALUE = re.compile(r"[A-Za-z0-9_.:/@+=,?&%~*()\[\] -]+")
_RULE = f"-- {'=' * 100}"

# Where a reader finds what only a deploy knows.
_WHERE = {
    "trigger_url": "output TriggerUrl of stack {environment}-Trigger",
    "web_host": "the host name in output WebApiUrl of stack {environment}-ReportService",
    "deployer_public_key": "the public key of the deployer's key pair: base64, without the BEGIN and END lines",
}


class PlanError(ValueError):
    """What the user gave does not fit; the message says what to give instead."""


def plan(environment: Environment, values: Mapping[str, str], side: SnowflakeSide) -> str:
    """The whole file; ``values`` fill placeholders by their names.

    Raises:
        PlanError: a value is of no placeholder.
    """
    scripts = read_all(_filled(side))
    parts = [
        _part("1. What the administrator does (the file of `make snowflake-bootstrap`)", _bootstrap(environment)),
        _part("2. The logins of the containers", _logins(environment, side.logins)),
        _part("3. The way from Snowflake to API Gateway", _integrations(environment, side.integrations)),
        *(
            _part(f"{number}. {name}, as role and in the order that it says", [text])
            for number, (name, text) in enumerate(_files(side, scripts), 4)
        ),
        _part("What deleting the stacks does, the last made first", _deletion(side, scripts)),
    ]
    text = "\n".join(parts)
    for one in side.placeholders:
        text = text.replace(one.stand_in, one.text)
    known = {place.name: place for place in side.placeholders}
    names = list(dict.fromkeys(_VARIABLE.findall(text)))
    for name in values:
        if name not in names:
            raise PlanError(f"There is no value {name}; the plan has {', '.join(names) or 'none to fill in'}.")
    text = _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)
    left = [known.get(name, Placeholder(name, "")) for name in names if name not in values]
    return f"{_head(environment, left)}\n{text}"


def check_values(values: Mapping[str, str]) -> None:
    """Look at the values before anything is rendered.

    Raises:
        PlanError: one is a secret's, or could change a statement.
    """
    for name, value in values.items():
        if name.startswith("secret_"):
            raise PlanError(f"{name} is a secret: it never goes into a file. Type it in where the plan is run.")
        if not _VALUE.fullmatch(value):
            raise PlanError(f"{name}={value!r} has a quote, a backslash or another character that SQL cannot take.")


def _head(environment: Environment, left: Sequence[Placeholder]) -> str:
    names = [f"--   <% {one.name} %>: {_where(environment, one)}" for one in left]
    fill_in = [
        "-- Fill in first, by an editor or by `snow sql --filename … --variable name=value`:",
        *names,
    ]
    return "\n".join(
        [
            f"-- All that a deploy of environment {environment.name} does in Snowflake.",
            "-- Run it as ACCOUNTADMIN; each part takes the role that it needs. It keeps what is there and can be run",
            "-- again; a CREATE that says that its object exists (error 002002) is in order: the ALTER after it holds.",
            *(fill_in if left else ["-- Every value is filled in."]),
        ]
    )


def _where(environment: Environment, place: Placeholder) -> str:
    if place.name.startswith("secret_"):
        return f"a secret: output ApiTokenSecretArn of stack {environment.name}-Secrets names where it lies"
    if place.name.startswith("public_key_of_"):
        user = place.name.removeprefix("public_key_of_").upper()
        return f"the public key of {user}'s key pair: base64, without the BEGIN and END lines"
    return _WHERE.get(place.name, place.where).format(environment=environment.name)


def _part(title: str, texts: Sequence[str]) -> str:
    return "\n".join([_RULE, f"-- {title}", _RULE, "", *texts, ""])


def _bootstrap(environment: Environment) -> list[str]:
    by_key = environment.snowflake.login == "key_pair"
    return [snowflake_bootstrap.render(environment, "<% deployer_public_key %>" if by_key else None)]


def _logins(environment: Environment, requests: Sequence[Request]) -> list[str]:
    lines = [f"USE ROLE {environment.snowflake.deployer_role};"]
    for request in requests:
        user, role = (request.properties.text(name) for name in ("User", "Role"))
        key = f"<% public_key_of_{user.lower()} %>" if request.properties.text("SecretArn", "") else None
        creation = login.creation(request, key).replace("CREATE USER", "CREATE USER IF NOT EXISTS", 1)
        lines += [f"{creation};", f"GRANT ROLE {role} TO USER {user};"]
    return lines


def _integrations(environment: Environment, requests: Sequence[Request]) -> list[str]:
    lines = [f"USE ROLE {environment.snowflake.deployer_role};"]
    for request in requests:
        wanted = api_integration.definition(request.properties, owner_mark.mark(request))
        lines += [
            f"{wanted.create};",
            f"-- The trust policy of {wanted.role_arn} takes two values from what DESC shows:",
            "-- API_AWS_IAM_USER_ARN as its principal, API_AWS_EXTERNAL_ID as its condition on sts:ExternalId.",
            f"DESC INTEGRATION {wanted.name};",
        ]
    return lines


def _filled(side: SnowflakeSide) -> dict[str, str]:
    values = side.scripts.properties.mapping("Values")
    filled = {name: fill(name, text, values) for name, text in side.files.items()}
    return {name: _SECRET.sub(r"<% secret_\1 %>", text) for name, text in filled.items()}


def _files(side: SnowflakeSide, scripts: Sequence[Script]) -> Iterator[tuple[str, str]]:
    filled = _filled(side)
    for script in scripts:
        yield script.name, filled[script.name].strip()


def _deletion(side: SnowflakeSide, scripts: Sequence[Script]) -> list[str]:
    lines = []
    for script in reversed(scripts):
        for made in reversed(script.makes):
            lines.append(f"-- kept: {made}" if made.kept else f"-- {made.drop};")
    lines += [
        f"-- DROP API INTEGRATION IF EXISTS {one.properties.text('Name')};" for one in reversed(side.integrations)
    ]
    lines += [f"-- DROP USER IF EXISTS {one.properties.text('User')};" for one in reversed(side.logins)]
    lines.append("-- kept: whatever part 1 made")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Write build/snowflake-plan-ENV.sql and say what is left to fill in."""
    options = _parser().parse_args(arguments)
    try:
        environment = read_environment(environment_file(options.environment))
        values = dict(map(pair, options.value))
        check_values(values)
        outputs = deployed_outputs(environment) if options.deployed else lambda stack, name: None
        text = plan(environment, values, read_side(environment, {}, outputs))
        output = options.output or ROOT / "build" / f"snowflake-plan-{environment.name}.sql"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(with_warning(environment, text), encoding="utf-8")
    except (OutputsError, SqlFolderError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if said := warning(environment):
        print(f"Warning: {said}.", file=sys.stderr)
    left = sorted(set(_VARIABLE.findall(text)))
    first = f"fill in {', '.join(left)}, then " if left else ""
    print(f"{output}: {first}run it as ACCOUNTADMIN.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stacks.snowflake_plan", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", help="name of a file in environments/, without .toml, or a path to one")
    parser.add_argument("--value", action="append", default=[], metavar="NAME=VALUE", help="fill a placeholder; repeat")
    parser.add_argument("--deployed", action="store_true", help="fill placeholders from the deployed stacks' outputs")
    parser.add_argument("--output", type=Path, help="the file to write; default build/snowflake-plan-ENV.sql")
    return parser


if __name__ == "__main__":
    sys.exit(main())
