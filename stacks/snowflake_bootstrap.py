"""Render the one SQL file that an ACCOUNTADMIN runs by hand, and make the deployer's login that it registers.

    python -m stacks.snowflake_bootstrap ENV [--public-key FILE | --make-login --account ACCOUNT]

Importing this needs no CDK, and reading an environment's file does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jinja2 import Environment as Templates
from jinja2 import FileSystemLoader, StrictUndefined

from stacks.snowflake_names import bootstrap_names

if TYPE_CHECKING:
    from stacks.environment import Environment

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "snowflake_sql"
KEY_BITS = 2048


class BootstrapError(RuntimeError):
    """What the user gave does not fit; the message says what to give instead."""


def render(environment: Environment, public_key: str | None) -> str:
    """The bootstrap SQL of an environment; without a public key it says how to register one later."""
    templates = Templates(  # noqa: S701 (SQL, not HTML)
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    return templates.get_template("bootstrap.sql").render(bootstrap_names(environment, public_key=public_key))


def deployer_user(environment: Environment) -> str:
    """The user that deploys: it has its role's name."""
    return environment.snowflake.deployer_role


def make_key_pair() -> tuple[str, str]:
    """A new private key as PEM text, and its public key as Snowflake takes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return pem, public_key_of(pem)


def public_key_of(pem: str) -> str:
    """The public key of a key file's text, private or public, as Snowflake takes it: base64 without the frame lines.

    Raises:
        BootstrapError: the text is no PEM key.
    """
    text = pem.replace("\\n", "\n").strip().encode() + b"\n"
    try:
        if b"PRIVATE KEY" in text:
            key = serialization.load_pem_private_key(text, None).public_key()
        else:
            key = serialization.load_pem_public_key(text)
    except (ValueError, TypeError) as error:
        raise BootstrapError("This is no PEM key without passphrase: give the file that `openssl` wrote.") from error
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return "".join(line for line in public.splitlines() if not line.startswith("-----"))


def make_login(environment: Environment, given: dict[str, Any], secrets: Any) -> str:
    """Put the deployer's login into the environment's secret and give its public key.

    A secret that is there keeps its key; ``given`` (account, host, port, protocol) goes over what it holds.

    Raises:
        BootstrapError: the secret holds something else, or no account is known.
    """
    name = environment.snowflake.login_secret
    if name is None:
        raise BootstrapError(f"environments/{environment.name}.toml names no login_secret to put the login into.")
    held = _held_login(name, secrets)
    wanted = {"user": deployer_user(environment), "role": environment.snowflake.deployer_role}
    login = held | {key: value for key, value in given.items() if value is not None} | wanted
    if not login.get("account"):
        raise BootstrapError("Which Snowflake account? Give --account ORGANIZATION-ACCOUNT.")
    if "private_key" not in login:
        login["private_key"] = make_key_pair()[0]
    public_key = public_key_of(login["private_key"])
    if not held:
        secrets.create_secret(
            Name=name, SecretString=json.dumps(login), Description="With this login Snowgate deploys to Snowflake"
        )
    elif login != held:
        secrets.put_secret_value(SecretId=name, SecretString=json.dumps(login))
    return public_key


def main(arguments: Sequence[str] | None = None) -> int:
    """Write build/snowflake-bootstrap-ENV.sql and say what to do with it."""
    options = _parser().parse_args(arguments)
    from stacks.environment import read_environment
    from stacks.environment_errors import EnvironmentFileError
    from stacks.example_names import warning, with_warning
    from stacks.snowflake_side import environment_file

    try:
        environment = read_environment(environment_file(options.environment))
        public_key = _public_key(environment, options)
        output = options.output or ROOT / "build" / f"snowflake-bootstrap-{environment.name}.sql"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(with_warning(environment, render(environment, public_key)))
    except (BootstrapError, EnvironmentFileError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if text := warning(environment):
        print(f"Warning: {text}.", file=sys.stderr)
    print(f"{output}: run it once as ACCOUNTADMIN, then deploy.")
    if environment.snowflake.login == "workload_identity":
        print(f"The deployer logs in as IAM role {environment.role_arn(environment.deployer_role_name)}: no secret.")
    elif public_key is None:
        print(
            "It registers no key yet. With SNOWFLAKE_ACCOUNT=<organization>-<account>, make stores a new login in "
            "Secrets Manager and registers its key (--make-login); --public-key FILE takes a key of yours."
        )
    return 0


def _held_login(name: str, secrets: Any) -> dict[str, Any]:
    try:
        text = secrets.get_secret_value(SecretId=name)["SecretString"]
    except secrets.exceptions.ResourceNotFoundException:
        return {}
    try:
        held = json.loads(text)
    except ValueError:
        held = None
    if not isinstance(held, dict) or not isinstance(held.get("private_key"), str):
        raise BootstrapError(
            f"Secret {name} is there and holds no login with a private_key: look into it, then delete it."
        )
    return held


def _public_key(environment: Environment, options: argparse.Namespace) -> str | None:
    if environment.snowflake.login == "workload_identity":
        if options.public_key or options.make_login:
            raise BootstrapError(
                f'environments/{environment.name}.toml says login = "workload_identity", so the deployer has no key. '
                'Leave key and SNOWFLAKE_ACCOUNT out, or say login = "key_pair" there.'
            )
        return None
    if options.public_key:
        return public_key_of(options.public_key.read_text())
    if not options.make_login:
        return None
    given = {name: getattr(options, name) for name in ("account", "host", "port", "protocol")}
    return make_login(environment, given, _secrets_manager(environment))


def _secrets_manager(environment: Environment) -> Any:
    """A client for the environment's own account and region.

    Raises:
        BootstrapError: there are no credentials, or they are another account's.
    """
    import boto3  # here, because rendering alone needs no AWS
    from botocore.exceptions import BotoCoreError, ClientError

    session = boto3.session.Session(region_name=environment.region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise BootstrapError(f"--make-login needs AWS credentials of account {environment.account}: {error}") from error
    if account != environment.account:
        raise BootstrapError(
            f"The AWS credentials are of account {account}; the environment is in {environment.account}."
        )
    return session.client("secretsmanager")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stacks.snowflake_bootstrap", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("environment", help="name of a file in environments/, without .toml, or a path to one")
    key = parser.add_mutually_exclusive_group()
    key.add_argument(
        "--public-key", type=Path, metavar="FILE", help="PEM file of the deployer's key, public or private"
    )
    key.add_argument("--make-login", action="store_true", help="make key and secret; a secret that is there is kept")
    parser.add_argument("--account", help="the Snowflake account, ORGANIZATION-ACCOUNT; for --make-login")
    parser.add_argument("--host", help="for an account at another address than Snowflake's own; for --make-login")
    parser.add_argument("--port", type=int, help="as --host")
    parser.add_argument("--protocol", choices=("https", "http"), help="as --host")
    parser.add_argument("--output", type=Path, help="the file to write; default build/snowflake-bootstrap-ENV.sql")
    return parser


if __name__ == "__main__":
    sys.exit(main())
