"""The server itself: where it listens, how it stops, what it keeps, and what it refuses to start with."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import ssl
import threading
import time
import types
import zipfile
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import BotoCoreError
from cloud_server import REGION, CloudServer, cloud_server

from local.cloud import certificates
from local.cloud.additions.patching import IncompatibleMinistack, replaces, replaces_entry, require

ECHO = "def handler(event, context):\n    return event\n"


def poll(cloud: CloudServer) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="empty")["QueueUrl"]
    with contextlib.suppress(BotoCoreError):  # the server ends the connection
        sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)


def test_it_listens_on_the_loopback_address_only_and_stops_within_three_seconds(tmp_path: Path) -> None:
    with cloud_server(tmp_path) as cloud:
        listening = [c.laddr for c in psutil.Process(cloud.process.pid).net_connections() if c.status == "LISTEN"]
        assert [tuple(address) for address in listening] == [("127.0.0.1", cloud.port)]

        context = ssl.create_default_context(cafile=str(cloud.bundle))
        plain = socket.create_connection(("127.0.0.1", cloud.port))
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as idle:  # a client that never says goodbye
            polling = threading.Thread(target=poll, args=(cloud,), daemon=True)  # a request of 20 seconds
            polling.start()
            idle.sendall(b"GET /_ministack/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert idle.recv(12) == b"HTTP/1.1 200"
            polling.join(timeout=0.7)
            assert polling.is_alive()
            started = time.monotonic()
            cloud.process.terminate()
            assert cloud.process.wait(timeout=10) == 0
            assert time.monotonic() - started < 3


def test_state_survives_a_restart(tmp_path: Path) -> None:
    with cloud_server(tmp_path) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="kept", Key="a/b.csv", Body=b"1,2")
        cloud.client("secretsmanager").create_secret(Name="login", SecretString="s")
        cloud.client("ssm").put_parameter(Name="/p", Value="v", Type="String")
        queue = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        cloud.client("sqs").send_message(QueueUrl=queue, MessageBody="m")
        cloud.client("events").put_rule(Name="sweep", ScheduleExpression="rate(1 minute)")
        cloud.client("logs").create_log_group(logGroupName="/group")
        role = cloud.make_role("role", {"Principal": {"Service": "lambda.amazonaws.com"}})
        cloud.make_function("echo", role, ECHO)
        ecs = cloud.client("ecs")
        ecs.create_cluster(clusterName="c")
        ecs.register_task_definition(family="f", containerDefinitions=[{"name": "n", "image": "i"}])
        ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=1)
        [old] = ecs.list_tasks(cluster="c")["taskArns"]
        cloud.deploy("stack", {"Topic": {"Type": "AWS::SNS::Topic"}}, Arn={"Ref": "Topic"})

    with cloud_server(tmp_path) as cloud:
        assert cloud.client("s3").get_object(Bucket="kept", Key="a/b.csv")["Body"].read() == b"1,2"
        assert cloud.client("secretsmanager").get_secret_value(SecretId="login")["SecretString"] == "s"
        assert cloud.client("ssm").get_parameter(Name="/p")["Parameter"]["Value"] == "v"
        queue = cloud.client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
        assert cloud.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "m"
        assert cloud.client("events").describe_rule(Name="sweep")["State"] == "ENABLED"
        assert cloud.client("logs").describe_log_groups()["logGroups"]
        answer = cloud.client("lambda").invoke(FunctionName="echo", Payload=json.dumps({"a": 1}))
        assert json.load(answer["Payload"]) == {"a": 1}
        [stack] = cloud.client("cloudformation").describe_stacks(StackName="stack")["Stacks"]
        arn = stack["Outputs"][0]["OutputValue"]
        assert cloud.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["TopicArn"] == arn
        time.sleep(1)  # the service scheduler's first look
        [new] = cloud.client("ecs").list_tasks(cluster="c")["taskArns"]
        assert new != old


def test_a_node_lambda_runs_in_the_projects_node_with_the_aws_sdk(tmp_path: Path) -> None:
    source = "exports.handler = async () => [process.version, typeof require('@aws-sdk/client-s3').S3Client]"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.js", source)
    with cloud_server(tmp_path) as cloud:
        role = cloud.make_role("role", {"Principal": {"Service": "lambda.amazonaws.com"}})
        code = {"ZipFile": archive.getvalue()}
        functions = cloud.client("lambda")
        functions.create_function(FunctionName="n", Runtime="nodejs22.x", Role=role, Handler="index.handler", Code=code)
        version, sdk = json.load(functions.invoke(FunctionName="n")["Payload"])
    assert version.startswith("v24.")
    assert sdk == "function"


def test_an_addition_refuses_a_ministack_without_the_internal_that_it_changes() -> None:
    module = types.ModuleType("ministack.services.example")
    module.known = lambda data: data  # type: ignore[attr-defined]
    for missing in (
        lambda: replaces(module, "unknown", "data"),
        lambda: replaces(module, "known", "data extra"),
        lambda: replaces_entry({}, "StopTask", "data", "example.table"),
        lambda: require(module, "known", "unknown"),
    ):
        with pytest.raises(IncompatibleMinistack, match=r"ministack 1\.5\.33: .*example"):
            missing()


def test_the_names_of_apis_and_of_cloudfront_are_served_with_a_certificate_that_fits(tmp_path: Path) -> None:
    with cloud_server(tmp_path) as cloud:
        context = ssl.create_default_context(cafile=str(cloud.bundle))
        for name in ("abc.execute-api.us-east-1.amazonaws.com", "d111111abcdef8.cloudfront.net"):
            plain = socket.create_connection(("127.0.0.1", cloud.port))
            with context.wrap_socket(plain, server_hostname=name) as reached:
                assert reached.version()
        plain = socket.create_connection(("127.0.0.1", cloud.port))
        with pytest.raises(ssl.SSLCertVerificationError), plain:
            context.wrap_socket(plain, server_hostname="example.com")


def test_a_certificate_without_the_names_that_are_needed_is_made_anew(tmp_path: Path) -> None:
    certificates.make(tmp_path, "us-east-1")
    first = (tmp_path / "tls.crt").read_bytes()
    certificates.make(tmp_path, "eu-west-1")
    assert (tmp_path / "tls.crt").read_bytes() != first


def test_a_valid_certificate_is_kept_and_its_key_is_the_owners_alone(tmp_path: Path) -> None:
    certificates.make(tmp_path)
    first = (tmp_path / "tls.crt").read_bytes()
    certificates.make(tmp_path)
    assert (tmp_path / "tls.crt").read_bytes() == first
    assert (tmp_path / "ca.pem").read_bytes().endswith(first)
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600
