"""The Fargate runner: for each task that the AWS stand-in's ECS wants, one local process of the same code.

`python -m local.fargate FOLDER` runs until SIGTERM. A task whose definition names one of local/images.py is started as
that image's Dockerfile would start it (its ENTRYPOINT and CMD, under the definition's command, environment and
secrets), by the interpreter that holds what the image holds; `python -m local.fargate FOLDER container` starts a
container of that image. Any other image is refused: there is no registry.

A service's task that is still wanted when the runner starts anew is started again, for the service scheduler would do
so too. A task that was run by itself is started once: what it did cannot be known, and is not done twice.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.exceptions import ClientError

from local import container_engine, targets
from local.container_log import ContainerLog
from local.images import IMAGES, BadImage, Image
from local.processes import free_port, stop_all
from local.task_containers import TaskContainers
from local.task_endpoint import TaskEndpoint, TaskFacts
from local.task_processes import Launch, Launcher, TaskProcesses

LOOK_EVERY = 0.25  # seconds between two looks at ECS
KILLED = 137  # what a container of a runner that was killed ended with
# Where Snowflake's stand-in is, and that a workload identity may be shown to it.
SNOWFLAKE = (
    "SNOWFLAKE_HOST",
    "SNOWFLAKE_PORT",
    "SNOWFLAKE_PROTOCOL",
    "SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES",
)
log = logging.getLogger("fargate")


class CannotStart(Exception):
    """A task cannot be started; the text becomes its stopped reason, as ECS words it."""


@dataclass
class Task:
    """One ECS task that runs, and the process that is it or follows its container."""

    arn: str
    cluster: str
    process: psutil.Popen
    endpoint: dict[str, str]
    stop_timeout: int
    facts: dict[str, Any]
    log: ContainerLog | None
    groups: list[str] = field(default_factory=list)  # target groups of load balancers
    stopping_since: float | None = field(default=None)


class Runner:
    """Keeps what runs equal to the tasks that ECS wants; they are processes unless `launcher` starts containers."""

    def __init__(self, images: Mapping[str, Image], folder: Path, launcher: Launcher | None = None) -> None:
        self.images, self.folder, self.launcher = images, folder, launcher or TaskProcesses()
        self.session = boto3.session.Session()
        self.ecs = self.session.client("ecs")
        self.sts = self.session.client("sts")
        self.targets = targets.Targets(self.session.client("elbv2"))
        self.endpoint = TaskEndpoint()
        self.running: dict[str, Task] = {}
        self.going = True

    def run(self) -> None:
        """Look, act, wait, until SIGTERM; then stop all tasks within their stop timeouts."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "going", False))
        self.launcher.sweep()
        (self.folder / "run" / "fargate.ready").touch()
        while self.going:
            try:
                self.look()
            except Exception:  # noqa: BLE001 - ECS may be away for a moment; the next look tries again, the log says why
                log.exception("look failed")
            time.sleep(LOOK_EVERY)
        log.info("stopping %d task(s)", len(self.running))
        stop_all([task.process for task in self.running.values()], 15)
        self.launcher.sweep()

    def look(self) -> None:
        """Compare once what runs with what is wanted, and act."""
        wanted = self.wanted()
        for arn, task in list(self.running.items()):
            code = task.process.poll()
            if task.log:
                task.log.send(is_over=code is not None)
            if code is not None:
                self._ended(task, code, is_wanted=arn in wanted)
                wanted.pop(arn, None)
            elif arn not in wanted:
                self._stop(task)
        for arn in wanted.keys() - self.running.keys():
            self._start(wanted[arn])
        self._write_tasks()
        self.targets.sync(
            {
                (group, task.facts["port"])
                for task in self.running.values()
                if task.stopping_since is None
                for group in task.groups
            }
        )

    def wanted(self) -> dict[str, dict[str, Any]]:
        """The tasks that ECS wants to run now, by ARN, of all clusters."""
        found: dict[str, dict[str, Any]] = {}
        for cluster in self.ecs.list_clusters()["clusterArns"]:
            arns = self.ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"]
            if arns:
                tasks = self.ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
                found |= {task["taskArn"]: dict(task) for task in tasks if task["desiredStatus"] == "RUNNING"}
        return found

    def _start(self, task: Mapping[str, Any]) -> None:
        if _is_lone(task) and self._scratch(task).exists():
            self._tell_end(task["clusterArn"], task["taskArn"], KILLED)
            return
        definition = self.ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        try:
            self.running[task["taskArn"]] = started = self._launch(task, definition)
        except CannotStart as why:
            log.error("%s: %s", task["taskArn"], why)
            self.ecs.stop_task(cluster=task["clusterArn"], task=task["taskArn"], reason=str(why)[:255])
        else:
            log.info("started %s as pid %d", started.facts["name"], started.process.pid)

    def _launch(self, task: Mapping[str, Any], definition: Mapping[str, Any]) -> Task:
        container = next(c for c in definition["containerDefinitions"] if c.get("essential", True))
        image = self.images.get(container["image"])
        if image is None:
            known = ", ".join(self.images)
            raise CannotStart(f"CannotPullContainerError: {container['image']}: this platform only has {known}")
        overrides: Mapping[str, Any] = next(
            (o for o in task.get("overrides", {}).get("containerOverrides", []) if o.get("name") == container["name"]),
            {},
        )
        identifier = task["taskArn"].rsplit("/", 1)[1]
        credentials = self._assume(definition["taskRoleArn"], identifier)
        endpoint = self.endpoint.add(
            TaskFacts(
                metadata=_metadata(task, definition, container),
                credentials=credentials,
                protect=lambda enabled, minutes: self._protect(task, credentials(), enabled, minutes),
            )
        )
        has_port = bool(container.get("portMappings"))
        # A task on Fargate has an address of its own; here all share 127.0.0.1.
        port = {"PORT": str(free_port()), "WEB_HOST": "127.0.0.1"} if has_port else {}
        scratch = self._scratch(task)
        scratch.mkdir(parents=True, exist_ok=True)
        environment = (
            _own_environment()
            | self.launcher.environment(image, scratch)
            | {entry["name"]: entry["value"] for entry in container.get("environment", [])}
            | self._secrets(container, definition["executionRoleArn"], identifier)
            | {entry["name"]: entry["value"] for entry in overrides.get("environment", [])}
            | port
            | endpoint
        )
        if environment.get("API_URL") and (web := self._web_port(container["image"])):
            environment["API_URL"] = f"http://127.0.0.1:{web}"  # a load balancer's name leads nowhere on this machine
        environment |= {name: value for name, value in _of_this_postgres().items() if name in environment}
        name = f"{definition['family']}-{identifier[:8]}"
        output = self.folder / "logs" / "tasks" / f"{name}.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
        container_log = self._container_log(container, definition, identifier, output)
        launch = Launch(task["taskArn"], image, definition, container, overrides, environment)
        with output.open("ab") as file:
            try:
                process = self.launcher.start(launch, file)
            except BadImage as error:
                raise CannotStart(f"CannotPullContainerError: {container['image']}: {error}") from error
        facts = {
            "name": name,
            "arn": task["taskArn"],
            "group": task.get("group", ""),
            "image": container["image"],
            "pid": process.pid,
            "started_at": datetime.datetime.now(datetime.UTC).isoformat(),  # ECS's own has whole seconds only
            "port": int(port["PORT"]) if port else None,
            "log": str(output),
        }
        timeout = int(container.get("stopTimeout", 30))
        groups = targets.groups_of(self.ecs, task["clusterArn"], facts["group"]) if port else []
        return Task(task["taskArn"], task["clusterArn"], process, endpoint, timeout, facts, container_log, groups)

    def _scratch(self, task: Mapping[str, Any]) -> Path:
        """The folder that a task may write to; that it is there says that the task was started."""
        return self.folder / "tasks" / str(task["taskArn"]).rsplit("/", 1)[1]

    def _container_log(
        self, container: Mapping[str, Any], definition: Mapping[str, Any], identifier: str, output: Path
    ) -> ContainerLog | None:
        if container.get("logConfiguration", {}).get("logDriver") != "awslogs":
            return None
        credentials = self._assume(definition["executionRoleArn"], identifier)
        try:
            return ContainerLog(lambda: self._client("logs", credentials()), container, identifier, output)
        except ClientError as error:
            reason = f"failed to validate logger args: {error}"
            raise CannotStart(f"ResourceInitializationError: {reason}") from error

    def _web_port(self, image: str) -> int | None:
        """The port of a task of this image that serves one."""
        serving = (task.facts for task in self.running.values() if task.facts["port"])
        return next((facts["port"] for facts in serving if facts["image"] == image), None)

    def _assume(self, role: str, identifier: str) -> Any:
        """A function that gives the role's credentials as the ECS agent gets them (the session's name says so)."""

        def credentials() -> dict[str, Any]:
            answer = self.sts.assume_role(RoleArn=role, RoleSessionName=f"fargate-{identifier}")
            return dict(answer["Credentials"])

        return credentials

    def _client(self, service: str, credentials: Mapping[str, Any]) -> Any:
        return self.session.client(
            service,  # type: ignore[call-overload]  # the service's name is only known at run time
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def _secrets(self, container: Mapping[str, Any], role: str, identifier: str) -> dict[str, str]:
        """The container's secrets, read with the execution role, as ECS injects them at start."""
        wanted = container.get("secrets", [])
        if not wanted:
            return {}
        manager = self._client("secretsmanager", self._assume(role, identifier)())
        values = {}
        for entry in wanted:
            # arn:aws:secretsmanager:region:account:secret:name-suffix[:json-key[:version-stage[:version-id]]]
            parts = entry["valueFrom"].split(":")
            try:
                text = manager.get_secret_value(SecretId=":".join(parts[:7]))["SecretString"]
                key = parts[7] if len(parts) > 7 else ""
                values[entry["name"]] = str(json.loads(text)[key]) if key else text
            except (manager.exceptions.ClientError, KeyError, ValueError) as error:
                reason = f"{type(error).__name__} for secret {entry['name']}"
                raise CannotStart(f"ResourceInitializationError: unable to pull secrets: {reason}") from error
        return values

    def _protect(
        self, task: Mapping[str, Any], credentials: Mapping[str, Any], enabled: bool, minutes: int | None
    ) -> dict[str, Any]:
        expiry = {"expiresInMinutes": minutes} if enabled and minutes else {}
        ecs = self._client("ecs", credentials)
        answer = ecs.update_task_protection(
            cluster=task["clusterArn"], tasks=[task["taskArn"]], protectionEnabled=enabled, **expiry
        )
        return dict(answer)

    def _stop(self, task: Task) -> None:
        now = time.monotonic()
        if task.stopping_since is None:
            log.info("SIGTERM to %s", task.facts["name"])
            task.stopping_since = now
            task.process.terminate()
        elif now - task.stopping_since > task.stop_timeout:
            log.warning("SIGKILL to %s after %d s", task.facts["name"], task.stop_timeout)
            self.launcher.kill(task.arn, task.process)

    def _ended(self, task: Task, code: int, *, is_wanted: bool) -> None:
        log.info("%s ended with %s", task.facts["name"], 128 - code if code < 0 else code)
        if is_wanted or _is_lone(task.facts):
            self._tell_end(task.cluster, task.arn, 128 - code if code < 0 else code)
        self.launcher.forget(task.arn)
        self.endpoint.remove(task.endpoint)
        del self.running[task.arn]

    def _tell_end(self, cluster: str, arn: str, code: int) -> None:
        self.ecs.stop_task(cluster=cluster, task=arn, reason=f"Essential container in task exited ({code})")

    def _write_tasks(self) -> None:
        file = self.folder / "run" / "tasks.json"
        text = json.dumps([task.facts for task in self.running.values() if task.stopping_since is None])
        if not file.exists() or file.read_text() != text:
            new = file.with_suffix(".new")
            new.write_text(text)
            new.replace(file)


def _of_this_postgres() -> dict[str, str]:
    """What containers are told otherwise than on AWS: this platform's PostgreSQL has its own port, and no TLS."""
    modes = dict.fromkeys(("DATABASE_SSLMODE", "POSTGRES_SSLMODE"), "disable")
    port = os.environ.get("POSTGRES_PORT")
    return modes | ({"POSTGRES_PORT": port} if port else {})


def _own_environment() -> dict[str, str]:
    """What every task gets: how to reach the stand-ins, and how long it has to stop."""
    passed = ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_REGION", "AWS_DEFAULT_REGION", *SNOWFLAKE)
    # `make down` waits 15 s, not the two minutes that a task on Fargate may take to hand its work back.
    return {name: os.environ[name] for name in passed if name in os.environ} | {"STOP_SECONDS": "12"}


def _is_lone(task: Mapping[str, Any]) -> bool:
    """Whether a task was run by itself, and is no service's."""
    return not str(task.get("group", "")).startswith("service:")


def _metadata(task: Mapping[str, Any], definition: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, Any]:
    group = str(task.get("group", ""))
    return {
        "Cluster": task["clusterArn"],
        "TaskARN": task["taskArn"],
        "Family": definition["family"],
        "Revision": str(definition["revision"]),
        "ServiceName": group.removeprefix("service:") if group.startswith("service:") else "",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "LaunchType": "FARGATE",
        "Limits": {"CPU": int(definition["cpu"]) / 1024, "Memory": int(definition["memory"])},
        "Containers": [{"Name": container["name"], "Image": container["image"], "KnownStatus": "RUNNING"}],
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    platform = Path(sys.argv[1])
    containers = TaskContainers(container_engine.find(), platform) if sys.argv[2:] == ["container"] else None
    Runner(IMAGES, platform, containers).run()
