"""CloudFormation: unknown types, custom resources that fail, and what single types keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_s3 as s3
from botocore.exceptions import ClientError
from cloud_server import REGION, CloudServer, StackFailed, cloud_server

from local.cloud.accounts import OPERATOR
from snowgate import ReportBucket

# Answers as the property Answer says, and writes down what it was asked.
PROBE = """
import json, os, urllib.request, boto3
def handler(event, context):
    given = event["ResourceProperties"]
    note = {"type": event["RequestType"], "physical_id": event.get("PhysicalResourceId")}
    boto3.client("sqs").send_message(QueueUrl=os.environ["NOTES"], MessageBody=json.dumps(note))
    status = "FAILED" if given["Fails"] == event["RequestType"] else "SUCCESS"
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": status, "Reason": "as asked", "PhysicalResourceId": "probe"}
    answer["Data"] = {"Text": "x" * int(given["Size"])}
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT"))
"""


class Probe:
    """A custom resource's Lambda and the notes it takes."""

    def __init__(self, cloud: CloudServer) -> None:
        self.cloud, self.sqs = cloud, cloud.client("sqs")
        self.notes_url = self.sqs.create_queue(QueueName="notes")["QueueUrl"]
        lambda_trust = {"Principal": {"Service": "lambda.amazonaws.com"}}
        queue = f"arn:aws:sqs:{REGION}:{OPERATOR.account_id}:notes"
        role = cloud.make_role("probe", lambda_trust, {"Action": "sqs:SendMessage", "Resource": queue})
        self.function = cloud.make_function("probe", role, PROBE, NOTES=self.notes_url)

    def resource(self, *, fails: str = "", size: int = 1, type_: str = "Custom::Probe") -> dict[str, Any]:
        properties = {"ServiceToken": self.function, "ServiceTimeout": "20", "Fails": fails, "Size": size}
        return {"Probe": {"Type": type_, "Properties": properties}}

    def notes(self) -> list[tuple[str, str | None]]:
        """What the Lambda was asked since the last look: request type and physical id."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.notes_url).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.notes_url, ReceiptHandle=message["ReceiptHandle"])
                note = json.loads(message["Body"])
                found.append((note["type"], note["physical_id"]))
        return found


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


@pytest.fixture(scope="module")
def probe(cloud: CloudServer) -> Probe:
    return Probe(cloud)


def test_an_unknown_type_is_refused_by_its_name_before_anything_is_made(cloud: CloudServer) -> None:
    resources = {"Topic": {"Type": "AWS::SNS::Topic"}, "Ledger": {"Type": "AWS::QLDB::Ledger"}}
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::QLDB::Ledger\]"):
        cloud.deploy("unknown", resources)
    assert cloud.client("sns").list_topics()["Topics"] == []


@pytest.mark.parametrize("type_", ["Custom::Probe", "AWS::CloudFormation::CustomResource"])
def test_a_create_that_fails_is_followed_by_a_delete_of_what_it_named(probe: Probe, type_: str) -> None:
    with pytest.raises(StackFailed, match="as asked"):
        probe.cloud.deploy(f"failed-{type_[:3]}", probe.resource(fails="Create", type_=type_))
    assert probe.notes() == [("Create", None), ("Delete", "probe")]


def test_an_answer_of_more_than_four_kilobytes_fails_the_resource(probe: Probe) -> None:
    with pytest.raises(StackFailed, match="Response object is too long"):
        probe.cloud.deploy("long", probe.resource(size=5000))
    probe.notes()


def test_an_update_that_fails_is_sent_back(probe: Probe) -> None:
    probe.cloud.deploy("sent-back", probe.resource(), Text={"Fn::GetAtt": ["Probe", "Text"]})
    with pytest.raises(StackFailed, match="as asked"):
        probe.cloud.deploy("sent-back", probe.resource(fails="Update"))
    assert probe.notes() == [("Create", None), ("Update", "probe"), ("Update", "probe")]


def test_continuing_a_rollback_takes_an_empty_list_of_resources_as_the_cdk_cli_sends_it(probe: Probe) -> None:
    probe.cloud.deploy("continued", probe.resource(fails="Update"))
    with pytest.raises(StackFailed):  # the way back is an Update too, and fails as well
        probe.cloud.deploy("continued", probe.resource(fails="Update", size=2))
    probe.cloud.client("cloudformation").continue_update_rollback(StackName="continued", ResourcesToSkip=[])
    probe.notes()


def test_a_network_stack_has_the_attributes_that_the_cdk_asks_for(cloud: CloudServer) -> None:
    vpc, subnet = {"Ref": "Vpc"}, {"Ref": "Subnet"}
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/16"}
    resources = {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": vpc, "CidrBlock": "10.0.0.0/24"}},
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
        "Nat": {
            "Type": "AWS::EC2::NatGateway",
            "Properties": {"SubnetId": subnet, "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}},
        },
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "g", "VpcId": vpc}},
        "Rule": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {"GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}} | rule,
        },
        "Interface": {"Type": "AWS::EC2::NetworkInterface", "Properties": {"SubnetId": subnet}},
        "Log": {
            "Type": "AWS::EC2::FlowLog",
            "Properties": {"ResourceId": vpc, "ResourceType": "VPC", "TrafficType": "ALL"},
        },
    }
    outputs = cloud.deploy("network", resources, Cidr={"Fn::GetAtt": ["Vpc", "CidrBlock"]}, Nat={"Ref": "Nat"})
    assert outputs["Cidr"] == "10.0.0.0/16"
    [gateway] = cloud.client("ec2").describe_nat_gateways(NatGatewayIds=[outputs["Nat"]])["NatGateways"]
    assert gateway["State"] == "available"


def test_cloudfronts_own_addresses_are_a_prefix_list(cloud: CloudServer) -> None:
    name = "com.amazonaws.global.cloudfront.origin-facing"
    filters = [{"Name": "prefix-list-name", "Values": [name]}]
    [found] = cloud.client("ec2").describe_managed_prefix_lists(Filters=filters)["PrefixLists"]
    assert found["PrefixListId"].startswith("pl-")


def test_a_bucket_keeps_its_tags_and_a_secret_is_its_arn(cloud: CloudServer) -> None:
    tags = [{"Key": "aws-cdk:auto-delete-objects", "Value": "true"}]
    resources = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"Tags": tags}},
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "s"}},
    }
    outputs = cloud.deploy("kept", resources, Bucket={"Ref": "Bucket"}, Secret={"Ref": "Secret"})
    assert cloud.client("s3").get_bucket_tagging(Bucket=outputs["Bucket"])["TagSet"] == tags
    secret = cloud.client("secretsmanager").get_secret_value(SecretId=outputs["Secret"])
    assert (secret["ARN"], secret["SecretString"]) == (outputs["Secret"], "s")


def test_reports_are_copied_with_the_rule_that_the_library_writes(cloud: CloudServer) -> None:
    stack = cdk.Stack(cdk.App(analytics_reporting=False), "Stack")
    elsewhere = s3.Bucket(stack, "Elsewhere", versioned=True)
    reports = ReportBucket(stack, "Reports", copy_to=elsewhere)
    names = {name: stack.resolve(bucket.bucket_name) for name, bucket in (("To", elsewhere), ("From", reports.bucket))}
    made = assertions.Template.from_stack(stack).to_json()["Resources"]
    outputs, client = cloud.deploy("copied", made, **names), cloud.client("s3")
    for key in ("reports/1.csv", "other/2.csv"):
        client.put_object(Bucket=outputs["From"], Key=key, Body=b"1")
    assert [found["Key"] for found in client.list_objects_v2(Bucket=outputs["To"])["Contents"]] == ["reports/1.csv"]


def test_a_rule_of_replication_that_s3_refuses_fails_its_stack(cloud: CloudServer) -> None:
    target = {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
    metrics = {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}
    rule = {
        "Status": "Enabled",
        "Priority": 0,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": {"Fn::GetAtt": ["To", "Arn"]}, "Metrics": metrics},
    }
    role = f"arn:aws:iam::{OPERATOR.account_id}:role/copies"
    source = target["Properties"] | {"ReplicationConfiguration": {"Role": role, "Rules": [rule]}}
    with pytest.raises(StackFailed, match="Metrics cannot contain an event threshold when ReplicationTime is not"):
        cloud.deploy("not-copied", {"To": target, "From": {"Type": "AWS::S3::Bucket", "Properties": source}})


def test_a_generated_secret_honours_every_option(cloud: CloudServer) -> None:
    letters = {"PasswordLength": 300, "ExcludePunctuation": True, "ExcludeCharacters": "abc"}
    narrow = {"PasswordLength": "12", "ExcludePunctuation": "true", "ExcludeUppercase": True, "ExcludeLowercase": True}
    keyed = narrow | {"SecretStringTemplate": '{"user": "u"}', "GenerateStringKey": "pin"}
    resources = {
        name: {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": options}}
        for name, options in {"Letters": letters, "Keyed": keyed}.items()
    }
    outputs = cloud.deploy("generated", resources, Letters={"Ref": "Letters"}, Keyed={"Ref": "Keyed"})
    secrets = cloud.client("secretsmanager")
    text, pin = (secrets.get_secret_value(SecretId=outputs[name])["SecretString"] for name in ("Letters", "Keyed"))
    assert (len(text), text.isalnum(), set(text) & set("abc")) == (300, True, set())
    assert json.loads(pin)["user"] == "u"
    assert (len(json.loads(pin)["pin"]), json.loads(pin)["pin"].isdigit()) == (12, True)


def test_a_secret_that_cannot_be_generated_fails_its_stack(cloud: CloudServer) -> None:
    properties = {"GenerateSecretString": {"PasswordLength": 5000}}
    with pytest.raises(StackFailed, match="PasswordLength must be between 1 and 4096"):
        cloud.deploy("too-long", {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": properties}})


def test_a_stack_reads_the_output_of_another_one(cloud: CloudServer) -> None:
    topic = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "read-by-another"}}}
    cloud.deploy("giver", topic, Arn={"Ref": "Topic"})
    value = {"Fn::GetStackOutput": {"StackName": "giver", "OutputName": "Arn"}}
    parameter = {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/arn", "Type": "String", "Value": value}}
    cloud.deploy("reader", {"Parameter": parameter})
    assert cloud.client("ssm").get_parameter(Name="/arn")["Parameter"]["Value"].endswith(":read-by-another")
