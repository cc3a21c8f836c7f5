"""What a task sees of the ECS agent."""

from __future__ import annotations

import datetime
import os
from typing import Any

import boto3
import httpx
import pytest

from local.task_endpoint import TaskEndpoint, TaskFacts

EXPIRATION = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)
KEYS = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "example", "SessionToken": "token", "Expiration": EXPIRATION}
METADATA = {"Cluster": "c", "TaskARN": "arn:aws:ecs:::task/c/1", "ServiceName": "worker", "Containers": [{"Name": "w"}]}


class Protection:
    def __init__(self) -> None:
        self.wishes: list[tuple[bool, int | None]] = []
        self.answer: dict[str, Any] = {"protectedTasks": [{"taskArn": "t", "protectionEnabled": True}], "failures": []}

    def __call__(self, enabled: bool, minutes: int | None) -> dict[str, Any]:
        self.wishes.append((enabled, minutes))
        return self.answer


@pytest.fixture
def protection() -> Protection:
    return Protection()


@pytest.fixture
def variables(protection: Protection) -> dict[str, str]:
    return TaskEndpoint().add(TaskFacts(METADATA, lambda: KEYS, protection))


def test_the_task_learns_its_cluster_and_service(variables: dict[str, str]) -> None:
    task = httpx.get(f"{variables['ECS_CONTAINER_METADATA_URI_V4']}/task").json()

    assert (task["Cluster"], task["ServiceName"]) == ("c", "worker")
    assert httpx.get(variables["ECS_CONTAINER_METADATA_URI_V4"]).json() == {"Name": "w"}


def test_the_sdk_takes_the_roles_credentials_from_it(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"])

    found = boto3.session.Session().get_credentials()

    assert found
    assert (found.access_key, found.token) == ("ASIAEXAMPLE", "token")


def test_protection_is_passed_on_and_answered_as_the_agent_does(
    variables: dict[str, str], protection: Protection
) -> None:
    url = f"{variables['ECS_AGENT_URI']}/task-protection/v1/state"
    answer = httpx.put(url, json={"ProtectionEnabled": True, "ExpiresInMinutes": 5})

    assert protection.wishes == [(True, 5)]
    assert answer.json() == {"protection": {"TaskArn": "t", "ProtectionEnabled": True}}

    protection.answer = {"protectedTasks": [], "failures": [{"Reason": "TASK_NOT_VALID"}]}
    assert httpx.put(url, json={"ProtectionEnabled": False}).json() == {"failure": {"Reason": "TASK_NOT_VALID"}}


def test_a_wrong_path_or_body_is_refused(variables: dict[str, str], protection: Protection) -> None:
    base = variables["ECS_AGENT_URI"]

    assert httpx.get(f"{base}x/task").status_code == 404
    assert httpx.put(f"{base}/task-protection/v1/state", content=b"{}").status_code == 400
    assert httpx.put(f"{base}/other", json={}).status_code == 404
    assert protection.wishes == []
