"""HTTP APIs of the AWS stand-in: from the API's own host name through a VPC link to a load balancer's targets."""

from __future__ import annotations

import json
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cloud_server import REGION, CloudServer, StackFailed, cloud_server

NETWORK: dict[str, Any] = {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.1.0.0/16"}},
    "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.1.0.0/24"}},
    "Group": {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "GroupDescription": "link"},
    },
    "Balancer": {
        "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "Properties": {"Scheme": "internal", "Type": "application", "Subnets": [{"Ref": "Subnet"}]},
    },
    "Tasks": {
        "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
        "Properties": {"Port": 8000, "Protocol": "HTTP", "TargetType": "ip", "VpcId": {"Ref": "Vpc"}},
    },
    "Listener": {
        "Type": "AWS::ElasticLoadBalancingV2::Listener",
        "Properties": {
            "LoadBalancerArn": {"Ref": "Balancer"},
            "Port": 80,
            "Protocol": "HTTP",
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Tasks"}}],
        },
    },
    "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "api", "ProtocolType": "HTTP"}},
}


def linked(**changes: Any) -> dict[str, Any]:
    """The rest of an HTTP API; `changes` are properties of its link (Link) and integration (Integration)."""
    link = {"Name": "link", "SubnetIds": [{"Ref": "Subnet"}], "SecurityGroupIds": [{"Ref": "Group"}]}
    integration = {
        "ApiId": {"Ref": "Api"},
        "IntegrationType": "HTTP_PROXY",
        "IntegrationMethod": "ANY",
        "IntegrationUri": {"Ref": "Listener"},
        "ConnectionType": "VPC_LINK",
        "ConnectionId": {"Ref": "Link"},
        "PayloadFormatVersion": "1.0",
    }
    target = {"Fn::Join": ["", ["integrations/", {"Ref": "Integration"}]]}
    return NETWORK | {
        "Link": {"Type": "AWS::ApiGatewayV2::VpcLink", "Properties": link | changes.get("Link", {})},
        "Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": integration | changes.get("Integration", {}),
        },
        "Route": {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": "$default", "Target": target},
        },
        "Stage": {
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "$default", "AutoDeploy": True},
        },
    }


class Task(BaseHTTPRequestHandler):
    """Says what came to it."""

    def do_POST(self) -> None:  # noqa: N802 - the base class's name
        sent = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        seen = {
            "port": self.server.server_address[1],
            "path": self.path,
            "token": self.headers.get("Authorization"),
            "body": sent,
        }
        body = json.dumps(seen).encode()
        self.send_response(202)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def task() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Task)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


@pytest.fixture(scope="module")
def api(cloud: CloudServer) -> dict[str, str]:
    return cloud.deploy(
        "api",
        linked(),
        Id={"Ref": "Api"},
        Endpoint={"Fn::GetAtt": ["Api", "ApiEndpoint"]},
        Tasks={"Ref": "Tasks"},
    )


def post(cloud: CloudServer, api: dict[str, str], path: str, token: str | None = "Bearer t") -> dict[str, Any]:
    host = api["Endpoint"].removeprefix("https://")
    headers = {"Host": host, "Content-Type": "application/json"} | ({"Authorization": token} if token else {})
    return json.loads(cloud.get(path, data=b'{"a": 1}', method="POST", headers=headers))


def test_the_endpoint_has_the_name_that_aws_gives(api: dict[str, str]) -> None:
    assert api["Endpoint"] == f"https://{api['Id']}.execute-api.{REGION}.amazonaws.com"


def test_without_a_target_the_service_is_unavailable(cloud: CloudServer, api: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError, match="503"):
        post(cloud, api, "/process-job")


def test_a_request_reaches_the_targets_as_it_came(cloud: CloudServer, api: dict[str, str]) -> None:
    elb = cloud.client("elbv2")
    with task() as first, task() as second:
        targets = [{"Id": "127.0.0.1", "Port": port} for port in (first, second)]
        elb.register_targets(TargetGroupArn=api["Tasks"], Targets=targets)
        answers = [post(cloud, api, "/process-job?limit=1") for _ in range(12)]
        elb.deregister_targets(TargetGroupArn=api["Tasks"], Targets=targets[:1])
        rest = {post(cloud, api, "/")["port"] for _ in range(6)}
        elb.deregister_targets(TargetGroupArn=api["Tasks"], Targets=targets[1:])

    expected = {"path": "/process-job?limit=1", "token": "Bearer t", "body": '{"a": 1}'}
    assert all(answer | expected == answer for answer in answers)
    assert {answer["port"] for answer in answers} == {first, second}
    assert rest == {second}


def test_a_caller_without_any_token_is_let_through_to_the_service(cloud: CloudServer, api: dict[str, str]) -> None:
    with task() as port:
        target = {"TargetGroupArn": api["Tasks"], "Targets": [{"Id": "127.0.0.1", "Port": port}]}
        cloud.client("elbv2").register_targets(**target)
        answers = [post(cloud, api, path, token=None) for path in ("/health", "/job/a/status")]
        cloud.client("elbv2").deregister_targets(**target)

    assert [answer["path"] for answer in answers] == ["/health", "/job/a/status"]
    assert {answer["token"] for answer in answers} == {None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Link": {"SubnetIds": ["subnet-unknown"]}}, "there is no subnet-unknown"),
        ({"Link": {"SecurityGroupIds": ["sg-unknown"]}}, "there is no sg-unknown"),
        ({"Link": {"Colour": "red"}}, "Colour"),
        ({"Integration": {"IntegrationUri": "http://example.com"}}, "no load balancer's listener"),
        ({"Integration": {"ConnectionId": ""}}, "ConnectionId"),
        ({"Integration": {"TlsConfig": {"ServerNameToVerify": "x"}}}, "TlsConfig"),
    ],
)
def test_what_leads_nowhere_is_refused(cloud: CloudServer, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(StackFailed, match=says):
        cloud.deploy(f"wrong-{abs(hash(says)) % 10**8}", linked(**changes))
