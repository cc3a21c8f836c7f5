"""Batch jobs on the AWS stand-in, with a runner of tasks that knows one small image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_secretsmanager as secretsmanager
from cloud_server import REGION, ROOT, CloudServer

from local.cloud.accounts import OPERATOR
from snowgate import BatchJob

IMAGE = "tests/job:local"

# What the container does is told by its environment; each run leaves its mark in a file.
PROGRAM = """
import os, signal, sys, time
marks = os.environ["MARKS"]
with open(marks, "a") as file:
    file.write("run\\n")
print("word:", os.environ.get("WORD", ""), "secret:", os.environ.get("SECRET", ""), flush=True)
print("scheduled:", os.environ.get("SCHEDULED", ""), flush=True)
if os.environ.get("STUBBORN"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("working", flush=True)
time.sleep(float(os.environ.get("SECONDS_TO_WORK", "0")))
if os.environ.get("KILL"):
    os.kill(os.getpid(), signal.SIGKILL)
code = int(os.environ.get("CODE", "0"))
if os.environ.get("ONCE") and open(marks).read().count("run") > 1:
    code = 0
print("no end of line", end="", flush=True)
sys.exit(code)
"""

RUN = """
import logging, sys
from pathlib import Path
from local.fargate import Runner
from local.images import Image
logging.basicConfig(level=logging.INFO)
name, folder, code = sys.argv[1:]
Runner({name: Image(Path(code), Path(sys.executable))}, Path(folder)).run()
"""


class JobsStack(cdk.Stack):
    """A stack that is deployed without the CDK's bootstrap, in a network that is not there."""

    def __init__(self, app: cdk.App, name: str) -> None:
        super().__init__(
            app,
            name,
            env=cdk.Environment(account=OPERATOR.account_id, region=REGION),
            synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        self.vpc = ec2.Vpc.from_vpc_attributes(
            self, "Vpc", vpc_id="vpc-1", availability_zones=[f"{REGION}a"], public_subnet_ids=["subnet-1"]
        )

    def add(self, job: BatchJob) -> None:
        """Give the stack the outputs by which a job is run by hand."""
        cdk.CfnOutput(self, "StateMachineArn", value=job.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "LogGroupName", value=job.log_group.log_group_name)


def templates(marks: Path) -> dict[str, dict[str, Any]]:
    """Three stacks of the environment `tests`, each with a job: Job, Hasty, which has two seconds, and Unknown."""
    app = cdk.App(builtin_cloud_formation_validation=False, analytics_reporting=False)
    stack = JobsStack(app, "tests-Job")
    secret = secretsmanager.Secret(
        stack, "Secret", secret_object_value={"word": cdk.SecretValue.unsafe_plain_text("hush")}
    )
    image = ecs.ContainerImage.from_registry(IMAGE)
    stack.add(
        BatchJob(
            stack,
            "Job",
            vpc=stack.vpc,
            image=image,
            environment={"MARKS": str(marks), "WORD": "default"},
            secrets={"SECRET": ecs.Secret.from_secrets_manager(secret, "word")},
            schedule=scheduler.ScheduleExpression.cron(year="2098"),
            scheduled_at_variable="SCHEDULED",
            scheduled_at_prefix="daily-",
            retry_exit_codes=[75],
            retry_pause=cdk.Duration.seconds(1),
            stop_timeout=cdk.Duration.seconds(2),
        )
    )
    hasty = JobsStack(app, "tests-Hasty")
    hasty.add(
        BatchJob(
            hasty,
            "Job",
            vpc=hasty.vpc,
            image=image,
            environment={"MARKS": str(marks), "SECONDS_TO_WORK": "60"},
            timeout=cdk.Duration.seconds(2),
            stop_timeout=cdk.Duration.seconds(1),
        )
    )
    unknown = JobsStack(app, "tests-Unknown")
    image = ecs.ContainerImage.from_registry("tests/unknown:local")
    unknown.add(BatchJob(unknown, "Job", vpc=unknown.vpc, image=image, max_attempts=1))
    return {made.stack_name: made.template for made in app.synth().stacks}


@dataclass
class Jobs:
    """The deployed jobs, and the runner of their tasks."""

    cloud: CloudServer
    folder: Path
    machines: dict[str, str] = field(default_factory=dict)
    runner: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.steps, self.ecs, self.logs = (self.cloud.client(name) for name in ("stepfunctions", "ecs", "logs"))
        code = self.folder / "image" / "src"
        code.mkdir(parents=True)
        (code / "job.py").write_text(PROGRAM)
        (self.folder / "image" / "Dockerfile").write_text('ENTRYPOINT ["python", "-m", "job"]\nCMD []\n')
        (self.folder / "run").mkdir()
        for stack, template in templates(self.marks).items():
            wanted = {name: output["Value"] for name, output in template["Outputs"].items()}
            outputs = self.cloud.deploy(stack, template["Resources"], **wanted)
            self.machines[stack.removeprefix("tests-")] = outputs["StateMachineArn"]

    @property
    def marks(self) -> Path:
        """The file to which each run of a container adds a line."""
        return self.folder / "marks"

    @property
    def environment(self) -> dict[str, str]:
        """What leads AWS clients to the stand-in as its operator."""
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.cloud.endpoint,
            "AWS_CA_BUNDLE": str(self.cloud.bundle),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": OPERATOR.access_key_id,
            "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key,
        }

    def start_runner(self) -> None:
        """Start the runner and wait until it looks."""
        ready = self.folder / "run" / "fargate.ready"
        ready.unlink(missing_ok=True)
        with (self.folder / "runner.log").open("ab") as output:
            self.runner = subprocess.Popen(
                [sys.executable, "-c", RUN, IMAGE, str(self.folder), str(self.folder / "image")],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_for(ready.exists)

    def start(self, job: str = "Job", **environment: str) -> str:
        """Start an execution; its ARN."""
        request = {"environment": environment} if environment else {}
        self.marks.unlink(missing_ok=True)
        started = self.steps.start_execution(stateMachineArn=self.machines[job], input=json.dumps(request))
        return str(started["executionArn"])

    def end(self, execution: str) -> dict[str, Any]:
        """How an execution ended."""
        wait_for(lambda: self.steps.describe_execution(executionArn=execution)["status"] != "RUNNING", 40)
        return dict(self.steps.describe_execution(executionArn=execution))

    def run(self, job: str = "Job", **environment: str) -> dict[str, Any]:
        """Run an execution to its end."""
        return self.end(self.start(job, **environment))

    def runs(self) -> int:
        """How often a container ran since the last start."""
        return self.marks.read_text().count("run") if self.marks.exists() else 0

    def tasks(self, execution: str) -> list[str]:
        """The ARNs of the tasks of an execution, in their order."""
        history = self.steps.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        submitted = [event["taskSubmittedEventDetails"] for event in history if event["type"] == "TaskSubmitted"]
        return [json.loads(details["output"])["Tasks"][0]["TaskArn"] for details in submitted]

    def task(self, execution: str) -> dict[str, Any]:
        """The last task of an execution, as ECS describes it."""
        arn = self.tasks(execution)[-1]
        return dict(self.ecs.describe_tasks(cluster=arn.split("/")[1], tasks=[arn])["tasks"][0])

    def log(self, execution: str) -> list[str]:
        """What the last task of an execution has written into CloudWatch Logs."""
        task = self.task(execution)
        definition = self.ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        group = definition["containerDefinitions"][0]["logConfiguration"]["options"]["awslogs-group"]
        stream = f"task/Container/{task['taskArn'].rsplit('/', 1)[1]}"
        events = self.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        return [event["message"] for event in events]


def wait_for(condition: Any, seconds: float = 20) -> None:
    """Wait until a condition is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not true within {seconds} s"
        time.sleep(0.1)


@contextmanager
def jobs(cloud: CloudServer, folder: Path) -> Iterator[Jobs]:
    """Deploy the jobs, start the runner, and end it."""
    made = Jobs(cloud, folder)
    made.start_runner()
    try:
        yield made
    finally:
        assert made.runner
        made.runner.terminate()
        made.runner.wait(timeout=20)
