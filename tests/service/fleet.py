"""Worker processes without ECS around them, over both stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.cloud.accounts import OPERATOR


class WorkerProcess(subprocess.Popen[bytes]):
    """A worker; what it wrote is in the file `log`."""

    log: Path


class Fleet:
    """Worker processes, each with a log of its own; `changes` go over the environment of all."""

    def __init__(self, cloud: Any, account: Any, bucket: str, folder: Path, **changes: str) -> None:
        self.folder = folder
        self.processes: list[WorkerProcess] = []
        self.logs: list[Path] = []
        self.environment = (
            container_environment(cloud, account, bucket)
            | {
                "MAIL_SENDER": "reports@example.com",
                "REPORTS_PER_TASK": "5",
                "POLL_SECONDS": "0.3",
                "LEASE_SECONDS": "6",
                "DELIVERY_LEASE_SECONDS": "6",
                "STOP_SECONDS": "10",
                "TMPDIR": str(folder),
            }
            | changes
        )

    def start(self, **changes: Any) -> WorkerProcess:
        """Start one more; returns its process."""
        log = self.folder / f"worker-{len(self.logs)}"
        options = {key: changes.pop(key) for key in ("preexec_fn",) if key in changes}
        with log.open("w") as output:
            command = [sys.executable, "-m", "report_service", "worker"]
            environment = self.environment | {"HEALTH_FILE": f"{log}.alive"} | changes
            process = WorkerProcess(command, env=environment, stdout=output, stderr=subprocess.STDOUT, **options)
        process.log = log
        self.processes.append(process)
        self.logs.append(log)
        return process

    def kill(self, process: WorkerProcess) -> None:
        """kill -9, and forget it."""
        self.processes.remove(process)
        process.kill()
        process.wait()

    def stop(self) -> list[int]:
        """SIGTERM to all; returns their exit codes."""
        for process in self.processes:
            process.terminate()
        return [process.wait(20) for process in self.processes]

    def end(self) -> None:
        """Leave none behind."""
        for process in self.processes:
            process.kill()
            process.wait()

    def tracebacks(self) -> list[str]:
        """The logs that hold one."""
        return [log.name for log in self.logs if "Traceback" in log.read_text()]


def container_environment(cloud: Any, account: Any, bucket: str) -> dict[str, str]:
    """What any process of the service is given: the way to both stand-ins, its login's secret, and a bucket."""
    return cloud_environment(cloud) | {
        "SNOWFLAKE_SECRET_ARN": _secret(cloud, f"login-{bucket}", account.secret()),
        "REPORT_BUCKET": _bucket(cloud, bucket),
    }


def cloud_environment(cloud: Any) -> dict[str, str]:
    """The way to the AWS stand-in."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_CA_BUNDLE": str(cloud.bundle),
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": OPERATOR.access_key_id,
        "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key,
    }


def _secret(cloud: Any, name: str, value: Any) -> str:
    client = cloud.client("secretsmanager")
    try:
        return str(client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"])
    except client.exceptions.ResourceExistsException:
        return str(client.put_secret_value(SecretId=name, SecretString=json.dumps(value))["ARN"])


def _bucket(cloud: Any, name: str) -> str:
    client = cloud.client("s3")
    try:
        client.head_bucket(Bucket=name)
    except ClientError:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name
