"""Cache alone in a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import Cache

Synthesise = Callable[[], assertions.Template]


def only(template: assertions.Template, kind: str) -> dict[str, Any]:
    [found] = template.find_resources(kind).values()
    return found["Properties"]


def test_the_defaults_are_those_of_the_snapshot(
    stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion
) -> None:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
    )
    Cache(stack, "Cache", vpc=vpc)
    assert template().to_json() == snapshot


def test_it_is_encrypted_and_has_no_password(stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    Cache(stack, "Cache", vpc=vpc)
    made = template()
    group, user = only(made, "AWS::ElastiCache::ReplicationGroup"), only(made, "AWS::ElastiCache::User")
    assert group["AtRestEncryptionEnabled"] is group["TransitEncryptionEnabled"] is True
    assert group["TransitEncryptionMode"] == "required"
    assert "AuthToken" not in group
    assert (user["AuthenticationMode"], user["UserName"]) == ({"Type": "iam"}, user["UserId"])
    assert "Passwords" not in user
    made.resource_count_is("AWS::SecretsManager::Secret", 0)


def test_settings_change_version_type_copies_and_key(stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    cache = Cache(
        stack,
        "Cache",
        vpc=vpc,
        version="7.2",
        node_type="cache.m7g.large",
        replicas=2,
        encryption_key=key,
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    made = template()
    [resource] = made.find_resources("AWS::ElastiCache::ReplicationGroup").values()
    expected = {
        "AutomaticFailoverEnabled": True,
        "CacheNodeType": "cache.m7g.large",
        "EngineVersion": "7.2",
        "KmsKeyId": stack.resolve(key.key_arn),
        "MultiAZEnabled": True,
        "NumCacheClusters": 3,
    }
    assert {name: resource["Properties"].get(name) for name in expected} == expected
    assert resource["DeletionPolicy"] == "Retain"
    assert len(cache.alarms) == 6


def test_a_service_that_is_allowed_reaches_it_and_signs_as_its_user(
    stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise
) -> None:
    cache = Cache(stack, "Cache", vpc=vpc)
    tasks = ec2.SecurityGroup(stack, "Tasks", vpc=vpc, allow_all_outbound=False)
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    cache.allow_from(tasks)
    cache.grant_connect(role)
    made = template()
    rule = only(made, "AWS::EC2::SecurityGroupIngress")
    assert rule["SourceSecurityGroupId"] == stack.resolve(tasks.security_group_id)
    assert rule["FromPort"] == stack.resolve(cache.port)
    assert only(made, "AWS::EC2::SecurityGroupEgress")["GroupId"] == stack.resolve(tasks.security_group_id)
    policies = made.find_resources("AWS::IAM::Policy").values()
    [given] = [
        statement
        for policy in policies
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "elasticache:Connect"
    ]
    prefix = "arn:aws:elasticache:eu-west-1:111122223333:"
    assert [arn["Fn::Join"][1][-2:] for arn in given["Resource"]] == [
        [f"{prefix}replicationgroup:", stack.resolve(cache.replication_group.ref)],
        [f"{prefix}user:", stack.resolve(cache.user.ref)],
    ]
    told = stack.resolve(cache.connection_environment())
    assert told == stack.resolve(
        {
            "CACHE_HOST": cache.host,
            "CACHE_PORT": cache.port,
            "CACHE_NAME": cache.replication_group.ref,
            "CACHE_USER": cache.user.ref,
        }
    )


def test_every_alarm_watches_a_node_and_tells_the_topic(stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:alarms")
    cache = Cache(stack, "Cache", vpc=vpc, replicas=1, alarm_topic=topic)
    alarms = [alarm["Properties"] for alarm in template().find_resources("AWS::CloudWatch::Alarm").values()]
    name = stack.resolve(cache.replication_group.ref)
    expected = {
        (metric, silence, node)
        for metric, silence in (("CPUUtilization", "breaching"), ("DatabaseMemoryUsagePercentage", "notBreaching"))
        for node in ("-001", "-002")
    }
    found = set()
    for alarm in alarms:
        [dimension] = alarm["Dimensions"]
        assert dimension["Name"] == "CacheClusterId"
        group, node = dimension["Value"]["Fn::Join"][1]
        assert group == name
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic.topic_arn]
        found.add((alarm["MetricName"], alarm["TreatMissingData"], node))
    assert found == expected


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"replicas": -1}, "replicas is -1; allowed is 0 to 5, nearest is 0"),
        ({"replicas": 6}, "replicas is 6; allowed is 0 to 5, nearest is 5"),
        ({"node_type": "t4g.micro"}, "node_type is 't4g.micro'; allowed is one of ElastiCache's"),
    ],
)
def test_what_elasticache_would_not_take_is_refused(
    stack: cdk.Stack, vpc: ec2.IVpc, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=f"Stack/Cache: {says}"):
        Cache(stack, "Cache", vpc=vpc, **settings)
