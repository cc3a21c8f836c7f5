"""Worker processes without ECS around them, over both stand-ins."""

import json
import os
import subprocess
import sys

from botocore.exceptions import ClientError

from local.cloud.accounts import OPERATOR


class Fleet:
    """Worker processes, each with a log of its own; `changes` go over the environment of all."""

    def __init__(self, cloud, account, bucket, folder, **changes):
        self.folder = folder
        self.processes = []
        self.logs = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "AWS_CA_BUNDLE": str(cloud.bundle),
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": OPERATOR.access_key_id,
            "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key,
            "SNOWFLAKE_SECRET_ARN": _secret(cloud, f"fleet-{bucket}", account.secret()),
            "REPORT_BUCKET": _bucket(cloud, bucket),
            "MAIL_SENDER": "reports@example.com",
            "REPORTS_PER_TASK": "5",
            "POLL_SECONDS": "0.3",
            "LEASE_SECONDS": "6",
            "DELIVERY_LEASE_SECONDS": "6",
            "STOP_SECONDS": "10",
            "TMPDIR": str(folder),
        } | changes

    def start(self, **changes):
        """Start one more; returns its process, whose `log` is a file."""
        log = self.folder / f"worker-{len(self.logs)}"
        options = {key: changes.pop(key) for key in ("preexec_fn",) if key in changes}
        with log.open("w") as output:
            command = [sys.executable, "-m", "report_service", "worker"]
            environment = self.environment | {"HEALTH_FILE": f"{log}.alive"} | changes
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, **options)
        process.log = log
        self.processes.append(process)
        self.logs.append(log)
        return process

    def kill(self, process):
        """kill -9, and forget it."""
        self.processes.remove(process)
        process.kill()
        process.wait()

    def stop(self):
        """SIGTERM to all; returns their exit codes."""
        for process in self.processes:
            process.terminate()
        return [process.wait(20) for process in self.processes]

    def end(self):
        """Leave none behind."""
        for process in self.processes:
            process.kill()
            process.wait()

    def tracebacks(self):
        """The logs that hold one."""
        return [log.name for log in self.logs if "Traceback" in log.read_text()]


def _secret(cloud, name, value):
    client = cloud.client("secretsmanager")
    try:
        return client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"]
    except client.exceptions.ResourceExistsException:
        return client.put_secret_value(SecretId=name, SecretString=json.dumps(value))["ARN"]


def _bucket(cloud, name):
    client = cloud.client("s3")
    try:
        client.head_bucket(Bucket=name)
    except ClientError:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name
