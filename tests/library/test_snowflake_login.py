"""Logins, tokens and their rotation, each alone in a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager

from snowgate import ServiceToken, SnowflakeDeployer, SnowflakeLogin, WorkloadIdentity

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
ROLE_ARN = "arn:aws:iam::111122223333:role/snowgate-test-worker"
DEPLOYER = WorkloadIdentity(account="ORG-ACCOUNT", user="DEPLOYER", role="DEPLOYER")


def login(stack: cdk.Stack, deployer: SnowflakeDeployer, **more: Any) -> SnowflakeLogin:
    names = {"user": "SERVICE", "role": "RUNNER", "database": "DB", "schema": "CONFIG", "warehouse": "WH"}
    return SnowflakeLogin(stack, "Login", deployer=deployer, **(names | more))


def by_identity(stack: cdk.Stack) -> SnowflakeDeployer:
    return SnowflakeDeployer(stack, "Deployer", login=DEPLOYER, role_name="snowgate-test-deployer")


def reader(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))


def policy_of(made: assertions.Template, logical_id: str) -> list[dict[str, Any]]:
    policies = made.find_resources("AWS::IAM::Policy")
    [found] = [policy for name, policy in policies.items() if name.startswith(logical_id)]
    return list(found["Properties"]["PolicyDocument"]["Statement"])


def test_a_deployer_by_workload_identity_has_a_named_role_and_no_secret(stack: cdk.Stack, template: Synthesise) -> None:
    by_identity(stack)
    made = template()
    made.resource_count_is("AWS::SecretsManager::Secret", 0)
    made.has_resource_properties("AWS::IAM::Role", {"RoleName": "snowgate-test-deployer"})
    made.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Environment": {
                "Variables": {
                    "SNOWFLAKE_ACCOUNT": "ORG-ACCOUNT",
                    "SNOWFLAKE_USER": "DEPLOYER",
                    "SNOWFLAKE_ROLE": "DEPLOYER",
                }
            }
        },
    )
    logs, traces = policy_of(made, "DeployerLambdaRole")
    assert traces["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]


def test_a_workload_identity_without_a_role_name_is_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match="Give role_name"):
        SnowflakeDeployer(stack, "Deployer", login=DEPLOYER)


def test_a_login_by_workload_identity_has_no_secret_and_tells_the_container_who_it_is(
    stack: cdk.Stack, template: Synthesise
) -> None:
    made_login = login(stack, by_identity(stack), identity=ROLE_ARN)
    role = reader(stack)
    made_login.grant_login(role)
    assert made_login.environment == {
        "SNOWFLAKE_ACCOUNT": "ORG-ACCOUNT",
        "SNOWFLAKE_USER": "SERVICE",
        "SNOWFLAKE_ROLE": "RUNNER",
    }
    made = template()
    made.resource_count_is("AWS::SecretsManager::Secret", 0)
    made.resource_count_is("AWS::SecretsManager::RotationSchedule", 0)
    made.has_resource_properties(
        "Custom::SnowflakeLogin", {"IdentityArn": ROLE_ARN, "SecretArn": Match.absent(), "User": "SERVICE"}
    )
    [user] = made.find_resources("Custom::SnowflakeLogin")
    made.has_resource("AWS::IAM::Role", {"DependsOn": [user]})


def test_an_identity_of_an_unknown_account_is_refused(stack: cdk.Stack, deployer: SnowflakeDeployer) -> None:
    with pytest.raises(ValueError, match="Give account"):
        login(stack, deployer, identity=ROLE_ARN)


def test_an_identity_may_be_of_an_account_that_is_given(stack: cdk.Stack, deployer: SnowflakeDeployer) -> None:
    assert login(stack, deployer, identity=ROLE_ARN, account="O-A").environment["SNOWFLAKE_ACCOUNT"] == "O-A"


def test_a_login_by_key_pair_is_an_empty_secret_that_the_deployer_fills(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise
) -> None:
    made_login = login(stack, deployer)
    assert list(made_login.environment) == ["SNOWFLAKE_SECRET_ARN"]
    made = template()
    [secret] = made.find_resources("AWS::SecretsManager::Secret")
    made.has_resource("AWS::SecretsManager::Secret", {"DeletionPolicy": "RetainExceptOnCreate"})
    made.has_resource_properties("AWS::SecretsManager::Secret", {"SecretString": "{}"})
    made.has_resource_properties(
        "Custom::SnowflakeLogin",
        {
            "SecretArn": {"Ref": secret},
            "User": "SERVICE",
            "Role": "RUNNER",
            "Database": "DB",
            "Schema": "CONFIG",
            "Warehouse": "WH",
            "ServiceTimeout": "660",
        },
    )
    [write] = policy_of(made, "LoginDeployerAccess")
    assert write["Action"] == ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
    assert write["Resource"] == {"Ref": secret}
    [policy] = [name for name in made.find_resources("AWS::IAM::Policy") if name.startswith("LoginDeployerAccess")]
    made.has_resource("Custom::SnowflakeLogin", {"DependsOn": Match.array_with([policy])})


def test_a_key_is_rotated_by_a_function_that_may_touch_this_secret_alone(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise
) -> None:
    login(stack, deployer, rotate_every=cdk.Duration.days(7))
    made = template()  # and cdk-nag has no finding left, SMG4 included
    [secret] = made.find_resources("AWS::SecretsManager::Secret")
    [user] = made.find_resources("Custom::SnowflakeLogin")
    [function] = made.find_resources("AWS::Lambda::Function", {"Properties": {"Timeout": 120}})
    made.has_resource(
        "AWS::SecretsManager::RotationSchedule",
        {
            "Properties": {
                "SecretId": {"Ref": secret},
                "RotationLambdaARN": {"Fn::GetAtt": [function, "Arn"]},
                "RotationRules": {"ScheduleExpression": "rate(7 days)"},
                "RotateImmediatelyOnUpdate": False,
            },
            "DependsOn": Match.array_with([user]),
        },
    )
    made.has_resource_properties(
        "AWS::Lambda::Function",
        {"Handler": "snowflake_deployer.rotation.handler", "Role": Match.any_value()},
    )
    made.has_resource_properties(
        "AWS::Lambda::Permission",
        {"Principal": "secretsmanager.amazonaws.com", "SourceAccount": stack.account},
    )
    [rotate] = policy_of(made, "LoginRotationAccess")
    assert rotate["Resource"] == {"Ref": secret}
    assert rotate["Action"] == [
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    ]


@pytest.mark.parametrize("every", [cdk.Duration.hours(12), cdk.Duration.days(1001), cdk.Duration.hours(36)])
def test_a_period_that_secrets_manager_does_not_have_is_refused(
    stack: cdk.Stack, deployer: SnowflakeDeployer, every: cdk.Duration
) -> None:
    with pytest.raises(ValueError, match="every 1 to 1000 whole days"):
        login(stack, deployer, rotate_every=every)


def test_whoever_may_log_in_reads_the_secret_and_waits_for_the_user(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise
) -> None:
    login(stack, deployer).grant_login(reader(stack))
    made = template()
    [user] = made.find_resources("Custom::SnowflakeLogin")
    roles = made.find_resources("AWS::IAM::Role")
    [waiting] = [role for name, role in roles.items() if name.startswith("Reader")]
    assert user in waiting["DependsOn"]
    [read] = policy_of(made, "ReaderDefaultPolicy")
    assert read["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]


def test_a_login_may_be_of_another_stack_than_its_deployer(app: cdk.App, stack: cdk.Stack) -> None:
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "DeployerLogin", "snowgate/test/deployer")
    deployer = SnowflakeDeployer(stack, "Deployer", login=secret)
    other = cdk.Stack(app, "Other", env=cdk.Environment(account=stack.account, region=stack.region))
    login(other, deployer)
    app.synth()
    assert [dependency.stack_name for dependency in other.dependencies] == ["Stack"]
    assert stack.dependencies == []


def test_a_token_is_made_and_rotated_by_secrets_manager_and_in_no_template(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise
) -> None:
    token = ServiceToken(stack, "Token", deployer=deployer, snowflake_secret="DB.CONFIG.TOKEN")
    token.grant_read(reader(stack))
    assert list(token.environment) == ["API_TOKEN_SECRET_ARN"]
    made = template()
    made.has_resource_properties(
        "AWS::SecretsManager::Secret",
        {
            "GenerateSecretString": {"ExcludePunctuation": True, "PasswordLength": 48},
            "SecretString": Match.absent(),
            "Tags": [
                {"Key": "snowgate:rotates", "Value": "token"},
                {"Key": "snowgate:snowflake-secret", "Value": "DB.CONFIG.TOKEN"},
            ],
        },
    )
    made.has_resource_properties(
        "AWS::SecretsManager::RotationSchedule", {"RotationRules": {"ScheduleExpression": "rate(30 days)"}}
    )
