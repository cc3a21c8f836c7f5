"""The AWS stand-in as a context manager for tests: a real server process on a free port, with clients for it."""

from __future__ import annotations

import io
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import WaiterError

from local.cloud import certificates
from local.cloud.accounts import OPERATOR, Account

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
SESSION = boto3.session.Session()  # one for all clients: it keeps the services' models, which are slow to read


class StackFailed(Exception):
    """A stack's operation failed."""


@dataclass(frozen=True)
class CloudServer:
    """A running stand-in: where it is, and boto3 clients for it."""

    process: subprocess.Popen[bytes]
    port: int
    bundle: Path
    log: Path

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"https://127.0.0.1:{self.port}"

    def client(self, service: str, who: Account | dict[str, str] = OPERATOR, **options: Any) -> Any:
        """A client with an account's root key, or with the Credentials that STS or IAM gave."""
        keys = (
            {"aws_access_key_id": who.access_key_id, "aws_secret_access_key": who.secret_access_key}
            if isinstance(who, Account)
            else {
                "aws_access_key_id": who["AccessKeyId"],
                "aws_secret_access_key": who["SecretAccessKey"],
                "aws_session_token": who.get("SessionToken"),
            }
        )
        config = Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=60)
        settings = {"endpoint_url": self.endpoint, "verify": str(self.bundle), "region_name": REGION, "config": config}
        make: Any = SESSION.client
        return make(service, **(settings | keys | options))

    def deploy(self, name: str, resources: dict[str, Any], **outputs: Any) -> dict[str, str]:
        """Create or update a stack and give its outputs. Raises StackFailed with the reasons in its events."""
        client = self.client("cloudformation")
        template = {"Resources": resources, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
        request = {
            "StackName": name,
            "TemplateBody": json.dumps(template),
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }
        try:
            client.create_stack(**request)
            waiter = client.get_waiter("stack_create_complete")
        except client.exceptions.AlreadyExistsException:
            client.update_stack(**request)
            waiter = client.get_waiter("stack_update_complete")
        try:
            waiter.wait(StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
        except WaiterError:
            events = client.describe_stack_events(StackName=name)["StackEvents"]
            raise StackFailed("; ".join(event.get("ResourceStatusReason", "") for event in events)) from None
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def make_role(self, name: str, trusts: dict[str, Any], *allows: dict[str, Any]) -> str:
        """Make a role: who may assume it (a statement without Effect), and what it may do. Gives its ARN."""
        iam = self.client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"} | trusts]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        if allows:
            document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | allow for allow in allows]}
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        return str(role["Arn"])

    def make_function(self, name: str, role: str, source: str, **environment: str) -> str:
        """Make a Python Lambda from one source text with a function `handler`. Gives its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", source)
        made = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=20,
            Environment={"Variables": environment},
        )
        return str(made["FunctionArn"])

    def get(self, path: str, **options: Any) -> bytes:
        """The body of a plain request, without credentials unless headers say so. Raises urllib's HTTPError."""
        request = urllib.request.Request(f"{self.endpoint}{path}", **options)
        context = ssl.create_default_context(cafile=str(self.bundle))
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return bytes(answer.read())


@contextmanager
def cloud_server(folder: Path, port: int | None = None, postgres_url: str = "") -> Iterator[CloudServer]:
    """Start the stand-in with its state in `folder`, wait until it answers, and stop it at the end."""
    certificates.make(folder / "certificates")
    port = port or _free_port()
    log = folder / "cloud.log"
    command = [
        *(ROOT / ".venv-cloud" / "bin" / "python", "-m", "local.cloud", "--port", str(port)),
        *("--state", folder / "state"),
        *("--certificate", folder / "certificates" / "tls.crt", "--key", folder / "certificates" / "tls.key"),
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env=os.environ | {"POSTGRES_URL": postgres_url},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    server = CloudServer(process, port, folder / "certificates" / "ca.pem", log)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: CloudServer) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            server.get("/_ministack/health")
            return
        except (urllib.error.URLError, ConnectionError):
            if server.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the stand-in did not start:\n{server.log.read_text()[-3000:]}") from None
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
