"""What the agent may do with the extension libraries that its table names."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_sns as sns
from cdk_nag import AwsSolutionsChecks

from stacks.environment import Environment
from stacks.matillion_agent import MatillionAgentStack


def granted(environment: Environment, **changes: Any) -> dict[str, Any]:
    """What statements on S3 say in an agent's stack, by their action; cdk-nag finds nothing."""
    assert environment.matillion_agent
    app = cdk.App(builtin_cloud_formation_validation=False, analytics_reporting=False)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    outside = cdk.Stack(app, "Outside", env=cdk.Environment(account="111122223333", region="eu-west-1"))
    stage = cdk.Stage(app, "prod", env=cdk.Environment(account="111122223333", region="eu-west-1"))
    stack = MatillionAgentStack(
        stage,
        "Agent",
        environment=environment,
        table=environment.matillion_agent.model_copy(update={"create_bucket": False, **changes}),
        vpc=ec2.Vpc.from_vpc_attributes(
            outside, "Vpc", vpc_id="vpc-0", availability_zones=["eu-west-1a"], private_subnet_ids=["subnet-1"]
        ),
        topic=sns.Topic.from_topic_arn(outside, "Topic", "arn:aws:sns:eu-west-1:111122223333:alarms"),
    )
    app.synth()
    policies = assertions.Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    statements = [one for policy in policies for one in policy["Properties"]["PolicyDocument"]["Statement"]]
    return {one["Action"]: one for one in statements if str(one["Action"]).startswith("s3:")}


@pytest.fixture
def prod(environments: list[Environment]) -> Environment:
    (prod,) = [one for one in environments if one.name == "prod"]
    return prod


@pytest.mark.parametrize("location", ["s3://libraries/python/v1/", "libraries/python/v1"])
def test_libraries_in_a_folder_of_s3_are_listed_and_read_and_nothing_beside_them(
    prod: Environment, location: str
) -> None:
    made = granted(prod, extension_library_location=location, extension_library_protocol="s3")
    assert set(made) == {"s3:ListBucket", "s3:GetObject"}
    assert made["s3:ListBucket"]["Condition"] == {"StringLike": {"s3:prefix": ["python/v1", "python/v1/*"]}}
    assert made["s3:GetObject"]["Resource"]["Fn::Join"][1][-1] == ":s3:::libraries/python/v1/*"


def test_a_whole_bucket_of_libraries_is_listed_without_a_condition(prod: Environment) -> None:
    made = granted(prod, extension_library_location="s3://libraries", extension_library_protocol="s3")
    assert "Condition" not in made["s3:ListBucket"]
    assert made["s3:GetObject"]["Resource"]["Fn::Join"][1][-1] == ":s3:::libraries/*"


def test_libraries_elsewhere_need_no_rights(prod: Environment) -> None:
    location = "https://libraries.example.com"
    assert granted(prod, extension_library_location=location, extension_library_protocol="https") == {}
