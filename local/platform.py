"""The local platform as a whole: the stand-ins, the task runner, and the deploy onto them with the real CDK CLI.

It does what a user of real accounts does, with the same commands: bootstrap the AWS account, make the deployer's login,
run the bootstrap SQL as an administrator, `cdk deploy`. Only the places differ where these commands go.
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import shutil
import ssl
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import snowflake.connector

from local import container_engine, postgres, sample_data
from local.cloud import certificates
from local.cloud.accounts import OPERATOR
from local.processes import ROOT, Server, StepFailed, free_port, run
from local.settings import ENVIRONMENTS, LocalEnvironment
from local.task_containers import TaskContainers
from report_service.catalogue import CatalogueError, load_catalogue

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

ADMINISTRATOR = "ADMIN"
SNOWFLAKE_ACCOUNT = "LOCAL"


@dataclass(frozen=True)
class Platform:
    """One local platform in a folder of its own; several can run side by side.

    Arguments: `folder` holds data, logs and process files; `fixed_ports` are (AWS, Snowflake, PostgreSQL), free
    ones when None; `runner` says whether ECS tasks are a "process" or a "container" each; `environments` is the folder
    with the file of `environment`.
    """

    folder: Path
    fixed_ports: tuple[int, int, int] | None = None
    runner: str = "process"
    environment: LocalEnvironment = field(default_factory=LocalEnvironment.read)
    environments: Path = ENVIRONMENTS

    # --- where things are

    @property
    def logs(self) -> Path:
        """The folder of all log files."""
        return self.folder / "logs"

    @cached_property
    def connection(self) -> dict[str, Any]:
        """Ports and the administrators' password, made at the first start and kept in connection.json."""
        file = self.folder / "connection.json"
        kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        ports = self.fixed_ports or (free_port(), free_port(), free_port())
        made = dict(zip(("aws", "snowflake", "postgres"), ports, strict=True)) | {"password": secrets.token_urlsafe(16)}
        if made.keys() - kept.keys():  # a folder of an older version lacks what is new
            self.folder.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(json.dumps(made | kept))
        return made | kept

    @property
    def aws_endpoint(self) -> str:
        """The AWS stand-in's URL."""
        return f"https://127.0.0.1:{self.connection['aws']}"

    @property
    def certificate_bundle(self) -> Path:
        """The CA file that makes clients trust the AWS stand-in."""
        return self.folder / "certificates" / "ca.pem"

    @property
    def cloud(self) -> Server:
        """The AWS stand-in."""
        return self._server("cloud")

    @property
    def warehouse(self) -> Server:
        """The Snowflake stand-in."""
        return self._server("warehouse")

    @property
    def databases(self) -> Server:
        """The PostgreSQL behind Amazon RDS."""
        return self._server("postgres")

    @property
    def superuser(self) -> postgres.Postgres:
        """That PostgreSQL as its superuser sees it, who is not the master user of any instance."""
        return postgres.Postgres(self.connection["postgres"], self.connection["password"])

    @property
    def fargate(self) -> Server:
        """The runner of ECS tasks."""
        return self._server("fargate")

    def _server(self, name: str) -> Server:
        return Server(name, self.folder / "run", self.logs / f"{name}.log")

    # --- environments of the processes

    def bare_environment(self) -> dict[str, str]:
        """This process's environment without anybody's AWS or Snowflake settings: nothing real is ever reached."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SNOWFLAKE_", "CDK_", "PYTHONPATH"))}
        tools = [ROOT / "node_modules" / ".bin", Path(sys.executable).parent]
        return kept | {"PATH": os.pathsep.join([*map(str, tools), kept.get("PATH", "")]), "PYTHONUNBUFFERED": "1"}

    def endpoint_environment(self) -> dict[str, str]:
        """What leads an AWS client here, without credentials."""
        bundle = str(self.certificate_bundle)
        return {
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_CA_BUNDLE": bundle,
            "NODE_EXTRA_CA_CERTS": bundle,
            "AWS_REGION": self.environment.region,
            "AWS_DEFAULT_REGION": self.environment.region,
        }

    def snowflake_environment(self) -> dict[str, str]:
        """What leads tasks and functions to the Snowflake stand-in, whose address is in no template and no secret."""
        return {
            "SNOWFLAKE_HOST": "127.0.0.1",
            "SNOWFLAKE_PORT": str(self.connection["snowflake"]),
            "SNOWFLAKE_PROTOCOL": "http",
            # The connector shows a workload identity to Snowflake's own hosts alone, and to those named here.
            "SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES": "127.0.0.1",
        }

    def operator_environment(self) -> dict[str, str]:
        """What the CDK CLI and the operator's tools run with."""
        return (
            self.bare_environment()
            | self.endpoint_environment()
            | {
                "AWS_ACCESS_KEY_ID": OPERATOR.access_key_id,
                "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key,
                "CDK_DISABLE_VERSION_CHECK": "1",
            }
        )

    # --- clients

    def tools_environment(self) -> dict[str, str]:
        """Lead AWS tools to the stand-in, and those of Snowflake to the connection `local`, which is ADMIN's."""
        file = self.folder / "connections.toml"
        file.touch(mode=0o600)
        login = {name: value for name, value in self.login().items() if isinstance(value, (str, int))}
        lines = [f"{name} = {json.dumps(value)}" for name, value in login.items()]
        file.write_text("\n".join(["[local]", *lines, ""]))
        return self.operator_environment() | {"SNOWFLAKE_HOME": str(self.folder)}

    def client(self, service: str) -> Any:
        """A boto3 client with the operator's credentials."""
        return boto3.session.Session().client(
            service,  # type: ignore[call-overload]  # the service's name is only known at run time
            endpoint_url=self.aws_endpoint,
            verify=str(self.certificate_bundle),
            region_name=self.environment.region,
            aws_access_key_id=OPERATOR.access_key_id,
            aws_secret_access_key=OPERATOR.secret_access_key,
        )

    def connect(self, **options: Any) -> snowflake.connector.SnowflakeConnection:
        """Connect to the Snowflake stand-in as its administrator, in the reports' database and schema."""
        return snowflake.connector.connect(**(self.login() | options))

    def login(self) -> dict[str, Any]:
        """The arguments of `snowflake.connector.connect` for the administrator."""
        return {
            "account": SNOWFLAKE_ACCOUNT,
            "user": ADMINISTRATOR,
            "password": self.connection["password"],
            "host": "127.0.0.1",
            "port": self.connection["snowflake"],
            "protocol": "http",
            "database": self.environment.database,
            "schema": self.environment.config_schema,
            "role": "ACCOUNTADMIN",
            "login_timeout": 10,
            "enable_server_session_keep_alive_auto_detection": False,  # close() ends the session, as it always did
        }

    def outputs(self, stack: str) -> dict[str, str]:
        """The outputs of a deployed stack, by its name without the environment's."""
        cloudformation: CloudFormationClient = self.client("cloudformation")
        described = cloudformation.describe_stacks(StackName=f"{self.environment.name}-{stack}")["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    # --- start and stop

    def start(self) -> None:
        """Start the stand-ins and wait until they answer."""
        ports = self.connection  # its file also marks the folder as a platform's
        for folder in ("certificates", "cloud", "warehouse"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        certificates.make(self.certificate_bundle.parent, self.environment.region)
        sample = sample_data.make()
        rows, superuser = self.folder / "postgres", self.superuser
        if not rows.exists():
            postgres.initialise(rows, superuser.password)

        self.databases.start(postgres.serve(rows, superuser.port), self.bare_environment())
        self.cloud.start(
            [
                *(ROOT / ".venv-cloud" / "bin" / "python", "-m", "local.cloud"),
                *("--port", str(ports["aws"])),
                *("--state", self.folder / "cloud"),
                *("--certificate", self.certificate_bundle.parent / "tls.crt"),
                *("--key", self.certificate_bundle.parent / "tls.key"),
                *(f"--function-variable={name}={value}" for name, value in self.snowflake_environment().items()),
            ],
            self.bare_environment() | {"POSTGRES_URL": superuser.url()},
        )
        self.warehouse.start(
            [
                *(ROOT / ".venv-warehouse" / "bin" / "python", "-m", "local.warehouse"),
                *("--port", str(ports["snowflake"])),
                *("--data", self.folder / "warehouse"),
                *("--sample", sample),
                *("--task-interval", "1"),
            ],
            self.bare_environment()
            | self.endpoint_environment()
            | {"WAREHOUSE_ADMIN_PASSWORD": self.connection["password"]},
        )
        self.databases.wait_until(lambda: postgres.answers(superuser), 20)
        self.cloud.wait_until(lambda: self._answers(f"{self.aws_endpoint}/_ministack/health"), 30)
        self.warehouse.wait_until(lambda: self._answers(f"http://127.0.0.1:{ports['snowflake']}/_warehouse/health"), 60)

    def build_images(self) -> None:
        """Build what tasks are to be containers of. Raises StepFailed where no engine is, or a build fails."""
        try:
            container_engine.build_all()
        except container_engine.NoEngine as why:
            raise StepFailed("look for a container engine", str(why)) from why

    @property
    def _engine(self) -> Path:
        """The engine of tasks that are containers: `make down` knows by it what to remove them with."""
        return self.folder / "run" / "engine.json"

    def start_fargate(self) -> None:
        """Start the runner that turns ECS's tasks into processes or containers."""
        if self.runner == "container":
            self._engine.write_text(container_engine.find().to_json())
        self.fargate.start(
            [sys.executable, "-m", "local.fargate", self.folder, self.runner],
            self.operator_environment()
            | self.snowflake_environment()
            | {"POSTGRES_PORT": str(self.connection["postgres"])},
        )
        self.fargate.wait_until((self.folder / "run" / "fargate.ready").exists, 20)

    def stop_fargate(self) -> None:
        """Stop the runner and all tasks."""
        self.fargate.stop(20)
        (self.folder / "run" / "fargate.ready").unlink(missing_ok=True)
        if self._engine.exists():  # a runner that was killed removes nothing
            TaskContainers(container_engine.Engine.from_json(self._engine.read_text()), self.folder).sweep()
            self._engine.unlink()

    def stop(self) -> None:
        """Stop everything that runs, tasks first, and keep the data."""
        self.stop_fargate()
        self.cloud.stop(5)
        self.warehouse.stop(5)
        self.databases.stop(5)

    def erase(self) -> None:
        """Forget all data of a stopped platform. Raises StepFailed for a folder that holds something else."""
        found = [file.name for file in self.folder.iterdir()] if self.folder.exists() else []
        if found and "connection.json" not in found:
            why = f"{self.folder} is no platform's folder, it holds {', '.join(found[:3])}; name another one"
            raise StepFailed("erasing of the old platform", why)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self, url: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificate_bundle)) if url.startswith("https") else None
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    # --- what a user does

    def bootstrap(self) -> None:
        """After synth, once per account: `cdk bootstrap`, the deployer's login, the administrator's SQL, the sender."""
        target = f"aws://{self.environment.account}/{self.environment.region}"
        environment = self.operator_environment()
        command: list[str | Path] = ["cdk", "bootstrap", target, "--app", self.assembly]
        run("cdk bootstrap", command, environment, self._log("bootstrap"), 120)
        file = self.folder / "snowflake-bootstrap.sql"
        described = self.environments / f"{self.environment.name}.toml"
        by_key = self.environment.login == "key_pair"
        make_login = ("--make-login", "--account", SNOWFLAKE_ACCOUNT) if by_key else ()
        run(
            "snowflake bootstrap",
            [
                *(sys.executable, "-m", "stacks.snowflake_bootstrap", described),
                *(*make_login, "--output", file),
            ],
            environment,
            self._log("snowflake-bootstrap"),
            60,
        )
        with self.connect(database=None, schema=None) as connection:
            for cursor in connection.execute_string(file.read_text(), remove_comments=True):
                cursor.close()
        if self.environment.sender:
            ses = self.client("sesv2")
            with suppress(ses.exceptions.AlreadyExistsException):  # since an earlier start
                ses.create_email_identity(EmailIdentity=self.environment.sender)

    def synth(self) -> None:
        """`cdk synth` of all environments, with no account; `make synth` and a test validate them as well."""
        run(
            "cdk synth",
            [
                *("cdk", "synth", "--quiet", "--no-validation", "--output", self.assembly),
                *("--context", f"environments={self.environments}"),
            ],
            self.bare_environment(),
            self._log("synth"),
            180,
        )

    def deploy(self, *options: str) -> None:
        """`cdk deploy` of the stacks that synth wrote; as `make deploy`, it looks at Snowflake each time."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        recheck = [f"{self.environment.name}-{stack}:Recheck={now}" for stack in ("Secrets", "Snowflake")]
        parameters = [word for parameter in recheck for word in ("--parameters", parameter)]
        self._cdk("deploy", "*", "--require-approval", "never", "--concurrency", "4", *parameters, *options)

    def destroy(self, stack: str = "*") -> None:
        """`cdk destroy` of the environment's stacks, or of one of them alone."""
        self._cdk("destroy", stack, "--force", *(() if stack == "*" else ("--exclusively",)))

    @property
    def assembly(self) -> Path:
        """The cloud assembly that this platform deploys."""
        return self.folder / "cdk.out"

    def _cdk(self, verb: str, stack: str, *options: str) -> None:
        run(
            f"cdk {verb}",
            ["cdk", verb, f"{self.environment.name}/{stack}", "--app", self.assembly, "--progress", "events", *options],
            self.operator_environment(),
            self._log(verb),
            300,
        )

    def _log(self, step: str) -> Path:
        return self.logs / f"{step}.log"

    def web_url(self) -> str | None:
        """Where the report service's web role answers, or None when no web task runs."""
        return self._url_of(self.environment.image)

    def weather_url(self) -> str | None:
        """Where a task of the weather API answers, without CloudFront, or None when none runs."""
        return self._url_of(self.environment.weather_image)

    def _url_of(self, image: str | None) -> str | None:
        for task in self.tasks():
            if task.get("port") and task["image"] == image:
                return f"http://127.0.0.1:{task['port']}"
        return None

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks that run now: name, arn, group, pid, started_at (UTC), port, log."""
        file = self.folder / "run" / "tasks.json"
        if not file.exists() or not self.fargate.process():
            return []
        values: list[dict[str, Any]] = json.loads(file.read_text())
        return values


def require_set_up() -> None:
    """Refuse to start where `make setup` has not been run."""
    for place in (
        ".venv-cloud",
        ".venv-warehouse",
        ".venv-service",
        ".venv-weather",
        ".venv-conflict-updater",
        "node_modules/.bin/cdk",
    ):
        if not (ROOT / place).exists():
            raise StepFailed("check of the set-up", f"{place} is missing: run `make setup`")


def require_catalogue() -> None:
    """Refuse to deploy reports with which no task would start: it would say so in its log, and all requests wait."""
    try:
        load_catalogue(ROOT / "service" / "reports")
    except CatalogueError as error:
        raise StepFailed("check of service/reports", str(error)) from error
