"""`python -m local.cloud`: the AWS stand-in as a server on 127.0.0.1, with TLS and IAM enforced, until SIGTERM."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from local.cloud import server, settings


def main() -> None:
    """Read the arguments, set the process's environment, mend ministack, serve."""
    arguments = _arguments()
    postgres_url = os.environ.get("POSTGRES_URL", "")  # not an argument: it holds a password
    environment = settings.process_environment(
        port=arguments.port,
        state=arguments.state,
        certificate=arguments.certificate,
        key=arguments.key,
        of_functions=dict(arguments.function_variable),
    )
    shutil.rmtree(environment["TMPDIR"], ignore_errors=True)  # what Lambdas of a killed stand-in left
    for name in ("TMPDIR", "STATE_DIR", "S3_DATA_DIR"):
        Path(environment[name]).mkdir(parents=True, exist_ok=True)
    os.environ.clear()
    os.environ.update(environment)

    # Only now: ministack reads its settings when it is imported.
    from ministack import app
    from ministack.core import lambda_runtime

    from local.cloud import additions
    from local.cloud.additions import databases

    databases.serve_from(postgres_url)
    additions.apply()
    server.run(app.app, port=arguments.port, certificate=arguments.certificate, key=arguments.key)
    lambda_runtime.reset()  # ends the Lambdas' processes
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a normal exit waits for every worker thread


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.cloud", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--state", type=_absolute, required=True, help="folder that keeps the state over restarts")
    parser.add_argument("--certificate", type=_file, required=True, help="PEM certificate, with ca.pem beside it")
    parser.add_argument("--key", type=_file, required=True, help="PEM private key of the certificate")
    parser.add_argument(
        "--function-variable",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an environment variable of every Lambda; can be given several times",
    )
    return parser.parse_args()


def _variable(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _absolute(text: str) -> Path:
    return Path(text).resolve()


def _file(text: str) -> Path:
    path = _absolute(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{path} does not exist; local.cloud.certificates.make writes it")
    return path


if __name__ == "__main__":
    main()
