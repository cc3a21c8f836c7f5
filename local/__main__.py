"""`python -m local demo | up | down | recovery-drill | with COMMAND`: what the targets of make call, and more."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from botocore.exceptions import ClientError
from rich.console import Console
from rich.markup import escape

from local.demo import Demo
from local.platform import Platform, require_catalogue, require_set_up
from local.processes import ROOT, StepFailed
from local.recovery import RecoveryDrill

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# `make up` keeps its ports; the demo and the tests take free ones, so that all can run side by side.
PORTS = (14566, 14567, 14568)

_STARTING = "starting; see build/local/run/tasks.json"


HOW_TO_GO_ON = """The platform stays up, for a look at what went wrong and for another try.
  logs of the stand-ins, functions and tasks: {logs}
  roll back a stack that an update left halfway: .venv/bin/python -m local with cdk rollback local/Snowflake
  deploy again, after a repair: make deploy ENV=local
  stop: make down"""


def demo(console: Console, folder: Path, runner: str) -> None:
    """Run the demo on a fresh platform in `folder` and leave nothing running, whatever happens."""
    platform = Platform(folder, runner=runner)
    platform.stop()
    platform.erase()
    try:
        Demo(platform, console).run()
    finally:
        with uninterrupted(), console.status("Stop everything"):
            platform.stop()
    console.print("[green]✓[/green] Everything is stopped")


def recovery_drill(console: Console, folder: Path, _runner: str) -> None:
    """Break and restore everything on a fresh platform in `folder`, and leave nothing running."""
    RecoveryDrill(folder, console).run()


def up(console: Console, folder: Path, runner: str) -> None:
    """Start the platform, deploy to it, leave it running, and say how to connect."""
    platform = Platform(folder, fixed_ports=PORTS, runner=runner)
    if platform.warehouse.process():
        console.print(
            "It runs already, and nothing was deployed: `make deploy ENV=local` deploys to it, `make down` stops it."
        )
    else:
        try:
            Demo(platform, console).deploy()
        except BaseException as error:
            if isinstance(error, StepFailed) and error.step == "cdk deploy":
                console.print(HOW_TO_GO_ON.format(logs=platform.logs), highlight=False, soft_wrap=True)
                raise
            with uninterrupted():
                platform.stop()
            raise
        if drift := _drift(platform.outputs("Snowflake")):
            console.print(drift, highlight=False, markup=False, soft_wrap=True)
    console.print(_how_to_connect(platform), highlight=False, markup=False, soft_wrap=True)


def down(console: Console, folder: Path, _runner: str) -> None:
    """Stop the platform that `up` started; its data stays."""
    Platform(folder).stop()
    console.print(f"Stopped. The data is kept in {folder}; `make up` goes on with it.")


def run_with(folder: Path, command: Sequence[str]) -> int:
    """Run a command whose AWS and Snowflake clients are led to the platform that `up` started; gives its exit code."""
    platform = Platform(folder, fixed_ports=PORTS)
    if not platform.warehouse.process():
        raise StepFailed("check of the platform", "it does not run; `make up` starts it")
    if list(command[:2]) == ["cdk", "deploy"]:
        require_catalogue()
    return subprocess.run(command, env=platform.tools_environment(), check=False).returncode


def _drift(outputs: Mapping[str, str]) -> str:
    """What this deploy found changed by hand, and what it had no need to run; empty without any drift."""
    if outputs["Drift"] == "none":
        return ""
    return f"Drift: {outputs['Drift']} (files without a change: {outputs['SkippedFiles']})"


def _how_to_connect(platform: Platform) -> str:
    # A procedure needs a warehouse.
    arguments = platform.login() | {"warehouse": platform.environment.warehouse}
    login = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    exports = "\n".join(
        f"  export {name}={shlex.quote(value)}"
        for name, value in sorted(platform.operator_environment().items())
        if name.startswith("AWS_") or name == "NODE_EXTRA_CA_CERTS"
    )
    secret = _token_secret(platform)
    token = f"boto3.client('secretsmanager').get_secret_value(SecretId='{secret}')['SecretString']"
    address = platform.aws_endpoint.removeprefix("https://")
    return f"""
Snowflake, with .venv/bin/python:
  import snowflake.connector
  with snowflake.connector.connect({login}) as connection:
      connection.cursor().execute("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('pricing_summary')")

AWS (boto3, the CDK CLI):
{exports}

Web role, at another port after each start: {platform.web_url() or _STARTING}/docs
  its token, after the exports above:
  .venv/bin/python -c "import boto3; print({token})"
Weather API, at another port after each start: {platform.weather_url() or _STARTING}/docs
  through CloudFront, after the exports above:
  curl --cacert $AWS_CA_BUNDLE --connect-to ::{address} {_weather_edge(platform)}/api/health
  to fill it: make run-job JOB=weather-warehouse ENV=local
E-mails that were sent, after the exports above: curl --cacert $AWS_CA_BUNDLE $AWS_ENDPOINT_URL/_ministack/ses/messages
PostgreSQL behind Amazon RDS, as its superuser: {platform.superuser.url()}
Files, links and more: docs/local-platform.md
Logs: {platform.logs}"""


def _token_secret(platform: Platform) -> str:
    try:
        return platform.outputs("Secrets")["ApiTokenSecretArn"]
    except (ClientError, KeyError):  # after a failed deploy
        return "<output ApiTokenSecretArn of stack local-Secrets, once that is deployed>"


def _weather_edge(platform: Platform) -> str:
    try:
        return platform.outputs("WeatherWarehouse")["Url"]
    except (ClientError, KeyError):  # after a failed deploy
        return "<output Url of stack local-WeatherWarehouse, once that is deployed>"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no signal cut the stopping short: a second Ctrl-C would leave processes behind."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _cut(arguments: list[str]) -> tuple[list[str], list[str]]:
    """This program's own arguments, and the command that `with` runs."""
    end = arguments.index("with") + 1 if "with" in arguments else len(arguments)
    return arguments[:end], arguments[end:]


def main() -> int:
    """Run one verb; exit code 0 only if all of it succeeded."""
    verbs = {
        "demo": (demo, "demo-platform"),
        "recovery-drill": (recovery_drill, "drill-platform"),
        "up": (up, "local"),
        "down": (down, "local"),
    }
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("verb", choices=[*verbs, "with"])
    parser.add_argument("--folder", type=Path, help="the platform's folder; default build/local, the demo's its own")
    parser.add_argument("--runner", choices=["process", "container"], default="process", help="what a task of ECS is")
    own, command = _cut(sys.argv[1:])
    options = parser.parse_args(own)
    console = Console(emoji=False, width=None if sys.stdout.isatty() else 120)

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        require_set_up()
        if options.verb == "with":
            return run_with(options.folder or ROOT / "build" / "local", command)
        run, name = verbs[options.verb]
        run(console, options.folder or ROOT / "build" / name, options.runner)
    except StepFailed as failure:
        console.print(f"[red]✗[/red] {escape(str(failure))}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt as interruption:
        console.print(f"Interrupted{f' by {interruption}' if str(interruption) else ''}; everything is stopped.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
