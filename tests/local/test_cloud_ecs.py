"""ECS: services made by a stack, the tasks they keep, and who may touch them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_server import REGION, CloudServer, cloud_server

from local.cloud.accounts import OPERATOR

ACCOUNT = OPERATOR.account_id
SERVICE_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/cluster/worker"
CONTAINER = {
    "Name": "worker",
    "Image": "registry/worker:1",
    "Essential": True,
    "Secrets": [{"Name": "LOGIN", "ValueFrom": {"Fn::Join": ["", [{"Ref": "Login"}, ":password::"]]}}],
    "HealthCheck": {"Command": ["CMD", "true"], "Interval": 5},
    "DockerLabels": {"Team": "reports"},
}


def stack(*, version: str = "1", **service: Any) -> dict[str, Any]:
    """A cluster, a login and a service without DesiredCount unless one is given."""
    container = CONTAINER | {"Environment": [{"Name": "VERSION", "Value": version}]}
    return {
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "cluster"}},
        "Login": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"Name": "login", "SecretString": '{"password": "p"}'},
        },
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                "Family": "worker",
                "Cpu": "256",
                "Memory": "512",
                "NetworkMode": "awsvpc",
                "RequiresCompatibilities": ["FARGATE"],
                "RuntimePlatform": {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"},
                "ContainerDefinitions": [container],
            },
        },
        "Service": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "ServiceName": "worker",
                "Cluster": {"Ref": "Cluster"},
                "TaskDefinition": {"Ref": "Task"},
                "LaunchType": "FARGATE",
            }
            | service,
        },
    }


@dataclass
class Worker:
    """The deployed service, as the tests look at it."""

    cloud: CloudServer
    ecs: Any = field(init=False)

    def __post_init__(self) -> None:
        self.ecs = self.cloud.client("ecs")

    def tasks(self) -> list[str]:
        """The ARNs of the running tasks, oldest first."""
        arns = self.ecs.list_tasks(cluster="cluster", serviceName=SERVICE_ARN)["taskArns"]
        tasks = self.ecs.describe_tasks(cluster="cluster", tasks=arns)["tasks"] if arns else []
        return [task["taskArn"] for task in sorted(tasks, key=lambda task: task["createdAt"])]

    def scale(self, count: int) -> list[str]:
        self.ecs.update_service(cluster="cluster", service="worker", desiredCount=count)
        return self.tasks()

    def protect(self, task: str, enabled: bool = True, **options: int) -> dict[str, Any]:
        answer = self.ecs.update_task_protection(cluster="cluster", tasks=[task], protectionEnabled=enabled, **options)
        return dict(answer["protectedTasks"][0])

    def desired(self) -> int:
        return int(self.ecs.describe_services(cluster="cluster", services=["worker"])["services"][0]["desiredCount"])


def soon(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true within five seconds."""
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


@pytest.fixture
def worker(cloud: CloudServer) -> Iterator[Worker]:
    cloud.deploy("worker", stack())
    yield Worker(cloud)
    cloud.client("cloudformation").delete_stack(StackName="worker")
    waiter = cloud.client("cloudformation").get_waiter("stack_delete_complete")
    waiter.wait(StackName="worker", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})


def test_a_new_service_without_a_desired_count_starts_one_task(worker: Worker) -> None:
    assert worker.desired() == 1
    assert len(worker.tasks()) == 1


def test_an_update_keeps_the_running_count_when_the_template_names_none(worker: Worker) -> None:
    worker.scale(3)
    worker.cloud.deploy("worker", stack(version="2"))
    assert worker.desired() == 3
    assert soon(lambda: len(worker.tasks()) == 3)


def test_an_update_resets_the_running_count_to_the_one_that_the_template_names(worker: Worker) -> None:
    worker.cloud.deploy("worker", stack(DesiredCount=1))
    worker.scale(3)
    worker.cloud.deploy("worker", stack(version="2", DesiredCount=1))
    assert worker.desired() == 1


def test_a_task_definition_of_a_stack_is_spelled_as_the_api_spells_it(worker: Worker) -> None:
    definition = worker.ecs.describe_task_definition(taskDefinition="worker")["taskDefinition"]
    container = definition["containerDefinitions"][0]
    login = worker.cloud.client("secretsmanager").describe_secret(SecretId="login")["ARN"]
    assert definition["runtimePlatform"] == {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
    assert container["secrets"] == [{"name": "LOGIN", "valueFrom": f"{login}:password::"}]
    assert container["healthCheck"] == {"command": ["CMD", "true"], "interval": 5}
    assert container["dockerLabels"] == {"Team": "reports"}


def test_a_stopped_task_is_replaced(worker: Worker) -> None:
    [first] = worker.tasks()
    reason = "Essential container in task exited (137)"
    stopped = worker.ecs.stop_task(cluster="cluster", task=first, reason=reason)["task"]
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["containers"][0]["exitCode"] == 137
    assert soon(lambda: len(worker.tasks()) == 1)
    assert worker.tasks() != [first]


def test_tasks_that_end_at_once_are_replaced_more_and_more_slowly(worker: Worker) -> None:
    until, started = time.monotonic() + 4, set()
    while time.monotonic() < until:
        for task in worker.tasks():
            started.add(task)
            worker.ecs.stop_task(cluster="cluster", task=task, reason="Essential container in task exited (1)")
        time.sleep(0.05)
    assert 3 <= len(started) <= 6


def test_scale_in_spares_a_protected_task_and_takes_others(worker: Worker) -> None:
    newest = worker.scale(3)[-1]
    assert worker.protect(newest, expiresInMinutes=5)["protectionEnabled"]
    assert worker.scale(1) == [newest]
    assert worker.scale(0) == [newest]
    worker.protect(newest, enabled=False)
    assert soon(lambda: worker.tasks() == [])


def test_a_rollout_leaves_a_protected_task_of_the_old_revision(worker: Worker) -> None:
    [old] = worker.tasks()
    worker.protect(old)
    worker.cloud.deploy("worker", stack(version="2"))
    assert soon(lambda: len(worker.tasks()) == 2)
    time.sleep(1.2)  # two looks of the service scheduler
    assert worker.tasks()[0] == old
    assert len(worker.tasks()) == 2
    worker.protect(old, enabled=False)
    assert soon(lambda: len(worker.tasks()) == 1)
    assert worker.tasks() != [old]


def test_task_protection_is_told_and_its_bounds_are_checked(worker: Worker) -> None:
    [task] = worker.tasks()
    worker.protect(task)
    answer = worker.ecs.get_task_protection(cluster="cluster", tasks=[task, "unknown"])
    assert answer["protectedTasks"][0]["protectionEnabled"]
    assert answer["protectedTasks"][0]["expirationDate"].timestamp() == pytest.approx(time.time() + 7200, abs=30)
    assert answer["failures"] == [{"arn": "unknown", "reason": "MISSING"}]
    with pytest.raises(ClientError, match="expiresInMinutes"):
        worker.protect(task, expiresInMinutes=2881)


@pytest.mark.parametrize(
    ("call", "options", "error"),
    [
        ("update_service", {"service": "worker", "desiredCount": -1}, "InvalidParameter"),
        ("update_service", {"service": "worker", "taskDefinition": "unknown"}, "Unable to describe"),
        ("create_service", {"serviceName": "new", "taskDefinition": "unknown"}, "Unable to describe"),
        ("create_service", {"serviceName": "new", "taskDefinition": "worker", "cluster": "unknown"}, "ClusterNotFound"),
        ("describe_services", {"services": ["worker"] * 11}, "InvalidParameter"),
    ],
)
def test_a_service_that_aws_would_refuse_is_refused(
    worker: Worker, call: str, options: dict[str, Any], error: str
) -> None:
    with pytest.raises(ClientError, match=error):
        getattr(worker.ecs, call)(**({"cluster": "cluster"} | options))
    assert worker.desired() == 1


@pytest.mark.parametrize("policy", ["{nope", "{}", "[]"])
def test_a_trust_policy_that_is_none_is_refused(cloud: CloudServer, policy: str) -> None:
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        cloud.client("iam").create_role(RoleName="malformed", AssumeRolePolicyDocument=policy)


def test_a_roles_policy_decides_which_service_and_tasks_it_may_change(worker: Worker) -> None:
    trust = {"Principal": {"Service": "ecs-tasks.amazonaws.com"}}
    tasks = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/cluster/*"
    allowed = worker.cloud.make_role(
        "may",
        trust,
        {"Action": "ecs:UpdateService", "Resource": SERVICE_ARN},
        {"Action": "ecs:UpdateTaskProtection", "Resource": tasks},
    )
    other = {"Action": "ecs:UpdateService", "Resource": SERVICE_ARN.replace("worker", "another")}
    denied = worker.cloud.make_role("may-not", trust, other)
    sts = worker.cloud.client("sts")

    def as_role(role: str) -> Any:
        return worker.cloud.client("ecs", sts.assume_role(RoleArn=role, RoleSessionName="fargate-1")["Credentials"])

    [task] = worker.tasks()
    as_role(allowed).update_service(cluster="cluster", service="worker", desiredCount=1)
    as_role(allowed).update_task_protection(cluster="cluster", tasks=[task], protectionEnabled=False)
    for call in (
        lambda: as_role(denied).update_service(cluster="cluster", service="worker", desiredCount=1),
        lambda: as_role(denied).update_task_protection(cluster="cluster", tasks=[task], protectionEnabled=True),
        lambda: as_role(allowed).stop_task(cluster="cluster", task=task),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
