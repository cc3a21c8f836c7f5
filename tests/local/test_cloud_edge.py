"""CloudFront of the AWS stand-in: from a distribution's own host name through a VPC origin to a load balancer."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from cloud_server import CloudServer, StackFailed, cloud_server
from test_cloud_http_apis import NETWORK, task


def edge(name: str, **changes: Any) -> dict[str, Any]:
    """A distribution before the load balancer; `changes` are properties of the origin's configuration."""
    origin = {"Name": name, "Arn": {"Ref": "Balancer"}, "OriginProtocolPolicy": "http-only", "HTTPPort": 80}
    return {key: value for key, value in NETWORK.items() if key != "Api"} | {
        "Origin": {
            "Type": "AWS::CloudFront::VpcOrigin",
            "Properties": {"VpcOriginEndpointConfig": origin | changes},
        },
        "Distribution": {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {
                "DistributionConfig": {
                    "Enabled": True,
                    "Origins": [
                        {
                            "Id": "service",
                            "DomainName": {"Fn::GetAtt": ["Balancer", "DNSName"]},
                            "VpcOriginConfig": {"VpcOriginId": {"Fn::GetAtt": ["Origin", "Id"]}},
                        }
                    ],
                    "DefaultCacheBehavior": {
                        "TargetOriginId": "service",
                        "ViewerProtocolPolicy": "redirect-to-https",
                        "AllowedMethods": ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"],
                        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",  # Managed-CachingDisabled
                        "OriginRequestPolicyId": "216adef6-5c7f-47e4-b989-5492eafa07d3",  # Managed-AllViewer
                    },
                }
            },
        },
    }


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


def test_a_request_to_the_distribution_reaches_a_task_behind_an_internal_load_balancer(cloud: CloudServer) -> None:
    made = cloud.deploy(
        "edge", edge("edge"), Host={"Fn::GetAtt": ["Distribution", "DomainName"]}, Tasks={"Ref": "Tasks"}
    )
    with task() as port:
        target = {"TargetGroupArn": made["Tasks"], "Targets": [{"Id": "127.0.0.1", "Port": port}]}
        cloud.client("elbv2").register_targets(**target)
        headers = {"Host": made["Host"], "Content-Type": "application/json"}
        answer = json.loads(cloud.get("/api/weather?limit=1", data=b"{}", method="POST", headers=headers))
        assert (answer["port"], answer["path"], answer["body"]) == (port, "/api/weather?limit=1", "{}")
        cloud.client("elbv2").deregister_targets(**target)
        with pytest.raises(urllib.error.HTTPError, match="50[234]"):
            cloud.get("/", data=b"{}", method="POST", headers=headers)

    cloud.client("cloudformation").delete_stack(StackName="edge")
    cloud.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="edge")
    assert cloud.client("cloudfront").list_vpc_origins()["VpcOriginList"]["Quantity"] == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Arn": "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/app/none/1"}, "NotFound"),
        ({"HTTPPort": 81}, "port is not within"),
        ({"Colour": "red"}, "Colour"),
    ],
)
def test_an_origin_that_leads_nowhere_is_refused(cloud: CloudServer, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(StackFailed, match=says):
        cloud.deploy(f"wrong-{list(changes)[0].lower()}", edge("wrong", **changes))


def test_a_firewall_stands_before_a_load_balancer_as_long_as_its_stack(cloud: CloudServer) -> None:
    made = cloud.deploy(
        "wall",
        {key: value for key, value in NETWORK.items() if key != "Api"}
        | {
            "Wall": {
                "Type": "AWS::WAFv2::WebACL",
                "Properties": {
                    "Scope": "REGIONAL",
                    "DefaultAction": {"Allow": {}},
                    "VisibilityConfig": {
                        "SampledRequestsEnabled": True,
                        "CloudWatchMetricsEnabled": True,
                        "MetricName": "wall",
                    },
                },
            },
            "Before": {
                "Type": "AWS::WAFv2::WebACLAssociation",
                "Properties": {"WebACLArn": {"Fn::GetAtt": ["Wall", "Arn"]}, "ResourceArn": {"Ref": "Balancer"}},
            },
        },
        Wall={"Fn::GetAtt": ["Wall", "Arn"]},
        Balancer={"Ref": "Balancer"},
    )
    waf = cloud.client("wafv2")
    assert waf.get_web_acl_for_resource(ResourceArn=made["Balancer"])["WebACL"]["ARN"] == made["Wall"]
    cloud.client("cloudformation").delete_stack(StackName="wall")
    cloud.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="wall")
    assert waf.list_web_acls(Scope="REGIONAL")["WebACLs"] == []


def test_a_firewall_that_there_is_not_is_refused(cloud: CloudServer) -> None:
    arn = "arn:aws:wafv2:eu-west-1:000000000000:regional/webacl/none/1"
    association = {"Type": "AWS::WAFv2::WebACLAssociation", "Properties": {"WebACLArn": arn, "ResourceArn": "arn"}}
    with pytest.raises(StackFailed, match="AWS WAF refuses it"):
        cloud.deploy("no-wall", {"Before": association})
