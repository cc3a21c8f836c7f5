"""Rotation of secrets in the AWS stand-in: four steps of a real function, versions and their labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_server import CloudServer, StackFailed, cloud_server

from local.cloud.accounts import OPERATOR

ROTATOR = """
import boto3, os
def handler(event, context):
    store = boto3.client("secretsmanager")
    token, secret, step = event["ClientRequestToken"], event["SecretId"], event["Step"]
    versions = store.describe_secret(SecretId=secret)["VersionIdsToStages"]
    if step == os.environ.get("FAILS"):
        raise RuntimeError("as asked")
    if step == "createSecret":
        try:
            store.get_secret_value(SecretId=secret, VersionId=token)
        except store.exceptions.ResourceNotFoundException:
            old = store.get_secret_value(SecretId=secret)["SecretString"]
            store.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=old + "'",
                                   VersionStages=["AWSPENDING"])
    if step == "finishSecret":
        [current] = [v for v, stages in versions.items() if "AWSCURRENT" in stages]
        store.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                          RemoveFromVersionId=current)
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    """The stand-in with a role for rotating functions."""
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        actions = [
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ]
        server.make_role(
            "rotator", {"Principal": {"Service": "lambda.amazonaws.com"}}, {"Action": actions, "Resource": "*"}
        )
        yield server


@pytest.fixture(scope="module")
def make_rotator(cloud: CloudServer) -> Callable[..., str]:
    """Makes a rotating function, which Secrets Manager may call unless told otherwise. Gives its ARN."""

    def make(name: str, *, principal: str = "secretsmanager.amazonaws.com", **environment: str) -> str:
        arn = cloud.make_function(name, f"arn:aws:iam::{OPERATOR.account_id}:role/rotator", ROTATOR, **environment)
        cloud.client("lambda").add_permission(
            FunctionName=name,
            StatementId="rotate",
            Action="lambda:InvokeFunction",
            Principal=principal,
            SourceAccount=OPERATOR.account_id,
        )
        return arn

    return make


@pytest.fixture(scope="module")
def rotator(make_rotator: Callable[..., str]) -> str:
    """A function that rotates by adding a stroke."""
    return make_rotator("rotator")


def until(true: Callable[[], Any]) -> Any:
    """What a function gives, once it is not empty."""
    for _ in range(200):
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not become true")


def value(store: Any, secret: str, stage: str = "AWSCURRENT") -> str:
    """A secret's text at a stage."""
    return str(store.get_secret_value(SecretId=secret, VersionStage=stage)["SecretString"])


def test_a_rotation_makes_a_new_version_current_and_keeps_the_one_before(cloud: CloudServer, rotator: str) -> None:
    store = cloud.client("secretsmanager")
    secret = store.create_secret(Name="rotated", SecretString="one")["ARN"]
    rules = {"AutomaticallyAfterDays": 30}
    for text in ("one'", "one''"):
        version = store.rotate_secret(SecretId=secret, RotationLambdaARN=rotator, RotationRules=rules)["VersionId"]
        until(lambda text=text: value(store, secret) == text)
        until(lambda: "LastRotatedDate" in store.describe_secret(SecretId=secret))
    assert value(store, secret, "AWSPREVIOUS") == "one'"
    told = store.describe_secret(SecretId=secret)
    assert (told["RotationEnabled"], told["RotationLambdaARN"], told["RotationRules"]) == (True, rotator, rules)
    assert "AWSCURRENT" in told["VersionIdsToStages"][version]
    assert len(told["VersionIdsToStages"]) == 2 or "AWSPREVIOUS" in str(told["VersionIdsToStages"])


def test_a_step_that_fails_leaves_the_value_and_is_attempted_again(
    cloud: CloudServer, make_rotator: Callable[..., str]
) -> None:
    store = cloud.client("secretsmanager")
    failing = make_rotator("failing", FAILS="testSecret")
    secret = store.create_secret(Name="stopped", SecretString="one")["ARN"]
    version = store.rotate_secret(SecretId=secret, RotationLambdaARN=failing)["VersionId"]
    until(lambda: "testSecret: " in cloud.log.read_text() or "stopped in testSecret" in cloud.log.read_text())
    assert value(store, secret) == "one"
    assert value(store, secret, "AWSPENDING") == "one'"

    cloud.client("lambda").update_function_configuration(FunctionName="failing", Environment={"Variables": {}})
    with pytest.raises(ClientError, match="previous rotation isn't complete"):
        store.rotate_secret(SecretId=secret)
    until(lambda: value(store, secret) == "one'")
    assert "AWSCURRENT" in store.describe_secret(SecretId=secret)["VersionIdsToStages"][version]


def test_a_function_that_secrets_manager_may_not_call_is_refused(
    cloud: CloudServer, make_rotator: Callable[..., str]
) -> None:
    store = cloud.client("secretsmanager")
    foreign = make_rotator("foreign", principal="events.amazonaws.com")
    secret = store.create_secret(Name="refused", SecretString="one")["ARN"]
    with pytest.raises(ClientError, match=r"grants access to the principal secretsmanager\.amazonaws\.com"):
        store.rotate_secret(SecretId=secret, RotationLambdaARN=foreign)
    with pytest.raises(ClientError, match="No Lambda rotation function"):
        store.rotate_secret(SecretId=secret)


def test_a_pending_version_has_no_value_until_one_is_put_and_then_keeps_it(
    cloud: CloudServer, make_rotator: Callable[..., str]
) -> None:
    store = cloud.client("secretsmanager")
    secret = store.create_secret(Name="empty", SecretString="one")["ARN"]
    stuck = make_rotator("stuck", FAILS="createSecret")
    version = store.rotate_secret(SecretId=secret, RotationLambdaARN=stuck)["VersionId"]
    with pytest.raises(store.exceptions.ResourceNotFoundException):
        store.get_secret_value(SecretId=secret, VersionStage="AWSPENDING")
    put = {"SecretId": secret, "ClientRequestToken": version, "VersionStages": ["AWSPENDING"]}
    for _ in range(2):
        store.put_secret_value(SecretString="two", **put)
    with pytest.raises(store.exceptions.ResourceExistsException):
        store.put_secret_value(SecretString="three", **put)


def test_a_schedule_in_a_template_tries_the_function_and_rotates_nothing_yet(cloud: CloudServer, rotator: str) -> None:
    store = cloud.client("secretsmanager")
    resources = {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "one"}},
        "Schedule": {
            "Type": "AWS::SecretsManager::RotationSchedule",
            "Properties": {
                "SecretId": {"Ref": "Secret"},
                "RotationLambdaARN": rotator,
                "RotationRules": {"ScheduleExpression": "rate(30 days)"},
                "RotateImmediatelyOnUpdate": False,
            },
        },
    }
    secret = cloud.deploy("scheduled", resources, Secret={"Ref": "Secret"})["Secret"]
    told = store.describe_secret(SecretId=secret)
    assert (told["RotationEnabled"], told["RotationRules"]) == (True, {"ScheduleExpression": "rate(30 days)"})
    until(lambda: list(store.describe_secret(SecretId=secret)["VersionIdsToStages"].values()) == [["AWSCURRENT"]])
    assert value(store, secret) == "one"

    del resources["Schedule"]
    cloud.deploy("scheduled", resources, Secret={"Ref": "Secret"})
    assert not store.describe_secret(SecretId=secret)["RotationEnabled"]


def test_a_managed_external_rotation_is_refused(cloud: CloudServer, rotator: str) -> None:
    secret = cloud.client("secretsmanager").create_secret(Name="external", SecretString="{}")["ARN"]
    properties = {"SecretId": secret, "ExternalSecretRotationRoleArn": "arn:aws:iam::000000000000:role/rotator"}
    with pytest.raises(StackFailed, match="has no ExternalSecretRotationRoleArn"):
        cloud.deploy(
            "external", {"Schedule": {"Type": "AWS::SecretsManager::RotationSchedule", "Properties": properties}}
        )
