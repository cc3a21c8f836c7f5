"""ElastiCache in the AWS stand-in: what a template makes is kept and shown, and nothing listens."""

from __future__ import annotations

from collections.abc import Iterator

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from cloud_server import CloudServer, cloud_server

from snowgate import Cache


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


def test_the_library_s_cache_is_deployed_updated_and_destroyed(cloud: CloudServer) -> None:
    for replicas in (0, 1):
        stack = cdk.Stack(cdk.App(analytics_reporting=False), "Stack")
        vpc = ec2.Vpc(stack, "Vpc", nat_gateways=0, restrict_default_security_group=False)
        cache = Cache(stack, "Cache", vpc=vpc, replicas=replicas)
        host, port = stack.resolve([cache.host, cache.port])
        outputs = cloud.deploy(
            "cache", assertions.Template.from_stack(stack).to_json()["Resources"], Host=host, Port=port
        )
        [group] = cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"]
        [shard] = group["NodeGroups"]
        assert len(shard["NodeGroupMembers"]) == 1 + replicas
        assert outputs["Host"] == shard["PrimaryEndpoint"]["Address"]
    client = cloud.client("cloudformation")
    client.delete_stack(StackName="cache")
    client.get_waiter("stack_delete_complete").wait(StackName="cache", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    assert cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"] == []
    assert cloud.client("elasticache").describe_users()["Users"] == []
