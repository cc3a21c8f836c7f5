"""Roles: who may assume them, and what they may then do through an API with a resource policy."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cloud_server import REGION, CloudServer, StackFailed, cloud_server

from local.cloud.accounts import OPERATOR, SNOWFLAKE

INVOKE = {"Action": "execute-api:Invoke", "Resource": f"arn:aws:execute-api:{REGION}:{OPERATOR.account_id}:*"}
AGENT_ONLY = {"Principal": {"Service": "ecs-tasks.amazonaws.com"}}
ANSWER = """
import json, boto3
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(boto3.client("sts").get_caller_identity()["Arn"])}
"""


@dataclass(frozen=True)
class Scene:
    """Snowflake's user and the role that trusts it, beside a foreign user, a task's role and an API."""

    cloud: CloudServer
    snowflake: dict[str, str]
    stranger: dict[str, str]
    invoker: str
    task_role: str
    url: str

    def assume(self, who: Any, role: str, name: str = "session", **options: str) -> dict[str, str]:
        sts = self.cloud.client("sts", who)
        return dict(sts.assume_role(RoleArn=role, RoleSessionName=name, **options)["Credentials"])

    def call(self, who: dict[str, str] | None, *, body: bytes = b"{}", signed_body: bytes | None = None) -> Any:
        """POST to the API by its real host name, of which only the socket goes elsewhere."""
        headers = {"Host": self.url.split("/")[2], "Content-Type": "application/json"}
        if who:
            request = AWSRequest("POST", self.url, data=signed_body or body, headers=dict(headers))
            keys = Credentials(who["AccessKeyId"], who["SecretAccessKey"], who.get("SessionToken"))
            SigV4Auth(keys, "execute-api", REGION).add_auth(request)
            headers |= dict(request.headers)
        path = "/" + self.url.split("/", 3)[3]
        return json.loads(self.cloud.get(path, data=body, headers=headers, method="POST"))


def make_user(cloud: CloudServer, name: str) -> dict[str, str]:
    """A user of Snowflake's account that may assume any role, as far as its own account is concerned."""
    iam = cloud.client("iam", SNOWFLAKE)
    iam.create_user(UserName=name)
    document = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="assume", PolicyDocument=json.dumps(document))
    return dict(iam.create_access_key(UserName=name)["AccessKey"])


def make_api(cloud: CloudServer, function: str, invoker: str) -> str:
    """A REST API with one IAM method, that lets in one role by Allow and shuts out all others by Deny."""
    statement = {"Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            statement | {"Effect": "Allow", "Condition": {"ArnEquals": {"aws:PrincipalArn": invoker}}},
            statement | {"Effect": "Deny", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": invoker}}},
        ],
    }
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"
    method = {
        "RestApiId": {"Ref": "Api"},
        "ResourceId": {"Ref": "Trigger"},
        "HttpMethod": "POST",
        "AuthorizationType": "AWS_IAM",
        "Integration": {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": uri},
    }
    outputs = cloud.deploy(
        "api",
        {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "api", "Policy": policy}},
            "Trigger": {
                "Type": "AWS::ApiGateway::Resource",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                    "PathPart": "trigger",
                },
            },
            "Post": {"Type": "AWS::ApiGateway::Method", "Properties": method},
            "Deployment": {
                "Type": "AWS::ApiGateway::Deployment",
                "DependsOn": "Post",
                "Properties": {"RestApiId": {"Ref": "Api"}},
            },
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "DeploymentId": {"Ref": "Deployment"},
                    "StageName": "prod",
                },
            },
        },
        Url={"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.amazonaws.com/prod/trigger"},
    )
    cloud.client("lambda").add_permission(
        FunctionName=function, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    return outputs["Url"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as cloud:
        snowflake = make_user(cloud, "abcd0000-s")
        trusted = {
            "Principal": {"AWS": f"arn:aws:iam::{SNOWFLAKE.account_id}:user/abcd0000-s"},
            "Condition": {"StringEquals": {"sts:ExternalId": "right"}},
        }
        function_role = cloud.make_role("function", {"Principal": {"Service": "lambda.amazonaws.com"}})
        function = cloud.make_function("answer", function_role, ANSWER)
        invoker = cloud.make_role("invoker", trusted, INVOKE)
        task_role = cloud.make_role("task", AGENT_ONLY, INVOKE)
        url = make_api(cloud, function, invoker)
        yield Scene(cloud, snowflake, make_user(cloud, "stranger"), invoker, task_role, url)


def test_the_right_user_with_the_right_external_id_passes(scene: Scene) -> None:
    assert scene.assume(scene.snowflake, scene.invoker, ExternalId="right")["SessionToken"]


@pytest.mark.parametrize("given", [{}, {"ExternalId": "wrong"}])
def test_a_wrong_external_id_is_refused(scene: Scene, given: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.assume(scene.snowflake, scene.invoker, **given)


@pytest.mark.parametrize("who", ["stranger", "operator", "snowflake root"])
def test_a_foreign_user_is_refused(scene: Scene, who: str) -> None:
    callers = {"stranger": scene.stranger, "operator": OPERATOR, "snowflake root": SNOWFLAKE}
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.assume(callers[who], scene.invoker, ExternalId="right")


def test_only_the_ecs_agent_assumes_the_role_of_a_task(scene: Scene) -> None:
    assert scene.assume(OPERATOR, scene.task_role, name="fargate-1")["SessionToken"]
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.assume(OPERATOR, scene.task_role, name="somebody")
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.assume(OPERATOR, scene.invoker, name="fargate-1", ExternalId="right")


def test_the_api_lets_in_the_role_it_names_and_the_lambda_runs_with_its_own_role(scene: Scene) -> None:
    session = scene.assume(scene.snowflake, scene.invoker, ExternalId="right")
    assert scene.call(session) == f"arn:aws:sts::{OPERATOR.account_id}:assumed-role/function/answer"


def test_the_api_refuses_an_unsigned_call(scene: Scene) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        scene.call(None)


def test_the_api_refuses_a_body_that_was_not_signed(scene: Scene) -> None:
    session = scene.assume(scene.snowflake, scene.invoker, ExternalId="right")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        scene.call(session, body=b'{"data": []}', signed_body=b"{}")


def test_the_api_refuses_a_role_that_only_its_resource_policy_denies(scene: Scene) -> None:
    session = scene.assume(OPERATOR, scene.task_role, name="fargate-1")
    with pytest.raises(urllib.error.HTTPError) as refused:
        scene.call(session)
    assert b"explicit deny in a resource-based policy" in refused.value.read()


def test_the_api_refuses_the_root_user_that_its_resource_policy_denies(scene: Scene) -> None:
    root = {"AccessKeyId": OPERATOR.access_key_id, "SecretAccessKey": OPERATOR.secret_access_key}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        scene.call(root)


def test_an_oidc_provider_is_one_an_account_and_lets_nobody_in(scene: Scene) -> None:
    cloud = scene.cloud
    url = "https://token.example.com"

    def provider(*clients: str) -> dict[str, Any]:
        return {"Provider": {"Type": "AWS::IAM::OIDCProvider", "Properties": {"Url": url, "ClientIdList": [*clients]}}}

    arn = cloud.deploy("oidc", provider("first"), Arn={"Ref": "Provider"})["Arn"]
    assert arn == f"arn:aws:iam::{OPERATOR.account_id}:oidc-provider/token.example.com"
    assert cloud.deploy("oidc", provider("first", "second"), Arn={"Fn::GetAtt": ["Provider", "Arn"]})["Arn"] == arn
    iam = cloud.client("iam")
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["first", "second"]
    with pytest.raises(StackFailed, match="already exists"):
        cloud.deploy("oidc-again", provider("first"))

    role = cloud.make_role("federated", {"Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": arn}})
    with pytest.raises(ClientError, match="MissingAuthenticationToken"):
        cloud.client("sts").assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="session", WebIdentityToken="a.b.c"
        )

    cloud.client("cloudformation").delete_stack(StackName="oidc")
    cloud.client("cloudformation").get_waiter("stack_delete_complete").wait(
        StackName="oidc", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100}
    )
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
